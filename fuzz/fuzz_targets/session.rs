//! The whole of a connection: two lanes with any octets in any order and chunking go through the session, the
//! explanation and the pretty log. Each lane comes out as it went in, each octet is reported once, nothing is kept back, nothing panics, and the
//! log holds no octet that acts on a terminal. Where TLS is spoken of, the same with a driver that begins it when the session
//! says so: what was slipped in before is carried to nobody, and all else is as it was.
#![no_main]

use std::sync::Arc;

use imapscope::event::{Closed, Closer, Layer, MAX_TEXT, Oddity, Peer, Time, What, repeated};
use imapscope::explain::Explainer;
use imapscope::grammar::{BUILTIN, Grammar};
use imapscope::rules::{Options, Rules, Source};
use imapscope::session::{MAX_EVENTS, Outbox, Session, Upgrade};
use imapscope::sink::Sink;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::style::Look;
use libfuzzer_sys::fuzz_target;

fn rules(edit: bool) -> Rules {
    let drop = ["X-NOBODY-HAS-THIS".to_owned()];
    let drop = if edit { &drop[..] } else { &[] };
    let mut sources = Source::options(Options { drop, ..Options::default() });
    if edit {
        // Faults stand between octets, and change none.
        let faults = ["slice 1 after 1", "stall at-byte 3", "delay 1s at-byte 0 times 2"];
        sources.extend(faults.iter().enumerate().map(|(nth, fault)| Source::rule(nth + 1, fault)));
    }
    Rules::compile(&sources).expect("the rules are well-formed")
}

/// What becomes of a STARTTLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tls {
    /// What follows is not read.
    Opaque,
    /// It is followed on both legs.
    Followed,
    /// It is imapscope's own work, on either leg.
    Own,
}

/// One connection: the session, what it reports, and what came of it.
struct Wire<'a> {
    session: Session,
    edit: bool,
    explainer: Explainer,
    pretty: Pretty<&'a mut Vec<u8>>,
    out: Outbox,
    /// What the session took, and what left, by sender.
    came: [Vec<u8>; 2],
    went: [Vec<u8>; 2],
    /// Octets that wait, for they may belong under TLS.
    ahead: [Vec<u8>; 2],
    begins: Option<Upgrade>,
    /// TLS is imapscope's own work, so that what it says is more, and what it hears less, than what the peers say.
    own: bool,
    compressed: bool,
    /// What was reported as a peer's: texts and octets of data.
    told: [Vec<u8>; 2],
    now: Time,
    /// All octets so far, for events to be measured by.
    fed: usize,
    events: usize,
}

impl Wire<'_> {
    /// Takes what one read gave, as the pump does.
    fn give(&mut self, from: Peer, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            if self.session.waits(from) {
                self.ahead[from.index()].extend_from_slice(chunk);
                break;
            }
            let used = self.session.receive(from, chunk, &mut self.out);
            self.came[from.index()].extend_from_slice(&chunk[..used]);
            self.begins = self.begins.take().or_else(|| self.out.upgrade.take());
            self.carry(chunk);
            chunk = &chunk[used..];
        }
        if let Some(begins) = self.begins.take() {
            self.secure(begins);
        }
    }

    /// TLS begins where the session says.
    fn secure(&mut self, begins: Upgrade) {
        for peer in [Peer::Client, Peer::Server] {
            let done = self.session.dealt_with(peer).min(self.ahead[peer.index()].len());
            self.came[peer.index()].extend(self.ahead[peer.index()].drain(..done));
        }
        let mut early = |peer: Peer, begins: bool| match begins {
            true => std::mem::take(&mut self.ahead[peer.index()]),
            false => Vec::new(),
        };
        let (server, client) = (early(Peer::Server, begins.server), early(Peer::Client, begins.consent.is_some()));
        // What begins like TLS goes into the handshake.
        let client = if client.first() == Some(&0x16) { Vec::new() } else { client };
        for (from, octets) in [(Peer::Server, server), (Peer::Client, client)] {
            self.session.slipped_in(from, &octets, &mut self.out);
            assert_eq!(self.out.pieces(from.other(), &[]).count(), 0, "what was slipped in is carried to nobody");
            assert!(self.out.batch.events.len() <= MAX_EVENTS + 16);
            self.carry(&[]);
        }
        self.went[Peer::Server.index()].extend(begins.consent.unwrap_or_default());
        self.session.secured();
        assert!(!self.session.waits(Peer::Client) && !self.session.waits(Peer::Server), "TLS has begun");
        self.ahead[Peer::Server.index()].splice(0..0, begins.next);
    }

    /// What waited goes on where the answer was no consent.
    fn go_on(&mut self) {
        while let Some(from) = [Peer::Server, Peer::Client]
            .into_iter()
            .find(|peer| !self.ahead[peer.index()].is_empty() && !self.session.waits(*peer))
        {
            let ahead = std::mem::take(&mut self.ahead[from.index()]);
            self.give(from, &ahead);
        }
    }

    fn carry(&mut self, chunk: &[u8]) {
        for peer in [Peer::Client, Peer::Server] {
            self.out.pieces(peer, chunk).for_each(|piece| self.went[peer.other().index()].extend_from_slice(piece));
        }
        let mut batch = std::mem::take(&mut self.out.batch);
        // Whatever was said, a look at who owes what changes nothing.
        assert_eq!(self.session.owed(), self.session.owed());
        self.out.clear();
        self.events += batch.events.len();
        for event in &batch.events {
            let octets = match &event.what {
                What::Text(text) if !text.oddities.contains(&Oddity::Ours) => {
                    &text.bytes.of(&batch.bytes)[repeated(&text.oddities) as usize..]
                }
                What::Octets(octets) => octets.bytes.of(&batch.bytes),
                _ => continue,
            };
            self.told[event.from.index()].extend_from_slice(octets);
        }
        self.compressed |= batch.events.iter().any(|event| matches!(event.what, What::Upgrade(Layer::Deflate)));
        self.now.0 += 1_000_000;
        (batch.connection, batch.at) = (1, self.now);
        self.explainer.explain(&mut batch, &mut |event| self.pretty.put(event).expect("memory takes all"));
    }

    fn check(&self) {
        for peer in [Peer::Client, Peer::Server] {
            assert!(self.session.held(peer) <= MAX_TEXT);
            // What is compressed anew is other octets.
            if self.edit && self.compressed || self.own {
                continue;
            }
            let held = self.came[peer.index()].len() - self.went[peer.index()].len();
            let room = if self.edit { self.session.held(peer) } else { 0 };
            // A reply of several lines may be a consent.
            let room = if peer == Peer::Server { self.session.held(peer) } else { room };
            assert!(held <= room, "what is no incomplete text goes on at once");
        }
        // Inflated octets are many times what came.
        assert!(self.compressed || self.events <= 4 * self.fed + 16, "events grow with octets only");
    }
}

