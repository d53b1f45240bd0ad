//! Settings with our hooks in them, and without: text in, text out, and not a byte of the rest
//! moved.
//!
//! What is put in stands where it makes the least difference: behind the last of what is there, laid
//! out as its neighbours are. Taken out again, the text is what it was. One thing cannot be told from
//! the text alone, whether brackets that stand empty afterwards were there before; we never write
//! empty brackets without a blank in them, so `[]` is somebody else's and stays, and `[ ]` is ours and
//! goes.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Result, bail, ensure};
use serde::Serialize;
use serde_json::ser::PrettyFormatter;

use super::json::{Kind, Tree, parse};
use crate::hook::Event;

/// The host gives a hook so many seconds at most; ours needs two in the worst case.
const TIMEOUT: u32 = 5;

/// An entry of the host's list.
#[derive(Serialize)]
struct Hook<'a> {
    r#type: &'static str,
    command: &'a str,
    timeout: u32,
}

/// What the host calls a list of hooks for one kind of event.
#[derive(Serialize)]
struct Group<'a> {
    hooks: [Hook<'a>; 1],
}

/// What the host calls the event.
pub(super) const EVENTS: [(Event, &str, &str); 2] = [
    (Event::Start, "SessionStart", "hook capture start"),
    (Event::End, "SessionEnd", "hook capture end"),
];

/// `text` with the hook `command` for the event that the host calls `event`; one of ours with
/// another command is given this one.
pub(super) fn with(text: &str, event: &str, command: &str) -> Result<String> {
    let tree = parse(text)?;
    check(&tree)?;
    if let Some(place) = ours(&tree).into_iter().find(|place| place.event == event) {
        let said = place.command;
        let mut text = text.to_owned();
        text.replace_range(said.node.span.clone(), &serde_json::to_string(command)?);
        return Ok(text);
    }
    let group = Group {
        hooks: [Hook {
            r#type: "command",
            command,
            timeout: TIMEOUT,
        }],
    };
    let unit = unit(text, &tree);
    let Some((_, hooks)) = tree.part("hooks") else {
        let new = BTreeMap::from([(event, [group])]);
        return inserted(text, &tree, Some("hooks"), &new, &unit);
    };
    match hooks.part(event) {
        Some((_, groups)) => inserted(text, groups, None, &group, &unit),
        None => inserted(text, hooks, Some(event), &[group], &unit),
    }
}

/// `text` without any hook of ours.
pub(super) fn without(text: &str) -> Result<String> {
    let mut text = text.to_owned();
    loop {
        let tree = parse(&text)?;
        check(&tree)?;
        // Bounded: each round takes one out.
        let Some(place) = ours(&tree).into_iter().next_back() else {
            return Ok(text);
        };
        let range = taken_out(&text, &tree, &place);
        text.replace_range(range, "");
    }
}

/// Whether it has the shape that the host wants; nothing else is touched.
fn check(tree: &Tree) -> Result<()> {
    ensure!(matches!(tree.node.kind, Kind::Object), "it is no object");
    let mut names = tree.parts.iter().filter_map(|part| part.name.as_deref());
    if names.by_ref().filter(|name| *name == "hooks").count() > 1 {
        bail!("it has \"hooks\" twice");
    }
    let Some((_, hooks)) = tree.part("hooks") else {
        return Ok(());
    };
    ensure!(
        matches!(hooks.node.kind, Kind::Object),
        "its \"hooks\" is no object"
    );
    for (_, event, _) in EVENTS {
        let named = hooks.parts.iter();
        let named = named.filter(|part| part.name.as_deref() == Some(event));
        ensure!(named.count() < 2, "its \"hooks\" has \"{event}\" twice");
        if let Some((_, groups)) = hooks.part(event) {
            ensure!(
                matches!(groups.node.kind, Kind::Array),
                "its \"{event}\" is no list"
            );
        }
    }
    Ok(())
}

/// Where a hook of ours stands.
struct Place<'a> {
    event: &'static str,
    group: usize,
    hook: usize,
    command: &'a Tree,
}

