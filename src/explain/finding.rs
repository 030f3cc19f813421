//! Findings in words: what is wrong on the wire, whose fault it is, and where the rule is written.

use std::time::Duration;

use super::book::Book;
use crate::event::{Foreign, Layer, Note, NoteKind, Oddity, Peer};
use crate::wording::duration;

/// A note with a place in an RFC.
#[must_use]
pub fn note(kind: NoteKind, text: impl Into<String>, rfc: &str) -> Note {
    Note { kind, about: None, text: text.into(), rfc: (!rfc.is_empty()).then(|| rfc.to_owned()), check: "" }
}

/// A violation, which the check of this name finds.
#[must_use]
pub fn finding(culprit: Peer, check: &'static str, text: impl Into<String>, rfc: &str) -> Note {
    Note { check, ..note(NoteKind::Finding(Some(culprit)), text, rfc) }
}

/// What breaks no rule of either peer, and what neither wants.
#[must_use]
pub fn nobodys(check: &'static str, text: impl Into<String>, rfc: &str) -> Note {
    Note { check, ..note(NoteKind::Finding(None), text, rfc) }
}

/// What an oddity means. `from` sent the text; `unasked` is true if the client has just sent a literal without waiting.
#[must_use]
pub fn oddity(odd: Oddity, from: Peer, unasked: bool, book: Book) -> Note {
    let (client, server) = (Peer::Client, Peer::Server);
    let place = book.place(odd);
    let check = odd.word();
    let says = |culprit: Peer, text: &str| finding(culprit, check, text, place);
    match odd {
        Oddity::BareLf => says(from, "the line ends in LF alone: CR LF is required"),
        Oddity::BareCr(at) => {
            finding(from, check, format!("a CR without LF at octet {at}: strict peers reject it"), place)
        }
        Oddity::Nul(at) if book == Book::Imap => {
            finding(from, check, format!("a NUL at octet {at}: it is allowed in a binary literal only"), place)
        }
        Oddity::Nul(at) => finding(from, check, format!("a NUL at octet {at}: some peers cut the line there"), place),
        Oddity::Truncated => finding(from, check, "cut off: the connection ended in the middle of it", ""),
        Oddity::CutShort => note(
            NoteKind::Session,
            format!("cut off: the {} ended the connection in the middle of it", from.other().word()),
            "",
        ),
        Oddity::Torn => note(NoteKind::Session, "not whole: bytes next to it, or of it, are missing from the file", ""),
        Oddity::Unfinished => note(
            NoteKind::Session,
            "cut off: nothing more was seen of it, and neither peer had ended the connection",
            "",
        ),
        Oddity::NotDeflate => says(from, "no DEFLATE stream: passed on as it is, and not read any more"),
        Oddity::InsteadOfDeflate => finding(
            from,
            check,
            format!(
                "plain text after COMPRESS: the {} expects DEFLATE here, and cannot inflate this",
                from.other().word()
            ),
            place,
        ),
        Oddity::OpenQuote(at) => finding(
            from,
            check,
            format!("the quoted string that begins at octet {at} is not closed: it may not hold a line end"),
            place,
        ),
        Oddity::NotALiteral(at) => finding(
            from,
            check,
            format!("what looks like a literal at octet {at} is none, so the next line was not taken for its octets"),
            place,
        ),
        Oddity::UnknownTag => says(server, "no command with this tag is waiting for an answer"),
        Oddity::UnexpectedGoAhead if unasked => finding(
            server,
            check,
            "the client did not ask: it sent its literal without waiting, and the server waited for it as if it had not",
            "RFC 7888 section 4",
        ),
        Oddity::UnexpectedGoAhead => says(server, "a continuation request that no command was waiting for"),
        Oddity::Early => says(
            client,
            "sent before the server had said whether it may be: passed on at once, and read after the answer",
        ),
        Oddity::Waited(time) => note(
            NoteKind::Session,
            format!(
                "waited {} for the answer to STARTTLS before it was sent on",
                duration(Duration::from_millis(time))
            ),
            "",
        ),
        Oddity::Injected => says(
            from,
            "plain text behind STARTTLS and before TLS: it could be slipped in by an attacker and must not be trusted",
        ),
        Oddity::InsteadOfTls if from == client => {
            says(client, "plain text where TLS must begin: the server takes it for TLS, and fails or hangs up")
        }
        Oddity::InsteadOfTls => says(
            server,
            "plain text where TLS must begin: the client takes it for TLS and fails, or trusts what anybody could have slipped in",
        ),
        Oddity::InsideIdle => says(client, "a command inside IDLE: only DONE may be sent here"),
        Oddity::Unruled => note(
            NoteKind::Session,
            "a rule matches its first 64 KiB, and was not applied: longer texts are passed on as they came",
            "",
        ),
        Oddity::LiteralRefused => note(
            NoteKind::Session,
            "the server refused the literal, so its octets were not sent; what follows is a new command",
            place,
        ),
        Oddity::ServerNonSync => says(server, "{n+} is for clients only; it was read as {n}"),
        Oddity::StrayDone => says(client, "DONE without IDLE"),
        Oddity::UnexpectedReply => says(
            server,
            "a reply that no command was waiting for: what answers what is not certain until all commands are answered",
        ),
        Oddity::TooManyInFlight => note(
            NoteKind::Session,
            "too many commands wait for an answer: what answers this one and those behind it is not told",
            place,
        ),
        Oddity::CodeChanges => {
            says(server, "the lines of this reply do not all have the same code; the last one counts")
        }
        Oddity::FalseEnd(end, at) => finding(
            from,
            check,
            format!(
                "{} . {} at octet {at} does not end the message; a server that thinks so takes what follows for commands",
                end.before.word(),
                end.after.word()
            ),
            place,
        ),
        Oddity::InsideMessage => says(server, "a reply to a message that has not ended"),
        Oddity::Smuggled(_) => says(
            server,
            "smuggled: this stood in a message, and is read as the server reads it, which took a false end for the end",
        ),
        Oddity::ClosedEarly => note(
            NoteKind::Session,
            "the server took a false end for the end of this message: what came behind it is read as the server reads it",
            place,
        ),
        Oddity::Misread => note(
            NoteKind::Session,
            "which commands the next replies answer is uncertain: nothing is concluded until one is answered alone",
            place,
        ),
        Oddity::Kept => note(
            NoteKind::Session,
            format!("not for the {}: it is between the {} and imapscope", from.other().word(), from.word()),
            "",
        ),
        Oddity::Ours => {
            note(NoteKind::Session, format!("said by imapscope; the {} does not say this", from.word()), "")
        }
        Oddity::Dropped => note(NoteKind::Session, "not sent on either: it belongs to what a rule has taken away", ""),
        Oddity::LeftOut => note(NoteKind::Session, "left out by the log", ""),
        Oddity::Inferred => note(NoteKind::Detail, "its state is inferred from commands", ""),
        Oddity::Malformed => says(from, "a reply that lacks its status word or its text"),
    }
}

