//! Every kind of run: in the background, as lines of JSON, and asked of a real endpoint.

use super::frame::check;
use super::{SOON, file, newest, of_runs, project, types};
use crate::support::{Answer, ModelServer, Sandbox};

fn reply(sandbox: &Sandbox, text: &str) -> String {
    let path = sandbox.write_beside("reply", text);
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_kind_of_run_goes_on_in_the_background() {
    let sandbox = project();
    let answer = reply(&sandbox, &file("a.txt", "a"));
    for (args, says) in [
        (
            &["tell", "-n", "x", "--reply", &answer][..],
            "1 file kept for `plandex build`",
        ),
        (&["build"], "1 file pending"),
        (&["build"], "No changes"),
        (&["continue", "--reply", &answer], "No changes"),
        // An answer is all there is to it.
        (&["chat", "x", "--reply", &answer], ""),
    ] {
        let started = sandbox.ok(&[args, &["--bg", "--json"]].concat()).json();
        let number = started["ticket"].to_string();
        // Whether it has begun, is at work or is over.
        sandbox.ok(&["connect", &number]).says(says);
        let events = check(&sandbox.ok(&["connect", &number, "--json"]).stdout, 0);
        // What had nothing to do has only an end.
        let began = types(&events)[1] == "turn.started";
        assert_eq!(began, says != "No changes" || args[0] != "build");
        assert!(!began || events[1]["kind"] == args[0], "{events:#?}");
    }
}

#[test]
fn every_stream_is_in_the_table() {
    let sandbox = project();
    let answer = reply(&sandbox, &file("a.txt", "a"));
    for args in [
        &["tell", "-n", "x", "--reply", &answer, "--json"][..],
        &["build", "--json"],
        &["continue", "--reply", &answer, "--json"],
        &["chat", "x", "--reply", &answer, "--json", "--deltas"],
    ] {
        let told = check(&sandbox.ok(args).stdout, 0);
        assert_eq!(told[1]["kind"], args[0], "{told:#?}");
        let number = newest(&sandbox).unwrap().ticket.to_string();
        let mut again = vec!["connect", number.as_str(), "--json"];
        again.extend(args.iter().filter(|flag| **flag == "--deltas"));
        let again = check(&sandbox.ok(&again).stdout, 0);
        assert_eq!(of_runs(&again), of_runs(&told));
    }
    let applied = check(&sandbox.ok(&["apply", "-y", "--json"]).stdout, 0);
    assert_eq!(types(&applied)[1..3], ["apply.planned", "apply.completed"]);
    let batch = sandbox.plandex(["batch", "-", "--json"]);
    let batch = check(&batch.stdin("status\nplans\n").finish().ok().stdout, 0);
    assert_eq!(
        types(&batch)[1..4],
        ["line.completed", "line.completed", "batch.completed"]
    );
}

fn chunk(text: &str) -> String {
    let delta = serde_json::json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    format!("data: {delta}\n\n")
}

/// The model's connection is refused at first: the runner's own terminal and whoever follows say so.
#[test]
fn a_lost_connection_to_the_model_is_told_to_all() {
    let sandbox = project();
    let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let body = chunk("I begin.\n") + &chunk("More.\n") + end;
    let (held, hold) = Answer::stream(body.clone()).hold(chunk("I begin.\n").len());
    // It closes without a byte, then it answers.
    let server = ModelServer::start([Answer::raw(""), held]);
    let base = server.base();
    let asked = ["--provider", "openai", "--model", "m", "--base-url", &base];
    let tell = |flags: &[&str]| sandbox.start(&[&["tell", "x"], &asked[..], flags].concat());
    let mut runner = tell(&[]);
    runner.until_says("Connection lost. Reconnecting...");
    hold.reached();
    let person = sandbox.start(&["connect"]);
    let program = sandbox.start(&["connect", "--json", "--deltas"]);
    person.until_says("Connection lost. Reconnecting...");
    person.until_says("I begin.");
    program.until_says("I begin.");
    hold.release();
    runner.wait(SOON).ok();
    person.finish().ok();
    let events = check(&program.finish().ok().stdout, 0);
    let retry = events
        .iter()
        .find(|event| event["type"] == "request.retrying")
        .unwrap();
    assert_eq!(
        (&retry["kind"], &retry["attempt"]),
        (&"transport".into(), &2.into())
    );
    assert!(types(&events).contains(&"request.phase"), "{events:#?}");
}
