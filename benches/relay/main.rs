//! The relay beside a bare copy: `cargo bench --bench relay [-- [--rounds N] [NAME]…]`. The names are `bulk`, `data`, `fetch`,
//! `noop`, `sessions`, `idle`; under TLS `tls`, `latency`, `idle-tls`; under COMPRESS=DEFLATE `compress`, `idle-compress`.
//!
//! Each measurement alternates, round by round, between the contestants, all of them child processes: a bare
//! `copy_bidirectional_with_sizes` (the unit; under TLS with the same libraries), the relay alone, and the whole program
//! with its coloured log in a file. Under COMPRESS there are bare proxies that inflate, or inflate and compress anew, too.
//! A ratio is taken within each round, and its median is printed, with the goal. Linux only (`/proc`, `taskset`).

#[cfg(target_os = "linux")]
mod contestant;
#[cfg(target_os = "linux")]
mod layer;
#[cfg(target_os = "linux")]
mod layered;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod mail;
#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod packed;
#[cfg(target_os = "linux")]
mod secure;

fn main() {
    #[cfg(target_os = "linux")]
    measure::main();
    #[cfg(not(target_os = "linux"))]
    eprintln!("this benchmark reads /proc and needs taskset: it runs on Linux only");
}
