//! Dangerous names and their owners: each may be named in one place only.

use super::source::{Source, places};

struct Owned {
    names: &'static [&'static str],
    /// The files, or with a slash at the end the rooms, that may name them.
    owners: &'static [&'static str],
    /// What everybody else does instead.
    instead: &'static str,
}

const OWNED: [Owned; 21] = [
    Owned {
        names: &["fs2"],
        owners: &["src/platform/file_lock.rs"],
        instead: "use platform::file_lock",
    },
    Owned {
        names: &["FlockOperation", "fs::flock", "fcntl_lock"],
        owners: &["src/platform/"],
        instead: "use platform::file_lock",
    },
    Owned {
        names: &[
            "signal_hook",
            "kill_process",
            "kill_process_group",
            "pidfd_send_signal",
        ],
        owners: &["src/platform/"],
        instead: "use platform::signal or platform::process",
    },
    Owned {
        names: &["SystemTime::now", "clock_gettime", "ClockId"],
        owners: &["src/platform/"],
        instead: "use platform::clock",
    },
    Owned {
        names: &["fs::rename", "fs::write", "renameat", "renameat_with"],
        owners: &["src/platform/"],
        instead: "use platform::file: it syncs, names the path and passes a crash point",
    },
    Owned {
        names: &["openat2", "ResolveFlags"],
        owners: &["src/platform/"],
        instead: "use platform::root",
    },
    Owned {
        names: &[
            "std::env",
            "env::var",
            "env::var_os",
            "env::vars",
            "env::args",
            "env::current_dir",
        ],
        owners: &["src/config/", "src/config.rs"],
        instead: "take it from config::Environment",
    },
    Owned {
        names: &["toml::", "toml_edit"],
        owners: &["src/config/", "src/config.rs"],
        instead: "take it from config",
    },
    Owned {
        names: &["rusqlite", "r2d2", "r2d2_sqlite"],
        owners: &["src/store/"],
        instead: "add a function to the table's file in store",
    },
    Owned {
        names: &["gix"],
        owners: &["src/repo/"],
        instead: "use repo::PlanRepo",
    },
    Owned {
        names: &["ureq"],
        owners: &["src/model/"],
        instead: "use model::stream",
    },
    Owned {
        names: &["ignore::"],
        owners: &["src/context/"],
        instead: "use context",
    },
    Owned {
        names: &["tree_sitter"],
        owners: &["src/context/"],
        instead: "use context: it makes outlines, if the feature \"maps\" is on",
    },
    Owned {
        names: &["println!", "eprintln!", "print!", "eprint!", "dbg!"],
        owners: &["src/ui/"],
        instead: "return it, or give it to the event closure; nothing below cli prints",
    },
    Owned {
        // What a person pipes in is a source of text like a file: of a reply, of a prompt.
        names: &["io::stdin", "stdin()"],
        owners: &["src/ui/", "src/cli/", "src/platform/", "src/model/reply.rs"],
        instead: "take the text, or a source of it, from above",
    },
    Owned {
        names: &["io::stdout", "io::stderr", "stdout()", "stderr()"],
        owners: &["src/ui/"],
        instead: "use ui: it escapes control characters",
    },
    Owned {
        names: &[
            "indicatif",
            "comfy_table",
            "anstyle",
            "anstream",
            "unicode_width",
        ],
        owners: &["src/ui/"],
        instead: "use ui",
    },
    Owned {
        names: &["clap", "ExitCode"],
        owners: &["src/cli/", "src/main.rs"],
        instead: "only cli parses and ends",
    },
    Owned {
        names: &["process::exit", "process::abort"],
        owners: &["src/main.rs"],
        instead: "return an error",
    },
    Owned {
        names: &["rand::"],
        owners: &["src/lock/", "src/model/ask.rs"],
        instead: "ids come from store::new_id; only jitter and bell names are drawn",
    },
    Owned {
        names: &["parking_lot"],
        owners: &[
            "src/store/",
            "src/lock/",
            "src/workers/",
            "src/project/",
            "src/platform/cancel.rs",
            "src/platform/threads.rs",
            "src/cli/exec/relay.rs",
            "src/ui/",
        ],
        instead: "pass values; shared state lives in the registry, the queues and the gate",
    },
];

/// Named outside their owner, on purpose.
const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "src/store/probe.rs",
    "std::env",
    "current_exe finds this very program for the two-process trial; it reads no variable",
)];

