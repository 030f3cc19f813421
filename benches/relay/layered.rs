//! The measurements under TLS and DEFLATE. The load's client reads what comes in bulk without undoing the layer, except in
//! the first round, which is not counted: there it looks whether all of it is right.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::contestant::{Contestant, Kind};
use super::layer::{Client, Open, Wire, serve};
use super::measure::median;
use super::{packed, secure};

/// How many octets a client reads at once where it looks at them.
const WIDE: usize = 256 * 1024;

/// Octets of the literal, under TLS.
const LITERAL: u64 = 1 << 30;

/// The same before compression: whole pieces of [`packed::STOCK`].
const MAIL: u64 = 256 << 20;

/// Connections that wait.
const CONNECTIONS: usize = 2000;

/// NOOPs one after the other.
const KNOCKS: usize = 20_000;

/// The contestants that begin to listen.
fn contestants(kinds: &[Kind], scheme: &str, server: SocketAddr, folder: &Path) -> Vec<Contestant> {
    let start = |kind: &Kind| {
        let started = Contestant::start(*kind, scheme, server, folder);
        if started.is_none() {
            println!("  {:<7} skipped: it did not begin to listen", kind.word());
        }
        started
    };
    kinds.iter().filter_map(start).collect()
}

/// 1 GiB through TLS on both legs.
pub fn tls(rounds: usize) {
    println!("1 GiB literal through TLS on both legs, server to client");
    let folder = tempfile::tempdir().expect("a folder for log and certificate");
    secure::prepare(folder.path());
    let (ours, theirs) = secure::ends(folder.path());
    let server = serve(theirs, LITERAL);
    let all = contestants(&[Kind::Bare, Kind::Relay, Kind::Proxy], "imaps", server, folder.path());
    for one in &all {
        let mut client = Client::enter(&*ours, one.address, WIDE);
        println!("  {:<7} {}", one.kind.word(), secure::terms(client.wire()));
        client.check(LITERAL);
    }
    println!(
        "  (the server of the load encrypts on the same CPUs, its client does not decrypt: compare the CPU seconds)"
    );
    compare(&all, rounds, LITERAL, &|address| Client::enter(&*ours, address, WIDE).gulp());
}

/// 256 MiB of mail that travel compressed.
pub fn compress(rounds: usize) {
    let ratio = packed::STOCK as f64 / packed::stock().len() as f64;
    println!("256 MiB of mail under COMPRESS=DEFLATE, {ratio:.2}:1, server to client; MB/s before compression");
    let folder = tempfile::tempdir().expect("a folder for the log");
    let end = packed::end();
    let server = serve(end.clone(), MAIL);
    let kinds = [Kind::Bare, Kind::Inflate, Kind::Relay, Kind::Proxy, Kind::Repack, Kind::Rule];
    let all = contestants(&kinds, "imap", server, folder.path());
    let enter = |address| {
        let mut client = Client::enter(&*end, address, WIDE);
        client.compress();
        client
    };
    for one in &all {
        enter(one.address).check(MAIL);
    }
    compare(&all, rounds, MAIL, &|address| enter(address).gulp());
}

/// Alternates between the contestants; `run` says how many octets came to the client, as they came.
fn compare(all: &[Contestant], rounds: usize, octets: u64, run: &dyn Fn(SocketAddr) -> u64) {
    let mut seconds = vec![Vec::new(); all.len()];
    let mut cpu = vec![Vec::new(); all.len()];
    let mut wire = vec![0; all.len()];
    for _ in 0..rounds.max(1) {
        for (at, one) in all.iter().enumerate() {
            let before = one.cpu_at_rest();
            let begun = Instant::now();
            wire[at] = run(one.address);
            seconds[at].push(begun.elapsed().as_secs_f64());
            cpu[at].push(one.cpu_at_rest() - before);
            one.empty_log();
        }
    }
    for (at, one) in all.iter().enumerate() {
        let taken = median(seconds[at].clone());
        let rate = |octets: u64| octets as f64 / taken / 1e6;
        let unit = unit(all, one.kind);
        let ratio = |figures: &[Vec<f64>]| {
            median(figures[at].iter().zip(&figures[unit]).map(|(ours, bare)| ours / bare.max(0.01)).collect())
        };
        println!(
            "  {:<7} {:6.0} MB/s ({:6.0} MB/s on the wire)  {:5.2} s CPU a GiB  peak {:.1} MiB  speed x{:.2} and CPU x{:.2} of {}",
            one.kind.word(),
            rate(octets),
            rate(wire[at]),
            median(cpu[at].clone()) / (octets as f64 / f64::from(1 << 30)),
            one.memory("VmHWM:") / 1024.0,
            1.0 / ratio(&seconds),
            ratio(&cpu),
            all[unit].kind.word(),
        );
    }
}

