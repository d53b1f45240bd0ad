//! One file of a diff: what its header says, its hunks, and the edits these are.

use crate::plan::edits::diff_names::{Name, git_pair, plain, unprefixed};
use crate::plan::edits::patch::{HUNKS_MAX, Rows, edit, too_many};
use crate::plan::edits::{Edit, EditBody, Format, Reason};

/// A file of a diff whose end has not come yet.
#[derive(Debug)]
pub(super) struct FileDiff {
    /// Where it starts in the reply, 1-based.
    pub(super) line: usize,
    /// Whether it starts with git's own line, which may not tell its names.
    is_git: bool,
    /// Whether it was announced.
    pub(super) is_started: bool,
    pub(super) rows: usize,
    /// Bytes of the hunks that are over.
    pub(super) bytes: usize,
    /// The names behind `diff --git`.
    git: Option<(Name, Name)>,
    label: Option<String>,
    old: Option<Name>,
    new: Option<Name>,
    renamed_from: Option<Name>,
    renamed_to: Option<Name>,
    old_mode: Option<Mode>,
    new_mode: Option<Mode>,
    is_new: bool,
    is_deleted: bool,
    /// What it says that cannot be done.
    refusal: Option<(Reason, &'static str)>,
    hunks: Vec<Gathered>,
}

/// A hunk and where it starts.
#[derive(Debug)]
struct Gathered {
    line: usize,
    rows: Rows,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Plain,
    Executable,
}

type Refusal = (Reason, String);

/// The old and the new name; `None` for a file that is not there.
type Names = (Option<String>, Option<String>);

/// Why there are none, and the path to report it for.
type NoNames = (Refusal, Option<String>);

impl FileDiff {
    pub(super) fn open(line: usize, git: Option<&str>, label: Option<String>) -> Self {
        Self {
            line,
            is_git: git.is_some(),
            is_started: false,
            rows: 0,
            bytes: 0,
            git: git
                .and_then(|line| line.strip_prefix("diff --git "))
                .and_then(git_pair),
            label,
            old: None,
            new: None,
            renamed_from: None,
            renamed_to: None,
            old_mode: None,
            new_mode: None,
            is_new: false,
            is_deleted: false,
            refusal: None,
            hunks: Vec::new(),
        }
    }

    /// Takes a line above the hunks; gives `false` if none such exists.
    pub(super) fn header(&mut self, line: &str) -> bool {
        if let Some(text) = line.strip_prefix("--- ") {
            return self.old.is_none() && set(&mut self.old, Name::read(text));
        }
        if let Some(text) = line.strip_prefix("+++ ") {
            return self.new.is_none() && set(&mut self.new, Name::read(text));
        }
        if !self.is_git {
            return false;
        }
        if let Some(text) = line.strip_prefix("rename from ") {
            return set(&mut self.renamed_from, Name::read(text));
        }
        if let Some(text) = line.strip_prefix("rename to ") {
            return set(&mut self.renamed_to, Name::read(text));
        }
        for (head, side) in [
            ("old mode ", Side::Old),
            ("deleted file mode ", Side::Deleted),
            ("new mode ", Side::New),
            ("new file mode ", Side::Created),
        ] {
            if let Some(mode) = line.strip_prefix(head) {
                self.mode(side, mode.trim());
                return true;
            }
        }
        if line.starts_with("copy from ") || line.starts_with("copy to ") {
            self.refuse(Reason::Malformed, "a copy of a file cannot be made");
            return true;
        }
        if line.starts_with("GIT binary patch") || line.starts_with("Binary files ") {
            self.refuse(Reason::Binary, "it is a binary patch");
            return true;
        }
        // What a binary patch holds goes with it.
        let is_data = || {
            let is_head = line.starts_with("literal ") || line.starts_with("delta ");
            is_head || !line.contains(char::is_whitespace)
        };
        (self.is_binary() && is_data())
            || ["index ", "similarity index ", "dissimilarity index "]
                .iter()
                .any(|head| line.starts_with(head))
    }

    fn is_binary(&self) -> bool {
        matches!(self.refusal, Some((Reason::Binary, _)))
    }

