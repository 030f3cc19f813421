//! A report as SARIF 2.1.0 (OASIS, 27 March 2020), for code scanning. What is allowed or known is there, with `suppressions`; what
//! follows from another finding is informational.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::policy::Standing;
use super::report::{Finding, Place, Report};
use super::text::{advice, sentence};
use crate::check::{ALL, Check};
use crate::event::Severity;
use crate::sink::escaped;
use crate::sink::json::Calendar;
use crate::sink::probed::json::ascii;

/// The schema that a report fits.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Returns a report as a log of one run, on lines, in ASCII.
#[must_use]
pub fn report(report: &Report) -> String {
    let failed = report.files.iter().filter_map(|file| Some((file, file.failed.as_deref()?)));
    let failed: Vec<Value> = failed
        .map(|(file, why)| {
            json!({
                "level": "error",
                "message": { "text": escaped(&format!("{}: {why}", file.name)) },
                "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(&file.name) } } }],
            })
        })
        .collect();
    let whole = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "imapscope",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "version": env!("CARGO_PKG_VERSION"),
                "rules": ALL.iter().map(|check| rule(check)).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": failed.is_empty(),
                "exitCode": report.code(),
                "toolExecutionNotifications": failed,
            }],
            "results": report.findings.iter().map(|finding| result(report, finding)).collect::<Vec<_>>(),
        }],
    });
    // It fails for maps whose keys are no strings, and there are none.
    ascii(&serde_json::to_string_pretty(&whole).unwrap_or_default())
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Must => "error",
        Severity::Should => "warning",
        Severity::Quirk => "note",
    }
}

fn rule(check: &Check) -> Value {
    let mut help = check.why.to_owned();
    for (label, text) in advice(check, crate::event::Culprit::None) {
        // A string takes all.
        let _ = write!(help, "\n{label}: {text}");
    }
    if !check.except.is_empty() {
        let _ = write!(help, "\nNot meant: {}", check.except);
    }
    let sections: Vec<&str> = check.rfc.into_iter().filter(|section| !section.is_empty()).collect();
    json!({
        "id": check.id,
        "shortDescription": { "text": sentence(check.summary) },
        "fullDescription": { "text": check.why },
        "help": { "text": help },
        "defaultConfiguration": { "level": level(check.severity) },
        "properties": { "severity": check.severity.word(), "protocols": check.protocols, "rfc": sections },
    })
}

fn result(report: &Report, finding: &Finding) -> Value {
    let check = finding.check;
    let number = ALL.iter().position(|other| other.id == check.id);
    let mut result = Map::new();
    let mut put = |name: &str, value: Value| result.insert(name.to_owned(), value);
    put("ruleId", check.id.into());
    put("ruleIndex", number.into());
    put("message", json!({ "text": escaped(&format!("{}: {}", finding.culprit.word(), finding.text)) }));
    if finding.consequence.is_some() {
        put("kind", "informational".into());
        put("level", "none".into());
    } else {
        put("level", level(check.severity).into());
    }
    put("locations", finding.places.iter().take(1).map(|place| location(report, place)).collect());
    let others = finding.places.iter().skip(1).map(|place| location(report, place)).collect::<Vec<_>>();
    if !others.is_empty() {
        put("relatedLocations", others.into());
    }
    put("occurrenceCount", finding.count.into());
    put("partialFingerprints", json!({ "imapscope/v1": finding.fingerprint }));
    if report.policy.has_baseline {
        put("baselineState", if finding.standing == Standing::Known { "unchanged" } else { "new" }.into());
    }
    let why = match finding.standing {
        Standing::New => None,
        Standing::Allowed => Some("allowed by --allow"),
        Standing::Known => Some("in the baseline"),
        Standing::Ours => Some("about words of imapscope itself"),
    };
    put("suppressions", why.map(|why| json!({ "kind": "external", "justification": why })).into_iter().collect());
    let mut properties = Map::new();
    properties.insert("culprit".to_owned(), finding.culprit.word().into());
    if !finding.rfc.is_empty() {
        properties.insert("rfc".to_owned(), finding.rfc.as_str().into());
    }
    if let Some((check, number)) = finding.consequence {
        let first = number.map(|number| report.findings[number].fingerprint.as_str());
        properties.insert("consequenceOf".to_owned(), json!({ "check": check, "fingerprint": first }));
    }
    put("properties", properties.into());
    Value::Object(result)
}

/// A place: the file, and in it the connection and frame. A line of a file cannot be named, as not all files have lines; the first one
/// stands for the file as a whole, without which code scanning shows nothing.
fn location(report: &Report, place: &Place) -> Value {
    let file = &report.files[place.file];
    let frame = if place.frame > 0 { format!(" frame {}", place.frame) } else { String::new() };
    let mut properties = Map::new();
    properties.insert("conn".to_owned(), place.connection.into());
    if place.frame > 0 {
        properties.insert("frame".to_owned(), place.frame.into());
    }
    if file.timed {
        properties.insert("time".to_owned(), Calendar::default().stamp(place.at).into());
    }
    let name = format!("#{}{frame}", place.connection);
    let mut location = json!({
        "physicalLocation": { "artifactLocation": { "uri": uri(&file.name) }, "region": { "startLine": 1 } },
        "logicalLocations": [{ "name": name, "fullyQualifiedName": escaped(&format!("{}{name}", file.name)) }],
        "properties": properties,
    });
    if let Some(line) = &place.line {
        location["message"] = json!({ "text": line.text });
    }
    location
}

/// A path as a reference (RFC 3986): relative as it is, absolute with its scheme, what is no letter of a URI in percent.
fn uri(path: &str) -> String {
    let mut out = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_references() {
        for (path, expected) in [
            ("a/b.imapscope", "a/b.imapscope"),
            ("/var/log/a b#1", "file:///var/log/a%20b%231"),
            ("c:d", "c%3Ad"),
            ("\u{fc}\u{1b}", "%C3%BC%1B"),
        ] {
            assert_eq!(uri(path), expected);
        }
    }
}
