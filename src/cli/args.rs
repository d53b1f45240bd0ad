//! The command line as types.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{
    apply, branches, completions, config, context, doctor, events, help, hook, locks, man, models,
    plans, run, stop,
};

/// Plans for a code base that any number of terminals, agents and CI jobs can work on at once.
#[derive(Debug, Parser)]
#[command(
    name = "plandex",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub(super) struct Global {
    /// Work on this plan (name, id or number); else PLANDEX_PLAN, this terminal's, the project's.
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) plan: Option<String>,
    /// Work on this branch; else PLANDEX_BRANCH, this terminal's, "main".
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) branch: Option<String>,
    /// Wait at most this long for the plan ("30s", "2m", "0", "forever"); else PLANDEX_WAIT, 30s.
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        conflicts_with = "no_wait",
        allow_hyphen_values = true
    )]
    pub(super) wait: Option<String>,
    /// Do not wait: exit 75 if the plan is taken.
    #[arg(long, global = true)]
    pub(super) no_wait: bool,
    /// Print one JSON document (data on stdout, everything else on stderr).
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Print errors and results only.
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
    /// Say more: -v shows a reply as it came and evidence in `doctor`; -vv prints the verbose log.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// When to use colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: When,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a plan and make it this terminal's.
    #[command(visible_alias = "n")]
    New(plans::New),
    /// List the plans.
    #[command(visible_alias = "pl")]
    Plans(plans::Plans),
    /// Choose the plan of this terminal.
    #[command(alias = "set-plan")]
    Cd(plans::Cd),
    /// Show the chosen plan and branch, and what decided it.
    #[command(visible_alias = "cu", after_help = CURRENT_EXAMPLES)]
    Current,
    /// Give the plan another name.
    Rename(plans::Rename),
    /// Take a plan off the list.
    #[command(visible_alias = "arc")]
    Archive(plans::Archive),
    /// Put an archived plan on the list again.
    #[command(visible_alias = "unarc")]
    Unarchive(plans::Archive),
    /// Delete plans; `undelete` brings them back.
    #[command(visible_alias = "dp")]
    DeletePlan(plans::Delete),
    /// Bring a deleted plan back.
    Undelete(plans::Undelete),
    /// List the branches of the plan.
    #[command(visible_alias = "br", after_help = BRANCHES_EXAMPLES)]
    Branches,
    /// Choose the branch of this terminal, or make a new one from it.
    #[command(visible_alias = "co")]
    Checkout(branches::Checkout),
    /// Delete a branch of the plan.
    #[command(visible_alias = "dlb")]
    DeleteBranch(branches::Delete),
    /// Show files, directories, notes or piped text to the plan.
    #[command(visible_aliases = ["l", "add"])]
    Load(context::Load),
    /// List what the plan was shown, and what of it is outdated.
    #[command(alias = "list-context", after_help = LS_EXAMPLES)]
    Ls,
    /// Print an entry of what the plan was shown, as it was loaded.
    Show(context::Show),
    /// Take entries out of what the plan is shown.
    #[command(visible_aliases = ["remove", "unload"])]
    Rm(context::Remove),
    /// Take all entries out.
    #[command(after_help = CLEAR_EXAMPLES)]
    Clear,
    /// Load again what is outdated.
    #[command(visible_alias = "u")]
    Update(context::Update),
    /// Ask for changes; they stay pending until `apply`.
    #[command(visible_alias = "t")]
    Tell(run::args::Tell),
    /// Go on where the last reply ended: stopped, cut off, failed or whole.
    #[command(visible_alias = "c")]
    Continue(run::args::Continue),
    /// Ask without changing anything: no edit of the answer is ever taken.
    #[command(visible_alias = "ch")]
    Chat(run::args::Chat),
    /// Build the edits of replies that were not built yet, and of files that failed.
    #[command(visible_alias = "b")]
    Build(run::args::Build),
    /// Show the conversation.
    Convo(super::history::Convo),
    /// Show what the conversation was about, in short.
    Summary(run::args::Summary),
    /// Show the versions of the branch.
    #[command(visible_aliases = ["history", "logs"])]
    Log(super::history::Log),
    /// Go back to an earlier version, in a new one.
    #[command(visible_alias = "rw")]
    Rewind(super::rewind::Rewind),
    /// Show the pending changes.
    #[command(visible_alias = "diffs")]
    Diff(super::diff::Diff),
    /// Give up pending changes: they are not built again.
    #[command(visible_alias = "rj")]
    Reject(super::reject::Reject),
    /// Tell which plans want a file.
    Who(super::who::Who),
    /// Write the pending changes to the project, all or none.
    #[command(visible_alias = "ap")]
    Apply(apply::args::Apply),
    /// Show the plan, its pending files, its queue and how the last run ended.
    #[command(after_help = STATUS_EXAMPLES)]
    Status,
    /// List the operations that run and wait now, on all plans.
    Ps(locks::args::Ps),
    /// List all tickets: who holds, who waits; explain, draw or release them.
    Locks(locks::args::Locks),
    /// Print what happens to locks and runs, as it happens.
    Events(events::Events),
    /// Show a run from its beginning and follow it to its end.
    #[command(visible_alias = "conn")]
    Connect(run::Connect),
    /// Stop what runs on the plan; the partial reply is kept.
    Stop(stop::Stop),
    /// Run a program while holding the plan.
    Exec(Exec),
    /// Show the settings, and where each comes from.
    #[command(after_help = CONFIG_EXAMPLES)]
    Config,
    /// Change a setting, for this project or this user.
    SetConfig(config::SetConfig),
    /// Show which model would be asked, and why; nobody is contacted.
    #[command(after_help = MODELS_EXAMPLES)]
    Models,
    /// Choose the model of this branch.
    SetModel(models::SetModel),
    /// Check the health of everything, and repair it.
    Doctor(doctor::args::Doctor),
    /// Write the whole state of the project to one file, while others work.
    Backup(super::backup::Backup),
    /// Make a project of what `backup` wrote.
    Restore(super::backup::Restore),
    /// Run many commands in this one process, each plan's in their order.
    Batch(super::batch::Batch),
    /// Explain a command, or what waits for what.
    Help(help::Help),
    /// Show a man page, or write all of them.
    Man(man::Man),
    /// Print what a shell needs to complete commands, plans, branches and settings.
    Completions(completions::Completions),
    /// What completes a word: a shell's script asks it.
    #[command(hide = true)]
    Complete(completions::Complete),
    /// Note when an agent's sessions begin and end.
    Hook(hook::Hook),
    /// The second process in the trial of an unknown file system.
    #[command(hide = true)]
    ProbeFileSystem(Probe),
}

