//! What a command works with: the environment, the terminal, the project.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::Serialize;

use super::args::{Global, When};
use super::batch::Together;
use super::frame::Frame;
use super::report::UsageError;
use super::run::background::Detached;
use super::verbose;
use crate::config::{self, Environment, Settings, Wait};
use crate::lock::Patience;
use crate::platform::{clock, crash, terminal};
use crate::project::{self, DecidedBy, Place, Project, Selected, Session};
use crate::store::Connections;
use crate::store::tickets::Ticket;
use crate::ui::{ColourChoice, Printing, Ui, UiSettings};

/// What repairs a plan after each grant for writing.
pub(super) const REPAIRS: &[project::Repair] = &[crate::apply::settle, crate::plan::repair];

/// One command's surroundings.
pub(super) struct Cli {
    pub(super) ui: Ui,
    pub(super) json: bool,
    pub(super) environment: Environment,
    pub(super) cwd: PathBuf,
    global: Global,
    /// What `--wait` or `--no-wait` says.
    wait: Option<Wait>,
    /// How many events were printed.
    events: AtomicU64,
    frame: Frame,
    /// Set for a command that goes on in the background.
    detached: Option<Detached>,
    /// Set for a line of a batch.
    line: Option<Line>,
    /// The plan (its id) and the branch that all that follows is about, whatever is chosen meanwhile.
    pinned: OnceLock<(String, String)>,
}

/// What a line of a batch has that a command of its own has not.
struct Line {
    together: Arc<Together>,
    /// The line as it could be typed.
    command: String,
    stdout: File,
    stderr: File,
    has_panicked: AtomicBool,
}

/// An event as it is printed: its own fields behind those that every event has (MODEL.md §7).
#[derive(Serialize)]
pub(super) struct Stamped<'a, T> {
    v: u32,
    seq: u64,
    ts: String,
    #[serde(flatten)]
    event: &'a T,
}

/// Every JSON document says which shape it has; fields are only ever added.
pub(super) const SCHEMA_VERSION: u32 = 1;

impl Cli {
    pub(super) fn new(global: &Global) -> Result<Self> {
        let environment = Environment::read()?;
        crash::arm(
            environment.crash_at,
            environment.panic_at,
            environment.crash_trace.as_deref(),
        );
        let detached = Detached::begin(&environment);
        let ui = Ui::new(&UiSettings {
            colour: match global.color {
                When::Auto => ColourChoice::Auto,
                When::Always => ColourChoice::Always,
                When::Never => ColourChoice::Never,
            },
            json: global.json,
            quiet: global.quiet,
            environment: &environment,
            cancel: None,
        });
        verbose::start(&ui, &environment, global.verbose)?;
        let cwd = config::current_dir()?;
        Ok(Self {
            ui,
            json: global.json,
            environment,
            cwd,
            global: global.clone(),
            // Read here, so that a mistake in it is one of every command, found before any work.
            wait: wait(global)?,
            events: AtomicU64::new(0),
            frame: Frame::default(),
            detached,
            line: None,
            pinned: OnceLock::new(),
        })
    }

    /// The surroundings of a line of this batch, whose output is kept in two files. What the line
    /// does not say itself is as the batch was told.
    pub(super) fn line(
        &self,
        global: &Global,
        command: String,
        together: &Arc<Together>,
        [stdout, stderr]: [&File; 2],
    ) -> Result<Self> {
        let ours = &self.global;
        let global = Global {
            plan: global.plan.clone().or_else(|| ours.plan.clone()),
            branch: global.branch.clone().or_else(|| ours.branch.clone()),
            json: global.json || ours.json,
            quiet: global.quiet || ours.quiet,
            verbose: global.verbose.max(ours.verbose),
            ..global.clone()
        };
        let printing = Printing {
            json: global.json,
            quiet: global.quiet,
        };
        Ok(Self {
            ui: self
                .ui
                .beside(stdout.try_clone()?, stderr.try_clone()?, printing),
            json: global.json,
            environment: self.environment.clone(),
            cwd: self.cwd.clone(),
            wait: wait(&global)?.or(self.wait),
            global,
            events: AtomicU64::new(0),
            frame: Frame::default(),
            detached: None,
            line: Some(Line {
                together: Arc::clone(together),
                command,
                stdout: stdout.try_clone()?,
                stderr: stderr.try_clone()?,
                has_panicked: AtomicBool::new(false),
            }),
            pinned: OnceLock::new(),
        })
    }

