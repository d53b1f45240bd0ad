//! A program that reads the prompt on its standard input and prints the reply.
//!
//! Its exit code is all that it can say about the end: 0 after the last byte is `stop`, anything
//! else a failure whose words are the end of its standard error. It has a process group of its own,
//! so that what it started ends with it, and it dies with us.

use std::fs::File;
use std::io::{ErrorKind, Read, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use tempfile::NamedTempFile;

use super::ask::Asked;
use super::endpoint::{Chosen, Program, Words};
use super::failure::shown;
use super::hear::Gone;
use super::plain::Plain;
use super::reply::Utf8;
use super::{Delta, Finish, Finished, Kind, Limits, Message, ModelError, Phase, Request};
use crate::platform::cancel::Cancel;
use crate::platform::process::{self, GroupSignal};
use crate::platform::{threads, wait};

/// The longest reply, in bytes.
const REPLY_MAX: usize = 64 << 20;
/// How much of the end of its standard error is kept, in bytes.
const TAIL: usize = 2 << 10;
/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long output may follow the end of the program, from what it left behind.
const AFTER_END: Duration = Duration::from_secs(1);
/// How long what it said on standard error is waited for after its end.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// The deepest nesting of commands that ask plandex, which asks a command, …
const DEPTH_MAX: u32 = 3;

/// The conversation as one text, for a program without roles.
pub fn render(messages: &[Message]) -> String {
    let parts: Vec<String> = messages
        .iter()
        .map(|message| format!("# {}\n\n{}\n", message.role.word(), message.content))
        .collect();
    parts.join("\n")
}

/// Runs `program` to its end.
pub(super) fn ask(
    program: &Program,
    chosen: &Chosen,
    request: &Request,
    cancel: &Cancel,
    deltas: &Sender<Delta>,
) -> Asked {
    if program.depth >= DEPTH_MAX {
        let message = format!(
            "{} runs below {} commands of plandex's already, and is not run below one more",
            program.shown(),
            program.depth
        );
        return Ok(Err(ModelError::new(Kind::Command, message)));
    }
    let host = program.shown();
    send(deltas, Delta::Phase(Phase::Connecting { host }))?;
    let running = match Running::start(program, request, deltas) {
        Ok(running) => running,
        Err(error) => {
            let message = format!("cannot run {}: {error}", program.shown());
            return Ok(Err(ModelError::new(Kind::Command, message)));
        }
    };
    send(deltas, Delta::Phase(Phase::Waiting)).inspect_err(|_| running.end())?;
    let heard = running.listen(&chosen.limits, cancel, deltas);
    running.conclude(heard, program, cancel)
}

fn send(deltas: &Sender<Delta>, delta: Delta) -> Result<(), Gone> {
    deltas.send(delta).map_err(|_| Gone)
}

/// The program, and what reads and writes beside it.
struct Running {
    child: Child,
    pid: u32,
    stdout: ChildStdout,
    exit: Option<OwnedFd>,
    /// Gives the end of what the program said on standard error.
    errors: JoinHandle<Vec<u8>>,
    /// Removed when this is dropped.
    _request: NamedTempFile,
}

/// Why listening ended.
enum Heard {
    /// The output is over; how many bytes there were.
    End(usize),
    Failed(ModelError),
    Gone,
}

impl Running {
    fn start(
        program: &Program,
        request: &Request,
        deltas: &Sender<Delta>,
    ) -> std::io::Result<Self> {
        let json = serde_json::to_vec(&serde_json::json!({"messages": request.messages}))?;
        // Made with mode 0600.
        let mut file = NamedTempFile::with_prefix("plandex-request-")?;
        file.write_all(&json)?;
        let mut command = match &program.words {
            Words::Shell(line) => {
                let mut command = Command::new("sh");
                command.arg("-c").arg(line);
                command
            }
            Words::Argv(words) => {
                let mut words = words.iter();
                let first = words.next().ok_or(ErrorKind::InvalidInput)?;
                let mut command = Command::new(first);
                command.args(words);
                command
            }
        };
        command
            .current_dir(&program.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("PLANDEX_PLAN", &request.plan)
            .env("PLANDEX_BRANCH", &request.branch)
            .env("PLANDEX_REQUEST_JSON", file.path())
            .env("PLANDEX_DEPTH", (program.depth + 1).to_string())
            .process_group(0);
        let kept = process::kept_high(file.as_file())?;
        process::bind_to_us(&mut command, kept.as_fd());
        let mut child = command.spawn()?;
        let missing = || std::io::Error::from(ErrorKind::BrokenPipe);
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let prompt = render(&request.messages);
        // Its own thread: a prompt is longer than a pipe, and the program may print first.
        named("prompt", move || {
            let mut stdin = stdin;
            // A program that does not read its prompt to the end is not at fault.
            stdin.write_all(prompt.as_bytes()).ok();
        })?;
        let deltas = deltas.clone();
        let errors = named("command errors", move || pass_on(stderr, &deltas))?;
        Ok(Self {
            pid: child.id(),
            exit: process::end_of(&child),
            child,
            stdout,
            errors,
            _request: file,
        })
    }

    /// Passes the output on until it ends.
    fn listen(&self, limits: &Limits, cancel: &Cancel, deltas: &Sender<Delta>) -> Heard {
        let _waits = threads::waits("more of the command's reply");
        let mut output = Output::default();
        let mut deadline = Instant::now() + limits.first_byte;
        let mut has_ended = false;
        let mut buffer = vec![0_u8; 32 << 10];
        // Bounded by the deadline, which only output moves.
        loop {
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            if left.is_zero() {
                return if has_ended {
                    output.end()
                } else {
                    too_late(output.bytes, limits)
                };
            }
            let mut watched = vec![self.stdout.as_fd(), cancel.as_fd()];
            watched.extend(
                self.exit
                    .as_ref()
                    .filter(|_| !has_ended)
                    .map(|fd| fd.as_fd()),
            );
            let ready = match wait::readable(&watched, left) {
                Ok(ready) => ready,
                Err(error) => return Heard::Failed(failed(format!("{error:#}"))),
            };
            if cancel.is_set() {
                return Heard::Gone;
            }
            if ready.get(2) == Some(&true) {
                has_ended = true;
                deadline = deadline.min(now + AFTER_END);
            }
            if ready.first() != Some(&true) {
                continue;
            }
            let read = match (&self.stdout).read_some(&mut buffer) {
                Ok(0) => return output.end(),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Heard::Failed(failed(error.to_string())),
            };
            match output.take(&buffer[..read], deltas) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Heard::Failed(error),
                Err(Gone) => return Heard::Gone,
            }
            let limit = if has_ended { AFTER_END } else { limits.idle };
            deadline = Instant::now() + limit;
        }
    }

    /// Ends the program if it has not ended, and judges.
    fn conclude(mut self, heard: Heard, program: &Program, cancel: &Cancel) -> Asked {
        let is_over = matches!(heard, Heard::End(_));
        if !is_over {
            self.end();
        }
        let status = self.wait(cancel);
        let bytes = match heard {
            Heard::Gone => return Err(Gone),
            Heard::Failed(error) => return Ok(Err(error)),
            Heard::End(bytes) => bytes,
        };
        if cancel.is_set() {
            return Err(Gone);
        }
        // Its last words come before its end; a daemon that keeps the pipe is not waited for.
        let until = Instant::now() + LAST_WORDS;
        while !self.errors.is_finished() && Instant::now() < until {
            // With nothing to hear, this is a pause.
            wait::readable(&[], Duration::from_millis(2)).ok();
        }
        let tail = if self.errors.is_finished() {
            self.errors.join().unwrap_or_default()
        } else {
            Vec::new()
        };
        let words = Plain::default().push(&String::from_utf8_lossy(&tail));
        let name = program.shown();
        let mut error = match status {
            Some(status) if status.success() && bytes > 0 => {
                return Ok(Ok(Finished {
                    finish: Finish::Stop,
                    usage: None,
                    provenance: format!("command:{name}"),
                }));
            }
            Some(status) if status.success() => {
                ModelError::new(Kind::Empty, format!("{name} printed no reply"))
            }
            status => failed(format!("{name} {}: {}", ended(status), last_words(&words))),
        };
        error.partial = bytes > 0;
        Ok(Err(error))
    }

    /// TERM to all of the group, and KILL to what is left of it.
    fn end(&self) {
        process::signal_group(self.pid, GroupSignal::Terminate);
        if let Some(exit) = &self.exit {
            // Not reaped yet, so the group's number is still its own.
            wait::readable(&[exit.as_fd()], GRACE).ok();
        }
        process::signal_group(self.pid, GroupSignal::Kill);
    }

    /// The exit status; a program that closed its output but does not end is ended.
    fn wait(&mut self, cancel: &Cancel) -> Option<ExitStatus> {
        if let Some(exit) = &self.exit {
            let watched = [exit.as_fd(), cancel.as_fd()];
            let ready = wait::readable(&watched, GRACE).unwrap_or_default();
            if ready.first() != Some(&true) {
                self.end();
            }
        }
        self.child.wait().ok()
    }
}

/// What was printed so far.
#[derive(Default)]
struct Output {
    decoder: Utf8,
    plain: Plain,
    bytes: usize,
    /// Bytes of plain text.
    text: usize,
}

impl Output {
    fn take(
        &mut self,
        bytes: &[u8],
        deltas: &Sender<Delta>,
    ) -> Result<Result<(), ModelError>, Gone> {
        self.bytes += bytes.len();
        if self.bytes > REPLY_MAX {
            let mut error = failed(format!("the reply is longer than {REPLY_MAX} bytes"));
            error.partial = true;
            return Ok(Err(error));
        }
        let text = match self.decoder.push(bytes) {
            Ok(text) => self.plain.push(&text),
            Err(error) => return Ok(Err(self.not_text(&error))),
        };
        if text.is_empty() {
            return Ok(Ok(()));
        }
        if self.text == 0 {
            send(deltas, Delta::Phase(Phase::Streaming))?;
        }
        self.text += text.len();
        send(deltas, Delta::Text(text)).map(Ok)
    }

    fn not_text(&self, error: &anyhow::Error) -> ModelError {
        let mut error = ModelError::new(Kind::Protocol, error.to_string());
        error.partial = self.text > 0;
        error
    }

    fn end(&self) -> Heard {
        match self.decoder.finish() {
            Ok(()) => Heard::End(self.text),
            Err(error) => Heard::Failed(self.not_text(&error)),
        }
    }
}

/// Reads of a shared handle.
trait ReadSome {
    fn read_some(&self, buffer: &mut [u8]) -> std::io::Result<usize>;
}

impl ReadSome for &ChildStdout {
    fn read_some(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
        Ok(rustix::io::read(self, buffer)?)
    }
}

fn named<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
}

