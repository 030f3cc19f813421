//! TLS on a leg: whom we say we are ([`Identity`], with an [`Authority`] of our own behind it), whom we believe
//! ([`Trust`]), the two handshakes, and what is said when one fails. Knows nothing of what goes through it then.

mod authority;
mod certificate;
mod failure;
mod fault;
pub(super) mod handshake;
mod hello;
mod identity;
pub mod key_log;
#[cfg(feature = "legacy-tls")]
mod legacy;
#[cfg(feature = "legacy-tls")]
mod legacy_stream;
mod means;
mod trust;

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use authority::Authority;
pub(super) use failure::{Terms, broken, unanswered};
pub use identity::Identity;
use key_log::key_log;
#[cfg(feature = "legacy-tls")]
pub(super) use legacy_stream::LegacyStream;
pub use means::Means;
pub use trust::Trust;

use crate::problem::Problem;

/// Whether clients that rustls cannot serve are served with OpenSSL.
pub const LEGACY: bool = cfg!(feature = "legacy-tls");

/// The algorithms. Named wherever a configuration begins: a default of the process could be another one.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A file of certificates or keys that cannot be used. `origin` is the option or the purpose.
fn unusable(origin: &str, file: &Path, what: &str, help: &str) -> Problem {
    let place = if origin.is_empty() { file.display().to_string() } else { format!("{origin} {}", file.display()) };
    Problem::new(place, what, help)
}
