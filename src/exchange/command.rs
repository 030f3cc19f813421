//! One command and what became of it, and how a verb is spelled. Bounded: what is kept of its words is in the constants below.

use std::time::Duration;

use crate::event::{Span, State, Status, Time, is_masked};
use crate::grammar::{Grammar, Replies, Then};

/// Longest verb, in bytes. A longer one is no verb that anybody knows.
pub const MAX_VERB: usize = 64;

/// Maximum number of bytes kept of a tag.
pub const MAX_TAG: usize = 64;

/// Maximum number of bytes kept of a command's arguments.
pub const MAX_ARGUMENTS: usize = 96;

/// Where a command went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Disposition {
    /// To the server.
    #[default]
    Forward,
    /// Nowhere: a rule dropped it, and nobody answers.
    Drop,
    /// Nowhere: a rule refused it, and imapscope answers.
    Refuse,
}

/// How far a login had got when it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sent {
    /// No message with credentials was sent.
    Nothing,
    /// The user name was sent, and nothing that proves it.
    Name,
    /// The client gave up: it sent `*` (RFC 4422 section 3.5).
    Cancelled,
    /// The mechanism has no password: EXTERNAL, ANONYMOUS.
    Identity,
    /// Everything was sent, or that is not known.
    #[default]
    All,
}

/// A command with its replies. Its words are those of the log: what is hidden there is hidden here.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    /// The command's frame.
    pub frame: u64,
    /// Tag, verb and the beginning of the arguments, in one piece of memory.
    pub(super) words: Box<[u8]>,
    pub(super) tag: u8,
    pub(super) verb: u8,
    /// When its first bytes came.
    pub began: Time,
    /// When its last bytes came: those of a literal, a response or a message included.
    pub at: Time,
    /// The state in which it was sent.
    pub state: State,
    /// What the grammar says follows it on the wire.
    pub then: Option<Then>,
    /// The state after success.
    pub on_ok: Option<State>,
    /// The state after failure.
    pub on_no: Option<State>,
    /// Where it went.
    pub disposition: Disposition,
    /// imapscope itself sent it.
    pub ours: bool,
    /// The server asked for what follows.
    pub granted: bool,
    /// It announced a literal, and the server has not asked for it yet.
    pub unsent: bool,
    /// The message that it sends, or the last chunk of it, is sent.
    pub whole: bool,
    /// There is a reply for each recipient, and none for all of them.
    pub each: bool,
    /// It is a login.
    pub login: bool,
    /// How far its line gets a login.
    pub sent: Sent,
    /// A list of capabilities came while it waited.
    pub listed: bool,
    /// The mailbox, user or recipient that it names, for people.
    pub subject: Option<Box<str>>,
    /// Its place among the verbs that are counted.
    pub row: u16,
    /// Its tag is hidden.
    pub hidden_tag: bool,
    /// Number of replies, continuation requests apart.
    pub replies: u32,
    /// How many of them were good.
    pub taken: u32,
    /// The status of the last reply.
    pub status: Option<Status>,
    /// From the last bytes of the command to its last reply.
    pub latency: Option<Duration>,
}

impl Exchange {
    /// The exchange that a command begins in this frame. `parts`: its tag, verb and arguments in `bytes`, in which these secrets
    /// are masked.
    pub(super) fn new(frame: u64, bytes: &[u8], parts: [Span; 3], secrets: &[Span], grammar: &Grammar) -> Self {
        let [tag, verb, arguments] = parts.map(|part| part.of(bytes));
        let known = grammar.command(verb);
        // The tag comes before the verb: what hides a part of it hides whether that is a tag.
        let hidden_tag = is_hidden(secrets, bytes, parts[0]);
        let tag = if hidden_tag { b"" } else { &tag[..tag.len().min(MAX_TAG)] };
        let mut spelled = [0; MAX_VERB];
        let verb = if is_hidden(secrets, bytes, parts[1]) { None } else { spell(verb, &mut spelled) };
        let verb = verb.unwrap_or_default().as_bytes();
        let bare = arguments.trim_ascii().is_empty();
        let chunk = known.is_some_and(|known| known.then == Some(Then::ClientOctets));
        // Chunks before the last one change nothing.
        let whole = chunk && is_last(arguments);
        let arguments = &arguments[..arguments.len().min(MAX_ARGUMENTS)];
        Exchange {
            frame,
            words: [tag, verb, arguments].concat().into(),
            tag: tag.len() as u8,
            verb: verb.len() as u8,
            then: known.and_then(|known| known.leads_to(grammar.form, bare)),
            on_ok: known.and_then(|known| known.on_ok).filter(|_| !chunk || whole),
            on_no: known.and_then(|known| known.on_no),
            each: known.is_some_and(|known| known.replies == Some(Replies::EachRecipient)),
            whole,
            hidden_tag,
            ..Exchange::default()
        }
    }

