//! What is said when there is no TLS: which side, why, and what to do. Judges by the error, and by the first octets
//! that the peer sent, as many errors only say that these were none of TLS.

use std::io;
use std::time::Duration;

use rustls::{AlertDescription, Error, PeerIncompatible};

use super::LEGACY;
use super::fault::listed;
use super::hello::{Lack, is_old_form};
use super::trust::Seen;
use crate::event::{Certificate, Peer};

/// The record types with which TLS may begin: alert and handshake (RFC 8446 section 5.1).
const RECORDS: [u8; 2] = [21, 22];

/// So many octets of what was said in plain text are shown.
const SHOWN: usize = 60;

/// What to do about a server that agrees to STARTTLS and cannot do it.
const LOOK: &str = "its log may tell why";
/// What is wrong where a server does not go on without a client certificate.
const DEMANDS: &str = "requires a client certificate, and imapscope has none to present";
/// What it takes to accept clients that rustls cannot serve.
const WITHOUT: &str = "this imapscope was built without `legacy-tls`: `cargo install --path . --features legacy-tls` (or \
    `cargo build --release --features legacy-tls`) makes one that accepts it";

/// What a sentence needs to know of the route.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The server's host.
    pub host: &'a str,
    /// The server with its port.
    pub server: &'a str,
    /// The scheme of the same protocol without TLS.
    pub plain: &'a str,
    /// The user gave the certificate for clients.
    pub given: bool,
    /// TLS begins in the middle: the client asked for it, and the server agreed.
    pub starttls: bool,
    /// It is imapscope that has asked for it, or agreed.
    pub own: bool,
}

/// Why a handshake came to nothing.
#[derive(Debug, Clone, Copy)]
pub enum Failure<'a> {
    /// An error of TLS or of the socket.
    Error(&'a io::Error),
    /// It took too long.
    Late(Duration),
}

