//! What a client says to ask for capabilities, to log in and to leave, protocol by protocol. Knows words, not connections.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::grammar::Grammar;

/// How a protocol is spoken, as far as a probe speaks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The grammar's name.
    pub protocol: &'static str,
    /// What asks for the list. `{}` is our own address.
    pub asks: &'static str,
    /// What ends the session.
    pub leaves: &'static str,
    way: Way,
}

/// How to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Imap,
    Smtp,
    Pop3,
    Sieve,
    Unknown,
}

const DIALECTS: [Dialect; 6] = [
    Dialect { protocol: "imap", asks: "CAPABILITY", leaves: "LOGOUT", way: Way::Imap },
    Dialect { protocol: "smtp", asks: "EHLO {}", leaves: "QUIT", way: Way::Smtp },
    Dialect { protocol: "lmtp", asks: "LHLO {}", leaves: "QUIT", way: Way::Smtp },
    Dialect { protocol: "pop3", asks: "CAPA", leaves: "QUIT", way: Way::Pop3 },
    Dialect { protocol: "managesieve", asks: "CAPABILITY", leaves: "LOGOUT", way: Way::Sieve },
    Dialect { protocol: "nntp", asks: "CAPABILITIES", leaves: "QUIT", way: Way::Unknown },
];

/// The longest initial response that fits a command of POP3: lines have 255 octets at the most.
const INITIAL: usize = 255 - "AUTH PLAIN \r\n".len();

/// One line of ours, without its end.
#[derive(Clone, PartialEq, Eq)]
pub enum Turn {
    /// A command, which has a tag where commands have tags.
    Command(Vec<u8>),
    /// What the server has asked for.
    Answer(Vec<u8>),
}

/// A login: what it is called, and what is said.
pub struct Login {
    /// As it is told: `AUTHENTICATE PLAIN`.
    pub name: &'static str,
    /// In order.
    pub turns: Vec<Turn>,
}

impl Dialect {
    /// That of a description, or of the one that it extends.
    #[must_use]
    pub fn of(grammar: &Grammar) -> Option<Self> {
        let named = |name: &str| DIALECTS.iter().find(|dialect| dialect.protocol == name).copied();
        named(&grammar.name).or_else(|| grammar.extends.as_deref().and_then(named))
    }

    /// True if commands have tags, and a server can say what it is.
    #[must_use]
    pub fn is_imap(&self) -> bool {
        self.way == Way::Imap
    }

    /// Whether anybody can log in.
    #[must_use]
    pub fn logs_in(&self) -> bool {
        self.way != Way::Unknown
    }

    /// What cancels an exchange of SASL.
    #[must_use]
    pub fn cancel(&self) -> &'static [u8] {
        if self.way == Way::Sieve { b"\"*\"" } else { b"*" }
    }

    /// How to log in with what is offered. `None` if that is nothing of what we know.
    #[must_use]
    pub fn login(&self, offers: &dyn Fn(&str) -> bool, user: &str, password: &[u8]) -> Option<Login> {
        let plain = STANDARD.encode([b"\0", user.as_bytes(), b"\0", password].concat());
        let command = |text: String| Turn::Command(text.into_bytes());
        let answer = |octets: &[u8]| Turn::Answer(STANDARD.encode(octets).into_bytes());
        let ready = || Turn::Answer(plain.clone().into_bytes());
        let (name, turns) = match self.way {
            Way::Imap if offers("AUTH=PLAIN") && offers("SASL-IR") => {
                ("AUTHENTICATE PLAIN", vec![command(format!("AUTHENTICATE PLAIN {plain}"))])
            }
            Way::Imap if offers("AUTH=PLAIN") => {
                ("AUTHENTICATE PLAIN", vec![command("AUTHENTICATE PLAIN".to_owned()), ready()])
            }
            Way::Imap if !offers("LOGINDISABLED") => {
                let line = [b"LOGIN ", &quoted(user.as_bytes())[..], b" ", &quoted(password)].concat();
                ("LOGIN", vec![Turn::Command(line)])
            }
            Way::Smtp if offers("AUTH=PLAIN") => ("AUTH PLAIN", vec![command(format!("AUTH PLAIN {plain}"))]),
            Way::Smtp if offers("AUTH=LOGIN") => {
                let turns = vec![command("AUTH LOGIN".to_owned()), answer(user.as_bytes()), answer(password)];
                ("AUTH LOGIN", turns)
            }
            // All at once (RFC 5034 section 4), as far as the line may be so long: Dovecot 2.3 keeps its go-ahead to itself.
            Way::Pop3 if offers("AUTH=PLAIN") && plain.len() <= INITIAL => {
                ("AUTH PLAIN", vec![command(format!("AUTH PLAIN {plain}"))])
            }
            Way::Pop3 if offers("AUTH=PLAIN") => ("AUTH PLAIN", vec![command("AUTH PLAIN".to_owned()), ready()]),
            // Old servers have no list, and know this all the same.
            Way::Pop3 if offers("USER") || !offers("SASL") => {
                let pass = Turn::Command([b"PASS ", password].concat());
                ("USER and PASS", vec![command(format!("USER {user}")), pass])
            }
            Way::Sieve if offers("AUTH=PLAIN") => {
                ("AUTHENTICATE \"PLAIN\"", vec![command(format!("AUTHENTICATE \"PLAIN\" \"{plain}\""))])
            }
            _ => return None,
        };
        Some(Login { name, turns })
    }
}

