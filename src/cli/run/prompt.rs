//! The prompt: where it comes from, and what a model would be told with it.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::super::exit::ExitCode;
use super::super::frame;
use super::super::report::UsageError;
use super::super::session::{Cli, SCHEMA_VERSION, own_file};
use super::editor::{self, Written};
use crate::model::{self, Chosen, Provider};
use crate::plan::ask::{self, Fit, Question, Talk};
use crate::plan::{Prompt, Task, TellError};
use crate::project::{Project, Selected};

/// The next command after a reply that cannot be read.
const GIVE_REPLY: &str =
    "`plandex tell \"what to do\" --reply FILE`, or pipe it in with `--reply -`";
/// The longest prompt, in bytes.
const PROMPT_MAX: u64 = 64 << 20;

/// Where a prompt may come from.
pub(super) struct Sources<'a> {
    pub(super) prompt: &'a Option<String>,
    pub(super) file: &'a Option<PathBuf>,
    pub(super) reply: &'a Option<PathBuf>,
}

/// What the first line of the stream says.
pub(super) fn about(selected: &Selected, chosen: Option<&Chosen>) -> frame::About {
    let model = chosen.and_then(|chosen| match &chosen.provider {
        Provider::Endpoint(endpoint) => Some(endpoint.model.clone()),
        Provider::Literal
        | Provider::ReplyFile(_)
        | Provider::ReplyInput
        | Provider::Command(_) => None,
    });
    frame::About {
        plan: Some(selected.plan.name.clone()),
        plan_id: Some(selected.plan.id.clone()),
        branch: Some(selected.branch.name.clone()),
        provider: chosen.map(|chosen| chosen.provider.word().to_owned()),
        model,
        provider_source: chosen.map(|chosen| chosen.source.clone()),
        root: None,
    }
}

/// The prompt: the argument, a file, what is piped in, or what is written in an editor (then with
/// what it was written in).
pub(super) fn prompt(
    cli: &Cli,
    project: &Project,
    sources: &Sources<'_>,
) -> Result<(Prompt, Option<Written>)> {
    let reply_from_stdin = sources.reply.as_deref() == Some(Path::new("-"));
    let given = match (sources.prompt, sources.file) {
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
    let text = match given {
        Some(text) => text,
        None if reply_from_stdin => {
            return Err(UsageError::new(
                "the prompt and the reply cannot both come from standard input",
                "give the prompt as an argument or with `-f FILE`",
            )
            .into());
        }
        None if may_edit(cli, sources) => {
            let written = editor::write(cli, project)?;
            let prompt = Prompt::new(written.text.clone())?;
            return Ok((prompt, Some(written)));
        }
        None if std::io::stdin().is_terminal() => String::new(),
        None => read_prompt(std::io::stdin().lock(), "standard input")?,
    };
    Ok((Prompt::new(text)?, None))
}

/// Whether there is somebody who can write a prompt, and it is not said to be piped in ("-").
fn may_edit(cli: &Cli, sources: &Sources<'_>) -> bool {
    let is_alone = cli.detached().is_none() && !cli.is_line();
    sources.prompt.is_none() && is_alone && cli.ui.can_ask()
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

/// The provider that takes a reply which somebody gives.
pub(super) fn given_reply(cli: &Cli, project: &Project, reply: &Path) -> Result<Provider> {
    if reply == Path::new("-") {
        return Ok(Provider::ReplyInput);
    }
    let path = cli.cwd.join(reply);
    // Looked at before anybody waits: a typo should not cost a place in the queue.
    let problem = match std::fs::metadata(&path) {
        Ok(meta) if project.store.is_own_file(&meta) => {
            return Err(own_file(&path.display().to_string()));
        }
        Ok(meta) if meta.is_dir() => Some("it is a directory".to_owned()),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
    };
    match problem {
        None => Ok(Provider::ReplyFile(path)),
        Some(problem) => {
            let words = format!("cannot read the reply {}: {problem}", path.display());
            Err(UsageError::new(words, GIVE_REPLY).into())
        }
    }
}

/// Prints what `chosen` would be told, and does nothing.
pub(super) fn print(
    cli: &Cli,
    project: &Project,
    selected: &Selected,
    task: &Task,
    chosen: &Chosen,
) -> Result<ExitCode> {
    let (plan, branch) = (&selected.plan.id, &selected.branch.id);
    // Nothing is repaired by who only looks, but a dead run's reply would be sent.
    let talk = match project.needs_repair(plan)? {
        true => Talk::of_dead(project, plan, branch)?,
        false => Talk::of(project, plan, branch)?,
    };
    let question = match task {
        Task::Tell(prompt) => Question::Tell(prompt.text().to_owned()),
        Task::Chat(prompt) => Question::Chat(prompt.text().to_owned()),
        Task::Continue if talk.last_reply().is_none() => {
            return Err(TellError::NothingToContinue.into());
        }
        Task::Continue => Question::Continue,
    };
    let fit = talk.fit(&question, chosen)?;
    let lines = talk.lines(&question, &fit);
    let to_condense = match fit {
        Fit::Condensed(up_to) => Some(up_to),
        Fit::Whole | Fit::Summary => None,
    };
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION,
            "messages": ask::request(lines).messages,
            "wouldSummarizeUpTo": to_condense,
        }));
    } else {
        cli.ui.line(model::render(&ask::request(lines).messages));
    }
    if let Some(up_to) = to_condense {
        cli.ui.note(format!(
            "This is more than the model takes: a summary of messages 1 to {up_to} would be made \
             first and sent in their place"
        ));
    }
    Ok(ExitCode::Done)
}
