//! Builds one file: its edits in order, each against the text the earlier ones made.
//!
//! All or nothing: if any edit fails, the result is every failure and no content. Later edits are
//! still tried, on the text the good ones made, so that one report tells all that is wrong.

use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::closest::find_closest;
use super::elision::{Old, find_elided};
use super::hunk::{already_there, put_pieces, put_whole};
use super::matcher::Miss;
use super::report::Flaw;
use super::text::{Likeness, Text, edit_lines, is_blank};
use super::{
    BuildWarning, Built, Closest, Edit, EditBody, EditFailure, FILE_BYTES_MAX, FILE_LINES_MAX,
    Hunk, LineCount, Reason, Tier, check_path,
};

/// How many failures of one file are given their closest place; the search reads the whole file.
const CLOSEST_MAX: usize = 20;

/// Builds a file from its present bytes (`None`: there is no file) and all edits of it, in order.
///
/// `path` is the resolved path; what the edits say is not looked at. Line ends, byte-order mark and
/// a missing last newline stay as they are in the base. Touches nothing and asks nobody.
///
/// # Errors
/// One failure for each edit that could not be built. Nothing of the file may then be used.
pub fn build_file(
    path: &str,
    base: Option<&[u8]>,
    edits: &[Edit],
) -> Result<Built, Vec<EditFailure>> {
    if check_path(path).is_err() {
        return Err(refuse_all(path, edits, Reason::UnsafePath));
    }
    let size = base.map_or(0, <[u8]>::len);
    if size > FILE_BYTES_MAX || most_lines(base, edits) > FILE_LINES_MAX {
        return Err(refuse_all(path, edits, Reason::TooLarge));
    }
    let mut build = Build {
        path,
        file: base.map_or(File::Missing, |bytes| {
            Text::read(bytes).map_or(File::Binary, File::Text)
        }),
        after: None,
        tier: Tier::Exact,
        warnings: Vec::new(),
        moved_to: None,
        executable: None,
    };
    let base_keys = build.keys();
    let mut failures = Vec::new();
    for (index, edit) in edits.iter().enumerate() {
        if let Err(flaw) = build.apply(index, edit) {
            let closest = if failures.len() < CLOSEST_MAX {
                build.closest(&flaw)
            } else {
                None
            };
            failures.push(flaw.report(path, edit, (index, edits.len()), closest));
        }
    }
    if !failures.is_empty() {
        return Err(failures);
    }
    let lines = count_lines(&base_keys, &build.keys());
    let content = match build.file {
        File::Text(text) => Some(text.bytes()),
        File::Binary => base.map(<[u8]>::to_vec),
        File::Missing => None,
    };
    if content
        .as_ref()
        .is_some_and(|bytes| bytes.len() > FILE_BYTES_MAX)
    {
        return Err(refuse_all(path, edits, Reason::TooLarge));
    }
    Ok(Built {
        path: path.to_owned(),
        content,
        moved_to: build.moved_to,
        executable: build.executable,
        tier: build.tier,
        warnings: build.warnings,
        lines,
    })
}

fn refuse_all(path: &str, edits: &[Edit], reason: Reason) -> Vec<EditFailure> {
    let report = |(index, edit)| Flaw::of(reason).report(path, edit, (index, edits.len()), None);
    edits.iter().enumerate().map(report).collect()
}

/// The most lines the file can have on its way.
fn most_lines(base: Option<&[u8]>, edits: &[Edit]) -> usize {
    let count = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
    let added = |edit: &Edit| {
        [&edit.body]
            .into_iter()
            .chain(&edit.other_readings)
            .map(|body| match body {
                EditBody::Whole { content }
                | EditBody::Create { content }
                | EditBody::Segments { content } => count(content.as_bytes()),
                EditBody::Replace { replace, .. } => count(replace.as_bytes()),
                EditBody::Hunk(hunk) => count(hunk.new.as_bytes()),
                EditBody::Delete { .. } | EditBody::Move { .. } | EditBody::Executable { .. } => 0,
            })
            .sum::<usize>()
    };
    base.map_or(0, count) + edits.iter().map(added).sum::<usize>()
}

