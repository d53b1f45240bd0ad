//! When a request that failed is sent again.

use std::time::Duration;

use super::Limits;
use super::failure::ModelError;

/// A header's value by its name in lower case.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How long an endpoint asks to wait, at `now_ms` of wall time.
///
/// In this order: `retry-after-ms`, `Retry-After` as seconds (fractions too) or as an HTTP date
/// (RFC 9110 10.2.3), the `x-ratelimit-reset…` of OpenAI (durations such as "1m2.5s") and of
/// OpenRouter (a time in milliseconds), then the words of the body ("try again in 8s"). A time that
/// has passed, a negative number and what cannot be read ask for nothing.
pub(super) fn asked_wait(header: Lookup<'_>, body: &str, now_ms: i64) -> Option<Duration> {
    let after = header("retry-after");
    header("retry-after-ms")
        .and_then(|text| number(&text))
        .map(|ms| ms / 1000.0)
        .or_else(|| after.as_deref().and_then(number))
        .or_else(|| after.as_deref().and_then(|text| until_date(text, now_ms)))
        .or_else(|| reset(header, now_ms))
        .or_else(|| in_words(body))
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// `x-should-retry`, by which an endpoint overrides what its status means.
pub(super) fn should_retry(header: Lookup<'_>) -> Option<bool> {
    match header("x-should-retry")?.trim() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<f64> {
    let seconds: f64 = text.trim().parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then_some(seconds)
}

fn until_date(text: &str, now_ms: i64) -> Option<f64> {
    // An HTTP date is an RFC 2822 date whose zone is always called GMT.
    let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    let left = date.timestamp().as_millisecond() - now_ms;
    (left >= 0).then_some(left as f64 / 1000.0)
}

fn reset(header: Lookup<'_>, now_ms: i64) -> Option<f64> {
    let names = [
        "x-ratelimit-reset-requests",
        "x-ratelimit-reset-tokens",
        "x-ratelimit-reset",
    ];
    let longest = names.into_iter().filter_map(|name| {
        let text = header(name)?;
        // A number this large is a point in time in milliseconds.
        match number(&text) {
            Some(ms) if ms > 1e11 => Some((ms - now_ms as f64) / 1000.0),
            Some(seconds) => Some(seconds),
            None => duration(text.trim()),
        }
    });
    longest.filter(|seconds| *seconds >= 0.0).reduce(f64::max)
}

/// "try again in 8s", "retry in 1.5 seconds", "Please try again in 20ms".
fn in_words(body: &str) -> Option<f64> {
    let text = body.to_ascii_lowercase();
    ["try again in ", "retry in ", "retry after "]
        .iter()
        .find_map(|words| {
            let rest = &text[text.find(words)? + words.len()..];
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != ' ')
                .unwrap_or(rest.len());
            let words: Vec<&str> = rest[..end].split_whitespace().take(2).collect();
            let first = words.first()?.trim_end_matches('.');
            let second = words.get(1).map_or("", |word| word.trim_end_matches('.'));
            match number(first) {
                Some(count) if second.starts_with("ms") || second.starts_with("milli") => {
                    Some(count / 1000.0)
                }
                Some(count) if second.starts_with("min") => Some(count * 60.0),
                Some(count) if second.starts_with('s') || second.is_empty() => Some(count),
                Some(_) => None,
                None => duration(first),
            }
        })
}

/// "8s", "1m30s", "20ms", "1h", "6m0.5s".
fn duration(text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    let mut rest = text;
    // Each round takes a number and its unit.
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let count = number(&rest[..digits])?;
        rest = &rest[digits..];
        let end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        seconds += match &rest[..end] {
            "ms" => count / 1000.0,
            "s" => count,
            "m" => count * 60.0,
            "h" => count * 3600.0,
            _ => return None,
        };
        rest = &rest[end..];
    }
    (!text.is_empty()).then_some(seconds)
}

