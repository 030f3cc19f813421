//! Which protocol is spoken, from the server's port, its greeting, or the client's first words; by the names that their
//! descriptions have. `None` is an honest answer.

use crate::event::Peer;

/// Ports of servers: the standard ones, and those on which imapscope listens by default.
const PORTS: [(u16, &str); 18] = [
    (143, "imap"),
    (25, "smtp"),
    (587, "smtp"),
    (2525, "smtp"),
    (24, "lmtp"),
    (110, "pop3"),
    (4190, "managesieve"),
    (2000, "managesieve"),
    (119, "nntp"),
    (6667, "irc"),
    (1143, "imap"),
    (1025, "smtp"),
    (1587, "smtp"),
    (1024, "lmtp"),
    (1110, "pop3"),
    (5190, "managesieve"),
    (1119, "nntp"),
    (7667, "irc"),
];

/// Ports on which TLS begins with the first octet.
const TLS: [u16; 6] = [993, 465, 995, 563, 6697, 443];

/// The protocol of a server's port. Ports above 1023 are told only of a connection whose beginning was seen: there they may be
/// a client's.
#[must_use]
pub fn of_port(port: u16, begun: bool) -> Option<&'static str> {
    let low = |found: u16| begun || found < 1024 || found == 4190;
    PORTS.iter().find(|(known, _)| *known == port && low(port)).map(|(_, name)| *name)
}

/// True for a port on which nothing can be read.
#[must_use]
pub fn is_tls(port: u16) -> bool {
    TLS.contains(&port)
}

/// The protocol of what a peer says first.
#[must_use]
pub fn of_line(from: Peer, line: &[u8]) -> Option<&'static str> {
    let starts = |word: &str| line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()));
    let line = &line[..line.iter().position(|&b| b == b'\n').unwrap_or(line.len()).min(512)];
    match from {
        Peer::Server if ["* OK", "* PREAUTH", "* BYE"].iter().any(|word| starts(word)) => Some("imap"),
        Peer::Server if starts("+OK") || starts("-ERR") => Some("pop3"),
        Peer::Server if starts("\"IMPLEMENTATION\"") => Some("managesieve"),
        Peer::Server if starts("220 ") || starts("220-") || starts("554 ") || starts("421 ") => {
            let text = line.to_ascii_uppercase();
            let has = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
            if has(b"FTP") {
                None
            } else if has(b"LMTP") {
                Some("lmtp")
            } else {
                Some("smtp")
            }
        }
        Peer::Server => None,
        Peer::Client if ["EHLO ", "HELO ", "MAIL FROM"].iter().any(|word| starts(word)) => Some("smtp"),
        Peer::Client if starts("LHLO ") => Some("lmtp"),
        Peer::Client if ["USER ", "APOP ", "CAPA", "STAT", "UIDL"].iter().any(|word| starts(word)) => Some("pop3"),
        Peer::Client if ["AUTHENTICATE \"", "HAVESPACE ", "LISTSCRIPTS"].iter().any(|word| starts(word)) => {
            Some("managesieve")
        }
        Peer::Client => {
            let verb = line.split(|b| b.is_ascii_whitespace()).nth(1)?.to_ascii_uppercase();
            let known: [&[u8]; 14] = [
                b"CAPABILITY",
                b"LOGIN",
                b"AUTHENTICATE",
                b"SELECT",
                b"EXAMINE",
                b"NAMESPACE",
                b"LIST",
                b"ENABLE",
                b"STATUS",
                b"NOOP",
                b"ID",
                b"STARTTLS",
                b"IDLE",
                b"LOGOUT",
            ];
            known.contains(&verb.as_slice()).then_some("imap")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_and_first_words_tell() {
        for (line, protocol) in [
            ("* OK hi", Some("imap")),
            ("* 3 EXISTS", None),
            ("220 mx ESMTP", Some("smtp")),
            ("220-mx LMTP\r\n220 go", Some("lmtp")),
            ("220 ftp.example.org FTP server", None),
            ("+OK ready", Some("pop3")),
            ("\"IMPLEMENTATION\" \"x\"", Some("managesieve")),
            ("HTTP/1.1 200 OK", None),
            ("", None),
        ] {
            assert_eq!(of_line(Peer::Server, line.as_bytes()), protocol, "{line}");
        }
        for (line, protocol) in [
            ("a1 CAPABILITY", Some("imap")),
            ("1 login a b", Some("imap")),
            ("ehlo x", Some("smtp")),
            ("LHLO x", Some("lmtp")),
            ("CAPA", Some("pop3")),
            ("GET / HTTP/1.1", None),
            ("é", None),
        ] {
            assert_eq!(of_line(Peer::Client, line.as_bytes()), protocol, "{line}");
        }
        assert_eq!(of_port(143, false), Some("imap"));
        assert_eq!((of_port(1025, false), of_port(1025, true), of_port(80, true)), (None, Some("smtp"), None));
    }
}
