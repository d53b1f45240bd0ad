//! `load`, `ls`.

use super::expect;
use crate::support::Sandbox;

#[test]
fn load_takes_files_directories_globs_notes_and_pipes() {
    let sandbox = Sandbox::new();
    sandbox.write("assets/logo.bin", b"\0\x01\x02");
    sandbox.write("target/out.txt", "built\n");
    sandbox.write("docs/a.md", "# A\n");
    sandbox.write("docs/b.md", "# B\n");
    sandbox.ok(&["new", "-n", "draft"]);
    expect(
        &sandbox.run(&["ls"]),
        r#"$ plandex ls
--- stderr
Nothing is loaded yet
hint: `plandex load PATHS`
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["load", "src/main.rs"]),
        r#"$ plandex load src/main.rs
--- stdout
loaded src/main.rs (~15 tokens)
--- stderr
1 item, ~15 tokens; ~15 loaded
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["load", "-r", "."]),
        r#"$ plandex load -r .
--- stdout
loaded .gitignore (~3 tokens)
loaded README.md (~11 tokens)
loaded docs/a.md (~3 tokens)
loaded docs/b.md (~3 tokens)
loaded src/lib.rs (~15 tokens)
loaded src/main.rs (~15 tokens)
--- stderr
skipped assets/logo.bin: binary
skipped target/: ignored by /target in .gitignore
6 items, ~50 tokens; ~50 loaded
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["load", "docs/*.md"]),
        r#"$ plandex load 'docs/*.md'
--- stdout
loaded docs/a.md (~3 tokens)
loaded docs/b.md (~3 tokens)
--- stderr
2 items, ~6 tokens; ~50 loaded
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["load", "target/out.txt"]),
        r#"$ plandex load target/out.txt
--- stderr
error: ignored: target/out.txt (/target in .gitignore); -f loads them all the same
hint: load it all the same with `plandex load -f PATH`
--- exit 2
"#,
    );
    expect(
        &sandbox.run(&["load", "-f", "target/out.txt"]),
        r#"$ plandex load -f target/out.txt
--- stdout
loaded target/out.txt (~2 tokens)
--- stderr
1 item, ~2 tokens; ~52 loaded
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["load", "-n", "keep it short"]),
        r#"$ plandex load -n 'keep it short'
--- stdout
loaded keep it short (~3 tokens)
--- stderr
1 item, ~3 tokens; ~55 loaded
--- exit 0
"#,
    );
    let piped = sandbox.plandex(["load"]).stdin("from a pipe\n").finish();
    expect(
        &piped,
        r#"$ plandex load
--- stdout
loaded piped-1 (~4 tokens)
--- stderr
1 item, ~4 tokens; ~59 loaded
--- exit 0
"#,
    );
    let below = sandbox.root().join("docs");
    expect(
        &sandbox.plandex(["load", "a.md"]).cwd(&below).finish(),
        r#"$ plandex load a.md
--- stdout
loaded docs/a.md (~3 tokens)
--- stderr
1 item, ~3 tokens; ~59 loaded
--- exit 0
"#,
    );
    sandbox.write("docs/a.md", "# A, changed\n");
    std::fs::remove_file(sandbox.root().join("docs/b.md")).unwrap();
    expect(
        &sandbox.run(&["ls"]),
        r#"$ plandex ls
--- stdout
#  Name            Type   Tokens  Added                Updated
1  src/main.rs     file   ~15     [TIME]  [TIME]
2  .gitignore      file   ~3      [TIME]  [TIME]
3  README.md       file   ~11     [TIME]  [TIME]
4  docs/a.md       file   ~3      [TIME]  [TIME]  outdated
5  docs/b.md       file   ~3      [TIME]  [TIME]  missing
6  src/lib.rs      file   ~15     [TIME]  [TIME]
7  target/out.txt  file   ~2      [TIME]  [TIME]
8  keep it short   note   ~3      [TIME]  [TIME]
9  piped-1         piped  ~4      [TIME]  [TIME]
--- stderr
9 items, ~59 tokens
hint: load them again with `plandex update`
--- exit 0
"#,
    );
}
