//! `config`, `set-config`: what is set, where, and to what.

mod file;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::exit::ExitCode;
use super::report::UsageError;
use super::session::{Cli, SCHEMA_VERSION};
use super::waiting::outside_tickets;
use crate::config::{self, Key, Level, SETTINGS, Settings, Shown, Wait};
use crate::lock;
use crate::project::{Project, ProjectError};
use crate::store::ChooseTx;
use crate::store::settings::{self, Intervals};
use crate::ui::{Frame, Table};

/// The shortest and the longest that an interval may be.
const INTERVALS: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(24 * 3600)];
/// The longest line that may be allowed.
const QUEUE_MOST: u32 = 1_000_000;
/// Who decides what nobody changed.
const DEFAULT: &str = "default";
/// Who decides what is in the database.
const DATABASE: &str = "the project's database";

/// `plandex set-config`
#[derive(Debug, Args)]
#[command(after_help = set_help())]
pub(super) struct SetConfig {
    /// The setting.
    key: String,
    /// Its value.
    #[arg(required_unless_present = "unset", allow_hyphen_values = true)]
    value: Option<String>,
    /// Set it for this project (as it is without a level, where there is a choice).
    #[arg(long, conflicts_with = "user")]
    project: bool,
    /// Set it for all projects of this user; a project's own setting is stronger.
    #[arg(long)]
    user: bool,
    /// Take the setting out, so that the weaker level or the default holds.
    #[arg(long, alias = "clear", conflicts_with = "value")]
    unset: bool,
}

fn set_help() -> String {
    let mut help = "Settings:\n".to_owned();
    for key in &SETTINGS {
        let level = match key.level {
            Level::Files => "",
            Level::UserFile => " (user only)",
            Level::Database => " (project only)",
        };
        let Key { name, about, .. } = key;
        help.push_str(&format_args!("  {name:<22}{about}{level}\n").to_string());
    }
    help.push_str(
        "\nThose of the project only change while no operation runs or waits. The project's other \
         settings are in .plandex/config.toml, the user's in \
         ~/.config/plandex/config.toml; both may be edited by hand, and keep their remarks.\n\n\
         Examples:\n  plandex set-config auto-apply true\n  plandex set-config --user wait 2m\n  \
         plandex set-config context.max-file-size '4 MiB'\n  plandex set-config --unset auto-apply\n\n\
         Exit codes: 2 for a setting or value that is not known, 75 if operations run or wait and \
         the setting must not change under them.",
    );
    help
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    settings: Vec<SettingDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SettingDocument {
    name: &'static str,
    value: String,
    from: String,
    about: &'static str,
}

/// `plandex config`
pub(super) fn config(cli: &Cli) -> Result<ExitCode> {
    let project = here(cli)?;
    let file = project.as_ref().map(|project| file::of_project(project));
    let mut shown = Settings::shown(file.as_deref(), &cli.environment)?;
    if let Some(project) = &project {
        shown.extend(of_database(project)?);
    }
    if cli.json {
        let about = |name| config::setting(name).map_or("", |key| key.about);
        let of = |one: Shown| SettingDocument {
            about: about(one.name),
            name: one.name,
            value: one.value,
            from: one.from,
        };
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            settings: shown.into_iter().map(of).collect(),
        });
        return Ok(ExitCode::Done);
    }
    let mut table = Table::new(Frame::Open, ["Setting", "Value", "From"]);
    for one in shown {
        table.row([one.name.to_owned(), one.value, one.from]);
    }
    cli.ui.table(&table);
    Ok(ExitCode::Done)
}

/// The project that one is in, if any.
fn here(cli: &Cli) -> Result<Option<Arc<Project>>> {
    match cli.open() {
        Ok(project) => Ok(Some(project)),
        Err(error) if matches!(error.downcast_ref(), Some(ProjectError::NotFound(_))) => Ok(None),
        Err(error) => Err(error),
    }
}

fn of_database(project: &Project) -> Result<Vec<Shown>> {
    let (intervals, most) = project
        .store
        .read(|tx| Ok((settings::intervals(tx)?, settings::queue_max(tx)?)))?;
    let shown = |name, value: String, default: &str| Shown {
        name,
        from: if value == default { DEFAULT } else { DATABASE }.to_owned(),
        value,
    };
    Ok(vec![
        shown(
            "lock.heartbeat",
            Wait::For(intervals.heartbeat).to_string(),
            "3s",
        ),
        shown("lock.lease", Wait::For(intervals.lease).to_string(), "1m"),
        shown("queue.max", most.to_string(), "100"),
    ])
}

