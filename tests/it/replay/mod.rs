//! This repository's history as ground truth: what each commit did to each text file, written as a
//! model would in each format, read, and built on the file before. The file after is the only right
//! answer; a refusal costs a question; anything else is a wrong file, and there may be none.

use std::collections::BTreeMap;
use std::sync::Mutex;

use plandex::plan::edits::{self, Edit, EditBody, Format, Reason, build_file};
use plandex::plan::reply::{Ending, ReplyEvent, ReplyParser};

use history::Change;
use hunks::Hunk;
use layout::Lines;
use perturb::Dice;

mod direct;
mod history;
mod hunks;
mod layout;
mod perturb;
mod render;

/// Set to replay every change there is, in every way.
const ALL: &str = "PLANDEX_REPLAY_ALL";

/// How many changes are replayed otherwise.
const SAMPLE: usize = 400;

/// Of the plain hunks, with three lines of context, at most one in so many is refused.
const PLAIN_REFUSED_MAX_PART: usize = 50;

/// What became of the hunks of one kind.
#[derive(Debug, Default, Clone)]
struct Count {
    right: usize,
    refused: BTreeMap<String, usize>,
    wrong: usize,
    /// Not to be expressed in this format, or perturbed into another change.
    left_out: usize,
}

#[derive(Default)]
struct Tally {
    counts: Mutex<BTreeMap<(&'static str, &'static str), Count>>,
    wrong: Mutex<Vec<String>>,
}

impl Tally {
    fn count(&self, kind: (&'static str, &'static str), add: impl FnOnce(&mut Count)) {
        add(self.counts.lock().unwrap().entry(kind).or_default());
    }
}

/// One way to write a change: the reply, what is built on, and what must come of it.
struct Case<'c> {
    kind: (&'static str, &'static str),
    path: &'c str,
    hunks: usize,
    edits: Result<Vec<Edit>, String>,
    base: Option<String>,
    expected: Option<String>,
}

#[test]
fn no_commit_of_this_repository_is_built_wrongly() {
    let is_all = std::env::var_os(ALL).is_some();
    let changes = history::changes().unwrap_or_else(|reason| {
        eprintln!("replay: no history here: {reason}");
        Vec::new()
    });
    let total = changes.len();
    let every = if is_all {
        1
    } else {
        total.div_ceil(SAMPLE).max(1)
    };
    let sample: Vec<&Change> = changes.iter().step_by(every).collect();
    let tally = Tally::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for part in sample.chunks(sample.len().div_ceil(threads).max(1)) {
            let tally = &tally;
            scope.spawn(move || part.iter().for_each(|change| replay(change, tally)));
        }
    });
    report(&tally, sample.len(), total);
    let wrong = tally.wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} wrong files, the first:\n{}",
        wrong.len(),
        wrong[0]
    );
    let counts = tally.counts.into_inner().unwrap();
    for (kind, count) in &counts {
        let refused: usize = count.refused.values().sum();
        let all = refused + count.right;
        if kind.1 == "3 lines" {
            assert!(
                refused * PLAIN_REFUSED_MAX_PART <= all,
                "{kind:?}: {refused} of {all} refused"
            );
        }
        assert!(all == 0 || count.right > 0, "{kind:?}: nothing was built");
    }
}

fn report(tally: &Tally, sample: usize, total: usize) {
    eprintln!("replay: {sample} of {total} changes");
    eprintln!(
        "{:<16} {:<16} {:>7} {:>8} {:>6} {:>9}",
        "format", "as", "right", "refused", "WRONG", "left out"
    );
    for ((format, how), count) in tally.counts.lock().unwrap().iter() {
        let refused: usize = count.refused.values().sum();
        let Count {
            right,
            wrong,
            left_out,
            ..
        } = count;
        let why = count
            .refused
            .iter()
            .map(|(reason, count)| format!("{reason} {count}"));
        let why: Vec<String> = why.collect();
        eprintln!(
            "{format:<16} {how:<16} {right:>7} {refused:>8} {wrong:>6} {left_out:>9}  {}",
            why.join(", ")
        );
    }
}

fn replay(change: &Change, tally: &Tally) {
    let path = change.path.as_str();
    let is_odd = |text: &Option<String>| {
        text.as_ref()
            .is_some_and(|text| text.contains('\r') || text.starts_with('\u{feff}'))
    };
    if edits::check_path(path).is_err() || is_odd(&change.before) || is_odd(&change.after) {
        return;
    }
    let before = change.before.as_deref().map(Lines::of);
    let after = change.after.as_deref().map(Lines::of);
    let mut dice = Dice::of(path);
    match (&before, &after) {
        (Some(before), Some(after)) => updates(path, before, after, &mut dice, tally),
        (before, after) => creations(path, before.as_ref(), after.as_ref(), tally),
    }
}

