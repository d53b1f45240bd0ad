//! The command lines of what asks a model, and of what is made of its replies.

use std::path::{Path, PathBuf};

use clap::Args;

use super::super::args::Stream;
use super::super::choice::ModelChoice;
use super::super::session::Cli;
use super::background::{Background, Input};

/// What every command that takes a reply has.
#[derive(Debug, Args)]
pub(in super::super) struct Asking {
    /// Take this reply instead of asking a model; "-" reads it from standard input as it arrives.
    #[arg(long, value_name = "FILE|-")]
    pub(super) reply: Option<PathBuf>,
    /// Print what a model would be told, and do nothing.
    #[arg(long)]
    pub(super) print_prompt: bool,
    /// Load outdated context again before the model is asked; "=false" asks, or exits 7 where nobody
    /// is there to ask. Else the setting of that name.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(super) auto_update_context: Option<bool>,
    #[command(flatten)]
    pub(super) choice: ModelChoice,
    #[command(flatten)]
    pub(super) stream: Stream,
    #[command(flatten)]
    pub(in super::super) background: Background,
}

impl Asking {
    /// Whether this process is to start one that goes on in the background.
    pub(super) fn goes_on(&self, cli: &Cli) -> bool {
        self.background.is_wanted(cli) && !self.print_prompt
    }

    /// What of standard input it reads once it has its ticket.
    pub(super) fn input(&self) -> Input {
        Input::of_reply(self.reply.as_deref() == Some(Path::new("-")))
    }

    /// Whether nobody is asked and nothing is changed.
    pub(in super::super) fn only_prints(&self) -> bool {
        self.print_prompt
    }
}

const BUILD_EXAMPLES: &str = "\
Examples:
  plandex tell -n \"add x\"    keep the edits of the reply for later
  plandex build              make them pending, and try again what failed in the last run
  plandex build --apply      and write them to the project

Exit codes: 0 done (or nothing to build), 3 edits did not fit, 75 the plan was not free in time.";

/// `plandex build`
#[derive(Debug, Args)]
#[command(after_help = BUILD_EXAMPLES)]
pub(in super::super) struct Build {
    #[command(flatten)]
    pub(super) applying: Applying,
    #[command(flatten)]
    pub(super) stream: Stream,
    #[command(flatten)]
    pub(in super::super) background: Background,
}

/// Whether what was built is written to the project at once.
#[derive(Debug, Args)]
pub(in super::super) struct Applying {
    /// If all of it is built, write it to the project as `plandex apply -y` does, with its exit
    /// codes; else the setting auto-apply.
    #[arg(long, overrides_with = "no_apply")]
    apply: bool,
    /// Leave it pending, whatever auto-apply says.
    #[arg(long, overrides_with = "apply")]
    no_apply: bool,
    /// With what is applied at once: commit it with git, and nothing else; else the setting
    /// auto-commit.
    #[arg(long, short, overrides_with = "skip_commit")]
    commit: bool,
    /// Do not commit it, whatever auto-commit says.
    #[arg(long, overrides_with = "commit")]
    skip_commit: bool,
}

impl Applying {
    /// What the flags say, if anything.
    pub(super) fn wish(&self) -> Option<bool> {
        (self.apply || self.no_apply).then_some(self.apply)
    }

    /// What of `apply`'s flags is passed on to it.
    pub(super) fn passed_on(&self) -> Option<&'static str> {
        let skips = self.skip_commit.then_some("--skip-commit");
        self.commit.then_some("--commit").or(skips)
    }
}

/// What is done with the edits of a reply.
#[derive(Debug, Args)]
pub(in super::super) struct Edits {
    /// Keep the edits for `plandex build`; the next run that builds takes them, too.
    #[arg(long, short = 'n', overrides_with = "build", conflicts_with = "apply")]
    no_build: bool,
    /// Build the edits at once, whatever the setting auto-build says.
    #[arg(long, overrides_with = "no_build")]
    build: bool,
    #[command(flatten)]
    applying: Applying,
    /// Ask again, at most so often, for edits that did not fit; else 2, and 0 where there is no
    /// model to ask.
    #[arg(long, value_name = "N")]
    pub(super) fix_tries: Option<u32>,
}

impl Edits {
    /// Whether the flags say that they are built at once, if they say anything.
    pub(super) fn builds(&self) -> Option<bool> {
        // What is to be written must be built.
        let is_built = self.build || self.applying.wish() == Some(true);
        (is_built || self.no_build).then_some(is_built)
    }

    /// What is done with what is built.
    pub(super) fn applying(&self) -> &Applying {
        &self.applying
    }
}

/// `plandex tell`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plandex tell \"greet in French\"
  git diff | plandex tell -                 what the text on standard input says
  plandex tell \"add x\" --print-prompt > p   what a model would be told
  plandex tell \"add x\" --reply r            … and what it answered
  plandex tell -n \"add x\" && plandex build  ask now, build later")]
pub(in super::super) struct Tell {
    /// What to do; else -f, else standard input if it is piped, else an editor.
    pub(super) prompt: Option<String>,
    /// Read the prompt from a file.
    #[arg(long, short, value_name = "FILE", conflicts_with = "prompt")]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) edits: Edits,
    #[command(flatten)]
    pub(in super::super) asking: Asking,
}

/// `plandex chat`
#[derive(Debug, Args)]
#[command(after_help = "\
What looks like an edit in an answer is text: neither this run nor a later `plandex build` takes \
it. `plandex tell \"do that\"` asks for it.

Examples:
  plandex chat \"where is the greeting made?\"
  plandex chat -f question.md")]
pub(in super::super) struct Chat {
    /// What to answer; else -f, else standard input if it is piped, else an editor.
    pub(super) prompt: Option<String>,
    /// Read the prompt from a file.
    #[arg(long, short, value_name = "FILE", conflicts_with = "prompt")]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(in super::super) asking: Asking,
}

/// `plandex continue`
#[derive(Debug, Args)]
#[command(after_help = "\
The model is sent the conversation with the reply as far as it came, and told to go on exactly \
there. The new reply is a message of its own. Edits that the first one left open are not half \
applied: they are asked for again from their first line.

Examples:
  plandex continue
  plandex continue --print-prompt > p; …; plandex continue --reply r")]
pub(in super::super) struct Continue {
    #[command(flatten)]
    pub(super) edits: Edits,
    #[command(flatten)]
    pub(in super::super) asking: Asking,
}

/// `plandex summary`
#[derive(Debug, Args)]
#[command(after_help = "\
One is made by itself when the conversation outgrows the model's window. It is then sent in the \
place of the messages it tells of.

Examples:
  plandex summary
  plandex summary --make     a new one, of the whole conversation")]
pub(in super::super) struct Summary {
    /// Ask the model for a new one, of all that was said.
    #[arg(long)]
    pub(super) make: bool,
    #[command(flatten)]
    pub(super) choice: ModelChoice,
}
