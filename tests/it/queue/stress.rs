//! SEED.md 7.1.3: very many operations on one plan at once. Each is done or refused, none is lost.

use std::sync::Arc;
use std::time::Duration;

use plandex::model::Provider;
use plandex::plan::{self, Answer, Building, Prompt, Task, Tell};
use plandex::project::Project;
use plandex::workers;

use crate::support::{Background, Sandbox};

use super::workers::{open, writing};
use super::{audited, convo, edit, is_free, versions};

/// For a machine that does many other things at the same time.
const LIMIT: Duration = Duration::from_secs(240);

/// In memory: what is tested is turns, and a thousand of them wait for the disk for a minute.
fn project() -> Sandbox {
    let sandbox = Sandbox::in_memory(LIMIT);
    sandbox.ok(&["new", "--name", "work"]);
    sandbox
}

/// `done` tells succeeded: that many prompts with their replies are in the conversation, that many
/// versions tell of one, and each had a turn of its own, in order.
fn nothing_is_lost(sandbox: &Sandbox, mut done: Vec<String>) {
    let said = convo(sandbox);
    assert!(said.iter().all(|(_, state, _)| state == "complete"));
    let roles: Vec<&str> = said.iter().map(|(role, _, _)| role.as_str()).collect();
    assert_eq!(roles, ["user", "assistant"].repeat(done.len()));
    let mut prompts: Vec<String> = said
        .into_iter()
        .step_by(2)
        .map(|(_, _, text)| text)
        .collect();
    let versions = versions(sandbox);
    let told: Vec<&String> = versions
        .iter()
        .filter(|version| version.starts_with("Tell #"))
        .collect();
    assert_eq!(versions.len(), told.len() + 1, "a version that nobody made");
    assert_eq!(told.len(), done.len());
    for (index, (version, prompt)) in told.iter().zip(&prompts).enumerate() {
        let first = prompt.lines().next().unwrap();
        assert_eq!(**version, format!("Tell #{}: {first}", 2 * index + 1));
    }
    prompts.sort();
    done.sort();
    assert_eq!(prompts, done);
    let audit = audited(sandbox);
    let tells = audit
        .iter()
        .filter(|entry| entry.reason == "tell execution");
    let held: Vec<_> = tells.filter(|entry| entry.granted_at.is_some()).collect();
    assert_eq!(held.len(), done.len());
    // The audit's number is the fence: in its order, each began after the one before had ended.
    assert!(held.is_sorted_by(|one, next| one.id < next.id && one.ticket < next.ticket));
    assert!(
        held.iter()
            .all(|entry| entry.outcome.as_deref() == Some("released"))
    );
    assert!(held.is_sorted_by(|one, next| one.ended_at <= next.granted_at));
    is_free(sandbox);
    let store = sandbox.store();
    let problems = store.integrity(plandex::store::Integrity::Full).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
}

fn tell_once(project: &Arc<Project>, plan: &str, text: &str) -> anyhow::Result<()> {
    let task = Task::Tell(Prompt::new(text.to_owned())?);
    let answer = Answer::new(Provider::Literal.into(), &task)?;
    let tell = Tell {
        branch: "main".to_owned(),
        task,
        answer,
        building: Building::AtOnce,
        fix_tries: 0,
    };
    let told = workers::exec_repo_operation(project, writing(plan), move |permit, turn| {
        plan::tell(turn, permit, &tell, &mut |_| {})
    })?;
    anyhow::ensure!(told.is_whole(), "{:?}", told.failed);
    Ok(())
}

/// The `turn`-th message of a thread or process; all of them together change seven files.
fn message(who: usize, turn: usize) -> String {
    edit(&format!("{}.txt", who % 7), &format!("{who}.{turn}"))
}

#[test]
fn a_hundred_threads_tell_ten_times_each() {
    let sandbox = project();
    let project = open(&sandbox);
    let plan = project.selected().unwrap().plan.id;
    let mut done = Vec::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..100)
            .map(|thread| {
                let (project, plan) = (&project, &plan);
                scope.spawn(move || {
                    let turns = (0..10).map(|turn| message(thread, turn));
                    turns
                        .inspect(|text| tell_once(project, plan, text).unwrap())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        for thread in threads {
            done.extend(thread.join().unwrap());
        }
    });
    drop(project);
    assert_eq!(done.len(), 1000);
    nothing_is_lost(&sandbox, done);
}

#[test]
fn thirty_two_processes_tell_ten_times_each() {
    let sandbox = project();
    let processes: Vec<Background<'_>> =
        (0..32).map(|number| ten_tells(&sandbox, number)).collect();
    let mut done = Vec::new();
    for (number, mut process) in processes.into_iter().enumerate() {
        let outcome = process.wait(LIMIT).ok();
        let codes: Vec<&str> = outcome.stdout.lines().collect();
        assert_eq!(codes.len(), 10, "{outcome}");
        for (turn, code) in codes.iter().enumerate() {
            assert!(["0", "75"].contains(code), "{outcome}");
            if *code == "0" {
                done.push(message(number, turn));
            }
        }
    }
    // They wait for as long as it takes, and the line has room for all of them.
    assert_eq!(done.len(), 320);
    nothing_is_lost(&sandbox, done);
}

/// One process that tells ten times, one after the other, and prints each exit code.
fn ten_tells(sandbox: &Sandbox, number: usize) -> Background<'_> {
    let messages = (0..10).map(|turn| {
        let name = format!("{number}.{turn}.md");
        sandbox.write_beside(&name, &message(number, turn))
    });
    let script = "for message; do \
         \"$PLANDEX\" --quiet tell --wait forever -f \"$message\" >&2; echo $?; done";
    sandbox
        .program("sh", ["-c", script, "sh"])
        .args(messages)
        .env("PLANDEX", env!("CARGO_BIN_EXE_plandex"))
        .start()
}
