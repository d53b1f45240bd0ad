//! What is done with files that changed: told by a flag, or asked one by one.

use std::process::Command;

use super::args::{Apply, Conflict};
use crate::apply::{Answer, Class, Classified, OnConflict, OnFailure, Options};
use crate::cli::session::Cli;
use crate::ui::{Choice, Chosen};

/// SEED.md 4.2.2, and the one that is offered where it can be done.
const CHOICES: [Choice<'_>; 4] = [
    Choice {
        letter: 'o',
        title: "Overwrite with planned changes",
    },
    Choice {
        letter: 's',
        title: "Skip this file",
    },
    Choice {
        letter: 'a',
        title: "Abort apply operation",
    },
    Choice {
        letter: 'm',
        title: "Merge with planned changes",
    },
];
const MERGE: usize = 3;

/// Whether a person can decide about it.
pub(super) fn is_conflict(one: &Classified) -> bool {
    matches!(one.class, Class::Drifted | Class::Missing | Class::Exists)
}

/// What to do with conflicts; `None` if somebody called it off.
pub(super) fn decide(cli: &Cli, args: &Apply, classified: &[Classified]) -> Option<Options> {
    let on_failure = match args.atomic {
        true => OnFailure::UndoAll,
        false => OnFailure::GoOn,
    };
    let on_conflict = match args.on_conflict {
        Some(Conflict::Abort) | None => OnConflict::Abort,
        Some(Conflict::Skip) => OnConflict::Skip,
        Some(Conflict::Overwrite) => OnConflict::Overwrite,
        Some(Conflict::Merge) => OnConflict::Merge,
    };
    let mut options = Options {
        on_failure,
        ..Options::all(on_conflict)
    };
    if args.on_conflict.is_some() {
        return Some(options);
    }
    let mut for_all = None;
    for one in classified.iter().filter(|one| is_conflict(one)) {
        let choice = match for_all {
            // A choice for all that remain is one for those that it fits.
            Some(choice) if choice != OnConflict::Merge || one.can_merge() => choice,
            _ => match ask(cli, one) {
                Chosen::This(index) => choice(index),
                Chosen::AllThatRemain(index) => *for_all.insert(choice(index)),
                Chosen::Nothing | Chosen::Cancelled => return None,
                // Nobody to ask: abort, which plan_writes reports with every path.
                Chosen::NotATerminal => return Some(options),
            },
        };
        let (path, disk_hash) = (one.change.path.clone(), one.disk_hash.clone());
        options.answers.push(Answer {
            path,
            disk_hash,
            choice,
        });
    }
    Some(options)
}

/// Whether somebody answered that nothing is to be written.
pub(super) fn is_called_off(options: &Options) -> bool {
    let mut answers = options.answers.iter();
    answers.any(|answer| answer.choice == OnConflict::Abort)
}

fn ask(cli: &Cli, one: &Classified) -> Chosen {
    let question = format!("Warning: {} {}.", one.change.path, one.class.words());
    let offered = match one.can_merge() {
        true => CHOICES.len(),
        false => MERGE,
    };
    cli.ui.choose(question, &CHOICES[..offered])
}

fn choice(index: usize) -> OnConflict {
    match index {
        0 => OnConflict::Overwrite,
        1 => OnConflict::Skip,
        MERGE => OnConflict::Merge,
        _ => OnConflict::Abort,
    }
}

/// Lets sudo ask for its password before the plan is held; what it thinks of it, it says again when
/// it is used.
pub(super) fn sudo(cli: &Cli) {
    if cli.ui.is_live() {
        cli.ui.leave_terminal();
        Command::new("sudo").arg("-v").status().ok();
    }
}
