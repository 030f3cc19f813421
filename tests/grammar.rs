//! The descriptions that come with the program: complete, consistent, and refused with place and remedy where wrong.

use imapscope::grammar::{Grammar, mechanism, mechanisms};

/// The description of IMAP; a problem in it fails the test with all problems.
fn imap() -> Grammar {
    let text = include_str!("../grammars/imap.toml");
    Grammar::load("grammars/imap.toml", text).unwrap_or_else(|wrong| {
        let all: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        panic!("{}", all.join("\n"));
    })
}

#[test]
fn the_description_of_imap_loads() {
    assert!(!imap().commands.is_empty());
    assert!(Grammar::builtin("IMAP").is_some());
    let _ = (mechanism("PLAIN"), mechanisms());
}
