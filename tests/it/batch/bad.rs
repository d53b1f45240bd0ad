//! What is no batch: nothing of it runs.

use super::{batch, line, objects, project};
use crate::support::Sandbox;

#[test]
fn a_malformed_line_is_named_and_nothing_runs() {
    let sandbox = project();
    let lines = "new -n d\n\n# fine\ntel x\nconvo | wc\n";
    let outcome = sandbox
        .plandex(["batch", "-"])
        .stdin(lines)
        .finish()
        .exits(2);
    let outcome = outcome
        .says("standard input:4: unrecognized subcommand 'tel'")
        .says("standard input:5: | means nothing here")
        .says("2 malformed lines in standard input; nothing was run");
    assert_eq!(outcome.stdout, "");
    let plans = sandbox.ok(&["plans", "--json"]).json();
    assert_eq!(plans["plans"].as_array().unwrap().len(), 3);
}

#[test]
fn a_file_that_cannot_be_read_is_a_usage_error() {
    let sandbox = project();
    sandbox.run(&["batch", "missing"]).exits(2).says("missing");
    sandbox.run(&["batch", "src"]).exits(2).says("directory");
    sandbox
        .run(&["batch", ".plandex/plandex.db"])
        .exits(2)
        .says("plandex's own database");
    sandbox.run(&["batch"]).exits(2);
    sandbox
        .run(&["batch", "-", "--keep-going", "--fail-fast"])
        .exits(2);
}

#[test]
fn an_empty_batch_is_done() {
    let sandbox = project();
    let outcome = batch(&sandbox, "\n# nothing\n").ok();
    let (results, verdict) = objects(&outcome);
    assert!(results.is_empty());
    assert_eq!(verdict["counts"]["lines"], 0);
}

#[test]
fn without_a_project_each_line_says_so_and_new_makes_one() {
    let sandbox = Sandbox::without_git();
    let outcome = batch(&sandbox, "convo\nstatus\n").exits(1);
    let (results, _) = objects(&outcome);
    for number in [1, 2] {
        assert_eq!(line(&results, number)["error"]["type"], "no_project");
    }
    let outcome = batch(
        &sandbox,
        "new -n one\nexec -- true\nnew -n two\nconvo --plan one\n",
    );
    let (results, verdict) = objects(&outcome.ok());
    assert_eq!(verdict["counts"]["done"], 4);
    assert_eq!(line(&results, 1)["documents"][0]["plan"]["name"], "one");
}

#[test]
fn standard_input_belongs_to_nobody() {
    let sandbox = project();
    sandbox.write(
        "jobs",
        "exec -- sh -c 'wc -c'\ntell\nload\ntell x --reply -\n",
    );
    let run = sandbox.plandex(["batch", "jobs", "--json", "--plan", "a"]);
    let outcome = run.stdin("a secret of somebody's\n").finish();
    let (results, _) = objects(&outcome);
    assert_eq!(line(&results, 1)["stdout"], "0\n");
    assert_eq!(line(&results, 2)["exitCode"], 2);
    assert_eq!(line(&results, 3)["exitCode"], 2);
    assert_eq!(line(&results, 4)["status"], "failed");
    assert!(!outcome.stdout.contains("secret"));
    assert!(!sandbox.dump().contains("secret"));
}

#[test]
fn a_question_that_nobody_can_answer_is_a_declined_line() {
    let sandbox = project();
    sandbox.write_beside("reply", "hello.txt\n```\nhello\n```\n");
    let reply = sandbox.place().join("tmp/reply");
    let lines = format!("tell x --reply {}\napply\napply -y\n", reply.display());
    let outcome = sandbox
        .plandex(["batch", "-", "--plan", "a", "--json"])
        .stdin(&lines)
        .finish()
        .exits(9);
    let (results, _) = objects(&outcome);
    assert_eq!(line(&results, 2)["exitCode"], 9);
    assert_eq!(line(&results, 3)["exitCode"], 0);
    assert_eq!(sandbox.read("hello.txt"), "hello\n");
}
