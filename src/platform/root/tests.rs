use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};

use super::*;
use crate::platform::stopping::Stopping;

const KERNELS: [Kernel; 2] = [Kernel::Current, Kernel::Old];

#[expect(clippy::disallowed_methods, reason = "a test's own files")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

fn words<T>(descent: io::Result<Descent<T>>) -> String {
    match descent {
        Ok(Descent::Open(_)) => "open".to_owned(),
        Ok(Descent::Missing) => "missing".to_owned(),
        Ok(Descent::Refused(why)) => why,
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn both_ways_of_resolving_say_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("root");
    std::fs::create_dir_all(base.join("a/b")).unwrap();
    std::fs::create_dir(dir.path().join("outside")).unwrap();
    write(&base.join("a/file"), "x");
    symlink("a", base.join("inner")).unwrap();
    symlink("../outside", base.join("outer")).unwrap();
    symlink(dir.path().join("outside"), base.join("a/absolute")).unwrap();
    symlink("/proc/self/cwd", base.join("magic")).unwrap();
    symlink("loop", base.join("loop")).unwrap();
    symlink("nowhere", base.join("dangling")).unwrap();
    for kernel in KERNELS {
        let root = Root::open(&base, kernel).unwrap();
        for (path, expected) in [
            ("f", "open"),
            ("a/b/f", "open"),
            ("a/b/c/f", "missing"),
            ("x/y/z", "missing"),
            ("a/file/f", "\"a/file\" is not a directory"),
            ("inner/b/f", "\"inner\" is a symbolic link"),
            ("outer/f", "\"outer\" is a symbolic link"),
            ("a/absolute/f", "\"a/absolute\" is a symbolic link"),
            ("magic/f", "\"magic\" is a symbolic link"),
            ("loop/f", "\"loop\" is a symbolic link"),
            ("dangling/f", "\"dangling\" is a symbolic link"),
            (
                "../outside/f",
                "the path has a `.`, `..` or empty component",
            ),
            ("/etc/f", "the path is not relative to the project"),
        ] {
            assert_eq!(words(root.spot(path)), expected, "{kernel:?}: {path}");
        }
        assert_eq!(root.existing_parents("a/b/c/d/f").unwrap(), 2, "{kernel:?}");
        assert_eq!(root.existing_parents("f").unwrap(), 0, "{kernel:?}");
        assert_eq!(root.existing_parents("inner/b/f").unwrap(), 0, "{kernel:?}");
    }
}

#[test]
fn missing_directories_are_made_but_never_through_a_link() {
    for kernel in KERNELS {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("link")).unwrap();
        let root = Root::open(dir.path(), kernel).unwrap();
        assert_eq!(words(root.spot_making_parents("a/b/c/f")), "open");
        assert!(dir.path().join("a/b/c").is_dir());
        let refused = words(root.spot_making_parents("link/b/f"));
        assert_eq!(refused, "\"link\" is a symbolic link");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_directory_held_open_is_the_one_that_was_checked() {
    for kernel in KERNELS {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        let root = Root::open(dir.path(), kernel).unwrap();
        let Descent::Open(spot) = root.spot("a/f").unwrap() else {
            panic!("a is there")
        };
        assert!(root.leads_to("a", spot.dir()).unwrap());
        #[expect(clippy::disallowed_methods, reason = "somebody else's rename")]
        std::fs::rename(dir.path().join("a"), dir.path().join("away")).unwrap();
        symlink(outside.path(), dir.path().join("a")).unwrap();
        drop(spot.create(0o644).unwrap());
        assert!(dir.path().join("away/f").is_file());
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
        assert!(!root.leads_to("a", spot.dir()).unwrap());
    }
}

#[test]
fn a_directory_swapped_for_a_link_all_the_time_leads_nowhere() {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    for kernel in KERNELS {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let (real, away) = (dir.path().join("a"), dir.path().join("away"));
        std::fs::create_dir_all(real.join("b")).unwrap();
        std::fs::create_dir(outside.path().join("b")).unwrap();
        write(&outside.path().join("b/f"), "canary");
        let root = Root::open(dir.path(), kernel).unwrap();
        let (stop, tries) = (AtomicBool::new(false), AtomicU64::new(0));
        let (mut opened, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            let _stopping = Stopping(&stop);
            scope.spawn(|| {
                #[expect(clippy::disallowed_methods, reason = "somebody else's renames")]
                while !stop.load(Ordering::SeqCst) {
                    std::fs::rename(&real, &away).unwrap();
                    symlink(outside.path(), &real).unwrap();
                    std::fs::remove_file(&real).unwrap();
                    std::fs::rename(&away, &real).unwrap();
                    // One whole attempt finds it in its place now and then.
                    let seen = tries.load(Ordering::SeqCst);
                    while seen % 3 == 0
                        && tries.load(Ordering::SeqCst) < seen + 2
                        && !stop.load(Ordering::SeqCst)
                    {
                        std::hint::spin_loop();
                    }
                }
            });
            while opened < 3000 || refused < 100 {
                tries.fetch_add(1, Ordering::SeqCst);
                match root.spot("a/b/f").unwrap() {
                    Descent::Open(spot) => {
                        drop(spot.create(0o600).unwrap());
                        spot.rename_new(&spot.with_suffix(".new")).unwrap();
                        spot.with_suffix(".new").remove().unwrap();
                        opened += 1;
                    }
                    Descent::Missing | Descent::Refused(_) => refused += 1,
                }
            }
        });
        assert_eq!(
            std::fs::read_to_string(outside.path().join("b/f")).unwrap(),
            "canary"
        );
        assert_eq!(
            std::fs::read_dir(outside.path().join("b")).unwrap().count(),
            1
        );
        println!("{kernel:?}: {opened} opened, {refused} refused");
    }
}

#[test]
fn moves_never_replace_what_they_are_not_told_to() {
    for kernel in KERNELS {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let opened = Arc::new(Dir::open(dir.path(), kernel).unwrap());
        write(&path("one"), "1");
        write(&path("two"), "2");
        let (one, two, free) = (opened.spot("one"), opened.spot("two"), opened.spot("free"));
        let refused = one.rename_new(&two).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists, "{kernel:?}");
        assert_eq!(std::fs::read_to_string(path("two")).unwrap(), "2");
        assert_eq!(one.exchange(&free).is_err(), kernel == Kernel::Current);
        match one.exchange(&two).unwrap() {
            Exchange::Done => assert_eq!(std::fs::read_to_string(path("two")).unwrap(), "1"),
            Exchange::Unknown => assert_eq!(kernel, Kernel::Old),
        }
        one.rename_new(&free).unwrap();
        assert_eq!(one.look().unwrap(), Entry::Absent);
        let Entry::File(stamp) = free.look().unwrap() else {
            panic!("a file")
        };
        assert_eq!(stamp.links, 1, "{kernel:?}");
        // A directory too, which has no second name.
        std::fs::create_dir(path("d")).unwrap();
        opened.spot("d").rename_new(&opened.spot("e")).unwrap();
        assert!(path("e").is_dir() && !path("d").exists());
        let refused = opened.spot("e").rename_new(&two).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists, "{kernel:?}");
    }
}

