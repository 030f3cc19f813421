//! What the log says: the dialogue files, the explainer, and secrets that must not be in either.

#[path = "../support/canary/mod.rs"]
mod canary;
#[path = "../support/dialogue/mod.rs"]
mod dialogue;
#[path = "../support/lanes/mod.rs"]
mod lanes;
#[path = "../support/ruled/mod.rs"]
mod ruled;
#[path = "../support/thorough/mod.rs"]
mod thorough;

mod checks;
mod dialogues;
mod exchange;
mod explain;
mod incidents;
mod refused;
mod search;
mod secrets;
mod secrets_early;
mod secrets_mail;
mod secrets_shape;
mod talk;
mod verdict;
mod waits;
