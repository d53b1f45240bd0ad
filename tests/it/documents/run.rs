//! Runs the blocks of a document, each in its world.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use plandex::store::tickets::{State, Ticket};
use rustix::process::{Pid, Signal};

use super::blocks::{Block, Document};
use super::same;
use super::terminal::{self, Terminal, search_path};
use super::worlds;
use crate::support::Sandbox;

/// What is said about a block in comments before it.
#[derive(Debug, Default)]
struct Orders {
    /// `not run: WHY`
    is_left: bool,
    /// `terminal NAME`
    terminal: String,
    /// `signal: USR1`, sent before the block to whoever waits.
    signals: bool,
    /// `goes on`: its last command has not ended below the block.
    goes_on: bool,
    /// `keys in NAME: KEYS`, typed before the block.
    keys: Vec<(String, String)>,
    /// `message`, `reply` or `batch`: what plandex is given it as.
    given_as: Option<&'static str>,
}

/// How many blocks were run, how many are left with a reason, and what is not as a block shows it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) run: usize,
    pub(super) left: usize,
    pub(super) wrong: Vec<String>,
}

/// Runs all blocks.
pub(super) fn document(document: &Document) -> Counts {
    let mut counts = Counts::default();
    for order in &document.rest {
        let wrong = format!("{}: no block follows {order:?}", document.name);
        counts.wrong.push(wrong);
    }
    let blocks = &document.blocks;
    let mut at = 0;
    while at < blocks.len() {
        let world = world_of(&blocks[at]).unwrap_or("project");
        let next = blocks[at + 1..]
            .iter()
            .position(|block| world_of(block).is_some());
        let end = next.map_or(blocks.len(), |next| at + 1 + next);
        in_world(document, world, &blocks[at..end], &mut counts);
        at = end;
    }
    counts
}

fn world_of(block: &Block) -> Option<&str> {
    let mut orders = block.orders.iter();
    orders.find_map(|order| order.strip_prefix("world: "))
}

fn in_world(document: &Document, world: &str, blocks: &[Block], counts: &mut Counts) {
    let sandbox = Sandbox::with_limit(Duration::from_secs(240));
    let world = worlds::make(world, &sandbox);
    let mut place = Place {
        sandbox: &sandbox,
        cwd: world.cwd.clone(),
        terminals: BTreeMap::new(),
    };
    for block in blocks {
        let mut wrong = match orders(block) {
            Ok(orders) if orders.is_left => {
                counts.left += 1;
                Vec::new()
            }
            Ok(orders) => {
                counts.run += 1;
                place.block(block, &orders)
            }
            Err(error) => vec![error],
        };
        for error in wrong.drain(..) {
            let Document { name, .. } = document;
            counts.wrong.push(format!("{name}:{}: {error}", block.line));
        }
    }
}

fn orders(block: &Block) -> Result<Orders, String> {
    let mut orders = Orders::default();
    for order in &block.orders {
        if order.starts_with("world: ") {
            continue;
        }
        if let Some(why) = order.strip_prefix("not run: ") {
            if why.len() < 10 {
                return Err(format!("not to be run needs a reason, not {why:?}"));
            }
            orders.is_left = true;
            continue;
        }
        if order == "signal: USR1" {
            orders.signals = true;
            continue;
        }
        if let Some(keys) = order.strip_prefix("keys in ") {
            let (name, keys) = keys.split_once(": ").ok_or("`keys in NAME: KEYS`")?;
            orders.keys.push((name.to_owned(), keys.to_owned()));
            continue;
        }
        for part in order.split(", ") {
            match part {
                "goes on" => orders.goes_on = true,
                "message" => orders.given_as = Some("message"),
                "reply" => orders.given_as = Some("reply"),
                "batch" => orders.given_as = Some("batch"),
                part => match part.strip_prefix("terminal ") {
                    Some(name) => name.clone_into(&mut orders.terminal),
                    None => return Err(format!("not an order: {part:?}")),
                },
            }
        }
    }
    Ok(orders)
}

