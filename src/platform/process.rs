//! Processes: who they are, whether they live, what they hold open, how they end.
//!
//! A pid alone proves nothing (it is reused, and means another process in another namespace), so
//! liveness is never decided here; these are facts for people and hints for waiting.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::linux::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{Child, Command};

use rustix::process::{Pid, PidfdFlags, Signal};

/// What /proc/PID/stat tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The kernel's letter: R, S, D, T (stopped), Z, …
    pub state: char,
    /// The parent's pid.
    pub parent: u32,
    /// The process group.
    pub group: i64,
    /// The session leader's pid.
    pub session: u32,
    /// The controlling terminal's device number; 0 for none.
    pub tty: i64,
    /// The process group in the foreground of that terminal; -1 for none.
    pub foreground: i64,
    /// The number of threads.
    pub threads: u64,
    /// When the process started, in clock ticks since boot.
    pub start_ticks: i64,
    /// Resident memory in pages.
    pub resident_pages: u64,
}

/// The facts of process `pid`, if there is one in this pid namespace.
pub fn stat(pid: u32) -> Option<Stat> {
    stat_at(&format!("/proc/{pid}/stat"))
}

fn stat_at(path: &str) -> Option<Stat> {
    let text = std::fs::read_to_string(path).ok()?;
    // The second field is the command in parentheses and may hold anything, so count from the end.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<i64>().ok();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: u32::try_from(number(1)?).ok()?,
        group: number(2)?,
        session: u32::try_from(number(3)?).ok()?,
        tty: number(4)?,
        foreground: number(5)?,
        threads: u64::try_from(number(17)?).ok()?,
        start_ticks: number(19)?,
        resident_pages: u64::try_from(number(21)?).ok()?,
    })
}

impl Stat {
    /// Whether it is dead and only not waited for yet.
    fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// Whether process `pid` that started at `start_ticks` is stopped (Ctrl-Z, SIGSTOP).
pub fn is_stopped(pid: u32, start_ticks: i64) -> bool {
    stat(pid).is_some_and(|stat| stat.start_ticks == start_ticks && matches!(stat.state, 'T' | 't'))
}

/// Whether process `pid` that started at `start_ticks` has not ended.
pub fn is_running(pid: u32, start_ticks: i64) -> bool {
    stat(pid).is_some_and(|stat| stat.start_ticks == start_ticks && !stat.has_ended())
}

/// For how long process `pid` that started at `start_ticks` has lived, in milliseconds, whatever the
/// wall clock did meanwhile; `None` if there is no such process.
pub fn age_ms(pid: u32, start_ticks: i64) -> Option<i64> {
    // USER_HZ, in which /proc counts on every machine that Rust's Linux targets run on (proc(5)).
    const MS_PER_TICK: i64 = 10;
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now_ms = now.tv_sec * 1000 + now.tv_nsec / 1_000_000;
    is_running(pid, start_ticks).then(|| (now_ms - start_ticks * MS_PER_TICK).max(0))
}

/// The name of process `pid` as the kernel keeps it: the first 15 bytes of its program's.
pub fn name(pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(text.trim_end().to_owned())
}

/// The file name of the program that process `pid` runs; `None` if it may not be seen.
pub fn program(pid: u32) -> Option<String> {
    let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}

/// The resident memory of process `pid` in bytes.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// A descriptor that is readable when process `pid` has ended; `None` if it is another process by
/// now, or not visible from here.
pub fn exit_watch(pid: u32, start_ticks: i64) -> Option<OwnedFd> {
    let id = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let fd = rustix::process::pidfd_open(id, PidfdFlags::empty()).ok()?;
    // Opened first, checked after: the descriptor is of the process that the check sees.
    (stat(pid)?.start_ticks == start_ticks).then_some(fd)
}

/// Whether the signals of a terminal (Ctrl-C) reach this process by themselves, or will: its group
/// is in the foreground of its terminal, or it reads from one.
pub fn shares_terminal() -> bool {
    let in_front =
        |stat: Stat| stat.tty != 0 && stat.foreground > 0 && stat.group == stat.foreground;
    rustix::termios::isatty(rustix::stdio::stdin())
        || stat_at("/proc/self/stat").is_some_and(in_front)
}

/// A descriptor that is readable when `child` has ended, which has not been waited for.
pub fn end_of(child: &std::process::Child) -> Option<OwnedFd> {
    rustix::process::pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok()
}

/// The pids, our own excluded, of all visible processes that have the file `path` open.
pub fn with_open(path: &Path) -> Vec<u32> {
    let Some(wanted) = identity(path) else {
        return Vec::new();
    };
    let pids = living().into_iter().map(|process| process.pid);
    pids.filter(|pid| *pid != std::process::id() && has_open(*pid, wanted, |_| true))
        .collect()
}

/// The pid of no process, and the parent of none.
pub const NOBODY: u32 = u32::MAX;

/// A process that a pid alone could confuse with a later one.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: i64,
    parent: u32,
    /// Its process group.
    pub group: i64,
}

