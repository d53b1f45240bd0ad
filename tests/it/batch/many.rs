//! Many lines, many plans: order, parallelism, output.

use std::fmt::Write as _;

use plandex::store::audit;
use serde_json::Value;

use super::{batch, line, objects, pipe, project, statuses};
use crate::support::Sandbox;

/// 1,000 lines over eight plans, a fifth of them tells: each runs once, and each plan's
/// conversation and audit are in the order of the file.
#[test]
fn a_thousand_lines_keep_the_order_of_each_plan() {
    const PLANS: usize = 8;
    let sandbox = Sandbox::in_memory(std::time::Duration::from_secs(300));
    for plan in 0..PLANS {
        sandbox.ok(&["new", "--name", &format!("p{plan}")]);
    }
    let mut lines = String::new();
    for number in 1..=1_000 {
        let plan = number * 7 % PLANS;
        match number % 5 {
            0 => writeln!(
                lines,
                r#"["tell", "--plan", "p{plan}", "set {number}\n\nn.txt\n```\n{number}\n```\n"]"#
            ),
            1 => writeln!(lines, "exec --plan p{plan} -- true"),
            2 => writeln!(lines, "diff --plan p{plan}"),
            3 => writeln!(lines, "load --plan p{plan} -n 'note {number}'"),
            _ => writeln!(lines, "convo --plan p{plan}"),
        }
        .unwrap();
    }
    let outcome = batch(&sandbox, &lines).ok();
    let (results, verdict) = objects(&outcome);
    assert_eq!(verdict["counts"]["done"], 1_000);
    let mut numbers: Vec<u64> = results
        .iter()
        .map(|one| one["line"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=1_000).collect::<Vec<u64>>());
    for plan in 0..PLANS {
        let told = |number: &usize| number.is_multiple_of(5) && number * 7 % PLANS == plan;
        let expected: Vec<usize> = (1..=1_000).filter(told).collect();
        assert_eq!(prompts(&sandbox, &format!("p{plan}")), expected);
        // A line that only looks sees what the lines before it did, and nothing after.
        for (number, said) in looks(&results, plan, PLANS) {
            let before = expected.iter().filter(|told| **told < number).count();
            assert_eq!(said, 2 * before, "line {number}");
        }
        let wanted = (1..=1_000).filter(|number| number * 7 % PLANS == plan);
        let wanted: Vec<&str> = wanted
            .filter_map(|number| match number % 5 {
                0 => Some("tell execution"),
                1 => Some("exec"),
                2 => Some("view diffs"),
                3 => Some("load context"),
                _ => None,
            })
            .collect();
        assert_eq!(in_order(&sandbox, &format!("p{plan}")), runs(&wanted));
    }
    assert!(sandbox.tickets().is_empty());
}

/// The numbers in the prompts of a plan, oldest first.
fn prompts(sandbox: &Sandbox, plan: &str) -> Vec<usize> {
    let convo = sandbox.ok(&["convo", "--json", "--plan", plan]).json();
    let messages = convo["messages"].as_array().unwrap().iter();
    messages
        .filter(|message| message["role"] == "user")
        .map(|message| {
            let first = message["text"].as_str().unwrap().lines().next().unwrap();
            first.strip_prefix("set ").unwrap().parse().unwrap()
        })
        .collect()
}

/// How many messages each `convo` line of a plan showed.
fn looks(results: &[Value], plan: usize, plans: usize) -> Vec<(usize, usize)> {
    results
        .iter()
        .filter_map(|one| {
            let number = usize::try_from(one["line"].as_u64()?).ok()?;
            let is_look = number % 5 == 4 && number * 7 % plans == plan;
            let said = one["documents"][0]["messages"].as_array().map(Vec::len);
            is_look.then(|| (number, said.unwrap()))
        })
        .collect()
}

/// The audit's reasons in the order of the grants, reads that ran together sorted.
fn in_order(sandbox: &Sandbox, plan: &str) -> Vec<Vec<String>> {
    let entries = sandbox.store().read(|tx| {
        let plan = plandex::store::plans::by_name(tx, plan)?.unwrap();
        audit::history(tx, &plan.id, 100_000)
    });
    let mut entries = entries.unwrap();
    entries.sort_by_key(|entry| entry.id);
    let reasons: Vec<&str> = entries.iter().map(|entry| entry.reason.as_str()).collect();
    runs(&reasons)
}

/// Adjacent reads as one sorted group, writes each for itself.
fn runs(reasons: &[&str]) -> Vec<Vec<String>> {
    let is_read = |reason: &&str| matches!(*reason, "view diffs" | "load context");
    let groups = reasons.chunk_by(|one, other| is_read(one) && is_read(other));
    groups
        .map(|group| {
            let mut words: Vec<String> = group.iter().map(|&word| word.to_owned()).collect();
            words.sort();
            words
        })
        .collect()
}