/// All hooks of ours, in order.
fn ours(tree: &Tree) -> Vec<Place<'_>> {
    let mut found = Vec::new();
    let Some((_, hooks)) = tree.part("hooks") else {
        return found;
    };
    for (_, event, words) in EVENTS {
        let groups = hooks.part(event).map(|(_, groups)| &groups.parts);
        for (group, one) in groups.into_iter().flatten().enumerate() {
            let list = one.value.part("hooks").map(|(_, list)| &list.parts);
            for (hook, one) in list.into_iter().flatten().enumerate() {
                let Some((_, command)) = one.value.part("command") else {
                    continue;
                };
                if command.text().is_some_and(|text| is_ours(text, words)) {
                    found.push(Place {
                        event,
                        group,
                        hook,
                        command,
                    });
                }
            }
        }
    }
    found
}

/// Whether `command` is this program, by whatever path, with these words.
fn is_ours(command: &str, words: &str) -> bool {
    let Some(program) = command.trim().strip_suffix(words) else {
        return false;
    };
    let name = program.trim_end().trim_matches(['\'', '"']);
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    program.ends_with(' ') && matches!(name, "plandex" | "plandex.exe")
}

/// How far one level is set in.
fn unit(text: &str, tree: &Tree) -> String {
    let Some(first) = tree.parts.first() else {
        return "  ".to_owned();
    };
    let lead = &text[tree.inside().start..first.span.start];
    match lead.rsplit_once('\n') {
        Some((_, indent)) if !indent.is_empty() => indent.to_owned(),
        _ => "  ".to_owned(),
    }
}

/// `text` with `value` as the last part of `into`.
fn inserted(
    text: &str,
    into: &Tree,
    name: Option<&str>,
    value: &impl Serialize,
    unit: &str,
) -> Result<String> {
    let mut bytes = Vec::new();
    let layout = PrettyFormatter::with_indent(unit.as_bytes());
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut bytes, layout,
    ))?;
    let mut new = String::from_utf8(bytes)?;
    if let Some(name) = name {
        new = format!("{}: {new}", serde_json::to_string(name)?);
    }
    let inside = into.inside();
    let (at, comma, lead) = match (into.parts.first(), into.parts.last()) {
        (Some(first), Some(last)) => {
            let lead = &text[inside.start..first.span.start];
            (last.span.end, ",", lead.to_owned())
        }
        _ => {
            // Its last line is as deep as what stands around it.
            let blank = &text[inside.clone()];
            let deeper = if blank.contains('\n') { unit } else { "" };
            let lead = if deeper.is_empty() { "" } else { blank };
            (inside.start, "", format!("{lead}{deeper}"))
        }
    };
    let new = match lead.rsplit_once('\n') {
        Some((_, indent)) => {
            let end = if lead.contains("\r\n") { "\r\n" } else { "\n" };
            new.replace('\n', &format!("{end}{indent}"))
        }
        None => new.lines().map(str::trim).collect::<Vec<_>>().join(" "),
    };
    let blank = match lead.contains('\n') {
        true => lead.as_str(),
        false if comma.is_empty() => "",
        false => " ",
    };
    let (before, after) = text.split_at(at);
    Ok(format!("{before}{comma}{blank}{new}{after}"))
}

/// What has to go for a hook to go: it, and what would be left empty around it.
fn taken_out(text: &str, tree: &Tree, place: &Place<'_>) -> Range<usize> {
    let missing = || tree.inside();
    let Some((at_hooks, hooks)) = tree.part("hooks") else {
        return missing();
    };
    let Some((at_event, groups)) = hooks.part(place.event) else {
        return missing();
    };
    let group = &groups.parts[place.group].value;
    let Some((_, list)) = group.part("hooks") else {
        return missing();
    };
    if list.parts.len() > 1 {
        return part(list, place.hook);
    }
    // A group without a hook is none.
    if groups.parts.len() > 1 || !is_left_blank(text, groups) {
        return part(groups, place.group);
    }
    if hooks.parts.len() > 1 || !is_left_blank(text, hooks) {
        return part(hooks, at_event);
    }
    part(tree, at_hooks)
}

/// Whether a blank is left between its brackets when its only part goes.
fn is_left_blank(text: &str, tree: &Tree) -> bool {
    let last = tree.parts.last().map_or(0, |part| part.span.end);
    !text[last..tree.inside().end].is_empty()
}

/// The range of a part with what sets it apart from its neighbours.
fn part(tree: &Tree, index: usize) -> Range<usize> {
    let span = &tree.parts[index].span;
    match (index.checked_sub(1), tree.parts.get(index + 1)) {
        (_, Some(next)) => span.start..next.span.start,
        (Some(before), None) => tree.parts[before].span.end..span.end,
        (None, None) => tree.inside().start..span.end,
    }
}
