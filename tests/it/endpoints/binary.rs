//! The binary asked to tell: what is printed, stored, logged and written, and where the key goes.

use std::net::TcpListener;
use std::path::Path;

use rustix::process::Signal;

use super::CANARY;
use super::recorded::*;
use crate::support::{Answer, Cut, ModelServer, Run, Sandbox, needs};

/// `plandex ARGS…` with this server as what OPENAI_BASE_URL names.
fn with<'s>(sandbox: &'s Sandbox, server: &ModelServer, args: &[&str]) -> Run<'s> {
    sandbox
        .plandex(args)
        .env("OPENAI_BASE_URL", server.base())
        .env("OPENAI_API_KEY", CANARY)
        .env("PLANDEX_MODEL", "some-model")
}

fn started() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.plandex(["new", "-n", "draft"]).finish().ok();
    sandbox
}

#[test]
fn a_reply_becomes_pending_changes() {
    let sandbox = started();
    sandbox.plandex(["load", "src/lib.rs"]).finish().ok();
    let server = ModelServer::start([Answer::stream(fences())]);
    let told = with(&sandbox, &server, &["tell", "add a file"])
        .finish()
        .ok();
    let told = told.says("model openai/some-model, from OPENAI_BASE_URL");
    assert!(told.stdout.contains("I add a file."), "{told}");
    assert!(!told.stdout.contains("```"), "{told}");
    let asked = &server.asked()[0];
    assert_eq!(
        asked.header("authorization"),
        Some(format!("Bearer {CANARY}").as_str())
    );
    let system = asked.body["messages"][0]["content"].as_str().unwrap();
    assert!(
        system.contains("src/lib.rs") && system.contains("greeting"),
        "{system}"
    );
    assert_eq!(asked.body["messages"][1]["content"], "add a file");
    sandbox.plandex(["apply", "--yes"]).finish().ok();
    assert_eq!(sandbox.read("src/new.rs"), "fn main() { /* ß漢😀 */ }\n");
    let convo = sandbox.plandex(["convo"]).finish().ok();
    assert!(convo.stdout.contains("openai:some-model"), "{convo}");
}

#[test]
fn each_way_to_fail_has_its_exit_code() {
    let sandbox = started();
    let half = fences().len() / 2;
    for (answer, code, words) in [
        (Answer::error(401, "bad key"), 4, "bad key"),
        (Answer::error(404, "no such model"), 5, "some-model"),
        (
            Answer::error(400, "maximum context length is 8"),
            5,
            "plandex ls",
        ),
        (Answer::stream("data: overloaded\n\n"), 5, "overloaded"),
        (
            Answer::stream(fences()).cut(half, Cut::Unterminated),
            5,
            "continue",
        ),
        (
            Answer::stream(fences()).cut(half, Cut::Clean),
            6,
            "continue",
        ),
        (
            Answer::stream(fences().replace("\"stop\"", "\"length\"")),
            6,
            "",
        ),
        (
            Answer::stream(fences().replace("\"stop\"", "\"content_filter\"")),
            6,
            "",
        ),
    ] {
        let server = ModelServer::start([answer]);
        let told = with(&sandbox, &server, &["tell", "do it"])
            .finish()
            .exits(code);
        let said = told.stderr.contains(words) || told.stdout.contains(words);
        assert!(said, "{words:?}: {told}");
        assert!(!told.stderr.contains(CANARY), "{told}");
        assert!(!sandbox.root().join("src/new.rs").exists());
    }
    // A filtered reply built nothing; what the length cut off after its last block did build.
    let none = sandbox.plandex(["tell", "x"]).finish().exits(4);
    assert!(
        none.stderr.contains("OPENAI_BASE_URL") && none.stderr.contains("--reply"),
        "{none}"
    );
    let no_model = sandbox
        .plandex(["tell", "x"])
        .env("OPENAI_API_KEY", CANARY)
        .finish()
        .exits(4);
    assert!(no_model.stderr.contains("--model"), "{no_model}");
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let base = format!("http://{free}/v1");
    let nobody = sandbox
        .plandex(["tell", "x", "--base-url", &base, "--model", "m"])
        .finish();
    nobody.exits(5).says("refused the connection");
}

