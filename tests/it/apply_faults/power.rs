//! The power goes in the middle of the real command, on real file systems that are shut down
//! without writing what was not synced: what was acknowledged is whole, the rest is all old or all
//! new, the database and the plans' repositories can be read.

use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::REPAIR;
use crate::crash_points::{check_goes_on, check_sound};
use crate::support::{Sandbox, needs, poll, skip};

/// Cuts on each file system; fifty and a bit on all together.
const CUTS: usize = 17;

/// XFS_IOC_GOINGDOWN, which ext4 knows by the same number, and its flag that keeps the log, too,
/// from being written.
const SHUT_DOWN: libc::Ioctl = 0x8004_587d;
static WITHOUT_LOG: u32 = 2;

/// A file system of its own in an image in memory, mounted over a sandbox's root.
struct Disk<'s> {
    sandbox: &'s Sandbox,
    image: PathBuf,
    options: &'static str,
}

impl<'s> Disk<'s> {
    /// `None` where that cannot be made or mounted.
    fn new(sandbox: &'s Sandbox, make: [&str; 2], options: &'static str) -> Option<Self> {
        let image = sandbox.place().join("image");
        // As little as xfs takes; what is never written takes no memory.
        std::fs::File::create(&image)
            .unwrap()
            .set_len(320 << 20)
            .unwrap();
        let disk = Self {
            sandbox,
            image,
            options,
        };
        let [program, flags] = make;
        let image = disk.image.to_str().unwrap();
        (disk.runs(program, &[flags, image]) && disk.attach()).then_some(disk)
    }

    fn runs(&self, program: &str, args: &[&str]) -> bool {
        let run = self.sandbox.program(program, args);
        run.cwd(self.sandbox.place()).finish().code == Some(0)
    }

    fn attach(&self) -> bool {
        let (image, root) = (self.image.to_str().unwrap(), self.root());
        self.runs("mount", &["-o", self.options, image, root])
    }

    fn root(&self) -> &str {
        self.sandbox.root().to_str().unwrap()
    }

    /// Cuts the power and gives it back.
    #[expect(unsafe_code, reason = "no crate has this call")]
    fn cut(&self) {
        let root = std::fs::File::open(self.sandbox.root()).unwrap();
        // SAFETY: the call reads four bytes that live as long as it takes.
        let done = unsafe { libc::ioctl(root.as_raw_fd(), SHUT_DOWN, &raw const WITHOUT_LOG) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        drop(root);
        // A child that another test just forked holds its files for a moment, and a mount namespace
        // that somebody made meanwhile holds the dead mount until it ends.
        let back = poll(Duration::from_secs(60), || {
            let is_gone = self.runs("umount", &[self.root()])
                || !self.runs("mountpoint", &["-q", self.root()]);
            (is_gone && self.attach() && self.runs("touch", &[self.root()])).then_some(())
        });
        assert!(back.is_some(), "the disk does not come back");
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        self.runs("umount", &["-l", self.root()]);
    }
}

const FILES: [&str; 3] = ["one.txt", "dir/two.txt", "dir/three.txt"];

/// Makes pending that the files get the texts of this round, and that one more is made.
fn plan(sandbox: &Sandbox, round: usize) -> Vec<(String, String)> {
    let mut wanted: Vec<(String, String)> = FILES
        .iter()
        .map(|path| ((*path).to_owned(), format!("of round {round} to {path}\n")))
        .collect();
    wanted.push((format!("made/{round}/new.txt"), "new\n".to_owned()));
    let blocks = wanted
        .iter()
        .map(|(path, text)| format!("```text path={path}\n{text}```\n\n"));
    sandbox.ok(&["tell", &blocks.collect::<String>()]);
    wanted
}

fn texts(root: &Path, wanted: &[(String, String)]) -> Vec<Option<String>> {
    let read = |(path, _): &(String, String)| std::fs::read_to_string(root.join(path)).ok();
    wanted.iter().map(read).collect()
}

/// How many points an apply of a round passes at which it can be killed.
fn points(sandbox: &Sandbox) -> usize {
    plan(sandbox, 0);
    let trace = sandbox.place().join("tmp/points");
    let apply = sandbox.plandex(["apply", "-y"]);
    apply.env("PLANDEX_CRASH_TRACE", &trace).finish().ok();
    std::fs::read_to_string(&trace).unwrap().lines().count()
}

/// `CUTS` cuts on one file system, each at another point of an apply, every fourth once it is over.
fn cut(make: [&str; 2], options: &'static str) {
    let sandbox = Sandbox::in_memory(Duration::from_secs(300));
    let Some(disk) = Disk::new(&sandbox, make, options) else {
        skip!("no such file system can be made and mounted here");
    };
    sandbox.ok(&["new"]);
    let points = points(&sandbox);
    let (mut acknowledged, mut new) = (0, 0);
    for round in 1..=CUTS {
        let wanted = plan(&sandbox, round);
        let before = texts(sandbox.root(), &wanted);
        let after: Vec<_> = wanted.iter().map(|(_, text)| Some(text.clone())).collect();
        let at = match round % 4 {
            0 => 0,
            _ => 1 + (round - 1) * points / CUTS,
        };
        let apply = sandbox.plandex(["apply", "-y"]);
        let outcome = apply.env("PLANDEX_CRASH_AT", at.to_string()).finish();
        let is_acknowledged = outcome.code == Some(0);
        assert!(is_acknowledged || outcome.signal == Some(9), "{outcome}");
        disk.cut();
        let what = format!("{options}, round {round}, cut at point {at} of {points}");
        check_sound(&sandbox, &what);
        sandbox.ok(REPAIR);
        let left = texts(sandbox.root(), &wanted);
        assert!(left == after || left == before, "{what}: half\n{left:?}");
        assert!(left == after || !is_acknowledged, "{what}: lost");
        acknowledged += usize::from(is_acknowledged);
        new += usize::from(left == after);
        // The rows say the same.
        let pending = sandbox.ok(&["status", "--json"]).json();
        let pending = pending["pending"].as_array().unwrap().len();
        assert_eq!(pending == 0, left == after, "{what}: {pending} pending");
        sandbox.ok(&["apply", "-y"]);
        assert_eq!(texts(sandbox.root(), &wanted), after, "{what}");
    }
    check_goes_on(&sandbox, options);
    println!(
        "{} -o {options}: {CUTS} cuts, {acknowledged} of acknowledged applies, {new} new after all",
        make[0]
    );
    assert!(acknowledged > 0 && new > acknowledged && new < CUTS);
    drop(disk);
}

#[test]
fn the_power_goes_on_ext4() {
    needs!("mkfs.ext4");
    cut(["mkfs.ext4", "-qF"], "loop,commit=300");
}

#[test]
fn the_power_goes_on_an_ext4_that_orders_nothing() {
    needs!("mkfs.ext4");
    let options = "loop,noauto_da_alloc,data=writeback,commit=300";
    cut(["mkfs.ext4", "-qF"], options);
}

#[test]
fn the_power_goes_on_xfs() {
    needs!("mkfs.xfs");
    cut(["mkfs.xfs", "-qf"], "loop");
}