fn count_lines(old: &[u64], new: &[u64]) -> LineCount {
    let mut count = LineCount::default();
    for op in capture_diff_slices(Algorithm::Myers, old, new) {
        if op.tag() != DiffTag::Equal {
            count.removed += op.old_range().len();
            count.added += op.new_range().len();
        }
    }
    count
}

enum File<'a> {
    Missing,
    Binary,
    Text(Text<'a>),
}

/// A file on its way through its edits.
struct Build<'a> {
    path: &'a str,
    file: File<'a>,
    /// Where the last good edit ended: a line index.
    after: Option<usize>,
    tier: Tier,
    warnings: Vec<BuildWarning>,
    moved_to: Option<String>,
    executable: Option<bool>,
}

impl<'a> Build<'a> {
    fn keys(&mut self) -> Vec<u64> {
        match &mut self.file {
            File::Text(text) => text.keys(Likeness::Exact).to_vec(),
            File::Missing | File::Binary => Vec::new(),
        }
    }

    fn apply(&mut self, index: usize, edit: &'a Edit) -> Result<(), Flaw> {
        // Of several readings of one block, a longer search that is there explains more of it.
        let mut readings: Vec<&EditBody> = edit.other_readings.iter().collect();
        readings.sort_by_key(|body| std::cmp::Reverse(search_size(body)));
        let (longer, shorter): (Vec<_>, Vec<_>) = readings
            .into_iter()
            .partition(|body| search_size(body) > search_size(&edit.body));
        for body in longer {
            match self.apply_body(body) {
                Err(flaw) if flaw.is_absence() => {}
                decided => return decided,
            }
        }
        let flaw = match self.apply_body(&edit.body) {
            Err(flaw) if flaw.is_absence() => flaw,
            decided => return decided,
        };
        for body in shorter {
            match self.apply_body(body) {
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

    fn apply_body(&mut self, body: &'a EditBody) -> Result<(), Flaw> {
        match body {
            EditBody::Whole { content } => self.write_whole(content),
            EditBody::Replace { search, replace } => {
                let search = edit_lines(search);
                if search.iter().all(|line| is_blank(line)) {
                    return self.fill_empty(replace);
                }
                self.replace(&search, replace)
            }
            EditBody::Hunk(Hunk { old, new, .. }) => {
                let old = edit_lines(old);
                if old.iter().all(|line| is_blank(line)) {
                    return self.fill_empty(new);
                }
                self.replace(&old, new)
            }
            EditBody::Create { .. } if !matches!(self.file, File::Missing) => {
                Err(Flaw::of(Reason::FileExists))
            }
            EditBody::Create { content } | EditBody::Segments { content } => {
                self.write_whole(content)
            }
            EditBody::Delete { old } => self.delete(old.as_deref()),
            EditBody::Move { .. } | EditBody::Executable { .. }
                if matches!(self.file, File::Missing) =>
            {
                Err(Flaw::of(Reason::FileMissing))
            }
            EditBody::Move { to } => {
                self.moved_to = Some(to.clone());
                Ok(())
            }
            EditBody::Executable { executable } => {
                self.executable = Some(*executable);
                Ok(())
            }
        }
    }

    fn delete(&mut self, old: Option<&str>) -> Result<(), Flaw> {
        let lines = match (&self.file, old) {
            (File::Missing, _) => return Err(Flaw::of(Reason::FileMissing)),
            (File::Binary, Some(_)) => return Err(Flaw::of(Reason::Binary)),
            (File::Binary, None) => 0,
            (File::Text(text), _) => text.lines().len(),
        };
        if let (File::Text(text), Some(old)) = (&self.file, old) {
            let old = edit_lines(old);
            if !text.window(0..lines).eq(old.iter().copied()) {
                return Err(Flaw::missed(&old, Miss::default()));
            }
        }
        self.file = File::Missing;
        self.after = None;
        Ok(())
    }

    fn write_whole(&mut self, content: &'a str) -> Result<(), Flaw> {
        let new = edit_lines(content);
        check_text(content)?;
        let old = match &self.file {
            File::Text(text) => Some(text),
            File::Missing | File::Binary => None,
        };
        let old_lines: Vec<&str> = old
            .map(|text| text.window(0..text.lines().len()).collect())
            .unwrap_or_default();
        if let Some(at) = find_elided(self.path, &new, Old::File(&old_lines), || old_lines.clone())
        {
            return Err(Flaw::elided(new[at]));
        }
        if new.len() * 2 < old_lines.len() {
            let (from_lines, to_lines) = (old_lines.len(), new.len());
            self.warnings.push(BuildWarning::Shrinks {
                from_lines,
                to_lines,
            });
        }
        let layout = old.map(Text::layout);
        self.file = File::Text(Text::from_edit(content, layout));
        self.after = None;
        Ok(())
    }

    /// An edit without lines to find creates the file, or fills one without text.
    fn fill_empty(&mut self, replace: &'a str) -> Result<(), Flaw> {
        match &self.file {
            File::Binary => Err(Flaw::of(Reason::Binary)),
            File::Text(text) if !text.lines().is_empty() => Err(Flaw::of(Reason::EmptySearch)),
            File::Missing | File::Text(_) => self.write_whole(replace),
        }
    }

    fn replace(&mut self, search: &[&str], replace: &'a str) -> Result<(), Flaw> {
        let text = match &mut self.file {
            File::Missing => return Err(Flaw::of(Reason::FileMissing)),
            File::Binary => return Err(Flaw::of(Reason::Binary)),
            File::Text(text) => text,
        };
        check_text(replace)?;
        let replace = edit_lines(replace);
        let placed = match put_whole(self.path, text, search, &replace, self.after) {
            Err(flaw) if flaw.is_absence() => {
                put_pieces(self.path, text, search, &replace)?.ok_or(flaw)?
            }
            decided => decided?,
        };
        self.after = Some(placed.end);
        self.tier = self.tier.max(placed.tier);
        Ok(())
    }

    /// Tells whether the file already is what an edit would make of it, as far as can be known.
    fn is_applied(&mut self, index: usize, body: &EditBody) -> bool {
        let (File::Text(text), EditBody::Replace { search, replace }) = (&mut self.file, body)
        else {
            return false;
        };
        let replace = edit_lines(replace);
        let all = 0..text.lines().len();
        let is_there = if search.is_empty() {
            text.window(all.clone())
                .eq(replace.iter().copied())
                .then_some(all)
        } else if edit_lines(search).iter().all(|line| is_blank(line)) {
            None
        } else {
            already_there(text, &replace)
        };
        let Some(range) = is_there else {
            return false;
        };
        let (start, end) = (range.start + 1, range.end);
        self.warnings.push(BuildWarning::AlreadyApplied {
            edit: index + 1,
            start,
            end,
        });
        self.after = Some(range.end);
        true
    }

    fn closest(&mut self, flaw: &Flaw) -> Option<Closest> {
        let File::Text(text) = &mut self.file else {
            return None;
        };
        if flaw.reason() != Reason::NotFound {
            return None;
        }
        let searched: Vec<&str> = flaw.searched_lines.iter().map(String::as_str).collect();
        find_closest(text, &searched)
    }
}

fn search_size(body: &EditBody) -> usize {
    match body {
        EditBody::Replace { search, .. } => search.len(),
        EditBody::Hunk(hunk) => hunk.old.len(),
        EditBody::Whole { .. }
        | EditBody::Create { .. }
        | EditBody::Segments { .. }
        | EditBody::Delete { .. }
        | EditBody::Move { .. }
        | EditBody::Executable { .. } => 0,
    }
}

/// A file with a NUL would be binary from then on.
fn check_text(text: &str) -> Result<(), Flaw> {
    if text.contains('\0') {
        Err(Flaw::of(Reason::Binary))
    } else {
        Ok(())
    }
}