    fn mode(&mut self, side: Side, mode: &str) {
        let mode = match mode {
            "100644" | "100664" | "100600" | "100640" => Mode::Plain,
            "100755" | "100775" | "100700" => Mode::Executable,
            "120000" => return self.refuse(Reason::Malformed, "a symbolic link cannot be made"),
            _ => return self.refuse(Reason::Malformed, "its file mode is not a file's"),
        };
        match side {
            Side::Old => self.old_mode = Some(mode),
            Side::New => self.new_mode = Some(mode),
            Side::Created => {
                self.is_new = true;
                self.new_mode = Some(mode);
            }
            Side::Deleted => self.is_deleted = true,
        }
    }

    fn refuse(&mut self, reason: Reason, what: &'static str) {
        self.refusal.get_or_insert((reason, what));
    }

    /// Takes a hunk that is whole.
    pub(super) fn take(&mut self, rows: Rows) -> Result<(), String> {
        if rows.removed + rows.added == 0 {
            return Err(format!("the hunk at line {} changes nothing", rows.line));
        }
        if self.hunks.len() == HUNKS_MAX {
            return Err(too_many());
        }
        let line = rows.line;
        self.hunks.push(Gathered { line, rows });
        Ok(())
    }

    /// The file it changes, under its old name if it gets another one.
    pub(super) fn path(&self) -> Option<String> {
        match self.names() {
            Ok((Some(path), _) | (None, Some(path))) => Some(path),
            // How it looks serves to say what is refused.
            Err((_, path)) => path,
            Ok((None, None)) => None,
        }
    }

    fn names(&self) -> Result<Names, NoNames> {
        let git = self.git.as_ref();
        let renamed = self.renamed_from.clone().zip(self.renamed_to.clone());
        if let (Some(pair), Some(old), Some(new)) = (renamed.as_ref().or(git), &self.old, &self.new)
            && !agrees(pair, old, new)
        {
            let message = "its header names other files than the lines below".to_owned();
            let shown = match (text(old), text(new)) {
                (Ok(old), Ok(new)) => Some(plain(unprefixed(&old, &new).1)),
                (Ok(one), Err(_)) | (Err(_), Ok(one)) => Some(plain(&one)),
                (Err(_), Err(_)) => None,
            };
            return Err(((Reason::Malformed, message), shown));
        }
        if let Some((from, to)) = &renamed {
            return Ok((Some(plain(&text(from)?)), Some(plain(&text(to)?))));
        }
        let old = self.old.as_ref().or(git.map(|(old, _)| old));
        let new = self.new.as_ref().or(git.map(|(_, new)| new));
        let (Some(old), Some(new)) = (old, new) else {
            let Some(label) = &self.label else {
                let message = format!("no path is given for the diff at line {}", self.line);
                return Err(((Reason::Malformed, message), None));
            };
            return Ok((Some(label.clone()), Some(label.clone())));
        };
        match (old, new) {
            (Name::Nothing, Name::Nothing) => {
                let message = "it names no file".to_owned();
                Err(((Reason::Malformed, message), None))
            }
            (Name::Nothing, new) => Ok((None, Some(self.lone(&text(new)?, "b/", |git| &git.1)))),
            (old, Name::Nothing) => Ok((Some(self.lone(&text(old)?, "a/", |git| &git.0)), None)),
            (old, new) => {
                let (old, new) = (text(old)?, text(new)?);
                let (old, new) = unprefixed(&old, &new);
                if old != new {
                    let message = format!("it names two files, {old} and {new}");
                    return Err(((Reason::Malformed, message), Some(plain(new))));
                }
                Ok((Some(plain(old)), Some(plain(new))))
            }
        }
    }

    /// The name of a file whose other side is nothing. What git says of both sides tells whether
    /// there is a prefix; without it, there is.
    fn lone(&self, name: &str, prefix: &str, side: fn(&(Name, Name)) -> &Name) -> String {
        if let Some(pair @ (Name::File(old), Name::File(new))) = &self.git
            && *side(pair) == Name::File(name.to_owned())
        {
            return plain(match prefix {
                "a/" => unprefixed(old, new).0,
                _ => unprefixed(old, new).1,
            });
        }
        plain(name.strip_prefix(prefix).unwrap_or(name))
    }

