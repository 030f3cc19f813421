//! Drives a session as a connection would and keeps what it sends and reports, with every span resolved, so that
//! two runs can be compared. Used by the tests that prove the invariants; knows nothing of what a text means.
#![allow(dead_code)]

pub mod dialogues;
pub mod log;

use std::sync::Arc;

use imapscope::event::{
    Closed, Closer, DataKind, Layer, ListKind, MAX_OCTETS, MAX_TEXT, Oddity, Peer, Span, What, repeated,
};
use imapscope::grammar::Grammar;
use imapscope::rules::Rules;
use imapscope::session::{Outbox, Session, Upgrade};

/// What one peer sends, whole or in part.
pub type Step = (Peer, Vec<u8>);

/// An event without its arena.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Who sent it.
    pub from: Peer,
    /// The event; its spans into the arena are zero.
    pub what: What,
    /// The text as received, or the head of the data.
    pub bytes: Vec<u8>,
    /// The subject of the data.
    pub subject: Vec<u8>,
    /// The text as sent, where a rule had a look at it.
    pub sent: Option<Vec<u8>>,
}

/// A session and all that came of it.
#[derive(Debug)]
pub struct Run {
    /// The session.
    pub session: Session,
    /// What was fed, by sender.
    pub input: [Vec<u8>; 2],
    /// What left, by the sender of the lane.
    pub output: [Vec<u8>; 2],
    /// What was reported, but for the octets of data.
    pub events: Vec<Seen>,
    /// All that was reported as a peer's, put together: texts and octets of data.
    pub whole: [Vec<u8>; 2],
    /// What came before TLS began and was carried to nobody, by sender. It is in no input.
    pub slipped: [Vec<u8>; 2],
    /// How often TLS began on both legs.
    pub secured: usize,
    /// The most events of one call.
    pub most: usize,
    /// Octets that wait, for they may belong under TLS.
    ahead: [Vec<u8>; 2],
    /// TLS that is to begin.
    begins: Option<Upgrade>,
    /// What imapscope has said by itself, by the peer whose words brought it about and who hears it.
    pub ours: [Vec<u8>; 2],
    out: Outbox,
}

impl Run {
    /// An IMAP session with these rules.
    pub fn with(rules: impl Into<Arc<Rules>>) -> Self {
        Self::of("imap", rules)
    }

    /// A session of a protocol that comes with the program, with these rules.
    pub fn of(protocol: &str, rules: impl Into<Arc<Rules>>) -> Self {
        Self::by(Grammar::builtin(protocol).expect("the description loads"), rules)
    }

    /// A session of this protocol, with these rules.
    pub fn by(grammar: Arc<Grammar>, rules: impl Into<Arc<Rules>>) -> Self {
        Run {
            session: Session::new(1, grammar, rules.into()).reporting_octets(true),
            input: Default::default(),
            whole: Default::default(),
            output: Default::default(),
            events: Vec::new(),
            slipped: Default::default(),
            secured: 0,
            most: 0,
            ahead: Default::default(),
            begins: None,
            ours: Default::default(),
            out: Outbox::default(),
        }
    }

    /// The same with a driver that begins TLS on both legs when the session says so: see [`Run::rest`].
    pub fn following(mut self) -> Self {
        self.session = self.session.following_tls();
        self
    }

    /// The same on a route that offers clients TLS by itself.
    pub fn offering(mut self) -> Self {
        self.session = self.session.offering_tls();
        self
    }

    /// The same on a route that begins TLS with the server by itself.
    pub fn beginning(mut self) -> Self {
        self.session = self.session.beginning_tls();
        self
    }

    /// An IMAP session without rules.
    pub fn tap() -> Self {
        Self::with(Rules::default())
    }

    /// Feeds one chunk.
    pub fn feed(&mut self, from: Peer, chunk: &[u8]) {
        let mut rest = chunk;
        let mut idle = 0;
        while !rest.is_empty() {
            if self.session.waits(from) {
                self.ahead[from.index()].extend_from_slice(rest);
                return;
            }
            let used = self.session.receive(from, rest, &mut self.out);
            assert!(used <= rest.len(), "a session takes no more than there is");
            idle = if used > 0 { 0 } else { idle + 1 };
            assert!(idle < 100_000, "a session comes to an end with what it has taken");
            self.input[from.index()].extend_from_slice(&rest[..used]);
            self.begins = self.begins.take().or_else(|| self.out.upgrade.take());
            self.gather(from, rest);
            rest = &rest[used..];
        }
    }

