//! What a long life costs: every command on a database of 10,000 plans, 100,000 messages, 10,000
//! context entries and 1,000,000 audit rows, beside the same command on an empty one; and a load of
//! 10,000 files. A tenth of all that where a quick look is wanted.

use std::io::Read as _;
use std::process::{Command, Stdio};

use plandex::lock::{Patience, operation};
use plandex::platform::cancel::Cancel;
use plandex::project::tree;
use plandex::repo::blob_id;
use plandex::store::contexts::{self, Context, Origin};
use plandex::store::messages::{self, Kind, Message, Role, State};
use plandex::workers::{Params, exec_repo_operation};

use super::figure::{Figure, Sample, Wanted};
use super::place::{Place, micros, now};

/// No command may need more, however long its list is.
const MEMORY_MIB: f64 = 100.0;

/// How much there is.
struct Size {
    plans: usize,
    messages: usize,
    contexts: usize,
    audit: usize,
}

impl Size {
    fn of(place: &Place) -> Self {
        let share = if place.quick { 10 } else { 1 };
        Self {
            plans: 10_000 / share,
            messages: 100_000 / share,
            contexts: 10_000 / share,
            audit: 1_000_000 / share,
        }
    }
}

/// A command of which the whole time is measured, and those that put back what it changed.
struct Row {
    arguments: Vec<String>,
    after: Vec<Vec<String>>,
    /// Whether its work is by its nature in proportion to what there is; what that is.
    inherent: Option<&'static str>,
}

fn row(arguments: &str) -> Row {
    Row {
        arguments: words(arguments),
        after: Vec::new(),
        inherent: None,
    }
}

impl Row {
    fn after(mut self, commands: &[&str]) -> Self {
        self.after = commands.iter().map(|one| words(one)).collect();
        self
    }

