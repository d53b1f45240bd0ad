//! Installing and taking out again.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::put;
use crate::hook::{Change, Commands, Whose, install, uninstall};

fn commands() -> Commands {
    Commands {
        program: "/opt/my\\ tools/plandex".replace("\\ ", "-"),
    }
}

fn installed(path: &Path) -> anyhow::Result<Change> {
    install(path, Whose::User, &commands())
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The commands for an event, in order.
fn commands_of(text: &str, event: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(text).unwrap();
    let groups = value["hooks"][event]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let hooks = groups
        .iter()
        .flat_map(|group| group["hooks"].as_array().cloned().unwrap_or_default());
    hooks
        .filter_map(|hook| hook["command"].as_str().map(str::to_owned))
        .collect()
}

/// Installs into `text`, twice, and takes out again; returns what it was in between.
fn there_and_back(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.json");
    put(&path, text.as_bytes());
    assert_eq!(installed(&path).unwrap(), Change::Changed, "{text}");
    let between = read(&path);
    assert_eq!(installed(&path).unwrap(), Change::None, "{between}");
    assert_eq!(read(&path), between);
    for (event, word) in [("SessionStart", "start"), ("SessionEnd", "end")] {
        let last = commands_of(&between, event).pop().unwrap();
        assert_eq!(last, format!("/opt/my-tools/plandex hook capture {word}"));
    }
    assert_eq!(uninstall(&path).unwrap(), Change::Changed);
    assert_eq!(read(&path), text, "{between}");
    assert_eq!(uninstall(&path).unwrap(), Change::None);
    between
}

#[test]
fn every_layout_comes_back_byte_for_byte() {
    for text in [
        "{}",
        "{ }",
        "{}\n",
        "{\n\n}\n",
        r#"{"a":1}"#,
        "{\n  \"model\": \"x\"\n}\n",
        "{\r\n\t\"model\": \"x\",\r\n\t\"b\": [1, 2]\r\n}",
        r#"{"hooks":{}}"#,
        r#"{"hooks":{"SessionStart":[]}}"#,
        "{\n    \"hooks\": {},\n    \"z\": \"a \\\" , } ] \\\\\"\n}\n",
        "{\"hooks\": {\"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"x\"}]}]}}",
        "{\n \"hooks\": {\n  \"SessionStart\": [\n   {\n    \"matcher\": \"startup\",\n    \"hooks\": \
         [{\"type\": \"command\", \"command\": \"other hook capture start\"}]\n   }\n  ]\n },\n \"k\": {}\n}",
        "\n  { \"a\" : { \"hooks\" : [ ] } , \"größe\" : \"\\u00e9 \u{1f600}\" }  \n\n",
    ] {
        there_and_back(text);
    }
}

#[test]
fn what_is_put_in_looks_like_what_is_there() {
    let between = there_and_back("{\n    \"model\": \"x\"\n}\n");
    let expected = r#"{
    "model": "x",
    "hooks": {
        "SessionStart": [
            {
                "hooks": [
                    {
                        "type": "command",
                        "command": "/opt/my-tools/plandex hook capture start",
                        "timeout": 5
                    }
                ]
            }
        ],
        "SessionEnd": [
            {
                "hooks": [
                    {
                        "type": "command",
                        "command": "/opt/my-tools/plandex hook capture end",
                        "timeout": 5
                    }
                ]
            }
        ]
    }
}
"#;
    assert_eq!(between, expected);
}

#[test]
fn a_file_that_was_not_there_is_not_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".claude/settings.json");
    assert_eq!(uninstall(&path).unwrap(), Change::None);
    assert!(!path.parent().unwrap().exists());
    assert_eq!(installed(&path).unwrap(), Change::Made);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(uninstall(&path).unwrap(), Change::Removed);
    assert!(!path.exists());
}

#[test]
fn what_others_add_meanwhile_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.json");
    put(
        &path,
        b"{\"hooks\": {\"SessionStart\": [{\"hooks\": [{\"command\": \"first\"}]}]}}",
    );
    installed(&path).unwrap();
    let mut value: Value = serde_json::from_str(&read(&path)).unwrap();
    let groups = &mut value["hooks"]["SessionStart"];
    // Another command in our own group, before and behind ours, and another group.
    let ours = groups[1]["hooks"].as_array_mut().unwrap();
    ours.insert(0, json!({"command": "second"}));
    ours.push(json!({"command": "third"}));
    groups
        .as_array_mut()
        .unwrap()
        .push(json!({"hooks": [{"command": "fourth"}]}));
    value["permissions"] = json!({"allow": ["x"]});
    put(
        &path,
        serde_json::to_string_pretty(&value).unwrap().as_bytes(),
    );
    assert_eq!(installed(&path).unwrap(), Change::None);
    assert_eq!(uninstall(&path).unwrap(), Change::Changed);
    let text = read(&path);
    assert_eq!(
        commands_of(&text, "SessionStart"),
        ["first", "second", "third", "fourth"]
    );
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["permissions"]["allow"][0], "x");
    assert_eq!(value["hooks"].get("SessionEnd"), None);
}

