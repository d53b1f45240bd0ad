//! `tell`: from a prompt to pending changes.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use super::args;
use super::exit::ExitCode;
use super::operate::{Job, operate};
use super::report::{self, UsageError};
use super::session::{Cli, SCHEMA_VERSION, own_file};
use crate::lock::operation;
use crate::model::{self, Chosen, Provider};
use crate::plan::{self, Answer, BuiltFile, Event, FailedFile, Prompt, Tell, Told, ask, edits};
use crate::project::{Project, Selected};
use crate::store::messages;
use crate::ui::{Style, Text, render};

/// The next command after a reply that cannot be read.
const GIVE_REPLY: &str =
    "`plandex tell \"what to do\" --reply FILE`, or pipe it in with `--reply -`";
/// The longest prompt, in bytes.
const PROMPT_MAX: u64 = 64 << 20;

/// `plandex tell`
pub(super) fn tell(cli: &Cli, args: &args::Tell) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let prompt = Prompt::new(prompt_text(cli, &project, args)?)?;
    if args.print_prompt {
        return print_prompt(cli, &project, &selected, &prompt);
    }
    let chosen: Chosen = match &args.reply {
        None => args.choice.choose(cli, &project)?,
        Some(path) if path == Path::new("-") => Provider::ReplyInput.into(),
        Some(path) => {
            let path = cli.cwd.join(path);
            // Looked at before anybody waits: a typo should not cost a place in the queue.
            let problem = match std::fs::metadata(&path) {
                Ok(meta) if project.store.is_own_file(&meta) => {
                    return Err(own_file(&path.display().to_string()));
                }
                Ok(meta) if meta.is_dir() => Some("it is a directory".to_owned()),
                Ok(_) => None,
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = problem {
                let words = format!("cannot read the reply {}: {problem}", path.display());
                return Err(UsageError::new(words, GIVE_REPLY).into());
            }
            Provider::ReplyFile(path).into()
        }
    };
    if matches!(
        chosen.provider,
        Provider::Endpoint(_) | Provider::Command(_)
    ) {
        cli.ui.note(chosen.describe());
    }
    let answer = Answer::new(chosen, &prompt)?;
    let tell = Tell {
        branch: selected.branch.name.clone(),
        prompt,
        answer,
    };
    let job = Job {
        project: &project,
        plan_id: &selected.plan.id,
        branch: None,
        operation: operation::TELL,
    };
    let told = operate(
        cli,
        &job,
        move |permit, turn, events| plan::tell(turn, permit, &tell, events),
        |event| show(cli, event),
    )?;
    conclude(cli, &told);
    Ok(match told.stopped {
        Some(reason) => report::stopped(reason),
        None if told.state == messages::State::Truncated => ExitCode::CutOff,
        None if told.is_whole() => ExitCode::Done,
        None => ExitCode::EditsFailed,
    })
}

/// The prompt: the argument, a file, or what is piped in (added to the argument if there is one).
fn prompt_text(cli: &Cli, project: &Project, args: &args::Tell) -> Result<String> {
    let reply_from_stdin = args.reply.as_deref() == Some(Path::new("-"));
    let given = match (&args.prompt, &args.file) {
        (Some(text), _) if text == "-" => None,
        (Some(text), _) => Some(text.clone()),
        (None, Some(file)) => {
            let path = cli.cwd.join(file);
            let is_own = |meta: std::fs::Metadata| project.store.is_own_file(&meta);
            if std::fs::metadata(&path).is_ok_and(is_own) {
                return Err(own_file(&path.display().to_string()));
            }
            let file = std::fs::File::open(&path).map_err(|error| unreadable(&path, &error))?;
            Some(read_prompt(file, &path.display().to_string())?)
        }
        (None, None) => None,
    };
    match given {
        Some(text) => Ok(text),
        None if reply_from_stdin => Err(UsageError::new(
            "the prompt and the reply cannot both come from standard input",
            "give the prompt as an argument or with `-f FILE`",
        )
        .into()),
        None if std::io::stdin().is_terminal() => Ok(String::new()),
        None => read_prompt(std::io::stdin().lock(), "standard input"),
    }
}

/// Reads a prompt to its end; `name` is where it comes from.
fn read_prompt(source: impl std::io::Read, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    source
        .take(PROMPT_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(Path::new(name), &error))?;
    if bytes.len() as u64 > PROMPT_MAX {
        return Err(UsageError::new("the prompt is too long", "give at most 64 MiB").into());
    }
    String::from_utf8(bytes)
        .map_err(|_| UsageError::new(format!("{name} is not UTF-8"), "give UTF-8 text").into())
}

fn unreadable(path: &Path, error: &std::io::Error) -> UsageError {
    UsageError::new(
        format!("cannot read the prompt {}: {error}", path.display()),
        "`plandex tell \"what to do\"`, or `plandex tell -f FILE`",
    )
}