    /// Its edits, in the order in which they are done.
    pub(super) fn edits(mut self) -> Result<Vec<Edit>, Refusal> {
        if let Some((reason, what)) = self.refusal {
            return Err((reason, what.to_owned()));
        }
        let (old, new) = self.names().map_err(|(refusal, _)| refusal)?;
        let hunks = std::mem::take(&mut self.hunks);
        let line = self.line;
        let of = |path: &str, body| edit(path, Format::UnifiedDiff, line, body);
        let is_executable = self.new_mode == Some(Mode::Executable);
        match (old, new) {
            (None, Some(path)) => self.creation(&path, &hunks, is_executable),
            (_, Some(path)) if self.is_new => self.creation(&path, &hunks, is_executable),
            (Some(path), None) => self.deletion(&path, &hunks),
            (Some(path), _) if self.is_deleted => self.deletion(&path, &hunks),
            (Some(path), to) => {
                let mut edits = Vec::new();
                for hunk in hunks {
                    let body = EditBody::Hunk(hunk.rows.close().map_err(malformed)?);
                    edits.push(edit(&path, Format::UnifiedDiff, hunk.line, body));
                }
                if let Some(to) = to.filter(|to| *to != path) {
                    edits.push(of(&path, EditBody::Move { to }));
                }
                if self.new_mode.is_some() && self.new_mode != self.old_mode {
                    let executable = is_executable;
                    edits.push(of(&path, EditBody::Executable { executable }));
                }
                if edits.is_empty() {
                    return Err(malformed("it has no hunk"));
                }
                Ok(edits)
            }
            (None, None) => Err(malformed("it names no file")),
        }
    }

    fn creation(
        &self,
        path: &str,
        hunks: &[Gathered],
        is_executable: bool,
    ) -> Result<Vec<Edit>, Refusal> {
        let content = match self.whole_side(hunks)? {
            None => String::new(),
            Some(rows) if rows.old_count > 0 => {
                return Err(malformed("a new file has nothing but added rows"));
            }
            Some(rows) => {
                let mut content = rows.hunk.new.clone();
                if rows.lack_ends().1 {
                    content.pop();
                }
                content
            }
        };
        let of = |body| edit(path, Format::UnifiedDiff, self.line, body);
        let mut edits = vec![of(EditBody::Create { content })];
        if is_executable {
            edits.push(of(EditBody::Executable { executable: true }));
        }
        Ok(edits)
    }

    fn deletion(&self, path: &str, hunks: &[Gathered]) -> Result<Vec<Edit>, Refusal> {
        let old = match self.whole_side(hunks)? {
            Some(rows) if rows.new_count > 0 => {
                return Err(malformed("a deleted file has nothing but removed rows"));
            }
            rows => rows.map(|rows| rows.hunk.old.clone()),
        };
        let body = EditBody::Delete { old };
        Ok(vec![edit(path, Format::UnifiedDiff, self.line, body)])
    }

    /// The one hunk that holds a whole file; none if git says that the file is empty.
    fn whole_side<'a>(&self, hunks: &'a [Gathered]) -> Result<Option<&'a Rows>, Refusal> {
        match hunks {
            [] if self.is_new || self.is_deleted => Ok(None),
            [] => Err(malformed("it has no hunk")),
            [one] => Ok(Some(&one.rows)),
            _ => Err(malformed("a file that comes or goes has one hunk")),
        }
    }
}

/// Tells whether what `diff --git` names is what the names below it say, where these name files.
fn agrees(pair: &(Name, Name), old: &Name, new: &Name) -> bool {
    let is_same = |side: &Name, name: &Name| *name == Name::Nothing || side == name;
    let bare = |old: &Name, new: &Name| match (old, new) {
        (Name::File(old), Name::File(new)) => {
            let (old, new) = unprefixed(old, new);
            Some((plain(old), plain(new)))
        }
        _ => None,
    };
    (is_same(&pair.0, old) && is_same(&pair.1, new))
        || bare(&pair.0, &pair.1).is_some_and(|pair| Some(pair) == bare(old, new))
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Old,
    New,
    Created,
    Deleted,
}

fn malformed(what: impl Into<String>) -> Refusal {
    (Reason::Malformed, what.into())
}

fn set(slot: &mut Option<Name>, name: Option<Name>) -> bool {
    let is_name = name.is_some();
    *slot = name;
    is_name
}

/// The text of a name that is no `/dev/null`.
fn text(name: &Name) -> Result<String, NoNames> {
    match name {
        Name::File(name) => Ok(name.clone()),
        Name::Nothing => Err((malformed("it names no file"), None)),
        Name::NotText(shown) => {
            let message = "its path is not UTF-8".to_owned();
            Err(((Reason::UnsafePath, message), Some(shown.clone())))
        }
    }
}
