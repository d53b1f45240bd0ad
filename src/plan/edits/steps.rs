//! Counts the work of reading and building, for tests of how it grows: a clock would tell of the
//! machine.

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Notes that so many bytes of a reply, or lines of a file, were looked at or moved.
#[cfg(test)]
pub(in crate::plan) fn steps(count: usize) {
    STEPS.set(STEPS.get() + count);
}

#[cfg(not(test))]
pub(in crate::plan) const fn steps(_: usize) {}

/// The steps that `work` takes in this thread.
#[cfg(test)]
pub(in crate::plan) fn steps_of(work: impl FnOnce()) -> usize {
    let before = STEPS.get();
    work();
    STEPS.get() - before
}
