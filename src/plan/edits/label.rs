//! Paths as models write them beside their blocks: in a fence's info string, or on a line above.
//!
//! Read strictly and never corrected: a block without a clear label is prose, and a wrong file is
//! worse than a failure. Whether the path is safe is asked later, so that a refusal is reported.

/// How many marks around a path are taken away.
const DECORATIONS_MAX: usize = 12;

/// The path a line stands for, if it is nothing but a path with the usual decoration: heading,
/// bullet, bold, backticks, `File:` before or a colon behind.
pub(crate) fn from_line(line: &str) -> Option<String> {
    let stripped = strip_decoration(line.trim());
    let is_spaced = stripped.text.contains(char::is_whitespace);
    if is_spaced && !stripped.is_explicit && !stripped.is_quoted {
        return None;
    }
    let names_a_file =
        stripped.is_explicit || has_directory(stripped.text) || has_file_name(stripped.text);
    (names_a_file && may_be_path(stripped.text)).then(|| normal(stripped.text))
}

/// Like [`from_line`], but only what nobody would write as a heading for something else. A whole
/// file is written on such a line's word alone, where a block has lines that must be found.
pub(crate) fn from_line_surely(line: &str) -> Option<String> {
    let path = from_line(line)?;
    let Stripped {
        is_explicit,
        is_listed,
        ..
    } = strip_decoration(line.trim());
    if is_listed && !line.contains(':') {
        return None;
    }
    let ending = extension(&path).to_ascii_lowercase();
    let is_sure = is_explicit
        || is_well_known(&path)
        || (has_directory(&path) && !ending.is_empty())
        || is_dot_file(&path)
        || FILE_ENDINGS.contains(&ending.as_str());
    is_sure.then_some(path)
}

/// The files a sentence speaks of, as far as they are in backticks or have a directory.
pub(crate) fn mentioned(line: &str) -> Vec<String> {
    let is_around = |c: char| "`'\"*()[],;:.!?".contains(c);
    line.split_whitespace()
        .filter(|word| word.contains(['`', '/']))
        .filter_map(|word| {
            // A leading dot may belong to the name.
            let word = word.trim_start_matches(|c| is_around(c) && c != '.');
            from_line_surely(word.trim_end_matches(is_around))
        })
        .collect()
}

/// The path in a fence's info string: `rust:src/a.rs`, `src/a.rs`, or `path=`, `file=`,
/// `filename=`, `title=` with or without quotes.
pub(crate) fn from_info(info: &str) -> Option<String> {
    let named = attribute(info)
        .filter(|value| may_be_path(value) && (has_directory(value) || has_file_name(value)));
    if let Some(path) = named {
        return Some(normal(path));
    }
    let first = info.split_whitespace().next()?;
    if first.starts_with('{') || LANGUAGES_LIKE_FILES.contains(&first.to_lowercase().as_str()) {
        return None;
    }
    let is_language = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+#-_.".contains(c))
    };
    let path = match first.split_once(':') {
        // `12:15:src/a.rs` cites lines, and `http://…` is an address; neither is a label.
        Some((language, path)) if is_language(language) && !path.starts_with("//") => path,
        Some(_) => return None,
        // By itself `Makefile` is a language.
        None if is_well_known(first) && !has_directory(first) => return None,
        None => first,
    };
    (may_be_path(path) && has_file_name(path)).then(|| normal(path))
}

/// The language of an info string, in lower case; empty if there is none.
pub(crate) fn language(info: &str) -> String {
    let first = info
        .split([' ', '\t', ':', ',', '{'])
        .next()
        .unwrap_or_default();
    first.to_ascii_lowercase()
}

/// What follows the last dot of a path's file name; empty for none, and for dot files.
pub(crate) fn extension(path: &str) -> &str {
    let name = file_name(path);
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => extension,
        _ => "",
    }
}

struct Stripped<'a> {
    text: &'a str,
    /// A word such as `File:` says that it is a path.
    is_explicit: bool,
    /// Backticks around it say where it starts and ends.
    is_quoted: bool,
    /// It is an item of a list. With a colon it is a label; without, a list of files may end.
    is_listed: bool,
}

fn strip_decoration(line: &str) -> Stripped<'_> {
    let mut stripped = Stripped {
        text: line,
        is_explicit: false,
        is_quoted: false,
        is_listed: false,
    };
    // Nobody decorates deeper, and a line of nothing but colons must not take for ever.
    for _ in 0..DECORATIONS_MAX {
        let text = stripped.text;
        let next = if let Some(rest) = strip_marker_word(text) {
            stripped.is_explicit = true;
            rest
        } else if let Some(inner) = between(text, "`") {
            stripped.is_quoted = true;
            inner
        } else if let Some(rest) = strip_bullet(text) {
            stripped.is_listed = true;
            rest
        } else {
            between(text, "**")
                .or_else(|| between(text, "*"))
                .or_else(|| text.strip_suffix(':'))
                .unwrap_or_else(|| text.trim_start_matches('#'))
        };
        let next = next.trim();
        if next.len() == text.len() {
            break;
        }
        stripped.text = next;
    }
    stripped
}

fn between<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let inner = text.strip_prefix(mark)?.strip_suffix(mark)?;
    (!inner.is_empty() && !inner.contains(mark)).then_some(inner)
}

fn strip_bullet(text: &str) -> Option<&str> {
    ["- ", "* ", "+ "]
        .iter()
        .find_map(|bullet| text.strip_prefix(bullet))
        .or_else(|| {
            let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
            let rest = rest
                .strip_prefix(". ")
                .or_else(|| rest.strip_prefix(") "))?;
            text.starts_with(|c: char| c.is_ascii_digit())
                .then_some(rest)
        })
}