struct Place<'s> {
    sandbox: &'s Sandbox,
    cwd: PathBuf,
    terminals: BTreeMap<String, Terminal<'s>>,
}

impl<'s> Place<'s> {
    fn terminal(&mut self, name: &str) -> &mut Terminal<'s> {
        let (sandbox, cwd) = (self.sandbox, &self.cwd);
        self.terminals
            .entry(name.to_owned())
            .or_insert_with(|| Terminal::new(sandbox, cwd))
    }

    /// Runs a block; what is wrong with it.
    fn block(&mut self, block: &Block, orders: &Orders) -> Vec<String> {
        for (name, keys) in &orders.keys {
            self.terminal(name).keys(keys);
        }
        if orders.signals {
            self.ask_the_waiter();
        }
        if block.language == "console" {
            let line = self.in_line();
            let terminal = self.terminal(&orders.terminal);
            let is_new = !terminal.is_busy();
            let wrong = console(terminal, &block.text, orders.goes_on);
            if orders.goes_on && is_new {
                // The next block comes after it.
                self.sandbox
                    .until("it is in line", || (self.in_line() > line).then_some(()));
            }
            return wrong;
        }
        let done = match block.language.as_str() {
            "sh" => self.shell(&block.text),
            "toml" => settings(&block.text),
            _ if orders.given_as.is_some() => {
                self.given(&block.text, orders.given_as.unwrap_or_default())
            }
            language => Err(format!(
                "a block of {language:?} that nothing can run; say `<!-- not run: WHY -->` before it"
            )),
        };
        done.err().into_iter().collect()
    }

    /// How many hold a plan or wait for one.
    fn in_line(&self) -> usize {
        if !self.sandbox.state_dir().exists() {
            return 0;
        }
        let line = self.sandbox.tickets();
        let is_there = |ticket: &&Ticket| matches!(ticket.state, State::Held | State::Waiting);
        line.iter().filter(is_there).count()
    }

    /// SIGUSR1 to whoever waits in line.
    fn ask_the_waiter(&self) {
        let line = self.sandbox.until_queue("somebody waits", |line| {
            line.iter().any(|ticket| ticket.state == State::Waiting)
        });
        for ticket in line.iter().filter(|ticket| ticket.state == State::Waiting) {
            let pid = i32::try_from(ticket.pid).ok().and_then(Pid::from_raw);
            let pid = pid.expect("who waits has a pid");
            rustix::process::kill_process(pid, Signal::USR1).unwrap();
        }
    }

    /// Runs the block as a script that ends at the first failure.
    fn shell(&self, text: &str) -> Result<(), String> {
        let run = self.sandbox.program("sh", ["-e", "-c", text]);
        let run = run.cwd(&self.cwd).env("PATH", search_path(self.sandbox));
        let ended = run.finish();
        match ended.code {
            Some(0) => Ok(()),
            _ => Err(format!("the block failed\n{ended}")),
        }
    }

    /// Gives plandex the text as what the document says that it is.
    fn given(&self, text: &str, what: &str) -> Result<(), String> {
        let file = self.sandbox.write_beside("given", text);
        let file = file.to_str().unwrap_or_default();
        let args: &[&str] = match what {
            "message" => &["tell", "-f", file],
            "reply" => &["tell", "what the document shows", "--reply", file],
            _ => &["batch", file],
        };
        let run = self.sandbox.plandex(args).cwd(&self.cwd);
        let ended = run.env("PATH", search_path(self.sandbox)).finish();
        let took = what == "batch" || ended.stderr.contains("pending");
        match ended.code {
            Some(0) if took => Ok(()),
            _ => Err(format!("plandex does not take it as a {what}\n{ended}")),
        }
    }
}

