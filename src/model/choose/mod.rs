//! Which provider a run asks, weighed out of everything that says something about it.
//!
//! Strongest first: flags, `PLANDEX_…`, the plan's settings, the project's file, the user's file,
//! then the providers' own variables, then `literal`. Each setting is taken from the strongest that
//! has it, with one hard rule: a key goes only where whoever gave it meant it to. So a weaker one
//! that speaks of another provider is passed over whole, and the project's file, which may have
//! come with the project, says neither where a key goes nor what is run.

mod own;

use std::path::Path;

use own::Own;

use super::base;
use super::endpoint::{
    Chosen, Dialect, Endpoint, Key, Limits, MaxTokensField, Program, RESERVE_DEFAULT, Words,
};
use super::{Kind, ModelError, Provider};
use crate::config::{CommandWords, KeySource, ModelEnvironment, ModelSettings, Origin, Secret};

/// Everything that says something about a run's provider.
pub struct Said<'a> {
    /// The command line.
    pub flags: &'a ModelSettings,
    /// The environment.
    pub environment: &'a ModelEnvironment,
    /// The plan's own settings.
    pub plan: Option<&'a ModelSettings>,
    /// The settings files, the strongest first.
    pub files: &'a [ModelSettings],
    /// The key in an environment variable that `api-key-env` names.
    pub variable: &'a dyn Fn(&str) -> Option<Secret>,
    /// Where a command runs.
    pub dir: &'a Path,
}

/// The providers by name.
pub const NAMES: [&str; 6] = [
    "openai",
    "openrouter",
    "anthropic",
    "ollama",
    "command",
    "literal",
];

type Result<T> = std::result::Result<T, ModelError>;

/// Chooses the provider, its fallback and its limits. Fails with [`Kind::NotConfigured`] or
/// [`Kind::Auth`] on what contradicts itself, is not allowed where it stands, or is missing;
/// nothing is ever left to `literal` because something else could not be used.
pub fn choose(said: &Said<'_>) -> Result<Chosen> {
    let mut layers: Vec<&ModelSettings> = vec![said.flags, &said.environment.ours];
    layers.extend(said.plan);
    layers.extend(said.files);
    for layer in &layers {
        check_project(layer)?;
        check_key(layer)?;
    }
    let mut chosen = one(said, &layers)?;
    if chosen.provider == Provider::Literal {
        // It cannot fail in a way that asking somebody would mend.
        return Ok(chosen);
    }
    let fallback = layers.iter().find(|layer| layer.fallback.is_some());
    if let Some((layer, text)) = fallback.and_then(|layer| Some((*layer, layer.fallback.as_ref()?)))
    {
        let next = next(said, &layers, &chosen, layer, text)?;
        chosen.fallback = Some(Box::new(next));
    }
    Ok(chosen)
}

/// The provider that `name` is, in whatever case it is written.
pub fn provider(name: &str) -> Option<&'static str> {
    known(name)
}

/// What may have come with the project must not send keys anywhere or run anything.
fn check_project(layer: &ModelSettings) -> Result<()> {
    let (whose, it) = match &layer.origin {
        Origin::Project(path) => (
            path.display().to_string(),
            "a project's file, which may have come with the project: it",
        ),
        Origin::Plan => (
            layer.origin.of("model"),
            "a plan, which may have been brought here from elsewhere: it",
        ),
        Origin::Flags | Origin::Environment | Origin::User(_) => return Ok(()),
    };
    let is_elsewhere = |url: &String| !base::is_loopback(url);
    let key = match layer {
        ModelSettings {
            key: Some(KeySource::Key(_)),
            ..
        } => "api-key",
        ModelSettings {
            key: Some(KeySource::Variable(_)),
            ..
        } => "api-key-env",
        ModelSettings {
            command: Some(_), ..
        } => "command",
        ModelSettings {
            base_url: Some(url),
            ..
        } if is_elsewhere(url) => "base-url",
        _ => return Ok(()),
    };
    let message = format!(
        "{whose}: `{key}` is not taken from {it} could send your key elsewhere or run a program"
    );
    Err(wrong(message).hint(format!(
        "put `{key}` into your own settings, ~/.config/plandex/config.toml"
    )))
}