impl Terms<'_> {
    /// The server's certificate was not accepted.
    pub fn refused(&self, seen: &Seen) -> String {
        let whose = match &seen.certificate {
            Some(it) if !it.subject.is_empty() => format!(" ({})", it.subject),
            _ => String::new(),
        };
        let remedy = if seen.remedy.is_empty() { "--insecure goes on without" } else { seen.remedy };
        let faults = seen.faults.join("; ");
        format!(
            "the certificate of {}{whose} is not accepted: {faults}. Nothing more was sent to it; {remedy}",
            self.server
        )
    }

    /// A handshake with this peer came to nothing; `head` are the first octets that it sent.
    pub fn failed(&self, peer: Peer, failure: Failure<'_>, head: &[u8]) -> String {
        if let Some(first) = head.first()
            && !RECORDS.contains(first)
            && !(LEGACY && is_old_form(head))
        {
            return self.plain_text(peer, head);
        }
        let agreed = self.agreed(peer);
        match (peer, failure) {
            (Peer::Client, Failure::Late(limit)) if head.is_empty() && self.starttls => {
                format!("{agreed} did not begin TLS within {} s{}", limit.as_secs_f64(), self.hide())
            }
            (Peer::Server, Failure::Late(limit)) if head.is_empty() && self.starttls => {
                format!(
                    "{agreed} did not answer the beginning of TLS within {} s; {}",
                    limit.as_secs_f64(),
                    self.look()
                )
            }
            (Peer::Client, Failure::Late(limit)) if head.is_empty() => format!(
                "the client sent nothing for {} s: a client without TLS waits for the greeting here; set it to TLS from \
                the start (often called SSL/TLS, and not STARTTLS), or listen with {}://",
                limit.as_secs_f64(),
                self.plain
            ),
            (Peer::Server, Failure::Late(limit)) if head.is_empty() => format!(
                "the server {} did not answer the beginning of TLS within {} s: is this its port for TLS?",
                self.server,
                limit.as_secs_f64()
            ),
            (_, Failure::Late(limit)) => format!(
                "the TLS handshake with the {} was not complete within {} s; --connect-timeout waits longer",
                peer.word(),
                limit.as_secs_f64()
            ),
            (_, Failure::Error(error)) => match reason(error) {
                Some(error) => self.wrong(peer, first_alert(head).as_ref().unwrap_or(error)),
                None => self.lost(peer, error, head),
            },
        }
    }

    /// A server requested a client certificate, got none, and the handshake came to nothing. `None` if it failed for
    /// another reason. TLS 1.2 has no alert of its own for this (RFC 5246 section 7.4.6), so most servers send
    /// `handshake_failure` or `bad_certificate`, and some only close.
    pub fn demands(&self, failure: Failure<'_>, head: &[u8]) -> Option<String> {
        let Failure::Error(error) = failure else { return None };
        let alert = first_alert(head);
        let how = match alert.as_ref().or_else(|| reason(error)) {
            Some(Error::AlertReceived(alert)) if demands(*alert) => format!("it says {}", named(*alert)),
            Some(_) => return None,
            None => format!("it {} the connection", how(error)),
        };
        let who = if self.starttls { self.agreed(Peer::Server) } else { format!("the server {}", self.server) };
        Some(format!("{who} {DEMANDS} ({how})"))
    }

    /// The client did not finish a handshake in which it asked for this name and was shown this.
    pub fn failed_with(
        &self,
        error: &io::Error,
        head: &[u8],
        asked: Option<&str>,
        shown: Option<&Certificate>,
    ) -> String {
        let said = self.failed(Peer::Client, Failure::Error(error), head);
        let distrusts = matches!(reason(error), Some(Error::AlertReceived(alert)) if distrust(*alert));
        match shown.filter(|_| distrusts && self.given) {
            Some(it) => {
                format!(
                    "{said} (it asked for {}, and that of --cert is for {})",
                    asked.unwrap_or("no name"),
                    listed(it)
                )
            }
            None => said,
        }
    }

    /// How a sentence about a failure behind STARTTLS begins.
    fn agreed(&self, peer: Peer) -> String {
        match peer {
            Peer::Client => "the client asked for STARTTLS and".to_owned(),
            Peer::Server => format!("the server {} agreed to STARTTLS and", self.server),
        }
    }

    /// What to do about a server that agrees to STARTTLS and cannot do it.
    fn look(&self) -> String {
        let hide = if self.own { "" } else { "; --starttls hide keeps clients from asking for it" };
        format!("{LOOK}{hide}")
    }

    /// What to do about a client that asks for STARTTLS and does not do it. `+starttls` is there to be asked for.
    const fn hide(&self) -> &'static str {
        if self.own { "" } else { "; --starttls hide keeps it from asking" }
    }

    /// It speaks, and not TLS.
    fn plain_text(&self, peer: Peer, head: &[u8]) -> String {
        if peer == Peer::Client && is_old_form(head) {
            return "the client begins as SSL 2 did, which is not safe and not supported: it has to be updated, or set to \
                    TLS 1.2"
                .to_owned();
        }
        // What a client says is not shown: nobody has looked whether there is a secret in it.
        let line = head.split(|octet| matches!(octet, b'\r' | b'\n')).next().unwrap_or_default();
        let said = line[..line.len().min(SHOWN)].escape_ascii();
        match peer {
            Peer::Server if self.starttls => {
                format!("{} does not speak TLS, it said \"{said}\"; {}", self.agreed(peer), self.look())
            }
            Peer::Client if self.starttls => {
                format!("{} goes on in plain text{}", self.agreed(peer), self.hide())
            }
            Peer::Server => format!(
                "the server {} does not speak TLS on this port, it said \"{said}\"; name its port for TLS, or use {}:// \
                for this one",
                self.server, self.plain
            ),
            Peer::Client => format!(
                "the client speaks plain text where TLS is expected; set it to TLS from the start (often called SSL/TLS, \
                and not STARTTLS), or listen with {}://",
                self.plain
            ),
        }
    }

    fn lost(&self, peer: Peer, error: &io::Error, head: &[u8]) -> String {
        let how = how(error);
        match peer {
            Peer::Client if head.is_empty() && self.starttls => {
                format!("{} {how} the connection before it began TLS", self.agreed(peer))
            }
            Peer::Server if self.starttls => {
                format!("{} {how} the connection during the TLS handshake; {}", self.agreed(peer), self.look())
            }
            Peer::Client if head.is_empty() => {
                format!("the client {how} the connection before it began TLS: is it set to TLS from the start?")
            }
            Peer::Client => format!(
                "the client {how} the connection during the TLS handshake without saying why, as many do that do not \
                trust a certificate; {}",
                self.trust_us()
            ),
            Peer::Server => format!(
                "the server {} {how} the connection during the TLS handshake: is this its port for TLS?",
                self.server
            ),
        }
    }

    fn trust_us(&self) -> &'static str {
        if self.given {
            "it has to trust who signed the certificate of --cert, and the names in it must fit"
        } else {
            "`imapscope ca help` tells how to make it trust ours"
        }
    }

    /// rustls cannot serve the client, and nobody else is there who could.
    pub fn lacking(&self, lack: Lack) -> String {
        match lack {
            Lack::Version(version) => format!(
                "the client speaks {} at most, which is not safe: it has to be updated, or set to TLS 1.2; {WITHOUT}",
                spoken(version)
            ),
            Lack::Exchange => format!(
                "the client has no key exchange in common with imapscope, which needs ECDHE: it knows RSA only, or is set too \
                narrowly; {WITHOUT}"
            ),
            Lack::Signature if self.given => format!(
                "the client has no kind of signature in common with the key of --key: clients that know RSA only need an RSA \
                key there; {WITHOUT}"
            ),
            Lack::Signature => format!(
                "the client has no kind of signature in common with our ECDSA key, as clients that know RSA only: --cert and \
                --key with an RSA key suit it; or else, {WITHOUT}"
            ),
        }
    }

    fn wrong(&self, peer: Peer, error: &Error) -> String {
        if too_old(peer, error) {
            return match peer {
                Peer::Client => format!(
                    "the client speaks {} only, which is not safe and not supported: it has to be updated, or set to TLS 1.2",
                    if LEGACY { "SSL 3.0 or older" } else { "TLS 1.1 or older" }
                ),
                Peer::Server => format!(
                    "the server {} speaks TLS 1.1 or older only, which is not safe and not supported: it has to be updated",
                    self.server
                ),
            };
        }
        match (peer, error) {
            (Peer::Client, Error::AlertReceived(alert)) if distrust(*alert) => {
                let alert = named(*alert);
                format!("the client does not trust our certificate (it says {alert}): {}", self.trust_us())
            }
            (Peer::Server, Error::AlertReceived(AlertDescription::UnrecognisedName)) => {
                format!("the server {} does not know the name {} (it says unrecognized_name)", self.server, self.host)
            }
            (Peer::Server, Error::AlertReceived(AlertDescription::HandshakeFailure)) => format!(
                "the server {} found no cipher suite or key that it shares with imapscope (it says handshake_failure): \
                its TLS may be too old",
                self.server
            ),
            (Peer::Server, Error::AlertReceived(AlertDescription::CertificateRequired)) => {
                format!("the server {} {DEMANDS} (it says certificate_required)", self.server)
            }
            (Peer::Server, Error::NoCertificatesPresented) => format!(
                "the server {} showed no certificate, so nobody can tell who it is: it has to be given one",
                self.server
            ),
            (_, Error::AlertReceived(alert)) => {
                format!("the {} ended the TLS handshake: it says {}", peer.word(), named(*alert))
            }
            (_, Error::PeerIncompatible(why)) if unshared(why) => format!(
                "the {} has no cipher suite or key exchange in common with imapscope: its TLS is too old, or set too \
                narrowly{}",
                peer.word(),
                match peer {
                    Peer::Client if self.given => "; a client that knows RSA only needs an RSA key in --cert and --key",
                    Peer::Client if LEGACY =>
                        "; the system's OpenSSL may have been built without old suites, such as RC4 and 3DES",
                    _ => "",
                }
            ),
            _ => format!("the TLS handshake with the {} failed: {error}", peer.word()),
        }
    }
}

