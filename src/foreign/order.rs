//! Which peer spoke next, where no times tell: made out from commands and what answers them. A guess, and an easy one as long
//! as every command waits for its answer.

use crate::event::Peer;

/// A tag is remembered up to so many octets.
const MAX_TAG: usize = 64;

/// How replies look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replies {
    /// The last line has the command's tag.
    Tags,
    /// Three digits begin each line of a reply; other lines belong to the one before.
    Codes,
    /// The same with `+OK` and `-ERR`.
    Words,
    /// OK, NO or BYE begins the last line.
    Last,
}

/// Who is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Waits {
    /// The client speaks.
    Client,
    /// The server, up to the line that begins with this tag, or asks for more.
    Tag(Vec<u8>),
    /// The server, to the end of a reply.
    Reply,
}

/// The order of the lines of one connection.
#[derive(Debug)]
pub struct Order {
    replies: Replies,
    waits: Waits,
    /// The client's lines are a message, to a dot.
    message: bool,
    /// Octets of the client's literal that are still to come, and the tag of the command that it belongs to.
    literal: u64,
    tag: Option<Vec<u8>>,
    /// The client has said something, or the server greeted it: no answer is one to what came before the beginning.
    asked: bool,
}

impl Order {
    /// For lines of this protocol, where the server has greeted or not.
    pub fn of(protocol: Option<&str>, greeted: bool) -> Order {
        let replies = match protocol {
            Some("smtp" | "lmtp" | "nntp") => Replies::Codes,
            Some("pop3") => Replies::Words,
            Some("managesieve") => Replies::Last,
            _ => Replies::Tags,
        };
        let waits = if greeted { Waits::Reply } else { Waits::Client };
        Order { replies, waits, message: false, literal: 0, tag: None, asked: greeted }
    }

    /// Whose line comes next, if the server's is this one.
    pub fn next(&self, server: &[u8]) -> Peer {
        let belongs = match self.replies {
            Replies::Codes => !server.iter().take(3).all(u8::is_ascii_digit),
            Replies::Words => !server.starts_with(b"+OK") && !server.starts_with(b"-ERR"),
            // It answers a command from before the beginning.
            Replies::Tags => !self.asked && is_tagged(server),
            Replies::Last => false,
        };
        if self.waits == Waits::Client && !belongs { Peer::Client } else { Peer::Server }
    }

    /// A peer has said this line, without its line end.
    pub fn said(&mut self, from: Peer, line: &[u8]) {
        match from {
            Peer::Client => self.asked(line),
            Peer::Server => self.answered(line),
        }
    }

    fn asked(&mut self, line: &[u8]) {
        self.asked = true;
        if self.message {
            if line == b"." {
                self.message = false;
                self.waits = Waits::Reply;
            }
            return;
        }
        let whole = line.len() as u64 + 2;
        if self.literal >= whole {
            self.literal -= whole;
            return;
        }
        self.literal = 0;
        if self.replies == Replies::Codes || self.replies == Replies::Words {
            self.waits = Waits::Reply;
            return;
        }
        let tag = self
            .tag
            .take()
            .unwrap_or_else(|| line.iter().copied().take(MAX_TAG).take_while(|b| !b.is_ascii_whitespace()).collect());
        match announced(line) {
            Some((size, waits)) => {
                self.literal = size;
                self.tag = Some(tag.clone());
                if waits && self.replies == Replies::Tags {
                    self.waits = Waits::Tag(tag);
                }
            }
            None if self.replies == Replies::Last => self.waits = Waits::Reply,
            // DONE and the answer to `+` have no tag.
            None if line.contains(&b' ') || line.is_empty() || line.starts_with(b")") => self.waits = Waits::Tag(tag),
            None => {}
        }
    }

    fn answered(&mut self, line: &[u8]) {
        // One command may have been sent before the beginning.
        self.asked |= is_tagged(line);
        let done = match &self.waits {
            Waits::Client => false,
            Waits::Tag(tag) => {
                let tagged = line.strip_prefix(tag.as_slice()).is_some_and(|rest| rest.starts_with(b" "));
                tagged || line.starts_with(b"+ ") || line == b"+"
            }
            Waits::Reply => match self.replies {
                Replies::Codes => {
                    self.message = line.starts_with(b"354");
                    line.get(3) != Some(&b'-')
                }
                Replies::Last => [&b"OK"[..], b"NO", b"BYE"].iter().any(|word| line.starts_with(word)),
                Replies::Tags | Replies::Words => true,
            },
        };
        if done {
            self.waits = Waits::Client;
        }
    }
}

/// Returns true for a status after a tag.
fn is_tagged(line: &[u8]) -> bool {
    let mut words = line.splitn(3, |&b| b == b' ');
    let tag = words.next().is_some_and(|tag| tag.first().is_some_and(u8::is_ascii_alphanumeric));
    tag && words.next().is_some_and(|word| [&b"OK"[..], b"NO", b"BAD"].contains(&word))
}

/// The literal that a line announces at its end, and whether its octets wait for leave.
fn announced(line: &[u8]) -> Option<(u64, bool)> {
    let inside = line.strip_suffix(b"}")?;
    let inside = &inside[inside.iter().rposition(|&b| b == b'{')? + 1..];
    let (digits, waits) = match inside.strip_suffix(b"+") {
        Some(digits) => (digits, false),
        None => (inside, true),
    };
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, waits))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who speaks when, as one letter a line.
    fn told(protocol: &str, greeted: bool, client: &[&str], server: &[&str]) -> String {
        let mut order = Order::of(Some(protocol), greeted);
        let (mut client, mut server) = (client.iter().peekable(), server.iter().peekable());
        let mut told = String::new();
        loop {
            let from = match (client.peek(), server.peek()) {
                (None, None) => return told,
                (Some(_), None) => Peer::Client,
                (None, Some(_)) => Peer::Server,
                (Some(_), Some(line)) => order.next(line.as_bytes()),
            };
            let line = if from == Peer::Client { client.next() } else { server.next() };
            told.push(if from == Peer::Client { 'C' } else { 'S' });
            order.said(from, line.expect("it waits").as_bytes());
        }
    }

    #[test]
    fn answers_follow_their_commands() {
        let imap = ["1 SELECT INBOX", "2 APPEND x {7}", "seven", ")", "3 IDLE", "DONE", "4 LOGOUT"];
        let server = ["* 1 EXISTS", "1 OK", "+ go", "2 OK", "+ idling", "3 OK", "* BYE", "4 OK"];
        assert_eq!(told("imap", false, &imap, &server), "CSSCSCCSCSCCSSS");
        let smtp = ["EHLO x", "DATA", "Subject: x", "", ".", "QUIT"];
        assert_eq!(
            told("smtp", true, &smtp, &["220 hi", "250-a", "250 b", "354 go", "250 ok", "221 bye"]),
            "SCSSCSCCCSCS"
        );
        assert_eq!(
            told("pop3", true, &["STAT", "LIST", "QUIT"], &["+OK hi", "+OK 1 2", "+OK", "1 2", ".", "+OK"]),
            "SCSCSSSCS"
        );
        assert_eq!(told("imap", false, &["2 NOOP"], &["1 OK before", "2 OK"]), "SCS");
        assert_eq!(told("imap", true, &["1 NOOP"], &["* OK hi", "1 OK"]), "SCS");
        assert_eq!(told("managesieve", false, &["CAPABILITY", "NOOP"], &["\"SIEVE\"", "OK", "OK"]), "CSSCS");
    }
}
