//! What relay tests share: a relay on loopback between a test's own server and clients, its events collected, and
//! every wait bounded.
#![allow(dead_code)]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::ruled::compile;
use imapscope::event::{Closed, Event, What};
use imapscope::grammar::Grammar;
use imapscope::net::queue::{Receiver, channel};
use imapscope::net::{Endpoint, Limits, Relay, Route};
use imapscope::rules::Rules;
use imapscope::session::Session;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Octets that the queue to the log may hold, unless a test says otherwise.
pub const QUEUE: usize = 4 << 20;

/// A relay that runs, and what it reported.
pub struct Rig {
    pub address: SocketAddr,
    pub stop: watch::Sender<bool>,
    pub serving: JoinHandle<()>,
    events: mpsc::UnboundedReceiver<(u64, Event)>,
    seen: Vec<(u64, Event)>,
}

/// Bounds every wait: a test that hangs fails.
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it took longer than 30 s")
}

pub fn route(server: SocketAddr) -> Route {
    Route {
        name: Default::default(),
        listen: Endpoint::new("127.0.0.1", 0),
        server: Endpoint::new(server.ip().to_string(), server.port()),
        protocol: "imap".into(),
        scheme: "imap".into(),
        listens: "imap".into(),
        plain: "imap".into(),
        identity: None,
        own: [false; 2],
        trust: None,
        means: None,
    }
}

/// A session without rules.
pub fn session() -> Session {
    let grammar = Grammar::builtin("imap").expect("IMAP is built in");
    Session::new(1, grammar, Arc::new(Rules::default()))
}

/// A server socket for a test to accept on.
pub async fn server() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address where nobody listens.
pub async fn nowhere() -> SocketAddr {
    server().await.1
}

/// Repeatable noise.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Reads to the end of the stream.
pub async fn read_all(socket: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    soon(socket.read_to_end(&mut all)).await.unwrap();
    all
}

/// Reads `total` octets in small memory, and says how many came before the end.
pub async fn drain(socket: &mut (impl AsyncReadExt + Unpin), total: u64) -> u64 {
    let (mut buffer, mut count) = (vec![0; 64 * 1024], 0);
    while count < total {
        match socket.read(&mut buffer).await.unwrap() {
            0 => break,
            read => count += read as u64,
        }
    }
    count
}

impl Rig {
    pub async fn start(server: SocketAddr) -> Rig {
        Rig::with(server, Limits::default()).await
    }

    pub async fn with(server: SocketAddr, limits: Limits) -> Rig {
        let (rig, receiver, collect) = Rig::unread(server, limits, QUEUE).await;
        consume(receiver, collect);
        rig
    }

    /// A relay whose log nobody reads yet: hand both other parts to [`consume`].
    pub async fn unread(
        server: SocketAddr,
        limits: Limits,
        queue: usize,
    ) -> (Rig, Receiver, mpsc::UnboundedSender<(u64, Event)>) {
        let relay = Relay::bind(vec![route(server)], limits).await.unwrap();
        let address = relay.routes()[0].address;
        let (sender, receiver) = channel(queue);
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(relay.serve(|_, _| session(), sender, stopped, |notice| panic!("{notice}")));
        let (collect, events) = mpsc::unbounded_channel();
        (Rig { address, stop, serving, events, seen: Vec::new() }, receiver, collect)
    }

    /// A relay of this protocol with rules.
    pub async fn ruled(server: SocketAddr, limits: Limits, protocol: &'static str, rules: &[&str]) -> Rig {
        let route = Route { protocol: protocol.into(), ..route(server) };
        let relay = Relay::bind(vec![route], limits).await.unwrap();
        let address = relay.routes()[0].address;
        let (sender, receiver) = channel(QUEUE);
        let (stop, stopped) = watch::channel(false);
        let rules = Arc::new(compile(rules));
        let grammar = Grammar::builtin(protocol).expect("it is built in");
        let make = move |_: &Route, number| Session::new(number, grammar.clone(), rules.clone());
        let serving = tokio::spawn(relay.serve(make, sender, stopped, |notice| panic!("{notice}")));
        let (collect, events) = mpsc::unbounded_channel();
        consume(receiver, collect);
        Rig { address, stop, serving, events, seen: Vec::new() }
    }

    pub async fn connect(&self) -> TcpStream {
        soon(TcpStream::connect(self.address)).await.unwrap()
    }

    /// A client and the server's end of the same connection.
    pub async fn pair(&self, server: &TcpListener) -> (TcpStream, TcpStream) {
        let client = self.connect().await;
        let (there, _) = soon(server.accept()).await.unwrap();
        (client, there)
    }

    /// Waits for the end of a connection; gives all its events, in order, and how it closed.
    pub async fn closed(&mut self, connection: u64) -> (Vec<Event>, Closed) {
        loop {
            let its = || self.seen.iter().filter(|(n, _)| *n == connection).map(|(_, event)| event.clone());
            if let Some(Event { what: What::Closed(closed), .. }) = its().next_back() {
                return (its().collect(), *closed);
            }
            let event = soon(self.events.recv()).await.expect("the log ended before the connection did");
            self.seen.push(event);
        }
    }

    /// Ends the relay and waits for it.
    pub async fn end(self) {
        self.stop.send_replace(true);
        soon(self.serving).await.unwrap();
    }
}

/// Starts the consumer thread.
pub fn consume(mut receiver: Receiver, collect: mpsc::UnboundedSender<(u64, Event)>) {
    std::thread::spawn(move || {
        while let Some(mut batch) = receiver.recv() {
            for event in batch.events.drain(..) {
                let _ = collect.send((batch.connection, event));
            }
            receiver.recycle(batch);
        }
    });
}

/// A line of `/proc/self/status`, in KiB.
pub fn status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
