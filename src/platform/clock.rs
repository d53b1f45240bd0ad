//! Two clocks, never mixed: wall time for people, monotonic time for leases.
//!
//! Leases compare CLOCK_MONOTONIC stamps written by different processes. That is sound because
//! they share one kernel (the boot id and the time namespace are stored beside each stamp) and
//! because the clock stands still for all of them alike while the machine sleeps (HAZARDS.md H8,
//! H31).

use std::os::linux::fs::MetadataExt as _;
use std::sync::OnceLock;

/// Milliseconds of wall time since 1970-01-01 UTC; for people and for sorting, never for leases.
#[expect(clippy::disallowed_methods, reason = "the one owner of wall time")]
pub fn wall_ms() -> i64 {
    match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

/// The wall time as RFC 3339 in UTC with milliseconds: for the log.
pub fn stamp() -> String {
    let now = jiff::Timestamp::from_millisecond(wall_ms()).unwrap_or_default();
    now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Milliseconds of CLOCK_MONOTONIC: comparable between processes of one boot and time namespace.
pub fn monotonic_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// Where this process's monotonic clock counts from: stamps of another frame mean nothing here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The kernel's boot id; empty if unknown, which equals no other.
    pub boot_id: String,
    /// The inode of the time namespace; 0 if the kernel has none.
    pub time_ns: i64,
}

impl Frame {
    /// The frame of this process.
    pub fn here() -> &'static Self {
        static HERE: OnceLock<Frame> = OnceLock::new();
        HERE.get_or_init(|| Self {
            boot_id: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .map(|text| text.trim().to_owned())
                .unwrap_or_default(),
            time_ns: namespace("time"),
        })
    }
}

/// The inode of this process's namespace of `kind` ("time", "pid", "net"); 0 if there is none.
pub fn namespace(kind: &str) -> i64 {
    std::fs::metadata(format!("/proc/self/ns/{kind}"))
        .map_or(0, |meta| i64::try_from(meta.st_ino()).unwrap_or(0))
}
