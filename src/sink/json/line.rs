//! An event, field by field. `json.schema.json` says what each means: who adds one here adds it there, and tests compare both.

use std::time::Duration;

use super::form::Object;
use super::text::{Octets, whole_characters};
use super::{facts, names};
use crate::check::Check;
use crate::event::{
    Data, Edited, Fate, Kind, List, ListKind, Mark, Note, NoteKind, Oddity, Peer, Role, Span, Text, What,
};
use crate::exchange::{Explained, Run, Tie};
use crate::sink::text::{End, split_end};

/// Writes the fields of an event. `stamp`: when it happened, as RFC 3339 has it; `since`: likewise, when a wait began.
pub fn write(line: &mut Object<'_>, event: &Explained<'_>, stamp: &str, since: &str) {
    line.string("time", stamp);
    line.seconds("epoch", Duration::from_nanos(event.at.0));
    line.number("conn", event.connection.number);
    line.maybe("protocol", event.connection.protocol());
    line.string("from", event.event.from.word());
    line.string("kind", names::kind(&event.event.what));
    line.maybe("user", event.user);
    match &event.event.what {
        What::Text(text) => self::text(line, event, text),
        What::Data(data) => block(line, event, data),
        What::Opened(opened) => facts::opened(line, opened),
        What::Tls(tls) => facts::tls(line, tls),
        What::Hello(hello) => facts::hello(line, hello),
        What::Upgrade(layer) => line.string("layer", names::layer(*layer)),
        What::Lag { events, bytes } => line.object("missing", |missing| {
            missing.number("events", *events);
            missing.number("octets", *bytes);
        }),
        What::Gap { bytes, data } => line.object("gap", |gap| {
            if let Some(bytes) = bytes {
                gap.number("bytes", *bytes);
            }
            gap.flag("data", *data);
        }),
        What::Missed(rule) => line.objects("rules", [rule], |object, rule| outcome(object, rule, "missed", "")),
        What::Waiting(_) => line.object("waiting", |object| {
            let waiting = event.waiting.cloned().unwrap_or_default();
            object.string("by", waiting.by);
            object.string("for", &waiting.what);
            object.string("since", since);
            object.string("text", &waiting.text);
        }),
        What::Closed(closed) => facts::closed(line, closed, event.summary),
        What::Octets(_) | What::Abrupt | What::HalfClosed => {}
    }
    remarks(line, event.notes);
}

/// Writes what all connections come to. `stamp`: when the last event happened.
pub fn run(line: &mut Object<'_>, run: &Run, stamp: &str) {
    line.string("time", stamp);
    line.seconds("epoch", Duration::from_nanos(run.last().0));
    line.string("kind", "run");
    line.object("run", |object| facts::run(object, run));
}

fn text(line: &mut Object<'_>, event: &Explained<'_>, text: &Text) {
    line.string("state", text.state.word());
    line.number("frame", text.frame);
    line.boolean("first", text.first);
    if let Some(answers) = text.answers {
        line.number("answers", answers);
    }
    line.flag("more", text.more);
    if let Some(latency) = event.latency {
        line.seconds("latency", latency);
    }
    let octets = Octets::new(event.bytes, &text.secrets);
    parts(line, &text.reading.kind, event, &octets);
    let (body, end) = split_end(event.bytes);
    octets.write(line, "text", Span::new(0, body.len()));
    line.maybe("ending", ending(end));
    octets.write_coded(line, "bytes");
    // With the size, the length of what is hidden would be told.
    if octets.hides() {
        line.flag("hidden", true);
    } else {
        line.number("size", event.bytes.len() as u64);
    }
    if let Some(literal) = text.reading.literal {
        line.object("literal", |object| {
            object.number("size", literal.len);
            object.boolean("synchronizing", literal.synchronizing);
            object.boolean("binary", literal.binary);
        });
    }
    capabilities(line, event, text.reading.list.as_ref());
    if let Some(edit) = text.edit.as_deref() {
        edited(line, event, edit);
    }
    oddities(line, &text.oddities);
}

