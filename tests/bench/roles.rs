//! What this program does when a measurement starts it again.

use std::fs::File;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plandex::lock::{Locks, Patience, Request, operation};
use plandex::platform::cancel::Cancel;
use plandex::store::audit::Outcome;
use plandex::store::{Connections, Store, tickets};
use rusqlite::Connection;
use rustix::fs::FlockOperation;

use super::place::{Kind, lock_file, now, sleep_until};

/// The first argument of a role.
pub(crate) const WORD: &str = "play-a-role";

/// What turns are taken at.
pub(crate) enum Turns {
    Ticket {
        locks: Locks,
        plan_id: String,
        cancel: Cancel,
    },
    Flock(File),
    Rows(File, Connection),
}

/// When a turn was asked for, when it came, and when it was about to be given back.
pub(crate) struct Turn {
    pub(crate) asked: u64,
    pub(crate) came: u64,
    pub(crate) over: u64,
}

impl Turns {
    pub(crate) fn new(kind: Kind, dir: &Path, plan_id: &str) -> Self {
        match kind {
            Kind::Ticket => {
                let state = dir.join("project/.plandex");
                let store = Arc::new(Store::open(&state, Connections::One).unwrap());
                Self::Ticket {
                    locks: Locks::new(store, "bench", "bench").unwrap(),
                    plan_id: plan_id.to_owned(),
                    cancel: Cancel::new().unwrap(),
                }
            }
            Kind::Flock => Self::Flock(lock_file(dir)),
            Kind::FlockWithRows => Self::Rows(lock_file(dir), bare_database(dir)),
        }
    }

    /// Waits for a turn, does `work` in it, gives it back.
    pub(crate) fn take(&self, work: impl FnOnce()) -> Turn {
        let asked = now();
        match self {
            Self::Ticket {
                locks,
                plan_id,
                cancel,
            } => {
                let request = Request {
                    plan_id,
                    branch: None,
                    operation: operation::APPLY,
                    patience: Patience::Forever,
                    cancel,
                };
                let hold = locks.acquire(&request, &mut |_| {}).unwrap();
                let came = now();
                work();
                let over = now();
                hold.release(Outcome::Released).unwrap();
                Turn { asked, came, over }
            }
            Self::Flock(file) => {
                rustix::fs::flock(file, FlockOperation::LockExclusive).unwrap();
                let came = now();
                work();
                let over = now();
                rustix::fs::flock(file, FlockOperation::Unlock).unwrap();
                Turn { asked, came, over }
            }
            Self::Rows(file, connection) => {
                insert(connection);
                rustix::fs::flock(file, FlockOperation::LockExclusive).unwrap();
                hold(connection);
                let came = now();
                work();
                let over = now();
                delete(connection);
                rustix::fs::flock(file, FlockOperation::Unlock).unwrap();
                Turn { asked, came, over }
            }
        }
    }
}

/// A database with one small table, durable as ours is for tickets.
pub(crate) fn bare_database(dir: &Path) -> Connection {
    let connection = Connection::open(dir.join("bare.db")).unwrap();
    // SQLite's own handler sleeps for milliseconds; this one as long as our gate does.
    connection
        .busy_handler(Some(|tries| {
            let pause = Duration::from_micros(50 << tries.clamp(0, 5));
            std::thread::sleep(pause.min(Duration::from_millis(1)));
            true
        }))
        .unwrap();
    connection
        .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .unwrap();
    connection
        .pragma_update(None, "synchronous", "NORMAL")
        .unwrap();
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY AUTOINCREMENT,
                plan TEXT NOT NULL, scope TEXT NOT NULL, state TEXT NOT NULL, pid INTEGER NOT NULL)",
        )
        .unwrap();
    connection
}

/// Inserts a row in a transaction of its own.
pub(crate) fn insert(connection: &Connection) {
    let insert = "INSERT INTO rows (plan, scope, state, pid) VALUES ('bench', 'w', 'waiting', ?1)";
    change(connection, insert, i64::from(std::process::id()));
}

/// Updates the last row inserted here, in a transaction of its own.
fn hold(connection: &Connection) {
    let update = "UPDATE rows SET state = 'held' WHERE id = ?1";
    change(connection, update, connection.last_insert_rowid());
}

/// Deletes the last row inserted here, in a transaction of its own.
pub(crate) fn delete(connection: &Connection) {
    let delete = "DELETE FROM rows WHERE id = ?1";
    change(connection, delete, connection.last_insert_rowid());
}

fn change(connection: &Connection, sql: &str, parameter: i64) {
    let run = |sql: &str| {
        let mut statement = connection.prepare_cached(sql).unwrap();
        statement.execute([]).unwrap();
    };
    run("BEGIN IMMEDIATE");
    let mut statement = connection.prepare_cached(sql).unwrap();
    assert_eq!(statement.execute([parameter]).unwrap(), 1);
    run("COMMIT");
}

/// Plays the role that the arguments name.
pub(crate) fn play(arguments: &[String]) {
    let [role, kind, dir, plan_id, rest @ ..] = arguments else {
        panic!("no role: {arguments:?}");
    };
    let dir = PathBuf::from(dir);
    let numbers: Vec<u64> = rest.iter().map(|word| word.parse().unwrap()).collect();
    let turns = Turns::new(Kind::parse(kind), &dir, plan_id);
    println!("ready");
    let start: u64 = wait_for_word().trim().parse().unwrap();
    sleep_until(start);
    match (role.as_str(), numbers.as_slice()) {
        ("rounds", [count, hold_us]) => rounds(&turns, *count, *hold_us),
        ("spell", [ms]) => spell(&turns, Duration::from_millis(*ms)),
        ("once", []) => {
            turns.take(|| {
                println!("{}", now());
                // Until it is killed.
                wait_for_word();
            });
        }
        ("poll", []) => poll(&dir, plan_id),
        _ => panic!("no such role: {arguments:?}"),
    }
}

fn wait_for_word() -> String {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    line
}

/// So many turns, each held for a while so that all others are asleep in line by its end, with a
/// rest after it, so that whoever is woken has the machine to itself.
fn rounds(turns: &Turns, count: u64, hold_us: u64) {
    let hold = Duration::from_micros(hold_us);
    let taken: Vec<Turn> = (0..count)
        .map(|_| {
            let turn = turns.take(|| std::thread::sleep(hold));
            std::thread::sleep(hold / 4);
            turn
        })
        .collect();
    print(&taken);
}

/// As many turns as fit into a while.
fn spell(turns: &Turns, long: Duration) {
    let end = Instant::now() + long;
    let mut taken = Vec::new();
    while Instant::now() < end {
        taken.push(turns.take(|| {}));
    }
    print(&taken);
}

fn print(taken: &[Turn]) {
    let lines: Vec<String> = taken
        .iter()
        .map(|Turn { asked, came, over }| format!("{asked} {came} {over}\n"))
        .collect();
    print!("{}", lines.concat());
}

/// Looks at the line every millisecond, until it is killed: what waits without doorbells do.
fn poll(dir: &Path, plan_id: &str) {
    let store = Store::open(&dir.join("project/.plandex"), Connections::One).unwrap();
    loop {
        let line = store.read(|tx| tickets::line(tx, plan_id)).unwrap();
        assert!(!line.is_empty());
        std::thread::sleep(Duration::from_millis(1));
    }
}
