//! Rules from lines, as `--rules` would read them.
#![allow(dead_code)] // each area uses a part

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use imapscope::rules::{Rules, Source};

/// Compiles rules, one a line. Fails the test if one is wrong.
pub fn compile<T: AsRef<str>>(lines: &[T]) -> Rules {
    let sources: Vec<Source> = lines.iter().enumerate().map(|(at, line)| Source::rule(at + 1, line.as_ref())).collect();
    Rules::compile(&sources).unwrap_or_else(|problem| panic!("{problem}"))
}

/// Like [`compile`], once for the same lines: properties ask for the same rules thousands of times.
pub fn compiled(lines: &[&str]) -> Arc<Rules> {
    static KNOWN: Mutex<BTreeMap<String, Arc<Rules>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(lines.join("\n")).or_insert_with(|| Arc::new(compile(lines))).clone()
}