/// The input is an octet that chooses the protocol, and a row of steps: an octet that says who sends (its lowest bit) and how much (the others), and so much.
fn run(input: &[u8], edit: bool, tls: Tls) {
    let Some((&first, input)) = input.split_first() else { return };
    let (protocol, _) = BUILTIN[usize::from(first) % BUILTIN.len()];
    let grammar = Grammar::builtin(protocol).expect("it is built in");
    let session = Session::new(1, grammar.clone(), Arc::new(rules(edit))).reporting_octets(true);
    let mut log = Vec::new();
    let mut wire = Wire {
        session: match tls {
            Tls::Opaque => session,
            Tls::Followed => session.following_tls(),
            Tls::Own => session.offering_tls().beginning_tls(),
        },
        edit,
        explainer: Explainer::new(grammar, false),
        pretty: Pretty::new(&mut log, Look::default()),
        out: Outbox::default(),
        came: Default::default(),
        went: Default::default(),
        ahead: Default::default(),
        begins: None,
        own: tls == Tls::Own,
        compressed: false,
        told: Default::default(),
        now: Time(1_767_225_600_000_000_000),
        fed: 0,
        events: 0,
    };
    let mut rest = input;
    while let Some((&head, after)) = rest.split_first() {
        let from = if head & 1 == 0 { Peer::Client } else { Peer::Server };
        let (chunk, after) = after.split_at(after.len().min(1 + usize::from(head >> 1)));
        rest = after;
        // A peer of which something waits is not read before that has gone on.
        if wire.ahead[from.index()].is_empty() {
            wire.fed += chunk.len();
            wire.give(from, chunk);
        }
        wire.go_on();
        wire.check();
        if wire.out.failed.is_some() {
            break;
        }
    }
    for peer in [Peer::Server, Peer::Client] {
        wire.session.closed(peer, &mut wire.out);
        wire.carry(&[]);
        wire.go_on();
        assert!(wire.own || wire.ahead[peer.index()].is_empty(), "nothing waits for a server that has ended");
    }
    assert!((edit && wire.compressed) || wire.own || wire.came == wire.went, "octets were changed");
    let end = Closed { by: Closer::Ours, why: None, received: [0; 2], sent: [0; 2], inflated: [(0, 0); 2] };
    wire.session.ended(Peer::Client, end, &mut wire.out);
    wire.carry(&[]);
    assert!(wire.compressed || tls != Tls::Opaque || wire.told == wire.came, "each octet is reported once");
    wire.pretty.end().expect("memory takes all");
    drop(wire);
    let log = String::from_utf8(log).expect("the log is UTF-8");
    assert!(log.chars().all(|letter| letter == '\n' || !letter.is_control()), "{log:?}");
}

fuzz_target!(|input: &[u8]| {
    run(input, false, Tls::Opaque);
    run(input, true, Tls::Opaque);
    if input.windows(3).any(|word| word.eq_ignore_ascii_case(b"TLS")) {
        run(input, false, Tls::Followed);
        run(input, true, Tls::Followed);
        run(input, false, Tls::Own);
    }
});
