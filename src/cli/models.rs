//! `models`, `set-model`: whom a run asks, who decided that, and the branch's own choice.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::choice::{as_layer, of_branch};
use super::exit::ExitCode;
use super::operate::{Job, operate};
use super::report::UsageError;
use super::session::{Cli, SCHEMA_VERSION};
use crate::config::{self, KeySource, ModelEnvironment, ModelSettings, Origin};
use crate::lock::operation;
use crate::model::{self, Chosen, Kind, ModelError, Provider, Said};
use crate::project::{Project, Selected, tree};
use crate::store::branch_settings::{self, BranchSetting};
use crate::ui::{Frame, Table, render};

/// `plandex set-model`
#[derive(Debug, Args)]
#[command(after_help = "\
The choice is one of the branch, and of its versions: `plandex log` shows it, and a branch forked \
from this one has it, too. Stronger are the flags of a command and PLANDEX_PROVIDER, PLANDEX_MODEL \
and their like; weaker are the settings files and the providers' own variables. Keys, programs and \
servers elsewhere are not settings of a plan: they belong in the environment or in your own \
settings. What is not given is not set. Waits for its turn on the plan.

Examples:
  plandex set-model anthropic/claude-sonnet-4-5
  plandex set-model qwen3                       the model; the provider as it is
  plandex set-model ollama/qwen3 --context-window 8192
  plandex set-model literal                     ask nobody
  plandex set-model --clear")]
pub(super) struct SetModel {
    /// The model, with or without its provider (openai, openrouter, anthropic, ollama), or a
    /// provider alone.
    #[arg(value_name = "[PROVIDER/]MODEL", required_unless_present = "clear")]
    model: Option<String>,
    /// A server on this machine ("http://localhost:8080/v1").
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Ask this model once if the first fails before its reply begins.
    #[arg(long, value_name = "PROVIDER/MODEL")]
    fallback: Option<String>,
    /// How many tokens the model takes.
    #[arg(long, value_name = "TOKENS")]
    context_window: Option<u64>,
    /// How many tokens a reply may have.
    #[arg(long, value_name = "TOKENS")]
    max_tokens: Option<u64>,
    /// Take the branch's choice back.
    #[arg(
        long,
        alias = "unset",
        conflicts_with_all = ["model", "base_url", "fallback", "context_window", "max_tokens"]
    )]
    clear: bool,
}

/// One who says something about models.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Voice {
    from: String,
    says: Vec<String>,
}

/// A name that `--provider` and `set-model` take.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    name: &'static str,
    what: &'static str,
    here: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    plan: Option<String>,
    branch: Option<String>,
    model: Option<String>,
    from: Option<String>,
    fallback: Option<String>,
    problem: Option<String>,
    warnings: Vec<String>,
    said: Vec<Voice>,
    providers: Vec<Known>,
}

/// `plandex models`
pub(super) fn models(cli: &Cli) -> Result<ExitCode> {
    let project = cli.open()?;
    let selected = project.selected().ok();
    let plan = match &selected {
        Some(selected) => of_branch(&project, &selected.branch.id)?,
        None => None,
    };
    let chosen = choose(cli, &project, plan.as_ref())?;
    let settings = cli.settings(&project)?;
    let ours = &cli.environment.models.ours;
    let layers = std::iter::once(ours).chain(&plan).chain(&settings.models);
    let said: Vec<Voice> = layers
        .filter_map(|layer| voice(layer, selected.as_ref()))
        .collect();
    let document = Document {
        schema_version: SCHEMA_VERSION,
        plan: selected.as_ref().map(|one| one.plan.name.clone()),
        branch: selected.as_ref().map(|one| one.branch.name.clone()),
        model: chosen.as_ref().ok().map(Chosen::name),
        from: chosen.as_ref().ok().map(|chosen| chosen.source.clone()),
        fallback: chosen
            .as_ref()
            .ok()
            .and_then(|chosen| chosen.fallback.as_ref())
            .map(|fallback| fallback.name()),
        problem: chosen.as_ref().err().map(ToString::to_string),
        warnings: chosen
            .as_ref()
            .map_or_else(|_| Vec::new(), |chosen| chosen.warnings.clone()),
        said,
        providers: model::NAMES.map(|name| known(cli, name)).into(),
    };
    if cli.json {
        cli.ui.json(&document);
        return Ok(ExitCode::Done);
    }
    show(cli, &document, chosen.as_ref());
    Ok(ExitCode::Done)
}

