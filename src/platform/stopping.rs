//! Ends another thread's loop however a test leaves its scope.

use std::sync::atomic::{AtomicBool, Ordering};

/// Raises the flag when dropped: a test that fails beside a thread that works until it is told to
/// stop fails then, and does not wait for that thread for ever.
pub struct Stopping<'s>(pub &'s AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