fn strip_marker_word(text: &str) -> Option<&str> {
    const WORDS: [&str; 12] = [
        "file:",
        "**file:**",
        "**file**:",
        "path:",
        "**path:**",
        "**path**:",
        "filename:",
        "**filename:**",
        "**filename**:",
        "file path:",
        "file name:",
        "filepath:",
    ];
    WORDS.iter().find_map(|word| {
        let head = text.get(..word.len())?;
        head.eq_ignore_ascii_case(word).then(|| &text[word.len()..])
    })
}

/// The value of the first attribute that names a file.
fn attribute(info: &str) -> Option<&str> {
    const NAMES: [&str; 4] = ["path=", "file=", "filename=", "title="];
    let starts = |at: usize| {
        at == 0 || info[..at].ends_with(|c: char| c.is_whitespace() || c == '{' || c == ',')
    };
    let (_, value) = NAMES
        .iter()
        .flat_map(|name| {
            info.match_indices(name)
                .map(|(at, name)| (at, &info[at + name.len()..]))
        })
        .filter(|(at, _)| starts(*at))
        .min_by_key(|(at, _)| *at)?;
    for quote in ['"', '\''] {
        if let Some(quoted) = value.strip_prefix(quote) {
            return quoted.split(quote).next();
        }
    }
    value
        .split(|c: char| c.is_whitespace() || c == '}' || c == ',')
        .next()
}

/// Refuses what is plainly something else: addresses, directories, ranges, sentences, code.
fn may_be_path(text: &str) -> bool {
    let is_drive = text.as_bytes().get(1) == Some(&b':') && text.get(2..3) == Some("\\");
    !text.is_empty()
        && !text.ends_with(['/', '.', ','])
        && !text.contains("://")
        && (is_drive || !text.contains(':'))
        && !text.contains(|c: char| c.is_control() || "<>|\"*?`,;=!".contains(c))
}

fn has_directory(path: &str) -> bool {
    path.contains(['/', '\\'])
}

/// Tells whether the last part looks like a file's name by itself.
fn has_file_name(path: &str) -> bool {
    let ending = extension(path);
    let is_ending = !ending.is_empty()
        && ending.len() <= 16
        && ending
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-~".contains(c))
        && ending.contains(|c: char| c.is_ascii_alphabetic());
    is_ending || is_dot_file(path) || is_well_known(path)
}

/// Tells whether the file's name starts with a dot.
pub(crate) fn is_dot_file(path: &str) -> bool {
    let name = file_name(path);
    name.len() > 1 && name.starts_with('.') && !name.starts_with("..")
}

fn is_well_known(path: &str) -> bool {
    const NAMES: [&str; 22] = [
        "Makefile",
        "GNUmakefile",
        "makefile",
        "Dockerfile",
        "Containerfile",
        "LICENSE",
        "README",
        "CHANGELOG",
        "AUTHORS",
        "NOTICE",
        "TODO",
        "Gemfile",
        "Rakefile",
        "Procfile",
        "Justfile",
        "justfile",
        "Jenkinsfile",
        "Vagrantfile",
        "CODEOWNERS",
        "BUILD",
        "WORKSPACE",
        "Brewfile",
    ];
    NAMES.contains(&file_name(path))
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

fn normal(path: &str) -> String {
    let mut path = path;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    path.to_owned()
}

/// Names of languages that have a dot in them.
const LANGUAGES_LIKE_FILES: [&str; 3] = ["asp.net", "vb.net", "f#.net"];

/// Endings by which a name alone is taken for a file's, and not for a product's (`Node.js` is a
/// loss) or a method's.
const FILE_ENDINGS: &[&str] = &[
    "adoc",
    "asm",
    "astro",
    "awk",
    "bash",
    "bat",
    "bzl",
    "c",
    "cc",
    "cfg",
    "clj",
    "cljs",
    "cmake",
    "conf",
    "config",
    "cpp",
    "cs",
    "css",
    "csv",
    "cts",
    "cxx",
    "d",
    "dart",
    "diff",
    "ejs",
    "el",
    "elm",
    "env",
    "erl",
    "ex",
    "exs",
    "fish",
    "fs",
    "fsx",
    "gd",
    "gleam",
    "go",
    "gql",
    "gradle",
    "graphql",
    "groovy",
    "h",
    "hbs",
    "hcl",
    "hh",
    "hpp",
    "hrl",
    "hs",
    "htm",
    "html",
    "hxx",
    "ini",
    "ipynb",
    "java",
    "jl",
    "js",
    "json",
    "json5",
    "jsonc",
    "jsx",
    "kt",
    "kts",
    "less",
    "lisp",
    "lock",
    "lua",
    "m",
    "make",
    "markdown",
    "md",
    "mdx",
    "mjs",
    "cjs",
    "mk",
    "ml",
    "mli",
    "mm",
    "mod",
    "mts",
    "nim",
    "nix",
    "patch",
    "php",
    "pl",
    "pm",
    "prisma",
    "properties",
    "proto",
    "ps1",
    "py",
    "pyi",
    "r",
    "rb",
    "rkt",
    "rs",
    "rst",
    "sass",
    "sbt",
    "scala",
    "scm",
    "scss",
    "sh",
    "sol",
    "sql",
    "sum",
    "sv",
    "svelte",
    "svg",
    "swift",
    "tcl",
    "tex",
    "tf",
    "tfvars",
    "toml",
    "ts",
    "tsv",
    "tsx",
    "twig",
    "txt",
    "v",
    "vb",
    "vhd",
    "vim",
    "vue",
    "wat",
    "wgsl",
    "xml",
    "yaml",
    "yml",
    "zig",
    "zsh",
];
