//! `plandex help`: the commands in groups, a command, a topic.

use anyhow::Result;
use clap::Args;

use super::exit::ExitCode;
use super::report::{self, UsageError};
use super::session::{Cli, SCHEMA_VERSION};
use super::{concurrency, overview};

/// The topic, and a line about it.
pub(super) const CONCURRENCY: (&str, &str) = ("concurrency", "What waits for what");

/// `plandex help`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plandex help                the commands, in groups
  plandex help tell           a command with its options, examples and exit codes
  plandex help concurrency    what waits for what, and for how long

The same as man pages: `plandex man`.")]
pub(super) struct Help {
    /// A command, or \"concurrency\".
    #[arg(value_name = "COMMAND|TOPIC")]
    command: Vec<String>,
}

/// `plandex help [COMMAND|TOPIC]`
pub(super) fn help(cli: &Cli, args: &Help) -> Result<ExitCode> {
    if args.command == [CONCURRENCY.0] {
        let text = concurrency::text();
        if cli.json {
            cli.ui.json(&serde_json::json!({
                "schemaVersion": SCHEMA_VERSION, "text": text, "tickets": concurrency::tickets(),
            }));
        } else {
            cli.ui.pass_on(text.as_bytes(), &[]);
        }
        return Ok(ExitCode::Done);
    }
    let mut names = vec!["plandex".to_owned()];
    let whole = overview::command();
    let mut command = &whole;
    for name in &args.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            let words = format!("there is no command or topic {:?}", args.command.join(" "));
            UsageError::new(words, "`plandex help` lists them")
        })?;
        names.push(command.get_name().to_owned());
    }
    names.push("--help".to_owned());
    // clap alone knows how wide and how coloured it is.
    match overview::command().try_get_matches_from(names) {
        Err(error) if cli.json => cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "text": error.to_string(),
        })),
        Err(error) => return Ok(report::usage(&error)),
        Ok(_) => {}
    }
    Ok(ExitCode::Done)
}

#[cfg(test)]
mod tests;
