//! The database and its directory as others find them: modes, schema, who opens the files, and
//! what looking costs.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use plandex::platform::clock::{self, Frame};
use plandex::store::{Connections, Store};
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use crate::crash_points::{Template, check_mirrors, check_sound, killed_at, sweep};
use crate::support::{Background, Sandbox, needs};

const BINARY: &str = env!("CARGO_BIN_EXE_plandex");

const NEW_FILE: &str = "n.txt\n```\n<<<<<<< SEARCH\n=======\nn\n>>>>>>> REPLACE\n```\n";

fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["new", "-n", "draft"]);
    sandbox
}

/// A tell that holds the plan: its reply comes from a pipe that the test keeps open.
fn held_tell(sandbox: &Sandbox) -> Background<'_> {
    let tell = sandbox
        .plandex(["tell", "wait", "--reply", "-"])
        .held_stdin()
        .start();
    sandbox.until_queue("the tell holds the plan", |line| {
        line.iter().any(|ticket| ticket.state.word() == "held")
    });
    tell
}

#[test]
fn sqlite_has_the_fix_of_the_wal_reset_bug() {
    assert!(
        rusqlite::version_number() >= 3_051_003,
        "{}",
        rusqlite::version()
    );
    assert_eq!(plandex::store::sqlite_version(), rusqlite::version());
}

#[test]
fn whatever_the_umask_nobody_else_may_look() {
    let sandbox = Sandbox::new();
    let umask_0 = |args: &str| {
        let script = format!("umask 0; exec \"$0\" {args}");
        sandbox.program("sh", ["-c", &script, BINARY])
    };
    umask_0("new").finish().ok();
    umask_0("load src/lib.rs").finish().ok();
    let held = umask_0("tell wait --reply -").held_stdin().start();
    sandbox.until_queue("the tell holds the plan", |line| {
        line.iter().any(|ticket| ticket.state.word() == "held")
    });
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let dir = sandbox.state_dir();
    assert_eq!(mode(&dir), 0o700);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let expected = if entry.path().is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&entry.path()), expected, "{name}");
        files.push(name);
    }
    for name in plandex::store::FILES {
        assert!(
            files.iter().any(|file| file == name),
            "no {name}: {files:?}"
        );
    }
    let owners: Vec<_> = std::fs::read_dir(dir.join("owners")).unwrap().collect();
    assert_eq!(owners.len(), 1);
    for owner in owners {
        assert_eq!(mode(&owner.unwrap().path()), 0o600);
    }
    drop(held);
}

