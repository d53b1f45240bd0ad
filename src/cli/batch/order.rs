//! What a line may run beside.

use super::super::args::Command;
use crate::store::tickets::Scope;

/// Where a line stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// It changes what later lines work on: all before it are over, none after it has begun.
    Alone,
    /// It is of no plan, or takes nobody's turn: it runs at once.
    AtOnce,
    /// In the line of the plan that is selected for it, with this scope.
    OfPlan(Scope),
    /// As a read of the whole plan and no branch.
    OfWholePlan,
}

/// Why a command cannot be a line, if it cannot.
pub(super) fn not_in_a_batch(command: &Command) -> Option<&'static str> {
    let goes_on = matches!(command, Command::Locks(args) if args.watches())
        || matches!(command, Command::Ps(args) if args.watches())
        || matches!(command, Command::Events(args) if args.follows());
    let follows = matches!(command, Command::Connect(_));
    let is_batch = matches!(command, Command::Batch(_));
    let is_ours = matches!(command, Command::ProbeFileSystem(_) | Command::Complete(_));
    let listens = command.captured().is_some();
    let replaces = matches!(command, Command::Restore(_))
        || matches!(command, Command::Doctor(args) if args.rebuild);
    is_batch
        .then_some("a batch cannot hold a batch")
        .or(goes_on.then_some("it would go on until it is stopped"))
        .or(follows.then_some("it follows another run to its end"))
        .or(command
            .is_in_background()
            .then_some("a batch waits for its lines: none is in the background"))
        .or(listens.then_some("it is a host's to run, with JSON on standard input"))
        .or(replaces.then_some("it takes the project away from the other lines"))
        .or(is_ours.then_some("it is no command for people"))
}

/// The order of a command. What only looks takes no ticket, but it is to see what the lines before
/// it did, so it stands in the plan's line as a read.
pub(super) fn of(command: &Command) -> Order {
    match command {
        // What changes which plans and branches there are, what they are called, which is chosen.
        Command::New(_)
        | Command::Cd(_)
        | Command::Checkout(_)
        | Command::DeleteBranch(_)
        | Command::Rename(_)
        | Command::Archive(_)
        | Command::Unarchive(_)
        | Command::DeletePlan(_)
        | Command::Undelete(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Hook(_)
        | Command::SetConfig(_) => Order::Alone,
        Command::Doctor(args) if args.fix || args.prune || args.request.is_some() => Order::Alone,
        Command::Doctor(_)
        | Command::Plans(_)
        | Command::Config
        | Command::Ps(_)
        | Command::Who(_)
        | Command::Locks(_)
        | Command::Events(_)
        | Command::Connect(_)
        | Command::Stop(_)
        | Command::Batch(_)
        | Command::Help(_)
        | Command::Man(_)
        | Command::Completions(_)
        | Command::Complete(_)
        | Command::ProbeFileSystem(_) => Order::AtOnce,
        Command::Tell(args) if args.asking.only_prints() => Order::OfPlan(Scope::Read),
        Command::Chat(args) if args.asking.only_prints() => Order::OfPlan(Scope::Read),
        Command::Continue(args) if args.asking.only_prints() => Order::OfPlan(Scope::Read),
        Command::Apply(args) if args.dry_run => Order::OfPlan(Scope::Read),
        Command::Tell(_)
        | Command::Chat(_)
        | Command::Continue(_)
        | Command::Build(_)
        | Command::Rm(_)
        | Command::Clear
        | Command::Update(_)
        | Command::Summary(_)
        | Command::Rewind(_)
        | Command::Reject(_)
        | Command::SetModel(_)
        | Command::Apply(_) => Order::OfPlan(Scope::Write),
        Command::Exec(args) if args.read && args.root => Order::OfWholePlan,
        Command::Exec(args) if args.read => Order::OfPlan(Scope::Read),
        Command::Exec(_) => Order::OfPlan(Scope::Write),
        Command::Load(_)
        | Command::Diff(_)
        | Command::Current
        | Command::Branches
        | Command::Ls
        | Command::Convo(_)
        | Command::Show(_)
        | Command::Models
        | Command::Log(_)
        | Command::Status => Order::OfPlan(Scope::Read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::batch::lines;

    #[test]
    fn every_kind_of_line_has_its_order() {
        let read = Order::OfPlan(Scope::Read);
        let write = Order::OfPlan(Scope::Write);
        for (line, expected) in [
            ("new -n a", Order::Alone),
            ("cd a", Order::Alone),
            ("checkout -b a", Order::Alone),
            ("rename a", Order::Alone),
            ("archive", Order::Alone),
            ("delete-plan -y a", Order::Alone),
            ("undelete a", Order::Alone),
            ("delete-branch -y a", Order::Alone),
            ("doctor --prune -y", Order::Alone),
            ("doctor --fix", Order::Alone),
            ("doctor", Order::AtOnce),
            ("stop", Order::AtOnce),
            ("tell x", write),
            ("tell x --print-prompt", read),
            ("chat x", write),
            ("continue --print-prompt", read),
            ("build", write),
            ("apply -y", write),
            ("reject -a -y", write),
            ("apply --dry-run", read),
            ("exec -- true", write),
            ("exec --read -- true", read),
            ("exec --read --root -- true", Order::OfWholePlan),
            ("load x", read),
            ("show 1", read),
            ("rm 1", write),
            ("clear", write),
            ("update -y", write),
            ("diff --snapshot", read),
            ("convo", read),
            ("models", read),
            ("set-model x", write),
            ("set-config wait 1s", Order::Alone),
            ("config", Order::AtOnce),
        ] {
            let parsed = lines::parse(line.as_bytes()).unwrap();
            assert_eq!(of(&parsed[0].command), expected, "{line}");
        }
    }
}