/// The visible living processes that have the file `path` open for writing or are `known`, with all
/// that descend from them or from `root`; this process and `root` are not among them.
///
/// For writing, as whoever made it has it and hands it down. Who only looks at the file, to see
/// whether it is locked, has it open for reading, however long it is kept from going on.
///
/// Descendants, because some programs close what they inherited before they start others.
pub fn family(path: &Path, root: u32, known: &[Process]) -> Vec<Process> {
    let us = std::process::id();
    let mut others = living();
    others.retain(|process| process.pid != us && process.pid != root);
    let wanted = identity(path);
    let is_holder = |process: &Process| {
        let pid = process.pid;
        wanted.is_some_and(|wanted| has_open(pid, wanted, |number| is_writable(pid, number)))
    };
    let is_seed = |process: &Process| {
        process.parent == root || known.iter().any(|known| known.is(process)) || is_holder(process)
    };
    let (mut found, mut rest): (Vec<_>, Vec<_>) = others.into_iter().partition(is_seed);
    let mut next = 0;
    // Bounded by the number of processes: each is moved once.
    while let Some(parent) = found.get(next).map(|process: &Process| process.pid) {
        let (children, others): (Vec<_>, Vec<_>) = rest
            .into_iter()
            .partition(|process| process.parent == parent);
        found.extend(children);
        rest = others;
        next += 1;
    }
    found
}

fn living() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let process = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let stat = stat(pid).filter(|stat| !stat.has_ended())?;
        Some(Process {
            pid,
            start_ticks: stat.start_ticks,
            parent: stat.parent,
            group: stat.group,
        })
    };
    entries.flatten().filter_map(process).collect()
}

/// Which file it is: device and inode.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.st_dev(), meta.st_ino()))
}

/// Whether it has the file open by a descriptor that is `meant`.
fn has_open(pid: u32, wanted: (u64, u64), meant: impl Fn(&OsStr) -> bool) -> bool {
    let is_wanted = |entry: std::fs::DirEntry| {
        identity(&entry.path()) == Some(wanted) && meant(&entry.file_name())
    };
    std::fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|fds| fds.flatten().any(is_wanted))
}

/// Whether a descriptor of a process was opened for writing; so it is if nobody tells.
fn is_writable(pid: u32, number: &OsStr) -> bool {
    let path = Path::new("/proc")
        .join(pid.to_string())
        .join("fdinfo")
        .join(number);
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok());
    flags.is_none_or(|flags| flags & rustix::fs::OFlags::ACCMODE.bits() != 0)
}

impl Process {
    /// Whether the two are one process, whoever its parent is by now.
    pub fn is(&self, other: &Self) -> bool {
        self.pid == other.pid && self.start_ticks == other.start_ticks
    }

    /// Sends it a signal, if it has not ended.
    pub fn signal(&self, signal: GroupSignal) {
        // Opened first, checked after: the descriptor is of the process that the check sees.
        if let Some(fd) = exit_watch(self.pid, self.start_ticks) {
            rustix::process::pidfd_send_signal(&fd, signal.into()).ok();
        }
    }
}

/// The visible living processes, this one excluded, that were started with the variable `name` set
/// to one of `values`. Who inherited it stays known by it, whatever descriptors it has closed.
pub fn with_variable(name: &str, values: &[&str]) -> Vec<Process> {
    let pairs: Vec<Vec<u8>> = values
        .iter()
        .map(|value| format!("{name}={value}").into_bytes())
        .collect();
    let mut found = living();
    found.retain(|process| {
        let environment = std::fs::read(format!("/proc/{}/environ", process.pid));
        let environment = environment.unwrap_or_default();
        let mut entries = environment.split(|byte| *byte == 0);
        process.pid != std::process::id()
            && entries.any(|entry| pairs.iter().any(|pair| pair == entry))
    });
    found
}

/// A family being killed. A process is stopped when it is first seen and killed when no new one is:
/// none starts another between the look and its end.
#[derive(Debug, Default)]
pub struct Killing {
    stopped: Vec<Process>,
}

impl Killing {
    /// One round over the family that `members` sees when it is given those that were seen before,
    /// which may be no relatives any more since their parents died; returns whether there was any.
    pub fn round(&mut self, members: impl FnOnce(&[Process]) -> Vec<Process>) -> bool {
        let family = members(&self.stopped);
        let is_new = |process: &&Process| !self.stopped.iter().any(|known| known.is(process));
        let new: Vec<Process> = family.iter().filter(is_new).copied().collect();
        let signal = if new.is_empty() {
            GroupSignal::Kill
        } else {
            GroupSignal::Stop
        };
        family.iter().for_each(|process| process.signal(signal));
        self.stopped.extend(new);
        !family.is_empty()
    }

