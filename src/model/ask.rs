//! Asks an endpoint, again if that may help, and then another.
//!
//! The one hard rule: nothing is asked twice once anything of a reply came. It would be paid twice,
//! and the two beginnings would be taken for one text (HAZARDS.md H16).

use std::io::{ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use crossbeam_channel::Sender;

use super::chunk::{self, Piece};
use super::endpoint::{Chosen, Dialect, Endpoint};
use super::explain::{self, late, lost, redirected, refused, without_key};
use super::failure::shown;
use super::hear::{Gone, Hearing};
use super::http::{self, Answer, Post, Roots};
use super::openai::Manners;
use super::watch::Watch;
use super::{
    Delta, Finished, Kind, ModelError, Phase, Provider, Request, anthropic, base, command, openai,
    retry, sse,
};
use crate::platform::cancel::Cancel;
use crate::platform::{threads, wait};

/// The most of a completion in one piece that is read, in bytes.
const COMPLETION_MAX: u64 = 64 << 20;
/// Only keep-alives for this long are worth a word, and again each time it has passed.
const KEEP_ALIVES: Duration = Duration::from_secs(5);

/// How a reply that was asked for ended.
pub(super) type Asked = std::result::Result<std::result::Result<Finished, ModelError>, Gone>;

/// Starts the thread that asks.
pub(super) fn start(
    chosen: &Chosen,
    request: &Request,
    cancel: &Cancel,
    deltas: Sender<Delta>,
) -> Result<()> {
    let (chosen, request, cancel) = (chosen.clone(), request.clone(), cancel.clone());
    std::thread::Builder::new()
        .name("reply".to_owned())
        .spawn(move || {
            let asking = Asking {
                request: &request,
                cancel: &cancel,
                deltas: &deltas,
            };
            let last = match asking.with_fallback(&chosen) {
                // Nobody listens, or it was called off.
                Err(Gone) => return,
                Ok(Ok(finished)) => Delta::Finished(finished),
                Ok(Err(error)) => Delta::Failed(error),
            };
            deltas.send(last).ok();
        })
        .context("starting the reply thread")?;
    Ok(())
}

/// One request to whoever answers it.
struct Asking<'a> {
    request: &'a Request,
    cancel: &'a Cancel,
    deltas: &'a Sender<Delta>,
}

