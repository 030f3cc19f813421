//! A baseline: the fingerprints of what is wrong today, so that only what is new counts. JSON, an entry a line in the order of checks
//! and fingerprints, so that a difference shows what came and went.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::report::Report;
use crate::sink::probed::json::ascii;

/// The version of the form.
const VERSION: u32 = 1;

#[derive(Deserialize)]
struct Whole {
    version: u32,
    findings: Vec<Known>,
}

#[derive(Deserialize)]
struct Known {
    fingerprint: String,
}

#[derive(Serialize)]
struct Entry<'a> {
    fingerprint: &'a str,
    check: &'a str,
    text: &'a str,
}

/// Returns the fingerprints of a baseline.
///
/// # Errors
/// Why it is none.
pub fn read(text: &[u8]) -> Result<Vec<String>, String> {
    let whole: Whole = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if whole.version != VERSION {
        return Err(format!("version {} of the form; this program knows version {VERSION}", whole.version));
    }
    Ok(whole.findings.into_iter().map(|known| known.fingerprint).collect())
}

/// Returns all findings of a report as a baseline.
#[must_use]
pub fn write(report: &Report) -> String {
    let entries = report.findings.iter().map(|finding| {
        let entry = Entry { fingerprint: &finding.fingerprint, check: finding.check.id, text: &finding.text };
        // A struct of strings is always JSON.
        let line = ascii(&serde_json::to_string(&entry).unwrap_or_default());
        ((finding.check.id, finding.fingerprint.as_str()), line)
    });
    let entries: BTreeMap<_, _> = entries.collect();
    let lines: Vec<&str> = entries.values().map(|line| line.trim_end()).collect();
    let lines = if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join(",\n")) };
    format!("{{\"version\":{VERSION},\"findings\":[{lines}]}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_baseline_is_refused() {
        assert_eq!(
            read(b"{\"version\":1,\"findings\":[{\"fingerprint\":\"ab\",\"check\":\"x\"}]}"),
            Ok(vec!["ab".to_owned()])
        );
        assert_eq!(read(write(&Report::default()).as_bytes()), Ok(Vec::new()));
        for (text, said) in
            [("", "EOF"), ("{}", "version"), ("{\"version\":2,\"findings\":[]}", "version 2"), ("[1]", "")]
        {
            assert!(read(text.as_bytes()).is_err_and(|why| why.contains(said)), "{text}");
        }
    }
}
