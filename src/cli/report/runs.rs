//! What the ends and errors of runs mean: the exit codes of MODEL.md 1.4 and DESIGN.md §11.

use super::super::exit::ExitCode;
use super::Verdict;
use crate::model::{Kind, ModelError};
use crate::plan::ask::{NoImages, TooLong};
use crate::plan::{Event, TellError};
use crate::platform::cancel::Reason;

pub(super) fn model(error: &ModelError) -> Verdict {
    let code = of_failure(error.kind.word());
    let next = if error.kind == Kind::Source {
        "look with `plandex convo`"
    } else if error.kind.is_passing() {
        "try again later, or ask another with `--fallback`"
    } else {
        "look with `plandex status`"
    };
    let hint = error.hint.as_deref().unwrap_or(next);
    Verdict::new(code, error.kind.word(), hint)
}

pub(super) fn tell(error: &TellError) -> Verdict {
    match error {
        TellError::EmptyPrompt => Verdict::new(
            ExitCode::Usage,
            "usage",
            "`plandex tell \"what to do\"`, `plandex tell -f FILE`, or pipe it in",
        ),
        TellError::NoModel => Verdict::new(
            ExitCode::NoModel,
            "no_model",
            "set a key (OPENROUTER_API_KEY, ANTHROPIC_API_KEY, OPENAI_API_KEY) and \
             PLANDEX_MODEL, or OPENAI_BASE_URL for a server of your own, or PLANDEX_COMMAND for a \
             program; or give a reply that you have with `--reply FILE`; or write the edits into \
             the message; `--print-prompt` prints what to ask",
        ),
        TellError::NeedsModel("summary") => Verdict::new(
            ExitCode::NoModel,
            "no_model",
            "set a key (OPENROUTER_API_KEY, ANTHROPIC_API_KEY, OPENAI_API_KEY) and \
             PLANDEX_MODEL, or OPENAI_BASE_URL for a server of your own, or PLANDEX_COMMAND for a \
             program",
        ),
        TellError::NeedsModel(_) => Verdict::new(
            ExitCode::NoModel,
            "no_model",
            "set a key (OPENROUTER_API_KEY, ANTHROPIC_API_KEY, OPENAI_API_KEY) and \
             PLANDEX_MODEL, or OPENAI_BASE_URL for a server of your own, or PLANDEX_COMMAND for a \
             program; or give a reply that you have with `--reply FILE`; `--print-prompt` prints \
             what to ask",
        ),
        TellError::NothingToContinue => Verdict::new(
            ExitCode::Usage,
            "nothing_to_continue",
            "`plandex tell \"what to do\"`",
        ),
        TellError::EmptyReply => Verdict::new(
            ExitCode::ModelFailed,
            "empty_reply",
            "nothing was stored; try again",
        ),
        TellError::ReplyFailed => Verdict::new(
            ExitCode::ModelFailed,
            "reply_failed",
            "look with `plandex convo`",
        ),
    }
}

pub(super) fn too_long(_: &TooLong) -> Verdict {
    let hint = "nothing was stored; list what the plan was shown with `plandex ls`, and show it \
                less, or use a model with a larger window";
    Verdict::new(ExitCode::ModelFailed, "context_too_long", hint)
}

pub(super) fn no_images(_: &NoImages) -> Verdict {
    let hint = "nothing was stored; take them out with `plandex rm NAME`, or ask a model that sees \
                (`--provider openai`, `anthropic`)";
    Verdict::new(ExitCode::Usage, "no_images", hint)
}

/// How the command ends whose run's last event this is: said by the runner itself and by whoever
/// follows it. `None` if it is no last event.
pub(in super::super) fn run_ended(last: &Event) -> Option<ExitCode> {
    match last {
        Event::Completed {
            state,
            failed,
            malformed,
            stopped,
            ..
        } => Some(match stopped.as_deref().and_then(Reason::of_word) {
            Some(reason) => super::stopped(reason),
            None if ["truncated", "refused"].contains(&state.as_str()) => ExitCode::CutOff,
            None if failed + malformed > 0 => ExitCode::EditsFailed,
            None => ExitCode::Done,
        }),
        Event::Failed {
            kind, exit_code, ..
        } => Some(match (exit_code, kind.as_str()) {
            (Some(code), _) => ExitCode::Command(*code),
            // Its process died.
            (None, "interrupted") => ExitCode::Failed,
            (None, kind) => of_failure(kind),
        }),
        Event::Started { .. }
        | Event::Phase { .. }
        | Event::Retrying { .. }
        | Event::Thinking { .. }
        | Event::Text { .. }
        | Event::FileStarted { .. }
        | Event::FileLines { .. }
        | Event::Again { .. }
        | Event::Replied { .. }
        | Event::File { .. }
        | Event::Warning { .. } => None,
    }
}

/// How a command ends whose model failed so.
fn of_failure(kind: &str) -> ExitCode {
    match kind {
        "auth" | "not_configured" => ExitCode::NoModel,
        "truncated" | "refused" => ExitCode::CutOff,
        _ => ExitCode::ModelFailed,
    }
}
