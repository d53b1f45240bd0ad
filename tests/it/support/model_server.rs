//! A model's endpoint of our own: a real HTTP server that plays recorded replies byte by byte, and
//! holds, cuts, drips, corrupts or repeats them at any chosen byte.
//!
//! It plays one [`Answer`] a connection, in order, the last one for ever, and keeps what was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use serde_json::Value;

use super::watchdog::LIMIT;

/// How a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// In chunks of at most so many bytes.
    Chunked(usize),
    /// With its length announced.
    Length,
    /// Up to the connection's end.
    Close,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// In order: chunks are terminated (a length that was announced is not kept).
    Clean,
    /// The connection is closed, the last chunk not terminated.
    Unterminated,
    /// The connection is reset.
    Reset,
}

/// What is played to one connection.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    framing: Framing,
    body: Vec<u8>,
    cut: Option<(usize, Cut)>,
    hold: Option<(usize, Theirs)>,
    drip: Option<Duration>,
    /// The body is played so often, one after the other.
    times: usize,
    /// What is sent in place of any HTTP.
    raw: Option<Vec<u8>>,
}

impl Answer {
    /// 200 with an event stream in chunks.
    pub(crate) fn stream(body: impl Into<Vec<u8>>) -> Self {
        Self::of(200, "text/event-stream", body)
    }

    /// A body with a status and a media type; chunked.
    pub(crate) fn of(status: u16, media: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), media.to_owned())],
            framing: Framing::Chunked(4096),
            body: body.into(),
            cut: None,
            hold: None,
            drip: None,
            times: 1,
            raw: None,
        }
    }

    /// An error with a JSON body.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        let body = serde_json::json!({"error": {"message": message}});
        Self::of(status, "application/json", body.to_string())
    }

    /// These bytes and nothing else.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        let mut answer = Self::stream("");
        answer.raw = Some(bytes.into());
        answer
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn framed(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Ends after `at` bytes of the body.
    pub(crate) fn cut(mut self, at: usize, how: Cut) -> Self {
        self.cut = Some((at, how));
        self
    }

    /// Waits before byte `at` of the body until the test lets it go on.
    pub(crate) fn hold(mut self, at: usize) -> (Self, Hold) {
        let (reached, is_reached) = crossbeam_channel::bounded(1);
        let (go, goes) = crossbeam_channel::bounded(1);
        self.hold = Some((at, Theirs { reached, goes }));
        (self, Hold { is_reached, go })
    }

    /// One byte at a time, with a pause after each.
    pub(crate) fn drip(mut self, pause: Duration) -> Self {
        self.drip = Some(pause);
        self.framing = Framing::Chunked(1);
        self
    }

    /// Plays the body so often.
    pub(crate) fn repeated(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Plays these bytes of the body twice.
    pub(crate) fn duplicated(mut self, range: std::ops::Range<usize>) -> Self {
        let again = self.body[range.clone()].to_vec();
        self.body.splice(range.end..range.end, again);
        self
    }

    /// Replaces the byte at `at` of the body.
    pub(crate) fn corrupted(mut self, at: usize, byte: u8) -> Self {
        self.body[at] = byte;
        self
    }
}

/// The test's hand on a stream that waits.
pub(crate) struct Hold {
    is_reached: Receiver<()>,
    go: Sender<()>,
}

impl Hold {
    /// Waits until the byte is about to be sent, and all before it were.
    #[track_caller]
    pub(crate) fn reached(&self) {
        self.is_reached.recv_timeout(LIMIT).unwrap();
    }

    /// Lets the stream go on.
    pub(crate) fn release(&self) {
        // The connection may be gone.
        self.go.try_send(()).ok();
    }
}

#[derive(Debug, Clone)]
struct Theirs {
    reached: Sender<()>,
    goes: Receiver<()>,
}

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Asked {
    /// A header's value, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The server; it ends when dropped.
pub(crate) struct ModelServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    is_over: Arc<AtomicBool>,
}

impl ModelServer {
    /// Plays these answers, one a connection, the last one for ever.
    pub(crate) fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: Vec<Answer> = answers.into_iter().collect();
        assert!(!answers.is_empty());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            is_over: Arc::default(),
        };
        let (asked, is_over) = (Arc::clone(&server.asked), Arc::clone(&server.is_over));
        std::thread::Builder::new()
            .name("model server".to_owned())
            .spawn(move || {
                for (number, connection) in listener.incoming().enumerate() {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    let answer = answers[number.min(answers.len() - 1)].clone();
                    let asked = Arc::clone(&asked);
                    let Ok(connection) = connection else { return };
                    std::thread::spawn(move || serve(&connection, &answer, &asked));
                }
            })
            .unwrap();
        server
    }

    /// The base URL for OpenAI's dialect.
    pub(crate) fn base(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        TcpStream::connect(self.address).ok();
    }
}

