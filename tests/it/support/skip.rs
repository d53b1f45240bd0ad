//! Tests that this machine cannot run: counted and printed, and failures where none may be.

use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

/// Set in CI once everything that a test may need was installed.
const NO_SKIPS: &str = "PLANDEX_TEST_NO_SKIPS";

static SKIPPED: AtomicU32 = AtomicU32::new(0);

/// Counts and prints that a test is left out for `reason`; fails it where no skip is allowed.
pub(crate) fn skipped(test: &str, reason: &str) {
    let forbidden = std::env::var_os(NO_SKIPS).is_some_and(|value| !value.is_empty());
    assert!(
        !forbidden,
        "{test} cannot run here ({reason}), and {NO_SKIPS} is set"
    );
    let count = SKIPPED.fetch_add(1, Ordering::SeqCst) + 1;
    // Past the harness, which keeps what passing tests print to itself.
    drop(writeln!(
        std::io::stderr(),
        "skipped: {count} ({test}: {reason})"
    ));
}

/// Whether `program` can be started, without starting it.
pub(crate) fn has(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|dir| {
            use std::os::unix::fs::PermissionsExt as _;
            let meta = std::fs::metadata(dir.join(program));
            meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
    })
}

/// Leaves the calling test out: `skip!("no tmpfs can be mounted here")`.
macro_rules! skip {
    ($reason:expr) => {{
        $crate::support::skip::skipped(module_path!(), $reason);
        return;
    }};
}

/// Leaves the calling test out unless this program is installed: `needs!("strace")`.
macro_rules! needs {
    ($program:expr) => {
        if !$crate::support::skip::has($program) {
            $crate::support::skip!(concat!($program, " is not installed"));
        }
    };
}

pub(crate) use {needs, skip};
