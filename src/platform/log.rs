//! The verbose log, in the formats of SEED.md 6.2, with the thread where the goroutine stood:
//!
//! ```text
//! [Lock][<thread>] <ACTION> <message> | reason: <operation reason>
//! [Queue] <message>
//! [Lock][Heartbeat] <message>
//! [Lock][Retry][<thread>] <message>
//! [Lock][Delete][<thread>] <message>
//! ```
//!
//! Each line begins with the wall time and the pid, because many processes write to one file, one
//! write a line. Off, a call costs one relaxed load: the message is made by a closure. What is
//! said inside a transaction is written after it ([`hold`]), because nothing slow may happen there.
//! The log holds numbers, reasons and errors; never a prompt, a reply or a command line.
//!
//! Where it goes is global: a signal and a panic belong to the process, not to a project.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::panic::Panicked;
use super::{clock, threads};

/// What the log is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Topic {
    /// Tickets: asked for, waited for, granted, confirmed, lost, released, deleted; retries.
    Locks = 1,
    /// The in-process queue, its groups and its workers.
    Queue = 2,
    /// Heartbeats.
    Heartbeat = 4,
    /// Transactions: begin, commit, rollback, with their times.
    Transactions = 8,
}

/// The topics by name.
pub const TOPICS: [(&str, Topic); 4] = [
    ("locks", Topic::Locks),
    ("queue", Topic::Queue),
    ("heartbeat", Topic::Heartbeat),
    ("transactions", Topic::Transactions),
];

/// What a line of `[Lock]` says happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A ticket is asked for.
    Attempt,
    /// It waits in line.
    Wait,
    /// A ticket was granted by this process, its own or somebody's.
    Grant,
    /// The owner took its grant up.
    Confirm,
    /// The ticket is held; how long it took.
    Acquired,
    /// A grant that nobody took up, or a wait that was over, was put out of line.
    Park,
    /// A parked ticket is back in its place.
    Rejoin,
    /// It would have had to wait, and was told not to.
    Conflict,
    /// The line is full.
    Full,
    /// The wait was over.
    Timeout,
    /// The wait was called off.
    Cancel,
    /// Waiting would close a circle.
    Deadlock,
    /// The owner hangs: its fence fails from here on.
    Condemn,
    /// The lock was lost while working.
    Lost,
    /// The ticket was given back.
    Release,
    /// A transaction begins.
    Begin,
    /// It was committed.
    Commit,
    /// It was rolled back.
    Rollback,
}

impl Action {
    /// Every action; the README lists their words.
    pub const ALL: [Self; 18] = [
        Self::Attempt,
        Self::Wait,
        Self::Grant,
        Self::Confirm,
        Self::Acquired,
        Self::Park,
        Self::Rejoin,
        Self::Conflict,
        Self::Full,
        Self::Timeout,
        Self::Cancel,
        Self::Deadlock,
        Self::Condemn,
        Self::Lost,
        Self::Release,
        Self::Begin,
        Self::Commit,
        Self::Rollback,
    ];

    /// The word in the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Attempt => "ATTEMPT",
            Self::Wait => "WAIT",
            Self::Grant => "GRANT",
            Self::Confirm => "CONFIRM",
            Self::Acquired => "ACQUIRED",
            Self::Park => "PARK",
            Self::Rejoin => "REJOIN",
            Self::Conflict => "CONFLICT",
            Self::Full => "FULL",
            Self::Timeout => "TIMEOUT",
            Self::Cancel => "CANCEL",
            Self::Deadlock => "DEADLOCK",
            Self::Condemn => "CONDEMN",
            Self::Lost => "LOST",
            Self::Release => "RELEASE",
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
        }
    }

    fn topic(self) -> Topic {
        match self {
            Self::Begin | Self::Commit | Self::Rollback => Topic::Transactions,
            Self::Attempt
            | Self::Wait
            | Self::Grant
            | Self::Confirm
            | Self::Acquired
            | Self::Park
            | Self::Rejoin
            | Self::Conflict
            | Self::Full
            | Self::Timeout
            | Self::Cancel
            | Self::Deadlock
            | Self::Condemn
            | Self::Lost
            | Self::Release => Topic::Locks,
        }
    }
}

