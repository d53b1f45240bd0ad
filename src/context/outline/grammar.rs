//! What a definition is in each language, in its grammar's words.

use tree_sitter::{Language, Node, Parser};

use super::Symbol;

/// A longer line is cut.
const LINE_CHARACTERS_MAX: usize = 160;
/// What lies deeper is left out: nobody nests names so, but a hostile file may.
const DEPTH_MAX: usize = 32;

/// A language's words.
struct Grammar {
    extensions: &'static [&'static str],
    language: fn() -> Language,
    /// A name with nothing of interest inside.
    leaves: &'static [&'static str],
    /// A name with names inside.
    holders: &'static [&'static str],
    /// No names, but names inside.
    passages: &'static [&'static str],
}

const GRAMMARS: [Grammar; 7] = [
    Grammar {
        extensions: &["rs"],
        language: || tree_sitter_rust::LANGUAGE.into(),
        leaves: &[
            "function_item",
            "function_signature_item",
            "struct_item",
            "enum_item",
            "union_item",
            "type_item",
            "const_item",
            "static_item",
            "macro_definition",
        ],
        holders: &["impl_item", "trait_item", "mod_item"],
        passages: &["source_file", "declaration_list", "foreign_mod_item"],
    },
    Grammar {
        extensions: &["py", "pyi"],
        language: || tree_sitter_python::LANGUAGE.into(),
        leaves: &["function_definition"],
        holders: &["class_definition"],
        passages: &[
            "module",
            "block",
            "decorated_definition",
            "if_statement",
            "else_clause",
            "try_statement",
        ],
    },
    Grammar {
        extensions: &["go"],
        language: || tree_sitter_go::LANGUAGE.into(),
        leaves: &[
            "function_declaration",
            "method_declaration",
            "type_spec",
            "type_alias",
            "const_spec",
            "var_spec",
        ],
        holders: &[],
        passages: &[
            "source_file",
            "type_declaration",
            "const_declaration",
            "var_declaration",
            "var_spec_list",
        ],
    },
    Grammar {
        extensions: &["js", "mjs", "cjs", "jsx"],
        language: || tree_sitter_javascript::LANGUAGE.into(),
        leaves: SCRIPT_LEAVES,
        holders: SCRIPT_HOLDERS,
        passages: SCRIPT_PASSAGES,
    },
    Grammar {
        extensions: &["ts", "mts", "cts"],
        language: || tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
        leaves: SCRIPT_LEAVES,
        holders: SCRIPT_HOLDERS,
        passages: SCRIPT_PASSAGES,
    },
    Grammar {
        extensions: &["tsx"],
        language: || tree_sitter_typescript::LANGUAGE_TSX.into(),
        leaves: SCRIPT_LEAVES,
        holders: SCRIPT_HOLDERS,
        passages: SCRIPT_PASSAGES,
    },
    Grammar {
        extensions: &["c", "h"],
        language: || tree_sitter_c::LANGUAGE.into(),
        leaves: &[
            "function_definition",
            "declaration",
            "struct_specifier",
            "union_specifier",
            "enum_specifier",
            "type_definition",
            "preproc_def",
            "preproc_function_def",
        ],
        holders: &[],
        passages: &[
            "translation_unit",
            "preproc_if",
            "preproc_ifdef",
            "preproc_else",
            "preproc_elif",
            "linkage_specification",
            "declaration_list",
        ],
    },
];

const SCRIPT_LEAVES: &[&str] = &[
    "function_declaration",
    "generator_function_declaration",
    "function_signature",
    "method_definition",
    "method_signature",
    "abstract_method_signature",
    "type_alias_declaration",
    "enum_declaration",
    "variable_declarator",
];
const SCRIPT_HOLDERS: &[&str] = &[
    "class_declaration",
    "abstract_class_declaration",
    "interface_declaration",
    "internal_module",
    "module",
];
const SCRIPT_PASSAGES: &[&str] = &[
    "program",
    "export_statement",
    "class_body",
    "interface_body",
    "object_type",
    "statement_block",
    "ambient_declaration",
    "lexical_declaration",
    "variable_declaration",
    "expression_statement",
];

/// Fields and kinds of nodes that stand after what tells of a name.
const BODY_FIELDS: [&str; 2] = ["body", "value"];

pub(super) fn outline(path: &str, text: &str) -> Vec<Symbol> {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    let known = |grammar: &&Grammar| grammar.extensions.contains(&extension);
    let Some(grammar) = GRAMMARS.iter().find(known) else {
        return Vec::new();
    };
    let mut parser = Parser::new();
    // A grammar of another version than the parser's: no outline, the paths are listed still.
    if parser.set_language(&(grammar.language)()).is_err() {
        return Vec::new();
    }
    let Some(tree) = parser.parse(text, None) else {
        return Vec::new();
    };
    let mut symbols = Vec::new();
    inside(grammar, text, tree.root_node(), 0, 0, &mut symbols);
    symbols
}

/// Adds the names inside `node`, which lies in `depth` definitions and `below` nodes.
fn inside(
    grammar: &Grammar,
    text: &str,
    node: Node<'_>,
    depth: usize,
    below: usize,
    symbols: &mut Vec<Symbol>,
) {
    if below > DEPTH_MAX {
        return;
    }
    let mut cursor = node.walk();
    for child in node.named_children(&mut cursor) {
        let kind = child.kind();
        let is_leaf = grammar.leaves.contains(&kind);
        let is_holder = grammar.holders.contains(&kind);
        if is_leaf || is_holder {
            let line = head(text, child);
            if !line.is_empty() {
                symbols.push(Symbol { depth, text: line });
            }
        }
        if is_holder {
            inside(grammar, text, child, depth + 1, below + 1, symbols);
        } else if grammar.passages.contains(&kind) || child.is_error() {
            inside(grammar, text, child, depth, below + 1, symbols);
        }
    }
}

/// What stands before the body of `node`, on one line.
fn head(text: &str, node: Node<'_>) -> String {
    let body = BODY_FIELDS
        .iter()
        .find_map(|field| node.child_by_field_name(field));
    let end = body.map_or(node.end_byte(), |body| body.start_byte());
    let head = text.get(node.start_byte()..end).unwrap_or_default();
    let head = head.split_whitespace().collect::<Vec<_>>().join(" ");
    let head = head.trim_end_matches([' ', '{', ':', '=', ';']);
    match head.char_indices().nth(LINE_CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", &head[..at]),
        None => head.to_owned(),
    }
}
