//! A file's lines, in chunks so that a change moves few of them, with their hashes and an index of
//! the chunks that each stands in, so that a search looks at few. One edit costs about the square
//! root of the file and what the edit itself has.

use std::borrow::Cow;
use std::ops::Range;

use super::index::Index;
use super::steps::steps;
use super::text::{LineEnd, key};

/// Chunks are at least so long: in a small file they cost more than they save.
const CHUNK_LINES_MIN: usize = 4;

/// So many searches read all hashes before an index is made, which is as much work.
const SCANS_MAX: u8 = if cfg!(test) { 1 } else { 3 };

/// What an index finds in files of so many lines is compared with what reading all finds, in
/// builds that check themselves.
const CHECKED_LINES_MAX: usize = 500;

/// One line without its end.
#[derive(Debug, Clone)]
pub(super) struct Line<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) end: LineEnd,
    /// Written by an edit, not read from the file.
    pub(super) is_new: bool,
}

/// What about two lines must be equal for them to be the same line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Everything.
    Exact,
    /// Everything up to the last character that is not blank.
    UpToTrailingSpace,
    /// What stands between the blanks on both sides.
    Inner,
    /// The same with typographic characters folded.
    FoldedInner,
}

const ALL: [Likeness; 4] = [
    Likeness::Exact,
    Likeness::UpToTrailingSpace,
    Likeness::Inner,
    Likeness::FoldedInner,
];

/// Hashes of lines for each likeness that was asked for.
type Keys = [Vec<u64>; ALL.len()];

#[derive(Debug, Default)]
struct Chunk<'a> {
    /// What the indexes call it, wherever it comes to stand.
    name: usize,
    /// Its first line's number in the file.
    start: usize,
    lines: Vec<Line<'a>>,
    keys: Keys,
}

impl<'a> Chunk<'a> {
    fn splice(&mut self, range: Range<usize>, with: Vec<Line<'a>>, keys: &Keys) {
        steps(self.lines.len() + with.len());
        for likeness in ALL {
            let own = &mut self.keys[likeness as usize];
            if !own.is_empty() || self.lines.is_empty() {
                own.splice(range.clone(), keys[likeness as usize].iter().copied());
            }
        }
        self.lines.splice(range, with);
    }

    /// Takes the lines from `at` on.
    fn split_off(&mut self, at: usize) -> Self {
        let mut behind = Self {
            lines: self.lines.split_off(at),
            ..Self::default()
        };
        for (own, behind) in self.keys.iter_mut().zip(&mut behind.keys) {
            if !own.is_empty() {
                *behind = own.split_off(at);
            }
        }
        behind
    }
}

/// The lines of a file.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    /// None is empty.
    chunks: Vec<Chunk<'a>>,
    /// How long chunks are made; twice as long ones are split.
    chunk_lines: usize,
    count: usize,
    /// Where the chunk of each name stands; nowhere if it is gone.
    places: Vec<Option<usize>>,
    /// By likeness.
    searches: Box<[Search; ALL.len()]>,
}

/// What is known for searches with one likeness.
#[derive(Debug, Default)]
struct Search {
    /// Whether the chunks have such hashes.
    is_hashed: bool,
    /// How many searches read all of them.
    scans: u8,
    index: Option<Index>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(lines: Vec<Line<'a>>) -> Self {
        let mut all = Self {
            chunks: Vec::new(),
            chunk_lines: lines.len().isqrt().max(CHUNK_LINES_MIN),
            count: 0,
            places: Vec::new(),
            searches: Box::default(),
        };
        all.splice(0..0, lines);
        all
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn line(&self, at: usize) -> &Line<'a> {
        let chunk = &self.chunks[self.chunk_of(at)];
        &chunk.lines[at - chunk.start]
    }

