//! The reply parser, differentially: however a text is cut up, the same events come of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plandex::plan::reply::{Ending, ReplyEvent, ReplyParser};

/// The events of `text`, pushed in pieces of these lengths, over and over.
fn events(text: &str, lengths: &[usize], ending: Ending) -> Vec<ReplyEvent> {
    let mut parser = ReplyParser::new();
    let (mut events, mut rest) = (Vec::new(), text);
    let mut lengths = lengths.iter().cycle();
    while !rest.is_empty() {
        let mut at = (*lengths.next().unwrap()).clamp(1, rest.len());
        while !rest.is_char_boundary(at) {
            at += 1;
        }
        let (piece, after) = rest.split_at(at);
        events.extend(parser.push(piece));
        rest = after;
    }
    events.extend(parser.finish(ending));
    events
}

fuzz_target!(|input: &[u8]| {
    let [ending, first, second, text @ ..] = input else {
        return;
    };
    let text = String::from_utf8_lossy(text);
    let ending = match ending % 2 {
        0 => Ending::Complete,
        _ => Ending::CutOff,
    };
    let whole = events(&text, &[usize::MAX], ending);
    for lengths in [
        &[usize::from(*first), usize::from(*second)][..],
        &[1],
        &[64, 3],
    ] {
        assert_eq!(events(&text, lengths, ending), whole, "cut at {lengths:?}");
    }
    // The block of an edit is somewhere in the text.
    let lines = text.lines().count();
    for event in &whole {
        if let ReplyEvent::Edit(edit) = event {
            assert!(
                (1..=lines).contains(&edit.line),
                "{edit:?} in {lines} lines"
            );
        }
    }
});
