//! What bombs cost, each by itself, from either peer, in a tap and in edit, with every output: the peak of resident memory, the
//! longest that another connection waits for the answer to a NOOP in 3 seconds, and how long SIGINT takes. Linux only.
//!
//! `cargo bench --bench bombs [-- MIB [NAME]]`: `MIB` is the size of each bomb, inflated (default 4); with a name, such as
//! `NUL`, only bombs whose names have it.

#[cfg(target_os = "linux")]
#[path = "../tests/support/bomb/mod.rs"]
mod bomb;
#[cfg(target_os = "linux")]
#[path = "../tests/support/program/mod.rs"]
mod program;
#[cfg(target_os = "linux")]
#[path = "../tests/support/siege/mod.rs"]
mod siege;

#[cfg(target_os = "linux")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let mib = arguments.first().map_or(4, |word| word.parse().expect("the size of a bomb in MiB"));
    let name = arguments.get(1).map_or("", String::as_str);
    for bomb in bomb::bombs(mib << 20).iter().filter(|bomb| bomb.name.contains(name)) {
        for (from, peer) in ["client", "server"].into_iter().enumerate() {
            for edit in [false, true] {
                measure(bomb, (from, peer), edit);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("this benchmark reads /proc: it runs on Linux only");
}

#[cfg(target_os = "linux")]
fn measure(bomb: &bomb::Bomb, (from, peer): (usize, &str), edit: bool) {
    use std::time::{Duration, Instant};

    let folder = tempfile::tempdir().expect("a folder");
    let mut proxy = siege::Proxy::start(folder.path(), edit);
    let mut other = proxy.pair();
    siege::throw(proxy.pair(), from, bomb);
    let worst = siege::worst(&mut other, Duration::from_secs(3));
    let peak = proxy.peak();
    let begun = Instant::now();
    proxy.program.signal("-INT");
    proxy.program.code();
    println!(
        "{:30} {:8} {peer} {} {:9} bytes: peak {:5.1} MiB, NOOP {:5.1} ms, SIGINT {:.2} s",
        bomb.name,
        if bomb.packed { "deflated" } else { "plain" },
        if edit { "edit" } else { "tap " },
        bomb.wire.len(),
        peak as f64 / 1024.0,
        worst.as_secs_f64() * 1000.0,
        begun.elapsed().as_secs_f64()
    );
}