    /// Lets go those that were stopped and are not dead.
    pub fn spare(&self) {
        let go = |process: &Process| process.signal(GroupSignal::Continue);
        self.stopped.iter().for_each(go);
    }
}

/// Kills this process where it stands (for crash points).
pub fn kill_self() -> ! {
    loop {
        rustix::process::kill_process(rustix::process::getpid(), Signal::KILL).ok();
    }
}

/// Sends a signal to the process group that `leader` leads.
pub fn signal_group(leader: u32, signal: GroupSignal) {
    let Some(id) = i32::try_from(leader).ok().and_then(Pid::from_raw) else {
        return;
    };
    // A group that is gone needs no signal.
    rustix::process::kill_process_group(id, signal.into()).ok();
}

/// The signals that are sent to a command's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupSignal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    HangUp,
    /// SIGQUIT.
    Quit,
    /// SIGUSR2.
    User2,
    /// SIGTSTP.
    Suspend,
    /// SIGCONT.
    Continue,
    /// SIGSTOP.
    Stop,
    /// SIGKILL.
    Kill,
}

impl From<GroupSignal> for Signal {
    fn from(signal: GroupSignal) -> Self {
        match signal {
            GroupSignal::Interrupt => Self::INT,
            GroupSignal::Terminate => Self::TERM,
            GroupSignal::HangUp => Self::HUP,
            GroupSignal::Quit => Self::QUIT,
            GroupSignal::User2 => Self::USR2,
            GroupSignal::Suspend => Self::TSTP,
            GroupSignal::Continue => Self::CONT,
            GroupSignal::Stop => Self::STOP,
            GroupSignal::Kill => Self::KILL,
        }
    }
}

/// A second descriptor of `file` with so high a number that no script's own redirection (`9>FILE`)
/// takes its place; closed on exec like all others.
pub fn kept_high(file: &std::fs::File) -> std::io::Result<OwnedFd> {
    // Below 64, where a process's table of descriptors ends at first: for a larger one Linux makes
    // a process with threads wait until all processors have let go of the old (10 ms).
    const HIGH: i32 = 60;
    rustix::io::fcntl_dupfd_cloexec(file, HIGH)
        // So few descriptors are allowed here.
        .or_else(|_| rustix::io::fcntl_dupfd_cloexec(file, 10))
        .map_err(std::io::Error::from)
}

/// A name of an open file, whatever its own is or if it has none: for this process, while it is open.
pub fn path_of(file: &OwnedFd) -> std::path::PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Makes the child of `command` inherit `kept` and end (SIGKILL) when the thread that spawned it
/// does. Everything else stays close-on-exec.
///
/// The parent-death signal follows the *thread*: spawn from one that outlives the child.
#[expect(
    unsafe_code,
    reason = "the parent-death signal can only be set between fork and exec"
)]
pub fn bind_to_us(command: &mut Command, kept: BorrowedFd<'_>) {
    let fd = kept.as_raw_fd();
    let us = rustix::process::getpid();
    // SAFETY: between fork and exec only async-signal-safe system calls are made, on a descriptor
    // that the caller keeps open across spawn(), and nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            if rustix::process::getppid() != Some(us) {
                // We died before the signal was set: nobody holds the lock for this command.
                return Err(std::io::Error::from(rustix::io::Errno::SRCH));
            }
            let fd = BorrowedFd::borrow_raw(fd);
            rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
            Ok(())
        });
    }
}