/// The files that name the database's files in text, and why they may.
const NAME_THE_DATABASE: [(&str, &str); 6] = [
    (
        "src/store/open.rs",
        "opens it through SQLite, and creates it empty once",
    ),
    (
        "src/store/mod.rs",
        "its path for messages, and the length of its WAL by stat",
    ),
    (
        "src/project/find.rs",
        "a project is where it stands; looked for by stat",
    ),
    (
        "src/store/migrate.rs",
        "its path, for the words about a newer one",
    ),
    (
        "src/context/rules.rs",
        "refuses to load it, so that nobody opens it",
    ),
    (
        "src/doctor/place.rs",
        "an empty one is told from a damaged one, by stat",
    ),
];

/// What opens, replaces or removes a file by its name.
const OPENERS: [&str; 15] = [
    "File::open",
    "File::create",
    "File::create_new",
    "File::options",
    "OpenOptions::new",
    "fs::read",
    "fs::read_to_string",
    "fs::copy",
    "fs::write",
    "fs::rename",
    "fs::remove_file",
    "open_private",
    "write_new",
    "write_atomic",
    "remove_file",
];

/// What files that name the database open all the same: (file, opener, how often, what).
const OPENED: [(&str, &str, usize, &str); 3] = [
    (
        "src/store/open.rs",
        "write_new",
        3,
        "plandex.db itself, new or in the place of a lost one, and the file of a copy, before SQLite \
         has ever opened it",
    ),
    (
        "src/store/open.rs",
        "remove_file",
        1,
        "an empty file in the place of a lost database",
    ),
    ("src/store/open.rs", "write_atomic", 1, ".gitignore"),
];

/// The user's eleven crates and where each does its work.
const ELEVEN: [(&str, &str, &[&str]); 11] = [
    ("rusqlite", "rusqlite", &["src/store/"]),
    ("r2d2", "r2d2", &["src/store/"]),
    ("clap", "clap", &["src/cli/"]),
    ("serde", "serde", &["src/"]),
    ("serde_json", "serde_json", &["src/"]),
    ("crossbeam-channel", "crossbeam_channel", &["src/workers/"]),
    ("parking_lot", "parking_lot", &["src/lock/", "src/workers/"]),
    ("fs2", "fs2", &["src/platform/file_lock.rs"]),
    ("gix", "gix", &["src/repo/"]),
    ("indicatif", "indicatif", &["src/ui/"]),
    ("rand", "rand", &["src/lock/"]),
];

fn is_at(path: &str, owner: &str) -> bool {
    path == owner || (owner.ends_with('/') && path.starts_with(owner))
}

/// Names that stand outside their owners.
pub(super) fn check_owners(sources: &[Source]) -> Vec<String> {
    check_owners_but(sources, &EXCEPTIONS)
}

fn check_owners_but(sources: &[Source], exceptions: &[(&str, &str, &str)]) -> Vec<String> {
    let mut found = Vec::new();
    let mut used = vec![false; exceptions.len()];
    for source in sources {
        for owned in &OWNED {
            if owned.owners.iter().any(|owner| is_at(&source.path, owner)) {
                continue;
            }
            for name in owned.names {
                let excepted = exceptions
                    .iter()
                    .position(|(path, excepted, _)| *path == source.path && excepted == name);
                for at in places(&source.code, name) {
                    match excepted {
                        Some(index) => used[index] = true,
                        None => found.push(format!(
                            "{}: `{name}` belongs to {}: {}",
                            source.place(at),
                            owned.owners.join(", "),
                            owned.instead
                        )),
                    }
                }
            }
        }
    }
    for ((path, name, _), used) in exceptions.iter().zip(used) {
        if !used {
            found.push(format!(
                "{path}: the exception for `{name}` is not needed any more"
            ));
        }
    }
    found
}

