//! The man pages as groff and man see them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::support::{Sandbox, needs};

fn pages(sandbox: &Sandbox) -> Vec<PathBuf> {
    let dir = sandbox.place().join("io/man");
    sandbox.ok(&["man", "--dir", dir.to_str().unwrap()]);
    let mut all = Vec::new();
    for section in ["man1", "man7"] {
        let entries = std::fs::read_dir(dir.join(section)).unwrap();
        all.extend(entries.map(|entry| entry.unwrap().path()));
    }
    all.sort();
    all
}

#[test]
fn there_is_a_page_for_every_command() {
    let sandbox = Sandbox::without_git();
    let named: BTreeSet<String> = pages(&sandbox)
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let topic = sandbox.ok(&["help", "concurrency", "--json"]).json();
    for ticket in topic["tickets"].as_array().unwrap() {
        let command = ticket["command"].as_str().unwrap();
        let name = command.split(' ').next().unwrap();
        assert!(named.contains(&format!("plandex-{name}.1")), "{name}");
    }
    for name in [
        "plandex.1",
        "plandex-locks-release.1",
        "plandex-concurrency.7",
    ] {
        assert!(named.contains(name), "{name}");
    }
    assert!(
        !named
            .iter()
            .any(|name| name.contains("probe") || name.contains("complete."))
    );
}

#[test]
fn groff_and_man_find_nothing_wrong() {
    needs!("groff");
    needs!("man");
    let sandbox = Sandbox::without_git();
    for page in pages(&sandbox) {
        let page = page.to_str().unwrap();
        let groff = sandbox.program("groff", ["-ww", "-z", "-k", "-man", "-Tutf8", page]);
        let groff = groff.finish().ok();
        assert_eq!(groff.stdout + &groff.stderr, "", "{page}");
        let man = sandbox.program("man", ["--warnings", "-l", page]);
        let man = man
            .env("MANROFFSEQ", "")
            .env("MANWIDTH", "80")
            .finish()
            .ok();
        assert_eq!(man.stderr, "", "{page}");
        assert!(
            man.stdout.contains("SYNOPSIS") || page.ends_with(".7"),
            "{page}"
        );
    }
}

#[test]
fn a_page_says_what_help_says_and_the_program_s_what_it_reads() {
    needs!("man");
    let sandbox = Sandbox::without_git();
    let shown = |words: &[&str]| {
        let roff = sandbox.ok(&[&["man"], words].concat()).stdout;
        let run = sandbox.program("man", ["-l", "-"]).stdin(&roff);
        run.env("MANWIDTH", "100").finish().ok().stdout
    };
    let apply = shown(&["ap"]);
    for words in [
        "plandex-apply - Write the pending",
        "--on-conflict",
        "EXAMPLES",
        "EXIT STATUS",
    ] {
        assert!(apply.contains(words), "{words:?} in {apply}");
    }
    assert!(
        apply.contains("  plandex apply -y 'src/**/*.rs' docs"),
        "{apply}"
    );
    let program = shown(&[]);
    for words in [
        "plandex-tell(1)",
        "PLANDEX_WAIT",
        ".plandex/config.toml",
        "75",
    ] {
        assert!(program.contains(words), "{words:?} in {program}");
    }
    assert!(shown(&["concurrency"]).contains("write the plan"));
    sandbox
        .run(&["man", "nothing"])
        .exits(2)
        .says("there is no man page for \"nothing\"");
    // The same bytes each time, wherever it is run.
    let once = sandbox.ok(&["man", "tell"]).stdout;
    let again = sandbox
        .plandex(["man", "tell"])
        .cwd(sandbox.place())
        .env("TZ", "Asia/Tokyo");
    assert_eq!(again.env("LANG", "C").finish().ok().stdout, once);
}