/// What ended a leg under TLS after its handshake, if it was TLS. `asked`: the server requested a client certificate in the
/// handshake. Under TLS 1.3 it can refuse only now that it got none (RFC 8446 section 4.4.2.4).
pub fn broken(peer: Peer, error: &io::Error, asked: bool) -> Option<String> {
    Some(match reason(error)? {
        Error::AlertReceived(alert) if peer == Peer::Client && distrust(*alert) => format!(
            "the client does not trust our certificate (it says {}): `imapscope ca help` tells how to make it trust it",
            named(*alert)
        ),
        Error::AlertReceived(alert)
            if peer == Peer::Server
                && (*alert == AlertDescription::CertificateRequired || asked && demands(*alert)) =>
        {
            format!("the server {DEMANDS} (it says {})", named(*alert))
        }
        Error::AlertReceived(alert) => format!("the {} ended TLS: it says {}", peer.word(), named(*alert)),
        Error::InvalidMessage(_) | Error::DecryptError => format!(
            "TLS with the {} broke: it sent octets that are no TLS; it went on in plain text, or somebody on the way changed them",
            peer.word()
        ),
        error => format!("TLS with the {} broke: {error}", peer.word()),
    })
}

/// What is said of a server that requested a client certificate and ended the connection (`how`: `ended` or `reset`) before
/// it said a word.
pub fn unanswered(how: &str) -> String {
    format!(
        "the server requested a client certificate, got none, and {how} the connection without a word: it {DEMANDS}"
    )
}

