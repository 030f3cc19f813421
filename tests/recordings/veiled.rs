//! Captures where TLS is to begin: behind STARTTLS and on ports of TLS. What both peers say in plain text is decrypted, what one of
//! them says so is a fault, and of TLS itself the hellos and alerts are shown.

use std::collections::BTreeSet;

use crate::holes::{Read, read};
use crate::segment::{self, CLIENT, Spelling};
use imapscope::grammar::Grammar;

const HELLO: &[u8] = b"\x16\x03\x01\0\x05\x01hello";
const ANSWER: &[u8] = b"\x16\x03\x03\0\x05\x02olleh";
const ALERT: &[u8] = b"\x15\x03\x01\0\x02\x02\x0a";

type Turns<'a> = Vec<(bool, &'a [u8])>;

fn captured(protocol: &str, port: u16, turns: &[(bool, &[u8])]) -> Read {
    let frames = segment::conversation(101, CLIENT, &format!("10.0.0.2:{port}"), turns);
    read(segment::pcap(Spelling::PLAIN, 101, &frames), protocol)
}

/// What each protocol says up to its consent to TLS, and then inside.
fn consents() -> Vec<(&'static str, Turns<'static>, Turns<'static>)> {
    let client = |text: &'static str| (true, text.as_bytes());
    let server = |text: &'static str| (false, text.as_bytes());
    vec![
        (
            "smtp",
            vec![
                server("220 mx ESMTP\r\n"),
                client("EHLO me\r\n"),
                server("250-mx\r\n250 STARTTLS\r\n"),
                client("STARTTLS\r\n"),
                server("220 go\r\n"),
            ],
            vec![
                client("EHLO me\r\n"),
                server("250-mx\r\n250 AUTH PLAIN\r\n"),
                client("MAIL FROM:<a@b>\r\n"),
                server("250 ok\r\n"),
                client("QUIT\r\n"),
                server("221 bye\r\n"),
            ],
        ),
        (
            "lmtp",
            vec![
                server("220 mx LMTP\r\n"),
                client("LHLO me\r\n"),
                server("250-mx\r\n250 STARTTLS\r\n"),
                client("STARTTLS\r\n"),
                server("220 go\r\n"),
            ],
            vec![client("LHLO me\r\n"), server("250 mx\r\n"), client("QUIT\r\n"), server("221 bye\r\n")],
        ),
        (
            "imap",
            vec![
                server("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n"),
                client("a STARTTLS\r\n"),
                server("a OK go\r\n"),
            ],
            vec![
                client("b CAPABILITY\r\n"),
                server("* CAPABILITY IMAP4rev1\r\nb OK\r\n"),
                client("c LOGIN alice secret\r\n"),
                server("c NO no\r\n"),
                client("d LOGOUT\r\n"),
                server("* BYE\r\nd OK\r\n"),
            ],
        ),
        (
            "pop3",
            vec![
                server("+OK hi\r\n"),
                client("CAPA\r\n"),
                server("+OK\r\nSTLS\r\n.\r\n"),
                client("STLS\r\n"),
                server("+OK go\r\n"),
            ],
            vec![client("USER alice\r\n"), server("+OK\r\n"), client("QUIT\r\n"), server("+OK\r\n")],
        ),
        (
            "managesieve",
            vec![
                server("\"IMPLEMENTATION\" \"x\"\r\n\"SASL\" \"\"\r\n\"STARTTLS\"\r\nOK\r\n"),
                client("STARTTLS\r\n"),
                server("OK\r\n"),
            ],
            // The server speaks first.
            vec![
                server("\"IMPLEMENTATION\" \"x\"\r\n\"SASL\" \"PLAIN\"\r\nOK\r\n"),
                client("LOGOUT\r\n"),
                server("OK\r\n"),
            ],
        ),
    ]
}

fn blames(read: &Read) -> BTreeSet<&str> {
    read.blames.iter().map(|blame| blame.split(':').next().unwrap_or_default()).collect()
}

