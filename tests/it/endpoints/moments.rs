//! A run called off at every moment of its request, in each way: the lock is gone, what came is kept,
//! status and exit code are right.

use std::io::Read as _;
use std::net::TcpListener;

use rustix::process::Signal;

use super::recorded::{FENCES_TEXT, fences};
use crate::support::{Answer, Background, Framing, ModelServer, Run, Sandbox, needs, skip};

/// How a run is called off, and its exit code then.
#[derive(Debug, Clone, Copy)]
enum Off {
    By(Signal, i32),
    Stop,
}

const WAYS: [Off; 4] = [
    Off::By(Signal::INT, 130),
    Off::By(Signal::TERM, 143),
    Off::By(Signal::HUP, 129),
    Off::Stop,
];

fn asked<'s>(sandbox: &'s Sandbox, base: &str) -> Run<'s> {
    sandbox
        .plandex(["tell", "x"])
        .env("OPENAI_BASE_URL", base)
        .env("PLANDEX_MODEL", "some-model")
}

/// Calls `running` off; the reply must then be kept as `kept`, and nothing be held.
#[track_caller]
fn called_off(sandbox: &Sandbox, running: Background<'_>, off: Off, kept: &str) {
    let code = match off {
        Off::By(signal, code) => {
            running.signal(signal);
            code
        }
        Off::Stop => {
            sandbox.ok(&["stop"]);
            143
        }
    };
    running.finish().exits(code);
    assert_eq!(sandbox.tickets().len(), 0);
    let said = sandbox.ok(&["convo", "--json"]).json();
    let reply = &said["messages"][1];
    assert_eq!(reply["state"], "stopped", "{said}");
    let text = reply["text"].as_str().unwrap();
    assert!(
        FENCES_TEXT.starts_with(text) && text.starts_with(kept),
        "{said}"
    );
    let status = sandbox.ok(&["status", "--json"]).json();
    assert_eq!(status["status"], "stopped", "{status}");
    // A block that had come whole is built.
    let is_whole = text.contains("\n```\n");
    let pending = status["pending"].as_array().map(Vec::len);
    assert_eq!(pending, Some(usize::from(is_whole)), "{status}");
    sandbox.ok(&["exec", "--no-wait", "--", "true"]);
}

fn started() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["new", "-n", "draft"]);
    sandbox
}

#[test]
fn in_the_pause_before_it_is_asked_again() {
    for off in WAYS {
        let sandbox = started();
        let busy = Answer::error(503, "come back").header("retry-after", "30");
        let server = ModelServer::start([busy]);
        let running = asked(&sandbox, &server.base()).start();
        running.until_says("retry 2/3");
        called_off(&sandbox, running, off, "");
        assert_eq!(server.asked().len(), 1);
    }
}

#[test]
fn before_and_in_the_headers() {
    for (off, head) in WAYS
        .into_iter()
        .zip(["", "HT", "HTTP/1.1 200 OK\r\nCont", ""])
    {
        let sandbox = started();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/v1", server.local_addr().unwrap());
        let running = asked(&sandbox, &base).start();
        let (mut connection, _) = server.accept().unwrap();
        let mut request = [0; 64];
        assert!(connection.read(&mut request).unwrap() > 0);
        std::io::Write::write_all(&mut connection, head.as_bytes()).unwrap();
        called_off(&sandbox, running, off, "");
    }
}

#[test]
fn in_the_stream() {
    let body = fences();
    let of = |words: &str| body.find(words).unwrap();
    let moments = [
        ("before the first byte", 0, ""),
        (
            "in the middle of a fence",
            of("\"mai\""),
            "I add a file.\n\n```rust path=",
        ),
        (
            "in the middle of a character",
            of("ß") + 1,
            "I add a file.\n\n```rust path=src/new.rs\n",
        ),
        ("before the finish", of("\"stop\"") - 50, FENCES_TEXT),
    ];
    for (moment, at, kept) in moments {
        for off in WAYS {
            let sandbox = started();
            let answer = Answer::stream(body.clone()).framed(Framing::Chunked(1));
            let (answer, hold) = answer.hold(at);
            let server = ModelServer::start([answer]);
            let running = asked(&sandbox, &server.base()).start();
            hold.reached();
            let what = format!("{moment}: what came is stored");
            sandbox.until(&what, || stored(&sandbox).starts_with(kept).then_some(()));
            called_off(&sandbox, running, off, kept);
            hold.release();
        }
    }
}

/// What is stored of the reply that comes in.
fn stored(sandbox: &Sandbox) -> String {
    let text = "SELECT coalesce(group_concat(json_extract(payload, '$.text'), ''), '')
         FROM stream_events WHERE kind = 'message.delta'";
    let rows = crate::support::raw(sandbox).query_row(text, [], |row| row.get(0));
    rows.unwrap()
}

/// While files are built and versions made durable, a signal comes at each call that syncs or names a
/// file: the run is whole or it is called off, and says which. SIGHUP, because each thread's call has
/// one, and a second SIGINT means something else.
#[test]
fn in_the_build_and_in_the_commits() {
    needs!("strace");
    let calls = "fsync,fdatasync,rename";
    for when in 1.. {
        let sandbox = started();
        let message = sandbox.write_beside("message.md", "```text path=a.txt\na\n```\n");
        let trace = format!("trace={calls}");
        let inject = format!("inject={calls}:signal=SIGHUP:when={when}");
        let log = sandbox.write_beside("trace", "");
        let strace = [
            "-f",
            "-o",
            log.to_str().unwrap(),
            "-e",
            &trace,
            "-e",
            &inject,
        ];
        let tell = [env!("CARGO_BIN_EXE_plandex"), "tell", "-f"];
        let all = [&strace[..], &tell, &[message.to_str().unwrap()]].concat();
        let outcome = sandbox.program("strace", all).finish();
        if outcome.stderr.contains("PTRACE") {
            skip!("processes cannot be traced here");
        }
        if !std::fs::read_to_string(&log)
            .unwrap()
            .contains("--- SIGHUP")
        {
            // No thread makes so many calls.
            assert!(when > 3, "{outcome}");
            break;
        }
        let what = format!("SIGHUP at call {when}: {outcome}");
        assert_eq!(sandbox.tickets().len(), 0, "{what}");
        let status = sandbox.ok(&["status", "--json"]).json();
        let state = status["status"].as_str().unwrap_or_default().to_owned();
        match (outcome.code, state.as_str()) {
            // Called off before anything was recorded, or while it was at work.
            (Some(ended), "draft" | "stopped") => assert_eq!(ended, 129, "{what}"),
            // Too late: all of it is there, whatever the exit code says of the signal.
            (Some(ended), "ready") => {
                assert!(ended == 0 || ended == 129, "{what}");
                assert_eq!(
                    status["pending"].as_array().map(Vec::len),
                    Some(1),
                    "{what}"
                );
            }
            _ => panic!("{state}: {what}"),
        }
        sandbox.ok(&["doctor"]);
        sandbox.ok(&["tell", "--no-wait", "-f", message.to_str().unwrap()]);
    }
}
