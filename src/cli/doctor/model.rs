//! The check "Model": what a run would ask, and what decided that. Nobody is contacted.

use anyhow::Result;

use crate::cli::choice::of_branch;
use crate::cli::session::Cli;
use crate::config::{self, ModelSettings, Origin, Settings};
use crate::doctor::{Check, CheckState, Kind, Report};
use crate::model::{self, Chosen, ModelError, Provider, Said};
use crate::project::{Place, Project};

/// Adds the check to a report. A wrong setting is its warning and no issue: what needs no model
/// works all the same.
pub(super) fn check(cli: &Cli, place: &Place, report: &mut Report) {
    // Not opened once more where it cannot be used.
    let is_usable = !report.issues.iter().any(|i| i.kind == Kind::DbConnection);
    let (status, message) = match choose(cli, place, is_usable) {
        Ok(Ok(chosen)) => told(&chosen),
        Ok(Err(error)) => (CheckState::Warning, format!("none: {error}")),
        Err(error) => (CheckState::Warning, format!("cannot be told: {error:#}")),
    };
    report.checks.push(Check {
        name: "Model".to_owned(),
        status,
        message,
        latency: None,
    });
}

fn told(chosen: &Chosen) -> (CheckState, String) {
    let key = match &chosen.provider {
        Provider::Endpoint(endpoint) if endpoint.key.is_some() => "; key set",
        Provider::Endpoint(_) => "; no key",
        Provider::Command(_)
        | Provider::Literal
        | Provider::ReplyFile(_)
        | Provider::ReplyInput => "",
    };
    // Of the one that is there by default the source is a sentence.
    let from = match chosen.source.contains(" is ") {
        true => chosen.source.clone(),
        false => format!("from {}", chosen.source),
    };
    let mut message = format!("{} ({from}{key}; not contacted)", chosen.name());
    if chosen.warnings.is_empty() {
        return (CheckState::Ok, message);
    }
    message.push_str(", but ");
    message.push_str(&chosen.warnings.join("; "));
    (CheckState::Warning, message)
}

fn choose(cli: &Cli, place: &Place, is_usable: bool) -> Result<Result<Chosen, ModelError>> {
    let file = place.dir.join("config.toml");
    let settings = Settings::load(Some(&file), &cli.environment)?;
    let flags = ModelSettings {
        origin: Origin::Flags,
        ..ModelSettings::default()
    };
    let plan = if is_usable {
        of_selected(cli, place)?
    } else {
        None
    };
    Ok(model::choose(&Said {
        flags: &flags,
        environment: &cli.environment.models,
        plan: plan.as_ref(),
        files: &settings.models,
        variable: &config::secret_variable,
        dir: &place.root,
    }))
}

/// What the selected branch has chosen, if one is selected.
fn of_selected(cli: &Cli, place: &Place) -> Result<Option<ModelSettings>> {
    let project = Project::open(place, cli.session())?;
    match project.selected() {
        Ok(selected) => of_branch(&project, &selected.branch.id),
        Err(_) => Ok(None),
    }
}
