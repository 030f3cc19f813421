//! The rules of the house that a compiler does not check: who may import whom, what the core must not touch, and how
//! a file looks.

use std::fs;
use std::path::{Path, PathBuf};

/// Module, what of ours it may import besides itself, `problem` and `wording`.
const IMPORTS: [(&str, &[&str]); 18] = [
    ("event", &[]),
    ("problem", &[]),
    ("wording", &[]),
    ("grammar", &["event"]),
    ("exchange", &["event", "grammar", "wire"]),
    ("check", &["event", "grammar"]),
    ("wire", &["event"]),
    ("rules", &["check", "event", "exchange", "wire"]),
    ("session", &["event", "exchange", "grammar", "wire", "rules"]),
    ("explain", &["check", "event", "exchange", "grammar", "wire"]),
    ("anonymise", &["event", "grammar", "wire"]),
    ("file", &[]),
    ("sink", &["check", "event", "exchange", "file"]),
    ("recording", &["event", "exchange", "sink", "wire"]),
    ("foreign", &["event"]),
    ("net", &["event", "file", "session"]),
    ("cli", &[]),
    (
        "verb",
        &[
            "anonymise",
            "check",
            "cli",
            "event",
            "exchange",
            "explain",
            "file",
            "foreign",
            "grammar",
            "net",
            "recording",
            "rules",
            "session",
            "sink",
            "wire",
        ],
    ),
];

/// Modules that are given everything and take nothing: no clock, no environment, no files, no output.
const PURE: [&str; 11] =
    ["check", "event", "exchange", "problem", "wording", "grammar", "wire", "rules", "session", "explain", "anonymise"];

/// What they must not even mention.
const IMPURE: [&str; 12] = [
    "println!",
    "print!(",
    "dbg!",
    "Instant::now",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::net",
    "std::thread",
    "tokio",
    "std::process",
    "stdout()",
];

/// Words that say nothing; no module or file is called so.
const EMPTY_WORDS: [&str; 11] =
    ["handler", "manager", "helper", "util", "utils", "common", "misc", "context", "upstream", "downstream", "packet"];

/// The most lines that a file may have.
const LONGEST: usize = 600;

struct Source {
    path: String,
    /// The top module it belongs to; `lib` and `main` for the roots.
    module: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut due = vec![root.clone()];
    while let Some(folder) = due.pop() {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                due.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let inner = path.strip_prefix(&root).expect("inside src").with_extension("");
                let module = inner.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
                let text = fs::read_to_string(&path).expect("UTF-8");
                found.push(Source { path: format!("src/{}.rs", inner.display()), module, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 10, "the sources were not found");
    found
}

/// The code without comments, strings' contents and the tests at the end of the file.
fn code(text: &str) -> String {
    let text = text.split_once("\n#[cfg(test)]\nmod ").map_or(text, |(code, _)| code);
    let mut code = String::new();
    for line in text.lines() {
        let line = line.split_once("//").map_or(line, |(before, _)| before);
        code.push_str(line);
        code.push('\n');
    }
    code
}

/// The top modules named in `crate::…` paths, also in braces and over several lines.
fn imports(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => names.push(rest.chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect()),
            Some(group) => names.extend(group_names(group)),
        }
    }
    names
}