#[test]
fn only_regular_files_are_opened_and_nothing_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success() && std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
    symlink("file", dir.path().join("link")).unwrap();
    write(&dir.path().join("file"), "x");
    let opened = Arc::new(Dir::open(dir.path(), Kernel::Current).unwrap());
    for (name, entry) in [
        ("pipe", Entry::Special),
        ("link", Entry::Symlink),
        ("nothing", Entry::Absent),
    ] {
        let spot = opened.spot(name);
        // Also if it took the place of a file between the look and the opening.
        for got in [spot.open().unwrap(), spot.open_seen().unwrap()] {
            assert!(
                matches!(&got, Opened::Other(other) if *other == entry),
                "{name}: {got:?}"
            );
        }
    }
    assert!(matches!(
        opened.spot("file").open().unwrap(),
        Opened::File(..)
    ));
    let link = opened.spot("link").create(0o644).unwrap_err();
    assert_eq!(link.kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn attributes_follow_a_file_but_for_those_that_give_power() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    write(&from, "x");
    write(&to, "y");
    let set = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&from, set(0o6751)).unwrap();
    let opened = |path: &Path| {
        std::fs::File::options()
            .read(true)
            .write(true)
            .open(path)
            .unwrap()
    };
    copy_attributes(&opened(&from), &opened(&to)).unwrap();
    assert_eq!(std::fs::metadata(&to).unwrap().mode() & 0o7777, 0o751);
    if crate::platform::process::effective_user() == 0 {
        std::os::unix::fs::chown(&from, Some(12), Some(34)).unwrap();
        copy_attributes(&opened(&from), &opened(&to)).unwrap();
        let meta = std::fs::metadata(&to).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (12, 34));
        std::os::unix::fs::chown(dir.path(), None, Some(56)).unwrap();
        std::fs::set_permissions(dir.path(), set(0o2755)).unwrap();
        inherit_group(
            &Dir::open(dir.path(), Kernel::Current).unwrap(),
            &opened(&to),
        )
        .unwrap();
        assert_eq!(std::fs::metadata(&to).unwrap().gid(), 56);
    } else {
        println!("skipped: only root can give files away");
    }
}
