//! A base URL: where a key may go, so it is looked at before anything is sent.

use std::net::IpAddr;

use ureq::http::Uri;

use super::{Kind, ModelError};

/// `text` as a base URL without slashes at its end. Fails on what is no http(s) URL, and on one
/// that holds a user name, a password, a query or a fragment: those would be shown and stored.
pub(super) fn parse(text: &str) -> Result<String, ModelError> {
    let wrong = |why: &str| {
        // Not quoted: it may hold a password.
        let message = format!("the base URL {why}");
        ModelError::new(Kind::NotConfigured, message)
            .hint("give it as `http://localhost:8080/v1` or `https://host/v1`")
    };
    let text = text.trim().trim_end_matches('/');
    // The address of the call itself, as documentation shows it.
    let text = text.strip_suffix("/chat/completions").unwrap_or(text);
    let uri: Uri = text.parse().map_err(|_| wrong("is no URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("begins neither with http:// nor with https://"));
    }
    let Some(authority) = uri.authority() else {
        return Err(wrong("names no host"));
    };
    if authority.as_str().contains('@') {
        return Err(wrong(
            "holds a user name or password; keys belong in their own setting",
        ));
    }
    if authority.host().is_empty() {
        return Err(wrong("names no host"));
    }
    if uri.query().is_some() || text.contains('#') {
        return Err(wrong("holds a query or a fragment"));
    }
    Ok(text.to_owned())
}

/// The host and port of a URL, for people; the URL itself if it is none.
pub(super) fn host(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    let authority = uri.as_ref().and_then(Uri::authority);
    authority.map_or_else(|| url.to_owned(), ToString::to_string)
}

/// Whether a URL leads to this machine, which no proxy may stand between.
pub(super) fn is_loopback(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Whether what is sent to a URL can be read on the way.
pub(super) fn is_plain(url: &str) -> bool {
    let scheme = url.get(..7).unwrap_or_default();
    scheme.eq_ignore_ascii_case("http://") && !is_loopback(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_taken_or_refused_without_quoting_it() {
        for (text, expected) in [
            ("http://localhost:8080/v1", "http://localhost:8080/v1"),
            (" https://host/v1// ", "https://host/v1"),
            ("https://host/v1/chat/completions/", "https://host/v1"),
            ("https://[::1]:8/v1", "https://[::1]:8/v1"),
        ] {
            assert_eq!(parse(text).unwrap(), expected);
        }
        for text in [
            "",
            "localhost",
            "localhost:8080/v1",
            "ftp://secret/",
            "https://user:secret@host/v1",
            "https://host/v1?key=secret",
            "https://host/v1#secret",
            "http://",
            "http:///v1",
            "ht tp://x",
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.kind, Kind::NotConfigured);
            assert!(!error.message.contains("secret"), "{error}");
        }
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for url in [
            "http://localhost:1/v1",
            "http://LOCALHOST/v1",
            "http://a.localhost/v1",
            "http://127.0.0.1:8/v1",
            "http://127.8.9.1/",
            "http://[::1]:9/v1",
        ] {
            assert!(is_loopback(url) && !is_plain(url), "{url}");
        }
        for url in [
            "http://localhost.evil.com",
            "http://128.0.0.1",
            "http://notlocalhost",
        ] {
            assert!(!is_loopback(url) && is_plain(url), "{url}");
        }
        assert!(!is_plain("https://host"));
        assert_eq!(host("http://a:8/v1"), "a:8");
    }
}
