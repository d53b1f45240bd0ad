//! TLS fails closed, with the cause; a company's own certificates are heard.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::CANARY;
use super::recorded::*;
use crate::support::{Background, Outcome, Sandbox, needs};

/// A certificate authority, and a key and certificate for `localhost` that it signed.
struct Signed {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

fn signed(sandbox: &Sandbox) -> Signed {
    let dir = sandbox.place().join("tmp");
    let path = |name: &str| dir.join(name);
    let make = |name: &str, more: &[&str]| {
        let (key, certificate) = (path(&format!("{name}.key")), path(&format!("{name}.pem")));
        let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
        let run = sandbox.program("openssl", ["req", "-x509", "-nodes", "-days", "2"]);
        let run = run.args(ec).args(["-subj", "/CN=test"]).args(more);
        let run = run.args([Path::new("-keyout"), &key, Path::new("-out"), &certificate]);
        run.finish().ok();
        (key, certificate)
    };
    let (ca_key, authority) = make("ca", &[]);
    let (key, certificate) = make(
        "leaf",
        &[
            "-CA",
            authority.to_str().unwrap(),
            "-CAkey",
            ca_key.to_str().unwrap(),
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ],
    );
    Signed {
        authority,
        certificate,
        key,
    }
}

/// OpenSSL's own server, which plays one reply to whoever comes first.
fn serve<'s>(sandbox: &'s Sandbox, signed: &Signed) -> (Background<'s>, u16) {
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let run = sandbox.program("openssl", ["s_server", "-quiet", "-accept"]);
    let run = run
        .args([port.to_string()])
        .args([Path::new("-cert"), &signed.certificate]);
    let run = run.args([Path::new("-key"), &signed.key]).held_stdin();
    let mut server = run.start();
    server.say(&format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{}",
        fences().len(),
        fences()
    ));
    // Not by a connection, which would take the reply.
    sandbox.until("the server listens", || {
        ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .find_map(|table| {
                let table = std::fs::read_to_string(table).ok()?;
                let ends = format!(":{port:04X} ");
                let listens = |line: &str| line.contains(&ends) && line.contains(" 0A ");
                table.lines().any(listens).then_some(())
            })
    });
    (server, port)
}

#[test]
fn only_a_certificate_that_is_trusted_for_this_name_is_taken() {
    needs!("openssl");
    let sandbox = Sandbox::new();
    sandbox.plandex(["new", "-n", "draft"]).finish().ok();
    let signed = signed(&sandbox);
    let empty = sandbox.write_beside("empty.pem", "");
    let tell = |port: u16, host: &str, roots: Option<&Path>| -> Outcome {
        let run = sandbox.plandex(["tell", "x", "--model", "m"]);
        let run = run.env("OPENAI_BASE_URL", format!("https://{host}:{port}/v1"));
        let run = run.env("OPENAI_API_KEY", CANARY);
        match roots {
            Some(roots) => run.env("SSL_CERT_FILE", roots),
            None => run,
        }
        .finish()
    };
    // Nobody trusts it; with a machine that trusts nobody at all, the built-in roots do not either.
    for roots in [None, Some(empty.as_path())] {
        let (server, port) = serve(&sandbox, &signed);
        let refused = tell(port, "localhost", roots).exits(5);
        assert!(refused.stderr.contains("certificate"), "{refused}");
        assert!(!refused.stderr.contains("No CA"), "{refused}");
        let heard = server.kill();
        assert!(!heard.stdout.contains("POST"), "{heard}");
    }
    let (server, port) = serve(&sandbox, &signed);
    let refused = tell(port, "127.0.0.1", Some(&signed.authority)).exits(5);
    assert!(refused.stderr.contains("certificate"), "{refused}");
    drop(server);
    let (server, port) = serve(&sandbox, &signed);
    let told = tell(port, "localhost", Some(&signed.authority)).ok();
    assert!(told.stdout.contains("I add a file."), "{told}");
    server.until_says("POST /v1/chat/completions");
}
