//! The measurements: what is timed, in which order, and how the figures are printed.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::contestant::{Contestant, Kind, be};
use super::load::{Client, Sizes, serve};
use super::{layered, mail};

/// How many octets a client reads at once where much comes.
const WIDE: usize = 256 * 1024;
/// Open files for two thousand connections, both ends of which are in one process.
const FILES: u32 = 16_384;

const ALL: [&str; 11] =
    ["bulk", "data", "fetch", "noop", "sessions", "idle", "tls", "compress", "latency", "idle-tls", "idle-compress"];

/// One thing to measure.
struct Measurement {
    name: &'static str,
    /// The scheme of its route.
    scheme: &'static str,
    /// Octets that pass, for the rate and the processor time a GB; 0 where they do not matter.
    octets: u64,
    /// Ratios to bare that the whole program is to reach: at least, or (for a duration) at most.
    goal: (Goal, f64),
    run: fn(std::net::SocketAddr),
}

#[derive(Clone, Copy, PartialEq)]
enum Goal {
    SpeedAtLeast,
    TimeAtMost,
}

/// The benchmark, or a part of it in a child process.
pub fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [flag, kind, scheme, server, folder] = arguments.as_slice()
        && flag == "--be"
    {
        return be(kind, scheme, server, Path::new(folder));
    }
    if std::env::var_os("RELAY_BENCH_FILES").is_none() {
        // A shell can raise the limit of open files; this program has no way to.
        let shell = format!("ulimit -n {FILES} 2>/dev/null || ulimit -n $(ulimit -Hn); exec \"$0\" \"$@\"");
        return rerun(Command::new("sh").args(["-c", &shell]), &arguments, "RELAY_BENCH_FILES");
    }
    let rounds = arguments.iter().position(|word| word == "--rounds").and_then(|at| arguments.get(at + 1));
    let rounds: usize = rounds.and_then(|word| word.parse().ok()).unwrap_or(5);
    let chosen: Vec<&str> = ALL.into_iter().filter(|name| arguments.iter().any(|word| word == name)).collect();
    let chosen = if chosen.is_empty() { ALL.to_vec() } else { chosen };
    // With another program on one of two processors, all contestants share the rest, and their ratios sink towards 1.
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
    if load > 0.5 && std::env::var_os("RELAY_BENCH_PINNED").is_none() {
        println!("the machine is not quiet (load {load:.1}): the figures say less than they should");
    }
    for name in chosen {
        match name {
            "bulk" => {
                compare(&literal(false), rounds);
                compare(&literal(true), rounds);
            }
            "data" => {
                compare(&message("smtp"), rounds);
                compare(&message("pop3"), rounds);
            }
            "fetch" => compare(&fetch(), rounds),
            "noop" if std::env::var_os("RELAY_BENCH_PINNED").is_none() => {
                let arguments = ["--rounds".into(), rounds.to_string(), "noop".into()];
                rerun(Command::new("taskset").args(["-c", "0"]), &arguments, "RELAY_BENCH_PINNED");
            }
            "noop" => compare(&noop(), rounds),
            "sessions" => compare(&sessions(), rounds),
            "idle" => idle(),
            "tls" => layered::tls(rounds),
            "compress" => layered::compress(rounds),
            "latency" if std::env::var_os("RELAY_BENCH_PINNED").is_none() => {
                layered::latency(rounds, "all CPUs");
                let arguments = ["--rounds".into(), rounds.to_string(), "latency".into()];
                rerun(Command::new("taskset").args(["-c", "0"]), &arguments, "RELAY_BENCH_PINNED");
            }
            "latency" => layered::latency(rounds, "one CPU"),
            "idle-tls" => layered::idle_tls(),
            _ => layered::idle_compress(),
        }
    }
}

/// Runs this program once more, through a program that changes what it may use.
fn rerun(through: &mut Command, arguments: &[String], mark: &str) {
    let itself = std::env::current_exe().expect("this program has a path");
    match through.arg(itself).args(arguments).env(mark, "1").status() {
        Ok(status) if status.success() => {}
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(e) => eprintln!("skipped: {}: {e}", through.get_program().display()),
    }
}

const LITERAL: u64 = 1 << 30;
const LINES: u64 = 512 << 20;

fn literal(up: bool) -> Measurement {
    Measurement {
        name: if up { "1 GiB literal, client to server" } else { "1 GiB literal, server to client" },
        scheme: "imap",
        octets: LITERAL,
        goal: (Goal::SpeedAtLeast, 1.2),
        run: if up {
            |address| Client::selected(address, WIDE).append("c", LITERAL)
        } else {
            |address| Client::selected(address, WIDE).ask_much("c FETCH 1 BODY[]", LITERAL)
        },
    }
}

/// Lines to a dot: each line end has to be looked at.
fn message(scheme: &'static str) -> Measurement {
    Measurement {
        name: if scheme == "smtp" { "1 GiB message by SMTP DATA" } else { "1 GiB message by POP3 RETR" },
        scheme,
        octets: LITERAL,
        goal: (Goal::SpeedAtLeast, 0.8),
        run: if scheme == "smtp" {
            |address| mail::send(address, LITERAL)
        } else {
            |address| mail::fetch(address, LITERAL)
        },
    }
}

fn fetch() -> Measurement {
    Measurement {
        name: "FETCH lines of 800 octets, 512 MiB",
        scheme: "imap",
        octets: LINES,
        goal: (Goal::SpeedAtLeast, 0.25),
        run: |address| Client::selected(address, WIDE).ask_much("c FETCH 1:* ENVELOPE", LINES - 2 * (1 << 20)),
    }
}

