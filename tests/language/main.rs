//! The language of rules and conditions: edits, variation, filters, and the faults that rules inject.

#[path = "../support/pipe/mod.rs"]
mod pipe;
#[path = "../support/rig/mod.rs"]
mod rig;
#[path = "../support/ruled/mod.rs"]
mod ruled;
#[path = "../support/secure/mod.rs"]
mod secure;

mod edit;
mod faults;
mod faults_relay;
mod filter;
mod meaning;
mod vary;
mod wake;
