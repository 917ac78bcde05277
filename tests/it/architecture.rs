//! Holds the crate to its map: which module may use which, and what is out of bounds where.
//!
//! The tables below are the truth; edit them when the map changes. Sources are read as text: comments,
//! strings and test modules are taken out first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules a module may use. `*` stands for all.
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("clock", &["model"]),
    ("config", &["model"]),
    ("event", &["model"]),
    ("report", &["model"]),
    ("provider", &["model"]),
    ("workflow", &["model", "event"]),
    ("github", &["model", "clock"]),
    ("sandbox", &["model", "clock"]),
    ("egress", &["model"]),
    ("workspace", &["model", "clock"]),
    ("db", &["model"]),
    ("queue", &["model", "clock"]),
    ("webhook", &["model", "clock", "db", "queue"]),
    ("logs", &["model", "clock", "db"]),
    ("gateway", &["model", "clock", "db", "queue"]),
    ("tools", &["model", "clock", "db", "queue"]),
    ("agent", &["model", "clock", "provider", "sandbox", "workspace", "egress"]),
    (
        "pipeline",
        &[
            "model",
            "clock",
            "event",
            "workflow",
            "report",
            "agent",
            "workspace",
            "github",
            "db",
            "queue",
            "logs",
        ],
    ),
    ("api", &["model", "clock", "db", "queue", "logs"]),
    ("dashboard", &["model", "clock", "db", "queue", "logs"]),
    ("embedded", &["model"]),
    ("telemetry", &["model"]),
    ("app", &["*"]),
    // Commands beside a server reach its database; an API of the server's own can take their place.
    (
        "cli",
        &[
            "app",
            "config",
            "model",
            "clock",
            "db",
            "queue",
            "pipeline",
            "embedded",
            "sandbox",
            "telemetry",
            "emulators",
        ],
    ),
    // The two roots: they name what they hold.
    ("lib", &["*"]),
    ("main", &["*"]),
];

/// No I/O, no async, no clock, no randomness.
const PURE: &[&str] = &["model", "event", "workflow", "report", "provider"];

/// What a pure module may not name.
const IMPURE: &[&str] = &[
    "tokio",
    "sqlx",
    "octocrab",
    "std::fs",
    "std::process",
    "std::net",
    "std::env",
    "rand",
    "reqwest",
];

/// A name, and the only modules that may use it.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("octocrab", &["github"]),
    ("sqlx::query", &["db", "queue"]),
    ("sqlx::query_as", &["db", "queue"]),
    ("sqlx::query_scalar", &["db", "queue"]),
    ("sqlx::raw_sql", &["db", "queue"]),
    ("sqlx::QueryBuilder", &["db", "queue"]),
    // Elsewhere only the types of connections that are handed through.
    (
        "sqlx",
        &[
            "db",
            "queue",
            "embedded",
            "app",
            "webhook",
            "gateway",
            "tools",
            "logs",
            "pipeline",
            "api",
            "dashboard",
            "cli",
        ],
    ),
];

/// More than this is more than one thing.
const LONGEST_FILE: usize = 500;

/// Files that may be longer, each with its reason in a comment.
const LONGER_FILES: &[&str] = &[];

#[test]
fn modules_use_only_what_the_map_allows() {
    let sources = sources();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (path, text) in &sources {
        let module = module_of(path);
        let code = code_of(text);
        edges.entry(module.clone()).or_default().extend(uses(&code));
        wrong.extend(
            breaches(&module, &code).into_iter().map(|what| format!("{}: {what}", path.display())),
        );
    }
    for (module, used) in &edges {
        println!("{module} -> {}", used.iter().cloned().collect::<Vec<_>>().join(", "));
    }
    assert!(wrong.is_empty(), "against the map:\n{}", wrong.join("\n"));
}

