//! Changes of the plan itself: its name, whether it is archived, whether it is deleted.
//!
//! A plan's row stands in the tree of each of its branches, so each of them gets a version; one
//! transaction moves all their heads and changes the row.

use anyhow::{Context as _, Result, bail};

use super::{SelectError, Turn, tree};
use crate::platform::clock;
use crate::store::branches;
use crate::store::plans::{self, Plan};
use crate::store::tickets::WritePermit;

/// A name made of a prompt is at most so long.
const NAME_CHARS: usize = 40;
/// And of at most so many words.
const NAME_WORDS: usize = 6;

impl Turn<'_> {
    /// Changes the plan as `edit` says, in a version with `message` of each live branch; returns the
    /// plan as it is then. A plan that stays as it is gets no version.
    ///
    /// Fails with [`SelectError::Taken`] if the name that it would have is another live plan's.
    pub fn describe(
        &self,
        permit: &WritePermit,
        message: &str,
        edit: impl FnOnce(&mut Plan),
    ) -> Result<Plan> {
        let store = &self.project.store;
        let (before, branches) = store.read(|tx| {
            let plan = plans::by_id(tx, self.plan_id)?.context("the plan is gone")?;
            Ok((plan, branches::of_plan(tx, self.plan_id)?))
        })?;
        let mut plan = before.clone();
        edit(&mut plan);
        if plan == before {
            return Ok(plan);
        }
        plan.updated_at = clock::wall_ms();
        let repo = self.repo()?;
        let change = [tree::plan(&tree::PlanAbout::from(&plan))];
        let mut moved = Vec::with_capacity(branches.len());
        for branch in branches {
            let version = self.commit(&repo, branch.head.as_deref(), &change, message)?;
            moved.push((branch, version.to_string()));
        }
        store.write(permit, |tx| {
            if plan.deleted_at.is_none()
                && plans::by_name(tx, &plan.name)?.is_some_and(|other| other.id != plan.id)
            {
                return Err(SelectError::Taken(plan.name.clone()).into());
            }
            for (branch, version) in &moved {
                if !branches::move_head(tx, &branch.id, branch.head.as_deref(), version)? {
                    let name = &branch.name;
                    bail!("branch \"{name}\" moved under the plan's write ticket");
                }
            }
            plans::set(tx, &plan)
        })?;
        for (branch, _) in &moved {
            self.mirror(&repo, &branch.id);
        }
        Ok(plan)
    }

    /// Names a plan that nobody named after its first prompt; another plan is left as it is.
    pub fn name_draft(&self, permit: &WritePermit, prompt: &str) -> Result<()> {
        let store = &self.project.store;
        let plan = store.read(|tx| plans::by_id(tx, self.plan_id))?;
        let Some(plan) = plan.filter(|plan| plan.is_draft) else {
            return Ok(());
        };
        let Some(wanted) = name_of(prompt) else {
            return Ok(());
        };
        // Bounded: each round that fails, another process has got a name.
        loop {
            let live = store.read(plans::live)?;
            let is_free = |name: &String| {
                let mut others = live.iter().filter(|other| other.id != plan.id);
                others.all(|other| other.name != *name)
            };
            let numbered = (2_usize..).map(|number| format!("{wanted}-{number}"));
            let name = std::iter::once(wanted.clone())
                .chain(numbered)
                .find(is_free);
            let name = name.unwrap_or_else(|| wanted.clone());
            let message = format!("Name plan {name}");
            let named = self.describe(permit, &message, |plan| {
                plan.name.clone_from(&name);
                plan.is_draft = false;
            });
            match named {
                Err(error) if matches!(error.downcast_ref(), Some(SelectError::Taken(_))) => {}
                other => return other.map(drop),
            }
        }
    }
}

/// A plan's name made of the first words of a prompt's first line, always the same: "Add a --json flag" is
/// "add-a-json-flag". `None` if no word in it is one.
fn name_of(prompt: &str) -> Option<String> {
    // What is quoted says what, but not what for.
    let fences = ["```", "<<<<<<<"].map(|fence| prompt.find(fence));
    let end = fences.into_iter().flatten().min().unwrap_or(prompt.len());
    let mut lines = prompt[..end].lines();
    let said = lines.find(|line| line.chars().any(char::is_alphanumeric))?;
    let mut name = String::new();
    let words = said.split(|c: char| !c.is_alphanumeric());
    for word in words.filter(|word| !word.is_empty()).take(NAME_WORDS) {
        let word = word.to_lowercase();
        let length = name.chars().count() + 1 + word.chars().count();
        if !name.is_empty() && length > NAME_CHARS {
            break;
        }
        if !name.is_empty() {
            name.push('-');
        }
        name.extend(word.chars().take(NAME_CHARS));
    }
    // A number alone would be taken for a place in the list of plans.
    let is_number = name.chars().all(|c| c.is_ascii_digit());
    (!name.is_empty()).then(|| {
        if is_number {
            format!("plan-{name}")
        } else {
            name
        }
    })
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn a_name_is_made_of_the_first_words() {
        for (prompt, name) in [
            ("Add a --json flag", Some("add-a-json-flag")),
            ("  \n Größe ändern!\nBitte. ", Some("größe-ändern")),
            (
                "one two three four five six seven",
                Some("one-two-three-four-five-six"),
            ),
            (
                "internationalization of authentication mechanisms",
                Some("internationalization-of-authentication"),
            ),
            ("src/lib.rs\n```\n<<<<<<< SEARCH", Some("src-lib-rs")),
            ("42", Some("plan-42")),
            ("?!", None),
            ("```\nx\n```", None),
        ] {
            assert_eq!(name_of(prompt).as_deref(), name, "{prompt}");
        }
        let long = "x".repeat(100);
        assert_eq!(
            name_of(&long).map(|name| name.len()),
            Some(super::NAME_CHARS)
        );
    }
}
