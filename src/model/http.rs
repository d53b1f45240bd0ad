//! One HTTP request to an endpoint, as far as its headers: the only place that names the client.
//!
//! Measured with ureq 3.5.2: its body timeout is a budget for the whole stream and its read timeout
//! also bounds the wait for the headers, so neither is set and [`super::watch`] keeps the time; its
//! shutdown is for good, so each request has an agent of its own. Redirects are not followed at
//! all: the key would have to be trusted to another address, and none of the APIs needs it.

use std::io::{Cursor, Read};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use ureq::http::{HeaderValue, Response};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy, SendBody};

use super::endpoint::{Endpoint, Key};
use super::failure::shown;
use super::watch::Watch;
use super::{Delta, Kind, Limits, ModelError, Phase, base, explain};

/// For a name to be resolved.
const RESOLVE: Duration = Duration::from_secs(5);
/// For one write to be taken: prompts are long, and a total would bound a slow line.
const WRITE: Duration = Duration::from_secs(60);
/// What rustls says where a machine has no certificates of its own.
const NO_ROOTS: &str = "No CA certificates";

/// A request to be sent.
pub(super) struct Post<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) url: String,
    pub(super) headers: &'a [(&'static str, &'static str)],
    pub(super) body: Arc<[u8]>,
    pub(super) limits: &'a Limits,
}

/// A response's body.
pub(super) type Reader = ureq::BodyReader<'static>;

/// A response whose headers have come.
pub(super) struct Answer {
    pub(super) status: u16,
    response: Response<Body>,
}

impl Answer {
    /// A header's value, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let value = self.response.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    /// The media type without its parameters, in lower case; empty if there is none.
    pub(super) fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        let kind = value.split(';').next().unwrap_or_default();
        kind.trim().to_ascii_lowercase()
    }

    /// The body, as it comes.
    pub(super) fn into_reader(self) -> Reader {
        self.response.into_body().into_reader()
    }
}