#[test]
fn every_folder_has_a_contents_page() {
    let missing: Vec<String> = sources()
        .into_iter()
        .filter(|(path, text)| path.ends_with("mod.rs") && !text.starts_with("//!"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(missing.is_empty(), "no //! at the top of: {}", missing.join(", "));
}

#[test]
fn no_file_is_longer_than_one_thing() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter(|(path, _)| !LONGER_FILES.contains(&path.to_string_lossy().as_ref()))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(path, lines)| format!("{} ({lines} lines)", path.display()))
        .collect();
    assert!(long.is_empty(), "too long: {}", long.join(", "));
}

#[test]
fn a_breach_is_found_however_it_is_written() {
    let found = |module: &str, text: &str| breaches(module, &code_of(text)).len();
    assert_eq!(found("model", "use crate::db::tasks;"), 1);
    assert_eq!(found("report", "use crate::{model::Sha, github, queue::{Queue, Wake}};"), 2);
    assert_eq!(found("report", "use super::super::github::Client;"), 0, "paths go by crate::");
    assert_eq!(found("event", "fn now() { crate::clock::now() }"), 1);
    assert_eq!(found("workflow", "use std::fs;"), 1);
    assert_eq!(found("workflow", "use std::{fs, io};"), 1);
    assert_eq!(found("workflow", "let _ = std::process::id();"), 1);
    assert_eq!(found("provider", "async fn x() { tokio::spawn(y); }"), 1);
    assert_eq!(found("pipeline", "use octocrab::Octocrab;"), 1);
    assert_eq!(found("webhook", "sqlx::query!(\"SELECT 1\")"), 1);
    assert_eq!(found("webhook", "use sqlx::{PgPool, query_as};"), 1);
    assert_eq!(found("nowhere", "use crate::model::Sha;"), 1, "a module without a row");
}

#[test]
fn comments_texts_and_tests_are_no_breach() {
    let found = |text: &str| breaches("model", &code_of(text));
    assert_eq!(found("// use crate::db;\n//! [`crate::db`]\n/* tokio */"), Vec::<String>::new());
    assert_eq!(
        found("const A: &str = \"crate::db tokio::\";\nlet c = '\"'; // x"),
        Vec::<String>::new()
    );
    assert_eq!(
        found("#[cfg(test)]\nmod tests {\n  use crate::db;\n  fn a() { { } }\n}\n"),
        Vec::<String>::new()
    );
    assert_eq!(
        found("#[cfg(test)]\nmod tests { }\nuse crate::db;").len(),
        1,
        "what follows counts"
    );
    assert_eq!(
        found("fn f<'a>(x: &'a str) { crate::db::y(\"}\") }").len(),
        1,
        "a lifetime opens no text"
    );
}

/// What one module's code does that its row forbids.
fn breaches(module: &str, code: &str) -> Vec<String> {
    let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == module) else {
        return vec![format!("module {module} has no row in EDGES")];
    };
    let free = allowed.contains(&"*");
    let edges = uses(code)
        .into_iter()
        .filter(|used| !free && used != module && !allowed.contains(&used.as_str()));
    let mut wrong: Vec<String> = edges.map(|used| format!("{module} may not use {used}")).collect();
    if PURE.contains(&module) {
        let named = IMPURE.iter().filter(|name| names(code, name));
        wrong.extend(named.map(|name| format!("{module} is pure and may not name {name}")));
        return wrong;
    }
    let kept = ONLY_IN.iter().filter(|(name, only)| !only.contains(&module) && names(code, name));
    wrong.extend(kept.map(|(name, only)| format!("{name} belongs in {}", only.join(", "))));
    wrong
}

/// The modules of this crate that code names by `crate::`, or the binary by `baton::`.
fn uses(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for root in ["crate::", "baton::", "emulators::"] {
        for (at, _) in code.match_indices(root) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            if root == "emulators::" {
                used.insert("emulators".to_owned());
                continue;
            }
            used.extend(heads(&code[at + root.len()..]));
        }
    }
    // Macros and items of the root itself are no modules.
    used.retain(|name| name.chars().next().is_some_and(char::is_lowercase));
    used
}

