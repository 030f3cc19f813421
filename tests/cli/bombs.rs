//! The program with bombs from both peers of many connections at once, into every output: its memory is bounded, another
//! connection is served meanwhile, and SIGINT ends it. Linux, where the memory of another process can be read. The figures, one
//! bomb at a time, are a bench: `cargo bench --bench bombs`.
#![cfg(target_os = "linux")]

use std::time::Duration;

use crate::bomb::bombs;
use crate::siege::{Proxy, throw, worst};

/// Maximum peak of resident memory, in KiB.
const PEAK: u64 = 64 * 1024;

#[test]
fn bombs_on_many_connections_cost_little_memory_and_stop_nobody() {
    for edit in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut proxy = Proxy::start(folder.path(), edit);
        let mut other = proxy.pair();
        for bomb in bombs(1 << 20) {
            throw(proxy.pair(), 0, &bomb);
            throw(proxy.pair(), 1, &bomb);
        }
        // Each answer comes within the patience of the test; the figures are another matter.
        worst(&mut other, Duration::from_secs(2));
        let peak = proxy.peak();
        proxy.program.signal("-INT");
        let code = proxy.program.code();
        assert!(peak < PEAK, "edit: {edit}: {peak} KiB");
        assert!(code.is_some(), "it ends by itself");
    }
}
