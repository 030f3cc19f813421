//! Waits in words: who waits for what, since when, and what would free it. Accuses nobody.

use super::Explainer;
use crate::check::Standard;
use crate::event::{Ask, DataKind, Form, Line, Note, NoteKind, Owed, Peer, Time, Wait, Waiting};
use crate::exchange::Connection;
use crate::grammar::Grammar;
use crate::wording::{amount, duration};

impl Explainer {
    /// Nothing moves, and somebody owes something.
    pub(super) fn waits(&mut self, wait: &Wait, at: Time) -> Waiting {
        let said = waiting(&self.connection, &self.grammar, wait, at);
        let frees = frees(&self.connection, &self.grammar, wait);
        if !frees.is_empty() {
            self.notes.push(Note::new(NoteKind::Session, frees, ""));
        }
        said
    }
}

/// A wait as the log says it at this moment: `waiting: the server for 21 bytes of the client's literal, since 25.00 s`.
#[must_use]
pub fn waiting(connection: &Connection, grammar: &Grammar, wait: &Wait, at: Time) -> Waiting {
    let by = if wait.ours { "imapscope" } else { wait.by.word() };
    let article = if wait.ours { "" } else { "the " };
    let what = what(connection, grammar, wait);
    let text = format!("waiting: {article}{by} for {what}, since {}", duration(at.since(wait.since)));
    Waiting { by, what, text }
}

/// What is waited for.
pub(super) fn what(connection: &Connection, grammar: &Grammar, wait: &Wait) -> String {
    let who = wait.by.other().word();
    let command = |frame| named(connection, frame);
    match &wait.owed {
        Owed::Greeting => "the server's greeting".to_owned(),
        Owed::Reply { frame, behind: 0 } => format!("the server's reply to {}", command(*frame)),
        Owed::Reply { frame, behind } => {
            format!("the server's reply to {} ({} after it)", command(*frame), amount(*behind, "command"))
        }
        Owed::Continuation { frame, ask } => match ask {
            Ask::Literal => format!("the server's continuation request for the literal of {}", command(*frame)),
            Ask::Sasl => format!("the server's challenge or reply in {}", command(*frame)),
            Ask::Idle | Ask::Message => format!("the server's continuation request to {}", command(*frame)),
        },
        Owed::Response { frame } => format!("the client's answer to the challenge in {}", command(*frame)),
        Owed::Done { frame } => format!("the client's DONE, which ends {}", command(*frame)),
        Owed::Bytes { data, left } => format!("{} of the {who}'s {}", amount(*left, "byte"), block(*data)),
        Owed::Dot { data, came } => {
            format!("the end of the {who}'s {} ({} so far)", block(*data), amount(*came, "byte"))
        }
        Owed::LineEnd { line: Line::Rest, came: None | Some(0), .. } => {
            format!("the rest of the {who}'s {} after its literal", text(wait.by.other()))
        }
        Owed::LineEnd { line, came, verb } => {
            // What a file says is believed only if it is a word of the protocol.
            let verb = verb.as_ref().and_then(|verb| grammar.commands.exact(verb.as_bytes()));
            let verb = verb.map_or_else(String::new, |known| format!(": {}", known.name));
            let line = if *line == Line::Response { "answer" } else { text(wait.by.other()) };
            let came = came.map_or_else(String::new, |came| format!(" ({} so far{verb})", amount(came, "byte")));
            format!("the line end of the {who}'s {line}{came}")
        }
        Owed::LastLine { came } => format!("the last line of the {who}'s reply ({} so far)", amount(*came, "byte")),
        Owed::Block { came } => format!("the end of the {who}'s DEFLATE block ({} so far)", amount(*came, "byte")),
        Owed::Tls { .. } => format!("the {who}'s TLS handshake"),
        Owed::Room { bytes } => format!("the {who} to read {}", amount(*bytes, "byte")),
        Owed::Held { bytes, .. } => format!("{} that imapscope holds back", amount(*bytes, "byte")),
    }
}

