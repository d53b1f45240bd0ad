//! A file on its way through its edits.

use std::borrow::Cow;

use super::choice::{Leads, Of, Pin, heads_block, only_anchor};
use super::elision::{Old, find_elided};
use super::hunk::{Placed, already_there, put_peeled, put_pieces, put_whole};
use super::matcher::Miss;
use super::numbers::Numbers;
use super::report::Flaw;
use super::segments::put_segments;
use super::text::{Foreign, Likeness, Row, Text, edit_lines, is_blank, utf16_layout};
use super::{BuildWarning, Edit, EditBody, Format, Hunk, Reason, Tier, check_path};

/// What there is at a path.
pub(super) enum File<'a> {
    /// Nothing.
    Missing,
    /// Bytes that are not read as lines.
    Foreign(Foreign),
    Text(Text<'a>),
}

/// A file, what was done to it so far, and what is to be told of that.
pub(super) struct Build<'a> {
    path: &'a str,
    pub(super) file: File<'a>,
    /// Where the last good edit ended: a line index.
    after: Option<usize>,
    numbers: Numbers,
    pub(super) tier: Tier,
    pub(super) warnings: Vec<BuildWarning>,
    pub(super) moved_to: Option<String>,
    pub(super) executable: Option<bool>,
    /// Whether any edit changed the text.
    pub(super) is_changed: bool,
}

impl<'a> Build<'a> {
    pub(super) fn new(path: &'a str, base: Option<&'a [u8]>) -> Self {
        let file = match base {
            None => File::Missing,
            Some(bytes) => match Text::read(bytes) {
                Some(text) => File::Text(text),
                None => File::Foreign(match utf16_layout(bytes) {
                    Some(layout) => Foreign::Utf16(layout),
                    None => Foreign::Unknown,
                }),
            },
        };
        Self {
            path,
            file,
            after: None,
            numbers: Numbers::default(),
            tier: Tier::Exact,
            warnings: Vec::new(),
            moved_to: None,
            executable: None,
            is_changed: false,
        }
    }

    /// Hashes of the lines.
    pub(super) fn keys(&mut self) -> Vec<u64> {
        match &mut self.file {
            File::Text(text) => text.keys(Likeness::Exact),
            File::Missing | File::Foreign(_) => Vec::new(),
        }
    }

    /// Does what an edit says, or nothing.
    pub(super) fn apply(&mut self, index: usize, edit: &'a Edit) -> Result<(), Flaw> {
        // Of several readings of one block, a longer search that is there explains more of it.
        let mut readings: Vec<&EditBody> = edit.other_readings.iter().collect();
        readings.sort_by_key(|body| std::cmp::Reverse(search_size(body)));
        let (longer, shorter): (Vec<_>, Vec<_>) = readings
            .into_iter()
            .partition(|body| search_size(body) > search_size(&edit.body));
        for body in longer {
            match self.apply_body(index, edit.format, body) {
                Err(flaw) if flaw.is_absence() => {}
                decided => return decided,
            }
        }
        let flaw = match self.apply_body(index, edit.format, &edit.body) {
            Err(flaw) if flaw.is_absence() => flaw,
            decided => return decided,
        };
        for body in shorter {
            match self.apply_body(index, edit.format, body) {
                Err(flaw) if flaw.is_absence() => {}
                decided => return decided,
            }
        }
        // A part of a replacement, which a wrong reading has, may well stand elsewhere.
        if edit.other_readings.is_empty() && self.is_applied(index, &edit.body) {
            return Ok(());
        }
        Err(flaw)
    }

    fn apply_body(&mut self, index: usize, format: Format, body: &'a EditBody) -> Result<(), Flaw> {
        match body {
            EditBody::Whole { content } => {
                self.write_whole(content)?;
                // A patch envelope cannot say that a file has no last newline.
                if let (Format::ApplyPatch, File::Text(text)) = (format, &mut self.file) {
                    text.set_final_newline(true);
                }
                Ok(())
            }
            EditBody::Create { content } => self.create(index, content),
            EditBody::Replace { search, replace } => {
                let search = edit_lines(search);
                if search.iter().all(|line| is_blank(line)) {
                    return self.fill_empty(replace);
                }
                self.replace(&search, replace)
            }
            EditBody::Hunk(hunk) => self.hunk(index, format, hunk),
            EditBody::Segments { content } => self.segments(content),
            EditBody::Delete { old } => self.delete(old.as_deref()),
            EditBody::Move { to } => self.move_to(to),
            EditBody::Executable { .. } if matches!(self.file, File::Missing) => {
                Err(Flaw::of(Reason::FileMissing))
            }
            EditBody::Executable { executable } => {
                self.executable = Some(*executable);
                Ok(())
            }
        }
    }

