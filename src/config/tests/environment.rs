//! Variables, good, bad and foreign.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::config::{
    CommandWords, Environment, KeySource, LockToken, ModelEnvironment, Secret, Wait,
};

fn environment(variables: &[(&str, &str)]) -> Result<Environment> {
    Environment::from_lookup(|name| {
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| OsString::from(value))
    })
}

#[test]
fn an_empty_environment_says_nothing() {
    assert_eq!(environment(&[]).unwrap(), Environment::default());
    let empty = Environment::from_lookup(|_| Some(OsString::new())).unwrap();
    assert_eq!(empty, Environment::default());
}

#[test]
fn each_variable_arrives_in_its_own_field() {
    let full = environment(&[
        ("PLANDEX_DIR", "rel/dir"),
        ("PLANDEX_PLAN", "auth"),
        ("PLANDEX_BRANCH", "main"),
        ("PLANDEX_WAIT", "2m"),
        ("PLANDEX_ACTOR", "ci-7"),
        ("PLANDEX_LOCK_TOKEN", "17-0123456789abcdef0123456789abcdef"),
        ("PLANDEX_BACKGROUND", "4711"),
        ("PLANDEX_LOG", "locks,queue"),
        ("NO_COLOR", "1"),
        ("CLICOLOR_FORCE", "1"),
        ("TERM", "xterm-256color"),
        ("CI", "true"),
        ("LC_ALL", "C"),
        ("LC_CTYPE", "en_GB.UTF-8"),
        ("LANG", "de_DE.utf8"),
        ("HOME", "/home/u"),
        ("XDG_CONFIG_HOME", "/home/u/.conf"),
        ("EDITOR", "vi"),
        ("VISUAL", "code -w"),
        ("PLANDEX_PAGER", "delta"),
        ("PAGER", "less -R"),
        ("PLANDEX_CRASH_AT", "17"),
        ("PLANDEX_PANIC_AT", "18"),
        ("PLANDEX_CRASH_TRACE", "/tmp/trace"),
        ("PLANDEX_LOG_FILE", "log/file"),
    ])
    .unwrap();
    let expected = Environment {
        plandex_dir: Some("rel/dir".into()),
        plan: Some("auth".into()),
        branch: Some("main".into()),
        wait: Some(Wait::For(std::time::Duration::from_secs(120))),
        actor: Some("ci-7".into()),
        lock_token: Some(LockToken::new(17, "0123456789abcdef0123456789abcdef")),
        background: Some(4711),
        log: Some("locks,queue".into()),
        log_file: Some("log/file".into()),
        no_color: true,
        clicolor_force: true,
        term: Some("xterm-256color".into()),
        ci: true,
        lc_all: Some("C".into()),
        lc_ctype: Some("en_GB.UTF-8".into()),
        lang: Some("de_DE.utf8".into()),
        home: Some("/home/u".into()),
        xdg_config_home: Some("/home/u/.conf".into()),
        own_editor: None,
        visual: Some("code -w".into()),
        editor: Some("vi".into()),
        own_pager: Some("delta".into()),
        pager: Some("less -R".into()),
        crash_at: cfg!(debug_assertions).then_some(17),
        panic_at: cfg!(debug_assertions).then_some(18),
        crash_trace: cfg!(debug_assertions).then(|| "/tmp/trace".into()),
        models: ModelEnvironment::default(),
    };
    assert_eq!(full, expected);
}

#[test]
fn what_is_said_about_models_is_read_and_its_keys_are_hidden() {
    let variables = [
        ("PLANDEX_PROVIDER", "openai"),
        ("PLANDEX_COMMAND", "llm -m x"),
        ("PLANDEX_API_KEY", " canary-1\n"),
        ("PLANDEX_DEPTH", "2"),
        ("OPENAI_API_KEY", "canary-2"),
        ("ANTHROPIC_AUTH_TOKEN", "canary-3"),
        ("OPENROUTER_API_KEY", ""),
    ];
    let read = environment(&variables).unwrap();
    let models = &read.models;
    assert_eq!(models.ours.provider.as_deref(), Some("openai"));
    assert_eq!(
        models.ours.command,
        Some(CommandWords::Shell("llm -m x".to_owned()))
    );
    assert_eq!(models.depth, 2);
    let key = Secret::new("canary-1").map(KeySource::Key);
    assert_eq!(models.ours.key, key);
    assert_eq!(models.openrouter_api_key, None);
    assert!(!format!("{read:#?}").contains("canary"));
    let error = environment(&[("PLANDEX_DEPTH", "deep")]).unwrap_err();
    assert!(error.to_string().contains("PLANDEX_DEPTH"), "{error}");
    let bytes =
        |asked: &str| (asked == "OPENAI_API_KEY").then(|| OsString::from_vec(vec![b'K', 0xff]));
    let error = Environment::from_lookup(bytes).unwrap_err().to_string();
    assert_eq!(error, "OPENAI_API_KEY is not UTF-8");
}