impl Asking<'_> {
    fn phase(&self, phase: Phase) -> std::result::Result<(), Gone> {
        self.deltas.send(Delta::Phase(phase)).map_err(|_| Gone)
    }

    fn with_fallback(&self, chosen: &Chosen) -> Asked {
        self.warn(chosen)?;
        let first = self.provider(chosen, chosen.limits.attempts)?;
        let (Err(error), Some(next)) = (&first, &chosen.fallback) else {
            return Ok(first);
        };
        if error.partial || error.kind == Kind::Refused {
            return Ok(first);
        }
        self.phase(Phase::Fallback {
            to: next.name(),
            error: error.clone(),
        })?;
        self.warn(next)?;
        self.provider(next, 1)
    }

    /// Says what should be known about a choice before it is used.
    fn warn(&self, chosen: &Chosen) -> std::result::Result<(), Gone> {
        for message in &chosen.warnings {
            self.phase(Phase::Warning {
                code: "configuration",
                message: message.clone(),
            })?;
        }
        Ok(())
    }

    fn provider(&self, chosen: &Chosen, attempts: u32) -> Asked {
        if let Err(error) = fits(chosen, self.request) {
            return Ok(Err(error));
        }
        match &chosen.provider {
            Provider::Endpoint(endpoint) => self.endpoint(chosen, endpoint, attempts),
            Provider::Command(program) => {
                command::ask(program, chosen, self.request, self.cancel, self.deltas)
            }
            Provider::Literal | Provider::ReplyFile(_) | Provider::ReplyInput => {
                Ok(Err(ModelError::new(
                    Kind::NotConfigured,
                    format!("{} cannot be asked", chosen.name()),
                )))
            }
        }
    }

    /// Asks an endpoint until it answers, or asking again is of no use.
    fn endpoint(&self, chosen: &Chosen, endpoint: &Endpoint, attempts: u32) -> Asked {
        let mut manners = Manners::of(endpoint);
        let mut attempt = 1;
        // Bounded by the attempts; manners change twice at most, each field once.
        let mut adaptations = 0;
        loop {
            let error = match self.once(chosen, endpoint, manners)? {
                Ok(finished) => return Ok(Ok(finished)),
                Err(error) => error,
            };
            if adaptations < 2 && manners.adapt(&error) {
                adaptations += 1;
                continue;
            }
            attempt += 1;
            let mut limits = chosen.limits;
            limits.attempts = attempts;
            let delay = match retry::pause(&error, attempt, &limits, rand::random()) {
                Ok(Some(delay)) => delay,
                Ok(None) => return Ok(Err(error)),
                Err(error) => return Ok(Err(error)),
            };
            self.phase(Phase::Retrying {
                attempt,
                max: attempts,
                delay,
                status: error.status,
                kind: error.kind,
                message: error.message.clone(),
            })?;
            self.sleep(delay)?;
        }
    }

    fn sleep(&self, delay: Duration) -> std::result::Result<(), Gone> {
        let _waits = threads::waits("its turn to ask again");
        let end = Instant::now() + delay;
        // Bounded by the delay: each round sleeps the rest of it.
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.cancel.is_set() || wait::readable(&[self.cancel.as_fd()], left).is_err() {
                return Err(Gone);
            }
            if left.is_zero() {
                return Ok(());
            }
        }
    }

    /// One request.
    fn once(&self, chosen: &Chosen, endpoint: &Endpoint, manners: Manners) -> Asked {
        let (url, headers, body): (_, &[_], _) = match endpoint.dialect {
            Dialect::OpenAi => {
                let body = openai::body(endpoint, &self.request.messages, manners);
                (openai::url(endpoint), &[], body)
            }
            Dialect::Anthropic => {
                let body = anthropic::body(endpoint, &self.request.messages);
                (anthropic::url(endpoint), &[anthropic::VERSION], body)
            }
        };
        let body = match body {
            Ok(body) => body,
            Err(error) => return Ok(Err(ModelError::new(Kind::BadRequest, error.to_string()))),
        };
        let post = Post {
            endpoint,
            url,
            headers,
            body: body.into(),
            limits: &chosen.limits,
        };
        let asked = self.posted(&post, Roots::Machine)?;
        Ok(asked.map_err(|error| without_key(error, endpoint)))
    }

    fn posted(&self, post: &Post<'_>, roots: Roots) -> Asked {
        if self.cancel.is_set() {
            return Err(Gone);
        }
        let host = base::host(&post.url);
        self.phase(Phase::Connecting { host })?;
        let agent = http::agent(&post.url, post.limits, roots);
        let shut = agent.clone();
        let watch = match Watch::start(self.cancel, move || shut.clone().shutdown()) {
            Ok(watch) => watch,
            Err(error) => return Ok(Err(ModelError::new(Kind::Transport, format!("{error:#}")))),
        };
        let sent = {
            let _waits = threads::waits("the endpoint's answer");
            http::send(post, &agent, self.deltas)
        };
        if watch.is_cancelled() {
            return Err(Gone);
        }
        match sent {
            Ok(answer) => self.answered(post, answer, &watch),
            Err(error) if roots == Roots::Machine && http::lacks_roots(&error) => {
                self.posted(post, Roots::Bundled)
            }
            Err(error) => Ok(Err(http::failure(&error, post, &watch))),
        }
    }

    /// Headers have come.
    fn answered(&self, post: &Post<'_>, answer: Answer, watch: &Watch) -> Asked {
        let encoding = answer.header("content-encoding").unwrap_or_default();
        let media = answer.media_type();
        let is_plain = encoding.is_empty() || encoding.eq_ignore_ascii_case("identity");
        match answer.status {
            300..=399 => Ok(Err(redirected(post, &answer))),
            status if !(200..300).contains(&status) => {
                Ok(Err(refused(post, answer, watch, is_plain)))
            }
            _ if !is_plain => Ok(Err(ModelError::new(
                Kind::Protocol,
                format!("the endpoint compressed its answer ({encoding}), unasked"),
            ))),
            status if media == "text/html" => {
                Ok(Err(explain::web_page(answer, watch).status(status)))
            }
            _ if media == "application/json" => self.completion(post, answer, watch),
            _ => self.streamed(post, answer, watch),
        }
    }

    /// The endpoint does not stream, and sends its reply in one piece.
    fn completion(&self, post: &Post<'_>, answer: Answer, watch: &Watch) -> Asked {
        let (body, lost) = explain::read(answer, watch, COMPLETION_MAX, post);
        if watch.is_cancelled() {
            return Err(Gone);
        }
        let mut hearing = Hearing::new(self.deltas);
        if let Some(error) = lost {
            return hearing.end(Some(error), provenance(post), self.request.estimate);
        }
        if is_stream(&body) {
            // It does stream, and is only called JSON.
            let mut heard = Heard::default();
            let mut parser = sse::Parser::default();
            let mut take = |event: sse::Event<'_>| heard.take(event, post);
            let pushed = parser.push(body.as_bytes(), &mut take);
            if let Err(fault) = pushed.and_then(|()| parser.finish(&mut take)) {
                hearing.fail(ModelError::new(Kind::Protocol, fault.to_string()));
            }
            heard.tell(&mut hearing);
            return hearing.end(None, provenance(post), self.request.estimate);
        }
        let mut pieces = Vec::new();
        let read = match post.endpoint.dialect {
            Dialect::OpenAi => chunk::completion(&body, &mut pieces),
            Dialect::Anthropic => anthropic::completion(&body, &mut pieces),
        };
        if let Err(error) = read {
            return Ok(Err(error));
        }
        pieces.into_iter().for_each(|piece| hearing.hear(piece));
        hearing.end(None, provenance(post), self.request.estimate)
    }

    /// The reply, as it comes.
    fn streamed(&self, post: &Post<'_>, answer: Answer, watch: &Watch) -> Asked {
        let is_foreign = answer.media_type() != "text/event-stream";
        let _waits = threads::waits("more of the reply");
        let mut reader = answer.into_reader();
        let mut parser = sse::Parser::default();
        let mut hearing = Hearing::new(self.deltas);
        let mut silence = Silence::default();
        let mut buffer = vec![0_u8; 32 << 10];
        watch.within(post.limits.first_byte);
        // Ends with the stream, which the watch ends if nothing else does.
        let lost = loop {
            let read = match reader.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => break Some(lost(&error, watch, post)),
                // A connection that was shut for being late can look like an orderly end.
                Ok(0) if watch.is_late() => break Some(late(post)),
                Ok(0) => break None,
                Ok(read) => read,
            };
            watch.pause();
            let mut heard = Heard::default();
            let fault = parser.push(&buffer[..read], &mut |event| heard.take(event, post));
            silence.has_events |= heard.has_any;
            heard.tell(&mut hearing);
            if let Err(fault) = fault {
                hearing.fail(ModelError::new(Kind::Protocol, fault.to_string()));
            }
            let has_any = hearing.flush()?;
            if hearing.is_over() || watch.is_cancelled() {
                break None;
            }
            if let Some(silent) = silence.heard(has_any) {
                self.phase(Phase::KeepAlives { silent })?;
            }
            if hearing.has_ended() {
                // Only usage and the end mark can follow, and neither is worth a long wait.
                let left = silence.since_end(post.limits.after_finish);
                watch.within(left);
            } else {
                watch.within(post.limits.idle);
            }
        };
        if watch.is_cancelled() {
            return Err(Gone);
        }
        if !hearing.is_over() {
            let mut heard = Heard::default();
            // What a cut leaves behind proves nothing, so it cannot fail either.
            parser.finish(&mut |event| heard.take(event, post)).ok();
            silence.has_events |= heard.has_any;
            heard.tell(&mut hearing);
            if lost.is_none() && is_foreign && !silence.has_events {
                hearing.fail(ModelError::new(
                    Kind::Protocol,
                    "the endpoint answered with something that is no event stream",
                ));
            }
        }
        hearing.end(lost, provenance(post), self.request.estimate)
    }
}