/// The topics that are on, as bits.
static ON: AtomicU8 = AtomicU8::new(0);
static OUT: OnceLock<Out> = OnceLock::new();

/// Takes whole lines, each with its newline.
pub type Out = Box<dyn Fn(&str) + Send + Sync>;

thread_local! {
    static HELD: RefCell<String> = const { RefCell::new(String::new()) };
    static HOLDS: Cell<u32> = const { Cell::new(0) };
    static REASON: Cell<&'static str> = const { Cell::new("") };
}

/// The topics in a text like "locks,queue" or "all"; fails with the word that is none.
pub fn topics(text: &str) -> Result<u8, String> {
    let mut on = 0;
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        match TOPICS.iter().find(|(name, _)| *name == word) {
            Some((_, topic)) => on |= *topic as u8,
            None if word == "all" => on = u8::MAX,
            None => return Err(word.to_owned()),
        }
    }
    Ok(on)
}

/// Lets the log go to `out` from here on, with the topics of `on` (none at all: only what SIGUSR1
/// asks for). A second call is ignored.
pub fn start(on: u8, out: Out) {
    if OUT.set(out).is_ok() {
        ON.store(on, Ordering::Relaxed);
    }
}

/// A log file, made if need be with access for its owner alone. `failed` is told of the first
/// write that fails; the work goes on.
pub fn file(
    path: &Path,
    failed: impl Fn(&std::io::Error) + Send + Sync + 'static,
) -> std::io::Result<Out> {
    let mut file = File::options();
    let file = file.create(true).append(true).mode(0o600).open(path)?;
    let has_failed = AtomicBool::new(false);
    Ok(Box::new(move |lines| {
        // One write, so that lines of several processes stay whole.
        let written = (&file).write_all(lines.as_bytes());
        if let Err(error) = written
            && !has_failed.swap(true, Ordering::Relaxed)
        {
            failed(&error);
        }
    }))
}

/// Whether nothing is logged at all.
pub fn is_off() -> bool {
    ON.load(Ordering::Relaxed) == 0
}

/// Whether anything about `topic` is logged.
pub fn is_on(topic: Topic) -> bool {
    ON.load(Ordering::Relaxed) & topic as u8 != 0
}

/// `[Lock][<thread>] ACTION message | reason: …`
pub fn lock(action: Action, message: impl FnOnce() -> String) {
    if is_on(action.topic()) {
        emit(
            &head_of_lock(action),
            &message(),
            &format!(" | reason: {}", reason()),
        );
    }
}

/// As [`lock`], for a ticket of somebody else's operation.
pub fn lock_of(action: Action, reason: &str, message: impl FnOnce() -> String) {
    if is_on(action.topic()) {
        emit(
            &head_of_lock(action),
            &message(),
            &format!(" | reason: {reason}"),
        );
    }
}

/// `[Lock][Retry][<thread>] message`
pub fn retry(message: impl FnOnce() -> String) {
    if is_on(Topic::Locks) {
        emit(&format!("[Lock][Retry][{}]", threads::id()), &message(), "");
    }
}

/// `[Lock][Delete][<thread>] message`
pub fn delete(message: impl FnOnce() -> String) {
    if is_on(Topic::Locks) {
        emit(
            &format!("[Lock][Delete][{}]", threads::id()),
            &message(),
            "",
        );
    }
}

/// `[Lock][Heartbeat] message`
pub fn heartbeat(message: impl FnOnce() -> String) {
    if is_on(Topic::Heartbeat) {
        emit("[Lock][Heartbeat]", &message(), "");
    }
}

/// `[Queue] message`
pub fn queue(message: impl FnOnce() -> String) {
    if is_on(Topic::Queue) {
        emit("[Queue]", &message(), "");
    }
}

/// `[Queue] PANIC message`, then its frames, a line each; whatever the topics, if any is on.
pub fn panicked(panicked: &Panicked) {
    if is_off() {
        return;
    }
    let head = format!("[Queue] PANIC [{}]", threads::id());
    let mut lines = line(&head, &panicked.to_string(), "");
    for frame in panicked.backtrace.lines() {
        lines.push_str(&line(&head, frame, ""));
    }
    write(&lines);
}

