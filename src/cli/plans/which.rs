//! Which plans a command line means: names, beginnings, numbers, ranges, patterns.

use anyhow::Result;

use super::super::report::UsageError;
use super::globs;
use crate::project::{Project, SelectError, find_among};
use crate::store::plans::{self, Plan, Which};

/// These plans, in the order in which they are numbered.
fn listed(project: &Project, which: Which) -> Result<Vec<Plan>> {
    let listed = project.store.read(|tx| plans::list(tx, which))?;
    Ok(listed.into_iter().map(|listed| listed.plan).collect())
}

/// The plan `name` of the list `which`: by name, id, number, or a beginning that only it has; else
/// by name, id or beginning in the list `other`.
pub(super) fn one(
    project: &Project,
    which: Which,
    other: Option<Which>,
    name: &str,
) -> Result<Plan> {
    let list = listed(project, which)?;
    let named: Vec<&Plan> = list.iter().filter(|plan| plan.name == name).collect();
    if named.len() > 1 {
        let ids: Vec<&str> = named.iter().map(|plan| plan.id.as_str()).collect();
        return Err(SelectError::Ambiguous {
            name: name.to_owned(),
            fits: ids.join(", "),
        }
        .into());
    }
    match find_among(&list, name) {
        Err(SelectError::NoPlan(_)) if name.parse::<usize>().is_err() => {}
        found => return Ok(found?.clone()),
    }
    let list = match other {
        Some(other) => listed(project, other)?,
        None => Vec::new(),
    };
    Ok(find_among(&list, name)?.clone())
}

/// The plans of `plandex plans` that `words` mean, each once, in the order of that list; archived
/// ones by name only.
pub(super) fn many(project: &Project, words: &[String]) -> Result<Vec<Plan>> {
    let (open, archived) = (
        listed(project, Which::Open)?,
        listed(project, Which::Archived)?,
    );
    let mut chosen: Vec<&Plan> = Vec::new();
    for word in words {
        let exact = open
            .iter()
            .chain(&archived)
            .find(|plan| plan.name == *word || plan.id == *word);
        if let Some(plan) = exact {
            chosen.push(plan);
        } else if let Some((first, last)) = range(word) {
            let count = open.len();
            if first == 0 || first > last || last > count {
                let words = format!("there are no plans {word}: they are numbered 1 to {count}");
                return Err(UsageError::new(words, "list them with `plandex plans`").into());
            }
            chosen.extend(&open[first - 1..last]);
        } else if globs::is_pattern(word) {
            let fitting = open.iter().filter(|plan| globs::fits(word, &plan.name));
            let before = chosen.len();
            chosen.extend(fitting);
            if chosen.len() == before {
                let words = format!("no plan fits {word:?}");
                return Err(UsageError::new(words, "list them with `plandex plans`").into());
            }
        } else {
            chosen.push(find_among(&open, word)?);
        }
    }
    let all = open.iter().chain(&archived);
    let is_chosen = |plan: &&Plan| chosen.iter().any(|one| one.id == plan.id);
    Ok(all.filter(is_chosen).cloned().collect())
}

/// All plans of `plandex plans`.
pub(super) fn all(project: &Project) -> Result<Vec<Plan>> {
    listed(project, Which::Open)
}

/// "2-4" as its two numbers.
fn range(word: &str) -> Option<(usize, usize)> {
    let (first, last) = word.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}
