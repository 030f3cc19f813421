//! Recordings, the files of other programs, and anonymising both.

#[path = "../support/dialogue/mod.rs"]
mod dialogue;
#[path = "../support/lanes/mod.rs"]
mod lanes;
#[path = "../support/ruled/mod.rs"]
mod ruled;
#[path = "../support/segment/mod.rs"]
mod segment;
#[path = "../support/thorough/mod.rs"]
mod thorough;

mod anonymise;
mod captures;
mod cut;
mod excerpts;
mod foreign;
mod holes;
mod live_and_read;
mod recording;
mod recording_memory;
mod secrets_context;
mod veiled;
mod waits;