#[test]
fn plain_text_of_both_peers_behind_a_consent_is_decrypted() {
    for (protocol, before, inside) in consents() {
        let port = Grammar::builtin(protocol).expect("it is built in").port;
        let read = captured(protocol, port, &[before.clone(), inside.clone()].concat());
        assert!(read.blames.is_empty(), "{protocol}: {}", read.log);
        assert!(read.log.contains("seems to be decrypted") && read.gaps == 0, "{protocol}: {}", read.log);
        let last = if protocol == "imap" {
            "d LOGOUT"
        } else {
            inside[inside.len() - 2].1.trim_ascii_end().escape_ascii().to_string().leak()
        };
        assert!(read.log.contains(&format!("answers {last}")), "{protocol}: {}", read.log);
        // The consent and what follows it in one segment.
        let mut joined = before.clone();
        let (consent, first) = (before[before.len() - 1].1, inside[0]);
        if !first.0 {
            let both = [consent, first.1].concat();
            joined.pop();
            joined.push((false, both.leak()));
            joined.extend(&inside[1..]);
            let read = captured(protocol, port, &joined);
            assert!(read.blames.is_empty() && read.log.contains("seems to be decrypted"), "{protocol}: {}", read.log);
        }
        // TLS itself.
        let tls = [before.clone(), vec![(true, HELLO), (false, ANSWER), (true, b"\x17\x03\x03\0\x01x")]].concat();
        let read = captured(protocol, port, &tls);
        assert!(read.blames.is_empty() && !read.log.contains("decrypted"), "{protocol}: {}", read.log);
        assert_eq!(read.log.matches("Hello(").count(), 2, "{protocol}: {}", read.log);
        // One of them alone.
        let text: (bool, &[u8]) = (true, if protocol == "imap" { b"b NOOP\r\n" } else { b"NOOP\r\n" });
        let refuses: (bool, &[u8]) = match protocol {
            "imap" => (false, b"* BAD what\r\n"),
            _ => (false, b"500 what\r\n"),
        };
        let codes = matches!(protocol, "smtp" | "lmtp" | "imap");
        for (turns, culprit) in [
            (vec![text], "client"),
            (vec![text, (false, ALERT)], "client"),
            (vec![text, refuses], if codes { "client" } else { "" }),
            (vec![(true, HELLO), (false, b"220 hi\r\n")], "server"),
            (vec![(false, b"220 hi\r\n"), (true, HELLO)], "server"),
        ] {
            let read = captured(protocol, port, &[before.clone(), turns.clone()].concat());
            let found = blames(&read);
            assert!(culprit.is_empty() || found.contains(culprit), "{protocol} {turns:?}: {}", read.log);
            assert!(culprit != "server" || !found.contains("client"), "{protocol} {turns:?}: {}", read.log);
        }
    }
}

#[test]
fn ports_of_tls_are_looked_at() {
    for (protocol, port) in [("imap", 993), ("smtp", 465), ("pop3", 995), ("imap", 8993)] {
        let greeting: &[u8] = match protocol {
            "imap" => b"* OK hi\r\n",
            "smtp" => b"220 mx ESMTP\r\n",
            _ => b"+OK hi\r\n",
        };
        let (asks, answers): (&[u8], &[u8]) = match protocol {
            "imap" => (b"a NOOP\r\n", b"a OK\r\n"),
            "smtp" => (b"EHLO me\r\n", b"250 mx\r\n"),
            _ => (b"CAPA\r\n", b"+OK\r\nUSER\r\n.\r\n"),
        };
        let told = |turns: &[(bool, &[u8])]| captured(protocol, port, turns);
        let read = told(&[(true, HELLO), (false, ANSWER), (true, b"\x17\x03\x03\0\x01x")]);
        assert!(read.blames.is_empty() && read.log.matches("Hello(").count() == 2, "{port}: {}", read.log);
        let read = told(&[(true, HELLO), (false, ALERT)]);
        assert!(read.blames.is_empty() && read.log.contains("Alert"), "{port}: {}", read.log);
        let read = told(&[(true, HELLO), (false, greeting)]);
        assert_eq!(blames(&read), BTreeSet::from(["server"]), "{port}: {}", read.log);
        assert!(read.log.contains("plain text where TLS must begin"), "{port}: {}", read.log);
        let read = told(&[(false, greeting), (true, asks), (false, answers)]);
        assert!(read.blames.is_empty(), "{port}: {}", read.log);
        if port < 1024 {
            assert!(read.log.contains("seems to be decrypted"), "{port}: {}", read.log);
            let read = told(&[(true, asks)]);
            assert_eq!(blames(&read), BTreeSet::from(["client"]), "{port}: {}", read.log);
        }
    }
}

/// What comes first may be the middle of a record, and look like anything.
#[test]
fn a_capture_of_tls_that_begins_late_accuses_nobody() {
    for (port, protocol) in [(993, "imap"), (465, "smtp"), (995, "pop3"), (143, "imap"), (25, "smtp")] {
        for first in [0_u8, b'A', b' ', 0x16, 0x17, 0x80, 0xff] {
            let garbage: Vec<u8> =
                (0..200_u8).map(|at| if at == 0 { first } else { at.wrapping_mul(151) ^ first }).collect();
            let turns =
                [(true, &garbage[..]), (false, &garbage[1..]), (true, b"\x17\x03\x03\0\x01x\n"), (false, ALERT)];
            let frames = segment::conversation(101, CLIENT, &format!("10.0.0.2:{port}"), &turns);
            for begin in 3..8 {
                let read = read(segment::pcap(Spelling::PLAIN, 101, &frames[begin..]), protocol);
                assert!(read.blames.is_empty(), "{port} {first} {begin}: {:?} {}", read.blames, read.log);
                assert!(!read.log.contains("decrypted"), "{port} {first} {begin}: {}", read.log);
            }
        }
    }
}
