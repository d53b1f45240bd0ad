//! Panics that stay where they happened: one operation's, one line's of a batch.
//!
//! A panic that is contained prints nothing (whoever contained it reports it) and brings its place
//! and backtrace along, which are only to be had while it unwinds. All others are printed as ever.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::sync::Once;

thread_local! {
    static CONTAINED: Cell<u32> = const { Cell::new(0) };
    static LAST: RefCell<Option<(String, Backtrace)>> = const { RefCell::new(None) };
}

/// A panic, after the fact.
#[derive(Debug, thiserror::Error)]
#[error("the operation panicked at {place}: {message}")]
pub struct Panicked {
    /// What it said.
    pub message: String,
    /// The file and line, or "an unknown place".
    pub place: String,
    /// The frames, innermost first, a line each; empty if they are not known.
    pub backtrace: String,
}

/// Runs `work`; a panic in it becomes the error.
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    install_hook();
    CONTAINED.set(CONTAINED.get() + 1);
    // What the closure had in hand is dropped with it; what others share is behind mutexes that
    // do not poison, each changed in one step.
    let result = std::panic::catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(CONTAINED.get() - 1);
    result.map_err(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        let (place, backtrace) = LAST
            .take()
            .map(|(place, trace)| (place, trace.to_string()))
            .unwrap_or_else(|| ("an unknown place".to_owned(), String::new()));
        Panicked {
            message,
            place,
            backtrace,
        }
    })
}

fn install_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if CONTAINED.get() == 0 {
                return others(info);
            }
            let place = info.location().map_or_else(
                || "an unknown place".to_owned(),
                |place| format!("{}:{}", place.file(), place.line()),
            );
            LAST.set(Some((place, Backtrace::force_capture())));
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contained_panic_brings_its_place_and_its_frames() {
        let panicked = contain::<()>(|| panic!("number {}", 7)).unwrap_err();
        assert_eq!(panicked.message, "number 7");
        assert!(panicked.place.contains("panic.rs:"), "{}", panicked.place);
        assert!(
            panicked.backtrace.contains("a_contained_panic"),
            "{}",
            panicked.backtrace
        );
    }

    #[test]
    fn what_does_not_panic_is_passed_on_and_panics_may_be_nested() {
        assert_eq!(contain(|| 7).unwrap(), 7);
        let inner = contain(|| contain::<()>(|| panic!("inside")).unwrap_err()).unwrap();
        assert_eq!(inner.message, "inside");
        let outer = contain::<()>(|| panic!("outside")).unwrap_err();
        assert_eq!(outer.message, "outside");
    }
}
