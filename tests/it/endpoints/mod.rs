//! Endpoints and commands, good, bad and hostile, as `model::stream` hears them, and as a person
//! sees them who runs the binary.

mod binary;
mod command;
mod cuts;
mod ends;
mod hostile;
mod moments;
mod recorded;
mod refused;
mod tls;
mod waits;

use std::time::{Duration, Instant};

use plandex::config::Secret;
use plandex::model::{
    self, Chosen, Delta, Dialect, Endpoint, Finished, Key, Limits, MaxTokensField, Message,
    ModelError, Phase, Provider, Request, Role,
};
use plandex::platform::cancel::Cancel;

use crate::support::ModelServer;

/// No reply of a test takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// What was heard of a reply.
#[derive(Debug, Clone)]
struct Heard {
    text: String,
    thinking: String,
    phases: Vec<Phase>,
    end: Result<Finished, ModelError>,
}

/// An endpoint of OpenAI's dialect, asked once.
fn openai(base: &str) -> Chosen {
    endpoint("openai", Dialect::OpenAi, base)
}

/// An endpoint of Anthropic's dialect, asked once.
fn anthropic(base: &str) -> Chosen {
    endpoint("anthropic", Dialect::Anthropic, base)
}

fn endpoint(name: &'static str, dialect: Dialect, base: &str) -> Chosen {
    let secret = Secret::new(CANARY).unwrap();
    let key = match dialect {
        Dialect::OpenAi => Key::Bearer(secret),
        Dialect::Anthropic => Key::Header(secret),
    };
    let mut chosen = Chosen::from(Provider::Endpoint(Endpoint {
        name,
        dialect,
        base: base.to_owned(),
        model: "some-model".to_owned(),
        key: Some(key),
        headers: Vec::new(),
        max_tokens: None,
        max_tokens_field: MaxTokensField::default(),
        temperature: None,
    }));
    chosen.limits = Limits {
        attempts: 1,
        pause: Duration::from_millis(1),
        ..Limits::default()
    };
    chosen
}

/// A key that must be found nowhere but on the wire.
const CANARY: &str = "sk-canary-4711-do-not-show";

fn request() -> Request {
    Request {
        messages: vec![
            Message::new(Role::System, "You change files."),
            Message::new(Role::User, "Change one."),
        ],
        estimate: 12,
        plan: "draft".to_owned(),
        branch: "main".to_owned(),
    }
}

/// Asks and listens to the end.
#[track_caller]
fn ask(chosen: &Chosen) -> Heard {
    let cancel = Cancel::new().unwrap();
    let deltas = model::stream(chosen, &request(), &cancel).unwrap();
    let (mut text, mut thinking, mut phases) = (String::new(), String::new(), Vec::new());
    let deadline = Instant::now() + LIMIT;
    loop {
        let end = match deltas.recv_deadline(deadline).unwrap() {
            Delta::Text(more) => {
                text.push_str(&more);
                continue;
            }
            Delta::Thinking(more) => {
                thinking.push_str(&more);
                continue;
            }
            Delta::Phase(phase) => {
                phases.push(phase);
                continue;
            }
            Delta::Finished(finished) => Ok(finished),
            Delta::Failed(error) => Err(error),
        };
        let shown = format!("{end:?} {phases:?} {chosen:?}");
        assert!(!shown.contains(CANARY), "{shown}");
        return Heard {
            text,
            thinking,
            phases,
            end,
        };
    }
}

/// Asks a server in OpenAI's dialect, once.
#[track_caller]
fn asked(server: &ModelServer) -> Heard {
    ask(&openai(&server.base()))
}
