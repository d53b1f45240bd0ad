//! Random edits of whole files, and files in which comments stand for what stays: the result is
//! what was meant, or a refusal. Never another file.

use proptest::prelude::*;

use super::build::{edit, replace, whole};
use crate::plan::edits::{Edit, EditBody, Format, build_file};

/// Statements, of which most stand in several functions.
const STATEMENTS: [&str; 7] = [
    "    run();",
    "    let x = 1;",
    "    if x {\n        run();\n    }",
    "    // plain words",
    "    stop();",
    "",
    "    let total_count = run(x);",
];

const NAMES: [&str; 5] = ["one", "two", "three", "four", "five"];

/// What becomes of a function.
#[derive(Debug, Clone)]
enum Fate {
    Kept,
    Changed(Vec<usize>),
    Removed,
}

/// How it is shown if its body changes.
#[derive(Debug, Clone, Copy)]
enum Shown {
    Whole,
    /// From the last statement before the change to the first behind it.
    Inside,
}

#[derive(Debug, Clone)]
struct Function {
    name: usize,
    body: Vec<usize>,
    fate: Fate,
    shown: Shown,
}

fn lines_of(name: usize, body: &[usize]) -> Vec<String> {
    let mut lines = vec![format!("fn {}() {{", NAMES[name])];
    for statement in body {
        lines.extend(STATEMENTS[*statement].split('\n').map(str::to_owned));
    }
    lines.push("}".to_owned());
    lines
}

impl Function {
    fn before(&self) -> Vec<String> {
        lines_of(self.name, &self.body)
    }

    fn after(&self) -> Option<Vec<String>> {
        match &self.fate {
            Fate::Kept => Some(self.before()),
            Fate::Changed(body) => Some(lines_of(self.name, body)),
            Fate::Removed => None,
        }
    }

    /// The lines that are written of it, and whether lines of it are left out at both ends.
    fn written(&self) -> (Vec<String>, bool) {
        let (before, after) = (self.before(), self.after().unwrap_or_default());
        if let (Fate::Changed(_), Shown::Inside) = (&self.fate, self.shown) {
            let same = before.iter().zip(&after).take_while(|(a, b)| a == b);
            let head = same.count();
            let (old, new) = (before[head..].iter().rev(), after[head..].iter().rev());
            let tail = old.zip(new).take_while(|(a, b)| a == b).count();
            if head > 1 && tail > 1 {
                let part = &after[head - 1..=after.len() - tail];
                // A blank line at an end says nothing of where that is.
                let says = |line: &String| !line.trim().is_empty();
                if says(&part[0]) && says(&part[part.len() - 1]) {
                    return (part.to_vec(), true);
                }
            }
        }
        (after, false)
    }
}

fn any_body() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..STATEMENTS.len(), 0..5)
}

fn any_function() -> impl Strategy<Value = Function> {
    let fate = prop_oneof![
        3 => Just(Fate::Kept),
        2 => any_body().prop_map(Fate::Changed),
        1 => Just(Fate::Removed),
    ];
    let shown = prop_oneof![Just(Shown::Whole), Just(Shown::Inside)];
    (0..NAMES.len(), any_body(), fate, shown).prop_map(|(name, body, fate, shown)| Function {
        name,
        body,
        fate,
        shown,
    })
}

const KEPT: &str = "// ... existing code ...";
const REMOVED: &str = "// Plandex: removed code";

/// The functions as a model writes them; nothing if that cannot be said.
fn content(functions: &[Function]) -> Option<String> {
    let is_removed = |at: Option<usize>| {
        let function = at.and_then(|at| functions.get(at));
        function.is_some_and(|function| matches!(function.fate, Fate::Removed))
    };
    let mut lines: Vec<String> = Vec::new();
    for (at, function) in functions.iter().enumerate() {
        let is_beside = is_removed(at.checked_sub(1)) || is_removed(Some(at + 1));
        let (text, reference) = match (&function.fate, is_beside) {
            (Fate::Kept, false) => (Vec::new(), Some(KEPT)),
            (Fate::Removed, _) => (Vec::new(), Some(REMOVED)),
            (Fate::Kept | Fate::Changed(_), _) => (function.written().0, None),
        };
        let is_cut = reference.is_none() && function.written().1;
        if is_cut && is_beside {
            return None;
        }
        if let Some(reference) = reference {
            if lines.last().is_none_or(|last| last != reference) {
                if !lines.is_empty() && lines.last().is_some_and(|last| last != KEPT) {
                    lines.push(String::new());
                }
                lines.push(reference.to_owned());
            }
            continue;
        }
        match lines.last().map(String::as_str) {
            Some(KEPT) if is_cut => {}
            _ if is_cut => lines.push(KEPT.to_owned()),
            Some(_) => lines.push(String::new()),
            None => {}
        }
        lines.extend(text);
        if is_cut {
            lines.push(KEPT.to_owned());
        }
    }
    let has_reference = lines.iter().any(|line| line == KEPT || line == REMOVED);
    has_reference.then(|| lines.iter().map(|line| format!("{line}\n")).collect())
}

