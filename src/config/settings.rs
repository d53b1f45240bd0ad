//! Settings files: the user's, and over it the project's.

use std::fmt;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::Number;

use super::environment::{EditorFrom, Environment};
use super::models::{FileCommand, FileDuration, FileSecret, KeySource, ModelSettings, Origin};
use super::wait::{WAIT_DEFAULT, Wait, parse_wait};

/// The largest file that is loaded into a context when nobody said anything, in bytes.
pub const MAX_FILE_SIZE_DEFAULT: u64 = 1024 * 1024;

/// What the settings files and the environment say, with defaults for the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `auto-build`: the edits of a reply are built at once.
    pub auto_build: bool,
    /// `auto-apply`: what a run built is written to the project, as by `apply -y`.
    pub auto_apply: bool,
    /// `auto-commit`: what an apply wrote is committed, as by `apply --commit`.
    pub auto_commit: bool,
    /// `auto-update-context`: outdated context is loaded again before a model is asked.
    pub auto_update_context: bool,
    /// `auto-continue`: a reply that was cut by its length is gone on with.
    pub auto_continue: bool,
    /// `skip-changes-menu`: nobody is asked after a run what to do with its changes.
    pub skip_changes_menu: bool,
    /// `editor`: what a prompt is written in; of the user's file alone.
    pub editor: Option<String>,
    /// `wait`: how long a command waits. `PLANDEX_WAIT` is stronger than a file, `--wait` than both.
    pub wait: Wait,
    /// `context.max-file-size`: larger files are listed as skipped, in bytes.
    pub max_file_size: u64,
    /// What the files say about models, the strongest first; files that say nothing are left out.
    pub models: Vec<ModelSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auto_build: true,
            auto_apply: false,
            auto_commit: false,
            auto_update_context: false,
            auto_continue: false,
            skip_changes_menu: true,
            editor: None,
            wait: WAIT_DEFAULT,
            max_file_size: MAX_FILE_SIZE_DEFAULT,
            models: Vec::new(),
        }
    }
}

/// A setting with its value, as `config` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub name: &'static str,
    /// Its value, as it would be given to `set-config`; empty for none.
    pub value: String,
    /// What decided it: a variable, a file's path, "default".
    pub from: String,
}

/// Every key that a settings file may hold, for people.
const KEYS: &str = "wait, context.max-file-size, auto-build, auto-apply, auto-commit, \
    auto-update-context, auto-continue, skip-changes-menu, editor, provider, model, base-url, api-key, api-key-env, \
    command, fallback, context-window, reply-reserve, max-tokens, temperature, first-byte-wait, \
    idle-wait, max-wait";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct File {
    auto_build: Option<bool>,
    auto_apply: Option<bool>,
    auto_commit: Option<bool>,
    auto_update_context: Option<bool>,
    auto_continue: Option<bool>,
    skip_changes_menu: Option<bool>,
    editor: Option<String>,
    wait: Option<FileWait>,
    #[serde(default)]
    context: FileContext,
    provider: Option<String>,
    model: Option<String>,
    base_url: Option<String>,
    api_key: Option<FileSecret>,
    api_key_env: Option<String>,
    command: Option<FileCommand>,
    fallback: Option<String>,
    context_window: Option<u64>,
    reply_reserve: Option<u64>,
    max_tokens: Option<u64>,
    temperature: Option<Number>,
    first_byte_wait: Option<FileDuration>,
    idle_wait: Option<FileDuration>,
    max_wait: Option<FileDuration>,
}

