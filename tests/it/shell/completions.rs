//! Words completed by the shells themselves: what is typed on their terminals, and what the
//! commands that it becomes do.

use std::path::Path;

use crate::support::{LIMIT, OnTerminal, Run, SOON, Sandbox, needs};

/// Plans and branches with everyday and with odd names.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["main work", "green", "it's $5 \"new\"", "fix:a b"] {
        sandbox.ok(&["new", "-n", name]);
    }
    sandbox.ok(&["cd", "green"]);
    sandbox.ok(&["load", "src/main.rs"]);
    for branch in ["side", "side:step"] {
        sandbox.ok(&["checkout", "-b", branch]);
        sandbox.ok(&["checkout", "main"]);
    }
    sandbox
}

/// With the tested binary as `plandex`.
fn with_path(run: Run<'_>) -> Run<'_> {
    let binary = Path::new(env!("CARGO_BIN_EXE_plandex"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", binary.parent().unwrap().display());
    run.env("PATH", path).env("TERM", "xterm")
}

/// A shell at its prompt, which knows how to complete.
fn at_prompt<'s>(sandbox: &'s Sandbox, shell: &str, args: &[&str], setup: &str) -> OnTerminal<'s> {
    let run = with_path(sandbox.program(shell, args)).env("PS1", "> ");
    let mut terminal = run.on_terminal(100);
    terminal.type_in(setup);
    // Not as it is typed: as it comes out.
    terminal.type_in("echo rea''dy\r");
    terminal.until_shows("ready");
    terminal
}

fn bash(sandbox: &Sandbox) -> OnTerminal<'_> {
    let setup = "bind 'set enable-bracketed-paste off'; source <(plandex completions bash)\r";
    at_prompt(sandbox, "bash", &["--norc", "--noprofile", "-i"], setup)
}

fn zsh(sandbox: &Sandbox) -> OnTerminal<'_> {
    let setup =
        "PS1='> '; autoload -U compinit; compinit -D -u; source <(plandex completions zsh)\r";
    at_prompt(sandbox, "zsh", &["-f", "-i"], setup)
}

fn fish(sandbox: &Sandbox) -> OnTerminal<'_> {
    let setup = "set -g fish_autosuggestion_enabled 0; plandex completions fish | source\r";
    at_prompt(sandbox, "fish", &["--private", "--no-config", "-i"], setup)
}

/// Types `keys`, with tabs, at each prompt, and waits for what the command says.
fn check(terminal: &mut OnTerminal<'_>, pairs: &[(&str, &str)]) {
    for (keys, said) in pairs {
        let (before, tab) = keys.split_once('\t').unwrap();
        terminal.type_in(before);
        terminal.type_in("\t");
        terminal.type_in(tab);
        terminal.type_in("\r");
        terminal.until_shows(said);
    }
    terminal.type_in("\x15exit\r");
    terminal.wait(LIMIT);
}

/// What every shell does with what is typed.
const EVERYWHERE: [(&str, &str); 9] = [
    ("plandex curr\t", "Decided by"),
    ("plandex cd ma\t", "Changed to plan main work"),
    ("plandex cd it\t", "Changed to plan it's $5 \"new\""),
    ("plandex cd 'fi\t", "Changed to plan fix:a b"),
    ("plandex cd gr\t", "Changed to plan green"),
    ("plandex checkout side:\t", "Changed to branch side:step"),
    ("plandex --plan=mai\tcurrent", "Plan        main work"),
    ("plandex show src\t", "scratch::greeting"),
    ("plandex set-config auto-ap\ttrue", "Set auto-apply to true"),
];

#[test]
fn bash_completes_commands_and_names() {
    needs!("bash");
    let sandbox = project();
    let mut terminal = bash(&sandbox);
    check(&mut terminal, &EVERYWHERE);
}

#[test]
fn zsh_completes_commands_and_names() {
    needs!("zsh");
    let sandbox = project();
    let mut terminal = zsh(&sandbox);
    check(&mut terminal, &EVERYWHERE);
}

#[test]
fn fish_completes_commands_and_names() {
    needs!("fish");
    let sandbox = project();
    let mut terminal = fish(&sandbox);
    check(&mut terminal, &EVERYWHERE);
}

#[test]
fn fish_lists_the_right_words() {
    needs!("fish");
    let sandbox = project();
    let listed = |line: &str| {
        let script = format!("plandex completions fish | source; complete -C {line:?}");
        let run = with_path(sandbox.program("fish", ["--no-config", "-c", &script]));
        let out = run.finish().ok().stdout;
        let word = |line: &str| line.split('\t').next().unwrap().to_owned();
        out.lines().map(word).collect::<Vec<_>>()
    };
    assert_eq!(listed("plandex che"), ["checkout"]);
    assert_eq!(listed("plandex cd gr"), ["green"]);
    assert_eq!(listed("plandex cd ma"), ["main work"]);
    assert_eq!(listed("plandex load src/m"), ["src/main.rs"]);
    assert_eq!(
        listed("plandex exec -- plandex delete-b"),
        ["delete-branch"]
    );
    assert_eq!(listed("plandex apply --dry"), ["--dry-run"]);
}

#[test]
fn a_word_is_completed_while_the_plan_is_held_and_complains_of_nothing() {
    let sandbox = project();
    let mut holder = sandbox.plandex(["exec", "--", "cat"]).held_stdin().start();
    sandbox.until_queue("it is held", |line| !line.is_empty());
    let before = sandbox.tickets();
    let outcome = sandbox.ok(&["complete", "fish", "--", "plandex", "checkout", ""]);
    assert_eq!(
        outcome.stdout,
        "words\nmain\tdraft\nside\tdraft\nside:step\tdraft\n"
    );
    assert_eq!(sandbox.tickets(), before);
    holder.close_stdin();
    holder.wait(SOON);
    // Where there is no project there are no names, and no words about it either.
    let nowhere = Sandbox::without_git();
    let outcome = nowhere.ok(&["complete", "zsh", "--", "plandex", "cd", ""]);
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("words\n", "")
    );
}
