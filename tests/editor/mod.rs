//! Somebody else who edits the files of a project all the time, and knows what became of every
//! text: the hash oracle of the tests of `apply`, in this process and in another. And somebody who
//! swaps directories for links.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How the editor writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Another file, renamed over.
    Replace,
    /// Truncated and written.
    InPlace,
    /// Appended to what is there.
    Append,
    /// Removed, and made anew.
    Anew,
}

const WAYS: [Way; 4] = [Way::Replace, Way::InPlace, Way::Append, Way::Anew];

/// One file with what the editor wrote to it and did not itself replace since.
#[derive(Debug)]
struct Edited {
    path: PathBuf,
    texts: Vec<String>,
}

struct Desk {
    files: Vec<Edited>,
    is_open: bool,
    writes: usize,
    too_late: usize,
    random: u64,
}

/// An editor of some files. It writes while [`Editor::while_open`] runs, and never else.
pub(super) struct Editor {
    desk: Mutex<Desk>,
    opened: Condvar,
    is_closed: AtomicBool,
    /// The longest pause between two writes.
    pause: Duration,
}

impl Editor {
    pub(super) fn of(paths: impl IntoIterator<Item = PathBuf>, pause: Duration) -> Self {
        let files = paths.into_iter().map(|path| Edited {
            path,
            texts: Vec::new(),
        });
        Self {
            desk: Mutex::new(Desk {
                files: files.collect(),
                is_open: false,
                writes: 0,
                too_late: 0,
                random: 88_172_645_463_325_252,
            }),
            opened: Condvar::new(),
            is_closed: AtomicBool::new(false),
            pause,
        }
    }

    /// Writes until [`Editor::close`]; for a thread of its own.
    pub(super) fn work(&self) {
        while !self.is_closed.load(Ordering::SeqCst) {
            let mut desk = self.desk.lock();
            if !desk.is_open {
                self.opened.wait_for(&mut desk, Duration::from_millis(10));
                continue;
            }
            desk.write();
            let part = desk.random() % 1000;
            drop(desk);
            spin(u64::try_from(self.pause.as_nanos()).unwrap() * part / 1000);
        }
    }

    /// Runs `work` while the editor writes; none of its writes is half done before or after.
    pub(super) fn while_open<T>(&self, work: impl FnOnce() -> T) -> T {
        self.desk.lock().is_open = true;
        self.opened.notify_all();
        let result = work();
        self.desk.lock().is_open = false;
        result
    }

    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }

    /// How often it wrote so far.
    pub(super) fn writes(&self) -> usize {
        self.desk.lock().writes
    }

    /// How often what it had open had lost its last name before it wrote to it: a file that it
    /// opened while it was in place, and that was gone a moment later.
    pub(super) fn too_late(&self) -> usize {
        self.desk.lock().too_late
    }

    /// Every text that is in none of the files `kept`, nor in the project; and begins anew.
    pub(super) fn lost(&self, kept: &[PathBuf]) -> Vec<String> {
        let mut desk = self.desk.lock();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let mut lost = Vec::new();
        let mut all: Option<String> = None;
        for file in &mut desk.files {
            let here = read(&file.path);
            for text in file.texts.drain(..) {
                if here.contains(&text) {
                    continue;
                }
                let all = all.get_or_insert_with(|| kept.iter().map(|path| read(path)).collect());
                if !all.contains(&text) {
                    lost.push(text);
                }
            }
        }
        lost
    }
}

/// Does this when it is dropped, also by a failing test: a thread that works for ever is told so.
pub(super) struct AtEnd<F: Fn()>(pub(super) F);

impl<F: Fn()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        self.0();
    }
}

impl Desk {
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn write(&mut self) {
        let which = usize::try_from(self.random() >> 8).unwrap() % self.files.len();
        let way = WAYS[usize::try_from(self.random() >> 8).unwrap() % WAYS.len()];
        self.writes += 1;
        let text = format!("text {} of the user's, {way:?}\n", self.writes);
        let file = &mut self.files[which];
        if put(&file.path, way, &text) == Some(0) {
            self.too_late += 1;
            return;
        }
        if way != Way::Append {
            file.texts.clear();
        }
        file.texts.push(text);
    }
}

/// Writes `text`, and tells how many names the file has that it went to.
#[expect(clippy::disallowed_methods, reason = "the user's own writing")]
fn put(path: &Path, way: Way, text: &str) -> Option<u64> {
    let dir = path.parent().unwrap();
    std::fs::create_dir_all(dir).unwrap();
    let options = match way {
        Way::Replace => {
            let beside = dir.join("editor.tmp");
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(&beside, path).unwrap();
            return None;
        }
        Way::Anew => {
            std::fs::remove_file(path).ok();
            File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .clone()
        }
        Way::InPlace => File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .clone(),
        Way::Append => File::options().append(true).create(true).clone(),
    };
    let mut file = options.open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Some(file.metadata().unwrap().nlink())
}

/// Spun, not slept: a busy machine gives a thread that yields nothing for a long time.
pub(super) fn spin(nanoseconds: u64) {
    let begun = Instant::now();
    while begun.elapsed().as_nanos() < u128::from(nanoseconds) {
        std::hint::spin_loop();
    }
}

/// Moves the directory `dir` to `away` and puts a link to `outside` in its place, and back again.
/// `pause` takes per cents of what an apply takes: on any machine some applies find the directory
/// in its place from beginning to end, and some do not.
#[expect(clippy::disallowed_methods, reason = "the user's own renames")]
pub(super) fn swap_for_link(
    dir: &Path,
    away: &Path,
    outside: &Path,
    round: u64,
    pause: impl Fn(u64),
) {
    pause(round * 7919 % 400);
    std::fs::rename(dir, away).unwrap();
    // An apply may make a directory of that name while there is none: then the link waits.
    if std::os::unix::fs::symlink(outside, dir).is_ok() {
        pause(round * 7919 % 10);
        std::fs::remove_file(dir).unwrap();
    }
    while std::fs::rename(away, dir).is_err() {
        // What was made there meanwhile is what the apply undoes, or has done: it goes along.
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            drop(std::fs::rename(entry.path(), away.join(entry.file_name())));
        }
        drop(std::fs::remove_dir(dir));
    }
}
