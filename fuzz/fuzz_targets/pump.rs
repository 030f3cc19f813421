//! A connection through the pump, over pipes in memory and with a clock that jumps: any bytes in any order from both peers,
//! any end, a fault on the way. Whatever a peer has sent before it ended arrives, its end is seen while the other one says
//! nothing, and nothing stays of a connection that both have left. The first byte chooses the protocol, the second the rule,
//! the third the pipes and who leaves first; then come steps: what is done and by whom, and how much.
#![no_main]

#[path = "../../tests/support/pipe/mod.rs"]
mod pipe;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use imapscope::event::Peer;
use imapscope::grammar::{BUILTIN, Grammar};
use imapscope::net::queue::channel;
use imapscope::net::{Endpoint, Limits, Route, between};
use imapscope::rules::{Rules, Source};
use imapscope::session::Session;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, split};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// What happens on the way, and whether all arrives all the same.
const RULES: [(&str, bool); 20] = [
    ("slice 1", true),
    ("slice 3 when from == client", true),
    ("slice 1000", true),
    ("slice 1 at-byte 2", true),
    ("throttle 1k", true),
    ("throttle 100k when from == server", true),
    ("throttle 1k at-byte 1", true),
    ("delay 50ms", true),
    ("delay 50ms at-byte 3", true),
    ("delay 1s when from == client chance 10%", true),
    ("vary slices", true),
    ("stall after 2", false),
    ("stall at-byte 5", false),
    ("stall when from == client", false),
    ("close after 3", false),
    ("close at-byte 2", false),
    ("close when from == server", false),
    ("reset after 1", false),
    ("reset at-byte 4", false),
    ("drop-capability X-NOBODY-HAS-THIS", true),
];

/// Longer than all delays of an input together.
const LONG: Duration = Duration::from_secs(100_000);

/// What a peer has received.
#[derive(Default)]
struct Heard {
    bytes: Mutex<Vec<u8>>,
    ended: AtomicBool,
}

/// One peer.
struct Side {
    /// Until it has sent its end.
    writes: Option<WriteHalf<DuplexStream>>,
    reset: Arc<AtomicBool>,
    reader: tokio::task::JoinHandle<()>,
    heard: Arc<Heard>,
    /// What the pump was given of it.
    said: Vec<u8>,
    left: bool,
}

async fn listen(mut reads: ReadHalf<DuplexStream>, heard: Arc<Heard>, piece: usize) {
    let mut buffer = [0; 512];
    while let Ok(count @ 1..) = reads.read(&mut buffer[..piece]).await {
        heard.bytes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
    }
    heard.ended.store(true, Ordering::SeqCst);
}

impl Side {
    fn new(stream: DuplexStream, reset: Arc<AtomicBool>, piece: usize) -> Side {
        let heard = Arc::new(Heard::default());
        let (reads, writes) = split(stream);
        let reader = tokio::spawn(listen(reads, Arc::clone(&heard), piece));
        Side { writes: Some(writes), reset, reader, heard, said: Vec::new(), left: false }
    }

    /// Says it, as far as it is taken within a time.
    async fn say(&mut self, mut bytes: &[u8]) {
        while let Some(writes) = self.writes.as_mut().filter(|_| !bytes.is_empty()) {
            // What does not fit now may never fit, behind a stall.
            match timeout(LONG, writes.write(bytes)).await {
                Ok(Ok(count)) => {
                    self.said.extend_from_slice(&bytes[..count]);
                    bytes = &bytes[count..];
                }
                _ => break,
            }
        }
    }

    async fn end(&mut self) {
        if let Some(mut writes) = self.writes.take() {
            // The other half goes on reading. Whoever is gone hears nothing.
            let _ = writes.shutdown().await;
        }
    }

    fn leave(&mut self) {
        self.left = true;
        self.writes = None;
        self.reader.abort();
    }

    fn has_heard(&self) -> Vec<u8> {
        self.heard.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn run(input: &[u8]) {
    let [protocol, rule, shape, steps @ ..] = input else { return };
    let (protocol, _) = BUILTIN[usize::from(*protocol) % BUILTIN.len()];
    let (rule, arrives) = RULES[usize::from(*rule) % RULES.len()];
    let rules = Rules::compile(&[Source::rule(1, rule)]).expect("the rules are well-formed");
    let grammar = Grammar::builtin(protocol).expect("it is built in");
    let session = Session::new(1, grammar, Arc::new(rules));
    let size = [1, 5, 64, 1 << 16][usize::from(shape & 3)];
    let piece = [1, 512][usize::from(shape >> 2 & 1)];
    let (client, client_resets, ours) = pipe::pipe(size);
    let (server, server_resets, theirs) = pipe::pipe(size);
    let mut sides = [Side::new(client, client_resets, piece), Side::new(server, server_resets, piece)];
    let route = Route {
        name: Default::default(),
        listen: Endpoint::new("127.0.0.1", 0),
        server: Endpoint::new("localhost", 1),
        protocol: protocol.into(),
        scheme: protocol.into(),
        listens: protocol.into(),
        plain: protocol.into(),
        identity: None,
        own: [false; 2],
        trust: None,
        means: None,
    };
    // Nobody reads the log: nothing but the connection itself may wake it.
    let (events, _) = channel(1 << 20);
    let (_stop, stopped) = watch::channel(false);
    let pump = tokio::spawn(async move {
        between([Box::new(ours), Box::new(theirs)], Arc::new(route), session, &Limits::default(), events, stopped).await;
    });
    let mut gone = false;
    let mut rest = steps;
    while let [head, after @ ..] = rest {
        rest = after;
        let side = &mut sides[usize::from(head & 1)];
        match head >> 1 & 15 {
            0 if head >> 5 == 0 => side.end().await,
            1 if head >> 5 == 0 => {
                side.leave();
                gone = true;
            }
            2 if head >> 5 == 0 => {
                side.reset.store(true, Ordering::SeqCst);
                side.leave();
                gone = true;
            }
            3 => sleep(Duration::from_millis(u64::from(head >> 5) * 40)).await,
            _ => {
                let count = rest.first().map_or(0, |&count| 1 + usize::from(count >> 1));
                let (bytes, after) = rest.get(1..).unwrap_or_default().split_at_checked(count).unwrap_or((rest, &[]));
                rest = after;
                side.say(bytes).await;
            }
        }
    }
    // One peer ends, and the other one stays, reads, and says nothing.
    let from = if shape & 8 == 0 { Peer::Client } else { Peer::Server };
    let (at, to) = (from.index(), from.other().index());
    let whole = sides[at].writes.is_some() && !gone;
    sides[at].end().await;
    sleep(LONG).await;
    if !sides[at].left && !sides[to].left {
        assert!(sides[to].heard.ended.load(Ordering::SeqCst), "{rule}: the end of the {} is not seen", from.word());
    }
    let text = sides[at].said.to_ascii_uppercase();
    let told = [&text[..], &sides[to].said.to_ascii_uppercase()].concat();
    let compressed = told.windows(8).any(|word| word == b"COMPRESS");
    if arrives && whole && !compressed {
        assert!(sides[to].has_heard() == sides[at].said, "{rule}: what the {} said has not arrived", from.word());
    }
    sides.iter_mut().for_each(Side::leave);
    let done = timeout(LONG, pump).await;
    assert!(done.is_ok(), "{rule}: the connection stays");
    done.expect("it has ended").expect("the pump does not panic");
}

fuzz_target!(|input: &[u8]| {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(run(input));
});
