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

/// Ports on which TLS begins with the first byte, and what is spoken in it.
const TLS: [(u16, &str); 5] = [(993, "imap"), (465, "smtp"), (995, "pop3"), (563, "nntp"), (6697, "irc")];

/// Commands of IMAP that come first, or early.
const IMAP: [&[u8]; 25] = [
    b"UID",
    b"FETCH",
    b"STORE",
    b"SEARCH",
    b"APPEND",
    b"EXPUNGE",
    b"CLOSE",
    b"COMPRESS",
    b"LSUB",
    b"SUBSCRIBE",
    b"CREATE",
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

/// The protocol of a server's port. Ports above 1023 count only in a connection whose beginning was seen: there they may be a
/// client's.
#[must_use]
pub fn of_port(port: u16, begun: bool) -> Option<&'static str> {
    let low = |found: u16| begun || found < 1024 || found == 4190;
    PORTS.iter().find(|(known, _)| *known == port && low(port)).map(|(_, name)| *name)
}

/// The protocol inside TLS on a server's port.
#[must_use]
pub fn of_tls_port(port: u16) -> Option<&'static str> {
    TLS.iter().find(|(known, _)| *known == port).map(|(_, name)| *name)
}

/// Returns true for bytes with which a TLS record begins (RFC 8446 section 5.1).
#[must_use]
pub fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x14..=0x17, 3, ..])
}

/// Who sends this, if it is the hello of TLS that only a client or only a server sends.
#[must_use]
pub fn of_hello(bytes: &[u8]) -> Option<Peer> {
    match bytes {
        [0x16, 3, _, _, _, 1, ..] => Some(Peer::Client),
        [0x16, 3, _, _, _, 2, ..] => Some(Peer::Server),
        _ => None,
    }
}

/// A protocol that is none of mail, by what a peer says first.
#[must_use]
pub fn stranger(from: Peer, bytes: &[u8]) -> Option<&'static str> {
    let line = first_line(bytes);
    let has = |word: &[u8]| line.windows(word.len()).any(|window| window == word);
    match bytes {
        _ if line.starts_with(b"HTTP/") || (from == Peer::Client && has(b" HTTP/1.")) => Some("HTTP"),
        _ if bytes.starts_with(b"PRI * HTTP/2") => Some("HTTP"),
        _ if line.starts_with(b"SSH-") => Some("SSH"),
        _ if line.starts_with(b"RTSP/") || line.starts_with(b"SIP/") => Some("another protocol"),
        // No line of a mail protocol begins with a control character, and what TLS is is asked before.
        [first, ..] if first.is_ascii_control() && !matches!(first, b'\r' | b'\n' | b'\t') && !is_tls(bytes) => {
            Some("a binary protocol")
        }
        _ => None,
    }
}

/// Words that only servers of IMAP say after `* `, or after a number.
const DATA: &str =
    "CAPABILITY FLAGS LIST LSUB STATUS SEARCH ESEARCH ID ENABLED NAMESPACE EXISTS RECENT EXPUNGE FETCH VANISHED";

/// Codes that SMTP has far more often than others have them.
const CODES: [&str; 9] = ["250", "354", "334", "235", "535", "550", "554", "221", "421"];

/// The protocol of a line that is no peer's first, and as likely as any to be this one's.
#[must_use]
pub fn of_later(from: Peer, line: &[u8]) -> Option<&'static str> {
    if from == Peer::Client {
        return None;
    }
    let mut words = line.split(|&b| b == b' ').filter_map(|word| std::str::from_utf8(word).ok());
    let [first, second, third] = [words.next()?, words.next().unwrap_or_default(), words.next().unwrap_or_default()];
    let data = |word: &str| !word.is_empty() && DATA.split(' ').any(|known| known.eq_ignore_ascii_case(word));
    let number = second.bytes().all(|byte| byte.is_ascii_digit());
    let tag = (1..=16).contains(&first.len()) && first.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let code = first.get(..3).filter(|_| matches!(line.get(3), None | Some(b' ' | b'-')));
    match () {
        () if first == "*" && (data(second) || number && data(third)) => Some("imap"),
        () if tag && ["OK", "NO", "BAD"].contains(&second) && !["OK", "NO", "BYE"].contains(&first) => Some("imap"),
        () if code.is_some_and(|code| CODES.contains(&code)) => Some("smtp"),
        () if ["OK", "NO", "BYE"].contains(&first) && (second.starts_with('"') || second.starts_with('(')) => {
            Some("managesieve")
        }
        () => None,
    }
}

