//! What a reply costs on its way: its events, its chunks, and the memory for a long one.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use plandex::model::sse::Parser;
use plandex::model::{
    self, Chosen, Delta, Dialect, Endpoint, MaxTokensField, Message, Provider, Request, Role,
};
use plandex::platform::cancel::Cancel;
use plandex::platform::process;

use super::commands::{git_commit, ten_files};
use super::figure::{Figure, Sample, Wanted};
use super::place::{Place, micros, now};

/// How much of a stream arrives at once.
const READ: usize = 16 << 10;

/// A stream of at least so many bytes, in chunks of four characters, as servers send them.
fn stream(bytes: usize) -> Vec<u8> {
    let chunk = "data: {\"id\":\"chatcmpl-4711\",\"object\":\"chat.completion.chunk\",\
        \"created\":1795417200,\"model\":\"some-model\",\"choices\":[{\"index\":0,\"delta\":\
        {\"content\":\"abc\\n\"},\"finish_reason\":null}]}\n\n";
    let mut stream = chunk.repeat(bytes.div_ceil(chunk.len()));
    stream.push_str("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
    stream.push_str("data: [DONE]\n\n");
    stream.into_bytes()
}

fn megabytes_per_second(bytes: usize, begun: Instant) -> f64 {
    bytes as f64 / 1e6 / begun.elapsed().as_secs_f64()
}

/// Events out of bytes, beside looking for the line ends alone.
pub(crate) fn parser(place: &Place) -> Vec<Figure> {
    let bytes = stream(32 << 20);
    let (mut ours, mut lines, mut json) = (Sample::new(), Sample::new(), Sample::new());
    for _ in 0..place.count(10) {
        let begun = Instant::now();
        let (mut parser, mut events) = (Parser::default(), 0_usize);
        for piece in bytes.chunks(READ) {
            parser.push(piece, &mut |_| events += 1).unwrap();
        }
        assert!(events > 1000);
        ours.push(megabytes_per_second(bytes.len(), begun));

        let begun = Instant::now();
        let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(ends, 2 * events);
        lines.push(megabytes_per_second(bytes.len(), begun));

        let begun = Instant::now();
        let text = std::str::from_utf8(&bytes).unwrap();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: {"));
        let parsed = data.filter(|rest| {
            let chunk = ["{", rest].concat();
            serde_json::from_str::<serde_json::Value>(&chunk).is_ok()
        });
        assert_eq!(parsed.count(), events - 1);
        json.push(megabytes_per_second(bytes.len(), begun));
    }
    let figure = |yardstick, theirs, wanted| {
        Figure::medians(
            "events of a stream",
            "MB/s",
            &ours,
            yardstick,
            theirs,
            wanted,
        )
    };
    vec![
        figure("counting its line ends", &lines, Wanted::AtLeast(0.1)),
        figure("its chunks parsed as JSON", &json, Wanted::AtLeast(2.0)),
    ]
}

/// A whole reply over a loopback connection, beside reading the same bytes and doing nothing.
pub(crate) fn reply(place: &Place) -> Vec<Figure> {
    let bytes = Arc::new(stream(32 << 20));
    let address = serve(&bytes);
    let (mut ours, mut bare) = (Sample::new(), Sample::new());
    for _ in 0..place.count(10) {
        let begun = Instant::now();
        assert!(listen(address, &mut |_| {}) > 100_000);
        ours.push(megabytes_per_second(bytes.len(), begun));
        let begun = Instant::now();
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(b"POST / HTTP/1.1\r\n\r\n").unwrap();
        let mut buffer = vec![0; READ];
        let mut read = 0;
        while let Ok(more @ 1..) = connection.read(&mut buffer) {
            read += more;
        }
        assert!(read > bytes.len());
        bare.push(megabytes_per_second(bytes.len(), begun));
    }
    let wanted = Wanted::AtLeast(0.02);
    let name = "a reply in chunks of 4 bytes";
    vec![Figure::medians(
        name,
        "MB/s",
        &ours,
        "reading its bytes",
        &bare,
        wanted,
    )]
}

/// The memory that grows while 64 MB of a stream pass, beside the stream.
pub(crate) fn streaming(_: &Place) -> Vec<Figure> {
    let bytes = Arc::new(stream(64 << 20));
    let address = serve(&bytes);
    // The first one warms up what stays.
    listen(address, &mut |_| {});
    let resident = || process::resident_bytes(std::process::id()).unwrap_or_default();
    let before = resident();
    let mut most = before;
    let mut count = 0_u64;
    listen(address, &mut |_| {
        count += 1;
        if count.is_multiple_of(64) {
            most = most.max(resident());
        }
    });
    let (mut grown, mut whole) = (Sample::new(), Sample::new());
    grown.push((most - before) as f64 / 1e6);
    whole.push(bytes.len() as f64 / 1e6);
    let wanted = Wanted::AtMost(0.25);
    let name = "memory while a stream passes";
    vec![Figure::medians(
        name,
        "MB",
        &grown,
        "the stream",
        &whole,
        wanted,
    )]
}

/// From the last byte of a reply with ten files to the end of the command, when they are pending and
/// durable, beside a durable commit of as many.
pub(crate) fn pending(place: &Place) -> Vec<Figure> {
    let (mut ours, mut git) = (Sample::new(), Sample::new());
    for round in 0..place.count(40) {
        let bodies = ten_files(round);
        let files = bodies.iter().enumerate();
        let fences = files.map(|(file, body)| {
            let chunk = format!("```rust path=src/file{file}.rs\n{body}```\n\n");
            let chunk = serde_json::json!({"choices": [{"delta": {"content": chunk}}]});
            format!("data: {chunk}\n\n")
        });
        let end =
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let reply = fences.collect::<String>() + end;
        let (sent, last_byte) = crossbeam_channel::bounded(1);
        let played = Arc::new(reply.into_bytes());
        let address = play(&played, move || sent.try_send(now()).unwrap_or_default());
        let mut command = place.plandex();
        command.args(["--plan", "bench", "tell", "x", "--model", "m", "--base-url"]);
        command.arg(format!("http://{address}/v1"));
        let status = command.status().unwrap();
        let ended = now();
        assert!(status.success(), "{status}");
        ours.push(micros(last_byte.recv().unwrap(), ended));
        git.push(git_commit(place, &bodies));
    }
    let name = "last byte to 10 pending files";
    let yardstick = "git commit -a, fsynced";
    vec![Figure::medians(
        name,
        "µs",
        &ours,
        yardstick,
        &git,
        Wanted::AtMost(1.0),
    )]
}

/// Plays `bytes` to whoever asks, for as long as this process lives.
fn serve(bytes: &Arc<Vec<u8>>) -> SocketAddr {
    play(bytes, || {})
}

/// As [`serve`]; `sent` is called when the last byte has been.
fn play(bytes: &Arc<Vec<u8>>, sent: impl Fn() + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let bytes = Arc::clone(bytes);
    let thread = std::thread::Builder::new().name("model server".to_owned());
    let played = thread.spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            read_request(&mut connection);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                connection: close\r\n\r\n";
            connection.write_all(head.as_bytes()).unwrap();
            connection.write_all(&bytes).ok();
            sent();
        }
    });
    played.unwrap();
    address
}

