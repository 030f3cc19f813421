//! TLS in the log: its facts in two lines a leg.

use super::page::Page;
use super::style::Ink;
use crate::event::{Certificate, Hello, Peer, TlsFacts, Verification};
use crate::wording::date;

/// So many names of a certificate are shown.
const NAMES: usize = 4;

/// Writes the facts of one leg: what was settled, on the line that was begun, and the certificate under it.
pub fn write(page: &mut Page, peer: Peer, facts: &TlsFacts) {
    let (head, rest) = settled(peer, facts);
    page.ink(Ink::Strong, &head);
    page.ink(Ink::Plain, &rest);
    page.out.push(b'\n');
    page.remark();
    let (verdict, certificate) = judged(facts);
    let ink = match &facts.verdict {
        Verification::Verified => Ink::Good,
        Verification::Unverified(_) => Ink::Bad,
        Verification::Ours | Verification::Untold => Ink::Plain,
    };
    page.words(ink, verdict);
    page.words(Ink::Plain, &certificate);
    page.end();
}

/// Writes what is seen of a handshake between the peers, on the line that was begun.
pub fn hello(page: &mut Page, peer: Peer, hello: &Hello) {
    let (head, rest) = seen(peer, hello);
    page.ink(Ink::Strong, &head);
    // Names in it are the peer's.
    page.octets(Ink::Plain, rest.as_bytes());
    page.out.push(b'\n');
}

/// What was settled on a leg: the version, and all else.
#[must_use]
pub fn settled(peer: Peer, facts: &TlsFacts) -> (String, String) {
    let version = if facts.version.is_empty() { "TLS" } else { &facts.version };
    let suite = if facts.suite.is_empty() { String::new() } else { format!(", {}", facts.suite) };
    let name = match &facts.name {
        Some(name) => format!(", SNI {name}"),
        // What was not seen may have been there.
        None if facts.verdict == Verification::Untold => String::new(),
        None => ", no SNI".to_owned(),
    };
    let alpn = facts.alpn.as_ref().map_or_else(String::new, |alpn| format!(", ALPN {alpn}"));
    (format!("{version} with the {}", peer.word()), format!("{suite}{name}{alpn}"))
}

/// What was made of the certificate of a leg, and the certificate.
#[must_use]
pub fn judged(facts: &TlsFacts) -> (&'static str, String) {
    let verdict = match &facts.verdict {
        Verification::Verified => "verified: ",
        Verification::Unverified(_) => "not verified: ",
        Verification::Ours => "ours: ",
        Verification::Untold => return ("", "between the peers, as another program wrote it down".to_owned()),
    };
    let certificate = facts.certificate.as_ref();
    (verdict, certificate.map_or_else(|| "a certificate that cannot be read".to_owned(), sentence))
}

/// What is seen of a handshake between the peers: what it comes to, and what was said with it.
#[must_use]
pub fn seen(peer: Peer, hello: &Hello) -> (String, String) {
    let who = peer.word();
    match hello {
        Hello::Client { name, alpn, lowest, highest, .. } => {
            let versions = match lowest {
                Some(lowest) if lowest == highest => highest.clone(),
                Some(lowest) => {
                    let digit = |version: &str| version.bytes().last().unwrap_or_default();
                    let between = if digit(highest) == digit(lowest).wrapping_add(1) { "and" } else { "to" };
                    format!("{lowest} {between} {}", highest.strip_prefix("TLS ").unwrap_or(highest))
                }
                None => format!("{highest} or older"),
            };
            let name = name.as_ref().map_or_else(|| "no SNI".to_owned(), |name| format!("SNI {name}"));
            let alpn = if alpn.is_empty() { String::new() } else { format!(", ALPN {}", alpn.join(" ")) };
            (format!("the {who} offers {versions}"), format!(", {name}{alpn}"))
        }
        Hello::Server { version, suite, alpn, .. } => {
            let alpn = alpn.as_ref().map_or_else(String::new, |alpn| format!(", ALPN {alpn}"));
            (format!("the {who} chooses {version}"), format!(", {suite}{alpn}"))
        }
        Hello::Alert { fatal, name } => {
            let level = if *fatal { "fatal" } else { "warning" };
            (format!("the {who} sends the TLS alert {name}"), format!(" ({level})"))
        }
        Hello::Unread(_) => (format!("the {who} begins TLS"), ", and its hello could not be read".to_owned()),
        Hello::NoTls => (format!("the {who} does not begin TLS"), String::new()),
    }
}

/// A certificate in one sentence.
fn sentence(certificate: &Certificate) -> String {
    let Certificate { subject, issuer, names, more_names, not_before, not_after, self_signed } = certificate;
    let shown = names.iter().take(NAMES).cloned().collect::<Vec<_>>().join(", ");
    let more = match names.len().saturating_sub(NAMES) + more_names {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let about = match (names.is_empty(), subject.is_empty()) {
        (true, true) => "a certificate without a name".to_owned(),
        (true, false) => format!("{subject}, for no host"),
        // Most often, the subject only repeats the name.
        (false, false) if *subject != format!("CN={}", names[0]) => format!("{subject}, for {shown}{more}"),
        (false, _) => format!("for {shown}{more}"),
    };
    let by = if *self_signed { "self-signed".to_owned() } else { format!("by {issuer}") };
    format!("{about}; {by}; {} to {}", date(*not_before), date(*not_after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_one_sentence() {
        let certificate = Certificate {
            subject: "CN=a.example".into(),
            issuer: "CN=Someone".into(),
            names: ["a.example", "b.example", "c", "d", "e"].map(String::from).to_vec(),
            more_names: 2,
            not_before: 0,
            not_after: 86_400,
            self_signed: false,
        };
        let said = "for a.example, b.example, c, d and 3 more; by CN=Someone; 1970-01-01 to 1970-01-02";
        assert_eq!(sentence(&certificate), said);
        let own = Certificate { names: Vec::new(), self_signed: true, ..certificate };
        assert_eq!(sentence(&own), "CN=a.example, for no host; self-signed; 1970-01-01 to 1970-01-02");
    }
}
