//! Nothing is forgotten: whatever a fault does to a direction, what its sender does next arrives, and its end ends the
//! connection, though the other peer says nothing. Every fault, every end, both directions and every layer, over pipes in
//! memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use imapscope::event::{Oddity, Peer, What};
use imapscope::grammar::Grammar;
use imapscope::net::queue::channel;
use imapscope::net::tls::{Identity, Trust};
use imapscope::net::{Endpoint, Limits, Route, Stream, between};
use imapscope::session::Session;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::pipe::pipe;
use crate::rig::route;
use crate::ruled::compiled;
use crate::secure::{self, End, Office, When};

/// Everything that is to happen must happen within this time, on a machine that has other work too.
const SOON: Duration = Duration::from_secs(60);

/// What a fault may do at once, it has done within this time on an idle machine. Only makes the order of things likely.
const PAUSE: Duration = Duration::from_millis(5);

/// What both directions are inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Plain,
    Tls,
    Compress,
}

/// What the sender does at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Nothing: its second chunk is to arrive.
    Chunk,
    HalfClose,
    Close,
    Reset,
}

/// What becomes of a text that a rule met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It arrives whole, and what comes next too.
    Arrives,
    /// So many bytes of it arrive, and no more, while the sender is there.
    Stalls(usize),
    /// So many bytes of it arrive, then the connection is over.
    Ends(usize),
}

const RULES: [(&str, Fate); 19] = [
    ("delay 3ms when text ~ /NOOP/", Fate::Arrives),
    ("delay 3ms at-byte 3 when text ~ /NOOP/", Fate::Arrives),
    ("throttle 2k when text ~ /NOOP/", Fate::Arrives),
    ("throttle 100k when text ~ /NOOP/", Fate::Arrives),
    ("throttle 100k at-byte 3 when text ~ /NOOP/", Fate::Arrives),
    ("throttle 100k", Fate::Arrives),
    ("slice 1 when text ~ /NOOP/", Fate::Arrives),
    ("slice 1 at-byte 3 when text ~ /NOOP/", Fate::Arrives),
    ("slice 1000 when text ~ /NOOP/", Fate::Arrives),
    ("slice 1", Fate::Arrives),
    ("slice 1000", Fate::Arrives),
    ("vary slices", Fate::Arrives),
    ("delay 1ms when text ~ /b .*NOOP/", Fate::Arrives),
    ("stall when text ~ /NOOP/", Fate::Stalls(0)),
    ("stall at-byte 3 when text ~ /NOOP/", Fate::Stalls(3)),
    ("close when text ~ /NOOP/", Fate::Ends(0)),
    ("close at-byte 3 when text ~ /NOOP/", Fate::Ends(3)),
    ("reset when text ~ /NOOP/", Fate::Ends(0)),
    ("reset at-byte 3 when text ~ /NOOP/", Fate::Ends(3)),
];

/// One run.
#[derive(Debug, Clone, Copy)]
struct Case {
    layer: Layer,
    from: Peer,
    rule: &'static str,
    fate: Fate,
    last: Last,
    /// There is time between two steps of the sender.
    calm: bool,
    /// How many bytes a pipe holds.
    pipe: usize,
}

/// Who takes part in TLS.
struct Parties {
    identity: Option<Arc<Identity>>,
    trust: Option<Arc<Trust>>,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

/// A connection through the pump.
struct Stage {
    ends: [Box<dyn End>; 2],
    resets: [Arc<AtomicBool>; 2],
    pump: JoinHandle<()>,
    _stop: watch::Sender<bool>,
}

async fn open(case: Case, parties: &Parties) -> Stage {
    let tls = case.layer == Layer::Tls;
    let (client, client_resets, ours) = pipe(case.pipe);
    let (server, server_resets, theirs) = pipe(case.pipe);
    let resets = [client_resets, server_resets];
    let streams: [Box<dyn Stream>; 2] = [Box::new(ours), Box::new(theirs)];
    let route = Route {
        server: Endpoint::new("localhost", 1),
        identity: parties.identity.clone().filter(|_| tls),
        trust: parties.trust.clone().filter(|_| tls),
        ..route(([127, 0, 0, 1], 1).into())
    };
    let grammar = Grammar::builtin("imap").unwrap();
    let session = Session::new(1, grammar, compiled(&[case.rule]));
    // Nobody reads the log. A task of its own: nothing but the connection itself may wake it.
    let (events, _) = channel(1 << 20);
    let (stop, stopped) = watch::channel(false);
    let pump = tokio::spawn(async move {
        let limits = Limits { connect_timeout: SOON, ..Limits::default() };
        between(streams, Arc::new(route), session, &limits, events, stopped).await;
    });
    let accept = async {
        match tls {
            false => Box::new(server) as Box<dyn End>,
            true => Box::new(TlsAcceptor::from(parties.server.clone()).accept(server).await.unwrap()),
        }
    };
    let (client, server) = tokio::join!(secure::connect(client, tls.then_some(&parties.client)), accept);
    let mut ends = [client.unwrap(), server];
    let [client, server] = &mut ends;
    server.write_all(b"* PREAUTH hi\r\n").await.unwrap();
    server.flush().await.unwrap();
    hear(client, b"* PREAUTH hi\r\n").await;
    if case.layer == Layer::Compress {
        client.write_all(b"c COMPRESS DEFLATE\r\n").await.unwrap();
        hear(server, b"c COMPRESS DEFLATE\r\n").await;
        server.write_all(b"c OK active\r\n").await.unwrap();
        hear(client, b"c OK active\r\n").await;
    }
    Stage { ends, resets, pump, _stop: stop }
}

async fn hear(end: &mut Box<dyn End>, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    end.read_exact(&mut got).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(bytes));
}