/// How a connection was lost: `reset` or `ended`.
fn how(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "reset",
        _ => "ended",
    }
}

/// The error of TLS inside an error of a socket.
fn reason(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// The alert that a peer began with, where the library expected no alert (RFC 8446 section 6).
fn first_alert(head: &[u8]) -> Option<Error> {
    match head {
        [21, 3, _, 0, 2, _, alert, ..] => Some(Error::AlertReceived((*alert).into())),
        _ => None,
    }
}

/// Alerts with which servers refuse a client that has no certificate, once they have requested one: the one of TLS 1.3, and
/// those that libraries send under TLS 1.2.
const fn demands(alert: AlertDescription) -> bool {
    use AlertDescription as It;
    matches!(
        alert,
        It::CertificateRequired
            | It::HandshakeFailure
            | It::NoCertificate
            | It::BadCertificate
            | It::CertificateUnknown
            | It::UnknownCA
            | It::AccessDenied
            | It::InsufficientSecurity
    )
}

/// Alerts with which clients refuse a certificate.
const fn distrust(alert: AlertDescription) -> bool {
    use AlertDescription as It;
    matches!(
        alert,
        It::UnknownCA
            | It::BadCertificate
            | It::CertificateUnknown
            | It::CertificateExpired
            | It::CertificateRevoked
            | It::UnsupportedCertificate
    )
}

/// The peer's versions are all too old.
fn too_old(peer: Peer, error: &Error) -> bool {
    use PeerIncompatible as Why;
    match error {
        Error::PeerIncompatible(
            Why::ServerDoesNotSupportTls12Or13
            | Why::ServerTlsVersionIsDisabledByOurConfig
            | Why::Tls12NotOffered
            | Why::Tls12NotOfferedOrEnabled
            | Why::SupportedVersionsExtensionRequired,
        ) => true,
        // Of a client that OpenSSL serves, it means anything.
        Error::AlertReceived(AlertDescription::ProtocolVersion) => peer == Peer::Server || !LEGACY,
        _ => false,
    }
}

/// A version by its name.
fn spoken(version: u16) -> String {
    match version {
        0x0302 => "TLS 1.1".to_owned(),
        0x0301 => "TLS 1.0".to_owned(),
        0x0300 => "SSL 3.0".to_owned(),
        0x0002 | 0x0200 => "SSL 2.0".to_owned(),
        other => format!("version {other:04x} of TLS"),
    }
}

fn unshared(why: &PeerIncompatible) -> bool {
    use PeerIncompatible as Why;
    matches!(
        why,
        Why::NoCipherSuitesInCommon
            | Why::NoKxGroupsInCommon
            | Why::NoSignatureSchemesInCommon
            | Why::NoEcPointFormatsInCommon
            | Why::NamedGroupsExtensionRequired
            | Why::KeyShareExtensionRequired
            | Why::SignatureAlgorithmsExtensionRequired
            | Why::ExtendedMasterSecretExtensionRequired
    )
}

/// The registered name of an alert.
fn named(alert: AlertDescription) -> String {
    let name = match alert {
        AlertDescription::UnknownCA => return "unknown_ca".to_owned(),
        AlertDescription::UnrecognisedName => return "unrecognized_name".to_owned(),
        other => format!("{other:?}"),
    };
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms<'static> =
        Terms { host: "h", server: "h:993", plain: "imap", given: false, starttls: false, own: false };

    fn io(error: Error) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }

    #[test]
    fn alerts_have_their_registered_names() {
        for (alert, name) in [
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::BadCertificate, "bad_certificate"),
            (AlertDescription::BadRecordMac, "bad_record_mac"),
            (AlertDescription::UnrecognisedName, "unrecognized_name"),
        ] {
            assert_eq!(named(alert), name);
        }
    }

    #[test]
    fn what_was_said_in_plain_text_is_escaped_and_short() {
        let head = format!("* OK \u{1b}[1m{}\r\n", "x".repeat(80));
        let error = io::Error::from(io::ErrorKind::InvalidData);
        let said = TERMS.failed(Peer::Server, Failure::Error(&error), head.as_bytes());
        assert!(said.contains("\"* OK \\x1b[1mxxx") && said.contains("imap://") && said.len() < 260, "{said}");
    }

    #[test]
    fn who_cannot_be_served_is_told_what_would_do_it() {
        let given = Terms { given: true, ..TERMS };
        for (said, parts) in [
            (
                TERMS.lacking(Lack::Version(0x0301)),
                ["speaks TLS 1.0 at most", "set to TLS 1.2; this imapscope was built without"],
            ),
            (
                TERMS.lacking(Lack::Version(0x0302)),
                ["speaks TLS 1.1 at most", "`cargo install --path . --features legacy-tls`"],
            ),
            (TERMS.lacking(Lack::Version(0x0002)), ["speaks SSL 2.0 at most", "not safe"]),
            (TERMS.lacking(Lack::Exchange), ["no key exchange in common", "--features legacy-tls"]),
            (
                TERMS.lacking(Lack::Signature),
                ["our ECDSA key", "--key with an RSA key suit it; or else, this imapscope"],
            ),
            (given.lacking(Lack::Signature), ["the key of --key", "--features legacy-tls"]),
        ] {
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        }
    }

    #[test]
    fn distrust_names_its_remedy() {
        let error = io(Error::AlertReceived(AlertDescription::UnknownCA));
        let say = |given| Terms { given, ..TERMS }.failed(Peer::Client, Failure::Error(&error), &[22]);
        assert!(say(false).contains("does not trust our certificate (it says unknown_ca): `imapscope ca help`"));
        assert!(say(true).contains("--cert"));
        assert!(broken(Peer::Client, &error, false).is_some_and(|said| said.contains("ca help")));
        assert_eq!(broken(Peer::Client, &io::ErrorKind::ConnectionReset.into(), true), None);
    }

    #[test]
    fn a_demand_for_a_certificate_is_told_from_other_failures() {
        let demanded = |alert| TERMS.demands(Failure::Error(&io(Error::AlertReceived(alert))), &[22]);
        for (alert, name) in [
            (AlertDescription::HandshakeFailure, "handshake_failure"),
            (AlertDescription::BadCertificate, "bad_certificate"),
            (AlertDescription::CertificateRequired, "certificate_required"),
        ] {
            let said = demanded(alert).expect("it is one");
            assert!(said.contains("h:993 requires a client certificate") && said.contains(name), "{said}");
            let later = broken(Peer::Server, &io(Error::AlertReceived(alert)), true).expect("it is one");
            assert!(later.contains("requires a client certificate") && later.contains(name), "{later}");
            let unasked = broken(Peer::Server, &io(Error::AlertReceived(alert)), false).expect("it is an alert");
            assert_eq!(unasked.contains("requires"), alert == AlertDescription::CertificateRequired, "{unasked}");
        }
        for alert in [AlertDescription::ProtocolVersion, AlertDescription::InternalError, AlertDescription::DecodeError]
        {
            assert_eq!(demanded(alert), None);
        }
        let lost = TERMS.demands(Failure::Error(&io::ErrorKind::ConnectionReset.into()), &[22]);
        assert!(lost.is_some_and(|said| said.contains("it reset the connection")));
        assert_eq!(TERMS.demands(Failure::Late(Duration::from_secs(1)), &[22]), None, "it may only be slow");
    }
}