/// Whoever closes in the middle is no failure of the server's, so errors only end a connection.
fn serve(connection: &TcpStream, answer: &Answer, asked: &Mutex<Vec<Asked>>) -> Option<()> {
    connection.set_read_timeout(Some(LIMIT)).ok()?;
    connection.set_write_timeout(Some(LIMIT)).ok()?;
    connection.set_nodelay(true).ok()?;
    let request = read_request(connection)?;
    asked.lock().unwrap().push(request);
    let how = play(connection, answer)?;
    if how == Cut::Reset {
        rustix::net::sockopt::set_socket_linger(connection, Some(Duration::ZERO)).ok()?;
    } else {
        connection.shutdown(std::net::Shutdown::Write).ok()?;
        // A connection closed over unread input would be reset: whatever comes is read first.
        std::io::copy(&mut &*connection, &mut std::io::sink()).ok()?;
    }
    Some(())
}

fn read_request(connection: &TcpStream) -> Option<Asked> {
    let mut input = BufReader::new(connection);
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    // A proxy's CONNECT has none.
    let length = length.and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    input.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Asked {
        path,
        headers,
        body,
    })
}

fn play(mut connection: &TcpStream, answer: &Answer) -> Option<Cut> {
    if let Some(raw) = &answer.raw {
        connection.write_all(raw).ok()?;
        return Some(Cut::Unterminated);
    }
    let length = answer.body.len() * answer.times;
    let framing = match answer.framing {
        Framing::Chunked(_) => "transfer-encoding: chunked".to_owned(),
        Framing::Length => format!("content-length: {length}"),
        Framing::Close => "connection: close".to_owned(),
    };
    let mut head = vec![format!("HTTP/1.1 {} Some Words", answer.status)];
    head.extend(
        answer
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}")),
    );
    head.extend([framing, String::new(), String::new()]);
    let head = head.join("\r\n");
    connection.write_all(head.as_bytes()).ok()?;
    let piece = match answer.framing {
        Framing::Chunked(size) => size,
        Framing::Length | Framing::Close => 4096,
    };
    let cut = answer.cut.map_or(length, |(at, _)| at);
    let held = answer.hold.as_ref().map_or(usize::MAX, |(at, _)| *at);
    for _ in 0..answer.times {
        let mut at = 0;
        let end = cut.min(answer.body.len());
        loop {
            if let Some((_, theirs)) = answer.hold.as_ref().filter(|_| at == held) {
                theirs.reached.try_send(()).ok();
                theirs.goes.recv_timeout(LIMIT).ok()?;
            }
            if at == end {
                break;
            }
            let mut next = (at + piece).min(end);
            if at < held {
                next = next.min(held);
            }
            send(&mut connection, answer.framing, &answer.body[at..next])?;
            at = next;
            if let Some(pause) = answer.drip {
                std::thread::sleep(pause);
            }
        }
    }
    let how = answer.cut.map_or(Cut::Clean, |(_, how)| how);
    if matches!(answer.framing, Framing::Chunked(_)) && how == Cut::Clean {
        connection.write_all(b"0\r\n\r\n").ok()?;
    }
    Some(how)
}

fn send(connection: &mut &TcpStream, framing: Framing, bytes: &[u8]) -> Option<()> {
    if bytes.is_empty() {
        return Some(());
    }
    if matches!(framing, Framing::Chunked(_)) {
        let head = format!("{:x}\r\n", bytes.len());
        let chunk = [head.as_bytes(), bytes, b"\r\n"].concat();
        return connection.write_all(&chunk).ok();
    }
    connection.write_all(bytes).ok()
}
