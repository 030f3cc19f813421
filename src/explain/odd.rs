//! What is odd about a text or block on the wire, as notes: what is one mistake is one finding, and another protocol is named once.

use std::time::Duration;

use super::{Explainer, Met, early, foreign};
use crate::check::{Check, Standard, imap, line, session, smtp, tls};
use crate::event::{Foreign, Kind, Note, NoteKind, Oddity, Peer, Span, Text, repeated};
use crate::wire;
use crate::wording::duration;

impl Explainer {
    /// What is odd about a text or a block. What is one mistake is one finding: all that was smuggled in one piece, and all
    /// false ends of one message.
    pub(super) fn odd(&mut self, from: Peer, oddities: &[Oddity], unasked: bool) {
        let goes_on = self.smuggled;
        if from == Peer::Client {
            self.smuggled = repeated(oddities) > 0;
        }
        let mut ends = oddities.iter().filter(|odd| matches!(odd, Oddity::FalseEnd(..))).count();
        for &odd in oddities {
            let mut note = oddity(odd, from, unasked && odd == Oddity::UnexpectedGoAhead, self.standard);
            match odd {
                Oddity::Smuggled(_) if goes_on => {
                    note = Note::new(NoteKind::Session, "smuggled along with the above", "");
                }
                Oddity::FalseEnd(..) => match std::mem::take(&mut ends) {
                    0 => continue,
                    1 => {}
                    all => note.text.push_str(&format!(" (and {} more like it)", all - 1)),
                },
                // The size says the latter.
                Oddity::Inferred | Oddity::LeftOut => continue,
                _ => {}
            }
            self.notes.push(note);
        }
    }

    pub(super) fn oddities(&mut self, from: Peer, text: &Text, shown: &[u8]) {
        self.odd(from, &text.oddities, self.unasked);
        match text.reading.kind {
            Kind::Foreign(what) => self.foreign(what, from),
            Kind::Unknown
                if !text.oddities.iter().any(|odd| {
                    matches!(odd, Oddity::Truncated | Oddity::CutShort | Oddity::Torn | Oddity::Unfinished)
                }) =>
            {
                let at = text.reading.stopped.unwrap_or(0);
                let what = if at as usize >= wire::body(shown).len() {
                    "not understood: it ends too early".to_owned()
                } else {
                    format!("not understood from octet {at} on; it was passed on as it is")
                };
                let rest = Span::new(at as usize, wire::body(shown).len());
                let found = line::NOT_UNDERSTOOD.found(from, what, self.standard);
                self.notes.push(Note { span: (!rest.is_empty()).then_some(rest), ..found });
            }
            _ => {}
        }
    }

    /// Another protocol, said once of each peer. What it greets with is no greeting of ours.
    fn foreign(&mut self, what: Foreign, from: Peer) {
        if from == Peer::Server {
            self.early = early::Early::Judged;
        }
        if self.first_time(Met::Status, from.word().as_bytes()) {
            self.notes.push(foreign::foreign(what, from));
        }
    }
}

/// What an oddity means. `from` sent the text; `unasked` is true if the client has just sent a literal without waiting.
#[must_use]
pub fn oddity(odd: Oddity, from: Peer, unasked: bool, standard: Standard) -> Note {
    violation(odd, from, unasked, standard).unwrap_or_else(|| remark(odd, from, standard))
}

/// The finding that an oddity is; `None` for one that breaks no rule.
fn violation(odd: Oddity, from: Peer, unasked: bool, standard: Standard) -> Option<Note> {
    let says = |check: &Check, text: &str| check.found(from, text, standard);
    let at = |check: &Check, at: u32, text: String| {
        let start = at as usize;
        check.found_at(from, Span::new(start, start + 1), text, standard)
    };
    Some(match odd {
        Oddity::BareLf => says(&line::BARE_LF, "the line ends in LF alone: CR LF is required"),
        Oddity::BareCr(place) => {
            at(&line::BARE_CR, place, format!("a CR without LF at octet {place}: strict peers reject it"))
        }
        Oddity::Nul(place) if standard == Standard::Imap => {
            at(&line::NUL_BYTE, place, format!("a NUL at octet {place}: it is allowed in a binary literal only"))
        }
        Oddity::Nul(place) => {
            at(&line::NUL_BYTE, place, format!("a NUL at octet {place}: some peers cut the line there"))
        }
        Oddity::Truncated => says(&line::CUT_OFF, "cut off: the connection ended in the middle of it"),
        Oddity::NotDeflate => {
            says(&imap::COMPRESS_NOT_DEFLATE, "no DEFLATE stream: passed on as it is, and not read any more")
        }
        Oddity::InsteadOfDeflate => {
            let other = from.other().word();
            let text = format!("plain text after COMPRESS: the {other} expects DEFLATE here, and cannot inflate this");
            says(&imap::COMPRESS_PLAIN_TEXT, &text)
        }
        Oddity::OpenQuote(place) => {
            let text = "is not closed: it may not hold a line end";
            at(&imap::QUOTED_STRING_OPEN, place, format!("the quoted string that begins at octet {place} {text}"))
        }
        Oddity::NotALiteral(place) => {
            let text = "is none, so the next line was not taken for its octets";
            at(&imap::LITERAL_MALFORMED, place, format!("what looks like a literal at octet {place} {text}"))
        }
        Oddity::UnknownTag => says(&imap::TAG_UNKNOWN, "no command with this tag is waiting for an answer"),
        Oddity::UnexpectedGoAhead if unasked => session::CONTINUATION_UNASKED.found_in(
            from,
            "the client did not ask: it sent its literal without waiting, and the server waited for it as if it had not",
            "RFC 7888 section 4",
        ),
        Oddity::UnexpectedGoAhead => {
            says(&session::CONTINUATION_UNASKED, "a continuation request that no command was waiting for")
        }
        Oddity::Early => says(
            &session::SENT_TOO_EARLY,
            "sent before the server had said whether it may be: passed on at once, and read after the answer",
        ),
        Oddity::Injected => says(
            &tls::STARTTLS_INJECTION,
            "plain text behind STARTTLS and before TLS: it could be slipped in by an attacker and must not be trusted",
        ),
        Oddity::InsteadOfTls if from == Peer::Client => says(
            &tls::STARTTLS_PLAIN_TEXT,
            "plain text where TLS must begin: the server takes it for TLS, and fails or hangs up",
        ),
        Oddity::InsteadOfTls => says(
            &tls::STARTTLS_PLAIN_TEXT,
            "plain text where TLS must begin: the client takes it for TLS and fails, or trusts what anybody could have slipped in",
        ),
        Oddity::InsideIdle => says(&imap::IDLE_COMMAND, "a command inside IDLE: only DONE may be sent here"),
        Oddity::ServerNonSync => {
            says(&imap::LITERAL_PLUS_FROM_SERVER, "{n+} is for clients only; it was read as {n}")
        }
        Oddity::StrayDone => says(&imap::DONE_WITHOUT_IDLE, "DONE without IDLE"),
        Oddity::UnexpectedReply => says(
            &session::REPLY_UNASKED,
            "a reply that no command was waiting for: what answers what is not certain until all commands are answered",
        ),
        Oddity::CodeChanges => says(
            &line::REPLY_CODE_CHANGES,
            "the lines of this reply do not all have the same code; the last one counts",
        ),
        Oddity::FalseEnd(end, place) => {
            let (before, after) = (end.before.word(), end.after.word());
            let text = "does not end the message; a server that thinks so takes what follows for commands";
            says(&smtp::DOT_FALSE_END, &format!("{before} . {after} at octet {place} {text}"))
        }
        Oddity::InsideMessage => says(&smtp::REPLY_INSIDE_MESSAGE, "a reply to a message that has not ended"),
        Oddity::Smuggled(_) => says(
            &smtp::SMUGGLING,
            "smuggled: this stood in a message, and is read as the server reads it, which took a false end for the end",
        ),
        Oddity::Malformed => says(&line::REPLY_MALFORMED, "a reply that lacks its status word or its text"),
        _ => return None,
    })
}

