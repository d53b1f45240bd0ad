//! `tell`, `chat`, `continue`: from a prompt to pending changes, or to an answer.

use std::sync::Arc;

use anyhow::Result;

use super::super::context::{self, AutoUpdate, Renew};
use super::super::exit::ExitCode;
use super::super::operate::{Job, operate};
use super::super::report;
use super::super::session::Cli;
use super::args;
use super::background::{self, Input};
use super::ending;
use super::prompt::{self, Sources};
use super::show::RunView;
use crate::context::{Compared, Refreshing, Source, refresh_branch};
use crate::lock::operation::{self, Operation};
use crate::model::{Chosen, Provider};
use crate::plan::{self, Answer, Building, Prompt, Recorded, Task, Tell, TellError};
use crate::project::{Project, Selected};
use crate::store::messages;
use crate::store::tickets::WritePermit;

/// `plandex tell`
pub(in super::super) fn tell(cli: &Cli, args: &args::Tell) -> Result<ExitCode> {
    let sources = Sources {
        prompt: &args.prompt,
        file: &args.file,
        reply: &args.asking.reply,
    };
    let kind = (Task::Tell as fn(Prompt) -> Task, operation::TELL);
    prompted(cli, &sources, kind, &args.asking, Some(&args.edits))
}

/// `plandex chat`
pub(in super::super) fn chat(cli: &Cli, args: &args::Chat) -> Result<ExitCode> {
    let sources = Sources {
        prompt: &args.prompt,
        file: &args.file,
        reply: &args.asking.reply,
    };
    let kind = (Task::Chat as fn(Prompt) -> Task, operation::CHAT);
    prompted(cli, &sources, kind, &args.asking, None)
}

/// A run that begins with what a person says.
fn prompted(
    cli: &Cli,
    sources: &Sources<'_>,
    (task, operation): (fn(Prompt) -> Task, Operation<WritePermit>),
    asking: &args::Asking,
    edits: Option<&args::Edits>,
) -> Result<ExitCode> {
    if asking.goes_on(cli) {
        return background::start(cli, asking.input());
    }
    let (project, selected) = cli.open_selected()?;
    let task = task(prompt::prompt(cli, &project, sources)?);
    let run = Run {
        project,
        selected,
        task,
        operation,
    };
    run.run(cli, asking, edits)
}

/// `plandex continue`
pub(in super::super) fn continue_(cli: &Cli, args: &args::Continue) -> Result<ExitCode> {
    if args.asking.goes_on(cli) {
        return background::start(cli, args.asking.input());
    }
    let (project, selected) = cli.open_selected()?;
    let said = project
        .store
        .read(|tx| messages::last(tx, &selected.branch.id))?;
    if said.is_none() {
        return Err(TellError::NothingToContinue.into());
    }
    let run = Run {
        project,
        selected,
        task: Task::Continue,
        operation: operation::CONTINUE,
    };
    run.run(cli, &args.asking, Some(&args.edits))
}

/// What this terminal hears of a run.
enum Heard {
    /// What was loaded again before it.
    Context(Compared),
    Run(Recorded),
}

/// What the flag and the settings say about outdated context.
fn auto_update(cli: &Cli, project: &Project, flag: Option<bool>) -> Result<AutoUpdate> {
    let settings = cli.settings(project)?;
    Ok(match flag {
        Some(true) => AutoUpdate::Yes,
        Some(false) => AutoUpdate::No,
        None if settings.auto_update_context => AutoUpdate::Yes,
        None if cli.is_set(project, "auto-update-context")? => AutoUpdate::No,
        None => AutoUpdate::Unsaid,
    })
}

/// A run as it is typed.
struct Run {
    project: Arc<Project>,
    selected: Selected,
    task: Task,
    operation: Operation<WritePermit>,
}

impl Run {
    fn run(
        self,
        cli: &Cli,
        asking: &args::Asking,
        edits: Option<&args::Edits>,
    ) -> Result<ExitCode> {
        let chosen = match &asking.reply {
            Some(reply) => prompt::given_reply(cli, &self.project, reply)?.into(),
            // What would be sent can be shown without anybody to send it to.
            None if asking.print_prompt => {
                let chosen = asking.choice.choose(cli, &self.project);
                chosen.unwrap_or_else(|_| Provider::Literal.into())
            }
            None => asked(cli, asking.choice.choose(cli, &self.project)?),
        };
        if asking.print_prompt {
            return prompt::print(cli, &self.project, &self.selected, &self.task, &chosen);
        }
        if let (Input::Reply, Some(detached)) = (asking.input(), cli.detached()) {
            detached.keep_input();
        }
        cli.stream_about(prompt::about(&self.selected, Some(&chosen)));
        let is_shown = matches!(
            chosen.provider,
            Provider::Endpoint(_) | Provider::Command(_)
        );
        let renew = match is_shown {
            true => {
                let auto = auto_update(cli, &self.project, asking.auto_update_context)?;
                context::renew(cli, &self.project, &self.selected, auto)?
            }
            false => Some(Renew::Not),
        };
        let Some(renew) = renew else {
            return Ok(ExitCode::Declined);
        };
        let answer = Answer::new(chosen, &self.task)?;
        let tries = edits.and_then(|edits| edits.fix_tries);
        let tell = Tell {
            branch: self.selected.branch.name.clone(),
            building: match edits {
                Some(edits) if !edits.no_build => Building::AtOnce,
                _ => Building::Later,
            },
            fix_tries: tries.unwrap_or_else(|| answer.fix_tries()),
            task: self.task,
            answer,
        };
        let job = Job {
            project: &self.project,
            plan_id: &self.selected.plan.id,
            branch: None,
            operation: self.operation,
        };
        let (mut view, mut code) = (RunView::new(cli, asking.stream), None);
        let (root, cwd) = (self.project.root.clone(), cli.cwd.clone());
        let max_file_bytes = cli.settings(&self.project)?.max_file_size;
        let told = operate(
            cli,
            &job,
            move |permit, turn, events: &mut dyn FnMut(Heard)| {
                if renew == Renew::First {
                    let source = Source {
                        root: &root,
                        cwd: &cwd,
                        cancel: &turn.cancel,
                    };
                    let refreshing = Refreshing {
                        max_file_bytes,
                        pages: &[],
                        only: None,
                    };
                    let branch = &tell.branch;
                    let compared = refresh_branch(turn, permit, branch, &source, &refreshing)
                        .map_err(|error| context::called_off(error, &turn.cancel))?;
                    events(Heard::Context(compared));
                }
                plan::tell(turn, permit, &tell, &mut |recorded| {
                    events(Heard::Run(recorded));
                })
            },
            |heard| match heard {
                Heard::Context(compared) => {
                    context::renewed(cli, &self.project, &self.selected, &compared);
                }
                Heard::Run(recorded) => {
                    view.show(&recorded);
                    code = report::run_ended(&recorded.event).or(code);
                }
            },
        )
        .inspect_err(|error| {
            background::failed(cli, &self.project, &self.selected.branch.id, error);
        });
        drop(view);
        ending::conclude(cli, told?, code)
    }
}

/// Says whom it asks, and what decided that, if it is anybody.
pub(super) fn asked(cli: &Cli, chosen: Chosen) -> Chosen {
    if matches!(
        chosen.provider,
        Provider::Endpoint(_) | Provider::Command(_)
    ) {
        cli.ui.note(chosen.describe());
    }
    chosen
}
