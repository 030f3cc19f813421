//! TLS on a leg: whom we say we are ([`Identity`], with an [`Authority`] of our own behind it), whom we believe
//! ([`Trust`]), the two handshakes, and what is said when one fails. Knows nothing of what goes through it then.

mod authority;
mod certificate;
mod failure;
mod fault;
pub(super) mod handshake;
mod identity;
mod means;
mod trust;

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{KeyLog, KeyLogFile};

pub use authority::Authority;
pub(super) use failure::{Terms, broken};
pub use identity::Identity;
pub use means::Means;
pub use trust::Trust;

use crate::problem::Problem;

/// The algorithms. Named wherever a configuration begins: a default of the process could be another one.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Where the secrets of connections are written: into the file that SSLKEYLOGFILE names, if it names one.
fn key_log() -> Arc<dyn KeyLog> {
    Arc::new(KeyLogFile::new())
}

/// A file of certificates or keys that cannot be used. `origin` is the option or the purpose.
fn unusable(origin: &str, file: &Path, what: &str, help: &str) -> Problem {
    let place = if origin.is_empty() { file.display().to_string() } else { format!("{origin} {}", file.display()) };
    Problem::new(place, what, help)
}