    pub(super) fn window(&self, range: Range<usize>) -> impl Iterator<Item = &Line<'a>> {
        debug_assert!(range.end <= self.count, "{range:?} of {}", self.count);
        let first = self.chunk_of(range.start);
        let chunks = &self.chunks[first.min(self.chunks.len())..];
        let skipped = range.start - chunks.first().map_or(0, |chunk| chunk.start);
        let lines = chunks.iter().flat_map(|chunk| &chunk.lines);
        lines.skip(skipped).take(range.len())
    }

    /// The hashes of all lines, in their order.
    pub(super) fn keys(&mut self, likeness: Likeness) -> impl Iterator<Item = u64> {
        self.hash(likeness);
        self.all_keys(likeness)
    }

    fn all_keys(&self, likeness: Likeness) -> impl Iterator<Item = u64> {
        let chunks = self.chunks.iter();
        chunks.flat_map(move |chunk| chunk.keys[likeness as usize].iter().copied())
    }

    /// Hashes all lines, once for each likeness; [`Lines::splice`] keeps that up.
    fn hash(&mut self, likeness: Likeness) {
        if std::mem::replace(&mut self.searches[likeness as usize].is_hashed, true) {
            return;
        }
        steps(self.count);
        for chunk in &mut self.chunks {
            let keys = chunk.lines.iter().map(|line| key(&line.text, likeness));
            chunk.keys[likeness as usize] = keys.collect();
        }
    }

    /// All starts of lines with the hashes `wanted`, ascending, overlapping ones too.
    pub(super) fn find(&mut self, wanted: &[u64], likeness: Likeness) -> Vec<usize> {
        if wanted.is_empty() || wanted.len() > self.count {
            return Vec::new();
        }
        self.hash(likeness);
        let search = &mut self.searches[likeness as usize];
        if search.scans < SCANS_MAX {
            search.scans += 1;
            return self.scan(wanted, likeness);
        }
        if search.index.is_none() {
            steps(self.count);
            let index = search.index.insert(Index::default());
            for chunk in &self.chunks {
                index.enter(&chunk.keys[likeness as usize], chunk.name);
            }
        }
        match self.look_up(wanted, likeness) {
            Some(found) => {
                debug_assert!(
                    self.count > CHECKED_LINES_MAX || found == self.scan(wanted, likeness),
                    "the index of {likeness:?} finds {found:?}"
                );
                found
            }
            None => self.scan(wanted, likeness),
        }
    }

    /// Finds lines by the one of them that stands in the fewest chunks; `None` if that would take
    /// longer than to read all.
    fn look_up(&self, wanted: &[u64], likeness: Likeness) -> Option<Vec<usize>> {
        let index = self.searches[likeness as usize].index.as_ref()?;
        steps(wanted.len());
        let fewest = wanted.iter().enumerate();
        let (offset, rare) = fewest.min_by_key(|(_, key)| index.chunks(**key).len())?;
        let names = index.chunks(*rare);
        if names.len() > self.chunks.len() {
            return None;
        }
        let mut places: Vec<usize> = names.iter().filter_map(|name| self.places[*name]).collect();
        places.sort_unstable();
        places.dedup();
        let mut left = self.count + wanted.len();
        let mut found = Vec::new();
        for place in places {
            let chunk = &self.chunks[place];
            steps(chunk.lines.len());
            let keys = chunk.keys[likeness as usize].iter().enumerate();
            for (at, _) in keys.filter(|(_, key)| **key == *rare) {
                let Some(start) = (chunk.start + at).checked_sub(offset) else {
                    continue;
                };
                let same = self.common(start, wanted, likeness);
                steps(same);
                if same == wanted.len() {
                    found.push(start);
                }
                left = left.checked_sub(same)?;
            }
        }
        Some(found)
    }

    /// How many of the hashes stand from the line `start` on.
    fn common(&self, start: usize, wanted: &[u64], likeness: Likeness) -> usize {
        let first = self.chunk_of(start);
        let skipped = start - self.chunks[first].start;
        let chunks = self.chunks[first..].iter();
        let keys = chunks.flat_map(|chunk| &chunk.keys[likeness as usize]);
        let both = keys.skip(skipped).zip(wanted);
        both.take_while(|(theirs, ours)| theirs == ours).count()
    }

    /// Finds lines by reading all hashes.
    fn scan(&self, wanted: &[u64], likeness: Likeness) -> Vec<usize> {
        steps(self.count + wanted.len());
        occurrences(self.all_keys(likeness), wanted)
    }

    /// Puts lines in the place of others.
    pub(super) fn splice(&mut self, range: Range<usize>, with: Vec<Line<'a>>) {
        if self.chunks.is_empty() {
            self.chunks.push(Chunk::default());
            self.name(0);
        }
        self.count = self.count - range.len() + with.len();
        let keys = self.keys_of(&with);
        let first = self.chunk_of(range.start);
        let last = match range.is_empty() {
            true => first,
            false => self.chunk_of(range.end - 1),
        };
        let from = range.start - self.chunks[first].start;
        let until = range.end - self.chunks[last].start;
        if first == last {
            self.chunks[first].splice(from..until, with, &keys);
        } else {
            let len = self.chunks[first].lines.len();
            self.chunks[first].splice(from..len, with, &keys);
            self.chunks[last].splice(0..until, Vec::new(), &Keys::default());
            for gone in self.chunks.drain(first + 1..last) {
                self.places[gone.name] = None;
            }
        }
        self.enter(first, &keys);
        self.split(first);
        self.settle(first);
    }

    fn keys_of(&self, lines: &[Line<'_>]) -> Keys {
        ALL.map(
            |likeness| match self.searches[likeness as usize].is_hashed {
                true => lines.iter().map(|line| key(&line.text, likeness)).collect(),
                false => Vec::new(),
            },
        )
    }

    /// Splits a chunk that has become too long.
    fn split(&mut self, at: usize) {
        let len = self.chunks[at].lines.len();
        if len < 2 * self.chunk_lines {
            return;
        }
        steps(len);
        let mut behind = Vec::with_capacity(len / self.chunk_lines);
        while self.chunks[at].lines.len() >= 2 * self.chunk_lines {
            let rest = self.chunks[at].lines.len() - self.chunk_lines;
            behind.push(self.chunks[at].split_off(rest));
        }
        let count = behind.len();
        self.chunks.splice(at + 1..at + 1, behind.into_iter().rev());
        for new in at + 1..=at + count {
            self.name(new);
            let keys = std::mem::take(&mut self.chunks[new].keys);
            self.enter(new, &keys);
            self.chunks[new].keys = keys;
        }
    }

    /// Tells the indexes that a chunk has got lines.
    fn enter(&mut self, at: usize, keys: &Keys) {
        let name = self.chunks[at].name;
        for (search, keys) in self.searches.iter_mut().zip(keys) {
            if let Some(index) = &mut search.index {
                index.enter(keys, name);
            }
        }
    }

    /// Gives the chunk `at` a name.
    fn name(&mut self, at: usize) {
        self.chunks[at].name = self.places.len();
        self.places.push(Some(at));
    }

    /// Drops what is empty, and counts again from the chunk `first` on.
    fn settle(&mut self, first: usize) {
        let places = &mut self.places;
        if self.chunks[first..]
            .iter()
            .any(|chunk| chunk.lines.is_empty())
        {
            self.chunks.retain(|chunk| {
                let is_kept = !chunk.lines.is_empty();
                if !is_kept {
                    places[chunk.name] = None;
                }
                is_kept
            });
        }
        steps(self.chunks.len().saturating_sub(first));
        let before = first.checked_sub(1).and_then(|at| self.chunks.get(at));
        let mut start = before.map_or(0, |chunk| chunk.start + chunk.lines.len());
        for (place, chunk) in self.chunks.iter_mut().enumerate().skip(first) {
            chunk.start = start;
            self.places[chunk.name] = Some(place);
            start += chunk.lines.len();
        }
    }

    /// The chunk with the line `at`, or the last one.
    fn chunk_of(&self, at: usize) -> usize {
        let behind = self.chunks.partition_point(|chunk| chunk.start <= at);
        behind.saturating_sub(1)
    }
}

/// All starts of `wanted` in `keys`, ascending, overlapping ones too (Knuth, Morris, Pratt).
fn occurrences(keys: impl Iterator<Item = u64>, wanted: &[u64]) -> Vec<usize> {
    let mut starts = Vec::new();
    // fallback[i]: how much of `wanted` still matches after a mismatch behind its first i + 1 keys.
    let mut fallback = vec![0_usize; wanted.len()];
    let mut matched = 0;
    for index in 1..wanted.len() {
        while matched > 0 && wanted[index] != wanted[matched] {
            matched = fallback[matched - 1];
        }
        matched += usize::from(wanted[index] == wanted[matched]);
        fallback[index] = matched;
    }
    matched = 0;
    for (index, key) in keys.enumerate() {
        while matched > 0 && key != wanted[matched] {
            matched = fallback[matched - 1];
        }
        matched += usize::from(key == wanted[matched]);
        if matched == wanted.len() {
            starts.push(index + 1 - matched);
            matched = fallback[matched - 1];
        }
    }
    starts
}
