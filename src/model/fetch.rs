//! A page of the web, fetched once: no key is sent, nothing is tried again.

use std::io::Read as _;
use std::time::Duration;

use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Proxy};

use super::failure::shown;
use super::http::lacks_roots;
use super::{Kind, ModelError, base};

/// The whole fetch may take so long.
const TOTAL: Duration = Duration::from_secs(10);
/// The longest page, in bytes.
pub const PAGE_BYTES_MAX: u64 = 2 << 20;
/// So often an address may lead to another one.
const REDIRECTS_MAX: u32 = 5;
const HINT: &str = "save the page to a file and load that, or try again; nothing was loaded";

/// What stands at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The media type without its parameters, in lower case; empty if there is none.
    pub media_type: String,
    /// The character set that the server names, in lower case.
    pub charset: Option<String>,
    /// The whole content.
    pub body: Vec<u8>,
}

/// Gets the page at `url` (http or https) within 10 s.
///
/// Fails on an address that holds a user name or password (it would be stored and shown), on
/// anything but a 2xx answer, and on more than [`PAGE_BYTES_MAX`]; names the URL.
pub fn fetch(url: &str) -> Result<Page, ModelError> {
    let uri: Option<Uri> = url.parse().ok();
    let authority = uri.as_ref().and_then(Uri::authority);
    let Some(authority) = authority.filter(|authority| !authority.host().is_empty()) else {
        return Err(failed(
            Kind::NotFound,
            format!("{} is no URL", shown(url, 200)),
        ));
    };
    if authority.as_str().contains('@') {
        // Not quoted: it may hold a password.
        let host = authority.host();
        let message = format!("the URL of {host} holds a user name or password");
        return Err(failed(Kind::BadRequest, message));
    }
    match get(url, RootCerts::PlatformVerifier) {
        Err(error) if lacks_roots(&error) => get(url, RootCerts::WebPki),
        result => result,
    }
    .map_err(|error| {
        let kind = if matches!(error, ureq::Error::Timeout(_)) {
            Kind::Timeout
        } else {
            Kind::Transport
        };
        let words = shown(&error.to_string(), 200);
        failed(kind, format!("{url} could not be fetched: {words}"))
    })?
}

fn failed(kind: Kind, message: String) -> ModelError {
    ModelError::new(kind, message).hint(HINT)
}

fn get(url: &str, roots: RootCerts) -> Result<Result<Page, ModelError>, ureq::Error> {
    let proxy = match base::is_loopback(url) {
        true => None,
        false => Proxy::try_from_env(),
    };
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(REDIRECTS_MAX)
        .proxy(proxy)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .user_agent(concat!("plandex/", env!("CARGO_PKG_VERSION")))
        .timeout_global(Some(TOTAL))
        .build()
        .into();
    let accept = "text/html, text/plain, text/*, application/json;q=0.9, */*;q=0.1";
    let response = agent
        .get(url)
        .header("accept", accept)
        .header("accept-encoding", "identity")
        .call()?;
    let status = response.status();
    if !status.is_success() {
        let kind = match status.as_u16() {
            404 | 410 => Kind::NotFound,
            _ => Kind::Reported,
        };
        let message = format!("{url} could not be fetched: HTTP {status}");
        return Ok(Err(failed(kind, message)));
    }
    let content = response.headers().get("content-type");
    let content = content.map(|value| String::from_utf8_lossy(value.as_bytes()).to_lowercase());
    let content = content.unwrap_or_default();
    let (media_type, parameters) = content.split_once(';').unwrap_or((&content, ""));
    let charset = parameters.split(';').find_map(|parameter| {
        let value = parameter.trim().strip_prefix("charset=")?;
        Some(value.trim_matches('"').to_owned())
    });
    let mut body = Vec::new();
    let reader = response.into_body().into_reader();
    reader.take(PAGE_BYTES_MAX + 1).read_to_end(&mut body)?;
    if body.len() as u64 > PAGE_BYTES_MAX {
        let message = format!("{url} is longer than {PAGE_BYTES_MAX} bytes");
        return Ok(Err(failed(Kind::BadRequest, message)));
    }
    Ok(Ok(Page {
        media_type: media_type.trim().to_owned(),
        charset,
        body,
    }))
}
