//! Cutting and reading: where a text ends, and what it is. Sees octets only: no grammar, no session, no clock.
