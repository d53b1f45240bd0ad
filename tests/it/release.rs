//! `scripts/release` and `scripts/check deny`: what they refuse, and what they make.
//!
//! Packed is a program of a few lines that becomes the tested plandex, so that this takes seconds;
//! with PLANDEX_RELEASE_BINARY it is that binary, as a release has it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::support::{Outcome, Sandbox, needs};

/// A repository with what a release is made of, but for the sources.
fn repository() -> Sandbox {
    let sandbox = Sandbox::without_git();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in [
        "scripts/release",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
    ] {
        sandbox.write(name, std::fs::read(root.join(name)).unwrap());
    }
    let script = sandbox.root().join("scripts/release");
    std::fs::set_permissions(script, Permissions::from_mode(0o755)).unwrap();
    sandbox.write(".gitignore", "/target\n");
    sandbox.git(&["init", "--quiet", "--initial-branch", "main"]);
    sandbox.git(&["add", "--all"]);
    sandbox.git(&[
        "commit",
        "--quiet",
        "--message",
        "start",
        "--date",
        "2026-01-02T03:04:05Z",
    ]);
    sandbox
}

fn release(sandbox: &Sandbox, args: &[&str]) -> Outcome {
    sandbox.program("scripts/release", args).finish()
}

/// What is packed.
fn binary(sandbox: &Sandbox) -> PathBuf {
    if let Some(given) = std::env::var_os("PLANDEX_RELEASE_BINARY") {
        return given.into();
    }
    let real = env!("CARGO_BIN_EXE_plandex");
    let source = format!(
        "#include <unistd.h>\nint main(int c, char **v) {{ v[0] = \"plandex\"; return execv({real:?}, v); }}\n"
    );
    let source = sandbox.write_beside("plandex.c", &source);
    let path = sandbox.place().join("io/plandex");
    let args = ["-o", path.to_str().unwrap(), source.to_str().unwrap()];
    sandbox.program("cc", args).finish().ok();
    path
}

/// Packs a snapshot; returns the tarball and the package.
fn packed(sandbox: &Sandbox, binary: &Path) -> [PathBuf; 2] {
    let out = sandbox.place().join("io/out");
    let (binary, out) = (binary.to_str().unwrap(), out.to_str().unwrap());
    let said = release(sandbox, &["--snapshot", "--binary", binary, "--out", out]).ok();
    let mut made = said.stdout.lines().map(PathBuf::from);
    [made.next().unwrap(), made.next().unwrap()]
}

#[test]
fn what_is_no_release_is_refused() {
    let sandbox = repository();
    let refused = |args: &[&str], code: i32, words: &str| {
        let outcome = release(&sandbox, args).exits(code);
        assert!(outcome.stderr.contains(words), "{}", outcome.text());
    };
    refused(&[], 2, "which tag?");
    refused(&["--snapshot", "v1"], 2, "has no tag");
    refused(&["--fast"], 2, "there is no option --fast");
    refused(&["v0.1.0"], 1, "there is no tag v0.1.0");
    sandbox.git(&["tag", "v77.0.0"]);
    refused(&["v77.0.0"], 1, "is not the version in its Cargo.toml");
    // A branch is no tag.
    sandbox.git(&["branch", "v0.1.0"]);
    refused(&["v0.1.0"], 1, "there is no tag v0.1.0");
    refused(
        &["--snapshot", "--target", "vax-dec-ultrix"],
        1,
        "the toolchain has no vax",
    );
    refused(
        &["--snapshot", "--binary", "/bin/true"],
        1,
        "is not plandex",
    );
    sandbox.write("new.txt", "not committed\n");
    refused(&["--snapshot"], 1, "the tree is not clean");
    assert!(!sandbox.root().join("target/dist/SHA256SUMS").exists());
}

#[test]
fn a_package_holds_what_it_should_where_it_should() {
    needs!("dpkg-deb");
    needs!("cc");
    let sandbox = repository();
    let binary = binary(&sandbox);
    let [tarball, package] = packed(&sandbox, &binary);
    let (tarball, package) = (tarball.to_str().unwrap(), package.to_str().unwrap());

    let tree = sandbox.place().join("io/tree");
    let there = tree.to_str().unwrap();
    sandbox
        .program("dpkg-deb", ["-x", package, there])
        .finish()
        .ok();
    sandbox
        .program("dpkg-deb", ["-e", package, &format!("{there}/DEBIAN")])
        .finish()
        .ok();
    let sums = sandbox
        .program("md5sum", ["--check", "--quiet", "DEBIAN/md5sums"])
        .cwd(&tree);
    sums.finish().ok();
    let control = std::fs::read_to_string(tree.join("DEBIAN/control")).unwrap();
    assert!(control.contains("\nDepends: libc6 (>= 2."), "{control}");
    assert!(control.contains("\nVersion: 0.1.0~git20"), "{control}");

    check_tree(&sandbox, &tree);
    check_listing(&sandbox, package);
    let listed = sandbox
        .program("tar", ["-tzf", tarball])
        .finish()
        .ok()
        .stdout;
    for name in [
        "plandex",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "completions/_plandex",
        "man/man1/plandex.1",
    ] {
        assert!(
            listed
                .lines()
                .any(|line| line.split_once('/').is_some_and(|(_, rest)| rest == name)),
            "{name}"
        );
    }
    let out = Path::new(tarball).parent().unwrap();
    let sums = sandbox
        .program("sha256sum", ["--check", "--strict", "SHA256SUMS"])
        .cwd(out);
    assert_eq!(sums.finish().ok().stdout.lines().count(), 2);
}

