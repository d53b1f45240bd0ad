//! The documents of --json against `documents.schema.json`.

use serde_json::Value;

use crate::crash_points::{TWO_FILES, project};

fn schema() -> Value {
    serde_json::from_str(include_str!("documents.schema.json")).unwrap()
}

/// What is wrong with `value`, a line each. Knows the words that the file says it has, and takes
/// any other for a mistake.
fn problems(defs: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (word, rule) in schema.as_object().unwrap() {
        match word.as_str() {
            "$ref" => found.extend(problems(defs, &defs[rule.as_str().unwrap()], value, at)),
            "type" => {
                let is = |name: &Value| is_of(name.as_str().unwrap(), value);
                let fits = rule
                    .as_array()
                    .map_or_else(|| is(rule), |any| any.iter().any(is));
                if !fits {
                    found.push(format!("{at} is no {rule}: {value}"));
                }
            }
            "enum" if !rule.as_array().unwrap().contains(value) => {
                found.push(format!("{at} is none of {rule}: {value}"));
            }
            "required" => {
                let missing = rule.as_array().unwrap().iter();
                let missing = missing.filter(|name| value.get(name.as_str().unwrap()).is_none());
                found.extend(missing.map(|name| format!("{at} has no {name}")));
            }
            "properties" => {
                for (name, one) in value.as_object().into_iter().flatten() {
                    let at = format!("{at}.{name}");
                    match rule.get(name) {
                        Some(rule) => found.extend(problems(defs, rule, one, &at)),
                        None => found.push(format!("{at} is not in the schema")),
                    }
                }
            }
            "items" => {
                for (number, one) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(problems(defs, rule, one, &format!("{at}[{number}]")));
                }
            }
            "enum" => {}
            other => panic!("the schema says {other:?}, which is not checked"),
        }
    }
    found
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other} is no type"),
    }
}

#[test]
fn every_document_is_as_the_schema_says() {
    let sandbox = project();
    sandbox.ok(&["load", "-n", "a note"]);
    sandbox.ok(&["tell", TWO_FILES]);
    sandbox.ok(&["checkout", "-b", "side"]);
    let schema = schema();
    for (command, shape) in schema["documents"].as_object().unwrap() {
        let words = command.split(' ').chain(["--json"]);
        let document = sandbox.ok(&words.collect::<Vec<_>>()).json();
        let found = problems(&schema["$defs"], shape, &document, command);
        assert!(found.is_empty(), "{found:#?}\n{document:#}");
    }
}

#[test]
fn what_is_not_as_the_schema_says_is_found() {
    let schema = schema();
    let (defs, shape) = (&schema["$defs"], &schema["documents"]["log"]);
    let good = serde_json::json!({"schemaVersion": 1, "plan": "p", "branch": "b", "versions": []});
    assert!(problems(defs, shape, &good, "log").is_empty());
    for (name, value) in [
        ("schemaVersion", serde_json::json!("1")),
        ("plan", Value::Null),
        ("more", serde_json::json!(1)),
        ("versions", serde_json::json!([{"steps": 0}])),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        assert!(!problems(defs, shape, &bad, "log").is_empty(), "{name}");
    }
    let mut bad = good;
    bad.as_object_mut().unwrap().remove("branch");
    assert_eq!(
        problems(defs, shape, &bad, "log"),
        ["log has no \"branch\""]
    );
}