/// What one read brought.
#[derive(Default)]
struct Heard {
    pieces: Vec<Piece>,
    fault: Option<ModelError>,
    /// Any event at all, comments too.
    has_any: bool,
}

impl Heard {
    fn take(&mut self, event: sse::Event<'_>, post: &Post<'_>) {
        self.has_any = true;
        let sse::Event::Data { name, data, whole } = event else {
            return;
        };
        if self.fault.is_some() {
            return;
        }
        let read = match post.endpoint.dialect {
            Dialect::OpenAi => chunk::pieces(data, &mut self.pieces),
            Dialect::Anthropic => anthropic::pieces(data, &mut self.pieces),
        };
        match read {
            Err(_) if name == "error" && whole => {
                let words = format!("the endpoint reports: {}", shown(data, 300));
                self.fault = Some(ModelError::new(Kind::Reported, words));
            }
            Err(error) if whole => self.fault = Some(error),
            _ => {}
        }
    }

    fn tell(self, hearing: &mut Hearing<'_>) {
        self.pieces
            .into_iter()
            .for_each(|piece| hearing.hear(piece));
        if let Some(fault) = self.fault {
            hearing.fail(fault);
        }
    }
}

/// How long nothing of the reply has come, though bytes have.
struct Silence {
    content: Instant,
    told: Instant,
    ended: Option<Instant>,
    has_events: bool,
}

