//! In which chunks of a file a line stands.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The chunks of each line, by its hash. One that has lost the line may still be there.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Of most lines there is one.
    first: HashMap<u64, usize>,
    /// All chunks of the others.
    several: HashMap<u64, Vec<usize>>,
}

impl Index {
    /// Notes that the chunk has lines with these hashes.
    pub(super) fn enter(&mut self, keys: &[u64], chunk: usize) {
        for key in keys {
            match self.first.entry(*key) {
                Entry::Vacant(none) => {
                    none.insert(chunk);
                }
                Entry::Occupied(first) if *first.get() == chunk => {}
                Entry::Occupied(first) => {
                    let several = self.several.entry(*key);
                    let chunks = several.or_insert_with(|| vec![*first.get()]);
                    if chunks.last() != Some(&chunk) {
                        chunks.push(chunk);
                    }
                }
            }
        }
    }

    /// The chunks that may have a line with this hash; one may be there twice.
    pub(super) fn chunks(&self, key: u64) -> &[usize] {
        match self.several.get(&key) {
            Some(chunks) => chunks,
            None => self.first.get(&key).map_or(&[], std::slice::from_ref),
        }
    }
}
