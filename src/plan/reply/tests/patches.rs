use super::{check, prose, read, show};
use crate::plan::reply::Ending;

#[test]
fn an_envelope_of_several_files() {
    check(
        "I'll add a flag and drop the old helper.\n\n\
         *** Begin Patch\n\
         *** Update File: src/main.rs\n\
         @@ fn main() {\n \
             let args = Args::parse();\n\
         -    run(args);\n\
         +    run(args, Mode::Fast);\n \
         }\n\
         *** Add File: src/mode.rs\n\
         +pub enum Mode {\n\
         +    Fast,\n\
         +}\n\
         +\n\
         *** Delete File: src/old.rs\n\
         *** End Patch\n\n\
         Run the tests now.\n",
        &[
            r#"src/main.rs:5 @ fn main() { +LF "    let args = Args::parse();\n    run(args);\n}\n" -> "    let args = Args::parse();\n    run(args, Mode::Fast);\n}\n""#,
            r#"src/mode.rs:10 "pub enum Mode {\n    Fast,\n}\n\n""#,
            r#"src/old.rs:15 Delete { old: None }"#,
        ][..]
            .iter()
            .map(|line| line.replace("\"    let", "\"let"))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    );
}