#[test]
fn a_program_and_flags_are_asked_too() {
    let sandbox = started();
    let line = "cat >/dev/null; printf '```rust path=src/c.rs\\nc\\n```\\n'";
    let told = sandbox
        .plandex(["tell", "x", "--command", line])
        .finish()
        .ok();
    told.says("model command cat, from --command");
    sandbox.plandex(["apply", "--yes"]).finish().ok();
    assert_eq!(sandbox.read("src/c.rs"), "c\n");
    let failed = sandbox
        .plandex(["tell", "x", "--command", "echo sorry >&2; exit 7"])
        .finish();
    failed.exits(5).says("exit code 7: sorry");

    let busy = ModelServer::start([Answer::error(400, "no")]);
    let good = ModelServer::start([Answer::stream(fences())]);
    let env = |run: Run<'_>| {
        run.env("OPENAI_BASE_URL", good.base())
            .env("OPENAI_MODEL", "m")
            .finish()
    };
    let args = [
        "tell",
        "x",
        "--base-url",
        &busy.base(),
        "--fallback",
        "other",
    ];
    // The same provider: both models are asked at the address that the flag gives.
    env(sandbox.plandex(args)).exits(5);
    let models: Vec<String> = busy
        .asked()
        .iter()
        .map(|asked| asked.body["model"].to_string())
        .collect();
    assert_eq!(models, ["\"m\"", "\"other\""]);
    env(sandbox.plandex(["tell", "x"])).ok();
}

#[test]
fn a_program_ends_with_us_whatever_ends_us() {
    for signal in [Signal::KILL, Signal::TERM, Signal::HUP] {
        let sandbox = started();
        let noted = sandbox.place().join("tmp/pid");
        let line = format!("echo begun; echo $$ > {}; exec sleep 4711", noted.display());
        let running = sandbox.plandex(["tell", "x", "--command", &line]).start();
        let pid: u32 = sandbox.until("the program notes its number", || {
            std::fs::read_to_string(&noted).ok()?.trim().parse().ok()
        });
        running.signal(signal);
        running.finish();
        sandbox.until("the program ends", || {
            let stat = plandex::platform::process::stat(pid);
            stat.is_none_or(|stat| stat.state == 'Z').then_some(())
        });
    }
}

#[test]
fn proxies_are_not_asked_about_this_machine() {
    let sandbox = started();
    let server = ModelServer::start([Answer::stream(fences())]);
    let proxy = ModelServer::start([Answer::error(500, "a proxy")]);
    let run = with(&sandbox, &server, &["tell", "x"]);
    let address = proxy.base().replace("/v1", "");
    let run = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
        .iter()
        .fold(run, |run, name| run.env(name, &address));
    run.finish().ok();
    assert_eq!((proxy.asked().len(), server.asked().len()), (0, 1));
}

#[test]
fn a_proxy_is_asked_about_others_unless_it_is_told_not_to() {
    let sandbox = started();
    let proxy = ModelServer::start([Answer::error(502, "a proxy")]);
    let address = proxy
        .base()
        .replace("http://", "http://user:pw-canary@")
        .replace("/v1", "");
    let tell = |no_proxy: &str| {
        let run = sandbox.plandex([
            "tell",
            "x",
            "--model",
            "m",
            "--base-url",
            "http://gpu.invalid/v1",
        ]);
        run.env("HTTP_PROXY", &address)
            .env("NO_PROXY", no_proxy)
            .finish()
    };
    let refused = tell("").exits(5);
    assert!(!refused.stderr.contains("pw-canary"), "{refused}");
    assert!(
        proxy.asked()[0].path.contains("gpu.invalid"),
        "{:?}",
        proxy.asked()
    );
    let before = proxy.asked().len();
    tell(".invalid").exits(5).says("gpu.invalid");
    assert_eq!(proxy.asked().len(), before);
}

