//! The command line of what looks at the queue, and of what touches somebody else's ticket.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

/// `plandex locks`
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("view").args(["explain", "stats", "sql", "timeline"]),
    args_conflicts_with_subcommands = true,
    after_help = "Without a flag: one row a ticket, plan by plan in the order of the line; those of one plan with \
        --plan. Takes no lock and writes nothing (--timeline writes its file).\n\n\
        Examples:\n  plandex locks --explain                      who waits for whom\n  \
        plandex locks --watch                        the same table, live\n  \
        plandex locks --stats --since 7d             how long operations wait and hold\n  \
        plandex locks --sql history                  the newest of the plan, from its audit\n  \
        plandex locks --timeline queue.svg --since 1h\n  \
        plandex locks release 42                     end a ticket that is stale"
)]
pub(in crate::cli) struct Locks {
    /// Draw who waits for whom.
    #[arg(long)]
    pub(super) explain: bool,
    /// Show how long operations waited and held, from the audit: p50, p95 and how they ended.
    #[arg(long)]
    pub(super) stats: bool,
    /// Keep showing it: on a terminal at most once a second, elsewhere again after each change.
    /// Ctrl-C ends it (130).
    #[arg(long, conflicts_with_all = ["stats", "sql", "timeline"])]
    pub(super) watch: bool,
    /// Run a diagnostic query; "history" is of one plan.
    #[arg(long, value_name = "WHICH")]
    pub(super) sql: Option<Query>,
    /// With --sql: print the query, and do not run it.
    #[arg(long, requires = "sql")]
    pub(super) print: bool,
    /// Draw who waited, who held and how each ended into FILE.svg or FILE.html, from the audit.
    ///
    /// The file is written whole or not at all. One that is there is replaced only if it is an
    /// earlier picture; --force replaces any other file, and a link itself, never what it names.
    #[arg(long, value_name = "FILE")]
    pub(super) timeline: Option<PathBuf>,
    /// With --timeline and --stats: how far back ("90s", "1h", "7d").
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(super) since: Option<String>,
    /// With --timeline: replace a file that is no earlier picture.
    #[arg(long, requires = "timeline")]
    pub(super) force: bool,
    #[command(subcommand)]
    pub(super) command: Option<LocksCommand>,
}

/// What can be done to a ticket.
#[derive(Debug, Subcommand)]
pub(super) enum LocksCommand {
    /// End a ticket whose owner is dead or hangs; one that lives only with --even-if-alive.
    Release(Release),
}

/// `plandex locks release`
#[derive(Debug, Args)]
#[command(
    after_help = "The owner is fenced off: it writes nothing more, exits 79 and says who released its \
        ticket. A program under `exec` gets TERM, and KILL six seconds later; the next in line is \
        granted when it is gone. If the ticket ended or was granted anew meanwhile, nothing is \
        changed (exit 1). Exit 9: it lives, and --even-if-alive was not given.\n\n\
        Examples:\n  plandex locks release 42\n  plandex locks release 42 --even-if-alive"
)]
pub(super) struct Release {
    /// The ticket's number in `plandex locks`.
    pub(super) id: i64,
    /// Take it from an owner that lives.
    #[arg(long)]
    pub(super) even_if_alive: bool,
}

/// The diagnostic queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Query {
    /// The tickets that are held.
    Active,
    /// Those whose lease is over.
    Expired,
    /// The newest 50 rows of the plan's audit.
    History,
}

/// `plandex ps`
#[derive(Debug, Args)]
#[command(
    after_help = "Takes no lock and writes nothing.\n\nExamples:\n  plandex ps\n  \
        plandex ps --watch\n  plandex ps --json | jq '.locks[].pid'"
)]
pub(in crate::cli) struct Ps {
    /// Keep showing it, as `locks --watch` does.
    #[arg(long)]
    pub(super) watch: bool,
}

impl Locks {
    /// Whether it goes on until it is stopped.
    pub(in crate::cli) fn watches(&self) -> bool {
        self.watch
    }
}

impl Ps {
    /// Whether it goes on until it is stopped.
    pub(in crate::cli) fn watches(&self) -> bool {
        self.watch
    }
}
