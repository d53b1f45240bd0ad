//! Which of several voices is heard, and where no key goes.

use std::ffi::OsString;
use std::path::PathBuf;

use super::*;
use crate::config::Environment;

/// The environment, the project's and the user's file, and the flags of one case.
#[derive(Default)]
struct Case {
    flags: ModelSettings,
    variables: Vec<(&'static str, &'static str)>,
    files: Vec<ModelSettings>,
}

fn flags() -> ModelSettings {
    ModelSettings {
        origin: Origin::Flags,
        ..ModelSettings::default()
    }
}

fn user() -> ModelSettings {
    ModelSettings {
        origin: Origin::User(PathBuf::from("/home/me/config.toml")),
        ..ModelSettings::default()
    }
}

fn project() -> ModelSettings {
    ModelSettings {
        origin: Origin::Project(PathBuf::from("/work/.plandex/config.toml")),
        ..ModelSettings::default()
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn secret(text: &str) -> Secret {
    Secret::new(text).unwrap()
}

impl Case {
    fn env(variables: &[(&'static str, &'static str)]) -> Self {
        Self {
            flags: flags(),
            variables: variables.to_vec(),
            files: Vec::new(),
        }
    }

    fn flags(mut self, flags: ModelSettings) -> Self {
        self.flags = flags;
        self
    }

    fn file(mut self, file: ModelSettings) -> Self {
        self.files.push(file);
        self
    }

    fn choose(&self) -> super::Result<Chosen> {
        let lookup = |name: &str| {
            let found = self.variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let environment = Environment::from_lookup(lookup).unwrap();
        let variable = |name: &str| lookup(name)?.to_str().and_then(Secret::new);
        choose(&Said {
            flags: &self.flags,
            environment: &environment.models,
            plan: None,
            files: &self.files,
            variable: &variable,
            dir: Path::new("/work"),
        })
    }

    /// "NAME base model key, from SOURCE".
    fn check(&self, expected: &str) {
        assert_eq!(shown(&self.choose().unwrap()), expected);
    }

    fn fails(&self, kind: Kind, words: &str) {
        let error = self.choose().unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        let shown = format!("{error} {:?}", error.hint);
        assert!(shown.contains(words), "{shown}");
        assert!(!shown.contains("K-"), "{shown}");
    }
}

fn shown(chosen: &Chosen) -> String {
    let what = match &chosen.provider {
        Provider::Endpoint(endpoint) => {
            let key = match &endpoint.key {
                None => "-".to_owned(),
                Some(Key::Bearer(key)) => key.expose().to_owned(),
                Some(Key::Header(key)) => format!("x-api-key {}", key.expose()),
            };
            let Endpoint {
                name, base, model, ..
            } = endpoint;
            format!("{name} {base} {model} {key}")
        }
        Provider::Command(program) => format!("command {}", program.shown()),
        Provider::Literal | Provider::ReplyFile(_) | Provider::ReplyInput => {
            chosen.provider.word().to_owned()
        }
    };
    format!("{what}, from {}", chosen.source)
}

#[test]
fn the_providers_own_variables_decide_in_their_order() {
    let all = [
        ("OPENAI_BASE_URL", "http://gpu:8000/v1/"),
        ("OPENROUTER_API_KEY", "K-router"),
        ("ANTHROPIC_API_KEY", "K-claude"),
        ("ANTHROPIC_MODEL", "claude-x"),
        ("OPENAI_API_KEY", "K-openai"),
        ("OPENAI_MODEL", "gpt-x"),
        ("PLANDEX_MODEL", "m"),
    ];
    Case::env(&all).check("openai http://gpu:8000/v1 m K-openai, from OPENAI_BASE_URL");
    Case::env(&all[1..])
        .check("openrouter https://openrouter.ai/api/v1 m K-router, from OPENROUTER_API_KEY");
    Case::env(&all[2..6]).check(
        "anthropic https://api.anthropic.com claude-x x-api-key K-claude, from ANTHROPIC_API_KEY",
    );
    Case::env(&all[4..6])
        .check("openai https://api.openai.com/v1 gpt-x K-openai, from OPENAI_API_KEY");
    Case::env(&[("ANTHROPIC_AUTH_TOKEN", "K-t"), ("PLANDEX_MODEL", "m")])
        .check("anthropic https://api.anthropic.com m K-t, from ANTHROPIC_AUTH_TOKEN");
    Case::env(&[]).check("literal, from nothing else is configured");
    Case::env(&[("OLLAMA_HOST", "gpu")]).check("literal, from nothing else is configured");
    Case::env(&all[6..]).fails(Kind::NotConfigured, "no provider");
    Case::env(&all[4..5]).fails(Kind::NotConfigured, "no model is named");
}

#[test]
fn flags_are_stronger_than_ours_than_files() {
    let strong = ModelSettings {
        model: some("flagged"),
        ..flags()
    };
    let ours = [
        ("PLANDEX_PROVIDER", "OpenAI"),
        ("PLANDEX_MODEL", "m"),
        ("PLANDEX_BASE_URL", "http://localhost:1/v1"),
        ("PLANDEX_API_KEY", "K-ours"),
        ("OPENAI_API_KEY", "K-openai"),
    ];
    let file = ModelSettings {
        provider: some("openai"),
        model: some("filed"),
        base_url: some("http://localhost:2/v1"),
        key: Some(KeySource::Variable("MY_KEY".to_owned())),
        ..user()
    };
    let case = Case::env(&ours).file(file.clone());
    case.check("openai http://localhost:1/v1 m K-ours, from PLANDEX_PROVIDER");
    case.flags(strong.clone())
        .check("openai http://localhost:1/v1 flagged K-ours, from PLANDEX_PROVIDER");
    Case::env(&[("MY_KEY", "K-mine"), ("OPENROUTER_API_KEY", "K-r")])
        .file(file.clone())
        .check("openai http://localhost:2/v1 filed K-mine, from /home/me/config.toml");
    Case::env(&[]).file(file).fails(Kind::Auth, "MY_KEY");
    let by_project = ModelSettings {
        model: some("ours"),
        ..project()
    };
    let mine = ModelSettings {
        provider: some("ollama"),
        model: some("mine"),
        ..user()
    };
    Case::env(&[("OLLAMA_HOST", "0.0.0.0")])
        .file(by_project)
        .file(mine)
        .check("ollama http://127.0.0.1:11434/v1 ours -, from /home/me/config.toml");
}

#[test]
fn a_key_goes_only_where_it_was_meant_to() {
    let file = ModelSettings {
        provider: some("openai"),
        base_url: some("http://gpu:2/v1"),
        key: Some(KeySource::Key(secret("K-file"))),
        model: some("m"),
        ..user()
    };
    let to = |provider: &str| ModelSettings {
        provider: some(provider),
        model: some("x"),
        ..flags()
    };
    // Another provider than the file speaks of: neither its address nor its key.
    Case::env(&[("ANTHROPIC_API_KEY", "K-a")])
        .flags(to("anthropic"))
        .file(file.clone())
        .check("anthropic https://api.anthropic.com x x-api-key K-a, from --provider");
    Case::env(&[])
        .flags(to("openrouter"))
        .file(file.clone())
        .fails(Kind::Auth, "OPENROUTER_API_KEY");
    // A file that names an address alone speaks of `openai`.
    let unnamed = ModelSettings {
        provider: None,
        ..file
    };
    Case::env(&[("ANTHROPIC_API_KEY", "K-a")])
        .flags(to("anthropic"))
        .file(unnamed)
        .check("anthropic https://api.anthropic.com x x-api-key K-a, from --provider");
    let nobodys = ModelSettings {
        key: Some(KeySource::Key(secret("K-file"))),
        ..user()
    };
    Case::env(&[("OLLAMA_HOST", "gpu")])
        .flags(to("ollama"))
        .file(nobodys)
        .fails(Kind::NotConfigured, "not whose");
    // Ollama needs no key, and no key of another's goes there.
    Case::env(&[("OPENAI_API_KEY", "K-openai")])
        .flags(to("ollama"))
        .check("ollama http://127.0.0.1:11434/v1 x -, from --provider");
}

#[test]
fn a_projects_file_says_neither_where_a_key_goes_nor_what_is_run() {
    let key = Some(KeySource::Key(secret("K-p")));
    let variable = Some(KeySource::Variable("AWS_SECRET".to_owned()));
    let command = Some(CommandWords::Shell("rm -rf /".to_owned()));
    let elsewhere = some("https://evil.example/v1");
    for (settings, word) in [
        (ModelSettings { key, ..project() }, "`api-key`"),
        (
            ModelSettings {
                key: variable,
                ..project()
            },
            "`api-key-env`",
        ),
        (
            ModelSettings {
                command,
                ..project()
            },
            "`command`",
        ),
        (
            ModelSettings {
                base_url: elsewhere,
                ..project()
            },
            "`base-url`",
        ),
    ] {
        Case::env(&[("OPENAI_API_KEY", "K-o")])
            .file(settings)
            .fails(Kind::NotConfigured, word);
    }
    // A server on this machine may be named, and still gets no key.
    let local = ModelSettings {
        base_url: some("http://localhost:9/v1"),
        model: some("m"),
        ..project()
    };
    Case::env(&[("OPENAI_API_KEY", "K-o")])
        .file(local)
        .check("openai http://localhost:9/v1 m -, from /work/.plandex/config.toml");
}

#[test]
fn commands_literal_and_what_cannot_be() {
    let command = ModelSettings {
        command: Some(CommandWords::Shell("A=1 llm -m x".to_owned())),
        ..flags()
    };
    Case::env(&[("OPENAI_API_KEY", "K")])
        .flags(command)
        .check("command llm, from --command");
    Case::env(&[("PLANDEX_COMMAND", "ollama run m")]).check("command ollama, from PLANDEX_COMMAND");
    Case::env(&[("PLANDEX_PROVIDER", "literal"), ("OPENAI_API_KEY", "K")])
        .check("literal, from PLANDEX_PROVIDER");
    Case::env(&[("PLANDEX_PROVIDER", "command")]).fails(Kind::NotConfigured, "PLANDEX_COMMAND");
    Case::env(&[("PLANDEX_PROVIDER", "gpt")]).fails(Kind::NotConfigured, "openrouter");
    Case::env(&[
        ("PLANDEX_BASE_URL", "http://u:K-pass@h/v1"),
        ("PLANDEX_MODEL", "m"),
    ])
    .fails(Kind::NotConfigured, "user name");
}

#[test]
fn warnings_say_what_is_doubtful() {
    let chosen = Case::env(&[
        ("OPENAI_BASE_URL", "http://gpu:1/v1"),
        ("OPENAI_API_BASE", "http://gpu:2/v1"),
        ("OPENAI_API_KEY", "K"),
        ("OPENAI_MODEL", "m"),
    ]);
    let warnings = chosen.choose().unwrap().warnings.join("; ");
    assert!(
        warnings.contains("unencrypted") && warnings.contains("OPENAI_API_BASE"),
        "{warnings}"
    );
    let quiet = Case::env(&[
        ("OPENAI_BASE_URL", "http://gpu:1/v1"),
        ("OPENAI_MODEL", "m"),
    ]);
    assert_eq!(quiet.choose().unwrap().warnings, Vec::<String>::new());
}

#[test]
fn a_key_that_others_can_read_is_warned_of() {
    let file = ModelSettings {
        provider: some("openai"),
        model: some("m"),
        key: Some(KeySource::Key(secret("K-file"))),
        is_exposed: true,
        ..user()
    };
    let warnings = Case::env(&[]).file(file).choose().unwrap().warnings;
    assert!(
        warnings[0].contains("chmod 600 /home/me/config.toml"),
        "{warnings:?}"
    );
}

#[test]
fn a_fallback_has_its_own_address_and_key() {
    let env = [
        ("PLANDEX_BASE_URL", "http://localhost:1/v1"),
        ("PLANDEX_MODEL", "m"),
        ("PLANDEX_API_KEY", "K-ours"),
        ("OPENROUTER_API_KEY", "K-router"),
    ];
    let fallback = |text: &str| {
        let flags = ModelSettings {
            fallback: some(text),
            ..flags()
        };
        let chosen = Case::env(&env).flags(flags).choose();
        chosen.map(|chosen| shown(chosen.fallback.as_ref().unwrap()))
    };
    assert_eq!(
        fallback("openrouter/a/b").unwrap(),
        "openrouter https://openrouter.ai/api/v1 a/b K-router, from --fallback"
    );
    assert_eq!(
        fallback("other-model").unwrap(),
        "openai http://localhost:1/v1 other-model K-ours, from --fallback"
    );
    assert_eq!(fallback("anthropic/x").unwrap_err().kind, Kind::Auth);
    let nobody = Case::env(&[("PLANDEX_FALLBACK", "openrouter/a")]).choose();
    assert_eq!(nobody.unwrap().fallback, None);
    assert_eq!(fallback("literal").unwrap_err().kind, Kind::NotConfigured);
}

#[test]
fn ollamas_host_is_read_as_it_is_written() {
    for (host, expected) in [
        (None, "http://127.0.0.1:11434/v1"),
        (Some("gpu"), "http://gpu:11434/v1"),
        (Some("gpu:80"), "http://gpu:80/v1"),
        (Some("https://gpu:443/"), "https://gpu:443/v1"),
        (Some("0.0.0.0:1"), "http://127.0.0.1:1/v1"),
        (Some(":8"), "http://127.0.0.1:8/v1"),
        (Some("[::]:8"), "http://[::1]:8/v1"),
    ] {
        assert_eq!(own::ollama(host), expected);
    }
}