/// The first names of the entries of a brace group.
fn group_names(group: &str) -> Vec<String> {
    let (mut depth, mut fresh, mut names) = (0, true, Vec::new());
    let mut name = String::new();
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(std::mem::take(&mut name));
                fresh = true;
                continue;
            }
            _ => {}
        }
        if depth == 0 && fresh && (c.is_alphanumeric() || c == '_') {
            name.push(c);
        } else if depth == 0 && !c.is_whitespace() {
            fresh = false;
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn modules_import_what_they_may() {
    let mut wrong = Vec::new();
    for source in sources() {
        if ["lib", "main"].contains(&source.module.as_str()) {
            continue;
        }
        let Some((_, allowed)) = IMPORTS.iter().find(|(name, _)| *name == source.module) else {
            wrong.push(format!("{}: the table has no module {}", source.path, source.module));
            continue;
        };
        for name in imports(&code(&source.text)) {
            let everyone = name == "problem" || name == "wording";
            if name != source.module && !everyone && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}: {} must not import {name}", source.path, source.module));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn imports_are_found_in_every_spelling() {
    let code = "use crate::event::{A, B};\nuse crate::{\n    wire::{self, Cut},\n    rules, session::x,\n};\nlet a = crate::sink::open();";
    assert_eq!(imports(code), ["event", "wire", "rules", "session", "sink"]);
}

#[test]
fn the_core_touches_nothing_outside() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| PURE.contains(&source.module.as_str())) {
        for (at, line) in code(&source.text).lines().enumerate() {
            let found = IMPURE.iter().filter(|word| line.contains(*word));
            wrong.extend(found.map(|word| format!("{}:{}: {word}", source.path, at + 1)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_introduces_itself_and_ends() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        let intro = source.text.lines().take_while(|line| line.starts_with("//!")).count();
        if source.module != "lib" && !(1..=8).contains(&intro) {
            wrong.push(format!("{}: begins with {intro} lines of //!, not 1 to 8", source.path));
        }
        if lines > LONGEST {
            wrong.push(format!("{}: {lines} lines, {LONGEST} at most", source.path));
        }
        let stem = Path::new(&source.path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if EMPTY_WORDS.iter().any(|word| stem.split('_').any(|part| part == *word)) {
            wrong.push(format!("{}: its name says nothing", source.path));
        }
        let inline = code(&source.text);
        for name in inline.lines().filter_map(|line| line.trim_start().trim_start_matches("pub ").strip_prefix("mod "))
        {
            if EMPTY_WORDS.iter().any(|word| name.trim_end_matches([';', ' ', '{']) == *word) {
                wrong.push(format!("{}: module {name} says nothing", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_only_native_code_is_ring_unless_asked_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("a file of the package");
    let (lock, manifest) = (read("Cargo.lock"), read("Cargo.toml"));
    for name in ["aws-lc-rs", "aws-lc-sys"] {
        assert!(!lock.contains(&format!("name = \"{name}\"")), "{name} is a dependency");
    }
    assert!(lock.contains("name = \"ring\""));
    // Of what is there for old clients, nothing is built by default.
    let features = manifest.split("[features]\n").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap_or_default();
    assert!(features.contains("legacy-tls = [\"dep:openssl\", \"dep:tokio-openssl\"]"), "{features}");
    assert!(!features.contains("default"), "{features}");
    let openssl: Vec<_> =
        manifest.lines().filter(|line| line.split(' ').next().unwrap_or_default().contains("openssl")).collect();
    assert!(openssl.len() == 2 && openssl.iter().all(|line| line.contains("optional = true")), "{openssl:?}");
    assert!(!manifest.contains("vendored"), "it is the system's");
}

#[test]
fn unsafe_code_is_forbidden() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("the manifest");
    let lints = manifest.split("[lints.rust]").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap_or_default();
    assert!(lints.lines().any(|line| line.trim() == "unsafe_code = \"forbid\""), "{lints}");
    for source in sources() {
        assert!(!source.text.contains("allow(unsafe_code"), "{}", source.path);
    }
}

/// A script of a page that declares a name twice is refused as a whole by browsers, and only they would notice.
#[test]
fn scripts_of_pages_declare_each_name_once() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sink/html");
    let mut scripts = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of the page") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "js") {
            continue;
        }
        scripts += 1;
        let script = std::fs::read_to_string(&path).expect("a script");
        let mut seen = std::collections::BTreeSet::new();
        // What stands in a script's own scope is indented once.
        let declared = script.lines().filter_map(|line| {
            let rest =
                ["  const ", "  let ", "  class ", "  function "].iter().find_map(|word| line.strip_prefix(word))?;
            rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').find(|name| !name.is_empty())
        });
        for name in declared {
            assert!(seen.insert(name.to_owned()), "{}: {name} is declared twice", path.display());
        }
        assert!(seen.len() > 5, "{}: {seen:?}", path.display());
    }
    assert!(scripts >= 3, "{scripts} scripts");
}
