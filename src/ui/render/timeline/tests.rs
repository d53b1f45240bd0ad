use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use roxmltree::{Document, Node, ParsingOptions};

use super::{End, MARK, Operation, Timeline, html, svg};

/// 2026-11-23T10:00:00Z
const START: i64 = 1_795_428_000_000;

fn operation(number: i64, pid: u32, queued: i64, granted: i64, ended: i64) -> Operation {
    Operation {
        audit: Some(number),
        ticket: number,
        pid,
        command: format!("plandex exec -- make part-{pid}"),
        actor: String::new(),
        plan: "work".to_owned(),
        branch: None,
        title: "Command".to_owned(),
        is_write: number % 3 != 0,
        queued_at: START + queued,
        granted_at: Some(START + granted),
        ended_at: Some(START + ended),
        end: End::Released,
        ended_by: None,
    }
}

fn timeline(operations: Vec<Operation>) -> Timeline {
    let ends = operations.iter().filter_map(|one| one.ended_at);
    Timeline {
        title: "Who waited and who held: /home/ann/project".to_owned(),
        from: START - 3_600_000,
        until: ends.max().unwrap_or(START).max(START) + 1_000,
        operations,
        is_more: false,
        zone: TimeZone::UTC,
    }
}

/// A queue as it comes to be: `processes` take turns, each waits for the one before.
fn queue(operations: i64, processes: u32) -> Vec<Operation> {
    let mut free = 0;
    (1..=operations)
        .map(|number| {
            let pid = 4_000 + u32::try_from(number).unwrap() % processes;
            let queued = number * 700 + number * number % 1_900;
            let granted = queued.max(free);
            free = granted + 200 + number * 137 % 1_500;
            operation(number, pid, queued, granted, free)
        })
        .collect()
}

fn with_ends(mut operations: Vec<Operation>) -> Vec<Operation> {
    for (place, one) in operations.iter_mut().enumerate() {
        one.end = match place % 23 {
            5 => End::TimedOut,
            9 => End::OwnerDied,
            11 => End::Cancelled,
            14 => End::Forced,
            17 => End::LeaseExpired,
            _ => continue,
        };
        if one.end == End::TimedOut {
            one.granted_at = None;
        }
        if one.end == End::Forced {
            one.ended_by = Some("ann (pid 9: plandex locks release 7)".to_owned());
        }
    }
    operations
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn of(node: Node<'_, '_>) -> Self {
        let number = |name: &str| node.attribute(name).unwrap().parse::<f64>().unwrap();
        let (left, top) = (number("x"), number("y"));
        Self {
            left,
            top,
            right: left + number("width"),
            bottom: top + number("height"),
        }
    }

    /// Whether they share more than rounding.
    fn meets(self, other: Self) -> bool {
        let over = |low: f64, high: f64| high - low > 0.02;
        over(self.left.max(other.left), self.right.min(other.right))
            && over(self.top.max(other.top), self.bottom.min(other.bottom))
    }

    fn holds(self, other: Self) -> bool {
        self.left <= other.left + 0.02
            && self.right >= other.right - 0.02
            && self.top <= other.top + 0.02
            && self.bottom >= other.bottom - 0.02
    }
}

fn has_class(node: Node<'_, '_>, class: &str) -> bool {
    let classes = node.attribute("class").unwrap_or_default();
    classes.split(' ').any(|one| one == class)
}

fn of_class<'a>(document: &'a Document<'_>, class: &str) -> Vec<Node<'a, 'a>> {
    let all = document.descendants();
    all.filter(|node| has_class(*node, class)).collect()
}

