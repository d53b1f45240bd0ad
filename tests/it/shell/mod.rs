//! What a shell and its user meet: completions, man pages, help.

mod completions;
mod help;
mod man;