/// An agent for one request.
pub(super) fn agent(url: &str, limits: &Limits, roots: Roots) -> Agent {
    let proxy = if base::is_loopback(url) {
        None
    } else {
        Proxy::try_from_env()
    };
    let roots = match roots {
        Roots::Machine => RootCerts::PlatformVerifier,
        Roots::Bundled => RootCerts::WebPki,
    };
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .user_agent(concat!("plandex/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(RESOLVE))
        .timeout_connect(Some(limits.connect))
        .timeout_per_write(Some(WRITE))
        .timeout_recv_response(Some(limits.first_byte))
        .build()
        .into()
}

/// Whose certificates are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Roots {
    /// The machine's own, which know of a company's proxies.
    Machine,
    /// Those that are built in, for a machine that has none.
    Bundled,
}

/// Whether a request failed because this machine has no certificates.
pub(super) fn lacks_roots(error: &ureq::Error) -> bool {
    error.to_string().contains(NO_ROOTS)
}

/// Sends `post` and waits for the headers of its answer. `deltas` hears when it has been sent.
pub(super) fn send(
    post: &Post<'_>,
    agent: &Agent,
    deltas: &Sender<Delta>,
) -> Result<Answer, ureq::Error> {
    let mut request = agent
        .post(&post.url)
        .header("content-type", "application/json")
        .header("accept", "text/event-stream, application/json")
        // A proxy that compresses holds the stream back.
        .header("accept-encoding", "identity")
        .header("content-length", post.body.len().to_string());
    for (name, value) in post.headers {
        request = request.header(*name, *value);
    }
    for (name, value) in &post.endpoint.headers {
        request = request.header(*name, value.as_str());
    }
    if let Some(key) = &post.endpoint.key {
        let (name, text) = match key {
            Key::Bearer(secret) => ("authorization", format!("Bearer {}", secret.expose())),
            Key::Header(secret) => ("x-api-key", secret.expose().to_owned()),
        };
        let mut value = HeaderValue::from_str(&text).map_err(ureq::http::Error::from)?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    let body = Sent {
        body: Cursor::new(Arc::clone(&post.body)),
        deltas: deltas.clone(),
        is_told: false,
    };
    let response = request.send(SendBody::from_owned_reader(body))?;
    Ok(Answer {
        status: response.status().as_u16(),
        response,
    })
}

/// A body that says when all of it was taken: from then on the answer is waited for.
struct Sent {
    body: Cursor<Arc<[u8]>>,
    deltas: Sender<Delta>,
    is_told: bool,
}

impl Read for Sent {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.body.read(buffer)?;
        let is_all = self.body.position() >= self.body.get_ref().len() as u64;
        if is_all && !std::mem::replace(&mut self.is_told, true) {
            // Whoever listens no more has given the reply up, which the watch hears.
            self.deltas.send(Delta::Phase(Phase::Waiting)).ok();
        }
        Ok(read)
    }
}

/// What went wrong before the headers came.
pub(super) fn failure(error: &ureq::Error, post: &Post<'_>, watch: &Watch) -> ModelError {
    use ureq::Error as E;
    let host = base::host(&post.url);
    let words = || shown(&error.to_string(), 200);
    let (kind, message) = match error {
        _ if watch.is_late() => return explain::late(post),
        E::Timeout(limit) => return late(*limit, &host, post.limits),
        E::HostNotFound => (Kind::Transport, format!("there is no host {host}")),
        E::Io(error) => return broken(error, &host),
        E::Http(_) => (
            Kind::NotConfigured,
            "the key or a header holds characters that cannot be sent".to_owned(),
        ),
        E::Tls(_) | E::Rustls(_) | E::Pem(_) | E::TlsRequired => {
            let message = format!("no safe connection to {host}: {}", words());
            let mut failure = ModelError::new(Kind::Transport, message);
            failure.should_retry = Some(false);
            return failure;
        }
        E::ConnectProxyFailed(_) | E::InvalidProxyUrl => {
            let message = format!("the proxy gave no connection to {host}");
            return ModelError::new(Kind::Transport, message)
                .hint("look at HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY");
        }
        E::Protocol(_) | E::LargeResponseHeader(..) => (
            Kind::Protocol,
            format!("{host} does not answer in HTTP: {}", words()),
        ),
        // Nothing of what we set leads to the ones that are named; the list is open.
        E::StatusCode(_)
        | E::BadUri(_)
        | E::RedirectFailed
        | E::ConnectionFailed
        | E::BodyExceedsLimit(_)
        | E::TooManyRedirects
        | E::RequireHttpsOnly(_)
        | E::Other(_)
        | _ => (
            Kind::Transport,
            format!("no answer from {host}: {}", words()),
        ),
    };
    ModelError::new(kind, message)
}

/// A limit of the client's was passed. Only a connection that was never made is tried again: whoever
/// took the request may be working on it, and be paid for it.
fn late(limit: ureq::Timeout, host: &str, limits: &Limits) -> ModelError {
    let seconds = |limit: Duration| format!("{} s", limit.as_secs_f64());
    let of = |message: String| ModelError::new(Kind::Timeout, message);
    if limit == ureq::Timeout::Connect {
        return of(format!(
            "no connection to {host} within {}",
            seconds(limits.connect)
        ));
    }
    if limit == ureq::Timeout::Resolve {
        return of(format!(
            "the name {host} was not resolved within {}",
            seconds(RESOLVE)
        ));
    }
    let mut failure = if limit == ureq::Timeout::RecvResponse {
        of(format!(
            "{host} did not answer within {}",
            seconds(limits.first_byte)
        ))
        .hint("wait longer with `first-byte-wait` in the settings")
    } else {
        of(format!("{host} did not take the request in time"))
    };
    failure.should_retry = Some(false);
    failure
}

/// A connection that could not be made, or broke before the headers.
fn broken(error: &std::io::Error, host: &str) -> ModelError {
    let words = shown(&error.to_string(), 200);
    if error.kind() == std::io::ErrorKind::ConnectionRefused {
        let message = format!("{host} refused the connection");
        return ModelError::new(Kind::Transport, message)
            .hint("start the server, or name another with `--base-url`");
    }
    let mut failure = ModelError::new(Kind::Transport, format!("no answer from {host}: {words}"));
    if words.contains("certificate") {
        // The next handshake would show the same.
        failure.should_retry = Some(false);
    }
    failure
}
