//! What the providers' own variables say, and where providers are when nobody says anything.

use crate::config::{ModelEnvironment, Secret};

/// The provider whose own variable is set, and that variable.
pub(super) fn of_environment(
    environment: &ModelEnvironment,
) -> Option<(&'static str, &'static str)> {
    let ModelEnvironment {
        openai_base_url,
        openai_api_base,
        openrouter_api_key,
        anthropic_api_key,
        anthropic_auth_token,
        openai_api_key,
        ..
    } = environment;
    [
        (openai_base_url.is_some(), "openai", "OPENAI_BASE_URL"),
        (openai_api_base.is_some(), "openai", "OPENAI_API_BASE"),
        (
            openrouter_api_key.is_some(),
            "openrouter",
            "OPENROUTER_API_KEY",
        ),
        (
            anthropic_api_key.is_some(),
            "anthropic",
            "ANTHROPIC_API_KEY",
        ),
        (
            anthropic_auth_token.is_some(),
            "anthropic",
            "ANTHROPIC_AUTH_TOKEN",
        ),
        (openai_api_key.is_some(), "openai", "OPENAI_API_KEY"),
    ]
    .into_iter()
    .find_map(|(is_set, name, variable)| is_set.then_some((name, variable)))
}

/// Where a provider is when nobody says otherwise, and what its own variables say.
pub(super) struct Own<'a> {
    pub(super) base: String,
    /// Whether the base is the provider's public address, which needs a key.
    pub(super) is_public: bool,
    pub(super) key: Option<&'a Secret>,
    /// The key goes as `Authorization: Bearer` even where it usually does not.
    pub(super) is_token: bool,
    pub(super) key_variable: &'static str,
    pub(super) model: Option<&'a String>,
}

impl<'a> Own<'a> {
    /// What the variables of the provider `name` say.
    pub(super) fn of(environment: &'a ModelEnvironment, name: &str) -> Self {
        let mut own = Self {
            base: String::new(),
            is_public: true,
            key: None,
            is_token: false,
            key_variable: "",
            model: None,
        };
        match name {
            "openrouter" => {
                own.base = "https://openrouter.ai/api/v1".to_owned();
                own.key = environment.openrouter_api_key.as_ref();
                own.key_variable = "OPENROUTER_API_KEY";
            }
            "anthropic" => {
                let base = environment.anthropic_base_url.clone();
                own.is_public = base.is_none();
                own.base = base.unwrap_or_else(|| "https://api.anthropic.com".to_owned());
                let token = environment.anthropic_auth_token.as_ref();
                own.is_token = environment.anthropic_api_key.is_none() && token.is_some();
                own.key = environment.anthropic_api_key.as_ref().or(token);
                own.key_variable = "ANTHROPIC_API_KEY";
                own.model = environment.anthropic_model.as_ref();
            }
            "ollama" => {
                own.base = ollama(environment.ollama_host.as_deref());
                own.is_public = false;
            }
            _ => {
                let base = environment.openai_base_url.clone();
                let base = base.or_else(|| environment.openai_api_base.clone());
                own.is_public = base.is_none();
                own.base = base.unwrap_or_else(|| "https://api.openai.com/v1".to_owned());
                own.key = environment.openai_api_key.as_ref();
                own.key_variable = "OPENAI_API_KEY";
                own.model = environment.openai_model.as_ref();
            }
        }
        own
    }
}

/// The base URL of `OLLAMA_HOST`, which is written as a server's address to listen at.
pub(super) fn ollama(host: Option<&str>) -> String {
    let host = host.unwrap_or("127.0.0.1:11434").trim_end_matches('/');
    let (scheme, rest) = host.split_once("://").unwrap_or(("http", host));
    let (address, port) = match rest.rsplit_once(':') {
        Some((address, port)) if port.parse::<u16>().is_ok() => (address, port.to_owned()),
        _ => (rest, "11434".to_owned()),
    };
    let address = match address {
        "0.0.0.0" | "" => "127.0.0.1",
        "[::]" => "[::1]",
        other => other,
    };
    format!("{scheme}://{address}:{port}/v1")
}

/// The old and the new name of OpenAI's base URL may disagree.
pub(super) fn two_bases(
    environment: &ModelEnvironment,
    name: &str,
    is_set: bool,
) -> Option<String> {
    let (new, old) = (&environment.openai_base_url, &environment.openai_api_base);
    let differ = new.is_some() && old.is_some() && new != old;
    (name == "openai" && !is_set && differ).then(|| {
        "OPENAI_BASE_URL and its former name OPENAI_API_BASE differ; the first is used".to_owned()
    })
}