impl Default for Silence {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            content: now,
            told: now,
            ended: None,
            has_events: false,
        }
    }
}

impl Silence {
    /// Bytes came, and `has_any` of them content; returns the silence when it is worth a word.
    fn heard(&mut self, has_any: bool) -> Option<Duration> {
        let now = Instant::now();
        if has_any {
            (self.content, self.told) = (now, now);
            return None;
        }
        if now - self.told < KEEP_ALIVES {
            return None;
        }
        self.told = now;
        Some(now - self.content)
    }

    /// What is left of `limit` since the model said why it stopped.
    fn since_end(&mut self, limit: Duration) -> Duration {
        let ended = *self.ended.get_or_insert_with(Instant::now);
        limit.saturating_sub(ended.elapsed())
    }
}

/// Whether a body is an event stream, whatever it is called.
fn is_stream(body: &str) -> bool {
    let body = body.trim_start_matches(['\u{feff}', '\n', '\r']);
    ["data:", "event:", ":"]
        .iter()
        .any(|start| body.starts_with(start))
}

/// Where a reply came from, for the conversation: "openai:MODEL".
fn provenance(post: &Post<'_>) -> String {
    format!("{}:{}", post.endpoint.name, post.endpoint.model)
}

/// Whether the prompt and the reserve for the reply fit into the window, as far as it is known.
fn fits(chosen: &Chosen, request: &Request) -> std::result::Result<(), ModelError> {
    let (prompt, reserve) = (request.estimate, chosen.reserve);
    let Some(window) = chosen.window.filter(|window| prompt + reserve > *window) else {
        return Ok(());
    };
    let message = format!(
        "the prompt does not fit: ~{prompt} tokens and {reserve} for the reply are \
         {}, and the window of {} has {window}",
        prompt + reserve,
        chosen.name()
    );
    Err(ModelError::new(Kind::ContextTooLong, message).hint(
        "nothing was sent; show the plan less (look with `plandex ls`), or set `context-window`",
    ))
}
