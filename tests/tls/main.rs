//! TLS on either leg: from the first byte, after STARTTLS, certificates, failures, and old clients.

#[path = "../support/secure/mod.rs"]
mod secure;

mod certificates;
mod ends;
mod failures;
mod implicit;
mod legacy;
mod legs;
mod starttls;
