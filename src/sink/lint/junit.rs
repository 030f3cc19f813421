//! A report as JUnit XML, for the table of a CI: a test case for each check that could apply and for each file. What is denied has
//! failed; what is allowed or known is skipped; the rest is output of a case that passed.

use std::fmt::Write as _;

use super::policy::Standing;
use super::report::{Finding, Report};
use super::text;
use crate::check::{ALL, Check};
use crate::sink::escaped;

/// Returns a report as a document.
#[must_use]
pub fn report(report: &Report) -> String {
    let checks: Vec<&Check> = ALL.iter().copied().filter(|check| applies(report, check)).collect();
    let failed = report.files.iter().filter(|file| file.failed.is_some()).count();
    let denied = checks.iter().filter(|check| report.denied.contains_key(check.id)).count();
    let skipped = checks.iter().filter(|check| verdict(report, check) == Case::Skipped).count();
    let counts = format!(
        "tests=\"{}\" failures=\"{denied}\" errors=\"{failed}\" skipped=\"{skipped}\"",
        checks.len() + report.files.len()
    );
    // A string takes all that is written.
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites name=\"imapscope lint\" {counts} time=\"0\">");
    let _ = writeln!(out, "  <testsuite name=\"imapscope lint\" {counts} time=\"0\">");
    for file in &report.files {
        let _ = write!(out, "    <testcase classname=\"imapscope.file\" name=\"{}\" time=\"0\"", xml(&file.name));
        match &file.failed {
            Some(why) => {
                let _ =
                    writeln!(out, ">\n      <error type=\"unreadable\" message=\"{}\"/>\n    </testcase>", xml(why));
            }
            None => out.push_str("/>\n"),
        }
    }
    for check in checks {
        case(&mut out, report, check);
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// Outcome of a check.
#[derive(Debug, PartialEq, Eq)]
enum Case {
    Failed,
    Skipped,
    Passed,
}

fn verdict(report: &Report, check: &Check) -> Case {
    let mut found = of(report, check).peekable();
    if report.denied.contains_key(check.id) {
        Case::Failed
    } else if found.peek().is_some() && found.all(|finding| finding.standing != Standing::New) {
        Case::Skipped
    } else {
        Case::Passed
    }
}

fn case(out: &mut String, report: &Report, check: &Check) {
    let severity = check.severity.word();
    let _ = write!(out, "    <testcase classname=\"imapscope.{severity}\" name=\"{}\" time=\"0\"", check.id);
    let found: Vec<&Finding> = of(report, check).collect();
    let Some(first) = found.first() else { return out.push_str("/>\n") };
    let mut body = String::new();
    for finding in &found {
        body.push_str(&text::plain(report, finding));
        body.push('\n');
    }
    if let Some(more) = report.left_out.get(check.id) {
        let _ = writeln!(body, "and {more} more, which are left out");
    }
    let said = format!("{}: {}", first.culprit.word(), first.text);
    out.push_str(">\n");
    let _ = match verdict(report, check) {
        Case::Failed => writeln!(
            out,
            "      <failure type=\"{severity}\" message=\"{}\">{}</failure>",
            xml(&said),
            xml_lines(&body)
        ),
        Case::Skipped => writeln!(
            out,
            "      <skipped message=\"{}\"/>\n      <system-out>{}</system-out>",
            xml(first.standing.word()),
            xml_lines(&body)
        ),
        Case::Passed => writeln!(out, "      <system-out>{}</system-out>", xml_lines(&body)),
    };
    out.push_str("    </testcase>\n");
}

fn of<'a>(report: &'a Report, check: &Check) -> impl Iterator<Item = &'a Finding> {
    let id = check.id;
    report.findings.iter().filter(move |finding| finding.check.id == id)
}

/// Returns true for a check of a protocol that was spoken, and for what was found in any case.
fn applies(report: &Report, check: &Check) -> bool {
    check.protocols.is_empty()
        || check.protocols.iter().any(|protocol| report.protocols.contains(*protocol))
        || of(report, check).next().is_some()
}

/// A text of one line: no control character is left, and none of it is markup.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in escaped(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    out
}

/// The same of a text of several lines.
fn xml_lines(text: &str) -> String {
    text.lines().map(xml).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_markup_or_steers_a_terminal() {
        assert_eq!(
            xml("<a href=\"x\">&'\u{1b}[1m\0\u{fffe}"),
            "&lt;a href=&quot;x&quot;&gt;&amp;&apos;\\x1b[1m\\x00\\u{fffe}"
        );
        assert_eq!(xml_lines("a\n]]>"), "a\n]]&gt;");
    }
}
