//! What a batch costs in memory, in bytes. Everything that a peer can make large or numerous is counted.

use std::borrow::Cow;
use std::sync::Arc;

use crate::event::{Batch, Decoded, Edited, Event, Text, TlsFacts, What};

/// Maximum of what a hello owns: its texts are few and short. A connection has few of them.
const HELLO: usize = 4 * 1024;

/// Bytes of a batch that are used, with all that its events own.
pub fn content(batch: &Batch) -> usize {
    let owned = batch.events.iter().map(of_event).sum::<usize>();
    size_of::<Batch>() + batch.bytes.len() + size_of_val(batch.events.as_slice()) + owned
}

/// Bytes of memory of a batch that are not used.
pub fn slack(batch: &Batch) -> usize {
    let (bytes, events) = (&batch.bytes, &batch.events);
    bytes.capacity() - bytes.len() + (events.capacity() - events.len()) * size_of::<Event>()
}

/// What an event owns beyond itself.
fn of_event(event: &Event) -> usize {
    match &event.what {
        What::Text(text) => of_text(text),
        What::Data(data) => list(&data.oddities),
        What::Tls(facts) => of_tls(facts),
        What::Hello(_) => HELLO,
        What::Opened(opened) => {
            size_of_val(&**opened)
                + opened.protocol.len()
                + opened.client.len()
                + opened.server.len()
                + list(&opened.rules)
        }
        What::Closed(closed) => size_of_val(&**closed) + closed.why.as_ref().map_or(0, String::capacity),
        What::Waiting(wait) => size_of_val(&**wait),
        What::Octets(_)
        | What::Abrupt
        | What::Upgrade(_)
        | What::Lag { .. }
        | What::Gap { .. }
        | What::Missed(_)
        | What::HalfClosed => 0,
    }
}

fn of_text(text: &Text) -> usize {
    list(&text.secrets)
        + list(&text.oddities)
        + text.reading.list.as_ref().map_or(0, |names| list(&names.items))
        + text.edit.as_deref().map_or(0, of_edit)
        + text.decoded.as_deref().map_or(0, of_decoded)
}

fn of_edit(edit: &Edited) -> usize {
    let pairs =
        |pairs: &Vec<(Arc<str>, String)>| list(pairs) + pairs.iter().map(|(_, what)| what.capacity()).sum::<usize>();
    let would = edit.would.iter().map(|(_, what)| if let Cow::Owned(what) = what { what.capacity() } else { 0 });
    size_of::<Edited>()
        + list(&edit.secrets)
        + list(&edit.fired)
        + list(&edit.would)
        + would.sum::<usize>()
        + pairs(&edit.varied)
        + pairs(&edit.refused)
        + pairs(&edit.faults)
}

fn of_decoded(decoded: &Decoded) -> usize {
    let user = decoded.user.as_ref().map_or(0, String::capacity);
    size_of::<Decoded>() + decoded.text.capacity() + decoded.mechanism.capacity() + user
}

fn of_tls(facts: &TlsFacts) -> usize {
    let names = facts.certificate.as_ref().map_or(0, |certificate| {
        let names = certificate.names.iter().map(String::capacity).sum::<usize>();
        list(&certificate.names) + names + certificate.subject.capacity() + certificate.issuer.capacity()
    });
    size_of::<TlsFacts>() + names + facts.name.as_ref().map_or(0, String::capacity)
}

fn list<T>(items: &Vec<T>) -> usize {
    items.capacity() * size_of::<T>()
}
