//! The model's room, and what its own figures teach.

use super::{asking, names, numbers, project, reply};
use crate::support::{Answer, ModelServer, Sandbox};

/// A project whose model takes `window` tokens, 100 of them for the reply.
fn with_window(window: u64) -> Sandbox {
    let sandbox = project();
    let config = format!(
        "provider = \"openai\"\nmodel = \"m\"\nbase-url = \"http://127.0.0.1:9/v1\"\n\
         context-window = {window}\nreply-reserve = 100\n"
    );
    std::fs::write(sandbox.state_dir().join("config.toml"), config).unwrap();
    sandbox
}

#[test]
fn a_load_beyond_the_model_s_room_is_refused_with_the_sum() {
    let sandbox = with_window(130);
    let loaded = sandbox.ok(&["load", "README.md"]);
    assert!(
        loaded
            .stderr
            .contains("~11 loaded of the ~30 that the model takes"),
        "{loaded}"
    );
    let refused = sandbox.run(&["load", "-r", "src"]).exits(2);
    refused
        .says("~41 tokens of context would be more than openai/m takes (~30): ~30 of this load")
        .says("beside ~11 of what is loaded already")
        .says("plandex rm");
    assert_eq!(names(&sandbox), ["README.md"]);
    // What replaces itself is counted once.
    sandbox.ok(&["load", "README.md", "src/lib.rs"]);
    let json = sandbox.ok(&["load", "README.md", "--json"]).json();
    assert_eq!(json["roomTokens"], 30);
    assert_eq!(json["totalTokens"], 26);
}

#[test]
fn a_model_teaches_how_it_counts_and_budgets_heed_it() {
    let sandbox = with_window(100_000);
    sandbox.write(
        "long.txt",
        "one two three four five six seven eight nine ten\n".repeat(100),
    );
    sandbox.ok(&["load", "long.txt"]);
    let estimate = |sandbox: &Sandbox| {
        let events = numbers(
            sandbox,
            "SELECT json_extract(payload, '$.promptTokensEstimate') FROM stream_events
             WHERE json_extract(payload, '$.promptTokensEstimate') IS NOT NULL",
        );
        u64::try_from(*events.last().unwrap()).unwrap()
    };
    let server = ModelServer::start([
        Answer::stream(reply("one", 1)),
        Answer::stream(reply("two", 1 << 40)),
    ]);
    for word in ["one", "two"] {
        asking(&sandbox, &server, &["chat", word]).finish().ok();
    }
    let ratios = "SELECT permille FROM token_ratios";
    assert!(
        numbers(&sandbox, ratios).is_empty(),
        "impossible figures teach nothing"
    );
    let estimate = estimate(&sandbox);
    let server = ModelServer::start([Answer::stream(reply("three", estimate * 3 / 2))]);
    asking(&sandbox, &server, &["chat", "two"]).finish().ok();
    let learned = numbers(&sandbox, ratios);
    assert!(
        (1_400..1_550).contains(&learned[0]),
        "{learned:?} of ~{estimate}"
    );
    // The same window has less room now.
    let tokens = super::entries(&sandbox)[0]["tokens"].as_u64().unwrap();
    let config = sandbox.state_dir().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("100000", &(tokens + tokens / 4 + 100).to_string());
    std::fs::write(&config, text).unwrap();
    sandbox
        .run(&["load", "long.txt"])
        .exits(2)
        .says("would be more than openai/m takes");
}

#[test]
fn the_limits_of_a_load_are_options() {
    let sandbox = project();
    sandbox.write("big.txt", "a line\n".repeat(400));
    let skipped = sandbox
        .run(&["load", "big.txt", "--max-size", "2KiB"])
        .exits(1);
    skipped.says("skipped big.txt: 2800 bytes, the limit is 2048");
    sandbox.ok(&["load", "big.txt"]);
    let json = sandbox
        .run(&["load", "big.txt", "--max-size", "2KB", "--json"])
        .exits(1);
    assert_eq!(json.json()["skipped"][0]["reason"], "too_large");
    sandbox
        .run(&["load", "big.txt", "--max-size", "huge"])
        .exits(2)
        .says("--max-size: huge is no size");
    sandbox
        .run(&["load", "-r", ".", "--max-items", "2"])
        .exits(2)
        .says("5 items are more than one load takes (2)");
}
