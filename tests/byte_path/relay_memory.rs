//! The memory of the relay is bounded, whatever is sent through it. Each test runs in a process of its own, because the
//! figures are the process's. Linux only, where a process can read its own memory.
#![cfg(target_os = "linux")]

use std::time::Duration;

use crate::alone::alone;
use crate::rig::{Rig, drain, server, soon, status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_literal_is_relayed_in_little_memory() {
    if !alone(module_path!(), "a_large_literal_is_relayed_in_little_memory", ":") {
        return;
    }
    const LITERAL: u64 = 64 << 20;
    let (listener, address) = server().await;
    let rig = Rig::start(address).await;
    let (mut client, mut there) = rig.pair(&listener).await;
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmHWM:");
    let text = format!("* 1 FETCH (BODY[] {{{LITERAL}}}\r\n");
    let total = text.len() as u64 + LITERAL;
    let sending = tokio::spawn(async move {
        there.write_all(text.as_bytes()).await.unwrap();
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..LITERAL / piece.len() as u64 {
            there.write_all(&piece).await.unwrap();
        }
    });
    assert_eq!(soon(drain(&mut client, total)).await, total);
    soon(sending).await.unwrap();
    let growth = status("VmHWM:") - before;
    assert!(growth < 8 * 1024, "the peak grew by {growth} KiB");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_do_not_read_cost_one_buffer_a_lane() {
    if !alone(module_path!(), "peers_that_do_not_read_cost_one_buffer_a_lane", ":") {
        return;
    }
    const CONNECTIONS: usize = 24;
    let (listener, address) = server().await;
    let rig = Rig::start(address).await;
    let mut pairs = Vec::new();
    for _ in 0..CONNECTIONS {
        pairs.push(rig.pair(&listener).await);
    }
    let piece = vec![b'x'; 64 * 1024];
    let before = status("VmRSS:");
    let mut written = 0;
    for (_, there) in &mut pairs {
        // Until nothing has been taken for a while: then every buffer on the way is full.
        while let Ok(done) = timeout(Duration::from_millis(50), there.write(&piece)).await {
            written += done.unwrap();
            assert!(written < CONNECTIONS * (64 << 20), "it is taken without end");
        }
    }
    let growth = (status("VmRSS:") as i64 - before as i64) as f64 / CONNECTIONS as f64;
    assert!(growth < 320.0, "{growth} KiB a connection for {written} octets");
    // The other direction is open all the same, and what waits arrives once it is read.
    for (client, there) in &mut pairs {
        client.write_all(b"a1 NOOP\r\n").await.unwrap();
        let mut line = [0; 9];
        soon(there.read_exact(&mut line)).await.unwrap();
        assert_eq!(&line, b"a1 NOOP\r\n");
    }
    let mut arrived = 0;
    for (mut client, there) in pairs {
        drop(there);
        arrived += soon(drain(&mut client, u64::MAX)).await;
    }
    assert_eq!(arrived, written as u64);
    rig.end().await;
}

#[tokio::test]
async fn an_idle_connection_is_tiny() {
    if !alone(module_path!(), "an_idle_connection_is_tiny", ":") {
        return;
    }
    const CONNECTIONS: usize = 200;
    let (listener, address) = server().await;
    let rig = Rig::start(address).await;
    let mut pairs = Vec::with_capacity(CONNECTIONS);
    // The first ones pay for what is there once.
    for _ in 0..20 {
        pairs.push(rig.pair(&listener).await);
    }
    let before = status("VmRSS:");
    for _ in 0..CONNECTIONS {
        let (mut client, mut there) = rig.pair(&listener).await;
        for line in [&b"a1 IDLE\r\n"[..], b"+ idling\r\n"] {
            client.write_all(line).await.unwrap();
            soon(there.read_exact(&mut vec![0; line.len()])).await.unwrap();
            std::mem::swap(&mut client, &mut there);
        }
        pairs.push((client, there));
    }
    let each = (status("VmRSS:") as i64 - before as i64) as f64 / CONNECTIONS as f64;
    // With both peers of the test in the same process.
    assert!(each < 10.0, "{each} KiB a connection");
    println!("{each} KiB a connection, its peers included");
    rig.end().await;
}
