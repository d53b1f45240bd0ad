//! Settings files, alone and over each other.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::config::*;

/// A home directory with the user's file, and the project's file; `None` writes no file.
struct Files {
    home: tempfile::TempDir,
    project: PathBuf,
}

impl Files {
    fn new(user: Option<&str>, project: Option<&str>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let files = Self {
            project: home.path().join("project.toml"),
            home,
        };
        for (path, text) in [(files.user_path(), user), (files.project.clone(), project)] {
            let Some(text) = text else { continue };
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            File::create(&path)
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
        }
        files
    }

    fn user_path(&self) -> PathBuf {
        self.home.path().join(".config/plandex/config.toml")
    }

    fn environment(&self) -> Environment {
        Environment {
            home: Some(self.home.path().to_owned()),
            ..Environment::default()
        }
    }

    fn load(&self) -> Result<Settings> {
        Settings::load(Some(&self.project), &self.environment())
    }
}

fn seconds(count: u64) -> Wait {
    Wait::For(Duration::from_secs(count))
}

#[test]
fn without_files_the_defaults_hold() {
    let defaults = Settings::default();
    let wait_and_size = (defaults.wait, defaults.max_file_size);
    assert_eq!(wait_and_size, (WAIT_DEFAULT, MAX_FILE_SIZE_DEFAULT));
    assert_eq!(Files::new(None, None).load().unwrap(), defaults);
    assert_eq!(
        Files::new(Some(""), Some("# none\n")).load().unwrap(),
        defaults
    );
    assert_eq!(
        Settings::load(None, &Environment::default()).unwrap(),
        defaults
    );
    let nowhere = Environment {
        home: Some(PathBuf::from("/dev/null")),
        ..Environment::default()
    };
    assert_eq!(Settings::load(None, &nowhere).unwrap(), defaults);
}

#[test]
fn the_project_is_over_the_user_key_by_key_and_the_environment_over_both() {
    let files = Files::new(
        Some("wait = \"1m\"\n[context]\nmax-file-size = \"2 MiB\"\n"),
        Some("wait = \"forever\"\n"),
    );
    let mut settings = files.load().unwrap();
    assert_eq!(
        (settings.wait, settings.max_file_size),
        (Wait::Forever, 2 << 20)
    );
    let environment = Environment {
        wait: Some(Wait::No),
        ..files.environment()
    };
    settings = Settings::load(Some(&files.project), &environment).unwrap();
    assert_eq!((settings.wait, settings.max_file_size), (Wait::No, 2 << 20));
    settings = Settings::load(None, &files.environment()).unwrap();
    assert_eq!(settings.wait, seconds(60));
}

#[test]
fn values_are_read_in_their_good_forms() {
    for (text, wait, size) in [
        ("wait = 45", seconds(45), MAX_FILE_SIZE_DEFAULT),
        ("wait = 0", Wait::No, MAX_FILE_SIZE_DEFAULT),
        ("wait = '1h30m'", seconds(5_400), MAX_FILE_SIZE_DEFAULT),
        ("context.max-file-size = 10", WAIT_DEFAULT, 10),
        (
            "[context]\nmax-file-size = '512 KiB'",
            WAIT_DEFAULT,
            512 << 10,
        ),
        (
            "context = { max-file-size = '3mb' }",
            WAIT_DEFAULT,
            3_000_000,
        ),
    ] {
        let settings = Files::new(None, Some(text)).load().unwrap();
        assert_eq!(
            (settings.wait, settings.max_file_size),
            (wait, size),
            "{text}"
        );
    }
}

