//! What a probe found, for programs: one object of JSON. The names of its fields are told in the README, and stay.

use std::fmt::Write;

use serde::Serialize;

use super::{difference, step};
use crate::event::{Certificate, Note, Offer, Probed, Secured, Stage, Verification};
use crate::wording::date;

/// All of it, on lines, in ASCII: what steers a terminal is escaped as JSON escapes it.
#[must_use]
pub fn object(probed: &Probed) -> String {
    let whole = Whole {
        server: &probed.server,
        protocol: &probed.protocol,
        greeting: probed.greeting.as_deref(),
        stages: probed.stages.iter().map(Reached::of).collect(),
        changes: probed.stages.windows(2).map(|pair| Change::of(&pair[0], &pair[1])).collect(),
        id: probed.id.iter().map(|(name, value)| Field { name, value: value.as_deref() }).collect(),
        findings: probed.findings.iter().map(Finding::of).collect(),
        remarks: &probed.remarks,
        failed: probed.failed.as_deref(),
    };
    // It fails for maps whose keys are no strings, and there are none.
    ascii(&serde_json::to_string_pretty(&whole).unwrap_or_default())
}

/// Makes JSON plain ASCII with a line end. Outside of strings there is nothing else, so this escapes within them only.
pub(in crate::sink) fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if c.is_ascii() && c != '\x7f' {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // A string takes all.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out.push('\n');
    out
}

#[derive(Serialize)]
struct Whole<'a> {
    server: &'a str,
    protocol: &'a str,
    greeting: Option<&'a str>,
    stages: Vec<Reached<'a>>,
    changes: Vec<Change>,
    id: Vec<Field<'a>>,
    findings: Vec<Finding<'a>>,
    remarks: &'a [String],
    failed: Option<&'a str>,
}

#[derive(Serialize)]
struct Reached<'a> {
    stage: &'static str,
    tls: Option<Tls<'a>>,
    login: Option<Login<'a>>,
    capabilities: Vec<Capability<'a>>,
    more: usize,
}

#[derive(Serialize)]
struct Tls<'a> {
    starttls: bool,
    version: &'a str,
    suite: &'a str,
    sni: Option<&'a str>,
    verified: bool,
    faults: Option<&'a str>,
    certificate: Option<Shown<'a>>,
    remarks: Vec<&'a str>,
}

#[derive(Serialize)]
struct Shown<'a> {
    subject: &'a str,
    issuer: &'a str,
    names: &'a [String],
    more_names: usize,
    not_before: String,
    not_after: String,
    self_signed: bool,
}

#[derive(Serialize)]
struct Login<'a> {
    user: &'a str,
    how: &'a str,
}

#[derive(Serialize)]
struct Capability<'a> {
    name: &'a str,
    value: Option<&'a str>,
    meaning: Option<&'a str>,
    rfc: Option<&'a str>,
}

#[derive(Serialize)]
struct Change {
    from: &'static str,
    to: &'static str,
    appeared: Vec<String>,
    gone: Vec<String>,
}

#[derive(Serialize)]
struct Field<'a> {
    name: &'a str,
    value: Option<&'a str>,
}

#[derive(Serialize)]
struct Finding<'a> {
    text: &'a str,
    rfc: Option<&'a str>,
}

impl<'a> Reached<'a> {
    fn of(stage: &'a Stage) -> Self {
        let capability = |it: &'a Offer| Capability {
            name: &it.name,
            value: it.value.as_deref(),
            meaning: it.meaning.as_deref(),
            rfc: it.entry.rfc.as_deref(),
        };
        Reached {
            stage: step(stage).0,
            tls: stage.tls.as_ref().map(Tls::of),
            login: stage.login.as_ref().map(|(user, how)| Login { user, how }),
            capabilities: stage.offers.iter().map(capability).collect(),
            more: stage.more,
        }
    }
}

impl<'a> Tls<'a> {
    fn of(secured: &'a Secured) -> Self {
        let Secured { facts, notes, asked } = secured;
        Tls {
            starttls: *asked,
            version: &facts.version,
            suite: &facts.suite,
            sni: facts.name.as_deref(),
            verified: facts.verdict == Verification::Verified,
            faults: match &facts.verdict {
                Verification::Unverified(faults) => Some(faults),
                Verification::Verified | Verification::Ours | Verification::Untold => None,
            },
            certificate: facts.certificate.as_ref().map(Shown::of),
            remarks: notes.iter().map(|note| note.text.as_str()).collect(),
        }
    }
}

impl<'a> Shown<'a> {
    fn of(certificate: &'a Certificate) -> Self {
        let Certificate { subject, issuer, names, more_names, not_before, not_after, self_signed } = certificate;
        Shown {
            subject,
            issuer,
            names,
            more_names: *more_names,
            not_before: date(*not_before),
            not_after: date(*not_after),
            self_signed: *self_signed,
        }
    }
}

impl Change {
    fn of(before: &Stage, after: &Stage) -> Self {
        let (appeared, gone) = difference(before, after);
        let written = |offer: &&Offer| match &offer.value {
            Some(value) => format!("{} {value}", offer.name),
            None => offer.name.clone(),
        };
        Change {
            from: step(before).0,
            to: step(after).0,
            appeared: appeared.iter().map(written).collect(),
            gone: gone.iter().map(written).collect(),
        }
    }
}

impl<'a> Finding<'a> {
    fn of(note: &'a Note) -> Self {
        Finding { text: &note.text, rfc: note.rfc.as_deref() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::offering;
    use super::*;

    #[test]
    fn one_object_in_ascii_has_all() {
        let tls = Secured { asked: true, ..Secured::default() };
        let probed = Probed {
            server: "smtp://h:25".into(),
            greeting: Some("220 \u{9b}2J\x1b \u{1f642}\x7f".into()),
            stages: vec![offering(&["STARTTLS", "SIZE=1"]), Stage { tls: Some(tls), ..offering(&["SIZE=2"]) }],
            ..Probed::default()
        };
        let text = object(&probed);
        assert!(text.is_ascii() && !text.contains(['\x1b', '\x7f']), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["greeting"], "220 \u{9b}2J\x1b \u{1f642}\x7f");
        assert_eq!(value["stages"][0]["stage"], "before-tls");
        assert_eq!(value["stages"][0]["capabilities"][1]["value"], "1");
        assert_eq!(value["stages"][1]["tls"]["starttls"], true);
        assert_eq!(value["changes"][0]["appeared"][0], "SIZE 2");
        assert_eq!(value["changes"][0]["gone"].as_array().map(Vec::len), Some(2));
        assert!(value["failed"].is_null() && value["id"].as_array().is_some_and(Vec::is_empty));
    }
}
