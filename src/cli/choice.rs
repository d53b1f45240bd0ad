//! The flags that say which model is asked, for every command that asks one.

use anyhow::{Context as _, Result};
use clap::Args;

use super::session::Cli;
use crate::config::{self, CommandWords, ModelSettings, Origin};
use crate::model::{self, Chosen, Said};
use crate::project::Project;
use crate::store::branch_settings::{self, BranchSetting};
use crate::store::ratios;

/// Which model to ask.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Model")]
pub(super) struct ModelChoice {
    /// Ask this provider: openai (any compatible server), openrouter, anthropic, ollama, command,
    /// or literal (none); else PLANDEX_PROVIDER, the settings, whose key is set.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Ask this model; else PLANDEX_MODEL, the settings.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Ask the server at this address ("http://localhost:8080/v1"); else PLANDEX_BASE_URL, the
    /// settings, OPENAI_BASE_URL.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Ask this program, a line for the shell: it reads the prompt and prints the reply; else
    /// PLANDEX_COMMAND, the settings.
    #[arg(long, value_name = "LINE")]
    command: Option<String>,
    /// Ask this model once if the first fails before its reply begins; else PLANDEX_FALLBACK, the
    /// settings.
    #[arg(long, value_name = "PROVIDER/MODEL")]
    fallback: Option<String>,
    /// The longest pause that a busy server may ask for; else the settings, 60s.
    #[arg(long, value_name = "DURATION")]
    max_wait: Option<String>,
}

impl ModelChoice {
    /// The provider that the flags, the environment and the settings come to.
    pub(super) fn choose(&self, cli: &Cli, project: &Project) -> Result<Chosen> {
        let max_wait = self.max_wait.as_deref().map(config::parse_duration);
        let flags = ModelSettings {
            origin: Origin::Flags,
            provider: self.provider.clone(),
            model: self.model.clone(),
            base_url: self.base_url.clone(),
            command: self.command.clone().map(CommandWords::Shell),
            fallback: self.fallback.clone(),
            max_wait: max_wait.transpose().context("reading --max-wait")?,
            ..ModelSettings::default()
        };
        let settings = cli.settings(project)?;
        let plan = match project.selected() {
            Ok(selected) => of_branch(project, &selected.branch.id)?,
            // Whoever works on one has said so already.
            Err(_) => None,
        };
        let mut chosen = model::choose(&Said {
            flags: &flags,
            environment: &cli.environment.models,
            plan: plan.as_ref(),
            files: &settings.models,
            variable: &config::secret_variable,
            dir: &project.root,
        })?;
        let name = chosen.name();
        chosen.permille = project.store.read(|tx| ratios::permille(tx, &name))?;
        Ok(chosen)
    }
}

/// What `set-model` chose for a branch; `None` if nothing.
pub(super) fn of_branch(project: &Project, branch_id: &str) -> Result<Option<ModelSettings>> {
    let chosen = project
        .store
        .read(|tx| branch_settings::of_branch(tx, branch_id))?;
    (!chosen.is_empty()).then(|| as_layer(&chosen)).transpose()
}

/// Settings of a branch as one voice among others.
pub(super) fn as_layer(chosen: &[BranchSetting]) -> Result<ModelSettings> {
    let text = |name: &str| {
        let found = chosen.iter().find(|setting| setting.name == name);
        found.map(|setting| setting.value.clone())
    };
    let number = |name: &str| {
        let number = text(name).map(|text| text.parse::<u64>());
        number
            .transpose()
            .with_context(|| format!("reading the branch's `{name}`"))
    };
    Ok(ModelSettings {
        origin: Origin::Plan,
        provider: text("provider"),
        model: text("model"),
        base_url: text("base-url"),
        fallback: text("fallback"),
        context_window: number("context-window")?,
        max_tokens: number("max-tokens")?,
        ..ModelSettings::default()
    })
}
