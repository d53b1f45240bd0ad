//! The documents are true: every command in them runs, and everything that they name is there.
//!
//! Console blocks are typed into a shell on a real terminal, in a project made for them, and what
//! stands on the screen is compared with the block; `sh` blocks run as scripts; settings are read by
//! plandex; messages and replies are given to it. Comments before a block, which a page does not
//! show, say where it runs (`run.rs` has the orders). A block that nothing can run must say
//! `<!-- not run: WHY -->`. Commands and flags in sentences are parsed by the command line itself.
//!
//! trycmd cannot do this: it has no pipes, here-documents and second terminal, and each command has
//! pipes for streams, which is not what a reader sees.

mod blocks;
mod names;
mod run;
mod same;
mod tables;
mod terminal;
mod words;
mod worlds;

use std::collections::BTreeSet;
use std::path::Path;

use blocks::Document;

use crate::support::{Sandbox, needs};

/// The documents, and whether each is about the code rather than for users.
const DOCUMENTS: [(&str, bool); 4] = [
    ("README.md", false),
    ("CHANGELOG.md", false),
    ("ARCHITECTURE.md", true),
    ("CONTRIBUTING.md", true),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> Document {
    let text = std::fs::read_to_string(root().join(name)).unwrap();
    blocks::read(name, &text)
}

#[track_caller]
fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_block_of_the_readme_is_true() {
    needs!("make");
    let counts = run::document(&document("README.md"));
    assert_none(&counts.wrong);
    let run::Counts { run, left, .. } = counts;
    assert!(
        run > 20 && left * 4 < run,
        "{run} blocks were run, {left} were not"
    );
}

#[test]
fn every_block_of_the_other_documents_is_true() {
    for (name, _) in &DOCUMENTS[1..] {
        assert_none(&run::document(&document(name)).wrong);
    }
}

#[test]
fn every_command_and_flag_in_a_sentence_is_one() {
    for (name, is_about_code) in DOCUMENTS {
        let document = document(name);
        assert_none(&words::check_commands(&document));
        if !is_about_code && name == "README.md" {
            assert_none(&words::check_flags(&document));
        }
    }
}

#[test]
fn the_table_of_what_waits_has_every_command() {
    assert_none(&tables::check_table_of_waits(&document("README.md")));
}

#[test]
fn the_table_of_exit_codes_has_every_code() {
    let source = std::fs::read_to_string(root().join("src/cli/exit.rs")).unwrap();
    let readme = document("README.md");
    assert_none(&tables::check_exit_codes(&readme, &source));
    let other = source.replace("=> 79,", "=> 78,");
    assert_eq!(tables::check_exit_codes(&readme, &other).len(), 2);
}

#[test]
fn the_table_of_scopes_is_the_code() {
    let source = std::fs::read_to_string(root().join("src/lock/operation.rs")).unwrap();
    let contributing = document("CONTRIBUTING.md");
    assert_none(&tables::check_scopes(&contributing, &source));
    let other = source.replace(
        "DIFF: Operation<ReadPermit>",
        "DIFF: Operation<WritePermit>",
    );
    assert_eq!(tables::check_scopes(&contributing, &other).len(), 2);
}

#[test]
fn the_tables_of_the_log_and_of_messages_are_the_code() {
    let readme = document("README.md");
    let log = std::fs::read_to_string(root().join("src/platform/log.rs")).unwrap();
    assert_none(&tables::check_actions(&readme, &log));
    let other = log.replace("\"CONDEMN\"", "\"DAMN\"");
    assert_eq!(tables::check_actions(&readme, &other).len(), 2);
    let sources: String = crate::tidy::sources(root());
    assert_none(&tables::check_messages(&readme, &sources));
    let other = sources.replace("deadlock detected", "deadlock found");
    assert_eq!(tables::check_messages(&readme, &other).len(), 1);
}

#[test]
fn every_path_name_setting_and_link_is_there() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["new"]);
    let config = sandbox.ok(&["config", "--json"]).json();
    let settings = config["settings"].as_array().unwrap().iter();
    let keys: BTreeSet<String> = settings
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(keys.contains("lock.lease"), "{keys:?}");
    let tree = names::Tree::read(root(), keys);
    let all: Vec<Document> = DOCUMENTS.iter().map(|(name, _)| document(name)).collect();
    assert_none(&words::check_variables(&all[0], &tree.variables()));
    for (one, (_, is_about_code)) in all.iter().zip(DOCUMENTS) {
        assert_none(&names::check_paths(one, &tree, is_about_code));
        assert_none(&names::check_names(one, &tree, is_about_code));
        assert_none(&names::check_settings(one, &tree));
        assert_none(&names::check_links(one, &all, &tree));
    }
}