    /// Whether this is a line of a batch: signals are heard by the batch, and nobody can be asked.
    pub(super) fn is_line(&self) -> bool {
        self.line.is_some()
    }

    /// Notes that a mistake of ours ended the command.
    pub(super) fn note_panic(&self) {
        if let Some(line) = &self.line {
            line.has_panicked.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a mistake of ours ended this line.
    pub(super) fn has_panicked(&self) -> bool {
        let panicked = |line: &Line| line.has_panicked.load(Ordering::Relaxed);
        self.line.as_ref().is_some_and(panicked)
    }

    /// Where a program that is run writes to, if not to this process's own streams: stdout, stderr.
    pub(super) fn output_files(&self) -> Result<Option<[File; 2]>> {
        let clones = |line: &Line| anyhow::Ok([line.stdout.try_clone()?, line.stderr.try_clone()?]);
        self.line.as_ref().map(clones).transpose()
    }

    /// The command as it could be typed again.
    pub(super) fn command_line(&self) -> String {
        match &self.line {
            Some(line) => line.command.clone(),
            None => config::command_line(),
        }
    }

    /// The frame around what it prints as JSON.
    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }

    /// What there is of a command that goes on in the background.
    pub(super) fn detached(&self) -> Option<&Detached> {
        self.detached.as_ref()
    }

    /// What `--plan` says.
    pub(super) fn plan_flag(&self) -> Option<&str> {
        self.global.plan.as_deref()
    }

    /// How often -v was given.
    pub(super) fn verbosity(&self) -> u8 {
        self.global.verbose
    }

    /// `event` as the next one of this command.
    pub(super) fn stamped<'a, T: Serialize>(&self, event: &'a T) -> Stamped<'a, T> {
        self.stamped_at(clock::wall_ms(), event)
    }

    /// As [`Self::stamped`], for what happened at `at` (wall milliseconds).
    pub(super) fn stamped_at<'a, T: Serialize>(&self, at: i64, event: &'a T) -> Stamped<'a, T> {
        // Nothing comes before the first line of a stream.
        self.begin_stream();
        Stamped {
            v: SCHEMA_VERSION,
            seq: self.events.fetch_add(1, Ordering::Relaxed) + 1,
            ts: rfc3339(at),
            event,
        }
    }

    /// Where the project is.
    pub(super) fn place(&self) -> Result<Place> {
        project::find(&self.cwd, self.environment.plandex_dir.as_deref())
    }

    /// Opens the project that this directory is in.
    pub(super) fn open(&self) -> Result<Arc<Project>> {
        if let Some(line) = &self.line {
            let session = self.session();
            return line
                .together
                .open(self)?
                .beside(session.plan, session.branch);
        }
        self.open_alone(Connections::One)
    }

    /// Opens the project for itself.
    pub(super) fn open_alone(&self, connections: Connections) -> Result<Arc<Project>> {
        let place = self.place()?;
        let session = Session {
            connections,
            ..self.session()
        };
        let project = Project::open(&place, session)?;
        // By stat only. Commands read a duplicate of it, which they close.
        if std::fs::metadata("/dev/stdin").is_ok_and(|meta| project.store.is_own_file(&meta)) {
            return Err(own_file("standard input"));
        }
        Ok(project)
    }

    /// Opens the project at `place`, creating it if need be.
    pub(super) fn create(&self, place: &Place) -> Result<Arc<Project>> {
        match &self.line {
            // Whatever was opened is at this place: both were found from the same directory.
            Some(line) => line.together.create(self, place),
            None => Project::create(place, self.session()),
        }
    }

    /// Opens the project and its selected plan and branch.
    pub(super) fn open_selected(&self) -> Result<(Arc<Project>, Selected)> {
        let project = self.open()?;
        let selected = project.selected()?;
        Ok((project, selected))
    }

    /// Makes all that this command still does be about this plan and branch.
    pub(super) fn pin(&self, selected: &Selected) {
        let place = (selected.plan.id.clone(), selected.branch.name.clone());
        // The first one stands: a command is about one branch.
        self.pinned.get_or_init(|| place);
    }

    /// What decided the selected plan, and what its branch, as one would look for it.
    pub(super) fn decided_by(&self, selected: &Selected) -> (&'static str, &'static str) {
        let words = |by: DecidedBy,
                     flag: Option<&String>,
                     [option, variable]: [&'static str; 2]| {
            match by {
                DecidedBy::Named if flag.is_some() => option,
                DecidedBy::Named => variable,
                DecidedBy::Terminal | DecidedBy::Project | DecidedBy::Default => by.words(),
            }
        };
        let plan = ["--plan", "PLANDEX_PLAN"];
        let branch = ["--branch", "PLANDEX_BRANCH"];
        (
            words(selected.decided_by, self.global.plan.as_ref(), plan),
            words(selected.branch_by, self.global.branch.as_ref(), branch),
        )
    }

    /// Whether its branch was chosen, and not named for this one command.
    pub(super) fn has_chosen(&self, selected: &Selected) -> bool {
        matches!(selected.branch_by, DecidedBy::Terminal | DecidedBy::Project)
    }

    /// Who works here, and how.
    pub(super) fn session(&self) -> Session {
        let terminal = terminal::session();
        let actor = self.environment.actor.clone().or_else(|| terminal.clone());
        let (plan, branch) = self.pinned.get().cloned().unzip();
        Session {
            plan: plan
                .or_else(|| self.global.plan.clone())
                .or_else(|| self.environment.plan.clone()),
            branch: branch
                .or_else(|| self.global.branch.clone())
                .or_else(|| self.environment.branch.clone()),
            terminal,
            actor: actor.unwrap_or_default(),
            command: shortened(config::command_line()),
            lock_token: self.environment.lock_token.clone(),
            connections: Connections::One,
            repairs: REPAIRS,
        }
    }

    /// The settings files and the environment.
    pub(super) fn settings(&self, project: &Project) -> Result<Settings> {
        Settings::load(Some(&project.dir().join("config.toml")), &self.environment)
    }

    /// Whether a settings file or a variable says anything of the setting `name`.
    pub(super) fn is_set(&self, project: &Project, name: &str) -> Result<bool> {
        let path = project.dir().join("config.toml");
        let shown = Settings::shown(Some(&path), &self.environment)?;
        let is_said = |one: &config::Shown| one.name == name && one.from != "default";
        Ok(shown.iter().any(is_said))
    }

    /// How long this command waits for everything it may wait for, counted from now.
    pub(super) fn patience(&self, project: &Project) -> Result<Patience> {
        let wait = match self.wait {
            Some(wait) => wait,
            // Nobody stands waiting.
            None if self.detached.is_some() => Wait::Forever,
            None => self.settings(project)?.wait,
        };
        Ok(match wait {
            Wait::No => Patience::None,
            Wait::For(limit) => Patience::within(limit),
            Wait::Forever => Patience::Forever,
        })
    }

    /// Whether a ticket is this terminal's or actor's own.
    pub(super) fn is_ours(&self, project: &Project, ticket: &Ticket) -> bool {
        let actor = &project.session().actor;
        !actor.is_empty() && *actor == ticket.actor
    }
}

