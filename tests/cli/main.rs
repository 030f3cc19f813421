//! The program as a user runs it.

#[path = "../support/bomb/mod.rs"]
mod bomb;
#[path = "../support/program/mod.rs"]
mod program;
#[path = "../support/secure/mod.rs"]
mod secure;
#[cfg(target_os = "linux")]
#[path = "../support/siege/mod.rs"]
mod siege;

mod bombs;
mod command;
mod files;
mod follow;
mod lint;
mod probe;
mod recording;
mod rules;
mod signals;
mod summary;
mod tls;
mod verbs;