impl File {
    /// What it says about models. Fails if it says two things at once.
    fn models(self, origin: Origin) -> Result<Option<ModelSettings>> {
        let is_key = self.api_key.is_some();
        let is_exposed = matches!(&origin, Origin::User(path) if is_key && is_open_to_others(path));
        let key = match (self.api_key, self.api_key_env) {
            (Some(_), Some(_)) => {
                let path = origin.of("api-key");
                return Err(anyhow!(
                    "{path}: `api-key` and `api-key-env` exclude each other"
                ));
            }
            (Some(key), None) => Some(KeySource::Key(key.0)),
            (None, Some(name)) => Some(KeySource::Variable(name)),
            (None, None) => None,
        };
        let lasting = |wait: Option<FileDuration>| wait.map(|wait| wait.0);
        let nothing = ModelSettings {
            origin: origin.clone(),
            ..ModelSettings::default()
        };
        let said = ModelSettings {
            origin,
            provider: self.provider,
            model: self.model,
            base_url: self.base_url,
            key,
            is_exposed,
            command: self.command.map(|command| command.0),
            fallback: self.fallback,
            context_window: self.context_window,
            reply_reserve: self.reply_reserve,
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            first_byte: lasting(self.first_byte_wait),
            idle: lasting(self.idle_wait),
            max_wait: lasting(self.max_wait),
        };
        Ok((said != nothing).then_some(said))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FileContext {
    max_file_size: Option<FileSize>,
}

/// What was said, the strongest first, and what holds if nobody said anything.
struct Layers {
    environment: Option<Wait>,
    project: (File, String),
    user: (File, String),
}

impl Layers {
    fn read(project_config: Option<&Path>, environment: &Environment) -> Result<Self> {
        let user_path = environment.user_settings_path();
        let place =
            |path: Option<&Path>| path.map_or_else(String::new, |path| path.display().to_string());
        let of = |path: Option<&Path>| {
            let file = path.map_or_else(|| Ok(File::default()), read)?;
            anyhow::Ok((file, place(path)))
        };
        let project = of(project_config)?;
        if project.0.editor.is_some() {
            return Err(anyhow!(
                "{}: `editor` is not taken from a project's file, which may have come with the \
                 project: it could run a program (set it with `plandex set-config --user editor \
                 …`)",
                project.1
            ));
        }
        Ok(Self {
            environment: environment.wait,
            project,
            user: of(user_path.as_deref())?,
        })
    }

    /// What the strongest file says, and which one; `None` if neither does.
    fn of<T>(&self, get: impl Fn(&File) -> Option<T>) -> Option<(T, String)> {
        [&self.project, &self.user]
            .into_iter()
            .find_map(|(file, path)| Some((get(file)?, path.clone())))
    }

    fn wait(&self) -> Option<(Wait, String)> {
        let environment = self
            .environment
            .map(|wait| (wait, "PLANDEX_WAIT".to_owned()));
        environment.or_else(|| self.of(|file| file.wait.as_ref().map(|wait| wait.0)))
    }

    fn max_file_size(&self) -> Option<(u64, String)> {
        self.of(|file| file.context.max_file_size.as_ref().map(|size| size.0))
    }
}

/// The switches: their names, what a file says of each, and what holds otherwise.
type Switch = (
    &'static str,
    fn(&File) -> Option<bool>,
    fn(&mut Settings) -> &mut bool,
);

const SWITCHES: [Switch; 6] = [
    (
        "auto-build",
        |file| file.auto_build,
        |all| &mut all.auto_build,
    ),
    (
        "auto-apply",
        |file| file.auto_apply,
        |all| &mut all.auto_apply,
    ),
    (
        "auto-commit",
        |file| file.auto_commit,
        |all| &mut all.auto_commit,
    ),
    (
        "auto-update-context",
        |file| file.auto_update_context,
        |all| &mut all.auto_update_context,
    ),
    (
        "auto-continue",
        |file| file.auto_continue,
        |all| &mut all.auto_continue,
    ),
    (
        "skip-changes-menu",
        |file| file.skip_changes_menu,
        |all| &mut all.skip_changes_menu,
    ),
];

impl Settings {
    /// Reads the user's file under the project's file (`project_config`), and the environment
    /// over both. A file that does not exist says nothing.
    ///
    /// Fails on an unreadable or malformed file, an unknown key (listing the known ones) and an
    /// impossible value; names the file and the line.
    pub fn load(project_config: Option<&Path>, environment: &Environment) -> Result<Self> {
        let layers = Layers::read(project_config, environment)?;
        let mut settings = Self::default();
        for (_, said, place) in SWITCHES {
            if let Some((is_on, _)) = layers.of(said) {
                *place(&mut settings) = is_on;
            }
        }
        if let Some((wait, _)) = layers.wait() {
            settings.wait = wait;
        }
        if let Some((size, _)) = layers.max_file_size() {
            settings.max_file_size = size;
        }
        let place = |path: Option<&Path>| path.map(Path::to_owned).unwrap_or_default();
        let user_path = environment.user_settings_path();
        settings.editor.clone_from(&layers.user.0.editor);
        let project = layers
            .project
            .0
            .models(Origin::Project(place(project_config)))?;
        let user = layers
            .user
            .0
            .models(Origin::User(place(user_path.as_deref())))?;
        settings.models = project.into_iter().chain(user).collect();
        Ok(settings)
    }

    /// Every setting of the files with its value and what decided it, in the order of
    /// [`SETTINGS`](super::SETTINGS).
    pub fn shown(project_config: Option<&Path>, environment: &Environment) -> Result<Vec<Shown>> {
        let layers = Layers::read(project_config, environment)?;
        let mut defaults = Self::default();
        let shown = |name, found: Option<(String, String)>, otherwise: String| {
            let (value, from) = found.unwrap_or((otherwise, "default".to_owned()));
            Shown { name, value, from }
        };
        let mut all = Vec::new();
        for (name, said, place) in SWITCHES {
            let found = layers.of(said).map(|(on, from)| (on.to_string(), from));
            all.push(shown(name, found, place(&mut defaults).to_string()));
        }
        let (editor, from) = environment.editor(layers.user.0.editor.as_deref());
        let from = match from {
            EditorFrom::Variable(name) => name.to_owned(),
            EditorFrom::Settings => layers.user.1.clone(),
            EditorFrom::Default => "default".to_owned(),
        };
        all.push(shown("editor", Some((editor, from)), String::new()));
        let wait = layers.wait().map(|(wait, from)| (wait.to_string(), from));
        all.push(shown("wait", wait, defaults.wait.to_string()));
        let size = layers.max_file_size();
        let size = size.map(|(size, from)| (in_units(size), from));
        let largest = in_units(defaults.max_file_size);
        all.push(shown("context.max-file-size", size, largest));
        Ok(all)
    }
}

/// Bytes as `parse_size` reads them.
fn in_units(bytes: u64) -> String {
    [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|(bits, _)| bytes.trailing_zeros() >= *bits)
        .map_or_else(
            || bytes.to_string(),
            |(bits, unit)| format!("{} {unit}", bytes >> bits),
        )
}

fn is_open_to_others(path: &Path) -> bool {
    let mode = std::fs::metadata(path).map(|meta| meta.permissions().mode());
    mode.is_ok_and(|mode| mode & 0o077 != 0)
}

fn read(path: &Path) -> Result<File> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        // A home that is no directory (`/dev/null` in some CI) holds no settings either.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(File::default());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("reading settings {}", path.display()));
        }
    };
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        let reason = error.message();
        anyhow!("{}:{line}: {reason} (the keys are {KEYS})", path.display())
    })
}

