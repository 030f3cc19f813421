//! The words for what events know as kinds. They are a promise: `json.schema.json` lists them.

use crate::event::{DataKind, Fate, Foreign, Kind, Layer, ListKind, NoteKind, What};

/// What sort of event it is; of a text, what it turned out to be.
#[must_use]
pub const fn kind(what: &What) -> &'static str {
    match what {
        What::Text(text) => match text.reading.kind {
            Kind::Command { .. } => "command",
            Kind::Reply { .. } => "reply",
            Kind::GoAhead { .. } => "go-ahead",
            Kind::Info { .. } => "info",
            Kind::More => "more",
            Kind::Done => "done",
            Kind::Sasl => "sasl",
            Kind::Cancel => "cancel",
            Kind::Blank => "blank",
            Kind::Foreign(_) => "foreign",
            Kind::Unknown => "unknown",
        },
        What::Opened(_) => "opened",
        What::Octets(_) | What::Data(_) => "data",
        What::Tls(_) => "tls",
        What::Hello(_) => "hello",
        What::Abrupt => "abrupt",
        What::Upgrade(_) => "upgrade",
        What::Lag { .. } => "lag",
        What::Gap { .. } => "gap",
        What::Missed(_) => "missed",
        What::Waiting(_) => "waiting",
        What::HalfClosed => "half-closed",
        What::Closed(_) => "closed",
    }
}

/// A layer that begins.
#[must_use]
pub const fn layer(layer: Layer) -> &'static str {
    match layer {
        Layer::Tls => "tls",
        Layer::Deflate => "deflate",
        Layer::Sasl => "sasl",
    }
}

/// Another protocol than the route's.
#[must_use]
pub const fn foreign(foreign: Foreign) -> &'static str {
    match foreign {
        Foreign::Tls => "tls",
        Foreign::TlsAlert => "tls-alert",
        Foreign::Http => "http",
        Foreign::Proxy => "proxy",
        Foreign::Ssh => "ssh",
        Foreign::Imap => "imap",
        Foreign::Pop3 => "pop3",
        Foreign::Smtp => "smtp",
        Foreign::Lmtp => "lmtp",
        Foreign::Managesieve => "managesieve",
        Foreign::Nntp => "nntp",
        Foreign::Irc => "irc",
        Foreign::Ftp => "ftp",
    }
}

/// Where a list stands.
#[must_use]
pub const fn list(kind: ListKind) -> &'static str {
    match kind {
        ListKind::Data => "data",
        ListKind::Code => "code",
        ListKind::Enable => "enable",
        ListKind::Enabled => "enabled",
        ListKind::Lines(_) => "lines",
    }
}

/// What became of a capability.
#[must_use]
pub const fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Kept => "kept",
        Fate::Removed => "removed",
        Fate::Added => "added",
    }
}

/// A block of data.
#[must_use]
pub const fn block(kind: DataKind) -> &'static str {
    match kind {
        DataKind::Literal => "literal",
        DataKind::Overlong => "overlong",
        DataKind::Opaque => "opaque",
        DataKind::Proxy => "proxy",
        DataKind::Message => "message",
        DataKind::Chunk => "chunk",
        DataKind::Lines => "lines",
        DataKind::Rest => "rest",
        DataKind::Blank => "blank",
    }
}

/// A note.
#[must_use]
pub const fn note(kind: NoteKind) -> &'static str {
    match kind {
        NoteKind::Meaning => "meaning",
        NoteKind::Answer => "answer",
        NoteKind::Capability(_) => "capability",
        NoteKind::Difference => "difference",
        NoteKind::Decoded => "decoded",
        NoteKind::Detail => "detail",
        NoteKind::Rule => "rule",
        NoteKind::Session => "session",
        NoteKind::Finding(_) => "finding",
    }
}
