//! Every flag and verb, declared once. What they mean is decided in `verb`; nothing here opens, reads or prints.

mod lint;
mod read;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use lint::EXAMPLES as LINT_EXAMPLES;
pub use lint::{GateFlags, Lint, ReportFormat};
use read::EXAMPLES as READ_EXAMPLES;
pub use read::{Read, SelectionFlags, Side, SourceFlags};

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "imapscope", version = VERSION, about, long_about = LONG_ABOUT, after_long_help = EXAMPLES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The version, and with what the program was built beside the usual.
const VERSION: &str = if cfg!(feature = "legacy-tls") {
    concat!(env!("CARGO_PKG_VERSION"), " (with legacy-tls)")
} else {
    env!("CARGO_PKG_VERSION")
};

const LONG_ABOUT: &str = "An oscilloscope for mail protocols. imapscope sits between a mail client and a mail \
server, relays every octet exactly, and shows the conversation as a person would want to read it: who said what, \
what it means, what answers what, what was advertised. And it can take a capability away, to see what the client \
does without it.";

const EXAMPLES: &str = "\
Examples:
  imapscope demo
      see what it does, in ten seconds, on embedded parts
  imapscope proxy imap://mail.example.org
      client -> 127.0.0.1:1143 -> mail.example.org:143
  imapscope proxy :2143=imap://mail.example.org --drop-cap IDLE,COMPRESS=DEFLATE
      the same on port 2143, and the client never hears of IDLE and COMPRESS
  imapscope proxy submission://mail.example.org pop3://mail.example.org
      127.0.0.1:1587 and 127.0.0.1:1110, each with its own protocol
  imapscope probe imap://mail.example.org
      what a server offers, before TLS and under it
  imapscope lint session.imapscope
      what broke a rule, who did it, and what to do
  imapscope explain QRESYNC
      what a word of the protocol means, and where it is written

`imapscope proxy --help` has more examples, and the language of rules.";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Relay, show and rewrite a conversation: the main job
    #[command(after_long_help = PROXY_EXAMPLES)]
    Proxy(Box<Proxy>),
    /// The main job on embedded parts: a small server, a small client, the real relay between them
    Demo(Demo),
    /// Show, filter or convert a recording
    #[command(after_long_help = READ_EXAMPLES)]
    Read(Box<Read>),
    /// Judge a recording, log or capture: what broke a rule, who did it, why, and what to do
    #[command(after_long_help = LINT_EXAMPLES)]
    Lint(Box<Lint>),
    /// Connect to a server, and print what it offers: before TLS, under TLS, after login, and what changed between them
    #[command(after_long_help = PROBE_EXAMPLES)]
    Probe(Box<Probe>),
    /// What a command, capability, response, code, flag or SASL mechanism means
    Explain(Explain),
    /// The protocol descriptions that imapscope works from
    #[command(subcommand)]
    Grammar(Grammar),
    /// The local certificate authority, for clients that speak TLS, and how to make them trust it
    #[command(subcommand, disable_help_subcommand = true)]
    Ca(Ca),
    /// Print a completion script for a shell
    #[command(
        after_help = "For instance: imapscope completions bash > ~/.local/share/bash-completion/completions/imapscope"
    )]
    Completions {
        /// The shell to complete for
        shell: clap_complete::Shell,
    },
    /// Print the manual page (troff)
    #[command(after_help = "For instance: imapscope man | man -l -")]
    Man,
}

