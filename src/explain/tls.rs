//! What there is to say about TLS on a leg, beside its facts: what was not verified, what will soon not be valid any
//! more, and what an end without a word leaves open.

use crate::check::{Standard, tls as checks};
use crate::event::{Hello, Layer, Note, NoteKind, Peer, Time, TlsFacts, Verification};
use crate::wording::{amount, date};

/// A certificate that is valid for less than so many days is pointed out.
const SOON: i64 = 30;

const DAY: i64 = 86_400;

/// Remarks on the facts of one leg.
#[must_use]
pub fn notes(facts: &TlsFacts, at: Time) -> Vec<Note> {
    let mut notes = Vec::new();
    match &facts.verdict {
        Verification::Unverified(faults) => {
            let text = format!(
                "NOT VERIFIED, because of --insecure: {faults}; this may be anybody, who then reads passwords and all else"
            );
            notes.push(checks::CERTIFICATE_NOT_VERIFIED.found(Peer::Server, text, Standard::Other));
        }
        Verification::Verified if facts.insecure => {
            let text = "--insecure was given and not needed: the certificate is verified";
            notes.push(Note::new(NoteKind::Session, text, ""));
        }
        Verification::Verified | Verification::Ours | Verification::Untold => {}
    }
    if facts.legacy {
        notes.push(old(facts));
    }
    let Some(certificate) = &facts.certificate else { return notes };
    let now = i64::try_from(at.0 / 1_000_000_000).unwrap_or(i64::MAX);
    let left = (certificate.not_after - now).div_euclid(DAY);
    let ours = facts.verdict == Verification::Ours;
    if ours && now > certificate.not_after {
        let text = format!("our certificate expired on {}", date(certificate.not_after));
        notes.push(Note::new(NoteKind::Session, text, ""));
    } else if now <= certificate.not_after && left < SOON {
        let days = u64::try_from(left).unwrap_or_default();
        let text = match days {
            0 => "the certificate expires within a day".to_owned(),
            days => format!("the certificate expires in {}", amount(days, "day")),
        };
        notes.push(Note::new(NoteKind::Session, text, ""));
    }
    if facts.verdict == Verification::Verified && certificate.self_signed {
        notes.push(Note::new(NoteKind::Session, "the certificate is self-signed, and named in --server-ca", ""));
    }
    notes
}

/// What there is to say of plain text in the place of TLS that both peers understand.
#[must_use]
pub fn inside(facts: &TlsFacts) -> Option<Note> {
    let decrypted = facts.verdict == Verification::Untold && facts.version.is_empty() && facts.suite.is_empty();
    let text =
        "both peers go on in plain text: the file seems to be decrypted, or to be written by a program inside TLS";
    decrypted.then(|| Note::new(NoteKind::Session, text, ""))
}

/// What there is to say of a client that could be served only because somebody wanted it so.
fn old(facts: &TlsFacts) -> Note {
    let accepted = "accepted only because this imapscope was built with legacy-tls";
    if matches!(facts.version.as_str(), "TLS 1.0" | "TLS 1.1") {
        let text =
            format!("{} is not safe, {accepted}: whoever is in between may read and change this leg", facts.version);
        return checks::OLD_TLS.found_in(Peer::Client, text, "RFC 8996");
    }
    let text = if facts.suite.starts_with("TLS_RSA_WITH_") {
        format!("a key exchange with RSA alone, {accepted}: whoever gets our key later can read what was recorded")
    } else {
        format!("the client knows RSA only, or is set narrowly, {accepted}")
    };
    Note::new(NoteKind::Session, text, "")
}

/// An end of TLS without its word.
#[must_use]
pub fn abrupt() -> Note {
    let text = "as most do: the end is passed on, but somebody on the way could have cut the connection off";
    Note::new(NoteKind::Session, text, "RFC 8446 section 6.1")
}

