//! `locks release`: ends a ticket that is stale, or, by the user's word, one that lives.

use anyhow::Result;

use super::super::exit::ExitCode;
use super::super::session::{Cli, SCHEMA_VERSION, since};
use super::super::waiting::outside_tickets;
use super::args::Release;
use super::seen::actor;
use crate::lock::{self, Forced, Hung, operation, owner};
use crate::project::Project;
use crate::store::settings;
use crate::store::tickets::{self, State, Ticket};
use crate::ui::render;

/// What a ticket's owner is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Its owner file is free.
    Dead,
    /// It has shown no life for longer than its lease.
    Hangs,
    Lives,
}

/// `plandex locks release ID [--even-if-alive]`
pub(super) fn release(cli: &Cli, args: &Release) -> Result<ExitCode> {
    let project = cli.open()?;
    let found = project.store.read(|tx| tickets::by_id(tx, args.id))?;
    let Some(ticket) = found else {
        return Ok(gone(cli, args.id));
    };
    let standing = standing(&project, &ticket)?;
    say_whose(cli, &ticket, standing);
    match standing {
        Standing::Dead => {
            lock::grant_step(&project.store, &ticket.plan_id)?;
            let left = project.store.read(|tx| tickets::by_id(tx, ticket.id))?;
            Ok(match left {
                Some(_) => changed(cli, &ticket),
                None => released(cli, &ticket),
            })
        }
        Standing::Hangs if !args.even_if_alive => {
            match lock::replace_hung(&project.store, ticket.id, &project.cancel)? {
                Hung::Replaced => Ok(released(cli, &ticket)),
                Hung::CameBack | Hung::Unsure => Ok(refused(cli, &ticket)),
                Hung::Gone => Ok(gone(cli, ticket.id)),
                Hung::Stays => Ok(stays(cli, &ticket)),
            }
        }
        Standing::Lives if !args.even_if_alive => Ok(refused(cli, &ticket)),
        Standing::Hangs | Standing::Lives => {
            let about = ("locks release", ticket.plan_id.as_str());
            let (store, by) = (&project.store, by(&project));
            let forced = outside_tickets(cli, &project, about, |patience, on_wait| {
                lock::force(store, &ticket, &by, &project.cancel, patience, on_wait)
            })?;
            match forced {
                Forced::Released => Ok(released(cli, &ticket)),
                Forced::Changed => Ok(changed(cli, &ticket)),
                Forced::Stays => Ok(stays(cli, &ticket)),
            }
        }
    }
}

/// Who does it, for the words of whoever loses a ticket: "ann (pid 4711: plandex stop --force)".
pub(in crate::cli) fn by(project: &Project) -> String {
    let session = project.session();
    let what = format!("pid {}: {}", std::process::id(), session.command);
    match actor(&session.actor) {
        "" => what,
        name => format!("{name} ({what})"),
    }
}

fn standing(project: &Project, ticket: &Ticket) -> Result<Standing> {
    if !ticket.is_kept_place() && !owner::is_alive(project.dir(), &ticket.owner_id) {
        return Ok(Standing::Dead);
    }
    let lease = project.store.read(settings::intervals)?.lease;
    let silence = ticket.silence_ms().unwrap_or(0);
    let is_over = u128::from(silence.unsigned_abs()) > lease.as_millis();
    Ok(match ticket.state {
        State::Condemned => Standing::Hangs,
        State::Held if silence > 0 && is_over => Standing::Hangs,
        State::Held | State::Waiting | State::Granted | State::Parked => Standing::Lives,
    })
}

fn say_whose(cli: &Cli, ticket: &Ticket, standing: Standing) {
    let who = match actor(&ticket.actor) {
        "" => String::new(),
        name => format!("{name}, "),
    };
    let age = render::age(since(ticket.granted_at.unwrap_or(ticket.queued_at)));
    let beat = render::age(since(ticket.last_heartbeat_at));
    let life = match standing {
        Standing::Dead => "its process is gone".to_owned(),
        Standing::Hangs if ticket.state == State::Condemned => {
            "it is fenced off, and what it runs is being ended".to_owned()
        }
        Standing::Hangs => format!("it hangs: its last heartbeat was {beat} ago"),
        Standing::Lives => format!("it lives: its last heartbeat was {beat} ago"),
    };
    cli.ui.note(format!(
        "Ticket {} ({} for {age}): {}, {who}pid {} ({}); {life}",
        ticket.id,
        ticket.state.word(),
        operation::title_of(&ticket.reason),
        ticket.pid,
        ticket.command,
    ));
}

fn released(cli: &Cli, ticket: &Ticket) -> ExitCode {
    say(cli, ticket.id, "released");
    if !cli.json {
        cli.ui.line(format!("Released ticket {}", ticket.id));
    }
    ExitCode::Done
}

fn refused(cli: &Cli, ticket: &Ticket) -> ExitCode {
    say(cli, ticket.id, "refused");
    cli.ui.error(format!("ticket {} is in use", ticket.id));
    cli.ui.hint(format!(
        "wait for it, ask it to end with `plandex stop`, or take it with `plandex locks release {} \
         --even-if-alive`",
        ticket.id
    ));
    ExitCode::Declined
}

fn changed(cli: &Cli, ticket: &Ticket) -> ExitCode {
    say(cli, ticket.id, "changed");
    cli.ui.error(format!(
        "ticket {} ended or was granted anew meanwhile; nothing was changed",
        ticket.id
    ));
    cli.ui.hint("look again with `plandex locks`");
    ExitCode::Failed
}

fn gone(cli: &Cli, id: i64) -> ExitCode {
    say(cli, id, "gone");
    cli.ui.error(format!("there is no ticket {id} (any more)"));
    cli.ui.hint("list them with `plandex locks`");
    ExitCode::Failed
}

fn stays(cli: &Cli, ticket: &Ticket) -> ExitCode {
    say(cli, ticket.id, "stays");
    cli.ui.error(format!(
        "ticket {} still blocks: what runs under it cannot be seen from here, or does not die",
        ticket.id
    ));
    cli.ui
        .hint("end it where it runs; the next in line is granted at once then");
    ExitCode::Failed
}

fn say(cli: &Cli, id: i64, result: &str) {
    if cli.json {
        let document = serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "ticket": id, "result": result,
        });
        cli.ui.json(&document);
    }
}