const PROXY_EXAMPLES: &str = "\
A ROUTE is [LISTEN=]SERVER. SERVER is a URL: SCHEME://HOST[:PORT], with the
standard port if none is given. LISTEN is [SCHEME://][ADDRESS]:PORT, 127.0.0.1
and the standard port + 1000 if it is left out; port 0 picks a free one.
Standard error tells the addresses in use. Schemes and their standard ports:
  imap 143    smtp 25   submission 587   lmtp 24   pop3 110
  sieve 4190 (or managesieve)            nntp 119  irc 6667
and the name of every description that is loaded with --grammar FILE. With an s
behind it, TLS begins with the first octet: imaps 993, smtps and submissions
465, pop3s 995, nntps 563, ircs 6697, and others with a port. With +starttls
behind it (imap+starttls), imapscope begins TLS by itself: with a server before
all else; to clients it is offered. Either side has TLS for itself; without a
scheme in LISTEN, clients connect without.

Examples:
  imapscope proxy imap://mail.example.org
      then let the client connect to 127.0.0.1, port 1143, without encryption
  imapscope proxy :0=imap://127.0.0.1:10143 imap://mail.example.org
      two routes in one process
  imapscope proxy submission://mail.example.org --drop-cap CHUNKING,AUTH=PLAIN
      a client that sends mail, without BDAT and one of the ways to log in
  imapscope proxy imaps://imap.example.org
      a server with TLS; the client connects to 127.0.0.1, port 1143, without
  imapscope proxy imaps://:1993=imaps://imap.example.org
      TLS on both sides; `imapscope ca help` makes the client trust it
  imapscope proxy imap+starttls://imap.example.org
      TLS with the server for a client that has none
  imapscope proxy smtp://mx.example.org --replace-cap 'SIZE 52428800=SIZE 1000'
      the server seems to take small messages only
  imapscope proxy pop3://mail.example.org sieve://mail.example.org
      127.0.0.1:1110 and 127.0.0.1:5190, each with its own protocol
  imapscope proxy --grammar ftp.toml :2121=ftp://ftp.example.org
      a protocol that only a file of yours describes
  imapscope proxy imap://mail.example.org --drop-cap 'IDLE,AUTH=*' --add-cap X-A
      other capabilities, in every list that the server prints
  imapscope proxy imap://mail.example.org \\
      --rule 's/^\\* CAPABILITY .*/* CAPABILITY IMAP4rev1/ when from == server'
      any line, with sed's substitution; --rules FILE for many rules
  imapscope proxy imap://mail.example.org -o pretty -o pretty:session.log
      on the screen, and in a file (a new one with mode 0600)
  imapscope proxy imap://mail.example.org -o json -o raw:FOLDER
      for programs: an object of JSON a line, and the bare octets of each side
  imapscope proxy :0=imap://mail.example.org -- \\
      sh -c 'curl imap://$IMAPSCOPE_HOST:$IMAPSCOPE_PORT/ -u alice'
      one command, and what it said and heard

Behind -- stands a COMMAND. It is started when all routes listen, and has their
addresses in its environment: IMAPSCOPE_HOST and IMAPSCOPE_PORT of the first
route; IMAPSCOPE_HOST_IMAP and IMAPSCOPE_PORT_IMAP, ..._SUBMISSION and so on of
each, by the scheme that clients use, with _2, _3 for more of the same. Where
the log goes to standard output, what the command says goes to standard error,
behind $ (its output) and $! (its errors); with the log in a file (-o
pretty:FILE), it has the terminal for itself. When it has ended, connections may
end within 2 seconds, and its exit code is ours (128 and the number of a signal).

Rules, one to an option --rule or to a line of a file:
  drop-capability PATTERN... [enforced]
  add-capability NAME...
  only-capabilities NAME...       replace-capability OLD NEW
  s/REGEX/REPLACEMENT/flags       flags: g (all), i (any case), N (the Nth)
  replace-text \"...\"              replace-code \"[...]\"
  insert-before \"LINE\"            insert-after \"LINE\"
  drop                            refuse COMMAND [with \"NO reply\"]
  vary WHAT...                    the same in other octets: case order quoting literal slices all
  delay 2s     throttle 10k       hold, or slow down to so many octets a second
  slice N      stall              N octets a write; nothing more in this direction
  close        reset              end the connection
      these six perhaps with: at-byte N (of the literal or message that follows)
each perhaps with: when CONDITION, for instance
  when from == server && !(state == selected) && command in {FETCH, STORE}
  fields:       from conn protocol state command tag status code text size
                capability tls client user route
  comparisons:  == != ~ (regex) in {A, B}; for conn and size also < and >
--filter takes a CONDITION too, with latency (< and >), rule and check besides:
  command == FETCH && latency > 200ms || check == any
and perhaps with: once, times N, after N, chance P (10% or 0.1); each connection
counts for itself. delay and throttle act once a response; with per-line, on each line.
SIGHUP reads files of rules again. @FILE among names stands for the names in a file.
Order: --caps-like, --only-caps, --drop-cap, --replace-cap, --add-cap, --rule, --rules.

Ctrl-C ends all connections, prints their summaries and that of the run, and exits
with 0.
With --deny, a finding that is denied makes the exit code 3, unless COMMAND or
imapscope has failed: a test in a CI fails, and says who broke which rule.
Exit codes: 0 fine, 1 a failure that was reported, 2 a wrong command line, 3 a
finding that --deny names.";

/// Flags of `proxy`.
#[derive(Debug, Args)]
pub struct Proxy {
    /// Where to listen and where to connect to: [LISTEN=]SERVER
    #[arg(required = true, value_name = "ROUTE")]
    pub routes: Vec<String>,
    /// Run this against the routes, and end with it and its exit code (see below)
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
    /// A protocol description of your own, whose name is a scheme; repeatable (`grammar check` looks one through)
    #[arg(long, value_name = "FILE")]
    pub grammar: Vec<PathBuf>,
    /// Flags for rules.
    #[command(flatten)]
    pub rules: RuleFlags,
    /// Flags for TLS.
    #[command(flatten)]
    pub tls: TlsFlags,
    /// What becomes of compression (IMAP, NNTP)
    #[arg(long, value_name = "POLICY", value_enum, default_value_t = Compress::Decode, help_heading = "Compression")]
    pub compress: Compress,
    /// Flags for outputs.
    #[command(flatten)]
    pub log: LogFlags,
    /// Relay so many connections at a time; further ones are closed at once [default: 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Limits")]
    pub max_connections: Option<u32>,
    /// Close a connection on which nothing moved for so long (30s, 5m, 1h) [default: never]
    #[arg(long, value_name = "T", value_parser = duration, help_heading = "Limits")]
    pub idle_timeout: Option<Duration>,
    /// Wait so long for DNS, for each address of the server, and for each TLS handshake (500ms, 10s)
    #[arg(long, value_name = "T", value_parser = duration, default_value = "10s", help_heading = "Limits")]
    pub connect_timeout: Duration,
    /// Flags for the exit code.
    #[command(flatten)]
    pub gate: GateFlags,
}

const PROBE_EXAMPLES: &str = "\
Examples:
  imapscope probe imap://mail.example.org
      what is offered before STARTTLS, and what behind it
  imapscope probe imaps://imap.example.org --user alice
      the same before login and after it; the password is asked for
  IMAPSCOPE_PASSWORD=... imapscope probe submission://mail.example.org --user alice --format json
      for a script

imap, smtp, submission, lmtp, pop3, sieve and nntp can be asked, each with an s
behind it (TLS from the first octet) or with +starttls (as --starttls required);
nobody logs in with nntp. The ways to log in: PLAIN, LOGIN (IMAP, SMTP), USER and
PASS. A password is sent under TLS with a verified server only, unless --insecure
is given.

Exit codes: 0 fine, 1 the server cannot be asked, or not all of it (standard
error says why, and what was found is printed all the same), 2 a wrong command
line.";

/// Flags of `probe`.
#[derive(Debug, Args)]
pub struct Probe {
    /// The server: SCHEME://HOST, or SCHEME://HOST:PORT
    #[arg(value_name = "URL")]
    pub url: String,
    /// Log in as this user, with the password in IMAPSCOPE_PASSWORD or one that is asked for
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// When to begin TLS with STARTTLS, where it does not begin with the first octet
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Begin::IfOffered)]
    pub starttls: Begin,
    /// Accept any certificate, and log in without TLS where there is none
    #[arg(long)]
    pub insecure: bool,
    /// Verify the server with the certificates in this file (PEM) and no others: an authority's, or its own
    #[arg(long, value_name = "FILE")]
    pub server_ca: Option<PathBuf>,
    /// Wait so long for DNS, for each address of the server, for the TLS handshake, and for each answer (500ms, 10s)
    #[arg(long, value_name = "T", value_parser = duration, default_value = "10s")]
    pub connect_timeout: Duration,
    /// For people, or one object of JSON
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// When to use colour
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// A protocol description of your own, which says what names mean; repeatable
    #[arg(long, value_name = "FILE")]
    pub grammar: Vec<PathBuf>,
}

