//! When a log hears of a wait.