/// `plandex set-config KEY VALUE`
pub(super) fn set_config(cli: &Cli, args: &SetConfig) -> Result<ExitCode> {
    let key = known(&args.key)?;
    let place = match key.level {
        Level::Database if args.user => {
            let words = format!(
                "`{}` is not a setting of a user: all processes of a project must agree on it",
                key.name
            );
            return Err(UsageError::new(words, "set it without `--user`").into());
        }
        Level::UserFile if args.project => {
            let words = format!(
                "`{}` is not taken from a project's settings, which may have come with the project: \
                 it could run a program",
                key.name
            );
            return Err(UsageError::new(words, "set it with `--user`").into());
        }
        Level::Database => set_in_database(cli, key, args.value.as_deref())?,
        Level::UserFile => user_file(cli, key, args)?,
        Level::Files if args.user => user_file(cli, key, args)?,
        Level::Files => {
            let project = cli.open()?;
            let path = file::of_project(&project);
            file::change(cli, &project.cancel, &path, key, args.value.as_deref())?;
            path.display().to_string()
        }
    };
    say(cli, key, args, &place)
}

fn known(name: &str) -> Result<&'static Key> {
    if let Some(key) = config::setting(name) {
        return Ok(key);
    }
    let names: Vec<&str> = SETTINGS.iter().map(|key| key.name).collect();
    let hint = match name {
        "provider" | "model" | "fallback" => {
            "a model is chosen with `plandex set-model`".to_owned()
        }
        _ => "see `plandex config`".to_owned(),
    };
    let words = format!(
        "there is no setting {name:?}; the settings are {}",
        names.join(", ")
    );
    Err(UsageError::new(words, hint).into())
}

fn user_file(cli: &Cli, key: &Key, args: &SetConfig) -> Result<String> {
    let path: PathBuf = cli.environment.user_settings_path().ok_or_else(|| {
        UsageError::new(
            "there is no place for a user's settings: HOME is not set",
            "set HOME or XDG_CONFIG_HOME",
        )
    })?;
    let cancel = crate::platform::cancel::Cancel::new()?;
    file::change(cli, &cancel, &path, key, args.value.as_deref())?;
    Ok(path.display().to_string())
}

fn say(cli: &Cli, key: &Key, args: &SetConfig, place: &str) -> Result<ExitCode> {
    let value = args.value.as_deref().map(str::trim);
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "name": key.name, "value": value, "in": place,
        }));
        return Ok(ExitCode::Done);
    }
    cli.ui.line(match value {
        Some(value) => format!("Set {} to {value} in {place}", key.name),
        None => format!("Took {} out of {place}", key.name),
    });
    // What is set need not be what holds.
    let project = here(cli)?;
    let file = project.as_ref().map(|project| file::of_project(project));
    let shown = Settings::shown(file.as_deref(), &cli.environment)?;
    let holds = shown.into_iter().find(|one| one.name == key.name);
    if let (Some(holds), Some(_)) = (holds, value)
        && holds.from != place
    {
        cli.ui.warning(format!(
            "{} is stronger: {} is {} here",
            holds.from, key.name, holds.value
        ));
    }
    Ok(ExitCode::Done)
}

/// Changes a setting that all processes must agree on; returns where it is.
fn set_in_database(cli: &Cli, key: &Key, value: Option<&str>) -> Result<String> {
    let refused = |value: &str| {
        let words = format!("`{}` takes {}, not {value:?}", key.name, key.takes.words());
        UsageError::new(words, "see `plandex config`")
    };
    let interval = |default: &str| -> Result<Duration> {
        let value = value.unwrap_or(default);
        let length = config::parse_duration(value).map_err(|_| refused(value))?;
        let [shortest, longest] = INTERVALS;
        if (shortest..=longest).contains(&length) {
            return Ok(length);
        }
        Err(refused(value).into())
    };
    match key.name {
        "lock.heartbeat" => {
            let heartbeat = interval("3s")?;
            in_database(cli, &|tx| {
                let lease = settings::intervals(tx)?.lease;
                settings::set_intervals(tx, Intervals { heartbeat, lease })
            })?;
        }
        "lock.lease" => {
            let lease = interval("60s")?;
            in_database(cli, &|tx| {
                let heartbeat = settings::intervals(tx)?.heartbeat;
                settings::set_intervals(tx, Intervals { heartbeat, lease })
            })?;
        }
        _ => {
            let value = value.unwrap_or("100");
            let most = value.trim().parse().ok();
            let most = most.filter(|most| (1..=QUEUE_MOST).contains(most));
            let most = most.ok_or_else(|| refused(value))?;
            in_database(cli, &|tx| settings::change_queue_max(tx, most))?;
        }
    }
    Ok(DATABASE.to_owned())
}

fn in_database(cli: &Cli, change: &dyn Fn(&ChooseTx<'_>) -> Result<()>) -> Result<()> {
    let project = cli.open()?;
    outside_tickets(cli, &project, ("set-config", ""), |patience, on_wait| {
        lock::retrying(patience, &project.cancel, on_wait, |gate, busy| {
            project.store.choose_trying(gate, busy, change)
        })
    })
}