/// When a probe begins TLS with STARTTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Begin {
    /// Not at all
    Never,
    /// If the server offers it
    IfOffered,
    /// Always; a server that does not offer it is a failure
    Required,
}

/// For whom something is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One object of JSON
    Json,
}

/// Flags for TLS.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "TLS")]
pub struct TlsFlags {
    /// What becomes of a client's STARTTLS
    #[arg(long, value_name = "POLICY", value_enum, default_value_t = StartTls::Follow)]
    pub starttls: StartTls,
    /// Accept any certificate of a server; the log says what was wrong with it
    #[arg(long)]
    pub insecure: bool,
    /// Verify servers with the certificates in this file (PEM) and no others: an authority's, or a server's own
    #[arg(long, value_name = "FILE")]
    pub server_ca: Option<PathBuf>,
    /// Show this certificate (PEM, with its chain) to clients instead of one of the local authority
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// Flags that make rules. First `--caps-like` and `--only-caps` take away, then `--drop-cap`; then `--replace-cap` and `--add-cap` put
/// something there; `--rule` comes next, in the order of writing, and `--rules` last.
#[derive(Debug, Clone, Args, Default)]
#[command(next_help_heading = "Rules")]
pub struct RuleFlags {
    /// Take capabilities out of every list the server prints, and out of IMAP's ENABLE (AUTH=* is a pattern)
    #[arg(long, value_name = "NAME,...")]
    pub drop_cap: Vec<String>,
    /// Put capabilities into every list the server prints
    #[arg(long, value_name = "NAME,...")]
    pub add_cap: Vec<String>,
    /// Leave only the capabilities that this file has: names, or a log or transcript of another server with its lists
    #[arg(long, value_name = "FILE")]
    pub caps_like: Option<String>,
    /// Leave only these of the capabilities the server prints (in IMAP, its base IMAP4rev1 or rev2 stays unless one of
    /// them is named)
    #[arg(long, value_name = "NAME,...")]
    pub only_caps: Vec<String>,
    /// Put one capability in the place of another, perhaps with values: 'SIZE 52428800=SIZE 1000' (with = in the names:
    /// 'OLD NEW')
    #[arg(long, value_name = "OLD=NEW")]
    pub replace_cap: Vec<String>,
    /// Refuse what capabilities that are taken away would have allowed: commands, mechanisms, literals, parameters
    #[arg(long)]
    pub enforce: bool,
    /// Any rule: an action, and when it applies (see below)
    #[arg(long, value_name = "RULE")]
    pub rule: Vec<String>,
    /// A file of rules, one a line, # begins a comment
    #[arg(long, value_name = "FILE")]
    pub rules: Vec<PathBuf>,
    /// Change nothing; the log tells what rules would do
    #[arg(long)]
    pub dry_run: bool,
    /// Where the chances of rules begin, so that they are the same in every run [default: another each time, which is told]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// Flags for what is shown, and where.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct LogFlags {
    /// What goes where: pretty (the log), json, html (a page), record (a recording) or pcapng (a capture for Wireshark), to
    /// standard output, or with :FILE, which is emptied first (but a recording: see --force); raw:FOLDER, bodies:FOLDER (an
    /// empty one, or none yet); {time} in a path is the start of this run, such as 20261130T202400Z; repeatable [default:
    /// pretty]
    #[arg(short, long, value_name = "KIND[:PATH]")]
    pub output: Vec<String>,
    /// Keep everything in a recording, for `imapscope read`: short for -o record:FILE, beside the log on standard output;
    /// with {time} in its name, a new file each time
    #[arg(short = 'w', long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Overwrite a recording that exists; without it, only an empty file is recorded into
    #[arg(long)]
    pub force: bool,
    /// Begin another file (FILE.1, FILE.2, ...) when a recording has so many octets: 500k, 100M, 2G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub rotate: Option<u64>,
    /// Show only what matches, such as 'command == FETCH && latency > 200ms' (`imapscope explain filter`); recordings keep
    /// everything
    #[arg(short, long, value_name = "CONDITION")]
    pub filter: Option<String>,
    /// Show only the summary of each connection and of the run; recordings keep everything
    #[arg(long)]
    pub summary: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// How much of a literal is shown: N octets, all, or none; 1 MiB of each at the most [default: its first line]
    #[arg(long, value_name = "N|all|none")]
    pub body: Option<String>,
    /// How times are shown
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = TimeStyle::Time)]
    pub time: TimeStyle,
    /// Show passwords and tokens, which are hidden otherwise
    #[arg(long)]
    pub show_secrets: bool,
}

