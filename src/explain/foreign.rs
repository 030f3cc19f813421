//! Traffic of other protocols than the route's: which peer speaks what, and what to do.

use crate::check::{Standard, session};
use crate::event::{Foreign, Note, NoteKind, Peer};

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
    if fine {
        Note::new(NoteKind::Session, text, "")
    } else {
        session::WRONG_PROTOCOL.found(from, text, Standard::Other)
    }
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