    fn create(&mut self, index: usize, content: &'a str) -> Result<(), Flaw> {
        let there = match &self.file {
            File::Missing => return self.write_whole(content),
            File::Foreign(_) => None,
            File::Text(text) => {
                let all = 0..text.count();
                let is_same = text.window(all.clone()).eq(edit_lines(content));
                is_same.then_some(all)
            }
        };
        let all = there.ok_or_else(|| Flaw::of(Reason::FileExists))?;
        self.note_applied(index, all);
        Ok(())
    }

    fn delete(&mut self, old: Option<&str>) -> Result<(), Flaw> {
        if self.moved_to.is_some() {
            return Err(Flaw::of(Reason::Overlap).with_note("it is renamed and deleted"));
        }
        match (&self.file, old) {
            (File::Missing, _) => return Err(Flaw::of(Reason::FileMissing)),
            (File::Foreign(foreign), Some(_)) => return Err(foreign.flaw()),
            (File::Text(text), Some(old)) => {
                let old = edit_lines(old);
                let theirs = text.window(0..text.count());
                let same = theirs.zip(&old).take_while(|(a, b)| a == *b).count();
                if same < old.len().max(text.count()) {
                    let line = old.get(same..).and_then(<[_]>::first);
                    let searched: Vec<&str> = line.into_iter().copied().collect();
                    let note = format!("it is not the file to be deleted from line {}", same + 1);
                    return Err(Flaw::missed(&searched, Miss::default()).with_note(note));
                }
            }
            (_, None) => {}
        }
        self.file = File::Missing;
        self.rewritten();
        Ok(())
    }

    fn move_to(&mut self, to: &str) -> Result<(), Flaw> {
        if matches!(self.file, File::Missing) {
            return Err(Flaw::of(Reason::FileMissing));
        }
        if let Err(refusal) = check_path(to) {
            let note = format!("to {to}: {refusal}");
            return Err(Flaw::of(Reason::UnsafePath).with_note(note));
        }
        if self.moved_to.as_deref().is_some_and(|other| other != to) {
            return Err(Flaw::of(Reason::Overlap).with_note("it is given two names"));
        }
        self.moved_to = Some(to.to_owned());
        Ok(())
    }

    /// Nothing is known any more of where in the file the edits before this one were.
    fn rewritten(&mut self) {
        self.after = None;
        self.is_changed = true;
        self.numbers.lose();
    }

    fn write_whole(&mut self, content: &'a str) -> Result<(), Flaw> {
        let new = edit_lines(content);
        check_text(content)?;
        let old = match &self.file {
            File::Text(text) => Some(text),
            File::Missing | File::Foreign(_) => None,
        };
        let old_lines: Vec<&str> = old
            .map(|text| text.window(0..text.count()).collect())
            .unwrap_or_default();
        let elided = find_elided(self.path, &new, Old::File(&old_lines), || old_lines.clone());
        if let Some(at) = elided {
            // What stands for lines of the file may tell which; it is never written.
            let flaw = match old_lines.is_empty() {
                true => Flaw::elided(new[at]),
                false => match self.segments(content) {
                    Ok(()) => return Ok(()),
                    Err(flaw) => flaw.into_elided(new[at]),
                },
            };
            return Err(flaw);
        }
        if new.len() * 2 < old_lines.len() {
            let (from_lines, to_lines) = (old_lines.len(), new.len());
            self.warnings.push(BuildWarning::Shrinks {
                from_lines,
                to_lines,
            });
        }
        let layout = match &self.file {
            File::Text(text) => Some(text.layout()),
            // It stays the UTF-16 that its programs expect.
            File::Foreign(Foreign::Utf16(layout)) => Some(*layout),
            File::Foreign(Foreign::Unknown) | File::Missing => None,
        };
        self.file = File::Text(Text::from_edit(content, layout));
        self.rewritten();
        Ok(())
    }