impl Command {
    /// What it asks of a model, if it does.
    pub(super) fn asking(&self) -> Option<&run::args::Asking> {
        if let Self::Tell(args) = self {
            return Some(&args.asking);
        }
        if let Self::Continue(args) = self {
            return Some(&args.asking);
        }
        if let Self::Chat(args) = self {
            return Some(&args.asking);
        }
        None
    }

    /// Whether it is asked in JSON, which is answered in JSON.
    pub(super) fn is_request(&self) -> bool {
        matches!(self, Self::Doctor(args) if args.request.is_some())
    }

    /// Whether --bg was given.
    pub(super) fn is_in_background(&self) -> bool {
        let is_build = matches!(self, Self::Build(args) if args.background.is_asked());
        let asking = self.asking();
        is_build || asking.is_some_and(|asking| asking.background.is_asked())
    }
}

/// How a run's events are printed with --json.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Stream {
    /// With --json: print the reply's text and the model's thinking as they come, too.
    #[arg(long)]
    pub(super) deltas: bool,
}

/// `plandex exec`
#[derive(Debug, Args)]
#[command(after_help = EXEC_EXAMPLES)]
pub(super) struct Exec {
    /// Hold the branch for reading only: others may read it at the same time.
    #[arg(long)]
    pub(super) read: bool,
    /// With --read: hold the whole plan for reading, not a branch.
    #[arg(long, requires = "read")]
    pub(super) root: bool,
    /// Exit with this code if the plan could not be had, instead of 75.
    #[arg(short = 'E', long, value_name = "N", allow_hyphen_values = true)]
    pub(super) conflict_exit_code: Option<u8>,
    /// COMMAND is one string for /bin/sh; without it, the shell reads standard input.
    #[arg(short = 'c', long)]
    pub(super) shell: bool,
    /// The program and its arguments.
    #[arg(
        value_name = "COMMAND",
        required_unless_present = "shell",
        trailing_var_arg = true
    )]
    pub(super) program: Vec<OsString>,
}

const EXEC_EXAMPLES: &str = "\
Examples:
  plandex exec -- make deploy                 one at a time, waiting up to 30 s for the turn
  plandex exec --wait forever -- make deploy  as long as it takes
  plandex exec --no-wait -E 0 -- make report  only if nobody else is at it; else exit 0
  plandex exec --read -- make docs            together with other readers of the branch
  plandex exec -c 'make && make test'         a script in one string
  plandex exec -c <<'EOF'                     a script on standard input

The exit code is the command's own (128 + its signal); 126 if it cannot be run, 127 if there is no
such program, 75 (or -E) if the plan could not be had, 79 if it was lost meanwhile. Signals are
passed on. The command ends when plandex does, even on SIGKILL, and plandex commands inside it
join its turn.";

const CURRENT_EXAMPLES: &str = "\
Examples:
  plandex current                       plan, branch, and what decided them
  PLANDEX_PLAN=auth plandex current     the environment is stronger than `plandex cd`

Strongest first: --plan and --branch, PLANDEX_PLAN and PLANDEX_BRANCH, this terminal's choice
(`plandex cd`, `plandex checkout`), the project's. Never waits.";

const BRANCHES_EXAMPLES: &str = "\
Examples:
  plandex branches              those of the selected plan; * is the selected one
  plandex branches --plan auth  those of another plan

Never waits.";

const LS_EXAMPLES: &str = "\
Examples:
  plandex ls           numbered; `show`, `rm` and `update` take the numbers
  plandex ls --json    with sizes and hashes

An entry is outdated if its file has changed since it was loaded: `plandex update`. Never waits.";

const CLEAR_EXAMPLES: &str = "\
Examples:
  plandex clear
  plandex rewind       bring them back, if that was the last thing done

The project's files are not touched. Waits for its turn on the plan.";

const STATUS_EXAMPLES: &str = "\
Examples:
  plandex status                what is pending, who works, who waits
  plandex status --plan auth    of another plan
  plandex status --json         for scripts

Never waits.";

const CONFIG_EXAMPLES: &str = "\
Examples:
  plandex config           all settings with what decided each
  plandex config --json    with a line about each

Change one with `plandex set-config`, which also says what each is for.";

const MODELS_EXAMPLES: &str = "\
Examples:
  plandex models                    which model, what decided it, which keys are there
  plandex models --branch other     that of another branch

Choose one with `plandex set-model`.";

/// `plandex probe-file-system`
#[derive(Debug, Args)]
pub(super) struct Probe {
    /// The directory that the first process made.
    pub(super) place: PathBuf,
}