    fn inherent(mut self, why: &'static str) -> Self {
        self.inherent = Some(why);
        self
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// The commands, in an order in which each finds what it needs.
fn commands(size: &Size) -> Vec<Row> {
    let last = size.messages;
    vec![
        row("status"),
        row("current"),
        row("branches"),
        row("log -n 20"),
        row(&format!("convo {}", last / 2)),
        row(&format!("convo {}-", last - 19)),
        row("show loaded-7.txt"),
        row("ps"),
        row("locks"),
        row("locks --stats"),
        row("locks --sql history"),
        row("load src/file1.rs"),
        row("rm src/file1.rs"),
        row("rewind 1"),
        row("tell --reply REPLY change"),
        row("diff"),
        row("who src/file0.rs"),
        row("apply -y"),
        row("checkout -b side")
            .after(&["checkout main", "delete-branch -y side"])
            .inherent("copies the branch's rows"),
        row("exec -- true"),
        row("new -n ROUND").after(&["cd bench"]),
    ]
}

/// The commands that print all there is.
const LISTS: [(&str, &[&str]); 5] = [
    ("plans", &["plans"]),
    ("ls", &["ls"]),
    ("convo", &["convo"]),
    ("plans --json", &["plans", "--json"]),
    ("ls --json", &["ls", "--json"]),
];

/// Every command on a large database, beside an empty one.
pub(crate) fn growth(place: &Place) -> Vec<Figure> {
    let size = Size::of(place);
    let empty = Place::new(place.quick);
    // So that what is asked for by number is there.
    fill(&empty, 20, 10, 0);
    fill(place, size.messages, size.contexts, size.audit);
    let project = place.project();
    for number in 0..size.plans {
        let name = format!("plan-{number}");
        project
            .new_plan(&name, Patience::Forever, &mut |_| {})
            .unwrap();
    }
    drop(project);
    let rows = commands(&size);
    let small = Size {
        messages: 20,
        ..Size::of(place)
    };
    let small = commands(&small);
    let mut samples: Vec<[Sample; 2]> = rows.iter().map(|_| Default::default()).collect();
    let rounds = if place.quick { 5 } else { 11 };
    for round in 0..rounds + 1 {
        for ((large_row, small_row), samples) in rows.iter().zip(&small).zip(&mut samples) {
            for (which, (place, row)) in [(place, large_row), (&empty, small_row)]
                .into_iter()
                .enumerate()
            {
                let took = run(place, row, round);
                // The first ones read from the disk what stays in memory after.
                if round > 0 {
                    samples[which].push(took);
                }
            }
        }
    }
    let mut figures: Vec<Figure> = rows
        .iter()
        .zip(&samples)
        .map(|(row, [large, empty])| {
            let name = row.arguments.join(" ");
            let (quantity, wanted) = match row.inherent {
                None => (format!("grown: {name}"), Wanted::AtMost(1.5)),
                Some(why) => (format!("grown: {name} ({why})"), Wanted::Nothing),
            };
            let yardstick = "an empty database";
            Figure::medians(&quantity, "µs", large, yardstick, empty, wanted)
        })
        .collect();
    for (name, arguments) in LISTS {
        figures.extend(list(place, name, arguments));
    }
    figures
}

/// Runs `row` once in `place`; what it took, in microseconds.
fn run(place: &Place, row: &Row, round: usize) -> f64 {
    let reply = place.beside("reply.md");
    let text =
        format!("- src/file0.rs:\n\n```rust path=src/file0.rs\nfn round_{round}() {{}}\n```\n");
    std::fs::write(&reply, text).unwrap();
    let command = |arguments: &[String]| {
        let mut command = place.plandex();
        command.args(["--plan", "bench"]);
        for word in arguments {
            match word.as_str() {
                "REPLY" => command.arg(&reply),
                "ROUND" => command.arg(format!("round-{round}")),
                word => command.arg(word),
            };
        }
        command
    };
    let mut measured = command(&row.arguments);
    let begun = now();
    let status = measured.status().unwrap();
    let took = micros(begun, now());
    assert!(status.success(), "{measured:?} ended with {status}");
    for arguments in &row.after {
        let mut command = command(arguments);
        let status = command.status().unwrap();
        assert!(status.success(), "{command:?} ended with {status}");
    }
    took
}

/// A command that prints a line for everything: lines a second, and the most memory it was seen with.
fn list(place: &Place, name: &str, arguments: &[&str]) -> Vec<Figure> {
    let mut command = place.plandex();
    command.args(["--plan", "bench"]).args(arguments);
    let begun = now();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (mut piece, mut lines, mut most) = ([0; 16 << 10], 0, 0.0_f64);
    // What it prints is more than a pipe holds, so it is still there whenever some of it comes.
    while let count @ 1.. = stdout.read(&mut piece).unwrap() {
        lines += piece[..count].iter().filter(|byte| **byte == b'\n').count();
        most = most.max(peak_mib(child.id()));
    }
    assert!(child.wait().unwrap().success(), "{command:?}");
    let seconds = micros(begun, now()) / 1e6;
    let figure = |quantity: String, unit, ours, yardstick: &str, theirs, wanted| Figure {
        quantity,
        unit,
        ours,
        yardstick: yardstick.to_owned(),
        theirs,
        wanted,
        samples: 1,
    };
    vec![
        figure(
            format!("all of it: {name}, {lines} lines"),
            "lines/s",
            lines as f64 / seconds,
            "a line a millisecond",
            1000.0,
            // One document is one line.
            match lines {
                0 | 1 => Wanted::Nothing,
                _ => Wanted::AtLeast(1.0),
            },
        ),
        figure(
            format!("all of it: {name}, memory"),
            "MiB",
            most,
            "what was asked for",
            MEMORY_MIB,
            Wanted::AtMost(1.0),
        ),
    ]
}

/// The most memory a process has had so far; 0 when it is gone.
fn peak_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// Gives the plan "bench" a conversation and context entries, in one version, and the audit rows.
fn fill(place: &Place, said: usize, shown: usize, audited: usize) {
    let project = place.project();
    let params = Params {
        plan_id: place.plan_id.clone(),
        branch: None,
        operation: operation::TELL,
        patience: Patience::Forever,
        cancel: Cancel::new().unwrap(),
        on_wait: Box::new(|_| {}),
    };
    exec_repo_operation(&project, params, move |permit, turn| {
        let branch = turn.branch("main")?;
        let messages: Vec<Message> = (1..=said).map(|at| message(at, &branch.id)).collect();
        let bodies: Vec<Vec<u8>> = (0..shown).map(body).collect();
        let contexts: Vec<Context> = bodies
            .iter()
            .enumerate()
            .map(|(at, body)| context(at, body, &branch.id))
            .collect();
        let mut changes: Vec<_> = messages.iter().map(tree::message).collect();
        for (context, body) in contexts.iter().zip(bodies) {
            changes.extend(tree::context(context, body));
        }
        turn.advance(permit, &branch, &changes, "fill", |tx| {
            messages
                .iter()
                .try_for_each(|message| messages::put(tx, message))?;
            contexts
                .iter()
                .try_for_each(|context| contexts::put(tx, context))
        })
    })
    .unwrap();
    drop(project);
    // The audit's rows are the queue's own, so no call makes one that was never a turn.
    let database = rusqlite::Connection::open(place.state_dir().join("plandex.db")).unwrap();
    database
        .execute(
            "WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < ?1)
             INSERT INTO repo_locks_audit (plan_id, created_at, ticket, scope, reason, actor, pid,
                command, queued_at, granted_at, ended_at, outcome)
             SELECT ?2, 1700000000000 + n, 1000 + n, 'w', 'tell execution', 'bench', 1, 'plandex tell',
                1700000000000 + n, 1700000000000 + n, 1700000000001 + n, 'released'
             FROM many WHERE ?1 > 0",
            rusqlite::params![i64::try_from(audited).unwrap(), place.plan_id],
        )
        .unwrap();
}

fn message(number: usize, branch_id: &str) -> Message {
    let is_reply = number.is_multiple_of(2);
    Message {
        id: format!("00000000-0000-7000-8000-{number:012}"),
        branch_id: branch_id.to_owned(),
        number: i64::try_from(number).unwrap(),
        role: if is_reply {
            Role::Assistant
        } else {
            Role::User
        },
        kind: Kind::Tell,
        source: "literal".to_owned(),
        text: format!("This is message {number} of the conversation.\n").repeat(4),
        state: State::Complete,
        is_kept: false,
        created_at: 1_700_000_000_000,
        completed_at: Some(1_700_000_000_001),
    }
}

fn body(number: usize) -> Vec<u8> {
    format!("what entry {number} holds\n")
        .repeat(8)
        .into_bytes()
}

fn context(number: usize, body: &[u8], branch_id: &str) -> Context {
    Context {
        id: format!("00000000-0000-7000-9000-{number:012}"),
        branch_id: branch_id.to_owned(),
        kind: contexts::Kind::File,
        name: format!("loaded-{number}.txt"),
        path: Some(format!("loaded-{number}.txt")),
        origin: Origin::default(),
        blob: blob_id(body).unwrap(),
        hash: plandex::platform::digest::sha256_hex(body),
        size: i64::try_from(body.len()).unwrap(),
        mtime_ns: 0,
        tokens: 50,
        created_at: 1_700_000_000_000,
        updated_at: 1_700_000_000_000,
    }
}

/// 10,000 files loaded, durable, beside reading them.
pub(crate) fn large_load(place: &Place) -> Vec<Figure> {
    let files = if place.quick { 1_000 } else { 10_000 };
    for file in 0..files {
        let path = place
            .root()
            .join(format!("many/{}/file{file}.txt", file % 100));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("what file {file} holds\n").repeat(20)).unwrap();
    }
    // Without ripgrep, what its list would be comes from find.
    let has_rg = place.command("rg").arg("--version").status().is_ok();
    let (tool, listing) = match has_rg {
        true => ("rg --files", "rg --files -0 many"),
        false => ("find", "find many -type f -print0"),
    };
    let read = format!("{listing} | xargs -0 cat > ../read");
    let (mut ours, mut plain, mut durable) = (Sample::new(), Sample::new(), Sample::new());
    for round in 0..if place.quick { 2 } else { 5 } {
        let name = format!("load-{round}");
        place.new_plan(&name);
        let timed = |mut command: Command| {
            let begun = now();
            assert!(command.status().unwrap().success(), "{command:?}");
            micros(begun, now()) / 1e3
        };
        let shell = |script: &str| {
            let mut shell = place.command("sh");
            shell.args(["-c", script]);
            shell
        };
        timed(shell("sync -f ."));
        let mut load = place.plandex();
        load.args([
            "--plan",
            &name,
            "--quiet",
            "load",
            "--recursive",
            "--max-items",
            "10000",
            "many",
        ]);
        ours.push(timed(load));
        plain.push(timed(shell(&read)));
        timed(shell("sync -f ."));
        durable.push(timed(shell(&format!("{read} && sync ../read"))));
    }
    let name = format!("load of {files} files, durable");
    let row = |yardstick: String, theirs: &Sample| {
        Figure::medians(&name, "ms", &ours, &yardstick, theirs, Wanted::AtMost(2.0))
    };
    vec![
        row(format!("{tool} + cat of them to a file"), &plain),
        row(format!("{tool} + cat of them to a file, synced"), &durable),
    ]
}