/// Writes lines that were asked for (SIGUSR1), whatever the topics.
pub fn asked(lines: &str) {
    if let Some(out) = OUT.get() {
        out(lines);
    }
}

/// Says for which operation this thread works until the guard is dropped.
pub fn working_for(reason: &'static str) -> Reason {
    Reason(REASON.replace(reason))
}

/// See [`working_for`].
#[derive(Debug)]
#[must_use]
pub struct Reason(&'static str);

impl Drop for Reason {
    fn drop(&mut self) {
        REASON.set(self.0);
    }
}

fn reason() -> &'static str {
    match REASON.get() {
        "" => "none",
        reason => reason,
    }
}

/// Keeps what this thread logs until the guard is dropped: while a transaction is open.
pub fn hold() -> Hold {
    HOLDS.set(HOLDS.get() + 1);
    Hold {
        from: HELD.with_borrow(String::len),
    }
}

/// See [`hold`].
#[derive(Debug)]
#[must_use]
pub struct Hold {
    /// How much was kept before.
    from: usize,
}

impl Hold {
    /// Forgets what was kept since: it was rolled back, and so it did not happen.
    pub fn forget(&self) {
        HELD.with_borrow_mut(|held| held.truncate(self.from));
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        HOLDS.set(HOLDS.get() - 1);
        if std::thread::panicking() {
            // The transaction is rolled back by the same panic.
            self.forget();
        }
        if HOLDS.get() == 0 {
            let held = HELD.take();
            if !held.is_empty() {
                asked(&held);
            }
        }
    }
}

fn head_of_lock(action: Action) -> String {
    format!("[Lock][{}] {}", threads::id(), action.word())
}

fn emit(head: &str, message: &str, tail: &str) {
    write(&line(head, message, tail));
}

fn write(lines: &str) {
    if HOLDS.get() > 0 {
        HELD.with_borrow_mut(|held| held.push_str(lines));
    } else {
        asked(lines);
    }
}

/// One line, whatever the message holds: a line break or an escape in it is shown, not done.
fn line(head: &str, message: &str, tail: &str) -> String {
    let mut shown = String::with_capacity(message.len());
    for c in message.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    format!(
        "{} {} {head} {shown}{tail}\n",
        clock::stamp(),
        std::process::id()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_words_and_a_word_that_is_none_is_named() {
        assert_eq!(topics("locks,queue"), Ok(3));
        assert_eq!(topics(" heartbeat, transactions,"), Ok(12));
        assert_eq!(topics("all"), Ok(u8::MAX));
        assert_eq!(topics(""), Ok(0));
        assert_eq!(topics("locks,tables"), Err("tables".to_owned()));
    }

    #[test]
    fn a_line_stays_a_line_whatever_it_holds() {
        let shown = line("[Queue]", "a\nb\x1b[31m\u{9b}", "");
        assert!(
            shown.ends_with("[Queue] a\\nb\\u{1b}[31m\\u{9b}\n"),
            "{shown}"
        );
        assert_eq!(shown.matches('\n').count(), 1);
    }

    #[test]
    fn every_action_has_a_word_of_its_own() {
        let mut words: Vec<&str> = Action::ALL.iter().map(|action| action.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Action::ALL.len());
        let is_plain = |word: &&str| word.chars().all(|c| c.is_ascii_uppercase());
        assert!(words.iter().all(is_plain));
    }

    #[test]
    fn a_file_takes_whole_lines_for_its_owner_alone_and_fails_once() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let one = file(&path, |_| {}).unwrap();
        let two = file(&path, |_| {}).unwrap();
        one("first\n");
        two("second\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\nsecond\n");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let told = std::sync::Arc::new(AtomicU8::new(0));
        let count = std::sync::Arc::clone(&told);
        let full = file(Path::new("/dev/full"), move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        let full = full.unwrap();
        full("lost\n");
        full("lost\n");
        assert_eq!(told.load(Ordering::SeqCst), 1);
        assert!(file(&dir.path().join("no/such"), |_| {}).is_err());
    }
}