/// What would end the wait, in a clause; empty where nothing is to be said.
fn frees(connection: &Connection, grammar: &Grammar, wait: &Wait) -> String {
    let (form, owes) = (grammar.form, wait.by.other());
    let tagged = |frame| tag(connection, frame).filter(|_| form == Form::Imap);
    match &wait.owed {
        Owed::Greeting if connection.has_tls(Peer::Server) => String::new(),
        Owed::Greeting => match Standard::of(grammar).tls_port() {
            Some(_) => {
                "does this port expect TLS at once? The route then needs a scheme for it, such as imaps://".to_owned()
            }
            None => String::new(),
        },
        Owed::Reply { frame, .. } => match (form, tagged(*frame)) {
            (Form::Imap, Some(tag)) => format!("{tag} OK, NO or BAD would end it"),
            (Form::Imap, None) => "OK, NO or BAD with its tag would end it".to_owned(),
            (Form::Codes, _) => "a line that begins with a reply code and a space would end it".to_owned(),
            (Form::Pop3, _) => "+OK or -ERR would end it".to_owned(),
            (Form::Managesieve, _) => "OK, NO or BYE would end it".to_owned(),
            (Form::Line, _) => String::new(),
        },
        Owed::Continuation { frame, ask } => match (form, tagged(*frame)) {
            (Form::Imap, Some(tag)) if *ask == Ask::Sasl => {
                format!("a line that begins with + would end it, or {tag} OK, NO or BAD")
            }
            (Form::Imap, Some(tag)) => format!("a line that begins with + would end it, or {tag} NO or BAD"),
            (Form::Codes, _) => "a line with a reply code that begins with 3 would end it, or a refusal".to_owned(),
            (Form::Managesieve, _) => "a challenge or a reply would end it".to_owned(),
            _ => "a line that begins with + would end it, or a refusal".to_owned(),
        },
        Owed::Response { .. } if form == Form::Managesieve => "a string in base64 would end it".to_owned(),
        Owed::Response { .. } => "a line of base64 would end it, or * to cancel".to_owned(),
        Owed::Done { .. } => "a server need not answer other commands before DONE".to_owned(),
        Owed::Bytes { data: DataKind::Literal | DataKind::Chunk, .. } => {
            "an announced count that is too large looks like this".to_owned()
        }
        Owed::Bytes { .. } => String::new(),
        Owed::Held { rule, stalled: true, .. } => format!("`{rule}` holds them for as long as the connection lasts"),
        Owed::Held { rule, .. } => format!("`{rule}` sends them later"),
        Owed::Dot { data: DataKind::Message, .. } => {
            "a message ends with a line that is a single dot, between CR LF and CR LF".to_owned()
        }
        Owed::Dot { .. } => "they end with a line that is a single dot".to_owned(),
        Owed::LineEnd { line: Line::Response, .. } => "an answer ends with CR LF".to_owned(),
        Owed::LineEnd { .. } => format!("a {} ends with CR LF", text(owes)),
        Owed::LastLine { .. } => match form {
            Form::Codes => "its last line has a space after the code, or is a single dot".to_owned(),
            Form::Managesieve => "it ends with OK, NO or BYE".to_owned(),
            _ => "it ends with a line that is a single dot".to_owned(),
        },
        Owed::Block { .. } => "compressed bytes can be read only after a flush".to_owned(),
        Owed::Tls { agreed: true } => "TLS begins with its next bytes".to_owned(),
        Owed::Tls { agreed: false } => {
            format!("the {} began TLS; does this port expect plain text?", wait.by.word())
        }
        Owed::Room { .. } => format!("nothing more is read from the {} until then", wait.by.word()),
    }
}

/// A command as the log calls it: `t3 FETCH`.
fn named(connection: &Connection, frame: u64) -> String {
    let Some(exchange) = connection.find(frame) else { return "a command".to_owned() };
    let tag = tag(connection, frame).unwrap_or_default();
    match (tag.as_str(), exchange.verb()) {
        ("", "") => "a command".to_owned(),
        ("", verb) => verb.to_owned(),
        (tag, "") => format!("the command {tag}"),
        (tag, verb) => format!("{tag} {verb}"),
    }
}

/// The tag of a command, if it has one that may be shown.
fn tag(connection: &Connection, frame: u64) -> Option<String> {
    let tag = String::from_utf8_lossy(connection.find(frame)?.tag()).into_owned();
    (!tag.is_empty()).then_some(tag)
}

const fn text(from: Peer) -> &'static str {
    match from {
        Peer::Client => "command",
        Peer::Server => "response",
    }
}

const fn block(data: DataKind) -> &'static str {
    match data {
        DataKind::Literal => "literal",
        DataKind::Chunk => "chunk",
        DataKind::Proxy => "PROXY header",
        DataKind::Message => "message",
        DataKind::Lines => "lines",
        DataKind::Overlong | DataKind::Opaque | DataKind::Rest | DataKind::Blank => "data",
    }
}
