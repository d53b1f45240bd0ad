//! A man page out of what `--help` says: one text, two forms.

use anyhow::{Context as _, Result};
use clap::Command;
use clap_mangen::Man;

use super::super::concurrency;
use super::super::exit::ExitCode;
use super::super::help::CONCURRENCY;
use super::super::overview;
use super::words::{ENVIRONMENT, FILES};

/// A man page.
pub(super) struct Page {
    /// As `man` is asked for it.
    pub(super) name: String,
    /// 1 for commands, 7 for what is no command.
    pub(super) section: u8,
    pub(super) roff: String,
}

/// Every page: plandex(1), one for each command, plandex-concurrency(7).
pub(super) fn all() -> Result<Vec<Page>> {
    let mut whole = overview::command();
    whole.build();
    let mut pages = vec![of_program(&whole)?];
    add_commands(&whole, &mut pages)?;
    pages.push(of_concurrency(&whole));
    Ok(pages)
}

fn add_commands(command: &Command, pages: &mut Vec<Page>) -> Result<()> {
    let shown = |one: &&Command| !one.is_hide_set();
    for one in command.get_subcommands().filter(shown) {
        // The help of a command's commands is clap's, and says nothing of its own.
        if command.get_name() != "plandex" && one.get_name() == "help" {
            continue;
        }
        pages.push(of_command(one)?);
        add_commands(one, pages)?;
    }
    Ok(())
}

/// clap's part of a page.
fn written(
    command: &Command,
    write: impl FnOnce(&Man, &mut dyn std::io::Write) -> std::io::Result<()>,
) -> Result<String> {
    let version = env!("CARGO_PKG_VERSION");
    let man = Man::new(command.clone())
        .source(format!("plandex {version}"))
        .manual("plandex");
    let mut roff = Vec::new();
    write(&man, &mut roff).context("writing a man page")?;
    let roff = String::from_utf8(roff).context("writing a man page")?;
    // It stands once in each page, after the title.
    Ok(roff.replacen(APOSTROPHES, "", 1))
}

/// What every text of clap's begins with: which apostrophe there is.
const APOSTROPHES: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// The title, the name, how it is called, what it does.
fn beginning(command: &Command) -> Result<String> {
    let mut roff = written(command, Man::render_title)?;
    roff.push_str(APOSTROPHES);
    roff.push_str(&written(command, Man::render_name_section)?);
    roff.push_str(&written(command, Man::render_synopsis_section)?);
    roff.push_str(&written(command, Man::render_description_section)?);
    Ok(roff)
}

fn name_of(command: &Command) -> String {
    let name = command.get_display_name();
    name.unwrap_or_else(|| command.get_name()).to_owned()
}

fn of_command(command: &Command) -> Result<Page> {
    let help = command.get_after_long_help().or(command.get_after_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let (prose, sections) = taken_apart(&help);
    let mut roff = beginning(command)?;
    roff.push_str(&prose);
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    if !aliases.is_empty() {
        roff.push_str(".PP\nAlso called ");
        roff.push_str(&escaped(&aliases.join(", ")));
        roff.push_str(".\n");
    }
    roff.push_str(&written(command, |man, out| {
        man.render_options_section(out)
    })?);
    roff.push_str(&sections);
    roff.push_str(".SH SEE ALSO\n.BR plandex (1),\n.BR plandex\\-concurrency (7)\n");
    Ok(Page {
        name: name_of(command),
        section: 1,
        roff,
    })
}

fn of_program(whole: &Command) -> Result<Page> {
    let mut roff = beginning(whole)?;
    roff.push_str(".SH COMMANDS\n");
    for (heading, names) in overview::GROUPS {
        roff.push_str(&format_args!(".SS {}\n", escaped(heading)).to_string());
        for one in names.iter().filter_map(|name| whole.find_subcommand(name)) {
            let about = one.get_about().map(ToString::to_string).unwrap_or_default();
            let name = escaped(&name_of(one));
            roff.push_str(&format_args!(".TP\n.BR {name} (1)\n{}\n", escaped(&about)).to_string());
        }
    }
    roff.push_str(&written(whole, Man::render_options_section)?);
    let codes = ExitCode::ALL.map(|code| (code.code().to_string(), code.words()));
    definitions(
        &mut roff,
        "EXIT STATUS",
        codes.iter().map(|(code, words)| (code.as_str(), *words)),
    );
    definitions(&mut roff, "ENVIRONMENT", ENVIRONMENT.iter().copied());
    definitions(&mut roff, "FILES", FILES.iter().copied());
    roff.push_str(".SH SEE ALSO\n.BR plandex\\-concurrency (7),\n.BR git (1),\n.BR flock (1)\n");
    Ok(Page {
        name: "plandex".to_owned(),
        section: 1,
        roff,
    })
}

fn of_concurrency(whole: &Command) -> Page {
    let name = format!("{}-{}", whole.get_name(), CONCURRENCY.0);
    let about = CONCURRENCY.1.to_lowercase();
    let version = env!("CARGO_PKG_VERSION");
    let mut roff = format!(
        ".TH {0} 7 \"\" \"plandex {version}\" plandex\n.SH NAME\n{0} \\- {1}\n.SH DESCRIPTION\n",
        escaped(&name),
        escaped(&about),
    );
    let text = concurrency::text();
    // Its first line is the heading.
    literal(&mut roff, text.lines().skip(2));
    roff.push_str(
        ".SH SEE ALSO\n.BR plandex (1),\n.BR plandex\\-exec (1),\n.BR plandex\\-locks (1)\n",
    );
    Page {
        name,
        section: 7,
        roff,
    }
}

fn definitions<'a>(
    roff: &mut String,
    heading: &str,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) {
    roff.push_str(&format_args!(".SH {heading}\n").to_string());
    for (name, words) in pairs {
        let (name, words) = (escaped(name), escaped(words));
        roff.push_str(&format_args!(".TP\n\\fB{name}\\fR\n{words}\n").to_string());
    }
}