/// Beside whom one is measured: whoever has the same to do at least, and nothing else.
fn unit(all: &[Contestant], kind: Kind) -> usize {
    let place = |wanted: Kind| all.iter().position(|one| one.kind == wanted);
    match kind {
        Kind::Relay | Kind::Proxy => place(Kind::Inflate),
        Kind::Rule => place(Kind::Repack),
        Kind::Bare | Kind::Inflate | Kind::Repack => None,
    }
    .unwrap_or(0)
}

/// How long a command and its answer take, through TLS on both legs and without anybody between.
pub fn latency(rounds: usize, place: &str) {
    println!("{KNOCKS} NOOPs one after the other under TLS, {place}");
    let folder = tempfile::tempdir().expect("a folder for log and certificate");
    secure::prepare(folder.path());
    let (ours, theirs) = secure::ends(folder.path());
    let server = serve(theirs, 0);
    let all = contestants(&[Kind::Bare, Kind::Relay, Kind::Proxy], "imaps", server, folder.path());
    let mut ways = vec![("direct", server)];
    ways.extend(all.iter().map(|one| (one.kind.word(), one.address)));
    let mut figures = vec![[const { Vec::new() }; 2]; ways.len()];
    for _ in 0..rounds.max(1) {
        for (at, (_, address)) in ways.iter().enumerate() {
            let mut client = Client::enter(&*ours, *address, 4096);
            client.knock(KNOCKS / 20);
            let mut times = client.knock(KNOCKS);
            times.sort();
            for (kept, part) in figures[at].iter_mut().zip([50, 99]) {
                kept.push(micros(times[(times.len() * part / 100).min(times.len() - 1)]));
            }
        }
    }
    let direct = figures[0].clone().map(median);
    for ((word, _), figures) in ways.iter().zip(figures) {
        let [half, most] = figures.map(median);
        let added = format!("added {:6.1} and {:6.1}", half - direct[0], most - direct[1]);
        println!("  {word:<7} p50 {half:6.1} us, p99 {most:6.1} us  {added}");
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Memory of connections that wait, with TLS on both legs.
pub fn idle_tls() {
    println!("{CONNECTIONS} connections that wait, TLS on both legs");
    let folder = tempfile::tempdir().expect("a folder for log and certificate");
    secure::prepare(folder.path());
    let (ours, theirs) = secure::ends(folder.path());
    let server = serve(theirs, 0);
    for kind in [Kind::Bare, Kind::Relay, Kind::Proxy] {
        idle(kind, "imaps", server, folder.path(), &ours, false);
    }
}

/// The same on plain legs, under DEFLATE.
pub fn idle_compress() {
    println!("{CONNECTIONS} connections that wait, under COMPRESS=DEFLATE");
    let folder = tempfile::tempdir().expect("a folder for the log");
    let end = packed::end();
    let server = serve(end.clone(), 0);
    for kind in [Kind::Bare, Kind::Relay, Kind::Proxy, Kind::Rule] {
        idle(kind, "imap", server, folder.path(), &end, true);
    }
}

fn idle<W: Wire>(kind: Kind, scheme: &str, server: SocketAddr, folder: &Path, open: &Arc<Open<W>>, compress: bool) {
    for one in contestants(&[kind], scheme, server, folder) {
        let enter = |count: usize| -> Vec<Client<W>> {
            let wait = || {
                let mut client = Client::enter(&**open, one.address, 1024);
                if compress {
                    client.compress();
                }
                client.ask("c NOOP");
                client
            };
            std::iter::repeat_with(wait).take(count).collect()
        };
        // The first ones pay for what is there once.
        let first = enter(50);
        one.cpu_at_rest();
        let before = one.memory("VmRSS:");
        let rest = enter(CONNECTIONS);
        let busy = one.cpu_at_rest();
        let each = (one.memory("VmRSS:") - before) / CONNECTIONS as f64;
        thread::sleep(Duration::from_secs(2));
        println!("  {:<7} {each:6.1} KiB each, {:.2} s CPU in 2 s", one.kind.word(), one.cpu() - busy);
        drop((first, rest));
    }
}
