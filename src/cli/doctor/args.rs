//! `plandex doctor` as it is typed.

use std::path::PathBuf;

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  plandex doctor                  look only; on a terminal it asks whether to repair
  plandex doctor --fix            repair what can be repaired, without asking
  plandex doctor --dry-run        say what --fix would do, and do nothing
  plandex doctor -v               with metrics, active locks, evidence and planned actions
  plandex doctor -q || notify     silent while all is well
  plandex doctor --plan auth      only this plan
  plandex doctor --json | jq -r '.issues[] | .type + \": \" + .description'
  echo '{\"planId\": \"auth\", \"fix\": true}' | plandex doctor --json --request -
  plandex doctor --rebuild        make lost rows, or a lost database, again from the repositories
  plandex doctor --prune          remove deleted plans for good

Looking changes nothing, waits for nobody's turn, and works on a database that is missing, damaged,
newer or held by another program. --fix looks at each finding again in the transaction that repairs
it, leaves alone what came back to life, and copies the database aside before it changes data.

Exit codes: 0 healthy (there may be remarks), 1 problems remain, 2 wrong use: an unknown plan, a
request that cannot be read or contradicts a flag.";

/// `plandex doctor`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in super::super) struct Doctor {
    /// Repair what can be repaired.
    #[arg(long)]
    pub(in super::super) fix: bool,
    /// Say what --fix would do, and do nothing.
    #[arg(long)]
    pub(in super::super) dry_run: bool,
    /// Read what to do from a JSON object, {"planId": …, "fix": true|false}; answer in JSON.
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["prune", "rebuild"])]
    pub(in super::super) request: Option<PathBuf>,
    /// Remove deleted plans for good, and do nothing else: no `undelete` brings them back.
    #[arg(long, conflicts_with_all = ["fix", "dry_run"])]
    pub(in super::super) prune: bool,
    /// Make the rows of the plans' branches, or a lost database, again from the repositories.
    #[arg(long, conflicts_with_all = ["fix", "dry_run", "prune"])]
    pub(in super::super) rebuild: bool,
    /// With --prune: do not ask.
    #[arg(long, short, requires = "prune")]
    pub(in super::super) yes: bool,
}
