//! Long results: patches, and the program that shows a screen of them at a time.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Colour, Printing, Ui, render};

/// What is printed, kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a shell says of a program that there is not, or that cannot be run.
const NO_PROGRAM: [Option<i32>; 2] = [Some(126), Some(127)];

impl Ui {
    /// Whether results go to a terminal, where a pager may show them.
    pub fn can_page(&self) -> bool {
        self.can_redraw()
    }

    /// Prints by way of the command line `pager`. One that there is not leaves things as they are
    /// without; one that is left before the end has shown what was wanted.
    pub fn paged(&self, pager: &str, print: impl FnOnce(&Self)) {
        let kept = Kept::default();
        let printing = Printing {
            json: false,
            quiet: self.is_quiet(),
        };
        print(&self.beside(kept.clone(), io::stderr(), printing));
        let text = std::mem::take(&mut *kept.0.lock());
        if text.is_empty() || !show(pager, &text) {
            self.pass_on(&text, &[]);
        }
    }

    /// Prints a patch on stdout for people: coloured line by line if there is colour, and with every
    /// character escaped that could command a terminal, wherever it goes (HAZARDS.md H17).
    pub fn diff(&self, patch: &[u8]) {
        match self.0.stdout_colour {
            Colour::Off => self.raw(patch),
            Colour::On => {
                let lines = render::diff(&String::from_utf8_lossy(patch));
                let shown: Vec<String> = lines.iter().map(|line| line.shown(Colour::On)).collect();
                let end = if lines.is_empty() { "" } else { "\n" };
                self.data_shown(&format!("{}{end}", shown.join("\n")));
            }
        }
    }

    /// Prints a patch on stdout without colour: to the byte, but for a terminal.
    pub fn patch(&self, patch: &[u8]) {
        match self.0.stdout_columns {
            None if !self.0.json => self.pass_on(patch, &[]),
            _ => self.raw(patch),
        }
    }
}

/// Whether the program took the text.
fn show(pager: &str, text: &[u8]) -> bool {
    // As git has it: colours as they are, and no screen for what fits on one.
    let line = format!("LESS=${{LESS-FRX}} LV=${{LV--c}}; export LESS LV; {pager}");
    let child = Command::new("/bin/sh")
        .args(["-c", &line])
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else { return false };
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever has seen enough closes it.
        drop(stdin.write_all(text));
    }
    child
        .wait()
        .is_ok_and(|status| !NO_PROGRAM.contains(&status.code()))
}