fn creations(path: &str, before: Option<&Lines>, after: Option<&Lines>, tally: &Tally) {
    let base = before.map(|lines| lines.text("\n"));
    // A new file ends its last line, unless a diff says that it does not.
    let expected = after.map(|lines| {
        Lines {
            final_newline: true,
            ..lines.clone()
        }
        .text("\n")
    });
    let empty = Lines::of("");
    let hunks = hunks::hunks(before.unwrap_or(&empty), after.unwrap_or(&empty), 3);
    let case = |format, edits| Case {
        kind: (
            format,
            if after.is_some() {
                "new file"
            } else {
                "removal"
            },
        ),
        path,
        hunks: 1,
        edits,
        base: base.clone(),
        expected: expected.clone(),
    };
    judge(
        tally,
        case(
            "diff",
            direct::file(path, Format::UnifiedDiff, before, after, &hunks),
        ),
    );
    judge(
        tally,
        case(
            "patch",
            direct::file(path, Format::ApplyPatch, before, after, &hunks),
        ),
    );
    if let Some(after) = after {
        judge(
            tally,
            case("whole file", read(path, &render::whole(path, after))),
        );
        let blocks = render::blocks(path, &hunks);
        match blocks {
            Some(reply) if !hunks.is_empty() => {
                judge(tally, case("search/replace", read(path, &reply)))
            }
            _ => tally.count(("search/replace", "new file"), |count| count.left_out += 1),
        }
    }
}

fn updates(path: &str, before: &Lines, after: &Lines, dice: &mut Dice, tally: &Tally) {
    let three = hunks::hunks(before, after, 3);
    let plain = Ground {
        path,
        before,
        after,
        tally,
    };
    if before.final_newline == after.final_newline {
        plain.whole_file();
        plain.segments();
    }
    for (how, context) in [
        ("3 lines", 3),
        ("2 lines", 2),
        ("1 line", 1),
        ("0 lines", 0),
    ] {
        let hunks = hunks::hunks(before, after, context);
        plain.hunks(how, &hunks, Ends::Lf);
    }
    plain.hunks("CRLF file", &three, Ends::CrLfFile);
    plain.hunks("CRLF reply", &three, Ends::CrLfReply);
    plain.hunks("trailing space", &perturb::trailing_space(&three), Ends::Lf);
    plain.hunks(
        "space stripped",
        &perturb::no_trailing_space(&three),
        Ends::Lf,
    );
    plain.hunks("deeper", &perturb::deeper(&three), Ends::Lf);
    plain.hunks("shallower", &perturb::shallower(&three), Ends::Lf);
    plain.hunks("plain quotes", &perturb::plain_characters(&three), Ends::Lf);
    plain.hunks(
        "wrong numbers",
        &perturb::wrong_numbers(&three, dice),
        Ends::Lf,
    );
    plain.hunks(
        "less context",
        &perturb::dropped_context(&three, dice),
        Ends::Lf,
    );
    plain.hunks(
        "stale context",
        &perturb::stale_context(&three, dice),
        Ends::Lf,
    );
}

/// Which side has CRLF line ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Lf,
    CrLfFile,
    CrLfReply,
}

/// A change of a file, to be written in several ways.
struct Ground<'g> {
    path: &'g str,
    before: &'g Lines,
    after: &'g Lines,
    tally: &'g Tally,
}