/// A key that a file holds belongs to somebody, or it would go to whoever is asked.
fn check_key(layer: &ModelSettings) -> Result<()> {
    let Origin::User(path) = &layer.origin else {
        return Ok(());
    };
    if layer.key.is_none() || layer.provider.is_some() || layer.base_url.is_some() {
        return Ok(());
    }
    let message = format!("{}: there is a key, but not whose", path.display());
    Err(wrong(message).hint("add `provider` or `base-url` to it"))
}

fn wrong(message: impl Into<String>) -> ModelError {
    ModelError::new(Kind::NotConfigured, message)
}

/// The provider that was named, and by which layer; none if a provider's own variable decides.
fn named<'a>(
    layers: &[&'a ModelSettings],
) -> Result<Option<(&'static str, &'a ModelSettings, String)>> {
    for (at, layer) in layers.iter().enumerate() {
        if let Some(name) = &layer.provider {
            let known = known(name).ok_or_else(|| unknown(name, layer))?;
            return Ok(Some((known, layer, layer.origin.of("provider"))));
        }
        if layer.command.is_some() {
            return Ok(Some(("command", layer, layer.origin.of("command"))));
        }
        if layer.base_url.is_some() {
            // A weaker layer may say what is spoken there.
            let weaker = layers[at..]
                .iter()
                .find_map(|layer| layer.provider.as_deref());
            let spoken = weaker.and_then(known);
            let spoken = spoken.filter(|name| !matches!(*name, "command" | "literal"));
            let origin = layer.origin.of("base-url");
            return Ok(Some((spoken.unwrap_or("openai"), layer, origin)));
        }
    }
    Ok(None)
}

fn known(name: &str) -> Option<&'static str> {
    let is_it = |known: &&&str| known.eq_ignore_ascii_case(name);
    NAMES.iter().find(is_it).copied()
}

fn unknown(name: &str, layer: &ModelSettings) -> ModelError {
    let origin = layer.origin.of("provider");
    wrong(format!("there is no provider {name:?} ({origin})")).hint(format!(
        "the providers are {}; any other server that speaks OpenAI's API is `openai` with a \
         base URL",
        NAMES.join(", ")
    ))
}

/// The provider of these layers, without its fallback.
fn one(said: &Said<'_>, layers: &[&ModelSettings]) -> Result<Chosen> {
    let (name, layer, source) = match named(layers)? {
        Some((name, layer, source)) => (name, Some(layer), source),
        None => match own::of_environment(said.environment) {
            Some((name, variable)) => (name, None, variable.to_owned()),
            None => return nothing_named(layers),
        },
    };
    let relevant = relevant(layers, layer, name);
    let first =
        |get: &dyn Fn(&ModelSettings) -> bool| relevant.iter().copied().find(|layer| get(layer));
    let mut chosen = match name {
        "literal" => Chosen::new(Provider::Literal, source),
        "command" => {
            let words = first(&|layer| layer.command.is_some());
            let words = words
                .and_then(|layer| layer.command.as_ref())
                .ok_or_else(|| {
                    wrong("the provider is `command`, and no command is set")
                        .hint("set PLANDEX_COMMAND, or give `--command`")
                })?;
            Chosen::new(Provider::Command(program(said, words)), source)
        }
        _ => endpoint(said, &relevant, name, source)?,
    };
    let number =
        |get: &dyn Fn(&ModelSettings) -> Option<u64>| relevant.iter().find_map(|layer| get(layer));
    chosen.limits = limits(layers);
    chosen.window = number(&|layer| layer.context_window);
    chosen.reserve = number(&|layer| layer.reply_reserve)
        .or_else(|| number(&|layer| layer.max_tokens))
        .unwrap_or(RESERVE_DEFAULT);
    Ok(chosen)
}

