//! A command whose system calls are counted, and one of them made its last or made to fail.
//!
//! strace can do the same to one thread: its counters are per thread and per call, and an apply has
//! two threads at work, so that many calls could not be named. Here they are numbered as they come,
//! whichever thread makes them.
#![expect(unsafe_code, reason = "ptrace has no safe interface")]

use std::collections::HashMap;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use libc::{c_int, c_long, pid_t};

use super::acts::{Act, Fault, Traced};
use crate::support::Sandbox;

impl Fault {
    fn errno(self) -> c_int {
        match self {
            Self::Broken => libc::EIO,
            Self::Full => libc::ENOSPC,
        }
    }
}

/// Runs `plandex ARGS…` and does `act` to it; `None` where nothing may be traced.
pub(super) fn trace(sandbox: &Sandbox, args: &[&str], act: Act) -> Option<Traced> {
    let said = sandbox.place().join("tmp/traced");
    let output = File::create(&said).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_plandex"));
    command.args(args).current_dir(sandbox.root());
    sandbox.isolate(&mut command);
    command
        .stdin(std::process::Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output);
    // SAFETY: one system call, which is safe after a fork.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    let child = match command.spawn() {
        Ok(child) => pid_t::try_from(child.id()).unwrap(),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return None,
        Err(error) => panic!("cannot start plandex: {error}"),
    };
    let mut tracer = Tracer {
        act,
        calls: Vec::new(),
        inside: HashMap::new(),
        child,
    };
    let status = tracer.follow();
    Some(Traced {
        calls: tracer.calls,
        status,
        output: String::from_utf8_lossy(&std::fs::read(&said).unwrap()).into_owned(),
    })
}

/// What is to happen when the call ends that a thread is in.
#[derive(Clone, Copy)]
enum AtExit {
    Nothing,
    Kill,
    Fail(c_int),
}

struct Tracer {
    act: Act,
    calls: Vec<String>,
    /// By thread.
    inside: HashMap<pid_t, AtExit>,
    child: pid_t,
}

/// Where a thread's registers are, in bytes.
const RAX: c_long = 10 * 8;
const ORIG_RAX: c_long = 15 * 8;

const SYSCALL_STOP: c_int = libc::SIGTRAP | 0x80;

impl Tracer {
    /// Lets it run to its end, stopping at every call.
    fn follow(&mut self) -> ExitStatus {
        let options = libc::PTRACE_O_TRACESYSGOOD
            | libc::PTRACE_O_EXITKILL
            | libc::PTRACE_O_TRACECLONE
            | libc::PTRACE_O_TRACEFORK
            | libc::PTRACE_O_TRACEVFORK;
        let mut is_new = true;
        loop {
            let mut status = 0;
            // Children of this thread only: those of other tests are not ours to reap.
            let flags = libc::__WALL | libc::__WNOTHREAD;
            // SAFETY: `status` is ours to write to.
            let tid = unsafe { libc::waitpid(-1, &raw mut status, flags) };
            assert!(tid > 0, "waiting: {}", std::io::Error::last_os_error());
            if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
                if tid == self.child {
                    return ExitStatus::from_raw(status);
                }
                continue;
            }
            if is_new {
                ask(libc::PTRACE_SETOPTIONS, tid, 0, options.into());
                is_new = false;
            }
            let signal = match libc::WSTOPSIG(status) {
                SYSCALL_STOP => {
                    self.at_call(tid);
                    0
                }
                // An event, an exec, or a thread that begins.
                libc::SIGTRAP | libc::SIGSTOP => 0,
                signal => signal,
            };
            ask(libc::PTRACE_SYSCALL, tid, 0, signal.into());
        }
    }

    fn at_call(&mut self, tid: pid_t) {
        let Some(info) = look(tid) else { return };
        match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => {
                // SAFETY: the kernel says which of the three it is.
                let entry = unsafe { info.u.entry };
                let at_exit = match shown(tid, entry.nr.cast_signed(), &entry.args) {
                    Some(call) => self.enter(tid, call),
                    None => AtExit::Nothing,
                };
                self.inside.insert(tid, at_exit);
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => match self.inside.remove(&tid) {
                Some(AtExit::Kill) => self.kill(),
                Some(AtExit::Fail(errno)) => {
                    ask(libc::PTRACE_POKEUSER, tid, RAX, -c_long::from(errno));
                }
                Some(AtExit::Nothing) | None => {}
            },
            _ => {}
        }
    }

    fn enter(&mut self, tid: pid_t, call: String) -> AtExit {
        self.calls.push(call);
        let here = self.calls.len();
        let fail = |fault: Fault| {
            // A call of no number does nothing; what it returns is set at its end.
            ask(libc::PTRACE_POKEUSER, tid, ORIG_RAX, -1);
            AtExit::Fail(fault.errno())
        };
        match self.act {
            Act::KillBefore(at) if at == here => {
                self.kill();
                AtExit::Nothing
            }
            Act::KillAfter(at) if at == here => AtExit::Kill,
            Act::Fail(at, fault) if at == here => fail(fault),
            Act::FailFrom(at, fault) if at <= here => fail(fault),
            Act::Watch
            | Act::KillBefore(_)
            | Act::KillAfter(_)
            | Act::Fail(..)
            | Act::FailFrom(..) => AtExit::Nothing,
        }
    }

    /// A call that a killed thread was about to make is not made.
    fn kill(&self) {
        // SAFETY: a signal to our own child.
        unsafe { libc::kill(self.child, libc::SIGKILL) };
    }
}