/// The database's files named or opened where they must not be: closing any descriptor of them
/// that is not SQLite's drops SQLite's locks.
pub(super) fn check_database(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let path = source.path.as_str();
        let text = &source.uncommented;
        let named: Vec<usize> = ["plandex.db", "-wal\"", "-shm\""]
            .iter()
            .flat_map(|name| text.match_indices(name).map(|(at, _)| at))
            .collect();
        let listed = NAME_THE_DATABASE.iter().any(|(listed, _)| *listed == path);
        match (named.first(), listed) {
            (Some(at), false) => found.push(format!(
                "{}: names the database's files; use store, which alone opens them",
                source.place(*at)
            )),
            (None, true) => found.push(format!("{path}: no longer names the database: unlist it")),
            _ => {}
        }
        for opener in OPENERS {
            let calls = places(&source.code, opener);
            if listed {
                let allowed = OPENED
                    .iter()
                    .find(|(file, name, ..)| *file == path && *name == opener)
                    .map_or(0, |(_, _, count, _)| *count);
                if calls.len() != allowed {
                    found.push(format!(
                        "{path}: `{opener}` stands here {} times and {allowed} are known; a file \
                         that names the database opens nothing else",
                        calls.len()
                    ));
                }
            }
            for at in calls {
                let statement = text[at..].split(';').next().unwrap_or_default();
                if statement.contains("store.path()") {
                    found.push(format!("{}: opens the database's path", source.place(at)));
                }
            }
        }
    }
    found
}

/// The user's eleven crates: direct dependencies, each used in the room it is for.
pub(super) fn check_eleven(cargo_toml: &str, sources: &[Source]) -> Vec<String> {
    let manifest: toml::Table = cargo_toml.parse().unwrap();
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    let mut found = Vec::new();
    for (package, name, owners) in ELEVEN {
        if !dependencies.is_some_and(|table| table.contains_key(package)) {
            found.push(format!("Cargo.toml: {package} is not a direct dependency"));
        }
        for owner in owners {
            let used = sources
                .iter()
                .any(|source| is_at(&source.path, owner) && !places(&source.code, name).is_empty());
            if !used {
                found.push(format!(
                    "{owner}: {package} is not used where it is meant to be"
                ));
            }
        }
    }
    found
}

#[test]
fn a_name_outside_its_owner_is_found() {
    let cases = [
        ("src/store/gate.rs", "use fs2::FileExt;"),
        (
            "src/lock/owner.rs",
            "rustix::fs::flock(&f, FlockOperation::LockShared)",
        ),
        ("src/cli/mod.rs", "use signal_hook::iterator::Signals;"),
        (
            "src/store/audit.rs",
            "let now = std::time::SystemTime::now();",
        ),
        (
            "src/apply/mod.rs",
            "use std::fs; fn f() { fs::rename(a, b) }",
        ),
        ("src/context/mod.rs", "std::fs::write(path, text)"),
        ("src/apply/mod.rs", "rustix::fs::openat2(dir)"),
        ("src/model/mod.rs", "let key = std::env::var(\"KEY\");"),
        (
            "src/cli/mod.rs",
            "use std::{env, fs}; fn f() { env::current_dir() }",
        ),
        ("src/project/mod.rs", "let t: A = toml::from_str(text)?;"),
        ("src/doctor/mod.rs", "use rusqlite::Connection;"),
        ("src/project/mod.rs", "r2d2::Pool::new()"),
        ("src/plan/mod.rs", "gix::open(path)"),
        ("src/context/url.rs", "ureq::get(url)"),
        ("src/apply/mod.rs", "use ignore::WalkBuilder;"),
        ("src/plan/tell.rs", "println!(\"{}\", x);"),
        ("src/lock/wait.rs", "writeln!(std::io::stderr(), \"x\")"),
        (
            "src/cli/mod.rs",
            "use std::io::stdout; fn f() { stdout().lock() }",
        ),
        ("src/cli/tell.rs", "indicatif::ProgressBar::new(1)"),
        ("src/doctor/mod.rs", "fn f() -> std::process::ExitCode {}"),
        ("src/platform/wait.rs", "use clap::Parser;"),
        ("src/plan/mod.rs", "std::process::exit(1)"),
        ("src/repo/durable.rs", "let x: u64 = rand::random();"),
        ("src/repo/mod.rs", "use parking_lot::Mutex;"),
        ("src/plan/tell.rs", "std::io::stdin().lock()"),
    ];
    for (path, text) in cases {
        let found = check_owners_but(&[Source::new(path, text)], &[]);
        assert!(!found.is_empty(), "{path}: {text}");
        assert!(found[0].starts_with(&format!("{path}:1: ")), "{found:?}");
    }
}