#[test]
fn the_schema_on_the_disk_is_schema_sql() {
    let parts = |connection: &Connection| -> BTreeSet<(String, String, String, Option<String>)> {
        let mut select = connection
            .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema")
            .unwrap();
        let row =
            |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        select
            .query_map([], row)
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let written = Connection::open_in_memory().unwrap();
    written
        .execute_batch(include_str!("../../schema.sql"))
        .unwrap();
    let sandbox = project();
    let found = Connection::open(sandbox.state_dir().join("plandex.db")).unwrap();
    assert!(parts(&written).len() > 30);
    assert_eq!(parts(&found), parts(&written));
    let version: i64 = found
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, plandex::store::SCHEMA_VERSION);
    let mode: String = found
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_finished_message_never_changes() {
    let sandbox = project();
    sandbox.ok(&["tell", NEW_FILE]);
    let connection = Connection::open(sandbox.state_dir().join("plandex.db")).unwrap();
    for change in [
        "UPDATE convo_messages SET text = 'something else'",
        "UPDATE convo_messages SET state = 'open'",
        "UPDATE convo_messages SET number = number + 10",
    ] {
        let refused = connection.execute(change, []).unwrap_err().to_string();
        assert!(
            refused.contains("a completed message never changes"),
            "{refused}"
        );
    }
    assert!(!sandbox.dump().contains("something else"));
}

/// A connection that knows the functions which the views call.
fn with_functions(sandbox: &Sandbox) -> Connection {
    let connection = Connection::open(sandbox.state_dir().join("plandex.db")).unwrap();
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    let add = |name: &str, value: fn() -> rusqlite::types::Value| {
        connection
            .create_scalar_function(name, 0, flags, move |_| Ok(value()))
            .unwrap();
    };
    add("plandex_wall_ms", || clock::wall_ms().into());
    add("plandex_monotonic_ms", || clock::monotonic_ms().into());
    add("plandex_boot_id", || Frame::here().boot_id.clone().into());
    add("plandex_time_ns", || Frame::here().time_ns.into());
    connection
}

#[test]
fn the_views_of_the_locks_answer() {
    let sandbox = project();
    sandbox.quicken();
    let connection = with_functions(&sandbox);
    let count = |view: &str| -> i64 {
        connection
            .query_row(&format!("SELECT count(*) FROM {view}"), [], |row| {
                row.get(0)
            })
            .unwrap()
    };
    assert_eq!((count("active_locks"), count("expired_locks")), (0, 0));
    let tell = held_tell(&sandbox);
    let (scope, age, plan): (String, i64, String) = connection
        .query_row(
            "SELECT scope, age, plan_name FROM active_locks",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!((scope.as_str(), plan.as_str()), ("w", "draft"));
    assert!((0..60_000).contains(&age), "{age}");
    assert_eq!(count("expired_locks"), 0);
    tell.stop();
    sandbox.until("the lease ends", || {
        (count("expired_locks") == 1).then_some(())
    });
    assert_eq!(count("active_locks"), 1);
}

#[test]
fn twenty_new_at_once_make_one_database_and_twenty_plans() {
    let sandbox = Sandbox::new();
    let all: Vec<Background<'_>> = (0..20).map(|_| sandbox.start(&["new"])).collect();
    for one in all {
        one.finish().ok();
    }
    let plans = sandbox.ok(&["plans", "--json"]).json();
    let names: BTreeSet<&str> = plans["plans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|plan| plan["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 20, "{names:?}");
    // Who was too late for a name leaves no repository without a plan.
    let repositories = std::fs::read_dir(sandbox.state_dir().join("plans")).unwrap();
    assert_eq!(repositories.count(), 20);
    check_sound(&sandbox, "twenty plans");
}

#[test]
fn a_new_killed_anywhere_leaves_no_half_project() {
    let template = Template::new(Sandbox::without_git());
    let (points, _) = template.points(&["new"]);
    let plans = sweep(points.len(), |at| {
        let sandbox = template.copy();
        let what = format!("new killed at {at} ({})", points[at - 1]);
        killed_at(&sandbox, &["new"], at).expect("it passes as many points as before");
        sandbox.ok(&["new"]);
        check_sound(&sandbox, &what);
        sandbox.ok(&["status"]);
        let plans = sandbox.ok(&["plans", "--json"]).json();
        let plans = plans["plans"].as_array().unwrap();
        for plan in plans {
            let name = plan["name"].as_str().unwrap();
            let prompt = NEW_FILE.replace("n.txt", &format!("{name}.txt"));
            sandbox.ok(&["tell", "--plan", name, &prompt]);
            sandbox.ok(&["apply", "--plan", name, "-y"]);
            assert_eq!(sandbox.read(&format!("{name}.txt")), "n\n", "{what}");
        }
        check_sound(&sandbox, &what);
        check_mirrors(&sandbox, &what);
        plans.len()
    });
    // The plan of the killed one is there from its COMMIT on.
    assert!(plans.is_sorted(), "{plans:?}");
    assert_eq!((plans.first(), plans.last()), (Some(&1), Some(&2)));
}

/// The lines of a trace of `args` that are calls, without the pid.
fn traced(sandbox: &Sandbox, options: &[&str], args: &[&str]) -> Vec<String> {
    let trace = sandbox.place().join("trace");
    let trace = trace.to_str().unwrap();
    let mut all = vec!["-f", "-qq", "-o", trace, "-s", "0"];
    all.extend(options);
    all.push(BINARY);
    all.extend(args);
    let outcome = sandbox.program("strace", &all).finish();
    assert!(outcome.signal.is_none(), "{outcome}");
    calls(trace)
}

fn calls(trace: &str) -> Vec<String> {
    std::fs::read_to_string(trace)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, call)| call.trim_start().to_owned())
        .collect()
}

const OPENS: &[&str] = &["-e", "trace=open,openat,openat2,creat"];