/// What becomes of STARTTLS on routes without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum StartTls {
    /// TLS begins on both sides, and is read between them
    #[default]
    Follow,
    /// It is passed on, and what follows is not read
    Relay,
    /// It is taken out of the lists of capabilities
    Hide,
}

/// What becomes of compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Compress {
    /// A copy is inflated for the log; the octets pass as they came, or compressed anew where rules act
    #[default]
    Decode,
    /// It is taken out of the lists of capabilities
    Hide,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless TERM is dumb; NO_COLOR: nowhere; CLICOLOR_FORCE: everywhere
    Auto,
    /// Everywhere, also in files
    Always,
    /// Never
    Never,
}

/// How times are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TimeStyle {
    /// Not at all
    None,
    /// Local time of day
    Time,
    /// Seconds since the line before
    Delta,
    /// Local date and time with the offset from UTC
    Iso,
    /// Seconds since 1970
    Epoch,
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Flags for outputs.
    #[command(flatten)]
    pub log: LogFlags,
}

/// Flags of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "For instance: QRESYNC, SELECT, UID FETCH, OVERQUOTA, AUTH=PLAIN, SCRAM-SHA-256, '\\Seen',\n\
CHUNKING, 250, 5.7.8, -ERR; tag-unknown and every other check; drop-capability and every other word of the\n\
language of rules; whole lines, such as 'a1 NO [OVERQUOTA] full' or '{21+}'; topics, such as quota")]
pub struct Explain {
    /// A word in any case, the id of a check, a line of a session, or a topic
    #[arg(required_unless_present = "json_schema", value_name = "WORD", allow_hyphen_values = true)]
    pub words: Vec<String>,
    /// A protocol description of your own, to look in too; repeatable
    #[arg(long, value_name = "FILE")]
    pub grammar: Vec<PathBuf>,
    /// Look in this protocol only
    #[arg(long, value_name = "NAME")]
    pub protocol: Option<String>,
    /// Print the JSON Schema of the json output, which says what each field means
    #[arg(long, conflicts_with = "words")]
    pub json_schema: bool,
}