#[test]
fn settings_files_are_heard_and_the_projects_is_not_trusted_with_keys() {
    let sandbox = started();
    let server = ModelServer::start([Answer::stream(fences())]);
    let config = sandbox.place().join("home/.config/plandex");
    std::fs::create_dir_all(&config).unwrap();
    let text = format!(
        "provider = \"openai\"\nbase-url = \"{}\"\nmodel = \"m\"\napi-key = \"{CANARY}\"\n\
         max-tokens = 77\ntemperature = 0.25\n",
        server.base()
    );
    std::fs::write(config.join("config.toml"), text).unwrap();
    let told = sandbox.plandex(["tell", "x"]).finish().ok();
    assert!(told.stderr.contains("config.toml"), "{told}");
    let asked = &server.asked()[0];
    assert_eq!(
        (
            asked.body["max_tokens"].as_u64(),
            asked.body["temperature"].as_f64()
        ),
        (Some(77), Some(0.25))
    );
    assert!(asked.header("authorization").unwrap().contains(CANARY));
    for line in [
        "api-key = \"x\"",
        "api-key-env = \"HOME\"",
        "command = \"touch owned\"",
        "base-url = \"https://elsewhere.example/v1\"",
    ] {
        std::fs::write(sandbox.state_dir().join("config.toml"), line).unwrap();
        let refused = sandbox.plandex(["tell", "x"]).finish().exits(4);
        refused.says("is not taken from a project's file");
    }
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_stream_that_is_stopped_keeps_what_came() {
    for signal in [Signal::INT, Signal::TERM] {
        let sandbox = started();
        let at = fences().len() / 2;
        let (answer, hold) = Answer::stream(fences()).hold(at);
        let server = ModelServer::start([answer]);
        let running = with(&sandbox, &server, &["tell", "x"]).start();
        hold.reached();
        running.until_says("I add");
        running.signal(signal);
        let code = if signal == Signal::INT { 130 } else { 143 };
        let ended = running.finish().exits(code);
        hold.release();
        assert!(ended.stdout.contains("I add a file."), "{ended}");
        let convo = sandbox.plandex(["convo"]).finish().ok();
        assert!(convo.stdout.contains("I add a file."), "{convo}");
    }
}

/// Every file below `dir` that holds `words`.
fn holding(dir: &Path, words: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, words));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        if bytes
            .windows(words.len())
            .any(|part| part == words.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn the_key_is_on_the_wire_and_nowhere_else() {
    let sandbox = started();
    let log = sandbox.place().join("tmp/log");
    // Endpoints that quote it back in every place they can.
    let quoting = |status| Answer::error(status, &format!("Incorrect API key provided: {CANARY}"));
    let in_stream = format!("data: {{\"error\":{{\"message\":\"bad {CANARY}\"}}}}\n\n");
    let redirect = Answer::of(307, "text/plain", CANARY).header("location", "https://x.example/");
    let answers = [
        Answer::stream(fences()),
        quoting(401),
        quoting(500),
        Answer::error(400, &format!("{}{CANARY}", "x".repeat(585))),
        Answer::of(
            400,
            "text/html",
            format!("<title>{}{CANARY}</title>", "x".repeat(110)),
        ),
        Answer::stream(format!("data: {}{CANARY}\n\n", "x".repeat(190))),
        Answer::stream(in_stream),
        Answer::stream(format!("data: {CANARY}\n\n")),
        Answer::of(200, "text/html", format!("<title>{CANARY}</title>")),
        redirect,
        Answer::raw(format!("{CANARY}\r\n\r\n")),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let server = ModelServer::start([answer]);
        for json in [false, true] {
            let args: &[&str] = if json {
                &["tell", "x", "--json"]
            } else {
                &["tell", "x"]
            };
            let run = with(&sandbox, &server, args).env("PLANDEX_LOG", "all");
            let ended = run.env("PLANDEX_LOG_FILE", &log).finish();
            let said = format!("{}{}", ended.stdout, ended.stderr);
            // Not even the beginning of it.
            assert!(!said.contains(&CANARY[..6]), "{number}: {ended}");
        }
        assert!(!server.asked().is_empty());
        assert!(
            server.asked()[0]
                .header("authorization")
                .unwrap()
                .contains(CANARY)
        );
    }
    for args in [
        &["events"][..],
        &["status", "--json"],
        &["convo"],
        &["log"],
        &["doctor", "-v"],
    ] {
        let ended = sandbox.plandex(args).finish();
        assert!(
            !format!("{}{}", ended.stdout, ended.stderr).contains(CANARY),
            "{ended}"
        );
    }
    assert_eq!(holding(sandbox.place(), &CANARY[..6]), Vec::<String>::new());
    assert!(!holding(sandbox.place(), "I add a file").is_empty());
}

#[test]
fn a_system_call_trace_shows_the_key_on_the_socket_alone() {
    needs!("strace");
    let sandbox = started();
    let server = ModelServer::start([Answer::stream(fences())]);
    let trace = sandbox.place().join("tmp/trace");
    let binary = env!("CARGO_BIN_EXE_plandex");
    let calls = "trace=write,writev,pwrite64,pwritev,sendto,sendmsg,execve,openat,prctl";
    let args = ["-f", "-yy", "-s", "100000", "-e", calls, "-o"];
    let run = sandbox.program("strace", args).args([trace.as_os_str()]);
    let run = run
        .args([binary, "tell", "x"])
        .env("OPENAI_BASE_URL", server.base());
    run.env("OPENAI_API_KEY", CANARY)
        .env("PLANDEX_MODEL", "m")
        .finish()
        .ok();
    let trace = std::fs::read_to_string(&trace).unwrap();
    let lines: Vec<&str> = trace.lines().filter(|line| line.contains(CANARY)).collect();
    assert!(!lines.is_empty(), "the request is in the trace");
    for line in lines {
        assert!(line.contains("TCP:[127.0.0.1"), "{line}");
    }
}

#[test]
fn what_could_command_a_terminal_is_shown_harmless_everywhere() {
    let sandbox = started();
    let evil = "\u{1b}]52;c;aGk=\u{7} \u{9b}31m \u{202e}abc\u{2066} \u{1b}[2J\u{1b}Pq \u{1b}]0;never ended";
    let text =
        format!("Prose {evil}\n\n```rust path=src/e.rs\nlet e = \"{evil}\";\n```\nDone {evil}\n");
    let chunk = |field: &str, text: &str, reason: Option<&str>| {
        let chunk = serde_json::json!({
            "choices": [{"delta": {field: text}, "finish_reason": reason}],
        });
        format!("data: {chunk}\n\n")
    };
    let reply = chunk("reasoning", evil, None) + &chunk("content", &text, Some("stop"));
    let failed = chunk("content", evil, None)
        + &format!(
            "data: {{\"error\":{{\"message\":{}}}}}\n\n",
            serde_json::json!(evil)
        );
    let answers = [
        Answer::stream(reply),
        Answer::stream(failed),
        Answer::error(400, evil),
        Answer::of(200, "text/html", format!("<title>{evil}</title>")),
    ];
    let mut said = String::new();
    for answer in answers {
        let server = ModelServer::start([answer]);
        for args in [
            &["tell", "x"][..],
            &["tell", "x", "--json"],
            &["tell", "x", "-v"],
        ] {
            let ended = with(&sandbox, &server, args).finish();
            said += &(ended.stdout + &ended.stderr);
        }
    }
    let line = format!("printf '%s' '{evil}'; printf '%s' '{evil}' >&2; exit 1");
    for args in [
        &["tell", "x", "--command", &line][..],
        &["convo"],
        &["log"],
        &["diff"],
        &["status"],
        &["status", "--json"],
        &["events"],
        &["apply", "--yes"],
    ] {
        let ended = sandbox.plandex(args).finish();
        said += &(ended.stdout + &ended.stderr);
    }
    let is_harmless = |c: char| c == '\n' || c == '\t' || plandex::ui::escape::is_plain(c);
    let found: Vec<&str> = said
        .lines()
        .filter(|line| !line.chars().all(is_harmless))
        .collect();
    assert!(found.is_empty(), "{found:?}");
    assert!(said.contains("never ended"));
    // What is written is what was asked for.
    assert!(sandbox.read("src/e.rs").contains(evil));
}
