//! What a filter would ask of an event, told to whoever has no filter yet: every field, as conditions know it.

use std::borrow::Cow;

use super::Seen;
use crate::event::{Known, Value, What};
use crate::exchange::Explained;
use crate::rules::condition::{FIELDS, FieldRow};
use crate::rules::fact::{Fact, Facts};
use crate::rules::lines::called;

/// Tells `hear` what is known of an event. Bare bytes belong to what announced them, and nothing is known of them.
pub fn known<R>(event: &Explained<'_>, hear: impl FnOnce(Option<&Known<'_>>) -> R) -> R {
    if matches!(event.event.what, What::Octets(_)) {
        return hear(None);
    }
    let seen = Seen { event, judged: false };
    let fact = |row: &'static FieldRow| Some((row.word, value(seen.fact(row.field))?));
    hear(Some(&Known { part: seen.part(), facts: FIELDS.iter().filter_map(fact).collect() }))
}

/// A fact as words; `None` if there is no such thing.
fn value(fact: Fact<'_>) -> Option<Value<'_>> {
    let words = match fact {
        Fact::Absent => return None,
        Fact::Unknown => return Some(Value::Unknown),
        Fact::Number(number) => return Some(Value::Number(number)),
        Fact::Word { word, whole } if word == whole => vec![Cow::Borrowed(whole)],
        Fact::Word { word, whole } => vec![Cow::Borrowed(whole), Cow::Borrowed(word)],
        Fact::Lines(text) => vec![Cow::Borrowed(text)],
        Fact::Status { status, mark } => vec![Cow::Borrowed(status), Cow::Borrowed(mark)],
        Fact::Names { text, items } => {
            let mut names = Vec::new();
            for item in items {
                // What passes no test is tried by each of its names.
                called(item, text, |name| {
                    names.push(Cow::Owned(name.to_vec()));
                    false
                });
            }
            names
        }
        Fact::Route { number, written } => {
            vec![Cow::Borrowed(written.as_bytes()), Cow::Owned(number.to_string().into_bytes())]
        }
        Fact::Several(words) => words.into_iter().map(Cow::Borrowed).collect(),
    };
    Some(Value::Words(words))
}
