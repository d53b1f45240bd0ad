//! Paths from a model are hostile: what a label means, before the disk is looked at.
//!
//! Which paths may name a file of a project at all is `platform::root`'s to say, so that building
//! and writing never disagree.

pub use crate::platform::root::{PathRefusal, check_relative as check_path};

/// What a labelled path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    /// This file; it may exist or not.
    File(String),
    /// A name without a directory that several known files have.
    Several(Vec<String>),
}

/// Finds the file a label means: the path itself, or the one known file of that name.
///
/// `known` holds the project-relative paths of context, pending changes and, if it exists on disk,
/// the label itself. Only a name without a directory is looked up; there is no guessing.
pub fn resolve_path(labelled: &str, known: &[&str]) -> PathMatch {
    let labelled = labelled.strip_prefix("./").unwrap_or(labelled);
    if labelled.contains('/') || known.contains(&labelled) {
        return PathMatch::File(labelled.to_owned());
    }
    let mut same_name: Vec<&str> = known
        .iter()
        .copied()
        .filter(|path| file_name(path) == labelled)
        .collect();
    same_name.sort_unstable();
    same_name.dedup();
    match same_name.as_slice() {
        [] => PathMatch::File(labelled.to_owned()),
        [one] => PathMatch::File((*one).to_owned()),
        several => PathMatch::Several(several.iter().map(|path| (*path).to_owned()).collect()),
    }
}

/// Tells whether some program runs this file, or what it names, without being asked to.
///
/// Such files are written only after an explicit yes. A Makefile or a build script is not among
/// them: it runs when somebody runs it.
pub fn is_auto_run(path: &str) -> bool {
    let path = path.to_lowercase();
    let components: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let Some((name, parents)) = components.split_last() else {
        return false;
    };
    AUTO_RUN_NAMES.contains(name)
        || parents
            .iter()
            .any(|parent| AUTO_RUN_DIRECTORIES.contains(parent))
        || AUTO_RUN_TAILS.iter().any(|tail| components.ends_with(tail))
        || parents
            .windows(2)
            .any(|pair| pair == [".github", "workflows"] || pair == [".github", "actions"])
}

/// Files that shells, editors, hook runners and CI services read by themselves.
const AUTO_RUN_NAMES: &[&str] = &[
    ".envrc",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".bash_aliases",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".zlogout",
    ".kshrc",
    ".mkshrc",
    ".cshrc",
    ".tcshrc",
    ".login",
    ".inputrc",
    ".xinitrc",
    ".xprofile",
    ".vimrc",
    ".gvimrc",
    ".exrc",
    ".nvim.lua",
    ".gdbinit",
    ".lldbinit",
    ".gitlab-ci.yml",
    ".travis.yml",
    ".pre-commit-config.yaml",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    "jenkinsfile",
    "lefthook.yml",
    ".devcontainer.json",
    ".mcp.json",
];

const AUTO_RUN_DIRECTORIES: &[&str] = &[
    ".husky",
    ".githooks",
    ".circleci",
    ".buildkite",
    ".devcontainer",
];

const AUTO_RUN_TAILS: &[&[&str]] = &[
    &[".vscode", "tasks.json"],
    &[".vscode", "settings.json"],
    &[".claude", "settings.json"],
    &[".claude", "settings.local.json"],
    &["fish", "config.fish"],
];

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