/// A quoted string (RFC 9051 section 4.3).
#[must_use]
pub fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &octet in text {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(octet);
    }
    out.push(b'"');
    out
}

/// The fields in the parentheses of an answer to ID (RFC 2971 section 3.3): strings and NIL by turns. So many at the most.
#[must_use]
pub fn fields(arguments: &[u8]) -> Vec<(String, Option<String>)> {
    const MOST: usize = 32;
    let mut rest = arguments;
    let mut words: Vec<Option<String>> = Vec::new();
    while words.len() < 2 * MOST {
        rest = rest.trim_ascii_start();
        let Some((&first, behind)) = rest.split_first() else { break };
        rest = behind;
        if first != b'"' {
            if rest.len() >= 2 && [&[first], &rest[..2]].concat().eq_ignore_ascii_case(b"NIL") {
                rest = &rest[2..];
                words.push(None);
            }
            continue;
        }
        let mut word = Vec::new();
        while let Some((&octet, behind)) = rest.split_first() {
            rest = behind;
            match octet {
                b'"' => break,
                b'\\' => {
                    let Some((&octet, behind)) = rest.split_first() else { break };
                    (rest, _) = (behind, word.push(octet));
                }
                octet => word.push(octet),
            }
        }
        words.push(Some(crate::explain::phrase::excerpt(&word)));
    }
    words.chunks_exact(2).filter_map(|pair| Some((pair[0].clone()?, pair[1].clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(protocol: &str, offered: &[&str], user: &str, password: &str) -> Option<String> {
        let grammar = Grammar::builtin(protocol).expect("it is built in");
        let offers = |name: &str| offered.contains(&name);
        let login = Dialect::of(&grammar).expect(protocol).login(&offers, user, password.as_bytes())?;
        let turns = login.turns.iter().map(|turn| match turn {
            Turn::Command(octets) => format!("C {}", String::from_utf8_lossy(octets)),
            Turn::Answer(octets) => format!("A {}", String::from_utf8_lossy(octets)),
        });
        Some(turns.collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn each_protocol_logs_in_with_what_is_offered() {
        const PLAIN: &str = "AGEAcA==";
        let login = |protocol, offered: &[&str]| said(protocol, offered, "a", "p");
        assert_eq!(login("imap", &["AUTH=PLAIN", "SASL-IR"]), Some(format!("C AUTHENTICATE PLAIN {PLAIN}")));
        assert_eq!(login("imap", &["AUTH=PLAIN"]), Some(format!("C AUTHENTICATE PLAIN|A {PLAIN}")));
        assert_eq!(login("imap", &[]).as_deref(), Some("C LOGIN \"a\" \"p\""));
        assert_eq!(login("imap", &["LOGINDISABLED", "AUTH=GSSAPI"]), None);
        assert_eq!(said("imap", &[], "a\"b", "\\c d").as_deref(), Some("C LOGIN \"a\\\"b\" \"\\\\c d\""));
        for protocol in ["smtp", "lmtp"] {
            assert_eq!(login(protocol, &["AUTH=PLAIN", "AUTH=LOGIN"]), Some(format!("C AUTH PLAIN {PLAIN}")));
            assert_eq!(login(protocol, &["AUTH=LOGIN"]).as_deref(), Some("C AUTH LOGIN|A YQ==|A cA=="));
            assert_eq!(login(protocol, &["AUTH=XOAUTH2"]), None);
        }
        assert_eq!(login("pop3", &["AUTH=PLAIN", "SASL", "USER"]), Some(format!("C AUTH PLAIN {PLAIN}")));
        let long = said("pop3", &["AUTH=PLAIN"], "a", &"p".repeat(200)).expect("it is offered");
        assert!(long.starts_with("C AUTH PLAIN|A "), "{long}");
        assert_eq!(login("pop3", &["USER"]).as_deref(), Some("C USER a|C PASS p"));
        assert_eq!(login("pop3", &[]).as_deref(), Some("C USER a|C PASS p"));
        assert_eq!(login("pop3", &["SASL", "AUTH=GSSAPI"]), None);
        assert_eq!(login("managesieve", &["AUTH=PLAIN"]), Some(format!("C AUTHENTICATE \"PLAIN\" \"{PLAIN}\"")));
        assert_eq!((login("managesieve", &[]), login("nntp", &[])), (None, None));
    }

    #[test]
    fn what_a_server_is_is_read_as_far_as_it_can_be() {
        let read = |text: &str| {
            let fields = fields(text.as_bytes());
            fields.iter().map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("-"))).collect::<Vec<_>>()
        };
        assert_eq!(read("(\"name\" \"Dove\\\"cot\" \"os\" nil)"), ["name=Dove\"cot", "os=-"]);
        assert_eq!(read("NIL"), [""; 0]);
        assert_eq!(read("(\"name\" \"open"), ["name=open"]);
        assert_eq!(read("(\"name\" {5}"), [""; 0]);
        assert_eq!(read(&"\"a\" \"b\"".repeat(100)).len(), 32);
    }
}
