//! One connection of a transcript: its lines wait until they tell the protocol, and whether they are its beginning. A second
//! greeting, or anything after a farewell, is another connection's.

use std::collections::VecDeque;

use super::start::{self, Start};
use super::{Piece, guess};
use crate::event::{Peer, State, Time};

/// Maximum number of lines that wait for one that shows the protocol.
const MAX_WAITING: usize = 32;

/// A connection.
#[derive(Debug)]
pub struct Talk {
    number: u64,
    /// The protocol, as the user calls it, or as a line shows.
    protocol: Option<String>,
    server: String,
    opened: bool,
    /// What waits for a line that tells the protocol.
    waiting: Vec<Piece>,
    /// TLS was reported, and it changes nothing to report it again.
    secured: bool,
    /// The server has spoken, and the client.
    spoke: [bool; 2],
    /// The client's last line asks for TLS, or says goodbye.
    asks_for_tls: bool,
    quits: bool,
    /// The server's last line is not the last one of its reply (SMTP).
    continues: bool,
    /// POP3: number of the client's lines that no reply has come to.
    due: u32,
    /// IMAP: the tag of the goodbye.
    tag: Vec<u8>,
    /// The server has said goodbye, and all is over.
    bye: bool,
    over: bool,
}

impl Talk {
    /// A connection of which nothing was said yet.
    pub const fn new(number: u64, protocol: Option<String>, server: String) -> Self {
        Talk {
            number,
            protocol,
            server,
            opened: false,
            waiting: Vec::new(),
            secured: false,
            spoke: [false; 2],
            asks_for_tls: false,
            quits: false,
            continues: false,
            bye: false,
            due: 0,
            tag: Vec::new(),
            over: false,
        }
    }

    /// True if this line belongs to the next connection.
    pub fn is_over(&self, from: Peer, line: &[u8]) -> bool {
        let greets = || match self.protocol.as_deref() {
            Some("imap") if self.bye => line.starts_with(b"* OK") || line.starts_with(b"* PREAUTH"),
            Some("imap") => line.starts_with(b"* OK [CAPABILITY ") || line.starts_with(b"* PREAUTH"),
            Some("smtp" | "lmtp") => {
                let greets = line.starts_with(b"220 ") || line.starts_with(b"220-");
                greets && !self.asks_for_tls && !self.continues
            }
            _ => false,
        };
        let goes_on = self.protocol.as_deref() == Some("imap") && from == Peer::Server && line.starts_with(b"* BYE");
        self.over && !goes_on || from == Peer::Server && self.spoke == [true; 2] && greets()
    }

    /// A peer says a line, or with `first` unset a further part of one.
    pub fn say(&mut self, at: Time, from: Peer, text: &[u8], ended: bool, first: bool, ready: &mut VecDeque<Piece>) {
        let mut bytes = Vec::with_capacity(text.len() + 2);
        bytes.extend_from_slice(text);
        if ended {
            bytes.extend_from_slice(b"\r\n");
        }
        if !self.opened && self.protocol.is_none() {
            self.protocol = guess::of_line(from, text).map(str::to_owned);
        }
        if first {
            self.follow(from, text);
        }
        if bytes.is_empty() {
            return;
        }
        let piece = Piece::Octets { connection: self.number, at, from, bytes };
        if self.opened {
            return ready.push_back(piece);
        }
        self.waiting.push(piece);
        self.try_to_open(self.waiting.len() >= MAX_WAITING, ready);
    }

    /// TLS has begun.
    pub fn secure(&mut self, at: Time, version: String, suite: String, ready: &mut VecDeque<Piece>) {
        if self.opened || !std::mem::replace(&mut self.secured, true) {
            self.tell(Piece::Tls { connection: self.number, at, version, suite }, ready);
        }
    }

    /// The log says how large a message is, or a part of it, that it leaves out.
    pub fn leave_out(&mut self, at: Time, (from, bytes, all): (Peer, u64, bool), ready: &mut VecDeque<Piece>) {
        self.tell(Piece::LeftOut { connection: self.number, at, from, bytes, all }, ready);
    }

    /// Something is to be said of it.
    pub fn remark(&mut self, at: Time, text: String, damage: bool, ready: &mut VecDeque<Piece>) {
        self.tell(Piece::Remark { connection: Some(self.number), at, text, damage }, ready);
    }

    /// Nothing more comes of it.
    pub fn close(mut self, at: Time, ready: &mut VecDeque<Piece>) {
        if !self.opened {
            self.try_to_open(true, ready);
        }
        ready.push_back(Piece::Closed { connection: self.number, at, by: None, reset: false });
    }

    /// What is no octets comes in its place among them.
    fn tell(&mut self, piece: Piece, ready: &mut VecDeque<Piece>) {
        if self.opened { ready.push_back(piece) } else { self.waiting.push(piece) }
    }

