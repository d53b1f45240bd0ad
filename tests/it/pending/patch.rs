//! `diff --plain` against `apply`: what git makes of the one is what the other writes.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::Sandbox;

/// Contents and permissions by path, but for what git and plandex keep.
fn tree(root: &Path) -> BTreeMap<String, (Vec<u8>, u32)> {
    fn walk(root: &Path, dir: &Path, found: &mut BTreeMap<String, (Vec<u8>, u32)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            if matches!(name, ".git" | ".plandex") {
                continue;
            }
            let meta = path.symlink_metadata().unwrap();
            if meta.is_dir() {
                walk(root, &path, found);
            } else {
                let mode = meta.permissions().mode() & 0o7777;
                found.insert(name.to_owned(), (std::fs::read(&path).unwrap(), mode));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

/// Moves, modes, deletions, what is no text, and names that have to be quoted.
const REPLY: &str = "```diff
diff --git a/moved.bin b/deep/er/moved.bin
similarity index 100%
rename from moved.bin
rename to deep/er/moved.bin
diff --git a/text.txt b/other name.txt
rename from text.txt
rename to other name.txt
--- a/text.txt
+++ b/other name.txt
@@ -1,3 +1,3 @@
 one
-two
+TWO
 three
diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
diff --git a/tool b/tool
old mode 100755
new mode 100644
--- a/tool
+++ b/tool
@@ -1 +1 @@
-#!/bin/sh
+# no program any more
diff --git a/gone.bin b/gone.bin
deleted file mode 100644
diff --git a/only/gone.txt b/only/gone.txt
deleted file mode 100644
--- a/only/gone.txt
+++ /dev/null
@@ -1 +0,0 @@
-gone
diff --git a/new.sh b/new.sh
new file mode 100755
--- /dev/null
+++ b/new.sh
@@ -0,0 +1 @@
+echo new
diff --git a/-dash b/-dash
--- a/-dash
+++ b/-dash
@@ -1 +1 @@
-dash
+DASH
\\ No newline at end of file
diff --git \"a/\\303\\274n\\303\\257/\\346\\226\\207 1.txt\" \"b/\\303\\274n\\303\\257/\\346\\226\\207 1.txt\"
--- \"a/\\303\\274n\\303\\257/\\346\\226\\207 1.txt\"
+++ \"b/\\303\\274n\\303\\257/\\346\\226\\207 1.txt\"
@@ -1,2 +1,2 @@
 eins
-zwei
+drei
```
";

#[test]
fn git_makes_of_the_patch_what_apply_writes() {
    let sandbox = Sandbox::new();
    let binary: Vec<u8> = (0..=255).cycle().take(3000).collect();
    sandbox.write("moved.bin", &binary);
    sandbox.write("gone.bin", b"\0gone\0");
    sandbox.write("text.txt", "one\ntwo\nthree\n");
    sandbox.write("run.sh", "echo run\n");
    let tool = sandbox.write("tool", "#!/bin/sh\n");
    std::fs::set_permissions(tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.write("only/gone.txt", "gone\n");
    sandbox.write("-dash", "dash\n");
    sandbox.write("ünï/文 1.txt", "eins\r\nzwei\r\n");
    sandbox.git(&["add", "--all"]);
    sandbox.git(&["commit", "--quiet", "--message", "before"]);
    sandbox.ok(&["new"]);
    let reply = sandbox.write_beside("reply", REPLY);
    sandbox.ok(&["tell", "all of it", "--reply", reply.to_str().unwrap()]);
    let before = tree(sandbox.root());

    let script = "\"$P\" diff --plain > ../tmp/patch \
                  && git clone --quiet . ../by-git && cd ../by-git && git apply ../tmp/patch";
    let run = sandbox.program("sh", ["-c", script]);
    run.env("P", env!("CARGO_BIN_EXE_plandex")).finish().ok();
    assert_eq!(tree(sandbox.root()), before, "a diff writes nothing");
    let by_git = tree(&sandbox.place().join("by-git"));

    sandbox.ok(&["apply", "-y"]);
    let by_apply = tree(sandbox.root());
    assert_eq!(by_apply, by_git);
    let names: Vec<&str> = by_apply.keys().map(String::as_str).collect();
    for (name, mode) in [
        ("deep/er/moved.bin", 0o644),
        ("other name.txt", 0o644),
        ("run.sh", 0o755),
        ("tool", 0o644),
        ("new.sh", 0o755),
    ] {
        assert_eq!(by_apply.get(name).map(|file| file.1), Some(mode), "{name}");
    }
    for name in ["moved.bin", "text.txt", "gone.bin", "only/gone.txt"] {
        assert!(!names.contains(&name), "{names:?}");
    }
    assert_eq!(by_apply["deep/er/moved.bin"].0, binary);
    assert_eq!(by_apply["ünï/文 1.txt"].0, b"eins\r\ndrei\r\n");
    assert_eq!(by_apply["-dash"].0, b"DASH");
}