    /// The peer rests: with a consent TLS begins, and all that waits until here but a beginning of TLS was slipped in. Or what
    /// waited goes on, if the answer was another one. To the session a socket and these steps look the same.
    pub fn rest(&mut self) {
        if let Some(Upgrade { server, consent, next }) = self.begins.take() {
            for peer in [Peer::Client, Peer::Server] {
                let done: Vec<u8> = self.ahead[peer.index()].drain(..self.session.dealt_with(peer)).collect();
                self.input[peer.index()].extend(done);
            }
            if server {
                let ahead = std::mem::take(&mut self.ahead[Peer::Server.index()]);
                self.slip(Peer::Server, ahead);
            }
            if let Some(consent) = consent {
                let ahead = std::mem::take(&mut self.ahead[Peer::Client.index()]);
                if ahead.first() != Some(&0x16) {
                    self.slip(Peer::Client, ahead);
                }
                if server {
                    self.output[Peer::Server.index()].extend(consent);
                } else {
                    self.ours[Peer::Client.index()].extend(consent);
                }
            }
            self.session.secured();
            self.secured += 1;
            self.ahead[Peer::Server.index()].splice(0..0, next);
        }
        for from in [Peer::Server, Peer::Client] {
            if !self.session.waits(from) {
                let ahead = std::mem::take(&mut self.ahead[from.index()]);
                self.feed(from, &ahead);
            }
        }
    }

    fn slip(&mut self, from: Peer, octets: Vec<u8>) {
        self.session.slipped_in(from, &octets, &mut self.out);
        assert_eq!(self.out.pieces(from.other(), &[]).count(), 0, "it is carried to nobody");
        self.gather(from, &[]);
        self.slipped[from.index()].extend(octets);
    }

    /// One lane ends.
    pub fn close(&mut self, from: Peer) {
        self.session.closed(from, &mut self.out);
        self.gather(from, &[]);
    }

    /// The connection ends.
    pub fn end(&mut self) {
        let end = Closed { by: Closer::Ours, why: None, received: [0; 2], sent: [0; 2], inflated: [(0, 0); 2] };
        self.session.ended(Peer::Client, end, &mut self.out);
        self.gather(Peer::Client, &[]);
    }

    fn gather(&mut self, from: Peer, chunk: &[u8]) {
        for piece in self.out.pieces(from.other(), chunk) {
            self.output[from.index()].extend_from_slice(piece);
        }
        for piece in self.out.pieces(from, chunk) {
            self.ours[from.index()].extend_from_slice(piece);
        }
        for peer in [Peer::Client, Peer::Server] {
            let held = self.session.held(peer);
            assert!(held <= 2 * MAX_TEXT, "{held} octets of the {} are held", peer.word());
        }
        // Who owes what can be asked at any time. It costs what a line costs, and live it is asked now and then.
        if [Peer::Client, Peer::Server].into_iter().all(|peer| self.session.held(peer) < 256) {
            let _ = self.session.owed();
        }
        self.out.clear();
        let batch = std::mem::take(&mut self.out.batch);
        self.most = self.most.max(batch.events.len());
        for event in batch.events {
            let whole = &mut self.whole[event.from.index()];
            match &event.what {
                What::Octets(octets) => {
                    assert!((1..=MAX_OCTETS).contains(&octets.bytes.len()), "{octets:?}");
                    whole.extend_from_slice(octets.bytes.of(&batch.bytes));
                    continue;
                }
                // What is read twice is there already, and what is ours is no peer's.
                What::Text(text) if !text.oddities.contains(&Oddity::Ours) => {
                    let again = repeated(&text.oddities) as usize;
                    whole.extend_from_slice(&text.bytes.of(&batch.bytes)[again..]);
                }
                _ => {}
            }
            self.events.push(resolve(event.from, event.what, &batch.bytes));
        }
    }

