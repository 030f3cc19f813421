//! The byte path: where texts end, what leaves a lane, what the relay holds, and sockets on loopback.

#[path = "../support/alone/mod.rs"]
mod alone;
#[path = "../support/bomb/mod.rs"]
mod bomb;
#[path = "../support/lanes/mod.rs"]
mod lanes;
#[path = "../support/rig/mod.rs"]
mod rig;
#[path = "../support/ruled/mod.rs"]
mod ruled;
#[path = "../support/thorough/mod.rs"]
mod thorough;

mod bombs;
mod compress;
mod cost;
mod crowd;
mod following;
mod forms;
mod passthrough;
mod passthrough_mail;
mod relay;
mod relay_memory;
mod wire;