/// Verbs of `grammar`.
#[derive(Debug, Subcommand)]
pub enum Grammar {
    /// The protocols that are built in
    List,
    /// Everything a protocol description holds
    Show {
        /// Its name, as `grammar list` prints it
        name: String,
    },
    /// Check a protocol description of your own
    Check {
        /// The TOML file
        file: PathBuf,
    },
}

/// Verbs of `ca`. Each makes the authority if there is none yet.
#[derive(Debug, Subcommand)]
pub enum Ca {
    /// Print where its certificate is
    Path,
    /// Print its certificate (PEM), and what it says
    Show,
    /// How to make mail clients, systems and libraries trust it
    Help,
}

/// Reads a span of time: digits and a unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a number with ms, s, m or h behind it was expected, such as 500ms, 30s, 5m".to_owned()),
    };
    match text[..digits].parse::<u64>().ok().and_then(|count| count.checked_mul(unit)) {
        Some(millis @ 1..=31_536_000_000) => Ok(Duration::from_millis(millis)),
        _ => Err("a time from 1ms to one year was expected, such as 500ms, 30s, 5m".to_owned()),
    }
}

/// Reads a number of octets: digits, and k, M or G for powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match &text[digits..] {
        "" => 0,
        "k" | "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("a number with k, M or G behind it was expected, such as 500k, 100M, 2G".to_owned()),
    };
    match text[..digits].parse::<u64>().ok().and_then(|count| count.checked_mul(1 << unit)) {
        Some(size @ 1024..) => Ok(size),
        _ => Err("a size from 1k on was expected, such as 500k, 100M, 2G".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_have_units_and_bounds() {
        assert_eq!(size("2k"), Ok(2048));
        assert_eq!(size("1024"), Ok(1024));
        assert_eq!(size("3G"), Ok(3 << 30));
        for wrong in ["", "0", "1023", "1", "M", "5T", "-2k", "99999999999999999999k", "1é"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_have_units_and_bounds() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        for wrong in ["", "0s", "1d", "-1s", "s", "99999999999999999999s", "1é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
