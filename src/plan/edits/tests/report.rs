use crate::plan::edits::{
    BuildWarning, Closest, Edit, EditBody, EditFailure, Format, Reason, Tier, build_file, describe,
    remedy,
};

fn failures(base: Option<&str>, search: &str, replace: &str) -> Vec<EditFailure> {
    let edit = Edit {
        path: "src/a.rs".to_owned(),
        format: Format::SearchReplace,
        line: 3,
        body: EditBody::Replace {
            search: search.to_owned(),
            replace: replace.to_owned(),
        },
        other_readings: Vec::new(),
    };
    let fine = Edit {
        format: Format::WholeFile,
        body: EditBody::Whole {
            content: base.unwrap_or_default().to_owned(),
        },
        ..edit.clone()
    };
    let edits = if base.is_some() {
        vec![fine, edit]
    } else {
        vec![edit]
    };
    build_file("src/a.rs", base.map(str::as_bytes), &edits).unwrap_err()
}

#[test]
fn a_missing_search_shows_the_closest_place() {
    let base = "use x;\n\nfn a() {\n    one();\n    two();\n    three();\n}\n";
    let failures = failures(
        Some(base),
        "fn a() {\n    one();\n    2();\n    three();\n",
        "x\n",
    );
    assert_eq!(
        describe(&failures[0]),
        "src/a.rs  edit 2/2 (search/replace)  NOT FOUND\n  \
         the file does not have `fn a() {` and the 3 lines after it\n  \
         most alike: lines 3-6 (75 %)\n  \
         first difference at line 5:\n    \
         -    2();\n    \
         +    two();\n  \
         compared exactly, ignoring trailing space, ignoring indentation, \
         ignoring typographic characters\n"
    );
}

#[test]
fn an_ambiguous_search_shows_its_places() {
    let base = "x\n".repeat(7);
    let failures = failures(Some(&base), "x\n", "y\n");
    assert_eq!(
        describe(&failures[0]),
        "src/a.rs  edit 2/2 (search/replace)  AMBIGUOUS\n  \
         several places in the file have `x`\n  \
         found at lines 1, 2, 3, 4, 5\n  \
         compared exactly\n"
    );
}

#[test]
fn every_reason_has_its_words() {
    let all = [
        (Reason::NotFound, "NOT FOUND"),
        (Reason::Ambiguous, "AMBIGUOUS"),
        (Reason::FileMissing, "FILE MISSING"),
        (Reason::FileExists, "FILE EXISTS"),
        (Reason::EmptySearch, "EMPTY SEARCH"),
        (Reason::Malformed, "MALFORMED"),
        (Reason::Incomplete, "INCOMPLETE"),
        (Reason::Elided, "ELIDED"),
        (Reason::Overlap, "OVERLAP"),
        (Reason::Binary, "BINARY"),
        (Reason::UnsafePath, "UNSAFE PATH"),
        (Reason::TooLarge, "TOO LARGE"),
    ];
    for (reason, words) in all {
        let failure = EditFailure {
            reason,
            path: "../a".into(),
            ..failures(None, "x\n", "y\n").remove(0)
        };
        let text = describe(&failure);
        let (head, rest) = text.split_once('\n').unwrap();
        assert_eq!(head, format!("../a  edit 1/1 (search/replace)  {words}"));
        assert!(rest.starts_with("  ") && rest.trim().len() > 10, "{text}");
        // The JSON name is the headline in snake case.
        let json = serde_json::to_value(reason).unwrap();
        assert_eq!(json, words.to_lowercase().replace(' ', "_"));
    }
    let failure = EditFailure {
        stale: true,
        path: "../a".into(),
        ..failures(None, "x\n", "y\n").remove(0)
    };
    assert!(describe(&failure).ends_with("  file changed since context was loaded\n"));
    let failure = EditFailure {
        loaded_at: Some(1_700_000_000_000),
        ..failure
    };
    let text = describe(&failure);
    let (_, time) = text.split_once("context was loaded (").unwrap();
    assert_eq!(
        (time.len(), &time[2..3], &time[5..]),
        (7, ":", ")\n"),
        "{text}"
    );
    let failure = EditFailure {
        reason: Reason::UnsafePath,
        ..failure
    };
    assert!(describe(&failure).contains("`..`"));
}

#[test]
fn a_failure_tells_what_can_be_done() {
    let mut failures = failures(Some("a line\nx\n"), "b line\n", "y\n");
    assert_eq!(remedy(&failures), "fix: plandex tell --reply -");
    failures[0].stale = true;
    assert_eq!(remedy(&failures), "fix: plandex update && plandex build");
}

#[test]
fn a_replacement_that_stands_in_several_places_is_told() {
    let base = "x\nnew line\nx\nnew line\n";
    let failures = failures(Some(base), "old line\n", "new line\n");
    let note = "the replacement is already at 2-2 and in another place";
    assert_eq!(failures[0].note.as_deref(), Some(note));
    assert!(describe(&failures[0]).contains(&format!("\n  {note}\n")));
}

/// The object of MODEL.md §3.5, which scripts read.
#[test]
fn the_json_form_is_fixed() {
    let failure = EditFailure {
        path: "src/a.rs".into(),
        edit: 2,
        of: 3,
        format: Format::SearchReplace,
        reason: Reason::NotFound,
        searched_lines: vec!["a".into()],
        closest: Some(Closest {
            start: 4,
            end: 5,
            score: 0.75,
            diff: "-a\n+b\n".into(),
        }),
        candidates: vec![],
        stale: false,
        loaded_at: None,
        tiers_tried: vec![Tier::Exact, Tier::TrailingSpace],
        note: None,
    };
    let json = serde_json::to_string(&failure).unwrap();
    assert_eq!(
        json,
        r#"{"path":"src/a.rs","edit":2,"of":3,"format":"search_replace","reason":"not_found","#
            .to_owned()
            + r#""searched_lines":["a"],"closest":{"start":4,"end":5,"score":0.75,"diff":"-a\n+b\n"},"#
            + r#""candidates":[],"stale":false,"tiers_tried":["exact","trailing_space"]}"#
    );
    assert_eq!(serde_json::from_str::<EditFailure>(&json).unwrap(), failure);
    let none = EditFailure {
        closest: None,
        ..failure
    };
    assert!(
        serde_json::to_string(&none)
            .unwrap()
            .contains(r#""closest":null"#)
    );
}

#[test]
fn warnings_are_fragments() {
    let applied = BuildWarning::AlreadyApplied {
        edit: 2,
        start: 120,
        end: 128,
    };
    assert_eq!(
        applied.to_string(),
        "edit 2: the replacement is already at 120-128"
    );
    let shrinks = BuildWarning::Shrinks {
        from_lines: 90,
        to_lines: 12,
    };
    assert_eq!(shrinks.to_string(), "shrinks from 90 to 12 lines");
    let tiers = [Tier::Exact, Tier::Indentation, Tier::Elision].map(|tier| tier.to_string());
    assert_eq!(
        tiers,
        ["exactly", "ignoring indentation", "in pieces around `...`"]
    );
}