/// Functions with a blank line between two.
fn file(functions: impl Iterator<Item = Vec<String>>) -> String {
    let functions: Vec<String> = functions.map(|lines| lines.join("\n") + "\n").collect();
    functions.join("\n")
}

/// What becomes of the lines of a reply.
#[derive(Debug, Clone, Copy)]
enum Spoiled {
    Not,
    TrailingSpace,
    Deeper,
}

impl Spoiled {
    fn spoil(self, content: &str) -> String {
        let line = |line: &str| match self {
            _ if line.is_empty() => "\n".to_owned(),
            Self::Not => format!("{line}\n"),
            Self::TrailingSpace => format!("{line} \n"),
            Self::Deeper => format!("  {line}\n"),
        };
        content.lines().map(line).collect()
    }
}

/// What an edit of a whole file makes of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    text: Option<String>,
    moved_to: Option<String>,
    executable: Option<bool>,
}

impl State {
    /// Whether the edit may be done; it is done then.
    fn take(&mut self, body: &EditBody) -> bool {
        match body {
            EditBody::Whole { content } => self.text = Some(content.clone()),
            EditBody::Create { content } => {
                let is_free = self.text.as_ref().is_none_or(|text| text == content);
                self.text.get_or_insert_with(|| content.clone());
                return is_free;
            }
            EditBody::Delete { old } => {
                let is_it = old.is_none() || *old == self.text;
                if !is_it || self.text.is_none() || self.moved_to.is_some() {
                    return false;
                }
                self.text = None;
            }
            EditBody::Move { to } => {
                let is_other = self.moved_to.as_ref().is_some_and(|other| other != to);
                if self.text.is_none() || is_other || to.starts_with("..") {
                    return false;
                }
                self.moved_to = Some(to.clone());
            }
            EditBody::Executable { executable } => {
                if self.text.is_none() {
                    return false;
                }
                self.executable = Some(*executable);
            }
            EditBody::Replace { search, replace } => {
                let Some(text) = &mut self.text else {
                    return false;
                };
                let is_done = text.contains(replace);
                let is_there = text.contains(search);
                *text = text.replace(search, replace);
                return is_there || is_done;
            }
            EditBody::Hunk(_) | EditBody::Segments { .. } => return false,
        }
        true
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["alpha\n", "alpha\nbeta\n", "beta\ngamma\n", "gamma\n"])
        .prop_map(str::to_owned)
}

