//! Pages of the web, from a server of this test.

use super::{entries, expect, names, project};
use crate::support::{Answer, ModelServer};

fn html(text: &str) -> Answer {
    let page =
        format!("<html><head><title>T</title><script>x()</script></head><p>{text}</p></html>");
    Answer::of(200, "text/html; charset=utf-8", page)
}

fn address(server: &ModelServer) -> String {
    server.base().trim_end_matches("/v1").to_owned() + "/page?x=1"
}

#[test]
fn a_page_is_fetched_at_load_and_again_by_update_alone() {
    let sandbox = project();
    let server = ModelServer::start([html("one"), html("one &amp; two"), html("one &amp; two")]);
    let url = address(&server);
    let loaded = sandbox.ok(&["load", &url]);
    assert_eq!(loaded.stdout, format!("loaded {url} (~4 tokens)\n"));
    assert_eq!(server.asked()[0].path, "/page?x=1");
    assert_eq!(sandbox.ok(&["show", "1"]).stdout, "T\n\none\n");
    assert_eq!(entries(&sandbox)[0]["kind"], "url");
    assert_eq!(entries(&sandbox)[0]["url"], url);
    assert_eq!(server.asked().len(), 1);
    let updated = sandbox.ok(&["update", "--yes"]);
    assert!(
        updated.stdout.starts_with(&format!("M {url}  +")),
        "{updated}"
    );
    assert_eq!(sandbox.ok(&["show", &url]).stdout, "T\n\none & two\n");
    let same = sandbox.ok(&["update", "--yes"]);
    assert!(same.stderr.contains("Nothing is outdated"), "{same}");
    // Loading it again replaces it.
    let server = ModelServer::start([html("three")]);
    drop(server);
    assert_eq!(names(&sandbox), [url]);
}

#[test]
fn a_page_that_cannot_be_had_is_exit_5_and_names_its_url() {
    let sandbox = project();
    let server = ModelServer::start([Answer::of(404, "text/html", "gone")]);
    let url = address(&server);
    sandbox
        .run(&["load", "README.md", &url])
        .exits(5)
        .says(&format!("{url} could not be fetched: HTTP 404"));
    drop(server);
    // Nobody listens there any more.
    let dead = "http://127.0.0.1:9/x";
    sandbox
        .run(&["load", dead])
        .exits(5)
        .says(&format!("{dead} could not be fetched"));
    let json = sandbox.run(&["load", dead, "--json"]).exits(5);
    assert!(json.stderr.contains("\"exitCode\":5"), "{json}");
    assert!(names(&sandbox).is_empty());
    let secret = sandbox.run(&["load", "http://me:secret@h/"]).exits(5);
    assert!(!secret.stderr.contains("secret@"), "{secret}");
}

#[test]
fn a_page_that_is_no_text_or_too_long_is_refused() {
    let sandbox = project();
    let server = ModelServer::start([
        Answer::of(200, "application/pdf", b"%PDF\0".to_vec()),
        Answer::of(200, "text/plain", "x".repeat((2 << 20) + 1)),
        Answer::of(200, "text/plain", "plain <b>text</b>\n"),
    ]);
    let url = address(&server);
    expect(
        &sandbox.run(&["load", &url]),
        &format!(
            "$ plandex load '{url}'\n--- stderr\nerror: {url}: binary\nhint: nothing was loaded\n\
             --- exit 2\n"
        ),
    );
    sandbox
        .run(&["load", &url])
        .exits(5)
        .says("is longer than 2097152 bytes");
    sandbox.ok(&["load", &url]);
    assert_eq!(sandbox.ok(&["show", "1"]).stdout, "plain <b>text</b>\n");
}