    /// Its tag, [`MAX_TAG`] bytes at most; empty without one, and for one that is hidden.
    #[must_use]
    pub fn tag(&self) -> &[u8] {
        &self.words[..usize::from(self.tag)]
    }

    /// Its verb in upper case, with `UID ` before it where the client said so; empty for one that is hidden or cannot be one.
    #[must_use]
    pub fn verb(&self) -> &str {
        let end = usize::from(self.tag) + usize::from(self.verb);
        std::str::from_utf8(&self.words[usize::from(self.tag)..end]).unwrap_or_default()
    }

    /// Its verb without `UID `, and whether it has that.
    #[must_use]
    pub fn name(&self) -> (&str, bool) {
        unprefixed(self.verb())
    }

    /// The first [`MAX_ARGUMENTS`] bytes of what follows the verb, without line end and literals; secrets are masked.
    #[must_use]
    pub fn arguments(&self) -> &[u8] {
        &self.words[usize::from(self.tag) + usize::from(self.verb)..]
    }
}

/// A verb in upper case without `UID `, and whether that stood there.
#[must_use]
pub fn unprefixed(verb: &str) -> (&str, bool) {
    verb.strip_prefix("UID ").map_or((verb, false), |name| (name, true))
}

/// True if a chunk is said to be the last one (RFC 3030 section 2).
fn is_last(arguments: &[u8]) -> bool {
    let mut words = arguments.split(|&b| b == b' ').filter(|word| !word.is_empty());
    words.nth(1).is_some_and(|word| word.eq_ignore_ascii_case(b"LAST"))
}

/// True if a part of these bytes is secret and masked.
fn is_hidden(secrets: &[Span], bytes: &[u8], part: Span) -> bool {
    secrets.iter().any(|secret| secret.start < part.end && part.start < secret.end && is_masked(secret.of(bytes)))
}

/// Spells a verb as conditions and outputs have it: in upper case, with one blank after `UID`. `None` for what cannot be a verb:
/// nothing, too much, or what is not printable.
#[must_use]
pub fn spell<'a>(verb: &[u8], room: &'a mut [u8; MAX_VERB]) -> Option<&'a str> {
    let verb = verb.trim_ascii();
    let (before, name) = match verb.split_at_checked(4) {
        Some((uid, name)) if uid.eq_ignore_ascii_case(b"UID ") => (uid, name.trim_ascii_start()),
        _ => (&verb[..0], verb),
    };
    let len = before.len() + name.len();
    let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    if name.is_empty() || len > MAX_VERB || !name.iter().all(printable) || name.iter().all(|byte| *byte == b'*') {
        return None;
    }
    room[..before.len()].copy_from_slice(before);
    room[before.len()..len].copy_from_slice(name);
    room[..len].make_ascii_uppercase();
    std::str::from_utf8(&room[..len]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_spelled_in_one_way() {
        for (verb, spelled) in [
            (&b"fetch"[..], Some("FETCH")),
            (b"uid Fetch", Some("UID FETCH")),
            (b"uid  fetch", Some("UID FETCH")),
            (b"UID ", Some("UID")),
            (b"", None),
            (b"a\x1bb", None),
            (b"\xff", None),
            (b"***", None),
            (&[b'a'; 65], None),
        ] {
            assert_eq!(spell(verb, &mut [0; MAX_VERB]), spelled, "{}", verb.escape_ascii());
        }
    }
}
