//! Staleness: what a look settles, what a read settles, and what cannot be told.

use std::fs::FileTimes;
use std::time::{Duration, UNIX_EPOCH};

use super::*;

/// Long before any load in these tests.
const OLD_MS: u64 = 1_600_000_000_000;

struct Item {
    item: Loaded,
    loaded_at_ms: i64,
}

impl Item {
    fn freshness(&self, project: &Project) -> Freshness {
        let entry = entry_of(&self.item, self.loaded_at_ms);
        let fresh = freshness(&project.source(), &[entry]).unwrap();
        fresh[0].clone().unwrap()
    }
}

fn set_mtime(project: &Project, path: &str, ms: u64) {
    let time = UNIX_EPOCH + Duration::from_millis(ms);
    let file = File::options().write(true).open(project.at(path)).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

/// A file last written `age_ms` before it was loaded.
fn loaded(age_ms: i64) -> (Project, Item) {
    let project = Project::with(&["src/a.rs"]);
    set_mtime(&project, "src/a.rs", OLD_MS);
    let mut gathered = project.gather(&["src/a.rs"], &plain()).unwrap();
    let item = Item {
        item: gathered.loaded.remove(0),
        loaded_at_ms: OLD_MS as i64 + age_ms,
    };
    (project, item)
}

#[test]
fn an_untouched_file_is_fresh() {
    for age_ms in [0, 1_000, 3_600_000] {
        let (project, item) = loaded(age_ms);
        assert_eq!(item.freshness(&project), Freshness::Fresh);
    }
}

#[test]
fn another_time_with_the_same_content_is_fresh_and_another_content_is_not() {
    let (project, item) = loaded(3_600_000);
    set_mtime(&project, "src/a.rs", OLD_MS + 5_000);
    assert_eq!(item.freshness(&project), Freshness::Fresh);
    project.put("src/a.rs", "THIS is src/a.rs\n");
    assert_eq!(item.freshness(&project), Freshness::Changed);
    project.put("src/a.rs", "longer than it was before");
    assert_eq!(item.freshness(&project), Freshness::Changed);
}

#[test]
fn a_time_close_before_the_load_is_not_trusted() {
    for (age_ms, seen) in [
        (0, Freshness::Changed),
        (1_999, Freshness::Changed),
        // The clock was set back between the write and the load.
        (-3_600_000, Freshness::Changed),
        // Here a look is enough, and it cannot see this.
        (2_001, Freshness::Fresh),
    ] {
        let (project, item) = loaded(age_ms);
        // Same size, same time, other content: as a write in the same tick leaves it.
        project.put("src/a.rs", "THIS is src/a.rs\n");
        set_mtime(&project, "src/a.rs", OLD_MS);
        assert_eq!(item.freshness(&project), seen, "{age_ms}");
    }
}

#[test]
fn a_file_that_is_gone_or_something_else_is_missing() {
    let (project, item) = loaded(3_600_000);
    let path = project.at("src/a.rs");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(item.freshness(&project), Freshness::Missing);
    std::fs::create_dir(&path).unwrap();
    assert_eq!(item.freshness(&project), Freshness::Missing);
    std::fs::remove_dir_all(project.at("src")).unwrap();
    assert_eq!(item.freshness(&project), Freshness::Missing);
    project.put("src", "a file where the directory was");
    assert_eq!(item.freshness(&project), Freshness::Missing);
}
