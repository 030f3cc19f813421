//! The table of checks: each kind of violation by its id, with its severity, whose fault it is, where the rule is written, why it
//! matters, and what to do. Knows facts and words about them; what finds a violation is in [`explain`](crate::explain).

pub mod imap;
pub mod line;
pub mod session;
pub mod smtp;
pub mod standard;
pub mod tls;

use crate::event::{Cause, Culprit, Note, NoteKind, Peer, Severity, Span, Verdict};
use crate::wording::nearest;
pub use standard::Standard;

/// A kind of violation.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// Its id: kebab-case, and the same in all versions.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Whose fault it is.
    pub blames: Blames,
    /// What is wrong, in one line.
    pub summary: &'static str,
    /// The protocols in which it occurs, by name; empty for all.
    pub protocols: &'static [&'static str],
    /// The section that is broken in IMAP, SMTP, POP3 and ManageSieve; empty where none is known.
    pub rfc: [&'static str; 4],
    /// What breaks, and for whom.
    pub why: &'static str,
    /// What the author of a client can do, and of a server; empty for the side that can do nothing.
    pub fix: [&'static str; 2],
    /// The option or rule of imapscope that works around it; empty without one.
    pub rule: &'static str,
    /// What looks like it and is right; empty if nothing does.
    pub except: &'static str,
    /// The rules of the catalogue of incidents that it answers to.
    pub rules: &'static [&'static str],
    /// A dialogue in which it occurs, and one in which it does not; below `tests/dialogues`.
    pub dialogues: [&'static str; 2],
}

/// Whose fault a violation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blames {
    /// That of the peer which sent the line.
    Sender,
    /// The client's.
    Client,
    /// The server's.
    Server,
    /// Nobody's: neither peer has broken a rule.
    Nobody,
}

/// All checks, in the order of their ids.
pub const ALL: &[&Check] = &[
    &line::BARE_CR,
    &line::BARE_LF,
    &session::BEFORE_GREETING,
    &imap::CAPABILITY_BOGUS,
    &session::CAPABILITY_HIDDEN,
    &session::CAPABILITY_NOT_OFFERED,
    &tls::CERTIFICATE_NOT_VERIFIED,
    &tls::CHANNEL_BINDING,
    &session::CLOSED_WITHOUT_ANSWER,
    &imap::COMPRESS_NOT_DEFLATE,
    &imap::COMPRESS_PLAIN_TEXT,
    &session::CONTINUATION_UNASKED,
    &line::CUT_OFF,
    &smtp::DATA_WITHOUT_354,
    &imap::DONE_WITHOUT_IDLE,
    &smtp::DOT_FALSE_END,
    &imap::ENABLE_MISSING,
    &imap::IDLE_COMMAND,
    &imap::LITERAL_AS_COMMANDS,
    &imap::LITERAL_MALFORMED,
    &imap::LITERAL_MINUS_TOO_LARGE,
    &imap::LITERAL_PLUS_FROM_SERVER,
    &imap::LOGIN_DISABLED,
    &line::NOT_UNDERSTOOD,
    &line::NUL_BYTE,
    &tls::OLD_TLS,
    &imap::QUOTED_STRING_OPEN,
    &line::REPLY_CODE_CHANGES,
    &smtp::REPLY_INSIDE_MESSAGE,
    &line::REPLY_MALFORMED,
    &session::REPLY_UNASKED,
    &session::SASL_EARLY_SUCCESS,
    &session::SECOND_LOGIN,
    &session::SENT_TOO_EARLY,
    &smtp::SMUGGLING,
    &tls::STARTTLS_INJECTION,
    &tls::STARTTLS_PLAIN_TEXT,
    &imap::TAG_IN_USE,
    &imap::TAG_UNKNOWN,
    &tls::TLS_MISSING,
    &session::WRONG_PROTOCOL,
    &session::WRONG_STATE,
];

impl Check {
    /// The check of this id.
    #[must_use]
    pub fn named(id: &str) -> Option<&'static Check> {
        ALL.binary_search_by(|check| check.id.cmp(id)).ok().map(|at| ALL[at])
    }

    /// The id that is spelled most like this one, if one is close.
    #[must_use]
    pub fn suggest(id: &str) -> Option<String> {
        nearest(id, ALL.iter().map(|check| check.id))
    }

    /// The section that is broken, in this standard.
    #[must_use]
    pub const fn section(&self, standard: Standard) -> &'static str {
        standard.pick(self.rfc)
    }

    /// Whose fault it is, if this peer sent the line.
    #[must_use]
    pub const fn culprit(&self, from: Peer) -> Culprit {
        match (self.blames, from) {
            (Blames::Client, _) | (Blames::Sender, Peer::Client) => Culprit::Client,
            (Blames::Server, _) | (Blames::Sender, Peer::Server) => Culprit::Server,
            (Blames::Nobody, _) => Culprit::None,
        }
    }

    /// A finding of this check in a line that `from` sent; the section is that of the standard.
    #[must_use]
    pub fn found(&self, from: Peer, text: impl Into<String>, standard: Standard) -> Note {
        self.found_in(from, text, self.section(standard))
    }

    /// The same with a section that the finding itself knows better.
    #[must_use]
    pub fn found_in(&self, from: Peer, text: impl Into<String>, rfc: &str) -> Note {
        Note { check: self.id, ..Note::new(NoteKind::Finding(self.culprit(from)), text, rfc) }
    }

    /// The same at these bytes of the text.
    #[must_use]
    pub fn found_at(&self, from: Peer, span: Span, text: impl Into<String>, standard: Standard) -> Note {
        Note { span: Some(span), ..self.found(from, text, standard) }
    }
}

/// Returns the finding that only a verdict has: the end of a connection is what shows it, and no note does.
#[must_use]
pub fn concluded(verdict: &Verdict) -> Option<&Cause> {
    Some(&verdict.cause).filter(|cause| cause.check == session::CLOSED_WITHOUT_ANSWER.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_standard_of_a_name_is_that_of_its_grammar() {
        for name in ["imap", "smtp", "lmtp", "pop3", "managesieve", "nntp", "irc"] {
            let grammar = crate::grammar::Grammar::builtin(name).expect("built in");
            assert_eq!(Standard::named(name), Standard::of(&grammar), "{name}");
        }
    }

    #[test]
    fn every_row_is_whole() {
        for check in ALL {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            assert!(check.id.bytes().all(plain), "{}", check.id);
            assert_eq!(Check::named(check.id), Some(*check), "in the order of ids");
            assert!(check.summary.len() > 10 && check.why.len() > 20, "{}", check.id);
            assert!(check.fix.iter().any(|fix| !fix.is_empty()), "{}: somebody can do something", check.id);
            assert!(check.severity != Severity::Quirk || check.blames == Blames::Nobody, "{}", check.id);
            for dialogue in check.dialogues {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues").join(dialogue);
                assert!(path.is_file(), "{}: {dialogue}", check.id);
            }
        }
    }
}