/// What a receiver gets: inflated where that is needed.
struct Ear {
    end: Box<dyn End>,
    inflate: Option<Decompress>,
    got: Vec<u8>,
    over: bool,
}

impl Ear {
    /// Reads until so many bytes have come, or the end.
    async fn hear(&mut self, count: usize) {
        let mut piece = [0; 256];
        while !self.over && self.got.len() < count {
            match self.end.read(&mut piece).await {
                Ok(0) | Err(_) => self.over = true,
                Ok(count) => match &mut self.inflate {
                    None => self.got.extend_from_slice(&piece[..count]),
                    Some(inflate) => {
                        let mut out = Vec::with_capacity(4096);
                        inflate.decompress_vec(&piece[..count], &mut out, FlushDecompress::Sync).unwrap();
                        self.got.append(&mut out);
                    }
                },
            }
        }
    }
}

/// Plays the case. An error says what did not happen.
async fn play(case: Case, parties: &Parties) -> Result<(), String> {
    let Stage { ends: [client, server], resets, mut pump, _stop } = open(case, parties).await;
    let (mut sender, end) = if case.from == Peer::Client { (client, server) } else { (server, client) };
    let packed = case.layer == Layer::Compress;
    let inflate = packed.then(|| Decompress::new(false));
    let mut ear = Ear { end, inflate, got: Vec::new(), over: false };
    let mut deflate = Compress::new(Compression::default(), false);
    let mut pack = |text: &[u8]| {
        let mut out = Vec::with_capacity(1000);
        deflate.compress_vec(text, &mut out, FlushCompress::Sync).unwrap();
        if packed { out } else { text.to_vec() }
    };
    let texts = match case.from {
        Peer::Client => ["a NOOP\r\n", "b NOOP\r\n"],
        Peer::Server => ["* 1 NOOP\r\n", "* b NOOP\r\n"],
    };
    let whole = texts.concat();
    let rest = |what: &str, ear: &Ear| Err(format!("{what}, got {:?}", String::from_utf8_lossy(&ear.got)));
    // A connection that is over may refuse what is still said.
    let ends = matches!(case.fate, Fate::Ends(_));
    let speak = async move {
        for text in texts {
            let said = async {
                sender.write_all(&pack(text.as_bytes())).await?;
                sender.flush().await
            };
            match timeout(SOON, said).await {
                Err(_) => return Err("a chunk was not taken"),
                Ok(Err(_)) if !ends => return Err("a chunk was refused"),
                Ok(_) => {}
            }
            if case.calm {
                sleep(PAUSE).await;
            }
        }
        match case.last {
            Last::Chunk => return Ok(Some(sender)),
            Last::HalfClose => {
                // It may be over.
                let _ = sender.shutdown().await;
                return Ok(Some(sender));
            }
            Last::Reset => resets[case.from.index()].store(true, Ordering::SeqCst),
            Last::Close => {}
        }
        Ok(None)
    };
    // Stalls are over with their sender.
    let (want, over) = match (case.fate, case.last) {
        (Fate::Arrives, last) => (whole.len(), last != Last::Chunk),
        (Fate::Stalls(count), last) => (count, last != Last::Chunk),
        (Fate::Ends(count), _) => (count, true),
    };
    let listen = timeout(SOON, ear.hear(if over { usize::MAX } else { want }));
    let (sender, heard) = tokio::join!(speak, listen);
    let sender = match sender {
        Ok(sender) => sender,
        Err(what) => return rest(what, &ear),
    };
    if heard.is_err() {
        return rest(if over { "no end" } else { "not all" }, &ear);
    }
    let short = case.last == Last::Reset || (ends && ear.got.len() < want);
    if !(whole.as_bytes()[..want].starts_with(&ear.got) && (short || ear.got.len() == want)) {
        return rest("other bytes", &ear);
    }
    if over && !ear.over {
        return rest("no end", &ear);
    }
    // Both peers leave, and nothing stays of the connection.
    drop((sender, ear));
    match timeout(SOON, &mut pump).await {
        Err(_) => Err("the connection stays".to_owned()),
        Ok(done) => done.map_err(|error| error.to_string()),
    }
}