/// The layers that speak of this provider: all up to the one that named it, and of the weaker ones
/// those that speak of no other.
fn relevant<'a>(
    layers: &[&'a ModelSettings],
    naming: Option<&ModelSettings>,
    name: &str,
) -> Vec<&'a ModelSettings> {
    let place = naming.and_then(|naming| layers.iter().position(|one| std::ptr::eq(*one, naming)));
    let speaks_of = |layer: &ModelSettings| match layer {
        ModelSettings {
            provider: Some(provider),
            ..
        } => known(provider),
        ModelSettings {
            command: Some(_), ..
        } => Some("command"),
        ModelSettings {
            base_url: Some(_), ..
        } => Some("openai"),
        _ => None,
    };
    let is_relevant = |(at, layer): &(usize, &ModelSettings)| {
        place.is_some_and(|place| *at <= place)
            || speaks_of(layer).is_none_or(|spoken| spoken == name)
    };
    let kept = layers
        .iter()
        .copied()
        .enumerate()
        .filter(|(at, layer)| is_relevant(&(*at, layer)));
    kept.map(|(_, layer)| layer).collect()
}

/// No provider is named anywhere.
fn nothing_named(layers: &[&ModelSettings]) -> Result<Chosen> {
    let layer = layers.iter().find(|layer| layer.model.is_some());
    if let Some((layer, model)) = layer.and_then(|layer| Some((layer, layer.model.as_ref()?))) {
        let origin = layer.origin.of("model");
        return Err(wrong(format!(
            "a model is named ({model}, by {origin}) but no provider"
        ))
        .hint("add `--provider`, `--base-url`, or the provider's key (OPENROUTER_API_KEY, …)"));
    }
    Ok(Chosen::new(Provider::Literal, "nothing else is configured"))
}

fn program(said: &Said<'_>, words: &CommandWords) -> Program {
    Program {
        words: match words {
            CommandWords::Shell(line) => Words::Shell(line.into()),
            CommandWords::Argv(words) => Words::Argv(words.iter().map(Into::into).collect()),
        },
        dir: said.dir.to_owned(),
        depth: said.environment.depth,
    }
}

fn endpoint(
    said: &Said<'_>,
    layers: &[&ModelSettings],
    name: &'static str,
    source: String,
) -> Result<Chosen> {
    let own = Own::of(said.environment, name);
    let at = layers.iter().find(|layer| layer.base_url.is_some());
    let base = at
        .and_then(|layer| layer.base_url.as_ref())
        .unwrap_or(&own.base);
    let base = base::parse(base)?;
    let key = key(said, layers, name, &own, at.copied())?;
    if key.is_none() && at.is_none() && own.is_public {
        let message = format!("there is no key for {name} at {}", base::host(&base));
        let hint = format!(
            "set {}, or `--base-url` for a server of your own",
            own.key_variable
        );
        return Err(ModelError::new(Kind::Auth, message).hint(hint));
    }
    let model = layers
        .iter()
        .find_map(|layer| layer.model.as_ref())
        .or(own.model);
    let model = model.ok_or_else(|| {
        wrong(format!("no model is named for {name} (from {source})"))
            .hint("name one with `--model`, PLANDEX_MODEL, or `model` in your settings")
    })?;
    let mut chosen = Chosen::new(Provider::Literal, source);
    if key.is_some() && base::is_plain(&base) {
        let host = base::host(&base);
        chosen
            .warnings
            .push(format!("the key goes to {host} unencrypted (http://)"));
    }
    let exposed = layers.iter().find(|layer| layer.is_exposed);
    chosen.warnings.extend(exposed.map(|layer| {
        let path = layer.origin.of("api-key");
        format!("others can read {path}, which holds a key: `chmod 600 {path}`")
    }));
    chosen
        .warnings
        .extend(own::two_bases(said.environment, name, at.is_some()));
    let number =
        |get: &dyn Fn(&ModelSettings) -> Option<u64>| layers.iter().find_map(|one| get(one));
    let header = |name, value: &Option<String>| Some((name, value.clone()?));
    let headers = match name {
        "openai" if key.is_some() => vec![
            header("openai-organization", &said.environment.openai_organization),
            header("openai-project", &said.environment.openai_project),
        ],
        _ => Vec::new(),
    };
    let is_openai_itself = name == "openai" && base::host(&base) == "api.openai.com";
    chosen.provider = Provider::Endpoint(Endpoint {
        name,
        dialect: if name == "anthropic" {
            Dialect::Anthropic
        } else {
            Dialect::OpenAi
        },
        base,
        model: model.clone(),
        key,
        headers: headers.into_iter().flatten().collect(),
        max_tokens: number(&|layer| layer.max_tokens),
        max_tokens_field: if is_openai_itself {
            MaxTokensField::Completion
        } else {
            MaxTokensField::Plain
        },
        temperature: layers.iter().find_map(|layer| layer.temperature.clone()),
    });
    Ok(chosen)
}