/// Types a block's commands and compares what stands below each. A command may fail only where the
/// next one asks for its exit code.
fn console(terminal: &mut Terminal<'_>, text: &str, goes_on: bool) -> Vec<String> {
    let steps = match terminal::steps(text) {
        Ok(steps) => steps,
        Err(error) => return vec![error],
    };
    let mut wrong = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let command = step.lines.join("\n");
        if goes_on && index + 1 == steps.len() {
            wrong.extend(terminal.see(step).err());
            continue;
        }
        let (code, seen) = if terminal.is_at_work(step) {
            terminal.end()
        } else {
            terminal.run(step)
        };
        if command == "echo $?" && step.shown == seen {
            continue;
        }
        if let Err(difference) = same::compare(&step.shown, &seen) {
            wrong.push(terminal.differs(step, &difference));
        }
        let is_asked = steps
            .get(index + 1)
            .is_some_and(|next| next.lines == ["echo $?"]);
        if code != 0 && !is_asked {
            wrong.push(format!(
                "`{command}` exits {code}, and the document does not say so"
            ));
        }
    }
    wrong
}

/// Has plandex read the settings, as the file that their first line names.
fn settings(text: &str) -> Result<(), String> {
    let sandbox = Sandbox::new();
    sandbox.ok(&["new"]);
    let name = text.lines().next().and_then(|line| line.strip_prefix("# "));
    let file = match name {
        Some("~/.config/plandex/config.toml") => {
            sandbox.place().join("home/.config/plandex/config.toml")
        }
        Some(".plandex/config.toml") => sandbox.state_dir().join("config.toml"),
        name => {
            return Err(format!(
                "the settings' first line names their file, not {name:?}"
            ));
        }
    };
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, text).unwrap();
    for command in ["config", "models"] {
        let ended = sandbox.run(&[command]);
        if ended.code != Some(0) {
            return Err(format!("plandex does not read these settings\n{ended}"));
        }
    }
    Ok(())
}

#[test]
fn what_is_not_so_is_found() {
    let outcome = |text: &str| document(&super::blocks::read("X.md", text));
    let session = "<!-- world: empty -->\n```console\n$ mkdir p && cd p && git init -q\n$ plandex new -n work\n\
                   Started a plandex project in /home/you/p\nCreated plan work and made it current\n...\n\
                   $ plandex diff --exit-code\nNo pending changes\n```\n";
    let counts = outcome(session);
    assert_eq!((counts.run, counts.left, counts.wrong), (1, 0, Vec::new()));
    let broken = [
        ("plan work and", "plan play and", "Created plan play"),
        ("new -n work", "new --nome work", "exits 2"),
        (
            "No pending changes",
            "No pending changes\n$ echo $?\n1",
            "shows\n    1",
        ),
        (
            "diff --exit-code\nNo pending changes",
            "who x\nNobody wants x",
            "exits 1",
        ),
        ("```console", "```text", "nothing can run"),
        ("```console\n$ ", "```console\n", "begins with"),
        (
            " empty -->",
            " empty -->\n<!-- notrun: because -->",
            "not an order",
        ),
        (
            " empty -->",
            " empty -->\n<!-- not run: why -->",
            "needs a reason",
        ),
    ];
    for (from, to, found) in broken {
        let text = session.replacen(from, to, 1);
        assert_ne!(text, session);
        let wrong = outcome(&text).wrong.join("\n");
        assert!(wrong.contains(found), "{to:?}: {wrong}");
    }
    let text = "<!-- world: project -->\n```sh\nplandex plans\nfalse\n```\n<!-- message -->\n```text\nhello\n```\n\
                <!-- not run: it takes a key that costs money -->\n```sh\nfalse\n```\n\
                ```toml\n# ~/.config/plandex/config.toml\nprovidor = \"openai\"\n```\n";
    let counts = outcome(text);
    assert_eq!((counts.run, counts.left, counts.wrong.len()), (3, 1, 3));
}
