//! A report as one object of JSON. `lint.schema.json` says what each field means: who adds one here adds it there, and tests compare
//! both. What steers a terminal is escaped, and of a line it is escaped twice: as the log shows it, and as JSON does.

use serde::Serialize;

use super::report::{Finding, Place, Report};
use crate::event::Severity;
use crate::sink::json::Calendar;
use crate::sink::lint::policy::Standing;
use crate::sink::probed::json::ascii;

#[derive(Serialize)]
struct Whole<'a> {
    version: &'static str,
    exit: u8,
    deny: &'a str,
    files: Vec<File<'a>>,
    findings: Vec<Found<'a>>,
    left_out: Vec<LeftOut>,
    unjudged: u64,
    totals: Totals,
}

#[derive(Serialize)]
struct File<'a> {
    file: &'a str,
    connections: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<&'a str>,
}

#[derive(Serialize)]
struct Found<'a> {
    check: &'static str,
    severity: &'static str,
    culprit: &'static str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    rfc: &'a str,
    why: &'static str,
    fix: Fix,
    #[serde(rename = "try", skip_serializing_if = "str::is_empty")]
    rule: &'static str,
    fingerprint: &'a str,
    standing: &'static str,
    denied: bool,
    count: u64,
    places: Vec<Seen<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consequence: Option<First<'a>>,
}

#[derive(Serialize)]
struct Fix {
    #[serde(skip_serializing_if = "str::is_empty")]
    client: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    server: &'static str,
}

#[derive(Serialize)]
struct Seen<'a> {
    file: &'a str,
    conn: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caret: Option<Caret>,
}

#[derive(Serialize)]
struct Bytes {
    start: u32,
    end: u32,
}

#[derive(Serialize)]
struct Caret {
    column: usize,
    width: usize,
}

#[derive(Serialize)]
struct First<'a> {
    check: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<&'a str>,
}

#[derive(Serialize)]
struct LeftOut {
    check: &'static str,
    count: u64,
}

#[derive(Serialize)]
struct Totals {
    must: u64,
    should: u64,
    quirk: u64,
    denied: u64,
    allowed: u64,
    known: u64,
    consequences: u64,
}

/// Returns a report as an object, on lines, in ASCII.
#[must_use]
pub fn report(report: &Report) -> String {
    let [must, should, quirk] = Severity::ALL.map(|severity| report.count(severity));
    let whole = Whole {
        version: env!("CARGO_PKG_VERSION"),
        exit: report.code(),
        deny: report.policy.denied(),
        files: report
            .files
            .iter()
            .map(|file| File { file: &file.name, connections: file.connections, failed: file.failed.as_deref() })
            .collect(),
        findings: report.findings.iter().map(|finding| found(report, finding)).collect(),
        left_out: report.left_out.iter().map(|(check, count)| LeftOut { check, count: *count }).collect(),
        unjudged: report.unjudged,
        totals: Totals {
            must,
            should,
            quirk,
            denied: report.denied.values().sum(),
            allowed: report.standing(Standing::Allowed),
            known: report.standing(Standing::Known),
            consequences: report.consequences(),
        },
    };
    // It fails for maps whose keys are no strings, and there are none.
    ascii(&serde_json::to_string_pretty(&whole).unwrap_or_default())
}

fn found<'a>(report: &'a Report, finding: &'a Finding) -> Found<'a> {
    let check = finding.check;
    Found {
        check: check.id,
        severity: check.severity.word(),
        culprit: finding.culprit.word(),
        text: &finding.text,
        about: finding.about.as_deref(),
        rfc: &finding.rfc,
        why: check.why,
        fix: Fix { client: check.fix[0], server: check.fix[1] },
        rule: check.rule,
        fingerprint: &finding.fingerprint,
        standing: finding.standing.word(),
        denied: report.is_denied(finding),
        count: finding.count,
        places: finding.places.iter().map(|place| seen(report, place)).collect(),
        consequence: finding.consequence.map(|(check, number)| First {
            check,
            fingerprint: number.map(|number| report.findings[number].fingerprint.as_str()),
        }),
    }
}

fn seen<'a>(report: &'a Report, place: &'a Place) -> Seen<'a> {
    let file = &report.files[place.file];
    Seen {
        file: &file.name,
        conn: place.connection,
        frame: Some(place.frame).filter(|frame| *frame > 0),
        time: file.timed.then(|| Calendar::default().stamp(place.at).to_owned()),
        span: place.span.map(|span| Bytes { start: span.start, end: span.end }),
        line: place.line.as_ref().map(|line| line.text.as_str()),
        caret: place.line.as_ref().and_then(|line| line.caret).map(|(column, width)| Caret { column, width }),
    }
}