/// The line, from 1, of the byte at `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}

#[derive(Debug)]
struct FileWait(Wait);

impl<'de> Deserialize<'de> for FileWait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WaitVisitor;
        impl Visitor<'_> for WaitVisitor {
            type Value = FileWait;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time to wait such as \"30s\", \"1h30m\", \"forever\" or seconds")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<FileWait, E> {
                parse_wait(text).map(FileWait).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<FileWait, E> {
                self.visit_str(&seconds.to_string())
            }
        }
        deserializer.deserialize_any(WaitVisitor)
    }
}

#[derive(Debug)]
struct FileSize(u64);

impl<'de> Deserialize<'de> for FileSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = FileSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"512 KiB\", \"2 MiB\" or a number of bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<FileSize, E> {
                let bytes = parse_size(text);
                let unexpected = de::Unexpected::Str(text);
                bytes
                    .map(FileSize)
                    .ok_or_else(|| E::invalid_value(unexpected, &self))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<FileSize, E> {
                let size = u64::try_from(bytes).ok().filter(|bytes| *bytes > 0);
                let unexpected = de::Unexpected::Signed(bytes);
                size.map(FileSize)
                    .ok_or_else(|| E::invalid_value(unexpected, &self))
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

/// Bytes of `512`, `512 KiB`, `2MiB`, `1 GiB`, `500 kB`, `2 MB`; never zero.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    let bytes = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    (bytes > 0).then_some(bytes)
}
