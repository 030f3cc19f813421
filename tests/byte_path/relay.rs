//! The relay on loopback: octets arrive as they were sent, floods do not block, half-closes and resets are passed on,
//! limits hold, and the log is told everything in order, or how much of it was lost.

use std::io::ErrorKind;
use std::time::Duration;

use crate::alone::alone;
use crate::rig::{self, Rig, consume, drain, noise, nowhere, read_all, route, server, soon};
use imapscope::event::{Ask, Closer, Event, Owed, Peer, What};
use imapscope::net::{Limits, Relay};
use imapscope::session::silence::Thresholds;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MIB: u64 = 1 << 20;

fn reset(socket: TcpStream) {
    SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Writes `total` octets.
async fn flood(socket: &mut (impl AsyncWriteExt + Unpin), total: u64) {
    let piece = vec![b'x'; 64 * 1024];
    for _ in 0..total / piece.len() as u64 {
        socket.write_all(&piece).await.unwrap();
    }
}

/// Reads until an error or the end: `None` for the end.
async fn fate(socket: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut all = Vec::new();
    let end = soon(socket.read_to_end(&mut all)).await;
    (all, end.err().map(|e| e.kind()))
}

fn words(events: &[Event]) -> Vec<&'static str> {
    let word = |event: &Event| match event.what {
        What::Opened(_) => Some("opened"),
        What::HalfClosed => Some(if event.from == Peer::Client { "client half" } else { "server half" }),
        What::Lag { .. } => Some("lag"),
        What::Closed(_) => Some("closed"),
        _ => None,
    };
    events.iter().filter_map(word).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_octets_arrive_unchanged_in_odd_chunks() {
    let (listener, address) = server().await;
    let mut rig = Rig::start(address).await;
    let (client, there) = rig.pair(&listener).await;
    let (up, down) = (noise(1, 3_000_001), noise(2, 2_000_003));
    let send = |mut socket: tokio::net::tcp::OwnedWriteHalf, bytes: Vec<u8>| async move {
        let mut sizes = [1, 2, 3, 977, 65_537, 13, 300_007].into_iter().cycle();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(sizes.next().unwrap().min(rest.len()));
            socket.write_all(now).await.unwrap();
            rest = later;
        }
        socket.shutdown().await.unwrap();
    };
    let (mut client_in, client_out) = client.into_split();
    let (mut server_in, server_out) = there.into_split();
    tokio::spawn(send(client_out, up.clone()));
    tokio::spawn(send(server_out, down.clone()));
    let (at_server, at_client) = tokio::join!(read_all(&mut server_in), read_all(&mut client_in));
    assert!(at_server == up && at_client == down);
    let (_, closed) = rig.closed(1).await;
    assert_eq!(closed.received, [up.len() as u64, down.len() as u64]);
    assert_eq!(closed.sent, [down.len() as u64, up.len() as u64]);
    rig.end().await;
}