/// The first names of a path or of a braced list of paths.
fn heads(text: &str) -> Vec<String> {
    let Some(list) = text.strip_prefix('{') else { return vec![word(text)] };
    let mut heads = Vec::new();
    let (mut depth, mut fresh) = (0_u32, true);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && (c.is_alphanumeric() || c == '_') => {
                heads.push(word(&list[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Whether code names a path, also as part of a braced list.
fn names(code: &str, path: &str) -> bool {
    let mut direct = code.match_indices(path).filter(|(at, _)| {
        let before = code[..*at].chars().next_back().unwrap_or(' ');
        let after = code[at + path.len()..].chars().next().unwrap_or(' ');
        !before.is_alphanumeric()
            && before != '_'
            && before != ':'
            && before != '.'
            && !after.is_alphanumeric()
            && after != '_'
            && (path.contains("::") || code[at + path.len()..].starts_with("::"))
    });
    let Some((root, leaf)) = path.rsplit_once("::") else { return direct.next().is_some() };
    let listed = format!("{root}::{{");
    direct.next().is_some()
        || code
            .match_indices(&listed)
            .any(|(at, _)| heads(&code[at + listed.len() - 1..]).iter().any(|head| head == leaf))
}

/// The code without comments, texts and test modules.
fn code_of(text: &str) -> String {
    without_test_modules(&without_comments_and_texts(text))
}

fn without_comments_and_texts(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            'r' if raw_text(rest).is_some()
                && !code.ends_with(|c: char| c.is_alphanumeric() || c == '_') =>
            {
                raw_text(rest).unwrap_or(1)
            }
            '"' => text_end(rest),
            '\'' => letter_end(rest),
            _ => 0,
        };
        if skip == 0 {
            code.push(c);
        }
        rest = &rest[skip.max(c.len_utf8())..];
    }
    code
}

/// Length of a raw text that begins here.
fn raw_text(text: &str) -> Option<usize> {
    let marks = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    let inside = text[1 + marks..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(marks));
    Some(2 + marks + inside.find(&close)? + close.len())
}

/// Length of a text that begins here.
fn text_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a character literal that begins here; 0 for a lifetime.
fn letter_end(text: &str) -> usize {
    let mut inside = text[1..].chars();
    match inside.next() {
        Some('\\') => {
            text[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 3)
        }
        Some(c) if text[1 + c.len_utf8()..].starts_with('\'') => 2 + c.len_utf8(),
        Some(_) | None => 0,
    }
}

/// Takes out what stands under `#[cfg(test)]`: a module in braces, or one line.
fn without_test_modules(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(['{', ';']).unwrap_or(rest.len() - 1);
        let whole =
            if rest[end..].starts_with('{') { end + block_end(&rest[end..]) } else { end + 1 };
        rest = &rest[whole.min(rest.len())..];
    }
    kept.push_str(rest);
    kept
}

/// Length of a block in braces that begins here.
fn block_end(code: &str) -> usize {
    let mut depth = 0_u32;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// Every source file outside of tests, with its path from `src`.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src can be listed") {
            let path = entry.expect("an entry of src").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source can be read");
                let path = path.strip_prefix(&root).expect("it lies below src").to_owned();
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found.retain(|(path, _)| !is_test_file(path));
    found.sort();
    found
}

/// Files that only tests see: `tests.rs`, what lies in `tests/`, and samples.
fn is_test_file(path: &Path) -> bool {
    path.iter().any(|part| ["tests", "tests.rs", "sample.rs"].iter().any(|test| part == *test))
}

/// The first folder below `src`, or the file's own name.
fn module_of(path: &Path) -> String {
    let first = path.iter().next().expect("a path has a first part");
    Path::new(first).file_stem().expect("a file has a name").to_string_lossy().into_owned()
}
