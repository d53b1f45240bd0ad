//! The machine that the figures are of.

use serde_json::{Value, json};

/// What it is and how busy it was before.
pub(crate) fn look() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let temporary = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let fs_type = plandex::platform::fs_type::of(temporary);
    json!({
        "processors": processors,
        "model": field(&read("/proc/cpuinfo"), "model name"),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "fileSystem": fs_type.map_or_else(|error| error.to_string(), |fs| format!("{fs:?}")),
        "loadBefore": read("/proc/loadavg").split(' ').next().unwrap_or_default(),
    })
}
