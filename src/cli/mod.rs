//! The front door: parses, opens the project, runs one command, reports.
//!
//! The one hard rule: this room alone decides words of errors and exit codes (`report.rs`); the
//! rooms below return values and errors, and never print or exit.

mod apply;
mod args;
mod backup;
mod batch;
mod branches;
mod choice;
mod completions;
mod concurrency;
mod config;
mod context;
mod diff;
mod doctor;
mod events;
mod exec;
mod exit;
mod follow;
mod frame;
mod help;
mod history;
mod hook;
mod locks;
mod man;
mod models;
mod operate;
mod overview;
mod pending;
mod plans;
mod reject;
mod report;
mod rewind;
mod run;
mod session;
mod status;
mod stop;
mod verbose;
mod waiting;
mod who;

use anyhow::Result;
use clap::FromArgMatches as _;

pub use exit::ExitCode;
pub use overview::command;

use args::{Arguments, Command};
use session::Cli;

/// Runs the command line of this process; returns how it ended.
pub fn run() -> ExitCode {
    let matches = overview::command().try_get_matches();
    let arguments = matches.and_then(|matches| Arguments::from_arg_matches(&matches));
    let mut arguments = match arguments {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() && hook::is_asked() => {
            return hook::wrong_words(&error);
        }
        Err(error) => return report::usage(&error),
    };
    if let Some(event) = arguments.command.captured() {
        return hook::capture(event);
    }
    arguments.global.json |= arguments.command.is_request();
    let cli = match Cli::new(&arguments.global) {
        Ok(cli) => cli,
        Err(error) => return report::early(&error, &arguments.global),
    };
    conclude(&cli, dispatch(&cli, &arguments.command))
}

/// Prints what became of a command; returns how it ended.
fn conclude(cli: &Cli, result: Result<ExitCode>) -> ExitCode {
    let code = match result {
        Ok(code) => code,
        Err(error) => report::error(cli, &error),
    };
    cli.end_stream(code);
    if cli.ui.stdout_closed() {
        return ExitCode::OutputClosed;
    }
    match cli.ui.stdout_failure() {
        Some(reason) if code == ExitCode::Done => {
            cli.ui
                .error(format!("writing to standard output: {reason}"));
            cli.ui
                .hint("what was printed is not all; run the command again");
            ExitCode::Failed
        }
        _ => code,
    }
}

fn dispatch(cli: &Cli, command: &Command) -> Result<ExitCode> {
    cli.expect_stream(command);
    match command {
        Command::New(args) => plans::new(cli, args),
        Command::Plans(args) => plans::plans(cli, args),
        Command::Cd(args) => plans::cd(cli, args),
        Command::Current => plans::current(cli),
        Command::Rename(args) => plans::rename(cli, args),
        Command::Archive(args) => plans::archive(cli, args),
        Command::Unarchive(args) => plans::unarchive(cli, args),
        Command::DeletePlan(args) => plans::delete(cli, args),
        Command::Undelete(args) => plans::undelete(cli, args),
        Command::Branches => branches::branches(cli),
        Command::Checkout(args) => branches::checkout(cli, args),
        Command::DeleteBranch(args) => branches::delete(cli, args),
        Command::Load(args) => context::load(cli, args),
        Command::Ls => context::ls(cli),
        Command::Show(args) => context::show(cli, args),
        Command::Rm(args) => context::remove(cli, args),
        Command::Clear => context::clear(cli),
        Command::Update(args) => context::update(cli, args),
        Command::Tell(args) => run::tell(cli, args),
        Command::Continue(args) => run::continue_(cli, args),
        Command::Chat(args) => run::chat(cli, args),
        Command::Build(args) => run::build(cli, args),
        Command::Summary(args) => run::summary(cli, args),
        Command::Convo(args) => history::convo(cli, args),
        Command::Log(args) => history::log(cli, args),
        Command::Rewind(args) => rewind::rewind(cli, args),
        Command::Diff(args) => diff::diff(cli, args),
        Command::Reject(args) => reject::reject(cli, args),
        Command::Who(args) => who::who(cli, args),
        Command::Status => status::status(cli),
        Command::Ps(args) => locks::ps(cli, args),
        Command::Locks(args) => locks::locks(cli, args),
        Command::Stop(args) => stop::stop(cli, args),
        Command::Connect(args) => run::connect(cli, args),
        Command::Events(args) => events::events(cli, args),
        Command::Exec(args) => exec::exec(cli, args),
        Command::Apply(args) => apply::apply(cli, args),
        Command::Config => config::config(cli),
        Command::SetConfig(args) => config::set_config(cli, args),
        Command::Models => models::models(cli),
        Command::SetModel(args) => models::set_model(cli, args),
        Command::Doctor(args) => doctor::doctor(cli, args),
        Command::Backup(args) => backup::backup(cli, args),
        Command::Restore(args) => backup::restore(cli, args),
        Command::Batch(args) => batch::batch(cli, args),
        Command::Help(args) => help::help(cli, args),
        Command::Man(args) => man::man(cli, args),
        Command::Completions(args) => completions::completions(cli, args),
        Command::Complete(args) => completions::complete(cli, args),
        Command::Hook(args) => hook::hook(cli, args),
        Command::ProbeFileSystem(args) => {
            crate::store::answer_probe(&args.place)?;
            Ok(ExitCode::Done)
        }
    }
}