    /// True if a lane was compressed, or was taken for it because an answer took too long.
    pub fn compressed(&self) -> bool {
        self.events.iter().any(|seen| match &seen.what {
            What::Upgrade(layer) => *layer == Layer::Deflate,
            What::Data(data) => data.oddities.contains(&Oddity::NotDeflate),
            What::Closed(closed) => closed.inflated != [(0, 0); 2],
            _ => false,
        })
    }

    /// Octets that events account for, by sender.
    pub fn accounted(&self) -> [u64; 2] {
        let mut sum = [0; 2];
        for seen in &self.events {
            sum[seen.from.index()] += match &seen.what {
                What::Text(_) => seen.bytes.len() as u64,
                What::Data(data) => data.len,
                _ => 0,
            };
        }
        sum
    }

    /// Octets that each peer was sent: as they left, and as the events say. Not where octets were read twice.
    pub fn delivered(&self) -> Option<[[u64; 2]; 2]> {
        let mut said = [0; 2];
        for seen in &self.events {
            let (oddities, len) = match &seen.what {
                What::Text(text) => {
                    let edit = text.edit.as_ref().filter(|edit| !edit.fired.is_empty());
                    let sent = edit.and(seen.sent.as_ref()).unwrap_or(&seen.bytes);
                    (&text.oddities, sent.len() as u64)
                }
                What::Data(data) => (&data.oddities, data.len),
                _ => continue,
            };
            if repeated(oddities) > 0 {
                return None;
            }
            if !oddities.iter().any(|odd| matches!(odd, Oddity::Dropped | Oddity::Kept)) {
                said[seen.from.other().index()] += len;
            }
        }
        let left = [Peer::Client, Peer::Server].map(|peer| {
            let [output, ours] = [&self.output[peer.other().index()], &self.ours[peer.index()]];
            (output.len() + ours.len()) as u64
        });
        Some([left, said])
    }

    /// What must hold of every event, whatever the peers sent.
    pub fn check(&self) {
        for peer in [Peer::Client, Peer::Server] {
            let (whole, input) = (&self.whole[peer.index()], &self.input[peer.index()]);
            if !self.compressed() && self.slipped[peer.index()].is_empty() {
                assert!(
                    whole == input,
                    "{}
{}",
                    String::from_utf8_lossy(whole),
                    String::from_utf8_lossy(input)
                );
            }
        }
        for seen in &self.events {
            match &seen.what {
                What::Text(text) => {
                    assert!(!seen.bytes.is_empty() && seen.bytes.len() <= MAX_TEXT);
                    check_spans(seen, &text.secrets);
                    check_reading(seen);
                }
                What::Data(data) => {
                    assert_eq!(seen.bytes.len() as u64, data.len.min(imapscope::event::MAX_HEAD as u64));
                    if data.kind != DataKind::Overlong {
                        assert!(data.announced.is_none_or(|announced| data.len <= announced));
                    }
                }
                _ => {}
            }
        }
    }
}

fn check_spans(seen: &Seen, spans: &[Span]) {
    let mut last = 0;
    for span in spans {
        assert!(span.start >= last && span.end > span.start, "{seen:?}");
        assert!(span.end as usize <= seen.bytes.len(), "{seen:?}");
        last = span.end;
    }
}

fn check_reading(seen: &Seen) {
    use imapscope::event::Kind;
    let What::Text(text) = &seen.what else { return };
    let inside = |span: Span| assert!(span.start <= span.end && span.end as usize <= seen.bytes.len(), "{seen:?}");
    match text.reading.kind {
        Kind::Command { tag, verb, arguments } => [tag, verb, arguments].map(inside).len(),
        Kind::Reply { tag, code, text, .. } => [tag, code.unwrap_or_default(), text].map(inside).len(),
        Kind::GoAhead { word, text } => [word, text].map(inside).len(),
        Kind::Info { number, name, arguments } => [number.unwrap_or_default(), name, arguments].map(inside).len(),
        _ => 0,
    };
    if let Some(literal) = text.reading.literal {
        inside(literal.span);
        assert!(literal.span.of(&seen.bytes).ends_with(b"}"), "{seen:?}");
    }
    if let Some(list) = &text.reading.list {
        inside(list.whole);
        for item in &list.items {
            inside(item.name);
            inside(item.with_space);
            // Of a list of lines it is the whole line, and a part's blank may stand behind it.
            let lines = matches!(list.kind, ListKind::Lines(_));
            assert!(item.with_space.start <= item.name.start, "{seen:?}");
            assert!(item.with_space.end == item.name.end || lines && item.with_space.end > item.name.end, "{seen:?}");
            assert!(!item.name.is_empty(), "{seen:?}");
        }
    }
}