fn show(cli: &Cli, document: &Document, chosen: Result<&Chosen, &ModelError>) {
    let ui = &cli.ui;
    let line = |label: &str, value: &str| ui.line(format!("{label:<12}{value}"));
    match chosen {
        Ok(chosen) => {
            line("Model", &chosen.name());
            line("Decided by", &chosen.source);
            if let Provider::Endpoint(endpoint) = &chosen.provider {
                line("Server", &endpoint.base);
                line(
                    "Key",
                    if endpoint.key.is_some() {
                        "set"
                    } else {
                        "none"
                    },
                );
            }
            if let Some(fallback) = &document.fallback {
                line("Fallback", fallback);
            }
            if let Some(window) = chosen.window {
                line("Window", &format!("{} tokens", render::count(window)));
            }
        }
        Err(error) => {
            line("Model", "none");
            line("Problem", &error.to_string());
            if let Some(hint) = &error.hint {
                ui.hint(hint.clone());
            }
        }
    }
    for warning in &document.warnings {
        ui.warning(warning.clone());
    }
    if !document.said.is_empty() {
        ui.line("");
        let mut table = Table::new(Frame::Open, ["Said by (strongest first)", "What"]);
        for voice in &document.said {
            table.row([voice.from.clone(), voice.says.join(", ")]);
        }
        ui.table(&table);
    }
    ui.line("");
    let mut table = Table::new(Frame::Open, ["Provider", "What it is", "Here"]);
    for known in &document.providers {
        table.row([known.name, known.what, &known.here]);
    }
    ui.table(&table);
}

/// What a layer says, without any key; `None` if nothing.
fn voice(layer: &ModelSettings, selected: Option<&Selected>) -> Option<Voice> {
    let mut says = Vec::new();
    let mut say = |name: &str, value: Option<String>| {
        says.extend(value.map(|value| format!("{name} {value}")));
    };
    say("provider", layer.provider.clone());
    say("model", layer.model.clone());
    say("base-url", layer.base_url.clone());
    say(
        "api-key",
        layer.key.as_ref().map(|key| match key {
            KeySource::Key(_) => "(set)".to_owned(),
            KeySource::Variable(name) => format!("in {name}"),
        }),
    );
    let command = layer.command.is_some().then(|| "(set)".to_owned());
    say("command", command);
    say("fallback", layer.fallback.clone());
    say(
        "context-window",
        layer.context_window.map(|n| n.to_string()),
    );
    say("max-tokens", layer.max_tokens.map(|n| n.to_string()));
    let from = match &layer.origin {
        Origin::Flags => "flags".to_owned(),
        Origin::Environment => "environment (PLANDEX_…)".to_owned(),
        Origin::Plan => {
            let branch = selected.map_or("", |selected| selected.branch.name.as_str());
            format!("set-model, branch {branch}")
        }
        Origin::Project(path) | Origin::User(path) => path.display().to_string(),
    };
    (!says.is_empty()).then_some(Voice { from, says })
}

