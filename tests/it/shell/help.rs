//! `plandex help`, as it is called.

use crate::support::Sandbox;

#[test]
fn help_is_that_of_the_flag_and_names_its_topic() {
    let sandbox = Sandbox::without_git();
    let all = sandbox.ok(&["help"]).stdout;
    assert_eq!(all, sandbox.ok(&["--help"]).stdout);
    assert!(all.contains("plandex help concurrency"), "{all}");
    for words in [
        ["tell"].as_slice(),
        &["locks", "release"],
        &["help"],
        &["completions"],
    ] {
        let help = sandbox.ok(&[&["help"], words].concat()).stdout;
        let flag = sandbox.ok(&[words, &["--help"]].concat()).stdout;
        assert_eq!(help, flag, "{words:?}");
        assert!(help.contains("Examples:"), "{help}");
    }
    // By another of its names, too.
    assert!(
        sandbox
            .ok(&["help", "co"])
            .stdout
            .contains("plandex checkout")
    );
    let unknown = sandbox.run(&["help", "nonsense"]).exits(2);
    assert!(
        unknown.stderr.contains("no command or topic \"nonsense\""),
        "{}",
        unknown.stderr
    );
    let document = sandbox.ok(&["help", "tell", "--json"]).json();
    assert!(
        document["text"]
            .as_str()
            .unwrap()
            .contains("--print-prompt")
    );
}

#[test]
fn the_topic_says_which_command_takes_which_ticket() {
    let sandbox = Sandbox::without_git();
    let document = sandbox.ok(&["help", "concurrency", "--json"]).json();
    let text = sandbox.ok(&["help", "concurrency"]).stdout;
    assert_eq!(document["text"].as_str().unwrap(), text);
    // Flowed text, so that a line break is as good as a blank.
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let headings = [
        "write the plan",
        "read a branch",
        "read the plan",
        "take no ticket",
        "Those",
    ];
    let lists: Vec<Vec<&str>> = headings
        .windows(2)
        .map(|pair| {
            let (_, rest) = flat.split_once(pair[0]).unwrap();
            rest.split_once(pair[1])
                .unwrap()
                .0
                .trim()
                .split(", ")
                .collect()
        })
        .collect();
    for ticket in document["tickets"].as_array().unwrap() {
        let list = match (ticket["scope"].as_str(), ticket["of"].as_str()) {
            (Some("w"), None) => 0,
            (Some("r"), Some("branch")) => 1,
            (Some("r"), Some("plan")) => 2,
            (None, None) => 3,
            other => panic!("{other:?}"),
        };
        let command = ticket["command"].as_str().unwrap();
        assert!(
            lists[list].contains(&command),
            "{command} in {:?}",
            lists[list]
        );
    }
    let words = [
        "exit 75",
        "exit 79",
        "--no-wait",
        "plandex exec",
        "lock.lease",
        "60 s",
    ];
    for words in words {
        assert!(text.contains(words), "{words:?}");
    }
}
