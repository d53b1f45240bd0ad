//! `plandex completions`: what a shell reads to complete commands, and the answers that it asks
//! for then.
//!
//! The hard rule: a completion takes no lock, waits for nobody and complains of nothing. The
//! shells' scripts hold no names: they ask the hidden `plandex complete` for every word, so that
//! plans, branches and settings are those of the moment.

mod names;
mod typed;

use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use clap::{Args, Command, ValueEnum, ValueHint};
use clap_complete::engine::{self, ArgValueCompleter, CompletionCandidate};

use super::args::{Global, When};
use super::exit::ExitCode;
use super::overview;
use super::session::{Cli, SCHEMA_VERSION};
use names::{KINDS, Kind};
use typed::Typed;

/// A shell that words are completed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    /// bash 4.4 or newer.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

impl Shell {
    fn script(self) -> &'static str {
        match self {
            Self::Bash => include_str!("plandex.bash"),
            Self::Zsh => include_str!("plandex.zsh"),
            Self::Fish => include_str!("plandex.fish"),
        }
    }
}

/// `plandex completions`
#[derive(Debug, Args)]
#[command(after_help = "\
The script asks plandex itself for each word, so it knows the plans, branches, entries, pending files \
and settings of the moment, and need not be made again for a new version. The Debian package brings it.

Examples:
  source <(plandex completions bash)          in ~/.bashrc
  source <(plandex completions zsh)           in ~/.zshrc, after compinit
  plandex completions fish | source           in ~/.config/fish/config.fish

Takes no lock, and waits for nobody; nor does completing a word.")]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

/// `plandex complete`
#[derive(Debug, Args)]
pub(super) struct Complete {
    /// The shell that asks.
    shell: Shell,
    /// The words up to the cursor; of bash the line up to there, and what of it is replaced.
    #[arg(last = true, required = true)]
    typed: Vec<OsString>,
}

/// `plandex completions SHELL`
pub(super) fn completions(cli: &Cli, args: &Completions) -> Result<ExitCode> {
    let script = args.shell.script();
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "script": script,
        }));
    } else {
        cli.ui.pass_on(script.as_bytes(), &[]);
    }
    Ok(ExitCode::Done)
}

/// `plandex complete SHELL -- WORDS`: a line with the kind of the answers, then a line for each,
/// with a tab before what is said about it.
pub(super) fn complete(cli: &Cli, args: &Complete) -> Result<ExitCode> {
    let words: Vec<String> = args
        .typed
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let typed = match (args.shell, words.as_slice()) {
        (Shell::Bash, [line, replaced]) => Typed::line(line, replaced),
        _ => Typed::words(words),
    };
    let (answer, candidates) = look(&typed)?;
    let mut text = format!("{}\n", answer.word());
    for (value, about) in candidates {
        let Some(value) = typed.place.put(&value) else {
            continue;
        };
        // No shell can be told of a name with a line break in it.
        if value.chars().any(char::is_control) {
            continue;
        }
        text.push_str(&value);
        text.push('\t');
        text.extend(about.chars().filter(|c| !c.is_control()));
        text.push('\n');
    }
    cli.ui.pass_on(text.as_bytes(), &[]);
    Ok(ExitCode::Done)
}

/// Who has the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// They are here.
    Words,
    /// The shell, which knows the files.
    Files,
    /// The shell, which knows programs and how to complete their arguments.
    Commands,
}

impl Answer {
    fn word(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Files => "files",
            Self::Commands => "commands",
        }
    }
}

/// What the completers are made of.
struct Looking {
    cli: Cli,
    words: Vec<String>,
    wants_files: AtomicBool,
    wants_commands: AtomicBool,
}

impl Looking {
    /// What completes `current`, a word of this kind.
    fn candidates(&self, kind: Kind, current: &OsStr) -> Vec<CompletionCandidate> {
        let current = current.to_string_lossy();
        if current.starts_with('-') {
            return Vec::new();
        }
        if kind == Kind::File {
            self.wants_files.store(true, Ordering::Relaxed);
        }
        if kind == Kind::Program {
            self.wants_commands.store(true, Ordering::Relaxed);
        }
        // The command itself says what is wrong, once it is run.
        let names = names::of(kind, &self.cli, &self.words).unwrap_or_default();
        names
            .into_iter()
            .filter(|(name, _)| name.starts_with(&*current))
            .map(|(name, about)| CompletionCandidate::new(name).help(about.map(Into::into)))
            .collect()
    }
}

fn look(typed: &Typed) -> Result<(Answer, Vec<(String, String)>)> {
    let global = Global {
        plan: typed.option("--plan"),
        branch: typed.option("--branch"),
        wait: None,
        no_wait: true,
        json: false,
        quiet: true,
        verbose: 0,
        color: When::Never,
    };
    let looking = Arc::new(Looking {
        cli: Cli::new(&global)?,
        words: typed.words.clone(),
        wants_files: AtomicBool::new(false),
        wants_commands: AtomicBool::new(false),
    });
    let mut command = with_completers(overview::command(), &looking);
    let words: Vec<OsString> = typed.words.iter().map(OsString::from).collect();
    let last = words.len().saturating_sub(1);
    let found = engine::complete(&mut command, words, last, None).unwrap_or_default();
    // Flags are for those who ask for them.
    let wants_flags = typed.last().starts_with('-');
    let plain: Vec<(String, String)> = found
        .iter()
        .map(|one| {
            let help = one.get_help().map(ToString::to_string).unwrap_or_default();
            let about = help.lines().next().unwrap_or_default().to_owned();
            (one.get_value().to_string_lossy().into_owned(), about)
        })
        .filter(|(value, _)| wants_flags || !value.starts_with('-'))
        .collect();
    let answer = match () {
        () if looking.wants_commands.load(Ordering::Relaxed) => Answer::Commands,
        () if looking.wants_files.load(Ordering::Relaxed) && plain.is_empty() => Answer::Files,
        () => Answer::Words,
    };
    Ok((answer, plain))
}

/// Gives every argument that names something what completes it.
fn with_completers(command: Command, looking: &Arc<Looking>) -> Command {
    let completer = |kind: Kind| {
        let looking = Arc::clone(looking);
        ArgValueCompleter::new(move |current: &OsStr| looking.candidates(kind, current))
    };
    let is_path = |arg: &clap::Arg| {
        let hint = arg.get_value_hint();
        [ValueHint::AnyPath, ValueHint::FilePath, ValueHint::DirPath].contains(&hint)
    };
    let command = command.mut_subcommands(|one| {
        let paths = one.get_arguments().filter(|arg| is_path(arg));
        let paths: Vec<clap::Id> = paths.map(|arg| arg.get_id().clone()).collect();
        paths.into_iter().fold(one, |one, id| {
            one.mut_arg(id, |arg| arg.add(completer(Kind::File)))
        })
    });
    KINDS.iter().fold(command, |command, (name, id, kind)| {
        let add = |one: Command| one.mut_arg(id, |arg| arg.add(completer(*kind)));
        match *name {
            "" => add(command),
            name => command.mut_subcommand(name, add),
        }
    })
}

#[cfg(test)]
mod tests;
