//! Images: known by their first bytes, sent in each dialect's words, refused where nobody sees.

use super::{asking, entries, project, reply};
use crate::support::{Answer, ModelServer};

/// A PNG of 640 × 480 pixels, as far as its header.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x06";
const DATA: &str = "iVBORw0KGgoAAAANSUhEUgAAAoAAAAHgCAY=";

#[test]
fn an_image_is_sent_as_a_part_of_a_message_of_the_users() {
    let sandbox = project();
    sandbox.write("shot.dat", PNG);
    let loaded = sandbox.ok(&["load", "shot.dat", "README.md"]);
    assert!(
        loaded.stdout.contains("loaded shot.dat (~425 tokens)"),
        "{loaded}"
    );
    let shown = sandbox.ok(&["show", "shot.dat"]);
    assert_eq!(
        shown.stdout,
        "shot.dat: image/png, 640 × 480 pixels, 26 B\n"
    );
    let server = ModelServer::start([Answer::stream(reply("I see.\n", 600))]);
    asking(&sandbox, &server, &["chat", "what is it?"])
        .finish()
        .ok();
    let body = &server.asked()[0].body;
    let messages = body["messages"].as_array().unwrap();
    assert!(
        messages[0]["content"]
            .as_str()
            .unwrap()
            .contains("# Scratch")
    );
    let parts = &messages[1]["content"];
    assert_eq!(parts[0]["type"], "image_url");
    assert_eq!(parts[0]["image_url"]["detail"], "high");
    let url = format!("data:image/png;base64,{DATA}");
    assert_eq!(parts[0]["image_url"]["url"], url);
    let text = parts[1]["text"].as_str().unwrap();
    assert!(
        text.contains("shot.dat") && text.ends_with("what is it?"),
        "{text}"
    );
}

#[test]
fn anthropic_is_sent_blocks() {
    let sandbox = project();
    sandbox.write("shot.png", PNG);
    sandbox.ok(&["load", "-d", "low", "shot.png"]);
    assert_eq!(entries(&sandbox)[0]["detail"], "low");
    let stream = "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\
        \"text\":\"I see.\"}}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\
        \"end_turn\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
    let server = ModelServer::start([Answer::stream(stream)]);
    let base = server.base();
    let args = [
        "chat",
        "what?",
        "--provider",
        "anthropic",
        "--model",
        "m",
        "--base-url",
        &base,
    ];
    let key = sandbox
        .plandex(args)
        .env("ANTHROPIC_API_KEY", "key-for-tests");
    key.finish().ok();
    let asked = server.asked();
    let block = &asked[0].body["messages"][0]["content"][0];
    assert_eq!(block["type"], "image");
    assert_eq!(block["source"]["media_type"], "image/png");
    assert_eq!(block["source"]["data"], DATA);
}

#[test]
fn whoever_takes_no_images_refuses_them_by_name() {
    let sandbox = project();
    sandbox.write("shot.png", PNG);
    sandbox.ok(&["load", "shot.png"]);
    let edit = "```text path=a.txt\na\n```\n";
    let file = sandbox.write_beside("reply.md", edit);
    let file = file.to_str().unwrap();
    for args in [
        &["tell", "x", "--command", "cat >/dev/null; echo hi"][..],
        &["tell", "x", "--reply", file],
        &["tell", edit, "--provider", "literal"],
    ] {
        let refused = sandbox.run(args).exits(2);
        refused
            .says("takes no images, and the context holds shot.png")
            .says("plandex rm NAME");
    }
    assert!(sandbox.ok(&["convo"]).stdout.is_empty());
    sandbox.ok(&["rm", "shot.png"]);
    sandbox.ok(&["tell", "x", "--reply", file]);
}