#[tokio::test]
async fn what_a_sender_does_behind_a_fault_arrives_or_ends() {
    let office = Office::open();
    let (identity, client) = office.identity();
    let server = office.server(&["localhost"], When::Now);
    let parties = Arc::new(Parties { identity, trust: office.trust(), client, server });
    // All at once would keep one another from ever being soon.
    let turns = Arc::new(Semaphore::new(40));
    let mut tasks = JoinSet::new();
    for layer in [Layer::Plain, Layer::Tls, Layer::Compress] {
        for from in [Peer::Client, Peer::Server] {
            for (rule, fate) in RULES {
                for last in [Last::Chunk, Last::HalfClose, Last::Close, Last::Reset] {
                    // Less than a whole text, but for TLS: handshakes end with words that nobody waits for.
                    let small = if layer == Layer::Tls { 2048 } else { 5 };
                    for (calm, pipe) in [(true, 1 << 16), (false, 1 << 16), (true, small)] {
                        let case = Case { layer, from, rule, fate, last, calm, pipe };
                        let (parties, turns) = (Arc::clone(&parties), Arc::clone(&turns));
                        tasks.spawn(async move {
                            let _turn = turns.acquire_owned().await;
                            (case, play(case, &parties).await)
                        });
                    }
                }
            }
        }
    }
    let (mut failed, mut count) = (Vec::new(), 0);
    while let Some(done) = tasks.join_next().await {
        let (case, result) = done.unwrap();
        count += 1;
        failed.extend(result.err().map(|why| format!("{case:?}: {why}")));
    }
    assert!(failed.is_empty(), "{} of {count}:\n{}", failed.len(), failed.join("\n"));
}

#[tokio::test]
async fn a_text_that_waits_for_starttls_says_so_and_keeps_its_time() {
    let office = Office::open();
    let (identity, _) = office.identity();
    let route = Route { means: secure::means(&identity, &office.trust()), ..route(([127, 0, 0, 1], 1).into()) };
    let (client, _, ours) = pipe(1 << 16);
    let (server, _, theirs) = pipe(1 << 16);
    let (mut client, mut server): (Box<dyn End>, Box<dyn End>) = (Box::new(client), Box::new(server));
    let session = Session::new(1, Grammar::builtin("imap").unwrap(), compiled(&[]));
    let (events, mut log) = channel(1 << 20);
    let (_stop, stopped) = watch::channel(false);
    let pump = tokio::spawn(async move {
        between([Box::new(ours), Box::new(theirs)], Arc::new(route), session, &Limits::default(), events, stopped)
            .await;
    });
    server.write_all(b"* OK hi\r\n").await.unwrap();
    hear(&mut client, b"* OK hi\r\n").await;
    client.write_all(b"a STARTTLS\r\nb NOOP\r\n").await.unwrap();
    hear(&mut server, b"a STARTTLS\r\n").await;
    sleep(Duration::from_millis(300)).await;
    client.write_all(b"c NOOP\r\n").await.unwrap();
    sleep(Duration::from_millis(300)).await;
    server.write_all(b"a NO not now\r\n").await.unwrap();
    hear(&mut client, b"a NO not now\r\n").await;
    hear(&mut server, b"b NOOP\r\nc NOOP\r\n").await;
    // The next one does not wait.
    client.write_all(b"d STARTTLS\r\ne NOOP\r\n").await.unwrap();
    hear(&mut server, b"d STARTTLS\r\n").await;
    // TLS cannot begin with a client that will say no more: what waits for it does not wait for an answer.
    client.shutdown().await.unwrap();
    hear(&mut server, b"e NOOP\r\n").await;
    assert_eq!(timeout(SOON, server.read(&mut [0])).await.unwrap().unwrap(), 0);
    drop((client, server));
    timeout(SOON, pump).await.unwrap().unwrap();
    let mut seen = Vec::new();
    while let Some(batch) = log.try_recv() {
        for event in &batch.events {
            if let What::Text(text) = &event.what {
                let waited = text.oddities.iter().find_map(|odd| match odd {
                    Oddity::Waited(time) => Some(*time),
                    _ => None,
                });
                seen.push((text.bytes.of(&batch.bytes).escape_ascii().to_string(), batch.at.0 / 1_000_000, waited));
            }
        }
    }
    let find = |text: &str| seen.iter().find(|(seen, ..)| seen.starts_with(text)).unwrap_or_else(|| panic!("{seen:?}"));
    let (asked, answer) = (find("a STARTTLS"), find("a NO"));
    let (first, second) = (find("b NOOP"), find("c NOOP"));
    assert!(first.1 == asked.1 && first.1 + 600 <= answer.1 && first.2.is_some_and(|time| time >= 600), "{seen:?}");
    assert!(
        second.1 >= first.1 + 300 && second.1 + 300 <= answer.1 && second.2.is_some_and(|time| time >= 300),
        "{seen:?}"
    );
    assert_eq!((asked.2, answer.2), (None, None));
}
