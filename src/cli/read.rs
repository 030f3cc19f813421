//! The flags of `read`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::LogFlags;
use super::lint::GateFlags;

/// What stands behind its help.
pub const EXAMPLES: &str = "\
A FILE is what `imapscope proxy -w FILE` has written; - is standard input. Of a
recording in several files, give all of them in their order. Secrets that were
hidden when it was made are not in it. What others have written is read too: a
capture (pcap, pcapng) of connections without TLS; a transcript with `C: ` and
`S: ` before each line, or what swaks or `curl -v` prints; a raw log of Dovecot's
(NAME.in and NAME.out, or their folder).

A TIME is a moment (2026-03-02T10:00:00Z, or without Z in local time), a time of
the day on which the recording begins (10:00:05), or so long after its first
event (90s, 5m).

Examples:
  imapscope read session.imapscope
      the log as it was, with colours on a terminal
  imapscope read session.imapscope --conn 2 --since 10s --until 30s
      one connection, for a while
  imapscope read session.imapscope --summary
      how each connection ended, and nothing else
  imapscope read session.imapscope --conn 2 -o record:second.imapscope
      a recording of one connection, to share it
  imapscope read session.imapscope --anonymise -o record:public.imapscope
      a recording to post in public: look at it before you do
  imapscope read --follow session.imapscope
      also what is still to come
  ssh host cat session.imapscope | imapscope read -
      from elsewhere
  imapscope read session.imapscope --conn 2 --side server -o raw > octets
      the bare octets of one side
  imapscope read mail.pcap -o html:mail.html
      what tcpdump has captured, as a page";

/// Flags of `read`.
#[derive(Debug, Args)]
pub struct Read {
    /// Recordings, or one capture, transcript, or raw log of Dovecot's; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Flags for the files.
    #[command(flatten)]
    pub source: SourceFlags,
    /// Wait for more at the end of the file, and for the next files of the recording, until Ctrl-C
    #[arg(long)]
    pub follow: bool,
    /// Flags for what is shown of them.
    #[command(flatten)]
    pub selection: SelectionFlags,
    /// Replace what names people, hosts and mailboxes or was written by somebody; sizes, verbs and codes stay
    #[arg(long, visible_alias = "anonymize", conflicts_with = "show_secrets", help_heading = "Anonymising")]
    pub anonymise: bool,
    /// Give the same names the same stand-ins as another time with this text; keep it to yourself
    #[arg(
        long,
        visible_alias = "anonymize-key",
        value_name = "TEXT",
        requires = "anonymise",
        help_heading = "Anonymising"
    )]
    pub anonymise_key: Option<String>,
    /// Flags for outputs.
    #[command(flatten)]
    pub log: LogFlags,
    /// Flags for the exit code.
    #[command(flatten)]
    pub gate: GateFlags,
}

/// Flags for how files are read.
#[derive(Debug, Clone, Args, Default)]
pub struct SourceFlags {
    /// The protocol of a capture or transcript, whatever it looks like: imap, smtp, pop3, sieve, lmtp, ..., or a scheme such as imaps
    #[arg(long, value_name = "NAME")]
    pub protocol: Option<String>,
    /// The state in which connections begin, as the log spells it, where a file lacks their beginning; `greeting` for whole ones
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// A protocol description of your own, for a recording that was made with it; repeatable
    #[arg(long, value_name = "FILE")]
    pub grammar: Vec<PathBuf>,
}

/// Flags for what of a file is wanted.
#[derive(Debug, Clone, Args, Default)]
#[command(next_help_heading = "Selection")]
pub struct SelectionFlags {
    /// Only the connection of this number; repeatable
    #[arg(long, value_name = "N")]
    pub conn: Vec<u64>,
    /// Only what this side has sent
    #[arg(long, value_name = "SIDE", value_enum)]
    pub side: Option<Side>,
    /// Only what happened then or later
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only what happened before that, or then
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// What the client has sent
    Client,
    /// What the server has sent
    Server,
}
