//! Paths from a model are hostile: these checks need no disk and come before anything else.
//!
//! They hold on every system, so that a reply means the same everywhere. What needs the disk
//! (symbolic links, hard links, names that differ only in case) is checked when files are written.

use thiserror::Error;

/// The longest component and the longest path, in bytes, that Linux file systems take.
const COMPONENT_BYTES_MAX: usize = 255;
const PATH_BYTES_MAX: usize = 4096;

/// Why a path is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathRefusal {
    /// No text at all.
    #[error("the path is empty")]
    Empty,
    /// Over 4096 bytes, or a component over 255.
    #[error("the path is too long")]
    TooLong,
    /// It starts at the root, a home directory or a drive.
    #[error("the path is not relative to the project")]
    NotRelative,
    /// A `.`, `..` or empty component.
    #[error("the path has a `.`, `..` or empty component")]
    Traversal,
    /// A control character, NUL among them.
    #[error("the path has a control character")]
    Control,
    /// A character that shows nothing or turns the text around; HFS+ ignores some of them.
    #[error("the path has an invisible character")]
    Invisible,
    /// A character that ends or splits names on Windows (`\`, `:`, `<`, `>`, `"`, `|`, `?`, `*`).
    #[error("the path has one of \\ : < > \" | ? *")]
    NotPortable,
    /// A component ends in a dot or a space, which Windows drops.
    #[error("a component of the path ends in a dot or a space")]
    TrailingDotOrSpace,
    /// A device name of Windows, with or without an extension.
    #[error("a component of the path is a device name on Windows")]
    Device,
    /// `.git` or `.plandex`, in any case or short form.
    #[error("the path goes into .git or .plandex")]
    Internal,
}

/// Checks that a path from a model may name a file of the project, on any system.
///
/// # Errors
/// The first rule it breaks.
pub fn check_path(path: &str) -> Result<(), PathRefusal> {
    if path.is_empty() {
        return Err(PathRefusal::Empty);
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(PathRefusal::TooLong);
    }
    check_characters(path)?;
    if path.starts_with('/') || path == "~" || path.starts_with("~/") {
        return Err(PathRefusal::NotRelative);
    }
    path.split('/').try_for_each(check_component)
}

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

fn check_characters(path: &str) -> Result<(), PathRefusal> {
    let bytes = path.as_bytes();
    if bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.get(1) == Some(&b':') {
        return Err(PathRefusal::NotRelative);
    }
    for character in path.chars() {
        if character.is_control() {
            return Err(PathRefusal::Control);
        }
        if is_invisible(character) {
            return Err(PathRefusal::Invisible);
        }
        if matches!(character, '\\' | ':' | '<' | '>' | '"' | '|' | '?' | '*') {
            return Err(PathRefusal::NotPortable);
        }
    }
    Ok(())
}

/// Tells whether HFS+ drops the character from names, or a terminal shows nothing for it.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

fn check_component(component: &str) -> Result<(), PathRefusal> {
    if component.len() > COMPONENT_BYTES_MAX {
        return Err(PathRefusal::TooLong);
    }
    // Before the dot rule, so that `.git.` is named for what it is.
    if is_internal(component) {
        return Err(PathRefusal::Internal);
    }
    if matches!(component, "" | "." | "..") {
        return Err(PathRefusal::Traversal);
    }
    if component.ends_with(['.', ' ']) {
        return Err(PathRefusal::TrailingDotOrSpace);
    }
    if is_device(component) {
        return Err(PathRefusal::Device);
    }
    Ok(())
}

fn is_internal(component: &str) -> bool {
    let name = component.trim_end_matches(['.', ' ']).to_lowercase();
    let short = |stem: &str| {
        name.strip_prefix(stem)
            .and_then(|rest| rest.strip_prefix('~'))
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    matches!(name.as_str(), ".git" | ".plandex") || short("git") || short("plande")
}

fn is_device(component: &str) -> bool {
    let stem = component
        .split('.')
        .next()
        .unwrap_or(component)
        .trim_end_matches(' ');
    let stem = stem.to_ascii_lowercase();
    if matches!(
        stem.as_str(),
        "con" | "prn" | "aux" | "nul" | "conin$" | "conout$"
    ) {
        return true;
    }
    let port = stem
        .strip_prefix("com")
        .or_else(|| stem.strip_prefix("lpt"));
    port.is_some_and(|digit| {
        matches!(
            digit,
            "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"
        )
    })
}
