//! What the machine does to an apply: the power goes at every place of it, on a real ext4 that is
//! shut down without writing what was not synced; and system calls fail, once or for good.

use std::process::Command;
use std::time::Instant;

use super::site::{Ended, Side, Site, VARIANTS, check};
use super::*;

/// EXT4_IOC_SHUTDOWN without flushing the log: what the disk has at that moment is all there is.
const CUT: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], 0), 0x8004587d, struct.pack('I', 2))";

/// An ext4 in an image in memory.
struct Disk {
    image: PathBuf,
    mount: PathBuf,
    _dir: tempfile::TempDir,
}

impl Disk {
    /// `None`, said aloud, where this user may not mount or a tool is missing.
    fn new() -> Option<Self> {
        let dir = in_memory();
        let (image, mount) = (dir.path().join("image"), dir.path().join("mount"));
        std::fs::create_dir(&mount).unwrap();
        std::fs::File::create(&image)
            .unwrap()
            .set_len(64 << 20)
            .unwrap();
        let disk = Self {
            image,
            mount,
            _dir: dir,
        };
        let is_made = runs(Command::new("mkfs.ext4").arg("-qF").arg(&disk.image));
        if !is_made || !disk.attach() || !runs(Command::new("python3").args(["-c", "pass"])) {
            println!("skipped: no ext4 image can be made and mounted here");
            return None;
        }
        Some(disk)
    }

    fn attach(&self) -> bool {
        let options = "loop,noauto_da_alloc,data=writeback,commit=300";
        runs(
            Command::new("mount")
                .args(["-o", options])
                .arg(&self.image)
                .arg(&self.mount),
        )
    }

    /// Whether it is not mounted any more.
    fn detach(&self) -> bool {
        runs(Command::new("umount").arg(&self.mount))
            || !runs(Command::new("mountpoint").arg("-q").arg(&self.mount))
    }

    /// Cuts the power and gives it back.
    fn cut(&self) {
        let mut command = Command::new("python3");
        let cut = command.args(["-c", CUT]).arg(&self.mount).output().unwrap();
        assert!(cut.status.success(), "no power cut: {cut:?}");
        // A child that another test just forked holds its files for a moment, and a mount namespace
        // that somebody made meanwhile holds the dead mount until it ends.
        let patience = Instant::now() + Duration::from_secs(60);
        while !(self.detach() && self.attach() && runs(Command::new("touch").arg(&self.mount))) {
            assert!(Instant::now() < patience, "the disk does not come back");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.detach();
    }
}

fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

#[test]
fn the_power_goes_at_every_point_and_an_apply_is_all_or_nothing() {
    let Some(disk) = Disk::new() else { return };
    // With the state directory elsewhere no sync of the database's helps the project's directories.
    for variant in &VARIANTS {
        let mut sides = Vec::new();
        for kill_at in 1.. {
            let elsewhere = in_memory();
            let root = disk.mount.join("project");
            let state = if variant.two_mounts {
                elsewhere.path().join("state")
            } else {
                root.join(".plandex")
            };
            let site = Site::at(*variant, root.clone(), state);
            // What the user had is on the disk.
            assert!(runs(Command::new("sync").arg("-f").arg(&root)));
            let run = site.run("apply", Some(kill_at));
            disk.cut();
            let what = format!("{variant:?}, cut at {kill_at} ({})", run.passed.join(" "));
            sides.push(check(&site, None, &what));
            std::fs::remove_dir_all(&root).unwrap();
            if run.ended == Ended::Normally {
                break;
            }
        }
        // What was acknowledged is there.
        assert_eq!(sides.last(), Some(&Side::New), "{variant:?}");
        assert_eq!(sides.first(), Some(&Side::Old), "{variant:?}");
        println!("{variant:?}: {} cuts", sides.len());
    }
}

/// Every call of a kind fails once, or from then on for good: what was acknowledged is there, what
/// failed is all old or all new after the next turn, and nothing panics.
#[test]
fn system_calls_fail_and_an_apply_is_all_or_nothing() {
    if !runs(Command::new("strace").args(["-qq", "-o", "/dev/null", "true"])) {
        println!("skipped: no strace, or no right to trace");
        return;
    }
    for (calls, error) in [
        ("fsync,fdatasync,syncfs", "EIO"),
        ("renameat2", "EIO"),
        ("renameat2", "ENOSPC"),
        ("mkdirat", "ENOSPC"),
        ("unlinkat", "EIO"),
        ("utimensat", "EIO"),
        ("openat2", "EMFILE"),
        ("fchmod", "EIO"),
    ] {
        let (mut failures, mut successes) = (0, 0);
        for when in (1..).flat_map(|at: u32| [format!("{at}"), format!("{at}+")]) {
            let memory = in_memory();
            let root = memory.path().join("project");
            let site = Site::at(VARIANTS[0], root.clone(), root.join(".plandex"));
            let log = memory.path().join("log");
            let mut command = Command::new("strace");
            command
                .args(["-f", "-qq", "-e", &format!("trace={calls}"), "-o"])
                .arg(&log)
                .args(["-e", &format!("inject={calls}:error={error}:when={when}")])
                .arg(std::env::current_exe().unwrap());
            site.instruct(&mut command, "apply, whatever comes");
            let output = command.output().unwrap();
            let (said, cried) = (
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr),
            );
            let what = format!("{calls} gives {error} at {when}: {said}{cried}");
            // A ticket that cannot be taken ends the test's own part, never the product's.
            let panics = cried.lines().filter(|line| line.contains("panicked at"));
            assert!(
                panics
                    .into_iter()
                    .all(|line| line.contains("src/apply/tests")),
                "{what}"
            );
            let side = check(&site, None, &what);
            if said.contains("done: ") {
                assert_eq!(side, Side::New, "{what}");
                successes += 1;
            } else {
                failures += 1;
            }
            if !std::fs::read_to_string(&log)
                .unwrap()
                .contains("(INJECTED)")
            {
                break;
            }
        }
        println!("{calls} gives {error}: {failures} failed, {successes} done");
        assert!(successes > 0);
    }
}
