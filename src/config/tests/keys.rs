//! Settings that are changed in a file somebody wrote.

use std::path::Path;

use crate::config::*;

fn set(before: &str, name: &str, text: &str) -> Result<String> {
    let key = setting(name).unwrap();
    edited(Path::new("c.toml"), before, key, Some(text))
}

fn unset(before: &str, name: &str) -> String {
    edited(Path::new("c.toml"), before, setting(name).unwrap(), None).unwrap()
}

#[test]
fn a_value_takes_the_place_of_the_old_one_and_everything_else_stays() {
    let before = "# mine\nwait = '1m' # patience\n\n[context]\n# big ones\nmax-file-size = 10\n";
    assert_eq!(
        set(before, "wait", "2m").unwrap(),
        "# mine\nwait = \"2m\" # patience\n\n[context]\n# big ones\nmax-file-size = 10\n"
    );
    assert_eq!(
        set(before, "auto-apply", "on").unwrap(),
        "# mine\nwait = '1m' # patience\nauto-apply = true\n\n[context]\n# big ones\nmax-file-size = 10\n"
    );
    assert_eq!(
        unset(before, "context.max-file-size"),
        "# mine\nwait = '1m' # patience\n"
    );
    assert_eq!(unset(before, "auto-build"), before);
}

#[test]
fn a_table_is_made_and_one_in_braces_is_kept() {
    let made = set("", "context.max-file-size", "2 MiB").unwrap();
    assert_eq!(made, "[context]\nmax-file-size = \"2 MiB\"\n");
    let braces = "context = { max-file-size = 1 }\n";
    let kept = set(braces, "context.max-file-size", "3 MB").unwrap();
    assert_eq!(kept, "context = { max-file-size = \"3 MB\" }\n");
}

#[test]
fn what_a_key_does_not_take_is_refused_with_what_it_takes() {
    for (name, text, takes) in [
        ("auto-build", "maybe", "true or false"),
        ("auto-build", "", "true or false"),
        ("wait", "soon", "\"30s\""),
        ("context.max-file-size", "0", "a size"),
        ("editor", " ", "a command line"),
    ] {
        let error = set("", name, text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{name}` takes ")), "{error}");
        assert!(error.contains(takes), "{error}");
    }
}

#[test]
fn a_file_that_is_not_understood_is_left_as_it_is() {
    for before in [
        "wait = ",
        "nonsense = 1\n",
        "context = 3\n",
        "wait = 'soon'\n",
    ] {
        let name = "context.max-file-size";
        let error = set(before, name, "1 MiB").unwrap_err().to_string();
        assert!(error.starts_with("c.toml is left as it is: "), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn every_setting_of_the_files_is_shown_and_read_back() {
    let environment = Environment::default();
    let shown = Settings::shown(None, &environment).unwrap();
    let of_files = SETTINGS.iter().filter(|key| key.level != Level::Database);
    let names: Vec<&str> = of_files.map(|key| key.name).collect();
    let mut listed: Vec<&str> = shown.iter().map(|one| one.name).collect();
    listed.sort_by_key(|name| names.iter().position(|known| known == name));
    assert_eq!(listed, names);
    for one in &shown {
        assert_eq!(one.from, "default", "{one:?}");
        set("", one.name, &one.value).unwrap();
    }
}

#[test]
fn the_editor_is_of_the_strongest_who_names_one() {
    let lookup = |name: &str| match name {
        "PLANDEX_EDITOR" => Some("a".into()),
        "VISUAL" => Some("c".into()),
        "EDITOR" => Some("d".into()),
        _ => None,
    };
    let all = Environment::from_lookup(lookup).unwrap();
    assert_eq!(all.editor(Some("b")).0, "a");
    let without = |names: &[&str]| {
        Environment::from_lookup(|name| lookup(name).filter(|_| !names.contains(&name))).unwrap()
    };
    let weaker = without(&["PLANDEX_EDITOR"]);
    assert_eq!(
        weaker.editor(Some("b")),
        ("b".to_owned(), EditorFrom::Settings)
    );
    assert_eq!(
        weaker.editor(None),
        ("c".to_owned(), EditorFrom::Variable("VISUAL"))
    );
    assert_eq!(without(&["PLANDEX_EDITOR", "VISUAL"]).editor(None).0, "d");
    assert_eq!(Environment::default().editor(None).0, "vi");
}

#[test]
fn a_projects_file_names_no_editor() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config.toml");
    crate::platform::file::write_atomic(&path, b"editor = \"sh -c evil\"\n", 0o600).unwrap();
    let error = Settings::load(Some(&path), &Environment::default()).unwrap_err();
    assert!(
        error.to_string().contains("`editor` is not taken"),
        "{error}"
    );
}