/// The calls that open a file of the database and are not SQLite's.
///
/// SQLite alone opens with an absolute path, for reading and writing, and with O_NOFOLLOW; std
/// gives no O_NOFOLLOW, our own doors below a directory open relative to its descriptor, with
/// openat2 or for reading only. The one creation (O_EXCL) is `new`'s, before SQLite comes.
/// O_PATH gives no file to close.
fn foreign_opens(calls: &[String]) -> Vec<&String> {
    let is_named = |call: &&String| {
        plandex::store::FILES
            .iter()
            .any(|name| call.contains(&format!("{name}\"")))
    };
    let is_sqlites = |call: &str| {
        call.starts_with("openat(AT_FDCWD, \"/")
            && (call.contains("\", O_RDWR|O_NOFOLLOW|O_CLOEXEC)")
                || call.contains("\", O_RDWR|O_CREAT|O_NOFOLLOW|O_CLOEXEC, 0"))
    };
    let mut sqlite_was_here = false;
    let mut foreign = Vec::new();
    for call in calls.iter().filter(is_named) {
        let is_creation = call.contains("O_CREAT|O_EXCL") && !sqlite_was_here;
        if is_sqlites(call) {
            sqlite_was_here = true;
        } else if !is_creation && !call.contains("O_PATH") {
            foreign.push(call);
        }
    }
    foreign
}

#[test]
fn only_sqlite_opens_the_database() {
    needs!("strace");
    let sandbox = Sandbox::new();
    let prompt = sandbox.write_beside("prompt", NEW_FILE);
    let prompt = prompt.to_str().unwrap();
    let bait = NEW_FILE.replace("n.txt", ".plandex/plandex.db");
    let commands: &[&[&str]] = &[
        &["new", "-n", "draft"],
        &["new", "-n", "draft"],
        &["status"],
        &["plans"],
        &["load", "-r", "."],
        &["load", "-f", ".plandex/plandex.db"],
        &["load", "-f", "-r", ".plandex"],
        &["tell", "-f", prompt],
        &["tell", "x", "--reply", prompt],
        &["tell", "-f", ".plandex/plandex.db"],
        &["tell", "x", "--reply", ".plandex/plandex.db-shm"],
        &["tell", &bait],
        &["tell", "x", "--print-prompt"],
        &["diff"],
        &["diff", "--snapshot"],
        &["apply", "-y"],
        &["ls"],
        &["log"],
        &["convo"],
        &["checkout", "-b", "twig"],
        &["cd", "1"],
        &["exec", "--", "true"],
        &["stop"],
        &["locks"],
        &["doctor", "--verbose"],
        &["doctor", "--fix"],
    ];
    for args in commands {
        let calls = traced(&sandbox, OPENS, args);
        let sqlites = calls.iter().any(|call| call.contains("plandex.db\""));
        assert!(sqlites, "{args:?} opens no database: the trace is blind");
        let foreign = foreign_opens(&calls);
        assert!(foreign.is_empty(), "{args:?}: {foreign:#?}");
    }
    // Standard input is opened by the shell, and would be closed by us.
    let script = "exec \"$0\" tell x --reply - < .plandex/plandex.db-shm";
    let outcome = sandbox.program("sh", ["-c", script, BINARY]).finish();
    outcome.exits(2).says("plandex's own database");
}

#[test]
fn a_foreign_open_of_the_database_is_seen() {
    needs!("strace");
    let sandbox = project();
    let trace = sandbox.place().join("trace");
    let trace = trace.to_str().unwrap();
    let database = sandbox.state_dir().join("plandex.db");
    let database = database.to_str().unwrap();
    // `cat` opens as std does; `dd` writes to it, as a careless copy would.
    for program in [
        &["cat", database][..],
        &["cat", ".plandex/plandex.db-wal"],
        &[
            "dd",
            "if=/dev/null",
            "conv=notrunc",
            &format!("of={database}"),
        ],
    ] {
        let mut all = vec!["-f", "-qq", "-o", trace, "-s", "0"];
        all.extend(OPENS);
        all.extend(program);
        sandbox.program("strace", &all).finish().ok();
        assert_eq!(foreign_opens(&calls(trace)).len(), 1, "{program:?}");
    }
    let invented = [
        "openat(AT_FDCWD, \"/p/plandex.db\", O_RDWR|O_NOFOLLOW|O_CLOEXEC) = 4",
        "openat(AT_FDCWD, \"/p/plandex.db\", O_RDONLY|O_CLOEXEC) = 5",
        "openat2(4, \"plandex.db-shm\", {flags=O_RDONLY|O_NOFOLLOW|O_CLOEXEC}, 24) = 5",
        "openat(AT_FDCWD, \"/p/plandex.db\", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 6",
    ]
    .map(str::to_owned);
    // The creation is none before SQLite came, and one after it.
    assert_eq!(foreign_opens(&invented).len(), 3);
    assert_eq!(foreign_opens(&invented[3..]).len(), 0);
}

