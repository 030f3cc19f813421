//! Real servers and clients of all mail protocols with imapscope between them: runs with `IMAPSCOPE_REAL=1`.

mod foreign;
mod imap;
mod job;
mod lmtp;
mod middle;
mod own;
mod own_client;
mod page;
mod pcapng;
mod peer;
mod pop3;
mod secured;
mod sieve;
mod smtp;
mod submission;
mod table;
mod tls;
mod trouble;
mod vary;
