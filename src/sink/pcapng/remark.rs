//! What is remarked on a packet: the sentences of the log, as comments. Escaped and bounded, for a note may quote a peer.

use super::super::caps::reference;
use super::super::escape::{Dress, escape, escaped};
use super::super::secured;
use super::super::text::start_of;
use crate::event::{Culprit, Edited, Fate, Layer, Note, NoteKind, Opened, Peer, Text, TlsFacts, Verification};
use crate::exchange::Explained;
use crate::wording::duration;

/// A packet has so many comments at most, and each so many octets of a text or note.
pub const MAX_REMARKS: usize = 100;
const MAX_REMARK: usize = 2048;

/// Adds a remark, unless there are too many.
pub fn add(remarks: &mut Vec<String>, remark: impl Into<String>) {
    if remarks.len() < MAX_REMARKS {
        remarks.push(remark.into());
    } else if remarks.len() == MAX_REMARKS {
        remarks.push("there are more remarks".into());
    }
}

/// What is to be said of any event: how long an answer took, and its notes.
pub fn notes(remarks: &mut Vec<String>, event: &Explained<'_>) {
    if let Some(latency) = event.latency
        && !event.notes.iter().any(|note| note.kind == NoteKind::Answer)
    {
        add(remarks, format!("after {}", duration(latency)));
    }
    for note in event.notes {
        add(remarks, sentence(note));
    }
}

/// What a rule did to a text, and what was sent on instead of it.
pub fn edit(remarks: &mut Vec<String>, event: &Explained<'_>, text: &Text) {
    match event.sent {
        None => {}
        Some([]) => add(remarks, "not sent on"),
        Some(sent) => add(remarks, format!("sent on instead: {}", plain(sent))),
    }
    let Some(Edited { fired, refused, faults, .. }) = text.edit.as_deref() else { return };
    if event.notes.iter().any(|note| note.kind == NoteKind::Rule) {
        return;
    }
    fired.iter().for_each(|rule| add(remarks, format!("rule `{}`", escaped(rule))));
    faults.iter().for_each(|(rule, what)| add(remarks, format!("rule `{}`: {}", escaped(rule), escaped(what))));
    refused
        .iter()
        .for_each(|(rule, why)| add(remarks, format!("rule `{}` was not applied: {}", escaped(rule), escaped(why))));
}

/// The connection as it really is, and its rules.
pub fn opened(remarks: &mut Vec<String>, number: u64, opened: &Opened) {
    let Opened { protocol, client, server, rules, middle, .. } = opened;
    add(remarks, escaped(&format!("connection {number}, {protocol}: {client} -> {server}")));
    rules.iter().for_each(|rule| add(remarks, format!("rule `{}`", escaped(rule))));
    middle.iter().for_each(|middle| add(remarks, crate::sink::phrase::middle(*middle)));
}

/// The facts of TLS on one leg.
pub fn tls(peer: Peer, facts: &TlsFacts) -> String {
    let verdict = match &facts.verdict {
        Verification::Ours => "the certificate is ours".to_owned(),
        Verification::Verified => "verified".to_owned(),
        Verification::Unverified(why) => format!("not verified: {why}"),
        Verification::Untold => secured::judged(facts).1,
    };
    let (head, rest) = secured::settled(peer, facts);
    escaped(&format!("{head}{rest}; {verdict}"))
}

/// The name of a layer.
pub const fn layer(layer: Layer) -> &'static str {
    match layer {
        Layer::Tls => "TLS",
        Layer::Deflate => "DEFLATE",
        Layer::Sasl => "a SASL security layer",
    }
}

fn sentence(note: &Note) -> String {
    let mark = match note.kind {
        NoteKind::Finding(Culprit::None) => "! ".to_owned(),
        NoteKind::Finding(culprit) => format!("! {}: ", culprit.word()),
        NoteKind::Capability(Fate::Removed) => "- ".to_owned(),
        NoteKind::Capability(Fate::Added) => "+ ".to_owned(),
        _ => String::new(),
    };
    let about = note.about.as_deref().filter(|about| !about.is_empty() && !note.text.contains(about));
    let about = about.map_or_else(String::new, |about| format!("{}: ", plain(about.as_bytes())));
    let rfc = reference(note).map_or_else(String::new, |rfc| format!(" ({rfc})"));
    format!("{mark}{about}{}{rfc}", plain(note.text.as_bytes()))
}

/// Octets as one line, without the line end, bounded.
fn plain(octets: &[u8]) -> String {
    let octets = octets.strip_suffix(b"\r\n").unwrap_or(octets);
    let start = start_of(octets, MAX_REMARK);
    let mut line = Vec::with_capacity(start.len());
    escape(&mut line, start, Dress::default());
    let line = String::from_utf8(line).unwrap_or_default();
    if start.len() < octets.len() { line + " …" } else { line }
}