/// What the text is made of.
fn parts(line: &mut Object<'_>, kind: &Kind, event: &Explained<'_>, octets: &Octets<'_>) {
    let bytes = event.bytes;
    let untagged = |line: &mut Object<'_>, tag: Span, other: &str| {
        if tag.is_empty() { line.string("tag", other) } else { octets.write(line, "tag", tag) }
    };
    match *kind {
        Kind::Command { tag, .. } => octets.write_some(line, "tag", tag),
        Kind::Reply { tag, .. } => untagged(line, tag, "*"),
        Kind::Info { .. } => line.string("tag", "*"),
        Kind::GoAhead { .. } => line.string("tag", "+"),
        _ => {}
    }
    command(line, event);
    match *kind {
        Kind::Command { arguments, .. } => octets.write_some(line, "arguments", arguments),
        Kind::Reply { status, word, code, text, .. } => {
            line.string("status", status.word());
            octets.write_some(line, "word", word);
            octets.write_some(line, "code", code.unwrap_or_default());
            octets.write_some(line, "human", text);
        }
        Kind::GoAhead { word, text } => {
            octets.write_some(line, "word", word);
            octets.write_some(line, "human", text);
        }
        Kind::Info { number, name, arguments } => {
            let digits = number.and_then(|number| std::str::from_utf8(number.of(bytes)).ok());
            if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
                line.number("number", number);
            }
            if octets.hides() {
                octets.write(line, "name", name);
            } else {
                line.octets("name", &[&name.of(bytes).to_ascii_uppercase()]);
            }
            octets.write_some(line, "arguments", arguments);
        }
        Kind::Foreign(foreign) => line.string("foreign", names::foreign(foreign)),
        _ => {}
    }
}

/// The command that the event is, answers or belongs to.
fn command(line: &mut Object<'_>, event: &Explained<'_>) {
    if event.connection.command().is_some()
        && let Some((exchange, tie)) = event.connection.exchange()
    {
        let (name, uid) = exchange.name();
        line.string("command", name);
        line.flag("uid", uid);
        let unpaired = tie == Tie::Answer && event.event.from == Peer::Server && event.connection.missing.unpaired;
        line.flag("guess", tie == Tie::Guess || unpaired);
    }
}

const fn ending(end: End) -> Option<&'static str> {
    match end {
        End::CrLf => None,
        End::Lf => Some("LF"),
        End::Open => Some("none"),
    }
}

/// The list in the text, each name with what became of it.
fn capabilities(line: &mut Object<'_>, event: &Explained<'_>, list: Option<&List>) {
    let Some(list) = list else { return };
    line.string("list", names::list(list.kind));
    let parted = |at: usize| list.items.get(at + 1).is_some_and(|next| next.part);
    let came = list.items.iter().enumerate().map(|(at, item)| {
        let parameters = item.parameters.of(event.bytes).trim_ascii();
        let value = if parted(at) { b"" } else { parameters };
        let prefix: &[u8] = if item.part { b"AUTH=" } else { b"" };
        (prefix, item.name.of(event.bytes), value, fate(event, item.name))
    });
    let sent = event.sent.unwrap_or_default();
    let added = event.sent_marks.iter().filter(|mark| mark.role == Role::Added).map(|mark| {
        let (name, value) = match mark.span.of(sent) {
            whole if !matches!(list.kind, ListKind::Lines(_)) => (whole, &b""[..]),
            whole => whole.iter().position(|&byte| byte == b' ').map_or((whole, &b""[..]), |at| {
                let (name, value) = whole.split_at(at);
                (name, value.trim_ascii())
            }),
        };
        (prefix(sent, mark, list.kind), name, value, Some(Fate::Added))
    });
    line.objects("capabilities", came.chain(added), |object, (prefix, name, value, fate)| {
        object.octets("name", &[prefix, name]);
        if !value.is_empty() {
            object.octets("value", &[value]);
        }
        object.maybe("fate", fate.map(names::fate));
    });
}

/// What became of a name that came; unknown where a list is so long that not all of it is marked.
fn fate(event: &Explained<'_>, name: Span) -> Option<Fate> {
    let at = event.marks.partition_point(|mark| mark.span.end <= name.start);
    match event.marks.get(at).filter(|mark| mark.span.start <= name.start).map(|mark| mark.role) {
        Some(Role::Removed) => Some(Fate::Removed),
        Some(_) => Some(Fate::Kept),
        None => event.sent.is_none().then_some(Fate::Kept),
    }
}

/// What stands before a name that a rule put on the line of another: a mechanism for login.
fn prefix(sent: &[u8], mark: &Mark, kind: ListKind) -> &'static [u8] {
    let before = &sent[..(mark.span.start as usize).min(sent.len())];
    let line = before.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    let names = |word: &[u8]| line.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    if matches!(kind, ListKind::Lines(_)) && (names(b"AUTH") || names(b"SASL")) { b"AUTH=" } else { b"" }
}

