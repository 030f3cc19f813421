//! The protocol descriptions are complete, and wrong ones are refused with the place.

mod description;
mod imap;
mod line;
mod pasted;
mod pop;
mod smtp;