#[test]
fn what_cannot_be_understood_is_named() {
    let error = format!(
        "{:#}",
        environment(&[("PLANDEX_WAIT", "soon")]).unwrap_err()
    );
    assert!(
        error.contains("PLANDEX_WAIT") && error.contains("\"soon\""),
        "{error}"
    );
    if cfg!(debug_assertions) {
        let error = format!(
            "{:#}",
            environment(&[("PLANDEX_CRASH_AT", "-1")]).unwrap_err()
        );
        assert!(error.contains("PLANDEX_CRASH_AT"), "{error}");
    }
    for name in [
        "PLANDEX_PLAN",
        "PLANDEX_BRANCH",
        "PLANDEX_WAIT",
        "PLANDEX_ACTOR",
    ] {
        let bytes = |asked: &str| (asked == name).then(|| OsString::from_vec(vec![b'a', 0xff]));
        let error = Environment::from_lookup(bytes).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("UTF-8"), "{error}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_kept_in_paths_and_harmless_elsewhere() {
    let bytes = || OsString::from_vec(b"/h\xff".to_vec());
    let foreign = [
        "PLANDEX_DIR",
        "HOME",
        "TERM",
        "LANG",
        "CI",
        "EDITOR",
        "NO_COLOR",
    ];
    let lookup = |name: &str| foreign.contains(&name).then(bytes);
    let read = Environment::from_lookup(lookup).unwrap();
    assert_eq!(read.plandex_dir, Some(PathBuf::from(bytes())));
    assert_eq!(read.home, Some(PathBuf::from(bytes())));
    assert_eq!(read.editor, Some(bytes()));
    assert!(read.ci && read.no_color && !read.has_utf8_locale());
}

#[test]
fn switches_know_what_switches_them_off() {
    let ci = |value| environment(&[("CI", value)]).unwrap().ci;
    assert!(ci("true") && ci("1") && ci("woodpecker"));
    assert!(!ci("false") && !ci("0") && !ci(""));
    let force = |value| {
        environment(&[("CLICOLOR_FORCE", value)])
            .unwrap()
            .clicolor_force
    };
    assert!(force("1") && !force("0") && !force(""));
}

#[test]
fn the_strongest_locale_variable_decides() {
    for (variables, utf8) in [
        (&[("LANG", "en_US.UTF-8")][..], true),
        (&[("LANG", "C.utf8")], true),
        (&[("LANG", "C")], false),
        (&[("LANG", "en_US.ISO-8859-1")], false),
        (&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")], false),
        (&[("LC_ALL", ""), ("LANG", "en_US.UTF-8")], true),
        (&[("LC_CTYPE", "en_US.UTF-8"), ("LANG", "C")], true),
        (&[("LC_ALL", "POSIX"), ("LC_CTYPE", "C.UTF-8")], false),
    ] {
        let read = environment(variables).unwrap();
        assert_eq!(read.has_utf8_locale(), utf8, "{variables:?}");
    }
}

#[test]
fn the_settings_file_needs_a_usable_home() {
    for (variables, path) in [
        (&[][..], None),
        (&[("HOME", "")], None),
        (&[("HOME", "u")], None),
        (&[("HOME", "./u")], None),
        (&[("HOME", "/u")], Some("/u/.config/plandex/config.toml")),
        (
            &[("HOME", "/u"), ("XDG_CONFIG_HOME", "/x")],
            Some("/x/plandex/config.toml"),
        ),
        (
            &[("HOME", "/u"), ("XDG_CONFIG_HOME", "x")],
            Some("/u/.config/plandex/config.toml"),
        ),
        (
            &[("HOME", "u"), ("XDG_CONFIG_HOME", "/x")],
            Some("/x/plandex/config.toml"),
        ),
    ] {
        let read = environment(variables).unwrap();
        let found = read.user_settings_path();
        assert_eq!(found.as_deref(), path.map(Path::new), "{variables:?}");
    }
}

#[test]
fn a_terminal_without_a_name_is_dumb() {
    let dumb = |term| environment(&[("TERM", term)]).unwrap().has_dumb_terminal();
    assert!(dumb("") && dumb("dumb") && !dumb("xterm"));
}