impl Ground<'_> {
    fn case(&self, kind: (&'static str, &'static str), ends: Ends) -> Case<'_> {
        let end = if ends == Ends::CrLfFile { "\r\n" } else { "\n" };
        Case {
            kind,
            path: self.path,
            hunks: 1,
            edits: Err(String::new()),
            base: Some(self.before.text(end)),
            expected: Some(self.after.text(end)),
        }
    }

    fn whole_file(&self) {
        // Nothing in an empty file tells how its lines end.
        let edits = read(self.path, &render::whole(self.path, self.after));
        judge(
            self.tally,
            Case {
                edits,
                ..self.case(("whole file", "plain"), Ends::Lf)
            },
        );
    }

    fn segments(&self) {
        let kind = ("references", "plain");
        let hunks = hunks::hunks(self.before, self.after, 8);
        match render::segments(self.path, self.before, &hunks) {
            Some(content) => {
                let edits = Ok(vec![direct::edit(
                    self.path,
                    Format::PlandexBlock,
                    EditBody::Segments { content },
                )]);
                judge(
                    self.tally,
                    Case {
                        edits,
                        hunks: hunks.len(),
                        ..self.case(kind, Ends::Lf)
                    },
                );
            }
            None => self.tally.count(kind, |count| count.left_out += 1),
        }
    }

    /// The same hunks in each format that has hunks.
    fn hunks(&self, how: &'static str, hunks: &[Hunk], ends: Ends) {
        let leave_out = |format| {
            self.tally
                .count((format, how), |count| count.left_out += hunks.len())
        };
        let is_other = hunks
            .iter()
            .any(|hunk| perturb::means_another_place(self.before, hunk));
        let is_perturbed = !["3 lines", "2 lines", "1 line", "0 lines"].contains(&how);
        // Also among the unperturbed there are hunks that are nowhere alone: those are refused.
        if is_perturbed && is_other && how != "wrong numbers" {
            ["search/replace", "diff", "patch"]
                .into_iter()
                .for_each(leave_out);
            return;
        }
        let case = |format, edits| Case {
            edits,
            hunks: hunks.len(),
            ..self.case((format, how), ends)
        };
        judge(
            self.tally,
            case("diff", direct::hunks(self.path, Format::UnifiedDiff, hunks)),
        );
        // Neither of these can take away the last line end; a patch always gives one.
        if self.after.final_newline {
            judge(
                self.tally,
                case("patch", direct::hunks(self.path, Format::ApplyPatch, hunks)),
            );
        } else {
            leave_out("patch");
        }
        let reply = render::blocks(self.path, hunks);
        let is_telling = hunks
            .iter()
            .all(|hunk| hunk.old().iter().any(|line| !line.trim().is_empty()));
        match reply {
            Some(reply) if self.before.final_newline == self.after.final_newline && is_telling => {
                let reply = if ends == Ends::CrLfReply {
                    reply.replace('\n', "\r\n")
                } else {
                    reply
                };
                judge(self.tally, case("search/replace", read(self.path, &reply)));
            }
            _ => leave_out("search/replace"),
        }
    }
}

/// Reads a reply as `plan` does: nothing of a file is built if any block for it is malformed.
fn read(path: &str, reply: &str) -> Result<Vec<Edit>, String> {
    let mut parser = ReplyParser::new();
    let mut events = parser.push(reply);
    events.extend(parser.finish(Ending::Complete));
    let mut edits = Vec::new();
    for event in events {
        match event {
            ReplyEvent::Edit(edit) if edit.path == path => edits.push(edit),
            ReplyEvent::Malformed(_) => return Err("malformed".to_owned()),
            _ => {}
        }
    }
    match edits.is_empty() {
        true => Err("unread".to_owned()),
        false => Ok(edits),
    }
}

fn judge(tally: &Tally, case: Case<'_>) {
    let base = case.base.as_deref().map(str::as_bytes);
    let edits = match &case.edits {
        Ok(edits) => edits,
        Err(why) => {
            return tally.count(case.kind, |count| {
                *count.refused.entry(why.clone()).or_default() += case.hunks
            });
        }
    };
    match build_file(case.path, base, edits) {
        Ok(built) if built.content.as_deref() == case.expected.as_deref().map(str::as_bytes) => {
            tally.count(case.kind, |count| count.right += case.hunks);
        }
        Ok(built) => {
            tally.count(case.kind, |count| count.wrong += 1);
            let text = built
                .content
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let (text, expected) = (text.unwrap_or_default(), case.expected.unwrap_or_default());
            let diff = similar::TextDiff::from_lines(&expected, &text);
            let diff = diff
                .unified_diff()
                .context_radius(4)
                .header("right", "built")
                .to_string();
            let words = format!(
                "{:?} {}\n{diff}\n{:?}\n{edits:#?}",
                case.kind, case.path, built.warnings
            );
            tally.wrong.lock().unwrap().push(words);
        }
        Err(failures) => tally.count(case.kind, |count| {
            count.right += case.hunks.saturating_sub(failures.len());
            for failure in failures {
                *count.refused.entry(word(failure.reason)).or_default() += 1;
            }
        }),
    }
}

fn word(reason: Reason) -> String {
    reason.to_string().to_lowercase()
}