fn any_whole_edit() -> impl Strategy<Value = Edit> {
    let names = prop::sample::select(vec!["b", "c/d", "../e"]).prop_map(str::to_owned);
    prop_oneof![
        2 => any_text().prop_map(|content| EditBody::Whole { content }),
        2 => any_text().prop_map(|content| EditBody::Create { content }),
        2 => prop::option::of(any_text()).prop_map(|old| EditBody::Delete { old }),
        2 => names.prop_map(|to| EditBody::Move { to }),
        1 => any::<bool>().prop_map(|executable| EditBody::Executable { executable }),
        1 => Just(replace("beta\n", "delta\n").body),
    ]
    .prop_map(|body| edit(Format::UnifiedDiff, body))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn parts_of_files_make_what_they_say(
        functions in prop::collection::vec(any_function(), 1..7),
        ends in prop::collection::vec(any::<bool>(), 8),
        mark: bool,
        spoiled in prop::sample::select(vec![Spoiled::Not, Spoiled::TrailingSpace, Spoiled::Deeper]),
    ) {
        let Some(content) = content(&functions) else {
            return Ok(());
        };
        let before = file(functions.iter().map(Function::before));
        let after = file(functions.iter().filter_map(Function::after));
        let lay_out = |text: &str| -> String {
            let ends = ends.iter().cycle().map(|crlf| if *crlf { "\r\n" } else { "\n" });
            text.lines().zip(ends).flat_map(|(line, end)| [line, end]).collect()
        };
        let base = if mark { "\u{feff}".to_owned() } else { String::new() } + &lay_out(&before);
        let content = spoiled.spoil(&content);
        let edits = [edit(Format::PlandexBlock, EditBody::Segments { content: content.clone() })];
        if let Ok(built) = build_file("src/a.rs", Some(base.as_bytes()), &edits) {
            let built = String::from_utf8(built.content.unwrap()).unwrap();
            let text = built.strip_prefix('\u{feff}').unwrap_or(&built).replace("\r\n", "\n");
            // What is new has the spaces that were written.
            let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
            prop_assert_eq!(text, &*after, "{}", content);
            // Not a byte above the first part or below the last one is another.
            let is_kept = |function: &&Function| matches!(function.fate, Fate::Kept);
            let above = functions.iter().take_while(is_kept).map(Function::before);
            let below = functions.iter().rev().take_while(is_kept).map(Function::before);
            let head = file(above).len();
            let tail: Vec<_> = below.collect();
            let tail = file(tail.into_iter().rev()).lines().count();
            let head = &base[..lay_out(&before[..head]).len()];
            prop_assert!(built.starts_with(head), "{:?} {}", built, content);
            let from = base.split_inclusive('\n').count() - tail;
            let tail: String = base.split_inclusive('\n').skip(from).collect();
            prop_assert!(built.ends_with(&tail), "{:?} {}", built, content);
        }
    }

    /// With lines that stand once, a part of a file is never refused.
    #[test]
    fn plain_parts_of_files_are_never_refused(
        length in 6_usize..60,
        at in any::<prop::sample::Index>(),
        new in prop::collection::vec("[a-z]{4,8} = [0-9]{1,3};", 1..6),
    ) {
        let before: Vec<String> = (0..length).map(|line| format!("let v{line} = {line};\n")).collect();
        let at = 1 + at.index(length - 3);
        let mut after = before.clone();
        let new: Vec<String> = new.into_iter().map(|line| line + "\n").collect();
        after.splice(at..=at, new.iter().cloned());
        let content = format!("{KEPT}\n{}{}{}{KEPT}\n", before[at - 1], new.concat(), before[at + 1]);
        let edits = [edit(Format::PlandexBlock, EditBody::Segments { content })];
        let built = build_file("src/a.rs", Some(before.concat().as_bytes()), &edits).unwrap();
        prop_assert_eq!(String::from_utf8(built.content.unwrap()).unwrap(), after.concat());
    }

    #[test]
    fn edits_of_whole_files_make_what_they_say(
        base in prop::option::of(any_text()),
        edits in prop::collection::vec(any_whole_edit(), 1..6),
    ) {
        let mut state = State { text: base.clone(), ..State::default() };
        let bad: Vec<usize> = (1..)
            .zip(&edits)
            .filter_map(|(number, edit)| (!state.take(&edit.body)).then_some(number))
            .collect();
        match build_file("a", base.as_deref().map(str::as_bytes), &edits) {
            Ok(built) => {
                let text = built.content.map(|bytes| String::from_utf8(bytes).unwrap());
                let (moved_to, executable) = (built.moved_to, built.executable);
                prop_assert_eq!(State { text, moved_to, executable }, state);
                prop_assert_eq!(bad, Vec::<usize>::new());
            }
            Err(failures) => {
                let failed: Vec<usize> = failures.iter().map(|failure| failure.edit).collect();
                prop_assert_eq!(failed, bad);
            }
        }
    }
}

#[test]
fn many_random_parts_are_built() {
    let function = |name, body: &[usize], fate| Function {
        name,
        body: body.to_vec(),
        fate,
        shown: Shown::Inside,
    };
    // What the properties above are worth: this one of their kind is not refused.
    let functions = [
        function(0, &[0, 4], Fate::Kept),
        function(1, &[1, 6, 2], Fate::Changed(vec![1, 6, 3, 2])),
        function(2, &[0], Fate::Kept),
        function(3, &[1], Fate::Removed),
        function(4, &[4], Fate::Changed(vec![0])),
    ];
    let before = file(functions.iter().map(Function::before));
    let after = file(functions.iter().filter_map(Function::after));
    let content = content(&functions).unwrap();
    let edits = [edit(Format::PlandexBlock, EditBody::Segments { content })];
    let built = build_file("src/a.rs", Some(before.as_bytes()), &edits).unwrap();
    assert_eq!(String::from_utf8(built.content.unwrap()).unwrap(), after);
    assert!(build_file("a", None, &[whole("x\n")]).is_ok());
}
