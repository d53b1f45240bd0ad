//! `models`, `set-model`: who is asked, who decided that.

use super::{audited, check_repositories, expect, with_plans};
use crate::support::{Answer, ModelServer, Sandbox};

fn chosen(sandbox: &Sandbox, variables: &[(&str, &str)]) -> [String; 2] {
    let mut run = sandbox.plandex(["models", "--json"]);
    for (name, value) in variables {
        run = run.env(name, value);
    }
    let said = run.finish().ok().json();
    ["model", "from"].map(|name| said[name].as_str().unwrap_or_default().to_owned())
}

#[test]
fn what_is_configured_is_shown_and_nobody_is_asked() {
    let sandbox = with_plans(&["auth"]);
    expect(
        &sandbox.run(&["models"]),
        "$ plandex models\n--- stdout\n\
         Model       literal\n\
         Decided by  nothing else is configured\n\n\
         Provider    What it is                                    Here\n\
         openai      any server that speaks OpenAI's API           OPENAI_API_KEY not set\n\
         openrouter  openrouter.ai                                 OPENROUTER_API_KEY not set\n\
         anthropic   Anthropic's API                               ANTHROPIC_API_KEY not set\n\
         ollama      a local Ollama                                127.0.0.1:11434\n\
         command     any program                                   --command, PLANDEX_COMMAND\n\
         literal     nobody: the edits are taken from the message  always there\n--- exit 0\n",
    );
    let secret = "sk-canary-1";
    let shown = sandbox
        .plandex(["models"])
        .env("OPENROUTER_API_KEY", secret)
        .env("PLANDEX_MODEL", "m")
        .finish()
        .ok();
    assert!(shown.stdout.contains("OPENROUTER_API_KEY set"), "{shown}");
    assert!(
        shown.stdout.contains("Key         set") && !shown.text().contains(secret),
        "{shown}"
    );
    let problem = sandbox
        .plandex(["models"])
        .env("PLANDEX_MODEL", "m")
        .finish()
        .ok();
    assert!(
        problem.stdout.contains("Problem     a model is named"),
        "{problem}"
    );
}

#[test]
fn the_branchs_own_model_stands_between_the_environment_and_the_files() {
    let sandbox = with_plans(&["auth"]);
    sandbox.write(
        ".plandex/config.toml",
        "provider = \"ollama\"\nmodel = \"of-the-file\"\n",
    );
    assert_eq!(chosen(&sandbox, &[])[0], "ollama/of-the-file");
    expect(
        &sandbox.run(&["set-model", "ollama/qwen3", "--context-window", "8192"]),
        "$ plandex set-model ollama/qwen3 --context-window 8192\n--- stdout\n\
         Branch main asks ollama/qwen3, context-window 8192 now\n--- stderr\n\
         model ollama/qwen3, from the plan's settings\n--- exit 0\n",
    );
    assert_eq!(
        chosen(&sandbox, &[]),
        ["ollama/qwen3", "the plan's settings"]
    );
    let stronger = [
        ("PLANDEX_PROVIDER", "openai"),
        ("PLANDEX_MODEL", "e"),
        ("OPENAI_API_KEY", "k"),
    ];
    assert_eq!(
        chosen(&sandbox, &stronger),
        ["openai/e", "PLANDEX_PROVIDER"]
    );
    assert!(
        sandbox
            .ok(&["log"])
            .stdout
            .contains("Set model ollama/qwen3")
    );
    // A fork has it, and another branch's choice is its own.
    sandbox.ok(&["co", "-b", "twig"]);
    assert_eq!(chosen(&sandbox, &[])[0], "ollama/qwen3");
    sandbox.ok(&["set-model", "literal"]);
    assert_eq!(chosen(&sandbox, &[])[0], "literal");
    sandbox.ok(&["co", "main"]);
    assert_eq!(chosen(&sandbox, &[])[0], "ollama/qwen3");
    let cleared = sandbox.ok(&["set-model", "--clear"]);
    assert_eq!(cleared.stdout, "Branch main has no model of its own now\n");
    assert_eq!(chosen(&sandbox, &[])[0], "ollama/of-the-file");
    let sets = audited(&sandbox)
        .into_iter()
        .filter(|row| row.0 == "set model");
    assert_eq!(sets.count(), 3);
    check_repositories(&sandbox);
    let json = sandbox.ok(&["set-model", "ollama/x", "--json"]).json();
    assert_eq!(json["settings"]["model"], "x");
}

#[test]
fn a_plan_names_no_server_elsewhere_and_no_provider_that_is_not_known() {
    let sandbox = with_plans(&["auth"]);
    sandbox
        .run(&[
            "set-model",
            "openai/m",
            "--base-url",
            "https://evil.example/v1",
        ])
        .exits(2)
        .says("`base-url` is not taken from a plan");
    sandbox
        .run(&["set-model", "m"])
        .exits(2)
        .says("a model is named (m, by the plan's settings) but no provider");
    sandbox.run(&["set-model", ""]).exits(2);
    sandbox.run(&["set-model"]).exits(2);
    sandbox.run(&["set-model", "--clear", "x"]).exits(2);
    // A key may still come: it is said, and kept.
    sandbox
        .ok(&["set-model", "anthropic/claude"])
        .says("there is no key for anthropic");
    assert!(!sandbox.dump().contains("evil"));
}

/// A tell asks it.
#[test]
fn a_run_asks_the_model_that_was_set() {
    let sandbox = with_plans(&["auth"]);
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let server = ModelServer::start([Answer::stream(body)]);
    sandbox.ok(&[
        "set-model",
        "openai/of-the-plan",
        "--base-url",
        &server.base(),
    ]);
    sandbox
        .ok(&["chat", "hello"])
        .says("from the plan's settings");
    assert_eq!(server.asked()[0].body["model"], "of-the-plan");
}