/// What a peer's hello or alert means, where TLS is between the peers.
#[must_use]
pub fn hello(hello: &Hello, from: Peer) -> Note {
    let said = |text: String, rfc| Note::new(NoteKind::Session, text, rfc);
    match hello {
        Hello::Client { encrypted: true, .. } => {
            let text = "relayed and not read from here on; it holds an encrypted hello, or octets that look like one: if it is \
                        one, the name is the outer one, and who is really asked for cannot be seen";
            said(text.to_owned(), "RFC 9849 section 5")
        }
        Hello::Client { .. } => said("relayed and not read from here on".to_owned(), ""),
        Hello::Server { retry: true, .. } => {
            said("it asks the client for another hello first".to_owned(), "RFC 8446 section 4.1.4")
        }
        Hello::Server { .. } => said("relayed and not read from here on".to_owned(), ""),
        Hello::Alert { fatal: true, .. } => {
            said(format!("with this the {} ends the handshake", from.word()), "RFC 8446 section 6.2")
        }
        Hello::Alert { .. } => said("a warning, after which TLS may go on".to_owned(), "RFC 8446 section 6"),
        Hello::Unread(why) => said(format!("relayed and not read from here on: {why}"), ""),
        Hello::NoTls => checks::TLS_MISSING.found_in(
            from,
            "neither TLS nor text, where TLS has to begin; relayed and not read from here on",
            "RFC 8446 section 5.1",
        ),
    }
}

/// What a new layer means for the log.
#[must_use]
pub fn layer(layer: Layer, from: Peer, standard: Standard) -> Note {
    let who = from.word();
    match layer {
        Layer::Tls => Note::new(
            NoteKind::Session,
            format!("from here on the {who} speaks TLS; capabilities learned before do not count any more"),
            standard.tls(),
        ),
        Layer::Deflate => {
            let text =
                format!("from here on the {who}'s octets are compressed, and the client's from its next command");
            Note::new(NoteKind::Session, text, "RFC 4978 section 3")
        }
        Layer::Sasl => Note::new(
            NoteKind::Session,
            format!("from here on the {who}'s lane is under a SASL security layer, which cannot be read"),
            "RFC 4422 section 3.7",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Certificate, Culprit};

    #[test]
    fn old_tls_is_told_and_how_old() {
        let told = |version: &str, suite: &str, legacy| {
            let facts = TlsFacts { version: version.into(), suite: suite.into(), legacy, ..TlsFacts::default() };
            notes(&facts, Time(0)).pop()
        };
        let (rsa, curves) = ("TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        let old = told("TLS 1.0", rsa, true).unwrap();
        assert!(
            old.text.starts_with("TLS 1.0 is not safe, accepted only because")
                && old.kind == NoteKind::Finding(Culprit::None)
        );
        assert!(told("TLS 1.2", rsa, true).is_some_and(|note| note.text.contains("RSA alone, accepted only because")));
        assert!(
            told("TLS 1.2", curves, true).is_some_and(|note| note.text.contains("knows RSA only, or is set narrowly"))
        );
        assert_eq!(told("TLS 1.2", curves, false), None);
    }

    #[test]
    fn what_is_not_verified_is_loud_and_what_ends_soon_is_told() {
        let at = Time(100 * DAY as u64 * 1_000_000_000);
        let told = |verdict: Verification, insecure, until: i64, self_signed| {
            let certificate = Certificate { not_after: until * DAY, self_signed, ..Certificate::default() };
            let facts = TlsFacts { verdict, insecure, certificate: Some(certificate), ..TlsFacts::default() };
            notes(&facts, at).into_iter().map(|note| note.text).collect::<Vec<_>>().join("|")
        };
        assert_eq!(told(Verification::Verified, false, 130, false), "");
        assert_eq!(told(Verification::Verified, false, 129, false), "the certificate expires in 29 days");
        assert_eq!(told(Verification::Ours, false, 100, true), "the certificate expires within a day");
        assert!(told(Verification::Ours, false, 99, true).contains("expired on 1970-04-10"));
        assert!(
            told(Verification::Unverified("it is X".into()), true, 99, true).starts_with("NOT VERIFIED, because of")
        );
        assert!(
            told(Verification::Verified, true, 500, true).contains("not needed: the certificate is verified|the cert")
        );
    }
}
