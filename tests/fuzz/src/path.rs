//! Paths of a model against a jail: what the rules let through stays below, and what is written
//! through [`Root`] lands below, whatever links are in the way.
#![no_main]

use std::cell::RefCell;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use plandex::plan::edits::{PathMatch, resolve_path};
use plandex::platform::root::{Descent, Kernel, Root, check_relative};

/// A project with links out of it, and what lies outside.
struct Jail {
    dir: tempfile::TempDir,
    uses: u32,
}

impl Jail {
    fn new() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let jail = Self {
            dir: dir.unwrap(),
            uses: 0,
        };
        let (root, outside) = (jail.root(), jail.outside());
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir_all(outside.join("b")).unwrap();
        for name in ["a", "x", "b/a"] {
            std::fs::write(outside.join(name), "canary").unwrap();
        }
        for (name, target) in [
            ("l", "../outside"),
            ("u", ".."),
            ("a/l", "../../outside"),
            ("a/u", "../.."),
            ("m", "/proc/self/root"),
            ("f", "../outside/a"),
            ("d", "nowhere"),
        ] {
            std::os::unix::fs::symlink(target, root.join(name)).unwrap();
        }
        jail
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    fn check(&self) {
        let names = |path: &Path| std::fs::read_dir(path).unwrap().count();
        let outside = self.outside();
        for name in ["a", "x", "b/a"] {
            let text = std::fs::read_to_string(outside.join(name)).unwrap_or_default();
            assert_eq!(text, "canary", "outside/{name}");
        }
        assert_eq!(
            (
                names(self.dir.path()),
                names(&outside),
                names(&outside.join("b"))
            ),
            (2, 3, 1),
            "something was made outside"
        );
    }
}

thread_local! {
    static JAIL: RefCell<Jail> = RefCell::new(Jail::new());
}

fn write_through(jail: &Jail, path: &str, kernel: Kernel) {
    let root = Root::open(&jail.root(), kernel).unwrap();
    if let Ok(Descent::Open(spot)) = root.spot_making_parents(path) {
        if let Ok(mut file) = spot.create(0o600) {
            file.write_all(b"from a model").unwrap();
            assert!(jail.root().join(path).is_file(), "{path:?} is elsewhere");
            spot.remove().unwrap();
        }
        // What is there is looked at, never followed.
        spot.open().ok();
    }
}

/// What a label means is the label, or a file that is known by that very name.
fn resolve(text: &str) {
    let mut parts = text.split('\n');
    let label = parts.next().unwrap_or_default();
    let known: Vec<&str> = parts.collect();
    let bare = label.strip_prefix("./").unwrap_or(label);
    let has_name = |path: &str| path == bare || path.ends_with(&format!("/{bare}"));
    match resolve_path(label, &known) {
        PathMatch::File(path) if path == bare => {
            let is_several = known.iter().filter(|path| has_name(path)).count() > 0;
            let is_plain = bare.contains('/') || known.contains(&bare);
            assert!(
                is_plain || !is_several,
                "{label:?} of {known:?} is none of them"
            );
        }
        PathMatch::File(path) => {
            assert!(
                !bare.contains('/') && known.contains(&path.as_str()),
                "{label:?}: {path:?}"
            );
            let others = known.iter().filter(|other| has_name(other));
            assert!(
                others.into_iter().all(|other| *other == path),
                "{label:?} is guessed"
            );
        }
        PathMatch::Several(paths) => {
            assert!(paths.len() > 1, "{label:?}: {paths:?}");
            let is_known = |path: &String| known.contains(&path.as_str()) && has_name(path);
            assert!(paths.iter().all(is_known), "{label:?}: {paths:?}");
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((kernel, path)) = input.split_first() else {
        return;
    };
    let path = String::from_utf8_lossy(path);
    resolve(&path);
    if check_relative(&path).is_ok() {
        assert!(!path.contains('\0'));
        for component in Path::new(path.as_ref()).components() {
            let Component::Normal(name) = component else {
                panic!("{component:?} in {path:?}");
            };
            let name = name.to_string_lossy().to_lowercase();
            let name = name.trim_end_matches(['.', ' ']);
            assert!(!matches!(name, ".git" | ".plandex" | "git~1"), "{path:?}");
        }
    }
    let kernel = match kernel % 2 {
        0 => Kernel::Current,
        _ => Kernel::Old,
    };
    JAIL.with_borrow_mut(|jail| {
        write_through(jail, &path, kernel);
        jail.check();
        jail.uses += 1;
        // Directories that were made pile up.
        if jail.uses == 2000 {
            *jail = Jail::new();
        }
    });
});