/// What rules made of the text, and which.
fn edited(line: &mut Object<'_>, event: &Explained<'_>, edit: &Edited) {
    if let Some(sent) = event.sent {
        let octets = Octets::new(sent, &edit.secrets);
        let (body, end) = split_end(sent);
        if sent.is_empty() {
            line.flag("dropped", true);
        } else {
            octets.write(line, "sent", Span::new(0, body.len()));
            line.maybe("sent_ending", ending(end));
            octets.write_coded(line, "sent_bytes");
        }
    }
    line.flag("answered", edit.answered);
    let applied = edit.fired.iter().map(|rule| (rule, "applied", ""));
    let made = edit.made.iter().map(|rule| (rule, "made", ""));
    let faults = edit.faults.iter().map(|(rule, what)| (rule, "fault", what.as_str()));
    let refused = edit.refused.iter().map(|(rule, why)| (rule, "refused", why.as_str()));
    let would = edit.would.iter().map(|(rule, what)| (rule, "would", &**what));
    let all = applied.chain(made).chain(faults).chain(refused).chain(would);
    line.objects("rules", all, |object, (rule, how, what)| outcome(object, rule, how, what));
}

fn outcome(object: &mut Object<'_>, rule: &str, outcome: &str, detail: &str) {
    object.string("rule", rule);
    object.string("outcome", outcome);
    object.maybe("detail", Some(detail).filter(|detail| !detail.is_empty()));
}

fn block(line: &mut Object<'_>, event: &Explained<'_>, data: &Data) {
    line.string("state", data.state.word());
    line.number("frame", data.frame);
    command(line, event);
    line.number("size", data.len);
    let hidden = event.hides(data);
    line.flag("hidden", hidden);
    line.object("data", |object| {
        object.string("kind", names::block(data.kind));
        if let Some(announced) = data.announced {
            object.number("announced", announced);
        }
        if let Some(lines) = data.lines {
            object.number("lines", lines);
        }
        if !hidden && !event.beside.is_empty() {
            object.octets("subject", &[event.beside]);
        }
        if !hidden {
            let cut = (event.bytes.len() as u64) < data.len;
            let head = if cut { whole_characters(event.bytes) } else { event.bytes };
            let octets = Octets::new(head, &[]);
            octets.write(object, "head", Span::new(0, head.len()));
            octets.write_coded(object, "bytes");
        }
    });
    oddities(line, &data.oddities);
}

fn oddities(line: &mut Object<'_>, oddities: &[Oddity]) {
    line.objects("oddities", oddities, |object, &odd| {
        object.string("name", odd.word());
        match odd {
            Oddity::BareCr(at) | Oddity::Nul(at) | Oddity::OpenQuote(at) | Oddity::NotALiteral(at) => {
                object.number("at", at.into());
            }
            Oddity::FalseEnd(end, at) => {
                object.number("at", at);
                object.string("before", end.before.word());
                object.string("after", end.after.word());
            }
            Oddity::Smuggled(count) => object.number("repeats", count),
            Oddity::Waited(time) => object.seconds("time", Duration::from_millis(time)),
            _ => {}
        }
    });
}

/// Findings, and the other notes.
fn remarks(line: &mut Object<'_>, notes: &[Note]) {
    let finding = |note: &&Note| matches!(note.kind, NoteKind::Finding(_));
    line.objects("findings", notes.iter().filter(finding), |object, note| {
        if let NoteKind::Finding(culprit) = note.kind {
            object.string("culprit", culprit.word());
        }
        object.maybe("check", Some(note.check).filter(|check| !check.is_empty()));
        if let Some(check) = Check::named(note.check) {
            object.string("severity", check.severity.word());
        }
        if let Some(span) = note.span {
            object.object("span", |object| {
                object.number("start", span.start.into());
                object.number("end", span.end.into());
            });
        }
        if let Some(first) = note.consequence {
            object.object("consequence", |object| {
                object.number("frame", first.frame);
                object.string("check", first.check);
            });
        }
        remark(object, note);
    });
    line.objects("notes", notes.iter().filter(|note| !finding(note)), |object, note| {
        object.string("kind", names::note(note.kind));
        remark(object, note);
    });
}

fn remark(object: &mut Object<'_>, note: &Note) {
    object.maybe("about", note.about.as_deref().filter(|about| !about.is_empty()));
    object.string("text", &note.text);
    object.maybe("rfc", note.rfc.as_deref().filter(|rfc| !rfc.is_empty()));
}