/// The pause before attempt `next` (from 2), if there is to be one; `chance` is from 0 to 1.
///
/// Our own pauses double and are jittered whole, so that many clients do not come back together
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>). Fails with the
/// error to show if the endpoint asks for more than we wait.
pub(super) fn pause(
    error: &ModelError,
    next: u32,
    limits: &Limits,
    chance: f64,
) -> Result<Option<Duration>, ModelError> {
    if !error.is_passing() || next > limits.attempts {
        return Ok(None);
    }
    if let Some(wait) = error.wait {
        if wait > limits.max_wait {
            let mut long = error.clone();
            long.message = format!(
                "{}; it asks to wait {} s, more than the {} s that are waited at most",
                error.message,
                wait.as_secs(),
                limits.max_wait.as_secs()
            );
            return Err(long.hint("try again then, or wait longer with `--max-wait`"));
        }
        return Ok(Some(wait));
    }
    let doubled = limits.pause * 2_u32.saturating_pow(next.saturating_sub(2));
    Ok(Some(doubled.min(limits.pause_max).mul_f64(chance)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    /// 2026-11-23T07:00:00Z.
    const NOW: i64 = 1_795_417_200_000;

    fn wait(headers: &[(&str, &str)], body: &str) -> Option<u128> {
        let lookup = |name: &str| {
            let found = headers.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        asked_wait(&lookup, body, NOW).map(|wait| wait.as_millis())
    }

    #[test]
    fn a_wait_is_read_in_every_form() {
        for (headers, body, expected) in [
            (&[][..], "", None),
            (&[("retry-after-ms", "1500")], "", Some(1500)),
            (
                &[("retry-after-ms", "20"), ("retry-after", "9")],
                "",
                Some(20),
            ),
            (&[("retry-after", "60")], "", Some(60_000)),
            (&[("retry-after", " 1.5 ")], "", Some(1500)),
            (&[("retry-after", "0")], "", Some(0)),
            (&[("retry-after", "-3")], "", None),
            (&[("retry-after", "soon")], "", None),
            (&[("retry-after", "NaN")], "", None),
            (&[("retry-after", "inf")], "", None),
            (
                &[("retry-after", "1000000000")],
                "",
                Some(1_000_000_000_000),
            ),
            (&[("retry-after", "1e300")], "", None),
            (
                &[("retry-after", "Mon, 23 Nov 2026 07:00:30 GMT")],
                "",
                Some(30_000),
            ),
            (
                &[("retry-after", "Mon, 23 Nov 2026 06:00:30 GMT")],
                "",
                None,
            ),
            (
                &[("retry-after", "Mon, 99 Nov 2026 06:00:30 GMT")],
                "",
                None,
            ),
            (
                &[("x-ratelimit-reset-requests", "1m2.5s")],
                "",
                Some(62_500),
            ),
            (&[("x-ratelimit-reset-tokens", "20ms")], "", Some(20)),
            (&[("x-ratelimit-reset", "7")], "", Some(7_000)),
            (&[("x-ratelimit-reset", "1795417205000")], "", Some(5_000)),
            (&[("x-ratelimit-reset", "1695417205000")], "", None),
            (&[], "Please try again in 8s.", Some(8_000)),
            (&[], "Please try again in 1m30s. Visit x", Some(90_000)),
            (&[], "Rate limit: try again in 20ms", Some(20)),
            (&[], "Retry in 1.5 seconds", Some(1_500)),
            (&[], "try again in 2 minutes", Some(120_000)),
            (&[], "try again in a while", None),
            (&[("retry-after", "5")], "try again in 8s", Some(5_000)),
        ] {
            assert_eq!(wait(headers, body), expected, "{headers:?} {body:?}");
        }
    }

    #[test]
    fn the_endpoints_word_overrides_its_status() {
        let lookup = |value: &'static str| move |_: &str| Some(value.to_owned());
        assert_eq!(should_retry(&lookup("true")), Some(true));
        assert_eq!(should_retry(&lookup("false")), Some(false));
        assert_eq!(should_retry(&lookup("maybe")), None);
    }

    #[test]
    fn pauses_double_up_to_their_limit_and_end() {
        let limits = Limits {
            attempts: 9,
            ..Limits::default()
        };
        let error = ModelError::new(Kind::Overloaded, "x");
        let ms = |next, chance| {
            let pause = pause(&error, next, &limits, chance).unwrap();
            pause.map(|pause| pause.as_millis())
        };
        assert_eq!(
            [ms(2, 1.0), ms(3, 1.0), ms(4, 0.5)],
            [Some(500), Some(1000), Some(1000)]
        );
        assert_eq!(ms(9, 1.0), Some(8000));
        assert_eq!(ms(10, 1.0), None);
        assert_eq!(ms(2, 0.0), Some(0));
        let auth = ModelError::new(Kind::Auth, "x");
        assert_eq!(pause(&auth, 2, &limits, 1.0), Ok(None));
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept_or_refused_with_its_length() {
        let mut error = ModelError::new(Kind::Rate, "slow down");
        error.wait = Some(Duration::from_secs(60));
        let limits = Limits::default();
        assert_eq!(
            pause(&error, 2, &limits, 0.0),
            Ok(Some(Duration::from_secs(60)))
        );
        error.wait = Some(Duration::from_secs(61));
        let refused = pause(&error, 2, &limits, 0.0).unwrap_err();
        assert!(refused.message.contains("61 s"), "{refused}");
    }
}