/// The check of a peer that speaks another protocol than the route.
pub const WRONG_PROTOCOL: &str = "wrong-protocol";

/// What to do about traffic of another protocol.
#[must_use]
pub fn foreign(what: Foreign, from: Peer) -> Note {
    let text = match (what, from) {
        (Foreign::Imap, _) => other("IMAP", "imap", from),
        (Foreign::Pop3, _) => other("POP3", "pop3", from),
        (Foreign::Smtp, _) => other("SMTP", "smtp", from),
        (Foreign::Lmtp, _) => other("LMTP", "lmtp", from),
        (Foreign::Managesieve, _) => other("ManageSieve", "sieve", from),
        (Foreign::Nntp, _) => other("NNTP", "nntp", from),
        (Foreign::Irc, _) => other("IRC", "irc", from),
        (Foreign::Ftp, _) => other("FTP", "", from),
        _ => foreign_to_mail(what, from).to_owned(),
    };
    // A balancer is set to send it, to a server that wants it: then nothing is wrong.
    let fine = what == Foreign::Proxy && from == Peer::Client;
    if fine { note(NoteKind::Session, text, "") } else { finding(from, WRONG_PROTOCOL, text, "") }
}

/// What to do about a peer that speaks another mail protocol, with its scheme in a route; empty if it has none.
pub(super) fn other(protocol: &str, scheme: &str, from: Peer) -> String {
    let scheme = if scheme.is_empty() { String::new() } else { format!(", or needs the scheme {scheme}://") };
    match from {
        Peer::Client => {
            let scheme = scheme.replace("needs", "the route needs");
            format!("the client speaks {protocol}: it was pointed at the wrong port{scheme}")
        }
        Peer::Server => format!("the server speaks {protocol}: the route names the wrong port{scheme}"),
    }
}

