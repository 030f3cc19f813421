//! Finds a secret, or a part of one, in what a test may see. The search is done by the regex crate, which is optimised even
//! where the tests are not: these tests look through hundreds of megabytes.
#![allow(dead_code)] // each area uses a part

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::bytes::{Regex, RegexBuilder};

/// Bytes in a row that are too many, whatever a chunk or the end of a text does to a secret.
pub const PART: usize = 5;

/// The parts of secrets, as one pattern.
pub struct Parts(Regex);

impl Parts {
    /// Five bytes in a row of any of these, in this case; compiled once for the same ones.
    pub fn of(secrets: &[&str]) -> Arc<Self> {
        static KNOWN: Mutex<BTreeMap<String, Arc<Parts>>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(secrets.join("\n")).or_insert_with(|| Arc::new(Self::pattern(secrets, PART, false))).clone()
    }

    /// So many bytes in a row of any of these, in any case.
    pub fn in_any_case<T: AsRef<[u8]>>(secrets: impl IntoIterator<Item = T>, size: usize) -> Self {
        Self::pattern(secrets, size, true)
    }

    fn pattern<T: AsRef<[u8]>>(secrets: impl IntoIterator<Item = T>, size: usize, any_case: bool) -> Self {
        let escaped = |part: &[u8]| part.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        let mut parts = Vec::new();
        for secret in secrets {
            assert!(secret.as_ref().len() >= size, "a secret is long enough to be found");
            parts.extend(secret.as_ref().windows(size).map(escaped));
        }
        assert!(!parts.is_empty(), "there is something to look for");
        let pattern = RegexBuilder::new(&parts.join("|")).unicode(false).case_insensitive(any_case).build();
        Parts(pattern.expect("a pattern of bytes"))
    }

    /// Returns true if a part of a secret is in `bytes`.
    pub fn are_in(&self, bytes: &[u8]) -> bool {
        self.0.is_match(bytes)
    }
}
