//! The estimate against pieces counted by hand and against MODEL.md's table of measured texts.

use proptest::prelude::*;

use super::*;

#[test]
fn pieces_are_counted_as_tokenizers_cut_them() {
    for (text, tokens) in [
        ("", 0),
        ("word", 1),
        ("_", 1),
        ("two words", 2),
        ("parseReply", 2),
        ("HTTPReply", 2),
        ("HttpReply", 2),
        ("parse_reply", 2),
        ("MAX_LEN", 3),
        ("1234567", 3),
        ("x = 1;\n", 4),
        ("a\nb", 3),
        ("a\n\n\n        b", 4),
        ("----------------", 2),
        ("日本語", 3),
        ("größe", 3),
        ("fn main() {\n    println!(\"hi\");\n}\n", 12),
        (r#"{"a":[1,2],"b":null}"#, 13),
    ] {
        assert_eq!(estimate_tokens(text), tokens, "{text:?}");
    }
}

#[test]
fn the_estimate_of_our_own_sources_lies_a_little_above_the_measured_ratio() {
    // Bytes a token with cl100k (MODEL.md §4). Too high a count wastes some of a budget; too low
    // a count overruns the model's window.
    for (extension, measured) in [("rs", 4.1), ("md", 4.2)] {
        let (mut bytes, mut tokens, mut files) = (0, 0, 0);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let cancel = Cancel::new().unwrap();
        let source = Source {
            root,
            cwd: root,
            cancel: &cancel,
        };
        let pattern = format!("**/*.{extension}");
        let Ok(gathered) = gather(&source, &[pattern], &plain(), &mut |_| {}) else {
            println!("skipped: no file ends in .{extension}");
            continue;
        };
        for item in gathered.loaded {
            (bytes, tokens, files) = (bytes + item.size, tokens + item.tokens, files + 1);
        }
        let ratio = bytes as f64 / tokens as f64;
        println!("{extension}: {files} files, {ratio:.2} bytes a token, {measured} measured");
        let above = measured / ratio - 1.0;
        assert!((0.0..0.25).contains(&above), "{extension}: {above:+.2}");
    }
}

proptest! {
    #[test]
    fn no_text_is_free_or_dearer_than_its_bytes(text in "[a-zA-Z0-9_ \t\n.,(){}é語😀-]{1,200}") {
        let tokens = estimate_tokens(&text);
        prop_assert!(tokens <= text.len() as u64);
        prop_assert!(text.trim().is_empty() || tokens * 40 >= text.trim().chars().count() as u64);
        // The price of a byte depends on the one before it only: halves add up.
        let (mut half, mut sum) = (text.len() / 2, 0);
        while !text.is_char_boundary(half) {
            half += 1;
        }
        for part in [&text[..half], &text[half..]] {
            sum += estimate_tokens(part);
        }
        prop_assert!(sum.abs_diff(tokens) <= 3, "{} {}", sum, tokens);
    }
}