fn print_prompt(
    cli: &Cli,
    project: &Arc<Project>,
    selected: &Selected,
    prompt: &Prompt,
) -> Result<ExitCode> {
    let (plan, branch) = (&selected.plan.id, &selected.branch.id);
    let lines = ask::lines(project, plan, branch, prompt.text(), None)?;
    if cli.json {
        cli.ui
            .json(&serde_json::json!({"schemaVersion": SCHEMA_VERSION, "messages": lines}));
    } else {
        cli.ui.line(model::render(&ask::request(lines).messages));
    }
    Ok(ExitCode::Done)
}

/// One event for people, or as a line of JSON.
fn show(cli: &Cli, event: Event) {
    if cli.json {
        cli.ui.json(&cli.stamped(&EventDocument::from(event)));
        return;
    }
    let ui = &cli.ui;
    match event {
        Event::Started { .. } => {}
        Event::Prose(text) => ui.raw(text.as_bytes()),
        Event::FileStarted(path) => ui.note(format!("building {path}")),
        Event::Built(file) => ui.note(built_line(cli, &file)),
        Event::Failed(file) => {
            for failure in &file.failures {
                ui.warning(edits::describe(failure));
            }
        }
        Event::Malformed(found) => {
            let path = found.path.unwrap_or_default();
            ui.warning(format!(
                "reply line {}: {path} {}",
                found.line, found.message
            ));
        }
    }
}

fn built_line(cli: &Cli, file: &BuiltFile) -> Text {
    let signs = cli.ui.signs();
    let (added, removed) = (file.added as u64, file.removed as u64);
    let mut line = Text::styled(Style::Green, signs.ok)
        .plain(format!(" {} ", file.path))
        .join(render::stats(added, removed, signs));
    if file.op == "unchanged" {
        return Text::styled(Style::Dim, signs.skipped)
            .plain(format!(" {} has that content already", file.path));
    }
    if file.tier != edits::Tier::Exact {
        line = line.then(Style::Yellow, format!("  matched {}", file.tier));
    }
    for warning in &file.warnings {
        line = line.then(Style::Yellow, format!("  {warning}"));
    }
    if file.auto_run {
        line = line.then(
            Style::Yellow,
            "  tools run this file by themselves: read it first",
        );
    }
    line
}

fn conclude(cli: &Cli, told: &Told) {
    if cli.json {
        cli.ui.json(&cli.stamped(&Completed::new(told)));
        return;
    }
    let ui = &cli.ui;
    if told.state == messages::State::Stopped {
        ui.note("Stopped: what came of the reply is kept, see `plandex convo`");
    } else if told.state == messages::State::Truncated {
        ui.warning("the reply was cut off or filtered; what came of it is kept");
    }
    let (built, failed) = (told.built.len(), told.failed.len() + told.malformed.len());
    let files = |count: usize| render::counted(count as u64, "file");
    match (built, failed) {
        (0, 0) => ui.note("No changes"),
        (0, failed) => ui.note(format!("No file was built, {failed} failed")),
        (built, 0) => ui.note(format!("{} pending", files(built))),
        (built, failed) => ui.note(format!("{} pending, {failed} failed", files(built))),
    }
    if built > 0 {
        ui.hint("look with `plandex diff`, write them with `plandex apply`");
    } else if failed > 0 {
        ui.hint("mend the edits and `plandex tell` again; nothing else was changed");
    }
}

/// An event as MODEL.md 7 names it.
#[derive(Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
enum EventDocument {
    #[serde(rename = "turn.started")]
    Started { waited_ms: u64 },
    #[serde(rename = "message.delta")]
    Prose { text: String },
    #[serde(rename = "file.started")]
    FileStarted { path: String },
    #[serde(rename = "file.completed")]
    File {
        status: &'static str,
        built: Option<BuiltFile>,
        failed: Option<FailedFile>,
    },
    #[serde(rename = "warning")]
    Warning {
        code: &'static str,
        message: String,
        line: usize,
        path: Option<String>,
    },
}

impl From<Event> for EventDocument {
    fn from(event: Event) -> Self {
        match event {
            Event::Started { waited_ms } => Self::Started {
                waited_ms: u64::try_from(waited_ms).unwrap_or(u64::MAX),
            },
            Event::Prose(text) => Self::Prose { text },
            Event::FileStarted(path) => Self::FileStarted { path },
            Event::Built(file) => Self::File {
                status: if file.op == "unchanged" {
                    "unchanged"
                } else {
                    "built"
                },
                built: Some(file),
                failed: None,
            },
            Event::Failed(file) => Self::File {
                status: "failed",
                built: None,
                failed: Some(file),
            },
            Event::Malformed(found) => Self::Warning {
                code: "malformed",
                message: found.message,
                line: found.line,
                path: found.path,
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Completed {
    r#type: &'static str,
    schema_version: u32,
    number: i64,
    state: &'static str,
    built: usize,
    failed: usize,
    malformed: usize,
}

impl Completed {
    fn new(told: &Told) -> Self {
        Self {
            r#type: "turn.completed",
            schema_version: SCHEMA_VERSION,
            number: told.number,
            state: told.state.word(),
            built: told.built.len(),
            failed: told.failed.len(),
            malformed: told.malformed.len(),
        }
    }
}
