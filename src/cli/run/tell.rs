//! `tell`, `chat`, `continue`: from a prompt to pending changes, or to an answer.

use std::sync::Arc;

use anyhow::Result;

use super::super::context::{self, Renewing};
use super::super::exit::ExitCode;
use super::super::operate::{Job, operate};
use super::super::report;
use super::super::session::Cli;
use super::after::{GOES_ON, Wishes};
use super::args;
use super::background::{self, Input};
use super::editor::Written;
use super::ending;
use super::prompt::{self, Sources};
use super::show::RunView;
use crate::context::Compared;
use crate::lock::operation::{self, Operation};
use crate::model::{Chosen, Provider};
use crate::plan::{self, Answer, Prompt, Recorded, Task, Tell, TellError, Told};
use crate::project::{Project, Selected};
use crate::store::tickets::WritePermit;
use crate::store::{messages, plans};

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
    let (prompt, written) = prompt::prompt(cli, &project, sources)?;
    let run = Run {
        project,
        selected,
        task: task(prompt),
        operation,
    };
    let ended = run.run(cli, asking, edits);
    // What somebody wrote by hand is not lost to a plan that was busy for too long.
    if ended.is_err()
        && let Some(path) = written.and_then(Written::keep)
    {
        let path = path.display();
        cli.ui.note(format!("What you wrote is kept in {path}"));
        cli.ui.hint(format!("ask it again with `-f {path}`"));
    }
    ended
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
        let wishes = Wishes::of(cli, &self.project, edits)?;
        cli.stream_about(prompt::about(&self.selected, Some(&chosen)));
        let (project, selected) = (&self.project, &self.selected);
        let flag = asking.auto_update_context;
        let Some(renewing) = Renewing::decide(cli, project, selected, &chosen, flag)? else {
            return Ok(ExitCode::Declined);
        };
        let answer = Answer::new(chosen.clone(), &self.task)?;
        let tries = edits.and_then(|edits| edits.fix_tries);
        let mut tell = Tell {
            branch: self.selected.branch.name.clone(),
            building: wishes.building,
            fix_tries: tries.unwrap_or_else(|| answer.fix_tries()),
            task: self.task.clone(),
            answer,
        };
        let nobody = || anyhow::anyhow!("the run was not begun");
        let mut ended = self
            .once(cli, asking, tell.clone(), (None, renewing))?
            .ok_or_else(nobody)?;
        say_named(cli, &self.project, &self.selected);
        let can_be_asked = matches!(
            chosen.provider,
            Provider::Endpoint(_) | Provider::Command(_)
        );
        for attempt in 1..=GOES_ON {
            if !can_be_asked || !wishes.goes_on(&ended.told) {
                break;
            }
            cli.ui.note(format!(
                "The reply was cut by its length: going on ({attempt}/{GOES_ON})"
            ));
            tell.task = Task::Continue;
            match self.once(cli, asking, tell.clone(), (Some(ended.last), Renewing::Not))? {
                Some(more) => ended = more,
                None => {
                    cli.ui
                        .note("Somebody else asked meanwhile: it is not gone on with");
                    break;
                }
            }
        }
        let report = ended.told.report.clone();
        let code = ending::conclude(cli, ended.told, ended.code)?;
        wishes.follow(cli, &self.selected, &report, code)
    }

    /// One run, in one turn. One that goes on with the message `after` is not begun if another has
    /// been said since.
    fn once(
        &self,
        cli: &Cli,
        asking: &args::Asking,
        tell: Tell,
        (after, renewing): (Option<i64>, Renewing),
    ) -> Result<Option<Ended>> {
        let job = Job {
            project: &self.project,
            plan_id: &self.selected.plan.id,
            branch: None,
            operation: after.map_or(self.operation, |_| operation::CONTINUE),
        };
        let branch_id = self.selected.branch.id.clone();
        let (mut view, mut code) = (RunView::new(cli, asking.stream), None);
        let told = operate(
            cli,
            &job,
            move |permit, turn, events: &mut dyn FnMut(Heard)| {
                let last = || {
                    let last = turn
                        .project
                        .store
                        .read(|tx| messages::last(tx, &branch_id))?;
                    anyhow::Ok(last.map_or(0, |message| message.number))
                };
                if after.is_some_and(|after| last().ok() != Some(after)) {
                    return Ok(None);
                }
                if let Some(compared) = renewing.refresh(turn, permit, &tell.branch)? {
                    events(Heard::Context(compared));
                }
                // A script that named the plan will name it so again.
                if let Task::Tell(prompt) | Task::Chat(prompt) = &tell.task
                    && turn.project.session().plan.is_none()
                {
                    turn.name_draft(permit, prompt.text())?;
                }
                let told = plan::tell(turn, permit, &tell, &mut |recorded| {
                    events(Heard::Run(recorded));
                })?;
                Ok(Some((told, last()?)))
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
        Ok(told?.map(|(told, last)| Ended { told, code, last }))
    }
}

/// A run that is over.
struct Ended {
    told: Told,
    code: Option<ExitCode>,
    /// The number of the last message.
    last: i64,
}

/// Says what the first prompt named the plan.
fn say_named(cli: &Cli, project: &Project, selected: &Selected) {
    let plan = project.store.read(|tx| plans::by_id(tx, &selected.plan.id));
    if let Ok(Some(plan)) = plan
        && selected.plan.is_draft
        && !plan.is_draft
    {
        cli.ui.note(format!("The plan is called {} now", plan.name));
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