/// The protocol of what a peer says first.
#[must_use]
pub fn of_line(from: Peer, line: &[u8]) -> Option<&'static str> {
    let line = first_line(line);
    let starts = |word: &str| line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()));
    let any = |words: &[&str]| words.iter().any(|word| starts(word));
    let words = || line.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty());
    if from == Peer::Server {
        let text = line.to_ascii_uppercase();
        let has = |word: &str| text.windows(word.len()).any(|window| window == word.as_bytes());
        return match () {
            () if any(&["* OK", "* PREAUTH", "* BYE"]) => Some("imap"),
            () if any(&["+OK", "-ERR"]) => Some("pop3"),
            () if starts("\"IMPLEMENTATION\"") => Some("managesieve"),
            () if any(&["200 ", "201 "]) && ["NNTP", "NNRP", "NEWS", "POSTING"].iter().any(|word| has(word)) => {
                Some("nntp")
            }
            () if any(&["220 ", "220-", "554 ", "421 "]) && has("FTP") => None,
            () if any(&["220 ", "220-", "554 ", "421 "]) => Some(if has("LMTP") { "lmtp" } else { "smtp" }),
            () if starts(":") && words().nth(1).is_some_and(|word| word == b"NOTICE" || word == b"001") => Some("irc"),
            () if any(&["NOTICE AUTH ", "NOTICE * "]) => Some("irc"),
            () => None,
        };
    }
    match () {
        () if any(&["EHLO ", "HELO ", "MAIL FROM", "RCPT TO"]) => Some("smtp"),
        () if starts("LHLO ") => Some("lmtp"),
        // IRC has four arguments there, and POP3 one.
        () if starts("USER ") => match words().count() {
            0..=2 => Some("pop3"),
            3 | 4 => None,
            _ => Some("irc"),
        },
        // Its mechanism would be a command of IMAP after a tag (`AUTH LOGIN`).
        () if starts("AUTH ") => None,
        () if any(&["NICK ", "CAP LS", "CAP REQ", "CAP END"]) => Some("irc"),
        () if any(&["MODE READER", "CAPABILITIES", "AUTHINFO "]) => Some("nntp"),
        () if any(&["APOP ", "CAPA", "STAT", "UIDL", "RETR ", "DELE ", "TOP ", "PASS "]) => Some("pop3"),
        () if any(&["AUTHENTICATE \"", "HAVESPACE ", "LISTSCRIPTS", "PUTSCRIPT ", "GETSCRIPT "]) => Some("managesieve"),
        () => {
            let verb = words().nth(1)?.to_ascii_uppercase();
            IMAP.contains(&verb.as_slice()).then_some("imap")
        }
    }
}

/// The first line, without its line feed; of a long one the beginning.
fn first_line(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().position(|&b| b == b'\n').unwrap_or(bytes.len()).min(512)]
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
            ("200 news.example.org InterNetNews NNRP server ready", Some("nntp")),
            (":irc.example.org NOTICE * :*** Looking up", Some("irc")),
            (":irc.example.org", None),
            ("HTTP/1.1 200 OK", None),
            ("", None),
        ] {
            assert_eq!(of_line(Peer::Server, line.as_bytes()), protocol, "{line}");
        }
        for (line, protocol) in [
            ("a1 CAPABILITY", Some("imap")),
            ("1 login a b", Some("imap")),
            ("AUTH LOGIN", None),
            ("ehlo x", Some("smtp")),
            ("LHLO x", Some("lmtp")),
            ("CAPA", Some("pop3")),
            ("USER alice", Some("pop3")),
            ("USER alice 0 * :Alice", Some("irc")),
            ("USER alice bob", None),
            ("NICK alice", Some("irc")),
            ("CAP LS 302", Some("irc")),
            ("MODE READER", Some("nntp")),
            ("GET / HTTP/1.1", None),
            ("é", None),
        ] {
            assert_eq!(of_line(Peer::Client, line.as_bytes()), protocol, "{line}");
        }
        assert_eq!(of_port(143, false), Some("imap"));
        assert_eq!((of_port(1025, false), of_port(1025, true), of_port(80, true)), (None, Some("smtp"), None));
    }

    #[test]
    fn what_is_no_mail_protocol_is_told() {
        for (from, bytes, told) in [
            (Peer::Client, &b"GET / HTTP/1.1\r\n"[..], Some("HTTP")),
            (Peer::Server, b"HTTP/1.0 200 OK\r\n", Some("HTTP")),
            (Peer::Client, b"SSH-2.0-x\r\n", Some("SSH")),
            (Peer::Client, b"\0\0\0\x07rpc", Some("a binary protocol")),
            (Peer::Client, b"\x16\x03\x01\0\x05\x01", None),
            (Peer::Client, b"a NOOP\r\n", None),
            (Peer::Server, b"* OK hi\r\n", None),
            (Peer::Client, b"", None),
        ] {
            assert_eq!(stranger(from, bytes), told, "{}", bytes.escape_ascii());
        }
        assert!(is_tls(b"\x16\x03\x01") && is_tls(b"\x15\x03\x03") && !is_tls(b"\x16") && !is_tls(b"* OK"));
        assert_eq!(of_hello(b"\x16\x03\x01\0\x05\x01"), Some(Peer::Client));
        assert_eq!(of_hello(b"\x16\x03\x03\0\x05\x02"), Some(Peer::Server));
    }
}
