//! The environment of this process as typed values.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};

use super::models::ModelEnvironment;
use super::token::LockToken;
use super::wait::{Wait, parse_wait};

/// The variable by which a command knows that it is to go on in the background.
pub const BACKGROUND: &str = "PLANDEX_BACKGROUND";

/// What the environment says, read once at the start of a command.
///
/// An empty variable counts as one that is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `PLANDEX_DIR`: the directory to use in place of the `.plandex` found by walking up.
    pub plandex_dir: Option<PathBuf>,
    /// `PLANDEX_PLAN`: a plan's name or id.
    pub plan: Option<String>,
    /// `PLANDEX_BRANCH`: a branch's name.
    pub branch: Option<String>,
    /// `PLANDEX_WAIT`: how long to wait; see [`Settings`](super::Settings), which includes it.
    pub wait: Option<Wait>,
    /// `PLANDEX_ACTOR`: who is working, for people and for kept places.
    pub actor: Option<String>,
    /// `PLANDEX_LOCK_TOKEN`: the hold of the `plandex exec` that this process runs below.
    pub lock_token: Option<LockToken>,
    /// `PLANDEX_BACKGROUND`: the pid of the command that started this one to go on in the background.
    /// Programs that this one runs inherit it, and it means nothing to them: see who compares it.
    pub background: Option<u32>,
    /// `PLANDEX_LOG`: the topics of the verbose log.
    pub log: Option<String>,
    /// `PLANDEX_LOG_FILE`: where the verbose log goes in place of standard error.
    pub log_file: Option<PathBuf>,
    /// `NO_COLOR` is set.
    pub no_color: bool,
    /// `CLICOLOR_FORCE` is set to something other than `0`.
    pub clicolor_force: bool,
    /// `TERM`.
    pub term: Option<String>,
    /// `CI` is set to something other than `0` or `false`.
    pub ci: bool,
    /// `LC_ALL`.
    pub lc_all: Option<String>,
    /// `LC_CTYPE`.
    pub lc_ctype: Option<String>,
    /// `LANG`.
    pub lang: Option<String>,
    /// `HOME`, if it is an absolute path.
    pub home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`, if it is an absolute path (others are to be ignored, says its standard).
    pub xdg_config_home: Option<PathBuf>,
    /// `PLANDEX_EDITOR`: a command line, stronger than the settings' `editor`.
    pub own_editor: Option<OsString>,
    /// `VISUAL`: a command line, weaker than the settings' `editor`.
    pub visual: Option<OsString>,
    /// `EDITOR`: a command line, weaker than `VISUAL`.
    pub editor: Option<OsString>,
    /// `PLANDEX_PAGER`: a command line, stronger than `PAGER`.
    pub own_pager: Option<OsString>,
    /// `PAGER`: a command line.
    pub pager: Option<OsString>,
    /// What is said about models.
    pub models: ModelEnvironment,
    /// `PLANDEX_CRASH_AT`: the crash point to die at, from 1. Always `None` in a release build.
    pub crash_at: Option<u64>,
    /// `PLANDEX_PANIC_AT`: the crash point to panic at, from 1. Always `None` in a release build.
    pub panic_at: Option<u64>,
    /// `PLANDEX_CRASH_TRACE`: where to list passed crash points. Always `None` in a release build.
    pub crash_trace: Option<PathBuf>,
}

/// Who names the editor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditorFrom {
    /// This environment variable.
    Variable(&'static str),
    /// The user's settings.
    Settings,
    /// Nobody.
    Default,
}

impl Environment {
    /// Reads the environment of this process.
    ///
    /// Fails on a `PLANDEX_` variable that is not UTF-8 or cannot be understood; names it.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn read() -> Result<Self> {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    /// Reads an environment in which `lookup` gives a variable's value; see [`Self::read`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let path = |name: &str| set(name).map(PathBuf::from);
        let absolute = |name: &str| path(name).filter(|path| path.is_absolute());
        // Only compared with known words: what is not UTF-8 is none of them.
        let word = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
        let ours = |name: &str| set(name).map(|value| text(name, value)).transpose();
        let of_debug_build = |name: &str| {
            if cfg!(debug_assertions) {
                set(name)
            } else {
                None
            }
        };
        let point = |name: &str| {
            of_debug_build(name)
                .map(|value| crash_place(name, &value.to_string_lossy()))
                .transpose()
        };
        Ok(Self {
            plandex_dir: path("PLANDEX_DIR"),
            plan: ours("PLANDEX_PLAN")?,
            branch: ours("PLANDEX_BRANCH")?,
            wait: ours("PLANDEX_WAIT")?
                .map(|value| parse_wait(&value).context("reading PLANDEX_WAIT"))
                .transpose()?,
            actor: ours("PLANDEX_ACTOR")?,
            lock_token: ours("PLANDEX_LOCK_TOKEN")?
                .map(|value| value.parse().context("reading PLANDEX_LOCK_TOKEN"))
                .transpose()?,
            // Not for people: whatever else it says means no background.
            background: word(BACKGROUND).and_then(|value| value.parse().ok()),
            log: ours("PLANDEX_LOG")?,
            log_file: path("PLANDEX_LOG_FILE"),
            no_color: set("NO_COLOR").is_some(),
            clicolor_force: set("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
            term: word("TERM"),
            ci: set("CI").is_some_and(|value| value != "0" && value != "false"),
            lc_all: word("LC_ALL"),
            lc_ctype: word("LC_CTYPE"),
            lang: word("LANG"),
            home: absolute("HOME"),
            xdg_config_home: absolute("XDG_CONFIG_HOME"),
            own_editor: set("PLANDEX_EDITOR"),
            visual: set("VISUAL"),
            editor: set("EDITOR"),
            own_pager: set("PLANDEX_PAGER"),
            pager: set("PAGER"),
            models: ModelEnvironment::read(&set)?,
            crash_at: point("PLANDEX_CRASH_AT")?,
            panic_at: point("PLANDEX_PANIC_AT")?,
            crash_trace: of_debug_build("PLANDEX_CRASH_TRACE").map(PathBuf::from),
        })
    }

    /// Whether text that leaves this process may hold characters beyond ASCII that we chose: the
    /// first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set names UTF-8.
    pub fn has_utf8_locale(&self) -> bool {
        let locale = self.lc_all.as_ref();
        let locale = locale.or(self.lc_ctype.as_ref()).or(self.lang.as_ref());
        locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
    }

    /// Whether a terminal of this environment takes nothing but text: `TERM` is `dumb` or not set.
    pub fn has_dumb_terminal(&self) -> bool {
        self.term.as_deref().is_none_or(|term| term == "dumb")
    }

    /// The command line of the editor: `PLANDEX_EDITOR`, the settings' (`configured`), `VISUAL`,
    /// `EDITOR`, vi.
    pub fn editor(&self, configured: Option<&str>) -> (String, EditorFrom) {
        let of = |line: &Option<OsString>, name| {
            let line = line.as_ref()?.to_string_lossy().into_owned();
            Some((line, EditorFrom::Variable(name)))
        };
        of(&self.own_editor, "PLANDEX_EDITOR")
            .or_else(|| Some((configured?.to_owned(), EditorFrom::Settings)))
            .or_else(|| of(&self.visual, "VISUAL"))
            .or_else(|| of(&self.editor, "EDITOR"))
            .unwrap_or_else(|| ("vi".to_owned(), EditorFrom::Default))
    }

    /// The command line of the pager: `PLANDEX_PAGER`, `PAGER`, less; `None` if that is empty or cat.
    pub fn pager(&self) -> Option<String> {
        let line = self.own_pager.as_ref().or(self.pager.as_ref());
        let line = line.map_or("less -FRX".into(), |line| line.to_string_lossy());
        let is_none = ["", "cat"].contains(&line.trim());
        (!is_none).then(|| line.into_owned())
    }

    /// The user's settings file, whether it exists or not; `None` without a usable home.
    pub fn user_settings_path(&self) -> Option<PathBuf> {
        let config = self.xdg_config_home.clone();
        let config = config.or_else(|| self.home.as_ref().map(|home| home.join(".config")))?;
        Some(config.join("plandex").join("config.toml"))
    }
}

fn text(name: &str, value: OsString) -> Result<String> {
    value
        .into_string()
        .map_err(|value| anyhow!("{name} is not UTF-8: {value:?}"))
}

fn crash_place(name: &str, value: &str) -> Result<u64> {
    value
        .parse()
        .with_context(|| format!("reading {name}: {value:?} is not a number"))
}
