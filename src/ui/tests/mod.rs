//! The sink over streams that a test holds.

mod asking;
mod live;
mod printing;

use std::io::{PipeWriter, pipe};

use parking_lot::Mutex;

use super::*;

/// A stream whose text a test can read back.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, given: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(given);
        Ok(given.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a command is run in: a good terminal, unless a test says otherwise.
struct Scene {
    environment: Environment,
    colour: ColourChoice,
    json: bool,
    quiet: bool,
    cancel: Option<Cancel>,
    columns: Columns,
    stdin_is_terminal: bool,
}

struct Played {
    ui: Ui,
    stdout: Page,
    stderr: Page,
    typist: PipeWriter,
}

impl Scene {
    fn terminal() -> Self {
        Self {
            environment: Environment {
                term: Some("xterm".to_owned()),
                lang: Some("C.UTF-8".to_owned()),
                ..Environment::default()
            },
            colour: ColourChoice::Never,
            json: false,
            quiet: false,
            cancel: None,
            columns: Some(|| 40),
            stdin_is_terminal: true,
        }
    }

    fn pipes() -> Self {
        Self {
            columns: None,
            stdin_is_terminal: false,
            ..Self::terminal()
        }
    }

    /// stdout and stderr apart.
    fn play(&self) -> Played {
        self.play_on(Page::default(), Page::default())
    }

    /// stdout and stderr on the same page, as on a terminal.
    fn play_on_one(&self) -> Played {
        let page = Page::default();
        self.play_on(page.clone(), page)
    }

    fn play_on(&self, stdout: Page, stderr: Page) -> Played {
        let (ui, typist) = self.ui(Box::new(stdout.clone()), Box::new(stderr.clone()));
        Played {
            ui,
            stdout,
            stderr,
            typist,
        }
    }

    fn ui(&self, stdout: Box<dyn Write + Send>, stderr: Box<dyn Write + Send>) -> (Ui, PipeWriter) {
        let (reader, typist) = pipe().unwrap();
        let streams = Streams {
            stdin: Box::new(reader),
            stdin_is_terminal: self.stdin_is_terminal,
            stdout,
            stdout_columns: self.columns,
            stderr,
            stderr_columns: self.columns,
        };
        let settings = UiSettings {
            environment: &self.environment,
            colour: self.colour,
            json: self.json,
            quiet: self.quiet,
            cancel: self.cancel.clone(),
        };
        (Ui::over(streams, &settings), typist)
    }
}

impl Played {
    fn type_in(&mut self, text: &str) {
        self.typist.write_all(text.as_bytes()).unwrap();
    }

    /// What a person sees on stderr, a terminal of 40 columns.
    fn seen(&self) -> Vec<String> {
        screen_of(&self.stderr.text())
    }
}

/// The lines that a terminal of 40 columns shows after `output`; trailing blanks are left out.
///
/// Knows the sequences that we write and no other.
fn screen_of(output: &str) -> Vec<String> {
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0, 0);
    let mut rest = output;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\n' => (row, column) = (row + 1, 0),
            '\r' => column = 0,
            '\x1b' => {
                let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                let (sequence, after) = rest.split_at(end + 1);
                let count = sequence[1..end].parse().unwrap_or(0);
                match &sequence[end..] {
                    "A" => row -= count,
                    "B" => row += count,
                    "K" => lines[row].clear(),
                    "m" => {}
                    _ => panic!("a sequence that is not ours: {sequence:?}"),
                }
                rest = after;
            }
            c => {
                if column == 40 {
                    (row, column) = (row + 1, 0);
                }
                lines.resize(lines.len().max(row + 1), Vec::new());
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = c;
                column += 1;
            }
        }
        lines.resize(lines.len().max(row + 1), Vec::new());
    }
    let lines = lines.iter().map(|line| line.iter().collect::<String>());
    let mut lines: Vec<String> = lines.map(|line| line.trim_end().to_owned()).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}
