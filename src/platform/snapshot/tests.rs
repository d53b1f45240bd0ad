//! One version, nothing outside, nothing but files.

use super::*;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

fn tree() -> (TempDir, Tree, Cancel) {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir_all(dir.path().join("src/deep")).unwrap();
    File::create(dir.path().join("src/deep/a.txt"))
        .and_then(|mut file| io::Write::write_all(&mut file, b"alpha"))
        .unwrap();
    let tree = Tree::open(dir.path()).unwrap();
    (dir, tree, Cancel::new().unwrap())
}

#[test]
fn a_version_has_the_content_and_the_time_of_the_file() {
    let (dir, tree, cancel) = tree();
    let version = tree.read(Path::new("src/deep/a.txt"), 5, &cancel).unwrap();
    let meta = std::fs::metadata(dir.path().join("src/deep/a.txt")).unwrap();
    assert_eq!(version.bytes, b"alpha");
    assert_eq!(version.mtime_ns, mtime_ns(&meta));
}

#[test]
fn nothing_but_a_regular_file_is_opened_and_nothing_through_a_link() {
    let (dir, tree, cancel) = tree();
    let at = |name: &str| dir.path().join(name);
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), Mode::RWXU).unwrap();
    symlink("src/deep/a.txt", at("link")).unwrap();
    symlink("src/deep", at("linked")).unwrap();
    for (name, kind) in [
        ("pipe", FileKind::Fifo),
        ("link", FileKind::Symlink),
        ("src", FileKind::Directory),
    ] {
        let refused = tree.read(Path::new(name), 100, &cancel).unwrap_err();
        assert!(
            matches!(refused, Unread::NotAFile(found) if found == kind),
            "{name}"
        );
    }
    let through = tree.read(Path::new("linked/a.txt"), 100, &cancel);
    assert!(matches!(through, Err(Unread::Io(_))), "{through:?}");
    // A name that is free below a link is no new file's.
    let through = tree.read(Path::new("linked/new.txt"), 100, &cancel);
    let is_free = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    assert!(
        matches!(&through, Err(Unread::Io(error)) if !is_free(error)),
        "{through:?}"
    );
}

#[test]
fn with_and_without_openat2_the_same_paths_are_refused() {
    let (dir, tree, _cancel) = tree();
    symlink("src/deep", dir.path().join("linked")).unwrap();
    symlink("a.txt", dir.path().join("src/deep/link")).unwrap();
    for open in [open_beneath, open_by_components] {
        let opens = |path: &str| open(tree.root.as_fd(), Path::new(path), READ).is_ok();
        assert!(opens("src/deep/a.txt"));
        for path in [
            "linked/a.txt",
            "src/deep/link",
            "src/../../etc/passwd",
            "/etc/passwd",
            "..",
            "",
            "src/none",
        ] {
            assert!(!opens(path), "{path}");
        }
    }
}

#[test]
fn a_file_that_is_too_large_is_refused_by_its_size() {
    let (dir, tree, cancel) = tree();
    let sparse = File::create(dir.path().join("big")).unwrap();
    // Reading it would take minutes, and more memory than there is.
    sparse.set_len(1 << 42).unwrap();
    let refused = tree.read(Path::new("big"), 1 << 20, &cancel);
    assert!(matches!(refused, Err(Unread::TooLarge { bytes }) if bytes == 1 << 42));
}

#[test]
fn a_file_is_waited_for_until_a_write_in_the_same_tick_must_show() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let meta = file.as_file().metadata().unwrap();
    let changed = nanoseconds(meta.ctime(), meta.ctime_nsec());
    let pause = |later: i64| time_until_quiet(&meta, changed + later);
    assert_eq!(pause(0), Some(QUIET));
    assert_eq!(pause(49_000_000), Some(Duration::from_millis(1)));
    assert_eq!(pause(50_000_000), None);
    // The clock was set back by an hour after the file was written.
    assert_eq!(pause(-3_600_000_000_000), None);
}

#[test]
fn a_cancelled_operation_does_not_wait_for_a_quiet_file() {
    let (dir, tree, cancel) = tree();
    cancel.set(super::super::cancel::Reason::Interrupted);
    let path = dir.path().join("src/deep/a.txt");
    let is_refused = || {
        // Changed at this moment, so it is not quiet; unless this thread is held up here.
        let file = File::options().append(true).open(&path).unwrap();
        file.set_len(3).unwrap();
        let read = tree.read(Path::new("src/deep/a.txt"), 5, &cancel);
        matches!(read, Err(Unread::Cancelled))
    };
    assert!((0..100).any(|_| is_refused()));
}

/// The file stands still when the read begins and is overwritten while it goes on: only the
/// comparison afterwards can see that.
#[test]
fn a_write_that_begins_during_the_read_is_seen() {
    const BYTES: usize = 4 << 20;
    const ROUNDS: u32 = 40;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("file");
    let put = |letter: u8| {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        io::Write::write_all(&mut file.unwrap(), &vec![letter; BYTES]).unwrap();
    };
    put(b'z');
    let (tree, cancel) = (Tree::open(dir.path()).unwrap(), Cancel::new().unwrap());
    let read = || {
        let version = tree.read(Path::new("file"), BYTES as u64, &cancel);
        version.unwrap().bytes
    };
    let (go, started) = crossbeam_channel::bounded::<u32>(1);
    let (done, written) = crossbeam_channel::bounded(1);
    std::thread::scope(|scope| {
        // Owned here: if an assertion fails, the writer's loop ends.
        let (go, written) = (go, written);
        let writer = std::thread::Builder::new().name("writer".to_owned());
        writer
            .spawn_scoped(scope, move || {
                for round in started {
                    let begin = std::time::Instant::now();
                    while begin.elapsed() < Duration::from_micros(u64::from(round) * 50) {
                        std::hint::spin_loop();
                    }
                    put(b'a' + (round % 26) as u8);
                    done.send(()).unwrap();
                }
            })
            .unwrap();
        for round in 0..ROUNDS {
            // Waits until the last write lies back far enough, so that the next read starts at once.
            let old = read();
            go.send(round).unwrap();
            let bytes = read();
            let new = vec![b'a' + (round % 26) as u8; BYTES];
            assert!(bytes == old || bytes == new, "a mixture in round {round}");
            written.recv().unwrap();
        }
    });
}

#[test]
fn a_changed_file_with_its_old_size_and_time_is_another_version() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let before = file.as_file().metadata().unwrap();
    assert!(same_version(&before, &file.as_file().metadata().unwrap()));
    let times = std::fs::FileTimes::new().set_modified(before.modified().unwrap());
    let start = std::time::Instant::now();
    // Until the clock that change times are taken from has ticked.
    while same_version(&before, &file.as_file().metadata().unwrap()) {
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "the change is not seen"
        );
        file.as_file().set_times(times).unwrap();
    }
    let after = file.as_file().metadata().unwrap();
    assert_eq!((after.len(), mtime_ns(&after)), (0, mtime_ns(&before)));
}