/// What `--wait` or `--no-wait` says.
pub(super) fn wait(global: &Global) -> Result<Option<Wait>> {
    Ok(match (&global.wait, global.no_wait) {
        (_, true) => Some(Wait::No),
        (Some(text), false) => Some(config::parse_wait(text).context("reading --wait")?),
        (None, false) => None,
    })
}

/// The refusal to read the database as if it were a text.
pub(super) fn own_file(name: &str) -> anyhow::Error {
    let message = format!("{name} is plandex's own database, which only SQLite may open");
    UsageError::new(message, "give a file of your own").into()
}

/// A command as its ticket shows it: of a huge one, the beginning.
fn shortened(mut command: String) -> String {
    const LONGEST: usize = 900;
    if command.len() > LONGEST {
        command.truncate(command.floor_char_boundary(LONGEST));
        command.push('…');
    }
    command
}

/// A wall time in milliseconds as RFC 3339 UTC.
pub(super) fn rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// A wall time in milliseconds as people read it, in local time.
pub(super) fn clock_time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(
        |_| ms.to_string(),
        |time| {
            let local = time.to_zoned(crate::config::local_zone());
            local.strftime("%Y-%m-%d %H:%M:%S").to_string()
        },
    )
}

/// How long ago a wall time was; never negative, whatever the clock did.
pub(super) fn since(ms: i64) -> std::time::Duration {
    let elapsed = clock::wall_ms().saturating_sub(ms);
    std::time::Duration::from_millis(u64::try_from(elapsed).unwrap_or_default())
}
