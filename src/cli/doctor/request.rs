//! `--request FILE|-`: what to do as a JSON object, as an endpoint would be asked.
//!
//! Its fields say what the flags say, and are stronger than the environment as flags are. What
//! contradicts a flag is refused: nobody guesses which of the two was meant.

use std::io::Read;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::args::Doctor;
use crate::cli::report::UsageError;
use crate::cli::session::{Cli, own_file};
use crate::doctor::{Fix, Options, Request};
use crate::platform::threads;
use crate::store;

/// More than any request has.
const LONGEST: u64 = 1 << 20;

const SHAPE: &str =
    "it is one object: {\"planId\": \"NAME or id\", \"fix\": true or false}, both optional";

/// What the flags and the request say together.
pub(super) fn options(cli: &Cli, args: &Doctor, state_dir: &Path) -> Result<Options> {
    let of_flags = match (args.fix, args.dry_run) {
        (_, true) => Fix::DryRun,
        (true, false) => Fix::Repair,
        (false, false) => Fix::Look,
    };
    let mut options = Options {
        plan: cli.session().plan,
        fix: of_flags,
    };
    let Some(path) = &args.request else {
        return Ok(options);
    };
    let (request, says_fix) = parse(&read(cli, path, state_dir)?)?;
    if says_fix && args.fix && !request.fix {
        return Err(contradicts("\"fix\": false", "--fix"));
    }
    let asked = Options::from(request);
    if asked.fix == Fix::Repair && of_flags == Fix::Look {
        options.fix = Fix::Repair;
    }
    if let Some(plan) = asked.plan {
        if cli.plan_flag().is_some_and(|flag| flag != plan) {
            return Err(contradicts(&format!("\"planId\": {plan:?}"), "--plan"));
        }
        options.plan = Some(plan);
    }
    Ok(options)
}

fn contradicts(field: &str, flag: &str) -> anyhow::Error {
    let words = format!("the request says {field}, and {flag} says something else");
    UsageError::new(words, "say it once; nothing was looked at").into()
}

fn wrong(problem: impl std::fmt::Display) -> anyhow::Error {
    UsageError::new(
        format!("the request cannot be understood: {problem}"),
        SHAPE,
    )
    .into()
}

/// The request, and whether it says anything of `fix`.
fn parse(bytes: &[u8]) -> Result<(Request, bool)> {
    let value: Value = serde_json::from_slice(bytes).map_err(wrong)?;
    let Value::Object(fields) = &value else {
        return Err(wrong("it is no object"));
    };
    let says_fix = fields.contains_key("fix");
    let mut request: Request = serde_json::from_value(value).map_err(wrong)?;
    // As writers without optional fields say "all of them".
    request.plan_id = request.plan_id.filter(|plan| !plan.is_empty());
    Ok((request, says_fix))
}

fn read(cli: &Cli, path: &Path, state_dir: &Path) -> Result<Vec<u8>> {
    let unreadable = |problem: String| {
        let words = format!("cannot read the request {}: {problem}", path.display());
        UsageError::new(
            words,
            "`plandex doctor --request FILE`, or pipe it in with `--request -`",
        )
    };
    let limited = |source: &mut dyn Read| {
        let mut bytes = Vec::new();
        source.take(LONGEST + 1).read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    let (name, bytes) = if path == Path::new("-") {
        let _waits = threads::waits("standard input");
        let given = Path::new("/dev/stdin").to_owned();
        if is_own(&given, state_dir) {
            return Err(own_file("standard input"));
        }
        (given, limited(&mut std::io::stdin().lock()))
    } else {
        let path = cli.cwd.join(path);
        if is_own(&path, state_dir) {
            return Err(own_file(&path.display().to_string()));
        }
        let bytes = std::fs::File::open(&path).and_then(|mut file| limited(&mut file));
        (path, bytes)
    };
    let bytes = bytes.map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > LONGEST {
        let problem = format!("{} is longer than 1 MiB", name.display());
        return Err(unreadable(problem).into());
    }
    Ok(bytes)
}

fn is_own(path: &Path, state_dir: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| store::is_own_file(state_dir, &meta))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_fields_are_optional_and_others_are_skipped() {
        let read = |text: &str| parse(text.as_bytes()).unwrap();
        assert_eq!(read("{}"), (Request::default(), false));
        let (request, says_fix) = read(r#"{"planId": "auth", "fix": false, "later": [1]}"#);
        assert_eq!(request.plan_id.as_deref(), Some("auth"));
        assert!(says_fix && !request.fix);
        assert_eq!(read(r#"{"planId": ""}"#).0, Request::default());
        assert_eq!(read(r#"{"planId": null}"#).0, Request::default());
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [
            "",
            "{",
            "[]",
            "null",
            "\"fix\"",
            "{} {}",
            r#"{"fix": "yes"}"#,
            r#"{"fix": null}"#,
            r#"{"planId": 7}"#,
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.is::<UsageError>(), "{text}: {error:#}");
        }
    }
}