/// What stands after the options of `--help`: what belongs to the description, and sections.
fn taken_apart(help: &str) -> (String, String) {
    let (mut prose, mut sections) = (String::new(), String::new());
    for part in help.split("\n\n").filter(|part| !part.trim().is_empty()) {
        let lines: Vec<&str> = part.lines().collect();
        if lines.len() > 1 && lines[0] == "Examples:" {
            sections.push_str(".SH EXAMPLES\n");
            literal(&mut sections, lines[1..].iter().copied());
        } else if let Some(codes) = part.strip_prefix("Exit codes: ") {
            sections.push_str(".SH EXIT STATUS\n");
            sections.push_str(&escaped(codes));
            sections.push('\n');
        } else if let Some(heading) = heading(&lines) {
            sections.push_str(&format_args!(".SH {heading}\n").to_string());
            let inner = lines[1..]
                .iter()
                .map(|line| line.get(2..).unwrap_or_default());
            paragraph(&mut sections, &inner.collect::<Vec<_>>());
        } else {
            paragraph(&mut prose, &lines);
        }
    }
    (prose, sections)
}

/// The heading of a part that has one over lines that all stand below it.
fn heading(lines: &[&str]) -> Option<String> {
    let (first, rest) = lines.split_first()?;
    let name = first.strip_suffix(':')?;
    let is_heading = !rest.is_empty()
        && name.split(' ').count() < 3
        && rest.iter().all(|line| line.starts_with("  "));
    is_heading.then(|| match name {
        "Exit code" | "Exit codes" => "EXIT STATUS".to_owned(),
        name => escaped(&name.to_uppercase()),
    })
}

/// Lines that flow, and lists that do not.
fn paragraph(roff: &mut String, lines: &[&str]) {
    roff.push_str(".PP\n");
    for lines in lines.chunk_by(|one, next| one.starts_with("  ") == next.starts_with("  ")) {
        if lines[0].starts_with("  ") {
            literal(roff, lines.iter().copied());
        } else {
            roff.push_str(&escaped(&lines.join("\n")));
            roff.push('\n');
        }
    }
}

/// Lines as they stand.
fn literal<'a>(roff: &mut String, lines: impl Iterator<Item = &'a str>) {
    roff.push_str(".nf\n");
    for line in lines {
        roff.push_str(&escaped(line));
        roff.push('\n');
    }
    roff.push_str(".fi\n");
}

/// A text as roff takes it for itself.
fn escaped(text: &str) -> String {
    let mut roff = String::new();
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            roff.push('\n');
        }
        if line.starts_with(['.', '\'']) {
            roff.push_str("\\&");
        }
        for c in line.chars() {
            match c {
                '\\' => roff.push_str("\\e"),
                '-' => roff.push_str("\\-"),
                '\'' => roff.push_str("\\(aq"),
                '`' => roff.push_str("\\(ga"),
                '^' => roff.push_str("\\(ha"),
                '~' => roff.push_str("\\(ti"),
                c => roff.push(c),
            }
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_becomes_prose_and_sections() {
        let help = "All these things:\n  a  one\n  b  two\n.dot's\n\nExamples:\n  plandex x -- 'y'\n\n\
                    Exit codes: 0 done.\n\nOrder:\n  One\n  by one\n    x";
        let (prose, sections) = taken_apart(help);
        assert_eq!(
            prose,
            ".PP\nAll these things:\n.nf\n  a  one\n  b  two\n.fi\n\\&.dot\\(aqs\n"
        );
        assert_eq!(
            sections,
            ".SH EXAMPLES\n.nf\n  plandex x \\-\\- \\(aqy\\(aq\n.fi\n.SH EXIT STATUS\n0 done.\n\
             .SH ORDER\n.PP\nOne\nby one\n.nf\n  x\n.fi\n"
        );
    }

    #[test]
    fn every_variable_that_is_read_is_in_the_page() {
        let known: Vec<&str> = ENVIRONMENT
            .iter()
            .flat_map(|(names, _)| names.split(", "))
            .collect();
        let sources = [
            include_str!("../../config/environment.rs"),
            include_str!("../../config/models.rs"),
            include_str!("../../config/mod.rs"),
        ];
        let mut read = 0;
        for source in sources {
            let product = source.split("#[cfg(test)]").next().unwrap_or_default();
            for name in product.split('"').skip(1).step_by(2) {
                let is_name = name.len() > 1
                    && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
                    && name.chars().any(|c| c.is_ascii_uppercase());
                // For tests of debug builds, and from one plandex to the next.
                let is_inner = [
                    "PLANDEX_CRASH_AT",
                    "PLANDEX_PANIC_AT",
                    "PLANDEX_CRASH_TRACE",
                ]
                .contains(&name)
                    || name == "PLANDEX_BACKGROUND";
                if is_name && !is_inner {
                    assert!(known.contains(&name), "{name} is not in ENVIRONMENT");
                    read += 1;
                }
            }
        }
        assert!(read > 30, "only {read} variables were found");
    }
}