    fn segments(&mut self, content: &'a str) -> Result<(), Flaw> {
        check_text(content)?;
        let lines = edit_lines(content);
        let text = match &mut self.file {
            File::Foreign(foreign) => return Err(foreign.flaw()),
            File::Text(text) if text.count() > 0 => text,
            // Nothing is there that a reference could stand for.
            File::Missing | File::Text(_) => return self.write_whole(content),
        };
        let old: Vec<&str> = text.window(0..text.count()).collect();
        // Lines that only look like references are the file's own.
        if find_elided(self.path, &lines, Old::File(&old), || old.clone()).is_none() {
            return self.write_whole(content);
        }
        let placed = put_segments(self.path, text, &lines)?;
        self.rewritten();
        self.after = Some(placed.end);
        self.tier = self.tier.max(placed.tier);
        Ok(())
    }

    /// An edit without lines to find creates the file, or fills one without text.
    fn fill_empty(&mut self, replace: &'a str) -> Result<(), Flaw> {
        match &self.file {
            File::Foreign(foreign) => Err(foreign.flaw()),
            File::Text(text) if text.count() > 0 => Err(Flaw::of(Reason::EmptySearch)),
            File::Missing | File::Text(_) => self.write_whole(replace),
        }
    }

    fn text(&mut self) -> Result<&mut Text<'a>, Flaw> {
        match &mut self.file {
            File::Missing => Err(Flaw::of(Reason::FileMissing)),
            File::Foreign(foreign) => Err(foreign.flaw()),
            File::Text(text) => Ok(text),
        }
    }

    fn replace(&mut self, search: &[&str], replace: &'a str) -> Result<(), Flaw> {
        let leads = Leads {
            after: self.after,
            ..Leads::default()
        };
        let path = self.path;
        let text = self.text()?;
        check_text(replace)?;
        let replace = edit_lines(replace);
        let placed = match put_whole(path, text, search, &replace, &leads) {
            Err(flaw) if flaw.is_absence() => {
                put_pieces(path, text, search, &replace)?.ok_or(flaw)?
            }
            decided => decided?,
        };
        self.numbers.lose();
        self.after = Some(placed.reach);
        self.is_changed = true;
        self.tier = self.tier.max(placed.tier);
        Ok(())
    }

    fn hunk(&mut self, index: usize, format: Format, hunk: &'a Hunk) -> Result<(), Flaw> {
        check_text(&hunk.new)?;
        let (old, new) = (edit_lines(&hunk.old), edit_lines(&hunk.new));
        let placed = match old.iter().all(|line| is_blank(line)) {
            true => self.insert(format, hunk, &old, &new)?,
            false => self.put_hunk(index, hunk, &old, &new)?,
        };
        let Some(placed) = placed else {
            return Ok(());
        };
        self.is_changed = true;
        self.after = Some(placed.end);
        self.tier = self.tier.max(placed.tier);
        if let File::Text(text) = &mut self.file {
            // A patch envelope cannot say that a file has no last newline.
            let said = match format {
                Format::ApplyPatch => Some(true),
                Format::UnifiedDiff
                | Format::WholeFile
                | Format::SearchReplace
                | Format::PlandexBlock => {
                    let is_end = placed.reach == text.count();
                    hunk.final_newline.filter(|_| is_end)
                }
            };
            if let Some(final_newline) = said {
                text.set_final_newline(final_newline);
            }
        }
        Ok(())
    }

    /// Puts a hunk where its old lines stand; `None` if it is there already.
    fn put_hunk(
        &mut self,
        index: usize,
        hunk: &'a Hunk,
        old: &[&str],
        new: &[&'a str],
    ) -> Result<Option<Placed>, Flaw> {
        let leads = Leads {
            anchors: &hunk.anchors,
            after: self.after,
            number: self.numbers.next(hunk.line),
            pin: pin(hunk),
            of: Of::Before,
        };
        let path = self.path;
        let text = self.text()?;
        let before = text.count();
        let placed = match put_whole(path, text, old, new, &leads) {
            Err(flaw) if flaw.is_absence() => {
                // Before any context is left out: what is done must not be done again elsewhere.
                if let Some(range) = already_there(text, new) {
                    self.numbers.grew(old.len(), new.len());
                    self.note_applied(index, range);
                    return Ok(None);
                }
                put_peeled(path, text, old, new, &leads, flaw)?
            }
            decided => decided?,
        };
        let after = text.count();
        self.numbers.placed(hunk.line, placed.start);
        self.numbers.grew(before, after);
        Ok(Some(placed))
    }

    /// Puts the lines of a hunk that has no old ones, or only blank ones, which are everywhere.
    fn insert(
        &mut self,
        format: Format,
        hunk: &'a Hunk,
        old: &[&str],
        new: &[&'a str],
    ) -> Result<Option<Placed>, Flaw> {
        let count = match &self.file {
            File::Foreign(foreign) => return Err(foreign.flaw()),
            File::Missing if !old.is_empty() => return Err(Flaw::of(Reason::FileMissing)),
            File::Text(text) if text.count() > 0 => text.count(),
            File::Missing | File::Text(_) => {
                self.write_whole(&hunk.new)?;
                return Ok(Some(inserted(0, new.len())));
            }
        };
        let path = self.path;
        let text = self.text()?;
        let at = if old.is_empty() && pin(hunk) == Pin::FileEnd {
            count
        } else if old.is_empty() && format == Format::ApplyPatch && !hunk.anchors.is_empty() {
            // In a diff, what follows `@@` only tells what the place belongs to.
            1 + anchor_above(text, &hunk.anchors)?
        } else {
            let note = "a hunk that only adds needs lines of the file around it: \
                 a line number alone is not believed";
            return Err(Flaw::of(Reason::EmptySearch).with_note(note));
        };
        let file = || text.window(0..count).collect();
        if let Some(line) = find_elided(path, new, Old::Region(&[]), file) {
            return Err(Flaw::elided(new[line]));
        }
        let rows = new.iter().map(|line| Row::New(Cow::Borrowed(*line)));
        text.replace(at..at, rows.collect());
        self.numbers.lose();
        Ok(Some(inserted(at, new.len())))
    }

    /// Tells whether the file already is what an edit would make of it, as far as can be known.
    fn is_applied(&mut self, index: usize, body: &EditBody) -> bool {
        let File::Text(text) = &mut self.file else {
            return false;
        };
        // A hunk was looked for where its old lines are; without any it says only what it adds.
        let EditBody::Replace { search, replace } = body else {
            return false;
        };
        let replace = edit_lines(replace);
        let all = 0..text.count();
        let is_there = if search.is_empty() {
            text.window(all.clone())
                .eq(replace.iter().copied())
                .then_some(all)
        } else if edit_lines(search).iter().all(|line| is_blank(line)) {
            None
        } else {
            already_there(text, &replace)
        };
        if let Some(range) = is_there.clone() {
            self.note_applied(index, range);
        }
        is_there.is_some()
    }

    fn note_applied(&mut self, index: usize, range: std::ops::Range<usize>) {
        self.warnings.push(BuildWarning::AlreadyApplied {
            edit: index + 1,
            start: range.start + 1,
            end: range.end,
        });
        self.after = Some(range.end);
    }
}

/// The line that a hunk without old lines is to stand below.
fn anchor_above(text: &Text<'_>, anchors: &[String]) -> Result<usize, Flaw> {
    let anchor = only_anchor(text, anchors).map_err(|places| {
        let anchors: Vec<&str> = anchors.iter().map(String::as_str).collect();
        let tiers_tried = vec![Tier::Exact];
        Flaw::missed(
            &anchors,
            Miss {
                places,
                tiers_tried,
            },
        )
    })?;
    let line = text.line(anchor).trim();
    let number = anchor + 1;
    let note = if anchors.last().is_none_or(|anchor| anchor.trim() != line) {
        format!("the anchor is only the beginning of line {number}")
    } else if heads_block(text, anchor) {
        // At its beginning, at its end, or anywhere between: the anchor does not say.
        format!("line {number} heads a block: give lines around the new ones to tell where in it")
    } else {
        return Ok(anchor);
    };
    Err(Flaw::of(Reason::EmptySearch).with_note(note))
}

fn pin(hunk: &Hunk) -> Pin {
    match hunk.is_at_end {
        true => Pin::FileEnd,
        false => Pin::Anywhere,
    }
}

/// Lines that were put before the line `at`.
fn inserted(at: usize, count: usize) -> Placed {
    Placed {
        start: at,
        end: at + count,
        reach: at + count,
        tier: Tier::Exact,
    }
}

fn search_size(body: &EditBody) -> usize {
    body.sides().map_or(0, |(search, _)| search.len())
}

/// A file with a NUL would be binary from then on.
fn check_text(text: &str) -> Result<(), Flaw> {
    match text.contains('\0') {
        true => Err(Flaw::of(Reason::Binary)),
        false => Ok(()),
    }
}