/// A request whose failure means that the thread was killed meanwhile.
fn ask(request: libc::c_uint, tid: pid_t, address: c_long, value: c_long) {
    // SAFETY: none of the requests made here writes to this process.
    unsafe { libc::ptrace(request, tid, address, value) };
}

fn look(tid: pid_t) -> Option<libc::ptrace_syscall_info> {
    let mut info = MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
    let size = size_of::<libc::ptrace_syscall_info>();
    // SAFETY: `info` has room for `size` bytes, and zeroes are a value of it.
    unsafe {
        let request = libc::PTRACE_GET_SYSCALL_INFO;
        let length = libc::ptrace(request, tid, size, info.as_mut_ptr());
        (length > 0).then(|| info.assume_init())
    }
}

/// Where a call has the path or the descriptor that it changes.
enum At {
    /// A descriptor in this argument.
    Fd(usize),
    /// A path in this argument.
    Path(usize),
    /// A path in the second argument, if the flags in this one create or truncate.
    Opening { path: usize, flags: usize },
    /// A path in the second argument, and a structure with the flags in the third.
    OpeningAt2,
}

fn place_of(call: c_long) -> Option<(&'static str, At)> {
    Some(match call {
        libc::SYS_write => ("write", At::Fd(0)),
        libc::SYS_pwrite64 => ("pwrite64", At::Fd(0)),
        libc::SYS_writev => ("writev", At::Fd(0)),
        libc::SYS_pwritev => ("pwritev", At::Fd(0)),
        libc::SYS_pwritev2 => ("pwritev2", At::Fd(0)),
        libc::SYS_copy_file_range => ("copy_file_range", At::Fd(2)),
        libc::SYS_sendfile => ("sendfile", At::Fd(0)),
        libc::SYS_ftruncate => ("ftruncate", At::Fd(0)),
        libc::SYS_fallocate => ("fallocate", At::Fd(0)),
        libc::SYS_fsync => ("fsync", At::Fd(0)),
        libc::SYS_fdatasync => ("fdatasync", At::Fd(0)),
        libc::SYS_syncfs => ("syncfs", At::Fd(0)),
        libc::SYS_sync_file_range => ("sync_file_range", At::Fd(0)),
        libc::SYS_fchmod => ("fchmod", At::Fd(0)),
        libc::SYS_fchown => ("fchown", At::Fd(0)),
        libc::SYS_fsetxattr => ("fsetxattr", At::Fd(0)),
        libc::SYS_truncate => ("truncate", At::Path(0)),
        libc::SYS_chmod => ("chmod", At::Path(0)),
        libc::SYS_chown => ("chown", At::Path(0)),
        libc::SYS_mkdir => ("mkdir", At::Path(0)),
        libc::SYS_rmdir => ("rmdir", At::Path(0)),
        libc::SYS_unlink => ("unlink", At::Path(0)),
        libc::SYS_rename => ("rename", At::Path(1)),
        libc::SYS_link => ("link", At::Path(1)),
        libc::SYS_symlink => ("symlink", At::Path(1)),
        libc::SYS_creat => ("creat", At::Path(0)),
        libc::SYS_mknod => ("mknod", At::Path(0)),
        libc::SYS_fchmodat => ("fchmodat", At::Path(1)),
        libc::SYS_fchownat => ("fchownat", At::Path(1)),
        libc::SYS_mkdirat => ("mkdirat", At::Path(1)),
        libc::SYS_mknodat => ("mknodat", At::Path(1)),
        libc::SYS_unlinkat => ("unlinkat", At::Path(1)),
        libc::SYS_utimensat => ("utimensat", At::Path(1)),
        libc::SYS_renameat => ("renameat", At::Path(3)),
        libc::SYS_renameat2 => ("renameat2", At::Path(3)),
        libc::SYS_linkat => ("linkat", At::Path(3)),
        libc::SYS_symlinkat => ("symlinkat", At::Path(2)),
        libc::SYS_open => ("open", At::Opening { path: 0, flags: 1 }),
        libc::SYS_openat => ("openat", At::Opening { path: 1, flags: 2 }),
        libc::SYS_openat2 => ("openat2", At::OpeningAt2),
        _ => return None,
    })
}