fn resolve(from: Peer, what: What, arena: &[u8]) -> Seen {
    let whole = |span: Span| {
        assert!(span.start <= span.end && span.end as usize <= arena.len(), "a span leaves the arena");
        span.of(arena).to_vec()
    };
    let mut seen = Seen { from, what, bytes: Vec::new(), subject: Vec::new(), sent: None };
    match &mut seen.what {
        What::Text(text) => {
            seen.bytes = whole(std::mem::take(&mut text.bytes));
            if let Some(edit) = &mut text.edit {
                seen.sent = Some(whole(std::mem::take(&mut edit.bytes)));
            }
        }
        What::Data(data) => {
            seen.bytes = whole(std::mem::take(&mut data.head));
            seen.subject = whole(std::mem::take(&mut data.subject));
        }
        _ => {}
    }
    seen
}

/// How the octets of a step come.
#[derive(Debug, Clone)]
pub enum Cutting {
    /// In one chunk.
    Whole,
    /// In chunks of so many octets.
    Every(usize),
    /// In chunks of these sizes, over and over.
    Sizes(Vec<usize>),
}

/// Runs steps to the end of the connection under one cutting.
pub fn run(mut run: Run, steps: &[Step], cutting: &Cutting) -> Run {
    let mut turn = 0;
    for (from, bytes) in steps {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let size = match cutting {
                Cutting::Whole => rest.len(),
                Cutting::Every(size) => *size,
                Cutting::Sizes(sizes) => sizes[turn % sizes.len()],
            };
            turn += 1;
            let (chunk, left) = rest.split_at(size.clamp(1, rest.len()));
            run.feed(*from, chunk);
            rest = left;
        }
        run.rest();
    }
    if run.session.waits(Peer::Client) {
        // It is not read before the server has answered, or has ended.
        run.close(Peer::Server);
        run.rest();
        run.close(Peer::Client);
    } else {
        run.close(Peer::Client);
        run.close(Peer::Server);
    }
    run.end();
    run
}

/// What the client sends.
pub fn c(bytes: impl AsRef<[u8]>) -> Step {
    (Peer::Client, bytes.as_ref().to_vec())
}

/// What the server sends.
pub fn s(bytes: impl AsRef<[u8]>) -> Step {
    (Peer::Server, bytes.as_ref().to_vec())
}

/// After `opening`, the parts of a client and the answers of a server in the orders that differ: all parts before the answers, in
/// turns, all answers after the first part.
pub fn orders<C: AsRef<[u8]>, S: AsRef<[u8]>>(opening: &[Step], parts: &[C], answers: &[S]) -> Vec<Vec<Step>> {
    let client = || parts.iter().map(c);
    let server = || answers.iter().map(s);
    let all: Vec<u8> = parts.iter().flat_map(|part| part.as_ref().iter().copied()).collect();
    let mut turns: Vec<Step> = client().zip(server()).flat_map(|(part, answer)| [part, answer]).collect();
    let paired = parts.len().min(answers.len());
    turns.extend(client().skip(paired).chain(server().skip(paired)));
    let mut orders = vec![
        std::iter::once(c(all)).chain(server()).collect(),
        turns,
        client().take(1).chain(server()).chain(client().skip(1)).collect::<Vec<Step>>(),
    ];
    // Of one part, or without an answer, there are fewer.
    orders.dedup();
    orders.into_iter().map(|order| [opening, &order].concat()).collect()
}