#[test]
fn a_name_with_its_owner_in_a_comment_or_within_a_word_is_not_found() {
    let cases = [
        ("src/platform/file_lock.rs", "fs2::FileExt::unlock(file)"),
        (
            "src/store/open.rs",
            "use rusqlite::Connection; use parking_lot::Mutex;",
        ),
        ("src/lock/lease.rs", "rand::rng()"),
        ("src/platform/fs_type.rs", "(0x1, \"gfs2\"), gfs2 // fs2"),
        (
            "src/cli/mod.rs",
            "env!(\"CARGO_PKG_VERSION\"); my_println!(); operand::x()",
        ),
        (
            "src/plan/mod.rs",
            "command.stdout(Stdio::null()); /* println!() */ \"println!\"",
        ),
        (
            "src/plan/mod.rs",
            "#[cfg(test)]\nmod tests { fn f() { println!() } }",
        ),
    ];
    for (path, text) in cases {
        assert_eq!(
            check_owners_but(&[Source::new(path, text)], &[]),
            [""; 0],
            "{text}"
        );
    }
}

#[test]
fn an_exception_covers_its_name_in_its_file_and_is_not_kept_for_nothing() {
    let exceptions = [("src/store/probe.rs", "std::env", "why")];
    let planted = |text| check_owners_but(&[Source::new("src/store/probe.rs", text)], &exceptions);
    assert_eq!(planted("std::env::current_exe()"), [""; 0]);
    assert!(planted("toml::x(); std::env::y()")[0].contains("`toml::`"));
    assert!(planted("")[0].contains("not needed"));
}

#[test]
fn the_databases_files_in_other_hands_are_found() {
    let check = |path: &str, text: &str| check_database(&[Source::new(path, text)]);
    let plain = "let path = dir.join(\"plandex.db\");";
    for (path, text, words) in [
        ("src/doctor/mod.rs", plain, "names the database"),
        (
            "src/store/audit.rs",
            "std::fs::metadata(dir.join(\"x-wal\"))",
            "names the database",
        ),
        (
            "src/project/find.rs",
            "\"plandex.db\"; File::open(path)",
            "1 times and 0",
        ),
        ("src/project/find.rs", "", "unlist it"),
        (
            "src/doctor/mod.rs",
            "std::fs::copy(store.path(), to)?;",
            "opens the database's path",
        ),
    ] {
        let found = check(path, text);
        assert_eq!(found.len(), 1, "{path}: {text}: {found:?}");
        assert!(found[0].contains(words), "{found:?}");
    }
    assert_eq!(check("src/project/find.rs", plain), [""; 0]);
    assert_eq!(
        check("src/doctor/mod.rs", "// plandex.db\nFile::open(path)"),
        [""; 0]
    );
    let twice = format!(
        "{plain} write_new(a); write_new(b); write_new(c); write_new(d); write_atomic(e); \
         remove_file(f);"
    );
    assert_eq!(check("src/store/open.rs", &twice).len(), 1);
}

#[test]
fn a_crate_that_is_missing_or_not_used_is_found() {
    let all: String = ELEVEN
        .iter()
        .map(|(package, ..)| format!("{package} = \"1\"\n"))
        .collect();
    let manifest = format!("[dependencies]\n{all}");
    let sources: Vec<Source> = ELEVEN
        .iter()
        .flat_map(|(_, name, owners)| owners.iter().map(move |owner| (name, owner)))
        .map(|(name, owner)| {
            let path = if owner.ends_with('/') {
                format!("{owner}x.rs")
            } else {
                (*owner).to_owned()
            };
            Source::new(&path, &format!("use {name}::X;"))
        })
        .collect();
    assert_eq!(check_eleven(&manifest, &sources), [""; 0]);
    let without = manifest.replace("fs2 = \"1\"\n", "");
    assert!(check_eleven(&without, &sources)[0].contains("fs2 is not a direct"));
    let dev = manifest.replace("rand = \"1\"", "[dev-dependencies]\nrand = \"1\"");
    assert!(check_eleven(&dev, &sources)[0].contains("rand is not a direct"));
    for index in 0..sources.len() {
        let fewer: Vec<Source> = sources
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .map(|(_, source)| Source::new(&source.path, &source.text))
            .collect();
        let found = check_eleven(&manifest, &fewer);
        // serde and serde_json are at home everywhere, so another file may stand in for one.
        let at_home = is_at("src/x.rs", "src/") && sources[index].path == "src/x.rs";
        assert!(!found.is_empty() || at_home, "{}", sources[index].path);
    }
}
