//! What conditions can ask about an event, for sinks whose reader asks later.

use std::borrow::Cow;

/// The facts of an event, called as the fields of conditions are. What is not among them the event does not have.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// What it is of what it belongs to.
    pub part: Part,
    /// What is known, field by field.
    pub facts: Vec<(&'static str, Value<'a>)>,
}

/// What an event is of what it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first line of the command or response with this number, or data by themselves.
    First(u64),
    /// What goes on with it.
    Later(u64),
    /// Something about the connection.
    Around,
}

/// What is known of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// It cannot be said.
    Unknown,
    /// A number.
    Number(u64),
    /// Words. Of a word with a short form, all of it comes first; of a status, the status and how the reply begins.
    Words(Vec<Cow<'a, [u8]>>),
}