/// Twenty reads of one branch: each opens a pipe that the next one writes to, so all must run at
/// the same time for any of them to end.
#[test]
fn reads_of_one_branch_wait_for_each_other_and_finish() {
    const COUNT: usize = 20;
    let sandbox = project();
    let pipes: Vec<String> = (0..COUNT)
        .map(|at| pipe(&sandbox, &format!("pipe{at}")))
        .collect();
    let mut lines = String::new();
    for at in 0..COUNT {
        let (mine, next) = (&pipes[at], &pipes[(at + 1) % COUNT]);
        // The first one begins the round, all others pass it on.
        let round = if at == 0 {
            format!("echo round > {next}; cat {mine}")
        } else {
            format!("x=$(cat {mine}); echo $x > {next}")
        };
        writeln!(lines, "exec --plan a --read -- sh -c '{round}'").unwrap();
    }
    let outcome = batch(&sandbox, &lines).ok();
    let (results, _) = objects(&outcome);
    assert_eq!(line(&results, 1)["stdout"], "round\n");
}

/// Two plans' writes wait for each other; two writes of one plan never run together.
#[test]
fn plans_run_side_by_side_and_writes_of_one_plan_do_not() {
    let sandbox = project();
    let (there, back) = (pipe(&sandbox, "there"), pipe(&sandbox, "back"));
    let lines = format!(
        "exec --plan a -- sh -c 'echo x > {there}; cat {back}'\n\
         exec --plan b -- sh -c 'x=$(cat {there}); echo $x > {back}'\n\
         exec --plan c -- sh -c 'mkdir one'\n\
         exec --plan c -- sh -c 'mkdir one/two'\n\
         exec --plan c -- sh -c 'rmdir one/two'\n\
         exec --plan c -- sh -c 'rmdir one'\n"
    );
    let (results, verdict) = objects(&batch(&sandbox, &lines).ok());
    assert_eq!(verdict["counts"]["done"], 6);
    let of_c: Vec<u64> = results
        .iter()
        .map(|one| one["line"].as_u64().unwrap())
        .filter(|number| *number >= 3)
        .collect();
    assert_eq!(of_c, [3, 4, 5, 6]);
}

/// Somebody else holds plan a: its lines wait, those of the other plans do not.
#[test]
fn a_plan_that_waits_holds_up_nobody_else() {
    let sandbox = project();
    let holder = sandbox
        .plandex(["exec", "--plan", "a", "--", "cat"])
        .held_stdin()
        .start();
    sandbox.until_queue("plan a is held", |line| !line.is_empty());
    let lines = "exec --plan a -- echo first\nexec --plan a -- echo second\n\
                 exec --plan b -- echo b\nexec --plan c -- echo c\n";
    let batch = sandbox
        .plandex(["batch", "-", "--json", "--wait", "forever"])
        .stdin(lines)
        .start();
    batch.until_says("\"c\\n\"");
    batch.until_says("\"b\\n\"");
    // At most one group of tickets of a plan stands in the line.
    let line_of_a = sandbox.until_queue("the batch waits", |line| line.len() == 2);
    assert_eq!(line_of_a.len(), 2);
    assert!(!batch.stdout().contains("first"));
    holder.finish().ok();
    let (results, _) = objects(&batch.finish().ok());
    assert_eq!(line(&results, 2)["stdout"], "second\n");
}

#[test]
fn a_new_plan_a_chosen_plan_and_a_branch_are_seen_by_the_lines_after_them() {
    let sandbox = project();
    let lines = "exec -- echo 1\nnew -n d\ncurrent\nload -n 'of d'\ncheckout -b side\ncurrent\n\
                 load -n side\ncd a\nls\nls --plan d --branch side\n";
    let (results, _) = objects(&batch(&sandbox, lines).ok());
    assert_eq!(line(&results, 3)["documents"][0]["plan"]["name"], "d");
    assert_eq!(line(&results, 6)["documents"][0]["plan"]["branch"], "side");
    let names = |number: usize| {
        let shown = &line(&results, number)["documents"][0];
        shown["contexts"]
            .as_array()
            .or_else(|| shown["context"].as_array())
            .map(Vec::len)
    };
    assert_eq!((names(9), names(10)), (Some(0), Some(2)));
    assert_eq!(statuses(&results).len(), 10);
}

/// What a line prints is never torn by what another prints.
#[test]
fn the_output_of_a_line_is_printed_whole() {
    let sandbox = project();
    let mut lines = String::new();
    for number in 0..30 {
        let plan = ["a", "b", "c"][number % 3];
        writeln!(
            lines,
            "exec --plan {plan} -- sh -c 'for i in 1 2 3 4 5; do echo {number}.$i; echo e{number}.$i >&2; done'"
        )
        .unwrap();
    }
    let outcome = sandbox.plandex(["batch", "-"]).stdin(&lines).finish().ok();
    let expected = |prefix: &str, text: &str| {
        let found: Vec<&str> = text
            .lines()
            .filter(|line| line.contains('.') && !line.contains(' '))
            .collect();
        assert_eq!(found.len(), 150, "{outcome}");
        for block in found.chunks(5) {
            let (number, _) = block[0].split_once('.').unwrap();
            let whole: Vec<String> = (1..=5).map(|i| format!("{number}.{i}")).collect();
            assert_eq!(block, whole);
            assert!(number.starts_with(prefix));
        }
    };
    expected("", &outcome.stdout);
    expected("e", &outcome.stderr);
}
