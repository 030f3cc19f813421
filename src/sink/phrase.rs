//! What logs for people say in the same words, whatever they look like: kinds of data, sizes, what happened to a connection.

use crate::event::{Data, DataKind, Edited, Layer, Oddity, Peer, State};
use crate::wording::{amount, thousands};

/// What a block of data is.
#[must_use]
pub const fn block(data: &Data) -> &'static str {
    match data.kind {
        DataKind::Literal => "literal",
        DataKind::Overlong => "overlong line",
        DataKind::Opaque if data.secret => "under a layer that is not read",
        DataKind::Opaque => "not inflated",
        DataKind::Proxy => "PROXY header",
        DataKind::Message => "message",
        DataKind::Chunk => "chunk",
        DataKind::Lines if data.subject.is_empty() => "lines",
        DataKind::Lines => "message",
        DataKind::Rest => "not read",
        DataKind::Blank => "empty lines",
    }
}

/// True if a block has fewer octets than were announced.
#[must_use]
pub fn is_short(data: &Data) -> bool {
    data.announced.is_some_and(|announced| announced > data.len)
}

/// A block with its size: `literal, 51 octets`.
#[must_use]
pub fn size(data: &Data) -> String {
    if let Some(lines) = data.lines {
        return format!("{}, {}", amount(lines, "more empty line"), amount(data.len, "octet"));
    }
    let what = block(data);
    if data.oddities.contains(&Oddity::LeftOut) {
        let announced = data.announced.map_or_else(String::new, |size| format!(": {}", amount(size, "octet")));
        return format!("{what}, left out by the log{announced}");
    }
    match data.announced {
        Some(announced) if is_short(data) => {
            format!("{what}, cut off: {} of {}", thousands(data.len), amount(announced, "octet"))
        }
        _ => format!("{what}, {}", amount(data.len, "octet")),
    }
}

/// Whose words rules may change; `edit` is `[client, server]`.
#[must_use]
pub const fn lanes(edit: [bool; 2]) -> &'static str {
    match edit {
        [false, false] => "tap: nothing is changed",
        [true, false] => "rules may change what the client sends",
        [false, true] => "rules may change what the server sends",
        [true, true] => "rules may change what either side sends",
    }
}

/// A layer begins.
#[must_use]
pub fn begins(layer: Layer, from: Peer) -> String {
    let layer = match layer {
        Layer::Tls => "TLS",
        Layer::Deflate => "DEFLATE",
        Layer::Sasl => "a SASL security layer",
    };
    format!("{layer} begins with what the {} sends next", from.word())
}

/// Events are missing.
#[must_use]
pub fn lag(events: u64, bytes: u64) -> String {
    let (events, bytes) = (amount(events, "event"), amount(bytes, "octet"));
    format!("the log could not keep up: {events} ({bytes}) are missing; the relay went on")
}

/// Bytes are missing from what was read.
#[must_use]
pub fn gap(from: Peer, bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => format!("{} of the {} missing from the file", amount(bytes, "byte"), from.word()),
        None => "the beginning of the connection is missing from the file".to_owned(),
    }
}

/// The beginning is missing from what was read; `middle` is the state in which the rest begins.
#[must_use]
pub fn middle(middle: State) -> String {
    match middle {
        State::Opaque => "begins in the middle: nothing is concluded from what came before".to_owned(),
        state => format!("begins in the middle, in the {} state", state.short()),
    }
}

/// A fault did not happen.
#[must_use]
pub fn missed(rule: &str) -> String {
    format!(
        "rule `{rule}` did nothing: there was no such byte, it was on its way already, or the connection ended before"
    )
}

/// TLS ended without a farewell.
#[must_use]
pub fn abrupt(from: Peer) -> String {
    format!("the {} closed without close_notify", from.word())
}

/// A half-close.
#[must_use]
pub fn half_closed(from: Peer) -> String {
    format!("the {} will send no more", from.word())
}

/// The rules that were at work, each with what is to be said of it; a refused one has its reason apart.
#[must_use]
pub fn rules(edit: &Edited) -> Vec<(String, &str)> {
    let fired = edit.fired.iter().map(|rule| (format!("rule `{rule}`"), ""));
    let faults = edit.faults.iter().map(|(rule, what)| (format!("rule `{rule}`: {what}"), ""));
    let refused =
        edit.refused.iter().map(|(rule, reason)| (format!("rule `{rule}` was not applied: "), reason.as_str()));
    fired.chain(faults).chain(refused).collect()
}