#[test]
fn what_cannot_be_understood_names_the_file_the_line_and_the_keys() {
    for (text, line, reason) in [
        ("waits = '30s'", 1, "`waits`"),
        ("wait = '30s'\n\n[contexts]\n", 3, "`contexts`"),
        ("wait = '30s'\n[context]\nmax-size = 1\n", 3, "`max-size`"),
        ("\nwait = 'soon'", 2, "\"soon\""),
        ("\nwait = -1", 2, "\"-1\""),
        ("wait = 1.5", 1, "a time to wait"),
        ("wait = true", 1, "a time to wait"),
        ("wait = '400d'", 1, "365 days"),
        ("context.max-file-size = 0", 1, "a size such as"),
        ("context.max-file-size = -3", 1, "a size such as"),
        ("context.max-file-size = '12 parsecs'", 1, "a size such as"),
        (
            "context.max-file-size = '99999999999 GiB'",
            1,
            "a size such as",
        ),
        ("context = 3", 1, "3"),
        ("wait = '1s'\nwait = '2s'", 2, "duplicate"),
        ("wait = ", 1, ""),
        ("<<<<<<< HEAD", 1, ""),
    ] {
        for files in [Files::new(None, Some(text)), Files::new(Some(text), None)] {
            let error = format!("{:#}", files.load().unwrap_err());
            let is_user = files.user_path().exists();
            let path = if is_user {
                files.user_path()
            } else {
                files.project.clone()
            };
            let start = format!("{}:{line}: ", path.display());
            assert!(error.starts_with(&start), "{text}: {error}");
            assert!(error.contains(reason), "{text}: {error}");
            assert!(
                error.contains("wait, context.max-file-size"),
                "{text}: {error}"
            );
            assert!(!error.contains('\n'), "{text}: {error}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_that_names_it() {
    let files = Files::new(None, None);
    let environment = Environment::default();
    let error = Settings::load(Some(files.home.path()), &environment).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(files.home.path().to_str().unwrap())
    );
    File::create(&files.project)
        .unwrap()
        .write_all(b"wait = \"\xff\"")
        .unwrap();
    let error = files.load().unwrap_err();
    assert!(error.to_string().contains("project.toml"), "{error}");
}

#[test]
fn the_current_directory_is_where_a_dot_leads() {
    assert_eq!(
        current_dir().unwrap(),
        Path::new(".").canonicalize().unwrap()
    );
}

#[test]
fn both_files_say_what_they_say_about_models() {
    let user = "provider = \"openai\"\nbase-url = \"http://gpu/v1\"\napi-key = \"canary\"\n\
        command = [\"llm\", \"-m\"]\ncontext-window = 8192\ntemperature = 0.5\n\
        first-byte-wait = \"10m\"\nidle-wait = 30\n";
    let files = Files::new(
        Some(user),
        Some("model = \"m\"\nfallback = \"openrouter/x\"\n"),
    );
    let settings = files.load().unwrap();
    let [project, user] = settings.models.as_slice() else {
        panic!("{settings:?}");
    };
    assert_eq!(project.origin, Origin::Project(files.project.clone()));
    assert_eq!(project.fallback.as_deref(), Some("openrouter/x"));
    assert_eq!(user.origin, Origin::User(files.user_path()));
    assert_eq!(user.key, Secret::new("canary").map(KeySource::Key));
    assert!(user.is_exposed, "it was made with the mode of any file");
    let words = ["llm", "-m"].map(str::to_owned).to_vec();
    assert_eq!(user.command, Some(CommandWords::Argv(words)));
    assert_eq!(user.temperature, serde_json::Number::from_f64(0.5));
    assert_eq!(user.first_byte, Some(Duration::from_secs(600)));
    assert_eq!(user.idle, Some(Duration::from_secs(30)));
    assert!(!format!("{settings:?}").contains("canary"));
}

#[test]
fn what_makes_no_sense_about_models_is_refused_and_no_key_is_quoted() {
    for (text, words) in [
        (
            "api-key = \"canary\"\napi-key-env = \"X\"\n",
            "exclude each other",
        ),
        ("api-key = \" \"\n", "empty"),
        ("command = []\n", "a line for the shell"),
        ("command = \" \"\n", "a line for the shell"),
        ("idle-wait = \"forever\"\n", "90s"),
        ("idle-wait = 0\n", "90s"),
        ("context-window = -1\n", "-1"),
        ("api-kye = \"canary\"\n", "api-kye"),
    ] {
        let error = format!("{:#}", Files::new(Some(text), None).load().unwrap_err());
        assert!(error.contains(words), "{text}: {error}");
        assert!(!error.contains("canary"), "{error}");
    }
}