/// What is to be said of an oddity that breaks no rule.
fn remark(odd: Oddity, from: Peer, standard: Standard) -> Note {
    let (this, other) = (from.word(), from.other().word());
    let mut rfc = "";
    let text = match odd {
        Oddity::CutShort => format!("cut off: the {other} ended the connection in the middle of it"),
        Oddity::Torn => "not whole: bytes next to it, or of it, are missing from the file".to_owned(),
        Oddity::Unfinished => {
            "cut off: nothing more was seen of it, and neither peer had ended the connection".to_owned()
        }
        Oddity::Waited(time) => {
            let time = duration(Duration::from_millis(time));
            format!("waited {time} for the answer to STARTTLS before it was sent on")
        }
        Oddity::Unruled => {
            "a rule matches its first 64 KiB, and was not applied: longer texts are passed on as they came".to_owned()
        }
        Oddity::LiteralRefused => {
            rfc = standard.literal_refused();
            "the server refused the literal, so its octets were not sent; what follows is a new command".to_owned()
        }
        Oddity::TooManyInFlight => {
            "too many commands wait for an answer: what answers this one and those behind it is not told".to_owned()
        }
        Oddity::ClosedEarly => {
            rfc = smtp::SMUGGLING.section(standard);
            let text = "the server took a false end for the end of this message";
            format!("{text}: what came behind it is read as the server reads it")
        }
        Oddity::Kept => format!("not for the {other}: it is between the {this} and imapscope"),
        Oddity::Ours => format!("said by imapscope; the {this} does not say this"),
        Oddity::Dropped => "not sent on either: it belongs to what a rule has taken away".to_owned(),
        Oddity::LeftOut => "left out by the log".to_owned(),
        Oddity::Misread => {
            "which commands the next replies answer is uncertain: nothing is concluded until one is answered alone"
                .to_owned()
        }
        Oddity::Inferred => "its state is inferred from commands".to_owned(),
        // All others are violations.
        _ => String::new(),
    };
    let kind = if odd == Oddity::Inferred { NoteKind::Detail } else { NoteKind::Session };
    Note::new(kind, text, rfc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Culprit;

    #[test]
    fn the_culprit_is_who_broke_the_rule() {
        assert_eq!(
            oddity(Oddity::BareLf, Peer::Server, false, Standard::Imap).kind,
            NoteKind::Finding(Culprit::Server)
        );
        assert_eq!(
            oddity(Oddity::UnknownTag, Peer::Server, false, Standard::Imap).kind,
            NoteKind::Finding(Culprit::Server)
        );
        assert_eq!(
            oddity(Oddity::InsideIdle, Peer::Client, false, Standard::Imap).kind,
            NoteKind::Finding(Culprit::Client)
        );
        assert_eq!(oddity(Oddity::LiteralRefused, Peer::Client, false, Standard::Imap).kind, NoteKind::Session);
    }

    #[test]
    fn an_unasked_go_ahead_after_a_literal_is_told_apart() {
        let plain = oddity(Oddity::UnexpectedGoAhead, Peer::Server, false, Standard::Imap);
        let after = oddity(Oddity::UnexpectedGoAhead, Peer::Server, true, Standard::Imap);
        assert_ne!(plain.text, after.text);
        assert_eq!(after.rfc.as_deref(), Some("RFC 7888 section 4"));
    }
}
