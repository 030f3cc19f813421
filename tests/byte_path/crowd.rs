//! A rule that answers commands is never too busy for one: whatever the client sends ahead, none of them reaches the server.

use std::sync::Arc;

use imapscope::event::Peer;
use imapscope::grammar::Grammar;
use imapscope::rules::{Rules, Source};
use imapscope::session::{Outbox, Session};

/// A client that sends all at once, and a server that answers one command after the other.
struct Peers {
    session: Session,
    out: Outbox,
    /// What each got: `[client, server]`.
    got: [Vec<u8>; 2],
}

impl Peers {
    fn with(protocol: &str, rule: &str) -> Self {
        let rules = Rules::compile(&[Source::rule(1, rule)]).expect("the rule is right");
        let grammar = Grammar::builtin(protocol).expect("the description loads");
        let session = Session::new(1, grammar, Arc::new(rules));
        Peers { session, out: Outbox::default(), got: Default::default() }
    }

    /// Feeds as much as is taken; how much that was.
    fn feed(&mut self, from: Peer, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && !self.session.waits(from) {
            let taken = self.session.receive(from, &bytes[at..], &mut self.out);
            for to in [Peer::Client, Peer::Server] {
                self.got[to.index()].extend(self.out.pieces(to, &bytes[at..]).flatten());
            }
            self.out.clear();
            self.out.batch = Default::default();
            at += taken;
        }
        at
    }

    fn lines(&self, to: Peer) -> usize {
        self.got[to.index()].iter().filter(|&&byte| byte == b'\n').count()
    }
}

#[test]
fn refusals_hold_behind_any_number_of_commands() {
    let mut peers = Peers::with("smtp", "refuse VRFY");
    assert_eq!(peers.feed(Peer::Server, b"220 mx ESMTP\r\n"), 14);
    // Twice as many as are kept.
    let all: Vec<u8> = b"NOOP\r\nNOOP\r\nVRFY a\r\n".repeat(4_000);
    let (mut sent, mut answered, mut waited) = (0, 0, false);
    while sent < all.len() || answered < 8_000 {
        sent += peers.feed(Peer::Client, &all[sent..]);
        waited |= sent < all.len();
        let asked = peers.lines(Peer::Server);
        assert!(asked > answered, "a client that waits is let on by answers: {sent} of {} at {answered}", all.len());
        for _ in answered..asked {
            peers.feed(Peer::Server, b"250 ok\r\n");
        }
        answered = asked;
    }
    assert!(waited, "it had to wait");
    assert!(!peers.got[Peer::Server.index()].windows(4).any(|word| word == b"VRFY"), "the server got one");
    assert_eq!(peers.lines(Peer::Client), 1 + 12_000, "each has its answer");
    let said = &peers.got[Peer::Client.index()];
    let refused = said.split(|&byte| byte == b'\n').skip(1).enumerate().filter(|(_, line)| line.starts_with(b"502"));
    assert!(refused.map(|(nth, _)| nth % 3).all(|place| place == 2), "each in its turn");
}

#[test]
fn refusals_hold_while_the_server_says_something_long() {
    let mut peers = Peers::with("imap", "refuse DELETE");
    peers.feed(Peer::Server, b"* OK hi\r\na0 OK in\r\n* 1 FETCH (BODY[] {100000}\r\n");
    let all: Vec<u8> = (0..1_000).flat_map(|nth| format!("a{nth} DELETE x{nth}\r\n").into_bytes()).collect();
    let sent = peers.feed(Peer::Client, &all);
    assert!(sent < all.len(), "no answer can stand in the middle of a literal, and they are not kept without end");
    assert_eq!(peers.lines(Peer::Server), 0);
    peers.feed(Peer::Server, &vec![b'x'; 100_000]);
    peers.feed(Peer::Server, b")\r\n");
    let rest = peers.feed(Peer::Client, &all[sent..]);
    assert_eq!((sent + rest, peers.lines(Peer::Server)), (all.len(), 0));
    let said = peers.got[Peer::Client.index()].windows(11).filter(|window| window == b"[imapscope]").count();
    assert_eq!(said, 1_000);
}

#[test]
fn a_tag_of_any_length_is_answered() {
    let mut peers = Peers::with("imap", "refuse DELETE");
    peers.feed(Peer::Server, b"* OK hi\r\n");
    let tag = "a".repeat(60_000);
    peers.feed(Peer::Client, format!("{tag} DELETE x\r\n").as_bytes());
    assert!(peers.got[Peer::Server.index()].is_empty());
    assert!(peers.got[Peer::Client.index()].ends_with(format!("{tag} BAD command unknown [imapscope]\r\n").as_bytes()));
}

#[test]
fn without_such_a_rule_nothing_waits() {
    let mut peers = Peers::with("smtp", "s/a/b/");
    peers.feed(Peer::Server, b"220 mx ESMTP\r\n");
    let all: Vec<u8> = b"NOOP\r\n".repeat(10_000);
    assert_eq!(peers.feed(Peer::Client, &all), all.len());
}