/// Passes what the program says on, line by line, and keeps the end of it.
fn pass_on(stderr: ChildStderr, deltas: &Sender<Delta>) -> Vec<u8> {
    let mut stderr = File::from(OwnedFd::from(stderr));
    let mut plain = Plain::default();
    let mut line = String::new();
    let mut tail = Vec::new();
    let mut buffer = vec![0_u8; 4 << 10];
    // Ends with the program, and with whatever it left that keeps the pipe.
    while let Ok(read @ 1..) = stderr.read(&mut buffer) {
        tail.extend_from_slice(&buffer[..read]);
        tail.drain(..tail.len().saturating_sub(TAIL));
        line.push_str(&plain.push(&String::from_utf8_lossy(&buffer[..read])));
        while let Some(end) = line
            .find('\n')
            .or_else(|| (line.len() > TAIL).then(|| line.len() - 1))
        {
            let rest = line.split_off(line.floor_char_boundary(end + 1));
            let said = std::mem::replace(&mut line, rest);
            let words = said.trim_end().to_owned();
            if deltas
                .send(Delta::Phase(Phase::CommandSays { words }))
                .is_err()
            {
                return tail;
            }
        }
    }
    if !line.trim().is_empty() {
        let words = line.trim_end().to_owned();
        deltas.send(Delta::Phase(Phase::CommandSays { words })).ok();
    }
    tail
}

fn failed(message: impl Into<String>) -> ModelError {
    ModelError::new(Kind::Command, message)
}

fn too_late(bytes: usize, limits: &Limits) -> Heard {
    let limit = if bytes == 0 {
        limits.first_byte
    } else {
        limits.idle
    };
    let message = format!("the command printed nothing for {} s", limit.as_secs_f64());
    let mut error = ModelError::new(Kind::Timeout, message);
    error.partial = bytes > 0;
    Heard::Failed(error)
}

fn ended(status: Option<ExitStatus>) -> String {
    match status.map(|status| (status.code(), status.signal())) {
        Some((Some(code), _)) => format!("ended with exit code {code}"),
        Some((None, Some(signal))) => format!("was ended by signal {signal}"),
        Some((None, None)) | None => "ended in an unknown way".to_owned(),
    }
}

fn last_words(tail: &str) -> String {
    if tail.trim().is_empty() {
        "it said nothing".to_owned()
    } else {
        shown(tail, 500)
    }
}