/// Reads a request to its end: one that is not read resets the connection when it is closed.
fn read_request(connection: &mut TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 16 << 10];
    // Ends with the request, whose length its head says.
    loop {
        let read = connection.read(&mut buffer).unwrap();
        assert!(read > 0);
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            return;
        }
    }
}

/// Asks the server, and tells `each` of every delta; how many bytes of text there were.
fn listen(address: SocketAddr, each: &mut dyn FnMut(&Delta)) -> usize {
    let chosen = Chosen::from(Provider::Endpoint(Endpoint {
        name: "openai",
        dialect: Dialect::OpenAi,
        base: format!("http://{address}/v1"),
        model: "some-model".to_owned(),
        key: None,
        headers: Vec::new(),
        max_tokens: None,
        max_tokens_field: MaxTokensField::default(),
        temperature: None,
    }));
    let request = Request {
        messages: vec![Message::new(Role::User, "Say something long.")],
        ..Request::default()
    };
    let cancel = Cancel::new().unwrap();
    let mut bytes = 0;
    for delta in model::stream(&chosen, &request, &cancel).unwrap() {
        each(&delta);
        match delta {
            Delta::Text(text) => bytes += text.len(),
            Delta::Failed(error) => panic!("{error}"),
            Delta::Thinking(_) | Delta::Phase(_) | Delta::Finished(_) => {}
        }
    }
    bytes
}