    /// Sees a farewell coming.
    fn follow(&mut self, from: Peer, line: &[u8]) {
        self.spoke[from.index()] = true;
        let mut words = line.split(|&b| b == b' ').map(<[u8]>::to_ascii_uppercase);
        let [first, second] = [words.next(), words.next()].map(Option::unwrap_or_default);
        let imap = self.protocol.as_deref() == Some("imap");
        if from == Peer::Client {
            let verb = if imap { &second } else { &first };
            self.asks_for_tls = verb == b"STARTTLS";
            self.quits = [&b"QUIT"[..], b"LOGOUT"].contains(&verb.as_slice());
            self.due = self.due.saturating_add(1);
            self.tag = if self.quits && imap { first } else { Vec::new() };
            return;
        }
        self.continues = line.get(3) == Some(&b'-') && line[..3].iter().all(u8::is_ascii_digit);
        // Commands may be sent ahead of their replies, and the goodbye with them (RFC 2920 section 3.1).
        let tagged = || first == self.tag && second == b"OK";
        if matches!(first.as_slice(), b"+OK" | b"-ERR" | b"+") {
            self.due = self.due.saturating_sub(1);
        }
        self.bye |= imap && first == b"*" && second == b"BYE";
        self.over |= self.quits
            && match self.protocol.as_deref() {
                Some("imap") => tagged(),
                Some("pop3") => self.due == 0 && matches!(first.as_slice(), b"+OK" | b"-ERR"),
                Some("managesieve") => matches!(first.as_slice(), b"OK" | b"NO" | b"BYE"),
                _ => matches!(first.as_slice(), b"221" | b"205"),
            };
    }

    /// Opens the connection if its protocol and its beginning are known, or with `all` in any case.
    fn try_to_open(&mut self, all: bool, ready: &mut VecDeque<Piece>) {
        let line = |piece: &Piece| match piece {
            Piece::Octets { from, bytes, .. } => Some((*from, bytes.trim_ascii_end().to_vec())),
            _ => None,
        };
        let lines: Vec<(Peer, Vec<u8>)> = self.waiting.iter().filter_map(line).collect();
        let lines: Vec<(Peer, &[u8])> = lines.iter().map(|(from, line)| (*from, line.as_slice())).collect();
        if all && self.protocol.is_none() {
            self.protocol = lines.iter().find_map(|(from, line)| guess::of_later(*from, line)).map(str::to_owned);
        }
        let start = start::of(self.protocol.as_deref(), &lines, all);
        if !all && (self.protocol.is_none() || start == Start::Unclear) {
            return;
        }
        self.opened = true;
        ready.push_back(Piece::Opened {
            connection: self.number,
            at: self.waiting.first().map_or(Time(0), Piece::at),
            protocol: self.protocol.clone(),
            client: "client".into(),
            server: self.server.clone(),
            inside: true,
            middle: (start == Start::Middle).then_some(State::Opaque),
        });
        ready.extend(self.waiting.drain(..));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_of_several_lines_is_one() {
        let said = |lines: &[(Peer, &str)], next: &str| {
            let mut talk = Talk::new(1, Some("smtp".to_owned()), String::new());
            let mut ready = VecDeque::new();
            for (from, line) in lines {
                assert!(!talk.is_over(*from, line.as_bytes()), "{line}");
                talk.say(Time(0), *from, line.as_bytes(), true, true, &mut ready);
            }
            talk.is_over(Peer::Server, next.as_bytes())
        };
        let early = [(Peer::Server, "220-mx"), (Peer::Client, "HELO c")];
        assert!(!said(&early, "220 mx") && !said(&early, "220-still"));
        let done =
            [(Peer::Server, "220-mx"), (Peer::Client, "HELO c"), (Peer::Server, "220 mx"), (Peer::Server, "250 mx")];
        assert!(said(&done, "220 other") && said(&done, "220-other"));
    }

    #[test]
    fn a_goodbye_that_was_sent_ahead_ends_with_its_own_reply() {
        use Peer::{Client, Server};
        for (protocol, lines) in [
            ("smtp", &[(Client, "RSET"), (Client, "QUIT"), (Server, "250 ok"), (Server, "221 bye")][..]),
            ("pop3", &[(Server, "+OK hi"), (Client, "DELE 1"), (Client, "QUIT"), (Server, "+OK"), (Server, "+OK bye")]),
            (
                "imap",
                &[(Client, "a1 NOOP"), (Client, "a2 LOGOUT"), (Server, "a1 OK"), (Server, "* BYE"), (Server, "a2 OK")],
            ),
            ("imap", &[(Client, "a2 LOGOUT"), (Server, "a2 OK"), (Server, "* BYE")]),
        ] {
            let mut talk = Talk::new(1, Some(protocol.to_owned()), String::new());
            for (from, line) in lines {
                assert!(!talk.is_over(*from, line.as_bytes()), "{protocol}: {line} is of another connection");
                talk.say(Time(0), *from, line.as_bytes(), true, true, &mut VecDeque::new());
            }
            assert!(talk.is_over(Client, b"x NOOP"), "{protocol}: what comes next is of another connection");
        }
    }
}