const LOOKING: &[&[&str]] = &[
    &["status"],
    &["plans"],
    &["ps"],
    &["locks"],
    &["convo"],
    &["log"],
    &["ls"],
    &["diff", "--snapshot"],
    &["current"],
    &["branches"],
];

/// Threads, and whatever changes a file or a directory.
const CHANGES: &[&str] = &[
    "-y",
    "-e",
    "trace=clone,clone3,fork,vfork,write,pwrite64,writev,pwritev,ftruncate,truncate,fallocate,\
     fsync,fdatasync,syncfs,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,link,linkat,\
     chmod,fchmod,fchmodat",
];

/// What of a looking command's calls starts a thread or changes the state directory. The shared
/// memory dies with the last process that has it open: who comes first makes it anew, in
/// plandex.db-shm, and with `alone` that is allowed.
fn changing<'c>(sandbox: &Sandbox, calls: &'c [String], alone: bool) -> Vec<&'c String> {
    let state = sandbox.state_dir();
    let state = state.to_str().unwrap();
    let is_thread = |call: &str| {
        ["clone", "fork", "vfork"]
            .iter()
            .any(|name| call.starts_with(name))
    };
    let is_shm = |call: &str| {
        let makes = call.starts_with("ftruncate(") || call.starts_with("pwrite64(");
        makes && call.contains("/plandex.db-shm>")
    };
    calls
        .iter()
        .filter(|call| is_thread(call) || (call.contains(state) && !(alone && is_shm(call))))
        .collect()
}

/// The names below the state directory, with sizes and times of all but the shared memory. Not the
/// change times: SQLite, run by root, gives the log its owner whenever it opens it.
fn listing(sandbox: &Sandbox) -> String {
    let script = "find .plandex ! -name plandex.db-shm -printf '%p %s %T@\\n' | sort";
    sandbox.program("sh", ["-c", script]).finish().ok().stdout
}

#[test]
fn looking_takes_no_ticket_starts_no_thread_and_writes_nothing() {
    needs!("strace");
    let sandbox = project();
    sandbox.ok(&["load", "src/lib.rs"]);
    sandbox.ok(&["tell", NEW_FILE]);
    let (dump, names) = (sandbox.dump(), listing(&sandbox));
    for args in LOOKING {
        let calls = traced(&sandbox, CHANGES, args);
        assert!(!calls.is_empty(), "{args:?}: the trace is blind");
        let found = changing(&sandbox, &calls, true);
        assert!(found.is_empty(), "{args:?}: {found:#?}");
        assert_eq!(sandbox.dump(), dump, "{args:?} changed a row");
        assert_eq!(listing(&sandbox), names, "{args:?} changed a file");
    }
    // While somebody has the database open, the shared memory is there: then nothing at all.
    let tell = held_tell(&sandbox);
    let audited = |sandbox: &Sandbox| {
        let dump = sandbox.dump();
        let rows = dump.lines().filter(|line| line.starts_with("repo_locks"));
        rows.count()
    };
    let before = audited(&sandbox);
    for args in LOOKING {
        let calls = traced(&sandbox, CHANGES, args);
        let found = changing(&sandbox, &calls, false);
        assert!(found.is_empty(), "{args:?}: {found:#?}");
        assert_eq!(audited(&sandbox), before, "{args:?} took a ticket");
    }
    drop(tell);
    // A command that does change something is seen to.
    let calls = traced(&sandbox, CHANGES, &["load", "--note", "n"]);
    let found = changing(&sandbox, &calls, true);
    assert!(found.iter().any(|call| call.starts_with("clone")));
    assert!(found.iter().any(|call| call.contains("plandex.db-wal>")));
}

#[test]
fn a_newer_database_is_refused_before_anything_is_written() {
    let sandbox = project();
    let path = sandbox.state_dir().join("plandex.db");
    let connection = Connection::open(&path).unwrap();
    let newer = plandex::store::SCHEMA_VERSION + 1;
    connection
        .pragma_update(None, "user_version", newer)
        .unwrap();
    let before = sandbox.dump();
    let error = Store::open(&sandbox.state_dir(), Connections::One).err();
    let error = format!("{:#}", error.expect("it is newer"));
    assert!(error.contains("was written by a newer plandex"), "{error}");
    sandbox.run(&["tell", NEW_FILE]).exits(69);
    sandbox.run(&["new", "-n", "draft"]).exits(69);
    assert_eq!(sandbox.dump(), before);
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, newer);
}
