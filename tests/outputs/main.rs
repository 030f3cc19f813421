//! What the sinks write: the pretty log, pages, JSON, captures, raw bytes. Some tests need `IMAPSCOPE_REAL=1`.

#[path = "../support/canary/mod.rs"]
mod canary;
#[path = "../support/dialogue/mod.rs"]
mod dialogue;
#[path = "../support/program/mod.rs"]
mod program;
#[path = "../support/sample/mod.rs"]
mod sample;

mod capture;
mod html;
mod json;
mod lint;
mod markup;
mod page;
mod pcapng;
mod pretty;
mod raw;
mod run;
mod schema;