/// One side writes everything before it reads anything, while the other side does both.
async fn flood_first(client_first: bool) {
    const TOTAL: u64 = 64 * MIB;
    let (listener, address) = server().await;
    let rig = Rig::start(address).await;
    let (client, there) = rig.pair(&listener).await;
    let (mut first, both) = if client_first { (client, there) } else { (there, client) };
    let (mut both_in, mut both_out) = both.into_split();
    let writing = tokio::spawn(async move { flood(&mut both_out, TOTAL).await });
    let reading = tokio::spawn(async move { drain(&mut both_in, TOTAL).await });
    soon(flood(&mut first, TOTAL)).await;
    assert_eq!(soon(reading).await.unwrap(), TOTAL);
    assert_eq!(soon(drain(&mut first, TOTAL)).await, TOTAL);
    soon(writing).await.unwrap();
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_floods_before_it_reads_is_relayed() {
    flood_first(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_floods_before_it_reads_is_relayed() {
    flood_first(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_floods_at_once_both_arrive() {
    const TOTAL: u64 = 64 * MIB;
    let (listener, address) = server().await;
    let rig = Rig::start(address).await;
    let (client, there) = rig.pair(&listener).await;
    let mut tasks = Vec::new();
    for socket in [client, there] {
        let (mut reader, mut writer) = socket.into_split();
        tasks.push(tokio::spawn(async move {
            flood(&mut writer, TOTAL).await;
            TOTAL
        }));
        tasks.push(tokio::spawn(async move { drain(&mut reader, TOTAL).await }));
    }
    for task in tasks {
        assert_eq!(soon(task).await.unwrap(), TOTAL);
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_peers_may_write_before_either_reads() {
    // As much as a direct connection would take into its socket buffers.
    let (listener, address) = server().await;
    let rig = Rig::start(address).await;
    let (mut client, mut there) = rig.pair(&listener).await;
    soon(async { tokio::join!(flood(&mut client, MIB), flood(&mut there, MIB)) }).await;
    let (at_client, at_server) = soon(async { tokio::join!(drain(&mut client, MIB), drain(&mut there, MIB)) }).await;
    assert_eq!((at_client, at_server), (MIB, MIB));
    rig.end().await;
}

#[tokio::test]
async fn after_a_half_close_the_other_direction_goes_on() {
    for client_first in [true, false] {
        let (listener, address) = server().await;
        let mut rig = Rig::start(address).await;
        let (client, there) = rig.pair(&listener).await;
        let (mut first, mut second) = if client_first { (client, there) } else { (there, client) };
        first.write_all(b"a1 LOGOUT\r\n").await.unwrap();
        first.shutdown().await.unwrap();
        assert_eq!(read_all(&mut second).await, b"a1 LOGOUT\r\n");
        // The end has arrived; everything after it still goes the other way.
        let late = noise(3, 1_000_000);
        let (_, at_first) = tokio::join!(
            async {
                second.write_all(&late).await.unwrap();
                second.shutdown().await.unwrap();
            },
            read_all(&mut first)
        );
        assert!(at_first == late);
        let (events, closed) = rig.closed(1).await;
        let peers = if client_first { ["client half", "server half"] } else { ["server half", "client half"] };
        assert_eq!(words(&events), ["opened", peers[0], peers[1], "closed"]);
        assert_eq!(closed.by, Closer::Peer(if client_first { Peer::Client } else { Peer::Server }));
        assert_eq!(closed.why, None);
        rig.end().await;
    }
}

#[tokio::test]
async fn a_reset_is_passed_on_as_a_reset() {
    for from in [Peer::Client, Peer::Server] {
        let (listener, address) = server().await;
        let mut rig = Rig::start(address).await;
        let (client, there) = rig.pair(&listener).await;
        let (mut first, mut second) = if from == Peer::Client { (client, there) } else { (there, client) };
        first.write_all(b"last words\r\n").await.unwrap();
        let mut words = [0; 12];
        soon(second.read_exact(&mut words)).await.unwrap();
        assert_eq!(&words, b"last words\r\n");
        reset(first);
        assert_eq!(fate(&mut second).await, (vec![], Some(ErrorKind::ConnectionReset)));
        assert_eq!(rig.closed(1).await.1.by, Closer::Reset(from));
        rig.end().await;
    }
}

#[tokio::test]
async fn who_writes_to_a_peer_that_is_gone_is_reset() {
    let (listener, address) = server().await;
    let mut rig = Rig::start(address).await;
    let (mut client, there) = rig.pair(&listener).await;
    drop(there);
    assert_eq!(read_all(&mut client).await, b"", "a plain close is no reset");
    let failed = soon(async {
        loop {
            if let Err(e) = client.write_all(b"a1 NOOP\r\n").await {
                break e.kind();
            }
            client.readable().await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    assert!(matches!(failed.await, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe));
    assert_eq!(rig.closed(1).await.1.by, Closer::Reset(Peer::Server));
    rig.end().await;
}

#[tokio::test]
async fn the_server_leg_opens_before_the_client_speaks() {
    let (listener, address) = server().await;
    let mut rig = Rig::start(address).await;
    let (mut client, mut there) = rig.pair(&listener).await;
    there.write_all(b"* OK hello\r\n").await.unwrap();
    drop(there);
    assert_eq!(read_all(&mut client).await, b"* OK hello\r\n");
    drop(client);
    let (events, closed) = rig.closed(1).await;
    assert_eq!(closed.by, Closer::Peer(Peer::Server));
    let Event { what: What::Opened(opened), .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!((opened.protocol.as_str(), opened.server.as_str()), ("imap", format!("imap://{address}").as_str()));
    rig.end().await;
}

#[tokio::test]
async fn an_unreachable_server_is_one_sentence_and_the_relay_lives_on() {
    let mut rig = Rig::start(nowhere().await).await;
    for connection in [1, 2] {
        let mut client = rig.connect().await;
        assert_eq!(read_all(&mut client).await, b"");
        let (events, closed) = rig.closed(connection).await;
        assert_eq!(words(&events), ["opened", "closed"]);
        assert_eq!(closed.by, Closer::Unreachable);
        let why = closed.why.unwrap();
        assert!(why.starts_with("cannot connect to 127.0.0.1:") && why.contains("connection refused"), "{why}");
        assert!(why.contains("is the server running"), "{why}");
    }
    rig.end().await;
}

#[tokio::test]
async fn a_route_that_leads_back_is_refused() {
    let taken = nowhere().await;
    let mut itself = route(taken);
    itself.listen.port = taken.port();
    let relay = Relay::bind(vec![itself], Limits::default()).await.unwrap();
    let address = relay.routes()[0].address;
    let (sender, mut receiver) = imapscope::net::queue::channel(rig::QUEUE);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let serving = tokio::spawn(relay.serve(|_, _| rig::session(), sender, stopped, |_| {}));
    let mut client = TcpStream::connect(address).await.unwrap();
    assert_eq!(read_all(&mut client).await, b"");
    stop.send_replace(true);
    soon(serving).await.unwrap();
    let events: Vec<Event> = std::iter::from_fn(|| receiver.recv()).flat_map(|batch| batch.events).collect();
    assert_eq!(words(&events), ["opened", "closed"], "one connection, not a chain of them");
}

#[tokio::test]
async fn a_port_that_is_taken_is_a_problem_before_anything_is_served() {
    let (_listener, address) = server().await;
    let mut second = route(address);
    second.listen.port = address.port();
    let problem = Relay::bind(vec![route(address), second], Limits::default()).await.unwrap_err();
    assert!(problem.origin.contains(&address.to_string()) && problem.what.contains("in use"), "{problem}");
    assert!(!problem.help.is_empty());
}

#[tokio::test]
async fn ipv6_is_relayed_where_the_machine_has_it() {
    let Ok(listener) = tokio::net::TcpListener::bind("[::1]:0").await else { return };
    let address = listener.local_addr().unwrap();
    let mut six = route(address);
    six.listen.host = "::1".into();
    let relay = Relay::bind(vec![six], Limits::default()).await.unwrap();
    let (sender, _receiver) = imapscope::net::queue::channel(rig::QUEUE);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let bound = relay.routes()[0].address;
    let serving = tokio::spawn(relay.serve(|_, _| rig::session(), sender, stopped, |_| {}));
    let mut client = soon(TcpStream::connect(bound)).await.unwrap();
    let (mut there, _) = soon(listener.accept()).await.unwrap();
    there.write_all(b"* OK six\r\n").await.unwrap();
    let mut line = [0; 10];
    soon(client.read_exact(&mut line)).await.unwrap();
    assert_eq!(&line, b"* OK six\r\n");
    stop.send_replace(true);
    soon(serving).await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn running_out_of_files_is_said_and_survived() {
    if !alone(module_path!(), "running_out_of_files_is_said_and_survived", "ulimit -n 40") {
        return;
    }
    let (listener, address) = server().await;
    let relay = Relay::bind(vec![route(address)], Limits::default()).await.unwrap();
    let bound = relay.routes()[0].address;
    let (sender, _receiver) = imapscope::net::queue::channel(rig::QUEUE);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (say, mut said) = tokio::sync::mpsc::unbounded_channel();
    let notice = move |text: &str| say.send(text.to_string()).unwrap();
    let serving = tokio::spawn(relay.serve(|_, _| rig::session(), sender, stopped, notice));
    let mut files: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).take(1000).collect();
    assert!(files.len() < 100, "the limit of open files is not small");
    // The last file is the client's: none is left for the other end of its connection.
    files.pop();
    let mut client = soon(TcpStream::connect(bound)).await.unwrap();
    let text = soon(said.recv()).await.unwrap();
    assert!(text.contains("cannot accept connections") && text.contains("too many open files"), "{text}");
    drop(files);
    let (mut there, _) = soon(listener.accept()).await.unwrap();
    client.write_all(b"x").await.unwrap();
    soon(there.read_exact(&mut [0])).await.unwrap();
    stop.send_replace(true);
    soon(serving).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_connections_stay_apart() {
    let (listener, address) = server().await;
    let mut rig = Rig::start(address).await;
    // The server sends back what it gets, in its own time.
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = socket.into_split();
                tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            });
        }
    });
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..200 {
        let socket = rig.connect().await;
        clients.spawn(async move {
            let bytes = noise(n, 50_000);
            let (mut reader, mut writer) = socket.into_split();
            let sent = bytes.clone();
            tokio::spawn(async move {
                writer.write_all(&sent).await.unwrap();
                writer.shutdown().await.unwrap();
            });
            assert!(read_all(&mut reader).await == bytes);
        });
    }
    while let Some(done) = soon(clients.join_next()).await {
        done.unwrap();
    }
    for connection in 1..=200 {
        let (events, closed) = rig.closed(connection).await;
        assert_eq!(words(&events), ["opened", "client half", "server half", "closed"]);
        assert_eq!((closed.received, closed.sent), ([50_000; 2], [50_000; 2]));
    }
    rig.end().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_with_a_reason() {
    let (listener, address) = server().await;
    let limits = Limits { idle_timeout: Some(Duration::from_millis(150)), ..Limits::default() };
    let mut rig = Rig::with(address, limits).await;
    let (mut client, mut there) = rig.pair(&listener).await;
    // As long as something moves, it stays, however long that is.
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(400) {
        client.write_all(b"x").await.unwrap();
        soon(there.read_exact(&mut [0])).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(read_all(&mut client).await, b"");
    let (_, closed) = rig.closed(1).await;
    assert_eq!(closed.by, Closer::Ours);
    assert!(closed.why.unwrap().contains("idle"));
    rig.end().await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_with_a_reason() {
    let (listener, address) = server().await;
    let mut rig = Rig::with(address, Limits { max_connections: 1, ..Limits::default() }).await;
    let (mut client, mut there) = rig.pair(&listener).await;
    let mut second = rig.connect().await;
    assert_eq!(read_all(&mut second).await, b"");
    let (events, closed) = rig.closed(2).await;
    assert_eq!((words(&events), closed.by), (vec!["opened", "closed"], Closer::Ours));
    assert!(closed.why.unwrap().contains("the limit of 1 connection is"));
    client.write_all(b"x").await.unwrap();
    soon(there.read_exact(&mut [0])).await.unwrap();
    rig.end().await;
}

#[tokio::test]
async fn an_interrupt_ends_every_connection_and_says_so() {
    let (listener, address) = server().await;
    let mut rig = Rig::start(address).await;
    let (mut client, mut there) = rig.pair(&listener).await;
    rig.stop.send_replace(true);
    assert_eq!(read_all(&mut client).await, b"");
    assert_eq!(read_all(&mut there).await, b"");
    let (_, closed) = rig.closed(1).await;
    assert_eq!((closed.by, closed.why.as_deref()), (Closer::Ours, Some("imapscope ended")));
    assert!(TcpStream::connect(rig.address).await.is_err(), "it still listens");
    soon(&mut rig.serving).await.unwrap();
}

#[tokio::test]
async fn an_interrupt_does_not_wait_for_a_log_that_is_stuck() {
    let (listener, address) = server().await;
    let (mut rig, receiver, collect) = Rig::unread(address, Limits::default(), 1).await;
    let (client, there) = rig.pair(&listener).await;
    rig.stop.send_replace(true);
    soon(&mut rig.serving).await.unwrap();
    drop((client, there));
    // Even so its close is in the queue, for whoever reads it.
    consume(receiver, collect);
    assert_eq!(words(&rig.closed(1).await.0), ["opened", "closed"]);
}

#[tokio::test]
async fn a_stuck_log_stops_nothing_and_the_loss_is_reported() {
    let (listener, address) = server().await;
    let limits = Limits { patience: Duration::from_millis(100), ..Limits::default() };
    let (mut rig, receiver, collect) = Rig::unread(address, limits, 1).await;
    let (mut client, mut there) = rig.pair(&listener).await;
    // The queue is full with the opening; both half-closes find no room.
    client.write_all(b"a1 LOGOUT\r\n").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut there).await, b"a1 LOGOUT\r\n");
    there.write_all(&noise(5, 100_000)).await.unwrap();
    there.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await.len(), 100_000);
    consume(receiver, collect);
    let (events, closed) = rig.closed(1).await;
    assert_eq!(words(&events), ["opened", "lag", "closed"]);
    let What::Lag { events: lost, .. } = events[1].what else { panic!("{events:?}") };
    assert!(lost >= 2, "{lost} events are said to be lost");
    assert_eq!(closed.sent, [100_000, 11]);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_waited_for_and_one_in_idle_is_not() {
    static SOON: Thresholds = Thresholds {
        first: Duration::from_millis(400),
        second: Duration::from_millis(700),
        each: Duration::from_secs(300),
    };
    let (listener, address) = server().await;
    let mut rig = Rig::with(address, Limits { waits: &SOON, ..Limits::default() }).await;
    for (nth, says) in [(1, &[][..]), (2, &b"+ idling\r\n"[..])] {
        let (mut client, mut there) = rig.pair(&listener).await;
        let mut buffer = [0; 256];
        soon(there.write_all(b"* PREAUTH hi\r\n")).await.unwrap();
        soon(client.read(&mut buffer)).await.unwrap();
        soon(client.write_all(b"a IDLE\r\n")).await.unwrap();
        soon(there.read(&mut buffer)).await.unwrap();
        soon(there.write_all(says)).await.unwrap();
        tokio::time::sleep(SOON.second * 2).await;
        drop(client);
        drop(there);
        let (events, _) = rig.closed(nth).await;
        let waits = events.iter().filter_map(|event| match &event.what {
            What::Waiting(wait) => Some((&wait.owed, event.from)),
            _ => None,
        });
        let owed = Owed::Continuation { frame: 2, ask: Ask::Idle };
        let expected = if says.is_empty() { vec![(&owed, Peer::Server); 2] } else { Vec::new() };
        assert_eq!(waits.collect::<Vec<_>>(), expected, "connection {nth}");
    }
    rig.end().await;
}