/// The key that goes to the endpoint, whose address `at` gave (none for the provider's own).
fn key(
    said: &Said<'_>,
    layers: &[&ModelSettings],
    name: &str,
    own: &Own<'_>,
    at: Option<&ModelSettings>,
) -> Result<Option<Key>> {
    // An address that came with the project gets no key at all.
    if at.is_some_and(|layer| matches!(layer.origin, Origin::Project(_) | Origin::Plan))
        || name == "ollama" && !layers.iter().any(|layer| layer.key.is_some())
    {
        return Ok(None);
    }
    let given = layers
        .iter()
        .find_map(|layer| Some((layer, layer.key.as_ref()?)));
    let (secret, is_token) = match given {
        Some((_, KeySource::Key(secret))) => (Some(secret.clone()), false),
        Some((layer, KeySource::Variable(variable))) => {
            let found = (said.variable)(variable).ok_or_else(|| {
                let origin = layer.origin.of("api-key-env");
                let message = format!("{origin} takes the key from {variable}, which is not set");
                ModelError::new(Kind::Auth, message).hint(format!("set {variable}"))
            })?;
            (Some(found), false)
        }
        None => (own.key.cloned(), own.is_token),
    };
    Ok(secret.map(|secret| {
        if name == "anthropic" && !is_token {
            Key::Header(secret)
        } else {
            Key::Bearer(secret)
        }
    }))
}

/// Whom to ask if `chosen` fails: "PROVIDER/MODEL", or a model of the same provider.
fn next(
    said: &Said<'_>,
    layers: &[&ModelSettings],
    chosen: &Chosen,
    layer: &ModelSettings,
    text: &str,
) -> Result<Chosen> {
    let origin = layer.origin.of("fallback");
    let (name, model) = match text.split_once('/') {
        Some((name, model)) if known(name).is_some() => (known(name), Some(model)),
        _ => match known(text) {
            Some(name) => (Some(name), None),
            None => (known(chosen.provider.word()), Some(text)),
        },
    };
    if matches!(name, Some("literal") | None) {
        return Err(wrong(format!(
            "a fallback must ask a model, not {text:?} ({origin})"
        ))
        .hint("give it as PROVIDER/MODEL"));
    }
    let top = ModelSettings {
        origin: layer.origin.clone(),
        provider: name.map(str::to_owned),
        model: model.map(str::to_owned),
        ..ModelSettings::default()
    };
    let mut all = vec![&top];
    // What was said for the first does not hold for another provider.
    let is_same = name == Some(chosen.provider.word());
    all.extend(layers.iter().copied().filter(|layer| {
        is_same
            || layer.provider.as_deref().and_then(known) == name
            || (name == Some("command") && layer.command.is_some())
    }));
    let mut next = one(said, &all)?;
    next.source = origin;
    Ok(next)
}

fn limits(layers: &[&ModelSettings]) -> Limits {
    let mut limits = Limits::default();
    let first = |get: &dyn Fn(&ModelSettings) -> Option<std::time::Duration>| {
        layers.iter().find_map(|layer| get(layer))
    };
    limits.first_byte = first(&|layer| layer.first_byte).unwrap_or(limits.first_byte);
    limits.idle = first(&|layer| layer.idle).unwrap_or(limits.idle);
    limits.max_wait = first(&|layer| layer.max_wait).unwrap_or(limits.max_wait);
    limits
}

#[cfg(test)]
mod tests;
