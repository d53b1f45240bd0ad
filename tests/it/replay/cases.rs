//! The ways in which one change of a file is written.

use plandex::plan::edits::Edit;
use plandex::plan::reply::{Ending, ReplyEvent, ReplyParser};

use super::hunks::{self, Hunk};
use super::layout::Lines;
use super::perturb::{self, Dice};
use super::{Case, Tally, judge, render};

/// A file that is made, or removed.
pub(super) fn creations(path: &str, before: Option<&Lines>, after: Option<&Lines>, tally: &Tally) {
    let empty = Lines::of("");
    let hunks = hunks::hunks(before.unwrap_or(&empty), after.unwrap_or(&empty), 3);
    let how = if after.is_some() {
        "new file"
    } else {
        "removal"
    };
    let case = |format, reply: &str, expected: Option<String>| Case {
        kind: (format, how),
        path,
        hunks: 1,
        edits: read(path, reply),
        base: before.map(|lines| lines.text("\n")),
        expected,
    };
    // Only a diff can say that the last line of a new file has no end.
    let as_it_is = after.map(|lines| lines.text("\n"));
    let ended = after.map(|lines| {
        let final_newline = true;
        Lines {
            final_newline,
            ..lines.clone()
        }
        .text("\n")
    });
    judge(
        tally,
        case("diff", &render::diff(path, before, after, &hunks), as_it_is),
    );
    judge(
        tally,
        case(
            "patch",
            &render::patch(path, before, after, &hunks),
            ended.clone(),
        ),
    );
    let Some(after) = after else {
        return;
    };
    judge(
        tally,
        case("whole file", &render::whole(path, after), ended.clone()),
    );
    match render::blocks(path, &hunks) {
        Some(reply) if !hunks.is_empty() => judge(tally, case("search/replace", &reply, ended)),
        _ => tally.count(("search/replace", how), |count| count.left_out += 1),
    }
}

/// A file that is changed: in each format, and perturbed.
pub(super) fn updates(path: &str, before: &Lines, after: &Lines, dice: &mut Dice, tally: &Tally) {
    let three = hunks::hunks(before, after, 3);
    let ground = Ground {
        path,
        before,
        after,
        tally,
    };
    ground.whole_file();
    ground.references();
    for (how, context) in [("2 lines", 2), ("1 line", 1), ("0 lines", 0)] {
        ground.hunks(how, &hunks::hunks(before, after, context), Ends::Lf);
    }
    ground.hunks("3 lines", &three, Ends::Lf);
    ground.hunks("CRLF file", &three, Ends::CrLfFile);
    ground.hunks("CRLF reply", &three, Ends::CrLfReply);
    ground.hunks(
        "wrong numbers",
        &perturb::wrong_numbers(&three, dice),
        Ends::Lf,
    );
    ground.perturbed("trailing space", &perturb::trailing_space(&three));
    ground.perturbed("space stripped", &perturb::no_trailing_space(&three));
    ground.perturbed("deeper", &perturb::deeper(&three));
    ground.perturbed("shallower", &perturb::shallower(&three));
    ground.perturbed("plain quotes", &perturb::plain_characters(&three));
    ground.perturbed("less context", &perturb::dropped_context(&three, dice));
    ground.perturbed("stale context", &perturb::stale_context(&three, dice));
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
    fn judge(&self, kind: (&'static str, &'static str), hunks: usize, reply: &str, ends: Ends) {
        let reply = match ends {
            Ends::CrLfReply => &reply.replace('\n', "\r\n"),
            Ends::Lf | Ends::CrLfFile => reply,
        };
        // Nothing in an empty file tells how its lines are to end.
        let end = match ends {
            Ends::CrLfFile if !self.before.lines.is_empty() => "\r\n",
            Ends::CrLfFile | Ends::CrLfReply | Ends::Lf => "\n",
        };
        let case = Case {
            kind,
            path: self.path,
            hunks,
            edits: read(self.path, reply),
            base: Some(self.before.text(end)),
            expected: Some(self.after.text(end)),
        };
        judge(self.tally, case);
    }

    fn leave_out(&self, kind: (&'static str, &'static str), hunks: usize) {
        self.tally.count(kind, |count| count.left_out += hunks);
    }

    /// Whether the change is to the last line's end, which only a diff can speak of.
    fn changes_end(&self) -> bool {
        self.before.final_newline != self.after.final_newline
    }

    fn whole_file(&self) {
        let kind = ("whole file", "plain");
        match self.changes_end() {
            true => self.leave_out(kind, 1),
            false => self.judge(kind, 1, &render::whole(self.path, self.after), Ends::Lf),
        }
    }

    fn references(&self) {
        let kind = ("references", "plain");
        let hunks = hunks::hunks(self.before, self.after, 8);
        match render::references(self.path, self.before, &hunks) {
            Some(reply) if !self.changes_end() => {
                self.judge(kind, hunks.len(), &reply, Ends::Lf);
            }
            _ => self.leave_out(kind, hunks.len()),
        }
    }

    /// Hunks of which none became another change.
    fn perturbed(&self, how: &'static str, hunks: &[Hunk]) {
        if hunks
            .iter()
            .any(|hunk| perturb::means_another_place(self.before, hunk))
        {
            for format in ["search/replace", "diff", "patch"] {
                self.leave_out((format, how), hunks.len());
            }
            return;
        }
        self.hunks(how, hunks, Ends::Lf);
    }

    /// The same hunks in each format that has hunks.
    fn hunks(&self, how: &'static str, hunks: &[Hunk], ends: Ends) {
        let (before, after) = (Some(self.before), Some(self.after));
        let reply = render::diff(self.path, before, after, hunks);
        self.judge(("diff", how), hunks.len(), &reply, ends);
        // A patch always gives the last line its end.
        if self.after.final_newline {
            let reply = render::patch(self.path, before, after, hunks);
            self.judge(("patch", how), hunks.len(), &reply, ends);
        } else {
            self.leave_out(("patch", how), hunks.len());
        }
        let is_blank = |hunk: &Hunk| hunk.old().iter().all(|line| line.trim().is_empty());
        match render::blocks(self.path, hunks) {
            // All of a block's lines are meant.
            _ if how == "stale context" => self.leave_out(("search/replace", how), hunks.len()),
            // A search of nothing, or of blank lines, is not a search.
            Some(reply) if !self.changes_end() && !hunks.iter().any(is_blank) => {
                self.judge(("search/replace", how), hunks.len(), &reply, ends);
            }
            _ => self.leave_out(("search/replace", how), hunks.len()),
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
            ReplyEvent::Edit(edit) => return Err(format!("read as {}", edit.path)),
            ReplyEvent::Malformed(_) => return Err("malformed".to_owned()),
            ReplyEvent::Prose(_)
            | ReplyEvent::FileStarted { .. }
            | ReplyEvent::FileLines { .. } => {}
        }
    }
    match edits.is_empty() {
        true => Err("unread".to_owned()),
        false => Ok(edits),
    }
}