/// What to do about traffic that is none of mail.
const fn foreign_to_mail(what: Foreign, from: Peer) -> &'static str {
    match (what, from) {
        (Foreign::Tls, Peer::Client) => {
            "the client speaks TLS on a plain port: switch TLS off in the client, or listen with TLS (imaps://:PORT=…)"
        }
        (Foreign::Tls, Peer::Server) => {
            "the server speaks TLS on this port: name it with the scheme for TLS in the route, such as imaps://"
        }
        (Foreign::TlsAlert, Peer::Client) => {
            "the client sent a TLS alert, on a plain port: switch TLS off in the client, or listen with TLS (imaps://:PORT=…)"
        }
        (Foreign::TlsAlert, Peer::Server) => {
            "the server sent a TLS alert: name it with the scheme for TLS in the route, such as imaps://"
        }
        (Foreign::Http, Peer::Client) => "the client speaks HTTP: it was pointed at the wrong port",
        (Foreign::Http, Peer::Server) => "the server speaks HTTP: the route names the wrong port",
        (Foreign::Proxy, Peer::Client) => {
            "a PROXY protocol header: something in front of the client's lane sends it; switch it off there unless the server expects it"
        }
        (Foreign::Proxy, Peer::Server) => "a PROXY protocol header from the server: the route names the wrong port",
        (Foreign::Ssh, Peer::Client) => "the client speaks SSH: it was pointed at the wrong port",
        (Foreign::Ssh, Peer::Server) => "the server speaks SSH: the route names the wrong port",
        (_, Peer::Client) => "the client speaks another protocol: it was pointed at the wrong port",
        (_, Peer::Server) => "the server speaks another protocol: the route names the wrong port",
    }
}

/// What a new layer means for the log.
#[must_use]
pub fn layer(layer: Layer, from: Peer, book: Book) -> Note {
    let who = from.word();
    match layer {
        Layer::Tls => note(
            NoteKind::Session,
            format!("from here on the {who} speaks TLS; capabilities learned before do not count any more"),
            book.tls(),
        ),
        Layer::Deflate => {
            let text =
                format!("from here on the {who}'s octets are compressed, and the client's from its next command");
            note(NoteKind::Session, text, "RFC 4978 section 3")
        }
        Layer::Sasl => note(
            NoteKind::Session,
            format!("from here on the {who}'s lane is under a SASL security layer, which cannot be read"),
            "RFC 4422 section 3.7",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_culprit_is_who_broke_the_rule() {
        assert_eq!(oddity(Oddity::BareLf, Peer::Server, false, Book::Imap).kind, NoteKind::Finding(Some(Peer::Server)));
        assert_eq!(
            oddity(Oddity::UnknownTag, Peer::Server, false, Book::Imap).kind,
            NoteKind::Finding(Some(Peer::Server))
        );
        assert_eq!(
            oddity(Oddity::InsideIdle, Peer::Client, false, Book::Imap).kind,
            NoteKind::Finding(Some(Peer::Client))
        );
        assert_eq!(oddity(Oddity::LiteralRefused, Peer::Client, false, Book::Imap).kind, NoteKind::Session);
    }

    #[test]
    fn an_unasked_go_ahead_after_a_literal_is_told_apart() {
        let plain = oddity(Oddity::UnexpectedGoAhead, Peer::Server, false, Book::Imap);
        let after = oddity(Oddity::UnexpectedGoAhead, Peer::Server, true, Book::Imap);
        assert_ne!(plain.text, after.text);
        assert_eq!(after.rfc.as_deref(), Some("RFC 7888 section 4"));
    }
}
