//! A run that is killed: what came is in the database, marked, and nothing is taken for whole.

use super::{answered, asking, chunk, file, finished, messages, pending, project, request, rows};
use super::{sent, stream};
use crate::crash_points::{Template, check_sound, killed_at, sweep};
use crate::support::{Answer, ModelServer};

/// A looking command that mends first what it meets.
const REPAIR: &[&str] = &["diff"];

#[test]
fn wherever_the_stream_is_the_partial_reply_is_kept_and_marked() {
    let thought = chunk(&serde_json::json!({"reasoning_content": "Hm, a file.\n"}));
    let text = format!("First.\n\n{}\n{}", file("a.txt", "a"), file("b.txt", "b"));
    let said = stream(&text, "stop");
    let body = thought.clone() + &said;
    let in_fence = body.find("path=b.txt").unwrap() - 60;
    let before_finish = body.len() - finished("stop").len();
    for (moment, at, kept) in [
        ("before the first byte", 0, ""),
        ("after a thought", thought.len(), ""),
        (
            "in a fence",
            in_fence,
            "First.\n\n```text path=a.txt\na\n```\n",
        ),
        ("before the finish", before_finish, text.as_str()),
    ] {
        let sandbox = project();
        let (answer, hold) = Answer::stream(body.clone()).hold(at);
        let server = ModelServer::start([answer]);
        let run = asking(&sandbox, &server, &["tell", "x"]).start();
        hold.reached();
        // What was sent before has been stored: it is told after.
        let stored = "SELECT coalesce(group_concat(json_extract(payload, '$.text'), ''), '')
             FROM stream_events WHERE kind IN ('message.delta', 'reasoning.delta')";
        let expected = match at {
            0 => String::new(),
            _ => format!("Hm, a file.\n{kept}"),
        };
        sandbox.until(&format!("{moment}: what came is stored"), || {
            rows(&sandbox, stored)[0]
                .starts_with(&expected)
                .then_some(())
        });
        run.kill();
        let mended = sandbox.run(REPAIR);
        assert!(mended.stderr.contains("Repaired:"), "{moment}: {mended}");
        let said = messages(&sandbox);
        assert_eq!(said[0]["text"], "x", "{moment}");
        assert_eq!(said[1]["state"], "interrupted", "{moment}");
        let reply = said[1]["text"].as_str().unwrap();
        assert!(reply.starts_with(kept), "{moment}: {reply:?}");
        assert_eq!(pending(&sandbox), [""; 0], "{moment}");
        let status = sandbox.ok(&["status"]);
        assert!(status.stdout.contains("interrupted"), "{moment}: {status}");
        // The next request holds what was kept, and no thought.
        let sent = sent(&sandbox, &["continue"]);
        assert_eq!(
            sent.len(),
            if kept.is_empty() { 2 } else { 4 },
            "{moment}: {sent:?}"
        );
        assert!(!format!("{sent:?}").contains("Hm, a file"), "{moment}");
        let rest = Answer::stream(stream("Done.\n", "stop"));
        let server = ModelServer::start([rest]);
        asking(&sandbox, &server, &["continue"]).finish().ok();
        assert_eq!(request(&server, 0).len(), sent.len(), "{moment}");
        // What was whole is built by the run that goes on.
        let built = pending(&sandbox);
        assert_eq!(
            built.contains(&"a.txt".to_owned()),
            !kept.is_empty(),
            "{moment}"
        );
    }
}

#[test]
fn a_chat_that_dies_is_gone_on_with_as_a_chat() {
    let sandbox = project();
    super::replying(&sandbox, &["chat", "how?"], &file("a.txt", "a")).kill();
    sandbox.run(REPAIR);
    answered(&sandbox, &["continue"], &file("b.txt", "b")).ok();
    assert_eq!(pending(&sandbox), [""; 0]);
    let kinds = rows(&sandbox, "SELECT DISTINCT kind FROM convo_messages");
    assert_eq!(kinds, ["chat"]);
}

#[test]
fn a_build_killed_anywhere_is_done_or_to_be_done() {
    let sandbox = project();
    answered(&sandbox, &["tell", "-n", "x"], &file("a.txt", "a")).ok();
    let template = Template::new(sandbox);
    let (points, _) = template.points(&["build"]);
    let ends = sweep(points.len(), |at| {
        let sandbox = template.copy();
        let what = format!("build killed at {at} ({})", points[at - 1]);
        assert!(killed_at(&sandbox, &["build"], at).is_some(), "{what}");
        check_sound(&sandbox, &what);
        sandbox.run(REPAIR);
        let built = pending(&sandbox);
        let recorded = rows(&sandbox, "SELECT path FROM plan_builds");
        assert_eq!(built, recorded, "{what}: half");
        sandbox.ok(&["build"]);
        assert_eq!(pending(&sandbox), ["a.txt"], "{what}");
        assert_eq!(
            rows(&sandbox, "SELECT path FROM plan_builds"),
            ["a.txt"],
            "{what}"
        );
        check_sound(&sandbox, &what);
        built.is_empty()
    });
    assert!(ends.contains(&true) && ends.contains(&false), "{ends:?}");
}

#[test]
fn a_continuation_killed_anywhere_can_be_gone_on_with() {
    let sandbox = project();
    answered(&sandbox, &["tell", "x"], &file("a.txt", "a")).ok();
    let reply = sandbox.write_beside("rest.md", &file("b.txt", "b"));
    let reply = reply.to_str().unwrap().to_owned();
    let args = ["continue", "--reply", reply.as_str()];
    let template = Template::new(sandbox);
    let (points, _) = template.points(&args);
    let ends = sweep(points.len(), |at| {
        let sandbox = template.copy();
        let what = format!("continue killed at {at} ({})", points[at - 1]);
        assert!(killed_at(&sandbox, &args, at).is_some(), "{what}");
        check_sound(&sandbox, &what);
        sandbox.run(REPAIR);
        let said = messages(&sandbox);
        assert_eq!(
            said[1]["state"], "complete",
            "{what}: the whole reply was touched"
        );
        let is_new = pending(&sandbox).contains(&"b.txt".to_owned());
        let last = said.last().unwrap()["state"].as_str().unwrap();
        assert_eq!(
            last == "complete" && said.len() == 3,
            is_new,
            "{what}: half"
        );
        sandbox.ok(&args);
        assert_eq!(pending(&sandbox), ["a.txt", "b.txt"], "{what}");
        check_sound(&sandbox, &what);
        is_new
    });
    assert!(ends.contains(&true) && ends.contains(&false), "{ends:?}");
}