/// Everything that a picture must be, whatever is in it.
fn check(timeline: &Timeline) {
    let text = svg(timeline);
    assert!(text.starts_with(MARK));
    let document = Document::parse(&text).unwrap();
    let root = Area {
        left: 0.0,
        top: 0.0,
        right: document
            .root_element()
            .attribute("width")
            .unwrap()
            .parse()
            .unwrap(),
        bottom: document
            .root_element()
            .attribute("height")
            .unwrap()
            .parse()
            .unwrap(),
    };
    // One bar a row of the audit, and each once.
    let bars = of_class(&document, "bar");
    let drawn: BTreeSet<i64> = bars
        .iter()
        .map(|bar| bar.attribute("data-audit").unwrap().parse().unwrap())
        .collect();
    let expected: BTreeSet<i64> = timeline
        .operations
        .iter()
        .filter_map(|one| one.audit)
        .collect();
    assert_eq!(bars.len(), expected.len());
    assert_eq!(drawn, expected);
    let waiting = of_class(&document, "waiting").len();
    assert_eq!(waiting + bars.len(), timeline.operations.len());
    lanes_and_bars(&document, root);
    times_in_order(&document, timeline);
}

fn lanes_and_bars(document: &Document<'_>, root: Area) {
    let bars = of_class(document, "bar");
    // Lanes lie in the picture and beside each other; bars in one lane each, beside each other.
    let lanes: Vec<Area> = of_class(document, "lane")
        .into_iter()
        .map(Area::of)
        .collect();
    for (place, lane) in lanes.iter().enumerate() {
        assert!(root.holds(*lane), "{lane:?} leaves {root:?}");
        for other in &lanes[place + 1..] {
            assert!(!lane.meets(*other), "{lane:?} and {other:?}");
        }
    }
    let mut in_lane: Vec<Vec<Area>> = vec![Vec::new(); lanes.len()];
    for bar in bars.iter().chain(&of_class(document, "waiting")) {
        let parts: Vec<Area> = bar
            .children()
            .filter(|part| part.has_tag_name("rect"))
            .map(Area::of)
            .collect();
        assert!(!parts.is_empty());
        assert!(
            parts
                .windows(2)
                .all(|pair| pair[0].right <= pair[1].left + 0.02),
            "{parts:?}"
        );
        for part in parts {
            let home = lanes.iter().position(|lane| lane.holds(part));
            in_lane[home.unwrap_or_else(|| panic!("{part:?} is in no lane"))].push(part);
        }
        assert!(bar.children().any(|child| child.has_tag_name("title")));
    }
    for parts in in_lane {
        for (place, part) in parts.iter().enumerate() {
            assert!(
                !parts[place + 1..].iter().any(|other| part.meets(*other)),
                "{part:?}"
            );
        }
    }
}

/// Marks go from left to right, and what was granted later in truth is not drawn earlier.
fn times_in_order(document: &Document<'_>, timeline: &Timeline) {
    let ticks: Vec<(i64, f64)> = of_class(document, "tick")
        .into_iter()
        .map(|tick| {
            let line = tick.first_element_child().unwrap();
            let at = tick.attribute("data-at").unwrap().parse().unwrap();
            (at, line.attribute("x1").unwrap().parse().unwrap())
        })
        .collect();
    assert!(
        ticks
            .windows(2)
            .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1)
    );
    let mut grants: Vec<(i64, f64)> = Vec::new();
    for bar in of_class(document, "bar") {
        let id: i64 = bar.attribute("data-audit").unwrap().parse().unwrap();
        let one = timeline
            .operations
            .iter()
            .find(|one| one.audit == Some(id))
            .unwrap();
        let hold = bar.children().find(|part| has_class(*part, "hold"));
        if let (Some(granted), Some(hold)) = (one.granted_at, hold) {
            grants.push((granted, Area::of(hold).left));
        }
    }
    grants.sort_by_key(|grant| grant.0);
    assert!(grants.windows(2).all(|pair| pair[0].1 <= pair[1].1 + 0.02));
}

#[test]
fn few_and_many_operations_are_drawn_whole() {
    for (operations, processes) in [
        (0, 1),
        (1, 1),
        (5, 5),
        (40, 40),
        (500, 500),
        (500, 12),
        (500, 64),
    ] {
        check(&timeline(with_ends(queue(operations, processes))));
    }
}