fn noop() -> Measurement {
    Measurement {
        name: "20,000 NOOPs one after the other, one CPU",
        scheme: "imap",
        octets: 0,
        goal: (Goal::TimeAtMost, 1.2),
        run: |address| {
            let mut client = Client::selected(address, 4096);
            for n in 0..20_000 {
                client.ask(&format!("c{n} NOOP"));
            }
        },
    }
}

fn sessions() -> Measurement {
    Measurement {
        name: "50 connections, 20 typical sessions each",
        scheme: "imap",
        octets: 0,
        goal: (Goal::SpeedAtLeast, 0.7),
        run: |address| {
            thread::scope(|scope| {
                for _ in 0..50 {
                    scope.spawn(move || (0..20).for_each(|_| Client::typical(address)));
                }
            });
        },
    }
}

/// The contestants that can be started.
fn contestants(scheme: &'static str, server: std::net::SocketAddr, folder: &Path) -> Vec<Contestant> {
    let start = |kind: Kind| {
        let started = Contestant::start(kind, scheme, server, folder);
        if started.is_none() {
            println!("  {:<6} skipped: it did not begin to listen", kind.word());
        }
        started
    };
    [Kind::Bare, Kind::Relay, Kind::Proxy].into_iter().filter_map(start).collect()
}

fn compare(what: &Measurement, rounds: usize) {
    println!("{}", what.name);
    let server = match what.scheme {
        "imap" => serve(Sizes { literal: LITERAL, lines: LINES }),
        scheme => mail::serve(what.octets, scheme == "pop3"),
    };
    let folder = tempfile::tempdir().expect("a folder for the log");
    let all = contestants(what.scheme, server, folder.path());
    // One round for nothing: files are opened, threads started, buffers there.
    all.iter().for_each(|one| (what.run)(one.address));
    let mut seconds = vec![Vec::new(); all.len()];
    let mut cpu = vec![Vec::new(); all.len()];
    for _ in 0..rounds.max(1) {
        for (at, one) in all.iter().enumerate() {
            let before = one.cpu_at_rest();
            let begun = Instant::now();
            (what.run)(one.address);
            seconds[at].push(begun.elapsed().as_secs_f64());
            cpu[at].push(one.cpu_at_rest() - before);
            one.empty_log();
        }
    }
    for (at, one) in all.iter().enumerate() {
        let ratios = seconds[at].iter().zip(&seconds[0]);
        let (ratio, sign) = match what.goal.0 {
            Goal::SpeedAtLeast => (median(ratios.map(|(ours, bare)| bare / ours).collect()), "at least"),
            Goal::TimeAtMost => (median(ratios.map(|(ours, bare)| ours / bare).collect()), "at most"),
        };
        let taken = median(seconds[at].clone());
        let rate = match what.octets {
            0 => format!("{:8.1} ms", taken * 1e3),
            octets => format!("{:6.0} MB/s", octets as f64 / taken / 1e6),
        };
        let used = match what.octets {
            0 => format!("{:.2} s CPU", median(cpu[at].clone())),
            octets => format!("{:.2} s CPU a GB", median(cpu[at].clone()) / (octets as f64 / 1e9)),
        };
        let verdict = match (one.kind, what.goal.0) {
            (Kind::Bare, _) => String::new(),
            (_, Goal::SpeedAtLeast) if ratio >= what.goal.1 => format!("  ({sign} {}: met)", what.goal.1),
            (_, Goal::TimeAtMost) if ratio <= what.goal.1 => format!("  ({sign} {}: met)", what.goal.1),
            _ => format!("  ({sign} {}: MISSED)", what.goal.1),
        };
        let peak = one.memory("VmHWM:") / 1024.0;
        println!("  {:<6} {rate}  {used}  peak {peak:.1} MiB  x{ratio:.2}{verdict}", one.kind.word());
    }
}

/// Memory and processor time of a thousand connections that wait.
fn idle() {
    const CONNECTIONS: usize = 1000;
    println!("{CONNECTIONS} connections in IDLE");
    let server = serve(Sizes { literal: 1, lines: 1 });
    let folder = tempfile::tempdir().expect("a folder for the log");
    for one in contestants("imap", server, folder.path()) {
        let enter = |count: usize| -> Vec<Client> {
            let idle = || {
                let mut client = Client::selected(one.address, 1024);
                client.say("c IDLE\r\n");
                client.read_to(b"+ idling\r\n");
                client
            };
            std::iter::repeat_with(idle).take(count).collect()
        };
        // The first ones pay for what is there once.
        let first = enter(50);
        one.cpu_at_rest();
        let before = one.memory("VmRSS:");
        let rest = enter(CONNECTIONS);
        let busy = one.cpu_at_rest();
        let each = (one.memory("VmRSS:") - before) / CONNECTIONS as f64;
        thread::sleep(Duration::from_secs(3));
        let used = one.cpu() - busy;
        let verdict = match one.kind {
            Kind::Bare => "",
            _ if each <= 6.0 && used < 0.02 => "  (at most 6 KiB, no CPU: met)",
            _ => "  (at most 6 KiB, no CPU: MISSED)",
        };
        println!("  {:<6} {each:.1} KiB each, {used:.2} s CPU in 3 s{verdict}", one.kind.word());
        drop((first, rest));
    }
}

/// The middle of some figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
    (low + high) / 2.0
}
