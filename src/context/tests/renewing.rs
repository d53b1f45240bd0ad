//! What `update` finds, and what it makes of it.

use super::*;

fn compared(project: &Project, entries: &[Context], pages: &[Loaded]) -> Compared {
    compare(&project.source(), entries, 1 << 20, pages).unwrap()
}

#[test]
fn what_changed_is_shown_as_it_is_and_what_is_gone_is_not() {
    let project = Project::with(&["a", "b", "c", "d"]);
    let gathered = project.gather(&["a", "b", "c", "d"], &plain()).unwrap();
    let at = crate::platform::clock::wall_ms();
    let mut entries: Vec<Context> = gathered
        .loaded
        .iter()
        .map(|item| entry_of(item, at))
        .collect();
    entries.push(entry_of(&note("a remark").unwrap(), at));
    assert_eq!(compared(&project, &entries, &[]), Compared::default());
    project.put("b", "another text, and a longer one\n");
    std::fs::remove_file(project.at("c")).unwrap();
    project.put("d", b"\0binary");
    let found = compared(&project, &entries, &[]);
    let marks: Vec<(&str, &str)> = found
        .outdated
        .iter()
        .map(|one| (one.mark(), one.entry.name.as_str()))
        .collect();
    assert_eq!(marks, [("M", "b"), ("D", "c")]);
    assert!(found.outdated[0].token_delta() > 0);
    assert_eq!(found.outdated[1].token_delta(), -entries[2].tokens);
    let Renewal::Modified(item) = &found.outdated[0].renewal else {
        panic!("{found:?}");
    };
    assert_eq!(item.body, b"another text, and a longer one\n");
    // What cannot be shown any more stays, and is said to.
    assert_eq!(found.skipped[0].path, "d");
    assert_eq!(found.skipped[0].reason, SkipReason::Binary);
}

#[test]
fn a_page_is_as_it_is_until_it_is_fetched_again() {
    let project = Project::with(&[]);
    let page = |text: &str| Loaded {
        origin: Origin {
            url: Some("http://h/".to_owned()),
            ..Origin::default()
        },
        kind: Kind::Url,
        ..note(text).unwrap()
    };
    let entries = [entry_of(&page("old"), 0)];
    assert_eq!(compared(&project, &entries, &[]), Compared::default());
    assert_eq!(
        compared(&project, &entries, &[page("old")]),
        Compared::default()
    );
    let found = compared(&project, &entries, &[page("new")]);
    assert_eq!(found.outdated[0].mark(), "M");
}

#[test]
fn what_was_forced_is_renewed_by_force() {
    let project = Project::with(&["out/a"]);
    project.put(".gitignore", "/out\n");
    let item = project
        .gather(&["out/a"], &forced())
        .unwrap()
        .loaded
        .remove(0);
    assert!(item.origin.is_forced);
    project.put("out/a", "something else\n");
    let found = compared(&project, &[entry_of(&item, 0)], &[]);
    let Renewal::Modified(item) = &found.outdated[0].renewal else {
        panic!("{found:?}");
    };
    assert!(item.origin.is_forced);
}