#[test]
fn what_still_waits_and_holds_reaches_now() {
    let mut operations = queue(4, 4);
    operations[2].end = End::Holds;
    operations[2].ended_at = None;
    operations[3].end = End::Waits;
    (
        operations[3].audit,
        operations[3].granted_at,
        operations[3].ended_at,
    ) = (None, None, None);
    let picture = timeline(operations);
    check(&picture);
    let text = svg(&picture);
    let document = Document::parse(&text).unwrap();
    let right = |class: &str, part: &str| {
        let bar = of_class(&document, class)[0];
        Area::of(bar.children().find(|node| has_class(*node, part)).unwrap()).right
    };
    assert!((right("holds", "hold") - right("waits", "mark")).abs() < 0.02);
    assert!(text.contains("still holds") && text.contains("still waits"));
}

#[test]
fn hostile_words_are_text() {
    let mut operations = queue(3, 3);
    operations[0].command = "plandex exec -- sh -c '</title><script>alert(1)</script>'".to_owned();
    operations[1].command =
        "a\0\x1b[2J\u{202e}\u{fffe}\u{ffff}\"'&amp;]]>-->\r\n\u{fffd}".to_owned();
    operations[2].actor = "<b onload=\"x\">ann".to_owned();
    operations[2].plan = "p & <q>".to_owned();
    let mut picture = timeline(operations);
    picture.title = "/tmp/<svg onload='x'>&".to_owned();
    check(&picture);
    for text in [svg(&picture), html(&picture)] {
        let options = ParsingOptions {
            allow_dtd: true,
            ..ParsingOptions::default()
        };
        let document = Document::parse_with_options(&text, options).unwrap();
        for node in document.descendants().filter(Node::is_element) {
            assert!(
                !["script", "b", "q"].contains(&node.tag_name().name()),
                "{text}"
            );
            assert!(
                node.attributes()
                    .all(|attribute| !attribute.name().starts_with("on"))
            );
        }
        let shown: String = document
            .descendants()
            .filter_map(|node| node.text())
            .collect();
        assert!(shown.contains("<script>alert(1)</script>"));
        assert!(shown.contains("\\x00\\x1b[2J\\u{202e}\\u{fffe}\\u{ffff}\"'&amp;]]>-->"));
        assert!(!text.contains(['\0', '\x1b', '\u{202e}', '\u{fffe}', '\r']));
        assert!(!text.contains("href") && !text.contains("url("));
    }
}

#[test]
fn a_page_lists_every_operation() {
    let picture = timeline(with_ends(queue(30, 7)));
    let text = html(&picture);
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(&text, options).unwrap();
    let rows = document
        .descendants()
        .filter(|node| node.has_tag_name("tr"))
        .count();
    assert_eq!(rows, 1 + 30);
    assert_eq!(of_class(&document, "bar").len(), 30);
    assert!(text.contains("forced by ann"));
    assert!(text[..256].contains(MARK));
}

/// Times of any order and size: clocks are set back, and what was long ago is clipped.
fn any_operation() -> impl Strategy<Value = Operation> {
    let times = (-9_000_000..90_000_i64, 0..60_000_i64, 0..60_000_i64);
    (1..12_u32, times, 0..8_usize, any::<bool>()).prop_map(
        |(pid, (queued, wait, hold), end, is_back)| {
            let back = if is_back { -1 } else { 1 };
            let mut one = operation(
                1,
                pid,
                queued,
                queued + wait * back,
                queued + (wait + hold) * back,
            );
            one.end = [
                End::Released,
                End::Holds,
                End::Waits,
                End::TimedOut,
                End::Other,
                End::Forced,
                End::Unconfirmed,
                End::Cancelled,
            ][end];
            if matches!(one.end, End::Holds | End::Other | End::Waits) {
                one.ended_at = None;
            }
            if matches!(one.end, End::Waits | End::TimedOut | End::Cancelled) {
                one.granted_at = None;
            }
            one
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_past_makes_a_picture(operations in prop::collection::vec(any_operation(), 0..80)) {
        let numbered = operations.into_iter().enumerate().map(|(place, mut one)| {
            one.audit = (one.end != End::Waits).then(|| i64::try_from(place).unwrap() + 1);
            one
        });
        check(&timeline(numbered.collect()));
    }
}
