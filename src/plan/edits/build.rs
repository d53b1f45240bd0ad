//! Builds one file: its edits in order, each against the text the earlier ones made.
//!
//! All or nothing: if any edit fails, the result is every failure and no content. Later edits are
//! still tried, on the text the good ones made, so that one report tells all that is wrong.

use super::choice::Leads;
use super::closest::find_closest;
use super::count::count_lines;
use super::file::{Build, File};
use super::hunk::standing;
use super::matcher::locate;
use super::report::Flaw;
use super::text::{Text, edit_lines, is_blank};
use super::{
    Built, Closest, Edit, EditBody, EditFailure, FILE_BYTES_MAX, FILE_LINES_MAX, Reason, check_path,
};

/// How many failures of one file are looked into; each look reads the whole file.
const CLOSEST_MAX: usize = 20;

/// Builds a file from its present bytes (`None`: there is no file) and all edits of it, in order.
///
/// `path` is the resolved path; what the edits say is not looked at. Line ends, byte-order mark and
/// a missing last newline stay as they are in the base, unless a hunk speaks of that newline.
/// Touches nothing and asks nobody.
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
    let mut build = Build::new(path, base);
    let base_keys = build.keys();
    let mut failures = Vec::new();
    for (index, edit) in edits.iter().enumerate() {
        if let Err(mut flaw) = build.apply(index, edit) {
            let mut closest = None;
            if failures.len() < CLOSEST_MAX {
                flaw = overlap(base, &build, edit, flaw);
                flaw = applied_elsewhere(&mut build, edit, flaw);
                closest = find_place(&mut build, &flaw);
            }
            failures.push(flaw.report(path, edit, (index, edits.len()), closest));
        }
    }
    if !failures.is_empty() {
        return Err(failures);
    }
    let lines = count_lines(&base_keys, &build.keys());
    let content = match build.file {
        File::Text(text) => Some(text.bytes()),
        File::Foreign(_) => base.map(<[u8]>::to_vec),
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

/// What is not there any more, but was before the edits of this turn, was changed by one of them.
fn overlap(base: Option<&[u8]>, build: &Build<'_>, edit: &Edit, flaw: Flaw) -> Flaw {
    let Some((search, _)) = edit.body.sides() else {
        return flaw;
    };
    let search = edit_lines(search);
    let text = base.and_then(Text::read);
    let (true, Some(mut text)) = (build.is_changed && flaw.is_absence(), text) else {
        return flaw;
    };
    if flaw.reason() != Reason::NotFound || search.iter().all(|line| is_blank(line)) {
        return flaw;
    }
    match locate(&mut text, &search, &Leads::default()) {
        Ok(spot) => {
            let note = format!(
                "these were lines {}-{} before the edits above",
                spot.range.start + 1,
                spot.range.end
            );
            Flaw::placed(Reason::Overlap, &search, &[]).with_note(note)
        }
        Err(_) => flaw,
    }
}

/// Notes where the replacement of lines that are not there stands already.
fn applied_elsewhere(build: &mut Build<'_>, edit: &Edit, flaw: Flaw) -> Flaw {
    let Some((_, replace)) = edit.body.sides() else {
        return flaw;
    };
    let File::Text(text) = &mut build.file else {
        return flaw;
    };
    if flaw.reason() != Reason::NotFound || flaw.has_note() {
        return flaw;
    }
    let places = standing(text, &edit_lines(replace));
    let Some(first) = places.first() else {
        return flaw;
    };
    let (start, end) = (first.start + 1, first.end);
    let more = match places.len() - 1 {
        0 => String::new(),
        1 => " and in another place".to_owned(),
        more => format!(" and in {more} other places"),
    };
    flaw.with_note(format!("the replacement is already at {start}-{end}{more}"))
}

fn find_place(build: &mut Build<'_>, flaw: &Flaw) -> Option<Closest> {
    let File::Text(text) = &mut build.file else {
        return None;
    };
    if flaw.reason() != Reason::NotFound {
        return None;
    }
    let searched: Vec<&str> = flaw.searched_lines.iter().map(String::as_str).collect();
    find_closest(text, &searched)
}