/// Completions and man pages are those that the program prints, where shells and man look for them.
fn check_tree(sandbox: &Sandbox, tree: &Path) {
    let there = tree.to_str().unwrap();
    for (shell, place) in [
        ("bash", "bash-completion/completions/plandex"),
        ("zsh", "zsh/vendor-completions/_plandex"),
        ("fish", "fish/vendor_completions.d/plandex.fish"),
    ] {
        let packed = std::fs::read_to_string(tree.join("usr/share").join(place)).unwrap();
        assert_eq!(
            packed,
            sandbox.ok(&["completions", shell]).stdout,
            "{shell}"
        );
    }
    for (page, words) in [
        ("man1/plandex-tell.1", vec!["man", "tell"]),
        ("man1/plandex.1", vec!["man"]),
    ] {
        let page = format!("{there}/usr/share/man/{page}.gz");
        let shown = sandbox.program("gzip", ["-dc", &page]).finish().ok().stdout;
        assert_eq!(shown, sandbox.ok(&words).stdout);
    }
}

/// Modes, owners and papers.
fn check_listing(sandbox: &Sandbox, package: &str) {
    let listed = sandbox
        .program("dpkg-deb", ["-c", package])
        .finish()
        .ok()
        .stdout;
    for line in listed.lines() {
        let is_program = line.ends_with("./usr/bin/plandex");
        let mode = if is_program || line.starts_with('d') {
            "rwxr-xr-x"
        } else {
            "rw-r--r--"
        };
        assert!(
            line[1..].starts_with(mode) && line.contains(" root/root "),
            "{line}"
        );
    }
    for name in ["copyright", "changelog.gz", "changelog.Debian.gz"] {
        assert!(
            listed.contains(&format!("./usr/share/doc/plandex/{name}\n")),
            "{name}"
        );
    }
}

#[test]
fn lintian_finds_nothing_in_the_package() {
    needs!("lintian");
    needs!("cc");
    let sandbox = repository();
    let [_, package] = packed(&sandbox, &binary(&sandbox));
    let args = [
        "--allow-root",
        "--fail-on",
        "error,warning",
        package.to_str().unwrap(),
    ];
    let said = sandbox.program("lintian", args).finish().ok().stdout;
    // What is overridden need not be in a stand-in.
    let found: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with("N:"))
        .collect();
    assert_eq!(found.len(), 0, "{said}");
}

#[test]
fn the_same_commit_is_packed_to_the_same_bytes_elsewhere() {
    needs!("dpkg-deb");
    needs!("cc");
    let sandbox = repository();
    let binary = binary(&sandbox);
    let first = packed(&sandbox, &binary).map(|path| std::fs::read(path).unwrap());
    // Another clone, in another directory, made with another umask and in another zone.
    let elsewhere = sandbox.place().join("io/elsewhere/deeper");
    let script = format!(
        "umask 077 && git clone --quiet --no-local . {0} && cd {0} && exec scripts/release --snapshot --binary {1}",
        elsewhere.display(),
        binary.display(),
    );
    let run = sandbox
        .program("sh", ["-c", &script])
        .env("TZ", "Asia/Tokyo");
    let said = run.env("LANG", "C").finish().ok();
    let second: Vec<Vec<u8>> = said
        .stdout
        .lines()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(first[0] == second[0], "the tarballs differ");
    assert!(first[1] == second[1], "the packages differ");
}

/// Runs `scripts/check deny` with `tool` in the place of cargo-deny.
fn deny(tool: &str, required: &str) -> Outcome {
    let sandbox = Sandbox::without_git();
    let tool = sandbox.write_beside("cargo-deny", &format!("#!/bin/sh\n{tool}\n"));
    std::fs::set_permissions(&tool, Permissions::from_mode(0o755)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/check");
    let run = sandbox.program(script.to_str().unwrap(), ["deny"]);
    run.env("CARGO_DENY", tool)
        .env("PLANDEX_ADVISORIES", required)
        .finish()
}

#[test]
fn deny_never_passes_advisories_that_were_not_looked_at() {
    let unreachable = "[ $2 != advisories ] || { echo 'error: failed to fetch advisory database x' >&2; exit 1; }";
    let said = deny(unreachable, "").ok().stderr;
    assert!(
        said.contains("== good (ADVISORIES WERE NOT LOOKED AT"),
        "{said}"
    );
    deny(unreachable, "required").exits(1);
    assert!(
        deny("[ $# = 4 ] || [ $2 = advisories ]", "required")
            .ok()
            .stderr
            .ends_with("== good\n")
    );
    deny(
        "[ $2 != advisories ] || { echo 'error: RUSTSEC-0' >&2; exit 1; }",
        "",
    )
    .exits(1);
    deny("[ $2 = advisories ]", "").exits(1);
}
