//! `tell`: from a prompt to pending changes.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::super::args;
use super::super::exit::ExitCode;
use super::super::frame;
use super::super::operate::{Job, operate};
use super::super::report::{self, UsageError};
use super::super::session::{Cli, SCHEMA_VERSION, own_file};
use super::background::{self, Input};
use super::show::{RunView, conclude};
use crate::lock::operation;
use crate::model::{Chosen, Provider};
use crate::plan::{self, Answer, Prompt, Tell, ask, briefing};
use crate::project::{Project, Selected};

/// The next command after a reply that cannot be read.
const GIVE_REPLY: &str =
    "`plandex tell \"what to do\" --reply FILE`, or pipe it in with `--reply -`";
/// The longest prompt, in bytes.
const PROMPT_MAX: u64 = 64 << 20;

/// `plandex tell`
pub(in super::super) fn tell(cli: &Cli, args: &args::Tell) -> Result<ExitCode> {
    let is_piped_reply = args.reply.as_deref() == Some(Path::new("-"));
    if args.background.is_wanted(cli) && !args.print_prompt {
        return background::start(cli, Input::of_reply(is_piped_reply));
    }
    let (project, selected) = cli.open_selected()?;
    let prompt = Prompt::new(prompt_text(cli, &project, args)?)?;
    if args.print_prompt {
        return print_prompt(cli, &project, &selected, &prompt);
    }
    if let (true, Some(detached)) = (is_piped_reply, cli.detached()) {
        detached.keep_input();
    }
    let provider = match &args.reply {
        None => Provider::Literal,
        Some(path) if path == Path::new("-") => Provider::ReplyInput,
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
            Provider::ReplyFile(path)
        }
    };
    let chosen = Chosen::from(provider);
    cli.stream_about(about(&selected, &chosen));
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
    let (mut view, mut code) = (RunView::new(cli, args.stream), None);
    let told = operate(
        cli,
        &job,
        move |permit, turn, events| plan::tell(turn, permit, &tell, events),
        |recorded| {
            view.show(&recorded);
            code = report::run_ended(&recorded.event).or(code);
        },
    )
    .inspect_err(|error| background::failed(cli, &project, &selected.branch.id, error))?;
    conclude(cli, &told);
    code.context("the run has no last event")
}

/// What the first line of the stream says.
fn about(selected: &Selected, chosen: &Chosen) -> frame::About {
    let model = match &chosen.provider {
        Provider::Endpoint(endpoint) => Some(endpoint.model.clone()),
        Provider::Literal
        | Provider::ReplyFile(_)
        | Provider::ReplyInput
        | Provider::Command(_) => None,
    };
    frame::About {
        plan: Some(selected.plan.name.clone()),
        plan_id: Some(selected.plan.id.clone()),
        branch: Some(selected.branch.name.clone()),
        provider: Some(chosen.provider.word().to_owned()),
        model,
        provider_source: Some(chosen.source.clone()),
        root: None,
    }
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
        cli.ui.line(briefing::render(&lines));
    }
    Ok(ExitCode::Done)
}
