//! Which relative paths may name a file of a project: rules that need no disk.
//!
//! Paths from a model are hostile (HAZARDS.md H14). The rules are the same on every system, so
//! that a reply means the same everywhere; what needs the disk (symbolic links, hard links, names
//! that differ only in case) is seen by whoever opens the path.

/// The longest component that Linux file systems take, in bytes.
const COMPONENT_BYTES_MAX: usize = 255;
/// The longest path that Linux takes, in bytes.
const PATH_BYTES_MAX: usize = 4096;

/// Why a path may not name a file of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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

/// The form in which names that differ only by case are equal, whatever a file system folds.
pub fn fold_case(name: &str) -> String {
    // There and back again: some letters meet only in capitals, some only in small ones.
    name.chars()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

/// Checks that `path` may name a file below a project's root, on any system.
///
/// Fails with the first rule it breaks.
pub fn check_relative(path: &str) -> Result<(), PathRefusal> {
    if path.is_empty() {
        return Err(PathRefusal::Empty);
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(PathRefusal::TooLong);
    }
    let has_drive =
        path.as_bytes()[0].is_ascii_alphabetic() && path.as_bytes().get(1) == Some(&b':');
    if has_drive || path.starts_with('/') || path == "~" || path.starts_with("~/") {
        return Err(PathRefusal::NotRelative);
    }
    path.chars().try_for_each(check_character)?;
    path.split('/').try_for_each(check_component)
}

fn check_character(character: char) -> Result<(), PathRefusal> {
    if character.is_control() {
        return Err(PathRefusal::Control);
    }
    if is_invisible(character) {
        return Err(PathRefusal::Invisible);
    }
    if matches!(character, '\\' | ':' | '<' | '>' | '"' | '|' | '?' | '*') {
        return Err(PathRefusal::NotPortable);
    }
    Ok(())
}

/// Whether HFS+ drops the character from names, or a terminal shows nothing for it.
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

/// Whether some file system takes the component for `.git` or `.plandex`: by case, by dropping
/// what Windows drops from the end, or by its 8.3 form (`git~1`, `plande~1`).
fn is_internal(component: &str) -> bool {
    let name = component.trim_end_matches(['.', ' ']).to_lowercase();
    let is_short_for = |stem: &str| {
        name.strip_prefix(stem)
            .and_then(|rest| rest.strip_prefix('~'))
            .is_some_and(|digits| {
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            })
    };
    matches!(name.as_str(), ".git" | ".plandex") || is_short_for("git") || is_short_for("plande")
}

fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component);
    let stem = stem.trim_end_matches(' ').to_ascii_lowercase();
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
        matches!(digit, "¹" | "²" | "³")
            || digit
                .parse::<u8>()
                .is_ok_and(|number| number < 10 && digit.len() == 1)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_paths_pass() {
        for path in [
            "a",
            "src/main.rs",
            "a b/c d.txt",
            "-rf",
            ".github/workflows/ci.yml",
            ".gitignore",
            ".gitmodules",
            "dir/.envrc",
            "ünïcode/文件.md",
            "app/[id]/page.tsx",
            "comma,semi;colon",
            "console.rs",
            "com10",
            "git~x",
            "~backup",
            "...a",
        ] {
            assert_eq!(check_relative(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn hostile_paths_are_refused_by_name() {
        use PathRefusal as R;
        let long_component = "x".repeat(256);
        let long_path = "x/".repeat(2049);
        for (path, refusal) in [
            ("", R::Empty),
            ("/etc/passwd", R::NotRelative),
            ("~/.bashrc", R::NotRelative),
            ("C:/windows", R::NotRelative),
            ("c:x", R::NotRelative),
            ("../x", R::Traversal),
            ("a/../../x", R::Traversal),
            ("a/./b", R::Traversal),
            ("a//b", R::Traversal),
            ("a/", R::Traversal),
            ("a\0b", R::Control),
            ("a\nb", R::Control),
            ("a\u{9b}b", R::Control),
            ("a\u{202e}b", R::Invisible),
            (".g\u{200c}it/config", R::Invisible),
            ("..\\x", R::NotPortable),
            (".git::$INDEX_ALLOCATION/config", R::NotPortable),
            ("a/b. ", R::TrailingDotOrSpace),
            ("a./b", R::TrailingDotOrSpace),
            ("nul.txt", R::Device),
            ("a/COM1", R::Device),
            ("lpt³.log", R::Device),
            ("aux .c", R::Device),
            (".git", R::Internal),
            ("a/.GIT/hooks/pre-commit", R::Internal),
            (".git. /config", R::Internal),
            ("GIT~1/config", R::Internal),
            (".Plandex/plandex.db", R::Internal),
            ("PLANDE~1/x", R::Internal),
            (long_component.as_str(), R::TooLong),
            (long_path.as_str(), R::TooLong),
        ] {
            assert_eq!(check_relative(path), Err(refusal), "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_passes_stays_below(path in "[a./\\\\~:\u{0}-\u{2f}\u{200b}-\u{2030}]{0,12}") {
            if check_relative(&path).is_ok() {
                let mut depth = 0_i32;
                for component in std::path::Path::new(&path).components() {
                    let std::path::Component::Normal(_) = component else {
                        return Err(TestCaseError::fail(format!("{component:?} in {path:?}")));
                    };
                    depth += 1;
                }
                prop_assert_eq!(depth, i32::try_from(path.split('/').count()).unwrap());
            }
        }
    }
}
