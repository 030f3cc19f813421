//! imapscope: an oscilloscope for mail protocols.
pub mod cli;
pub mod event;
pub mod explain;
pub mod grammar;
pub mod net;
pub mod problem;
pub mod rules;
pub mod session;
pub mod sink;
pub mod verb;
pub mod wire;
pub mod wording;