/// "renameat2 a.txt", if the call changes something that outlives the process.
fn shown(tid: pid_t, call: c_long, args: &[u64; 6]) -> Option<String> {
    let (name, at) = place_of(call)?;
    let creates = |flags: u64| {
        let creating = libc::O_CREAT | libc::O_TRUNC;
        flags & u64::from(creating.cast_unsigned()) != 0
    };
    let place = match at {
        At::Fd(argument) => {
            let fd = args[argument];
            let target = PathBuf::from(format!("/proc/{tid}/fd/{fd}"));
            // Not what it says to people, nor a pipe.
            if fd <= 2
                || !target
                    .metadata()
                    .is_ok_and(|is| is.is_file() || is.is_dir())
            {
                return None;
            }
            let target = std::fs::read_link(target).unwrap_or_default();
            target.to_string_lossy().into_owned()
        }
        At::Path(argument) => text(tid, args[argument]),
        At::Opening { flags, .. } if !creates(args[flags]) => return None,
        At::Opening { path, .. } => text(tid, args[path]),
        At::OpeningAt2 if !creates(word(tid, args[2])) => return None,
        At::OpeningAt2 => text(tid, args[1]),
    };
    let end = place.rsplit('/').next().unwrap_or_default();
    Some(format!("{name} {end}"))
}

fn read(tid: pid_t, at: u64, into: &mut [u8]) -> usize {
    let memory = File::open(format!("/proc/{tid}/mem"));
    memory
        .and_then(|memory| memory.read_at(into, at))
        .unwrap_or(0)
}

fn word(tid: pid_t, at: u64) -> u64 {
    let mut bytes = [0; 8];
    read(tid, at, &mut bytes);
    u64::from_ne_bytes(bytes)
}

fn text(tid: pid_t, at: u64) -> String {
    let mut bytes = [0; 512];
    let length = read(tid, at, &mut bytes);
    let end = bytes[..length].iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(length)]).into_owned()
}