/// What a provider is, and what this machine has of it.
fn known(cli: &Cli, name: &'static str) -> Known {
    let ModelEnvironment {
        openai_base_url,
        openai_api_key,
        openrouter_api_key,
        anthropic_api_key,
        anthropic_auth_token,
        ollama_host,
        ..
    } = &cli.environment.models;
    let set = |variables: &[(&'static str, bool)]| {
        let set: Vec<&str> = variables
            .iter()
            .filter_map(|(name, is_set)| is_set.then_some(*name))
            .collect();
        match (set.is_empty(), variables) {
            (false, _) => format!("{} set", set.join(", ")),
            (true, [(first, _), ..]) => format!("{first} not set"),
            (true, []) => String::new(),
        }
    };
    let (what, here) = match name {
        "openai" => (
            "any server that speaks OpenAI's API",
            set(&[
                ("OPENAI_API_KEY", openai_api_key.is_some()),
                ("OPENAI_BASE_URL", openai_base_url.is_some()),
            ]),
        ),
        "openrouter" => (
            "openrouter.ai",
            set(&[("OPENROUTER_API_KEY", openrouter_api_key.is_some())]),
        ),
        "anthropic" => (
            "Anthropic's API",
            set(&[
                ("ANTHROPIC_API_KEY", anthropic_api_key.is_some()),
                ("ANTHROPIC_AUTH_TOKEN", anthropic_auth_token.is_some()),
            ]),
        ),
        "ollama" => (
            "a local Ollama",
            ollama_host
                .clone()
                .unwrap_or_else(|| "127.0.0.1:11434".to_owned()),
        ),
        "command" => ("any program", "--command, PLANDEX_COMMAND".to_owned()),
        _ => (
            "nobody: the edits are taken from the message",
            "always there".to_owned(),
        ),
    };
    Known { name, what, here }
}

fn choose(
    cli: &Cli,
    project: &Project,
    plan: Option<&ModelSettings>,
) -> Result<Result<Chosen, ModelError>> {
    let settings = cli.settings(project)?;
    let flags = ModelSettings {
        origin: Origin::Flags,
        ..ModelSettings::default()
    };
    Ok(model::choose(&Said {
        flags: &flags,
        environment: &cli.environment.models,
        plan,
        files: &settings.models,
        variable: &config::secret_variable,
        dir: &project.root,
    }))
}

/// What the command line says, as it is kept.
fn wanted(args: &SetModel) -> Result<Vec<BranchSetting>> {
    let text = args.model.as_deref().unwrap_or_default().trim();
    if text.is_empty() && !args.clear {
        return Err(UsageError::new("the model's name is empty", "`plandex models`").into());
    }
    let (provider, name) = match text.split_once('/') {
        Some((provider, name)) if model::provider(provider).is_some() => {
            (model::provider(provider), Some(name))
        }
        _ => match model::provider(text) {
            Some(provider) => (Some(provider), None),
            None => (None, Some(text).filter(|text| !text.is_empty())),
        },
    };
    let pairs = [
        ("base-url", args.base_url.clone()),
        ("context-window", args.context_window.map(|n| n.to_string())),
        ("fallback", args.fallback.clone()),
        ("max-tokens", args.max_tokens.map(|n| n.to_string())),
        ("model", name.map(str::to_owned)),
        ("provider", provider.map(str::to_owned)),
    ];
    let setting = |(name, value): (&str, Option<String>)| {
        Some(BranchSetting {
            name: name.to_owned(),
            value: value?,
        })
    };
    Ok(pairs.into_iter().filter_map(setting).collect())
}

/// `plandex set-model [PROVIDER/]MODEL`
pub(super) fn set_model(cli: &Cli, args: &SetModel) -> Result<ExitCode> {
    let settings = wanted(args)?;
    let (project, selected) = cli.open_selected()?;
    let layer = as_layer(&settings)?;
    let said = (!settings.is_empty()).then_some(&layer);
    let outcome = choose(cli, &project, said)?;
    if let (Err(error), false) = (&outcome, args.clear)
        && error.kind == Kind::NotConfigured
    {
        let hint = error.hint.clone().unwrap_or_default();
        return Err(UsageError::new(error.to_string(), hint).into());
    }
    let job = Job {
        project: &project,
        plan_id: &selected.plan.id,
        branch: None,
        operation: operation::SET_MODEL,
    };
    let (branch, new) = (selected.branch.name.clone(), settings.clone());
    let message = match settings.as_slice() {
        [] => "Clear model".to_owned(),
        some => format!("Set model {}", in_short(some)),
    };
    operate(
        cli,
        &job,
        move |permit, turn, _: &mut dyn FnMut(())| {
            let branch = turn.branch(&branch)?;
            let store = &turn.project.store;
            if store.read(|tx| branch_settings::of_branch(tx, &branch.id))? == new {
                return Ok(());
            }
            turn.advance(permit, &branch, &[tree::settings(&new)], &message, |tx| {
                branch_settings::replace(tx, &branch.id, &new)
            })
        },
        |()| {},
    )?;
    report(cli, &selected, &settings, &outcome);
    Ok(ExitCode::Done)
}

/// "ollama/qwen3, context-window 8192".
fn in_short(settings: &[BranchSetting]) -> String {
    let of = |name: &str| settings.iter().find(|one| one.name == name);
    let names = [of("provider"), of("model")].into_iter().flatten();
    let names: Vec<&str> = names.map(|one| one.value.as_str()).collect();
    let rest = settings
        .iter()
        .filter(|one| !matches!(one.name.as_str(), "provider" | "model"))
        .map(|one| format!(", {} {}", one.name, one.value));
    names.join("/") + &rest.collect::<String>()
}

fn report(
    cli: &Cli,
    selected: &Selected,
    settings: &[BranchSetting],
    outcome: &Result<Chosen, ModelError>,
) {
    if cli.json {
        let map: std::collections::BTreeMap<&str, &str> = settings
            .iter()
            .map(|one| (one.name.as_str(), one.value.as_str()))
            .collect();
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION,
            "plan": selected.plan.name,
            "branch": selected.branch.name,
            "settings": map,
            "model": outcome.as_ref().ok().map(Chosen::name),
            "from": outcome.as_ref().ok().map(|chosen| chosen.source.clone()),
            "problem": outcome.as_ref().err().map(ToString::to_string),
        }));
        return;
    }
    let branch = &selected.branch.name;
    cli.ui.line(match settings {
        [] => format!("Branch {branch} has no model of its own now"),
        some => format!("Branch {branch} asks {} now", in_short(some)),
    });
    match outcome {
        Ok(chosen) => cli.ui.note(chosen.describe()),
        Err(error) => {
            cli.ui.warning(error.to_string());
            if let Some(hint) = &error.hint {
                cli.ui.hint(hint.clone());
            }
        }
    }
}