#[test]
fn a_program_that_moved_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.json");
    for program in [
        "plandex",
        "'/home/a b/bin/plandex'",
        "C:\\\\bin\\\\plandex.exe",
    ] {
        let commands = Commands {
            program: program.to_owned(),
        };
        install(&path, Whose::Project, &commands).unwrap();
        let said = commands_of(&read(&path), "SessionEnd");
        assert_eq!(said, [format!("{program} hook capture end")]);
    }
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(uninstall(&path).unwrap(), Change::Removed);
}

#[test]
fn what_is_not_as_it_should_be_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.json");
    let cases: [(&[u8], &str); 13] = [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{} // remark", "not JSON"),
        (b"{\"a\": 1,}", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"{\"a\": \"\xff\"}", "not UTF-8"),
        (b"[]", "no object"),
        (b"null", "no object"),
        (b"{\"hooks\": []}", "\"hooks\" is no object"),
        (
            b"{\"hooks\": {\"SessionEnd\": {}}}",
            "\"SessionEnd\" is no list",
        ),
        (b"{\"hooks\": {}, \"hooks\": {}}", "\"hooks\" twice"),
        (
            b"{\"hooks\": {\"SessionEnd\": [], \"SessionEnd\": []}}",
            "\"SessionEnd\" twice",
        ),
        (b"{\"hooks\": null}", "\"hooks\" is no object"),
    ];
    for (bytes, words) in cases {
        put(&path, bytes);
        for outcome in [installed(&path), uninstall(&path)] {
            let said = format!("{:#}", outcome.unwrap_err());
            assert!(
                said.contains(words) && said.contains("settings.json"),
                "{said}"
            );
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing is left beside"
    );
}

#[test]
fn a_link_stays_one_and_a_mode_stays() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("dotfiles/settings");
    put(&real, b"{}");
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o640)).unwrap();
    let path = dir.path().join("settings.json");
    symlink(&real, &path).unwrap();
    assert_eq!(installed(&path).unwrap(), Change::Changed);
    assert!(path.is_symlink() && read(&real).contains("SessionStart"));
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o440)).unwrap();
    assert!(format!("{:#}", uninstall(&path).unwrap_err()).contains("read-only"));
    std::fs::remove_file(&real).unwrap();
    assert!(installed(&path).is_err() && !real.exists());
}

#[test]
fn many_at_once_leave_one() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("settings.json");
    put(&path, b"{\"a\": 1}");
    std::thread::scope(|scope| {
        let threads = [(); 20].map(|()| scope.spawn(|| installed(&path).unwrap()));
        for thread in threads {
            thread.join().unwrap();
        }
    });
    assert_eq!(commands_of(&read(&path), "SessionStart").len(), 1);
    assert_eq!(commands_of(&read(&path), "SessionEnd").len(), 1);
    uninstall(&path).unwrap();
    assert_eq!(read(&path), "{\"a\": 1}");
}

/// Any JSON, not too deep; with the words that matter among its names.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z\"\\\\{}\\[\\], \n\u{e9}]{0,8}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("hooks".to_owned()),
        Just("command".to_owned()),
        "[a-z\"]{0,4}"
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_settings_come_back(
        rest in prop::collection::btree_map("[a-z]{1,6}", json_value(), 0..4),
        other in prop::option::of(prop::collection::vec(json_value(), 1..3)),
        is_pretty in any::<bool>(),
    ) {
        let mut value: serde_json::Map<String, Value> = rest.into_iter().collect();
        value.remove("hooks");
        if let Some(groups) = other {
            value.insert("hooks".to_owned(), json!({"SessionEnd": groups, "Stop": []}));
        }
        let text = match is_pretty {
            true => serde_json::to_string_pretty(&value).unwrap(),
            false => serde_json::to_string(&value).unwrap(),
        };
        let between: Value = serde_json::from_str(&there_and_back(&text)).unwrap();
        for (name, was) in &value {
            if name != "hooks" {
                prop_assert_eq!(&between[name], was);
            }
        }
    }
}