/// Starts `command`, whose program runs only if `may_run` still says so when its process is there
/// already; `None` if it does not. It is asked from another thread, while the process stands
/// between fork and exec, where whoever looks for what this process started finds it.
///
/// So there is no moment in which this process, suspended, has been told that it may and has
/// started nothing yet.
#[expect(
    unsafe_code,
    reason = "only between fork and exec can a process be held that runs no program yet"
)]
pub fn spawn_if(
    command: &mut Command,
    may_run: impl FnOnce() -> bool + Send,
) -> std::io::Result<Option<Child>> {
    const HERE: u8 = 1;
    const GO: u8 = 2;
    let (ours, theirs) = UnixStream::pair()?;
    let fd = theirs.as_raw_fd();
    // SAFETY: between fork and exec only async-signal-safe system calls are made, on a descriptor
    // that is open until spawn() has returned, and nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            let door = BorrowedFd::borrow_raw(fd);
            let mut answer = [0_u8];
            rustix::io::retry_on_intr(|| rustix::io::write(door, &[HERE]))?;
            rustix::io::retry_on_intr(|| rustix::io::read(door, &mut answer))?;
            if answer == [GO] {
                Ok(())
            } else {
                Err(std::io::Error::from(rustix::io::Errno::CANCELED))
            }
        });
    }
    std::thread::scope(|scope| {
        let asker = std::thread::Builder::new().name("door".to_owned());
        let asker = asker.spawn_scoped(scope, || {
            let mut word = [0_u8];
            let is_there = (&ours).read_exact(&mut word).is_ok() && word == [HERE];
            let may = is_there && may_run();
            // A process that is gone meanwhile runs nothing either.
            (&ours).write_all(&[if may { GO } else { 0 }]).ok();
            is_there && !may
        })?;
        let spawned = command.spawn();
        // Whoever never came to the door is waited for no more.
        (&theirs).write_all(&[0]).ok();
        let is_refused = asker.join().unwrap_or_else(|panic| resume_unwind(panic));
        if is_refused {
            Ok(None)
        } else {
            spawned.map(Some)
        }
    })
}

/// The name of this machine; empty if it has none.
pub fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The user that this process acts as.
pub fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Sends a signal to the process `pid` alone: a child of ours that has not been waited for.
pub fn signal_process(pid: u32, signal: GroupSignal) {
    if let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        rustix::process::kill_process(id, signal.into()).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    /// A shell that has started a program of its own, with `kept` open in both or in neither.
    fn pair(kept: Option<&std::fs::File>) -> (Child, u32) {
        let mut command = Command::new("sh");
        command.args(["-c", "cat & echo $!; cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let file;
        if let Some(kept) = kept {
            file = kept_high(kept).unwrap();
            bind_to_us(&mut command, std::os::fd::AsFd::as_fd(&file));
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        (child, line.trim().parse().unwrap())
    }

    fn end(mut child: Child) {
        let stdin = child.stdin.take().unwrap();
        (&stdin).flush().unwrap();
        drop(stdin);
        child.wait().unwrap();
    }

    #[test]
    fn a_family_is_found_by_its_file_and_by_its_parents() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let pids = |path: &Path, root: u32, known: &[Process]| -> Vec<u32> {
            let family = family(path, root, known);
            family.iter().map(|process| process.pid).collect()
        };
        let nobody = NOBODY;
        let nothing = Path::new("/no/such/file");
        let (first, first_child) = pair(Some(file.as_file()));
        let (other, other_child) = pair(None);
        let found = pids(file.path(), nobody, &[]);
        assert!(found.contains(&first.id()), "{found:?}");
        assert!(!found.contains(&other.id()) && !found.contains(&other_child));
        assert!(!found.contains(&std::process::id()));
        // The child reads from /dev/null and may have ended.
        let below = pids(nothing, other.id(), &[]);
        assert!(!below.contains(&other.id()) && !below.contains(&first_child));
        let known = family(nothing, std::process::id(), &[]);
        let known: Vec<Process> = known
            .into_iter()
            .filter(|process| process.pid == other.id())
            .collect();
        assert_eq!(known.len(), 1);
        assert!(pids(nothing, nobody, &known).contains(&other.id()));
        let mut stale = known.clone();
        stale[0].start_ticks += 1;
        assert_eq!(pids(nothing, nobody, &stale), Vec::<u32>::new());
        end(first);
        end(other);
    }

    /// Whoever waits looks at owner files, and may be suspended with one open.
    #[test]
    fn who_looks_at_a_file_is_not_of_the_family_that_has_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let reads = std::fs::File::open(file.path()).unwrap();
        let started = |file: std::fs::File| {
            let mut command = Command::new("sleep");
            command.arg("1000").stdin(file).spawn().unwrap()
        };
        let mut looker = started(reads);
        let mut member = started(file.reopen().unwrap());
        let found = family(file.path(), NOBODY, &[]);
        let found: Vec<u32> = found.iter().map(|process| process.pid).collect();
        let all = with_open(file.path());
        for child in [&mut looker, &mut member] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(found.contains(&member.id()), "{found:?}");
        assert!(!found.contains(&looker.id()), "{found:?}");
        assert!(all.contains(&looker.id()) && all.contains(&member.id()));
    }

    #[test]
    fn a_process_is_itself_only_with_its_start() {
        let us = std::process::id();
        let start = stat(us).unwrap().start_ticks;
        assert!(is_running(us, start));
        assert!(!is_running(us, start + 1));
        assert!(!is_running(u32::MAX, start));
        assert!(exit_watch(us, start).is_some());
        assert!(exit_watch(us, start + 1).is_none());
    }
}
