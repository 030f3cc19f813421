//! The whole stand: client - tee - imapscope - tee - server, and what must hold of it whoever the client is.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::hide::hide;
use super::server::Dovecot;
use super::tee::{Record, Tee};
use super::{PASSWORD, USER, read_again, signal, wait_until};

/// The rules of the matrix: none, each alone, all. QRESYNC implies CONDSTORE, so hiding only the latter hides little.
pub const MATRIX: [&[&str]; 6] = [
    &[],
    &["IDLE"],
    &["LITERAL+"],
    &["CONDSTORE"],
    &["CONDSTORE", "QRESYNC"],
    &["IDLE", "LITERAL+", "CONDSTORE", "QRESYNC"],
];

/// A server, a proxy that drops capabilities, and records of both its sides.
pub struct Stand<S = Dovecot> {
    scheme: &'static str,
    dropped: Vec<String>,
    folder: tempfile::TempDir,
    process: Process,
    /// Where the proxy itself listens: nothing is recorded of clients that connect there.
    pub proxy: SocketAddr,
    near: Tee,
    far: Tee,
    /// Behind everything.
    pub server: S,
}

/// The proxy while it runs.
struct Process(Child);

/// What sessions left behind on both sides, not compared yet.
pub struct Both {
    /// The proxy's pretty log.
    pub log: String,
    /// What clients sent and were sent.
    pub near: Vec<Record>,
    /// What the server was sent and sent.
    pub far: Vec<Record>,
}

/// What a session left behind.
pub struct Outcome {
    /// The proxy's pretty log.
    pub log: String,
    /// What clients sent and were sent.
    pub records: Vec<Record>,
}

impl Stand {
    /// Sets up everything; the server's INBOX holds these messages.
    pub fn start(dropped: &[&str], messages: &[Vec<u8>]) -> Stand {
        let server = Dovecot::start(messages);
        Stand::between("imap", dropped, server.address, server)
    }
}

impl<S> Stand<S> {
    /// Sets up everything in front of a server that runs already.
    pub fn between(scheme: &'static str, dropped: &[&str], address: SocketAddr, server: S) -> Stand<S> {
        let flags = dropped.iter().flat_map(|name| ["--drop-cap", name]).collect::<Vec<_>>();
        Stand {
            dropped: dropped.iter().map(|name| (*name).to_owned()).collect(),
            ..Stand::ruled(scheme, &flags, address, server)
        }
    }

    /// The same with any flags of the proxy.
    pub fn ruled(scheme: &'static str, flags: &[&str], address: SocketAddr, server: S) -> Stand<S> {
        let far = Tee::start(address);
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_imapscope"));
        command.arg("proxy").arg(format!("127.0.0.1:0={scheme}://{}", far.address)).args(flags);
        // What a client does under TLS must not depend on whom it trusts.
        command.args(["--starttls", "relay"]);
        command.args(["--color", "never", "-o"]).arg(format!("pretty:{}", log_file(folder.path()).display()));
        command.arg("-w").arg(folder.path().join("recording"));
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "IMAPSCOPE_LOG"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut scope = command.spawn().expect("imapscope starts");
        let proxy = listening(&mut scope);
        Stand {
            scheme,
            dropped: Vec::new(),
            folder,
            process: Process(scope),
            proxy,
            near: Tee::start(proxy),
            far,
            server,
        }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.near.address
    }

    /// A folder for the client's own files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The client's side while the session goes on.
    pub fn near(&self) -> &Tee {
        &self.near
    }

    /// What the log says so far.
    pub fn log(&self) -> String {
        fs::read(log_file(self.folder.path()))
            .map_or_else(|_| String::new(), |log| String::from_utf8_lossy(&log).into_owned())
    }

    /// Whether a rule hides this from the client.
    pub fn drops(&self, capability: &str) -> bool {
        self.dropped.iter().any(|name| name == capability)
    }

    /// Ends the proxy with Ctrl-C after the clients have gone, and checks all that does not depend on the client:
    /// what passed is what was sent, but for the capabilities dropped; the log tells of all of it and of no password.
    pub fn finish(self) -> Outcome {
        let (scheme, dropped) = (self.scheme, self.dropped.clone());
        let Both { log, near, far } = self.end();
        assert_eq!(near.len(), far.len(), "a connection for each connection");
        assert!(!near.is_empty(), "a client came");
        // Connections that open at the same time may be in another order on the other side.
        for record in &near {
            let same = far
                .iter()
                .any(|other| other.client == record.client && hide(scheme, &other.server, &dropped) == record.server);
            assert!(same, "what passed is what was sent:\n{}", excerpt(record));
            let counts = format!("{} octets from the client", grouped(record.client.len()));
            assert!(log.contains(&counts) || record.client.is_empty(), "the log counts '{counts}':\n{}", tail(&log));
        }
        for name in dropped {
            assert!(log.contains(&format!("rule `--drop-cap {name}`: applied")), "the rule was used:\n{}", tail(&log));
        }
        Outcome { log, records: near }
    }

    /// Ends the proxy with Ctrl-C after the clients have gone, and checks what holds whatever the rules are: its end is a
    /// good one, and the log tells no password.
    pub fn end(mut self) -> Both {
        self.near.wait_for_the_end();
        self.far.wait_for_the_end();
        let scope = &mut self.process.0;
        signal(scope, "-INT");
        let mut status = None;
        wait_until("imapscope has ended", || {
            status = scope.try_wait().expect("the child can be asked");
            status.is_some()
        });
        assert_eq!(status.and_then(|status| status.code()), Some(0), "Ctrl-C is a good end");
        let log = String::from_utf8(fs::read(log_file(self.folder.path())).expect("a log")).expect("the log is UTF-8");
        if let Some(folder) = std::env::var_os("IMAPSCOPE_KEEP_LOGS") {
            let name = thread::current().name().unwrap_or("test").replace("::", "-");
            fs::write(Path::new(&folder).join(format!("{name}-{}.log", self.dropped.join("-"))), &log).expect("a file");
        }
        let recording = self.folder.path().join("recording");
        assert!(read_again(&recording) == log, "the recording gives the same log:\n{}", tail(&log));
        let recording = fs::read_to_string(recording).expect("a recording is UTF-8");
        // As it is, and as SASL carries it with PLAIN and LOGIN.
        let carried = [format!("\0{USER}\0{PASSWORD}"), PASSWORD.to_owned()].map(|text| STANDARD.encode(text));
        for secret in [PASSWORD, carried[0].trim_end_matches('='), carried[1].trim_end_matches('=')] {
            assert!(!log.contains(secret), "the log shows no password:\n{}", tail(&log));
            assert!(!recording.contains(secret), "the recording has no password:\n{}", tail(&log));
        }
        assert!(!log.contains('\x1b'), "no colour");
        Both { log, near: self.near.records(), far: self.far.records() }
    }
}

/// Client, tee and a server that offers these capabilities and no other; no proxy. Returns what passed.
pub fn without_proxy(capabilities: &str, messages: &[Vec<u8>], client: impl Fn(&Tee, &Path)) -> Vec<Record> {
    let server = Dovecot::offering(messages, capabilities);
    directly(server.address, client)
}

/// Client, tee and a server that runs already; no proxy. Returns what passed.
pub fn directly(server: SocketAddr, client: impl FnOnce(&Tee, &Path)) -> Vec<Record> {
    let (near, folder) = (Tee::start(server), tempfile::tempdir().expect("a folder"));
    client(&near, folder.path());
    near.wait_for_the_end();
    near.records()
}

/// The commands that clients sent, without tags and message texts: sorted, each once, so that time plays no part.
pub fn commands(records: &[Record]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for record in records {
        let text = record.client_text();
        // Tags end at the first blank; what mbsync and NeoMutt begin a command with is all digits but for one letter.
        let tag = |word: &str| word.trim_start_matches('a').bytes().all(|octet| octet.is_ascii_digit());
        let lines = text.lines().filter_map(|line| line.split_once(' ').filter(|(word, _)| tag(word)));
        found.extend(lines.map(|(_, command)| command.to_owned()));
    }
    found
}

/// The longest list of capabilities that a client was given, which is the one after login.
pub fn offered(records: &[Record]) -> String {
    let text = records.iter().map(|record| String::from_utf8_lossy(&record.server)).collect::<String>();
    let lists = text.lines().filter_map(|line| line.split_once(" OK [CAPABILITY ")?.1.split_once(']'));
    lists.map(|(list, _)| list.to_owned()).max_by_key(String::len).expect("a list of capabilities")
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Outcome {
    /// Whether any client sent a line with this in it.
    pub fn sent(&self, text: &str) -> bool {
        self.records.iter().any(|record| record.client_text().contains(text))
    }

    /// Whether any client sent both without waiting for an answer between them.
    pub fn at_once(&self, one: &str, other: &str) -> bool {
        self.records.iter().any(|record| record.at_once(one, other))
    }

    /// Whether any client announced a literal in this way: `}` waits, `+}` does not.
    pub fn announced(&self, end: &str) -> bool {
        let announced = |line: &str| {
            line.strip_suffix(end)
                .and_then(|rest| rest.rsplit_once('{'))
                .is_some_and(|(_, count)| !count.is_empty() && count.bytes().all(|octet| octet.is_ascii_digit()))
        };
        // Only APPEND announces literals here that are no part of a message.
        self.records.iter().any(|record| {
            record.client_text().lines().any(|line| line.contains(" APPEND ") && announced(line.trim_end()))
        })
    }

    /// Whether the log shows a line of a client that ends so.
    pub fn logged_command(&self, end: &str) -> bool {
        self.log.lines().any(|line| (line.contains(" C: ") || line.contains(" C* ")) && line.ends_with(end))
    }

    /// Fails if the log says of a peer that it broke a rule: they are in wide use, and their sessions here go well.
    pub fn blameless(&self) {
        let blame = self.log.lines().filter(|line| line.trim_start().starts_with("! ")).collect::<Vec<_>>();
        assert!(blame.is_empty(), "nobody broke a rule: {blame:#?}\n{}", tail(&self.log));
    }

    /// Fails if the log does not have this.
    pub fn logged(&self, text: &str) {
        assert!(self.log.contains(text), "'{text}' is in the log:\n{}", tail(&self.log));
    }
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("scope.log")
}

/// Reads the address the proxy prints; goes on reading so that it never waits for us.
fn listening(scope: &mut Child) -> SocketAddr {
    let mut lines = BufReader::new(scope.stderr.take().expect("standard error is piped")).lines();
    let address = loop {
        let line = lines.next().expect("the address is printed").expect("a line");
        if let Some((route, _)) = line.strip_prefix("listening on ").and_then(|rest| rest.split_once(" -> ")) {
            break route.rsplit('/').next().unwrap_or_default().parse().expect("an address and a port");
        }
    };
    thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("imapscope: {line}")));
    address
}

/// A number as the log writes it.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The end of a log, short enough to be read.
pub fn tail(log: &str) -> String {
    let lines = log.lines().collect::<Vec<_>>();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// The end of what was recorded, short enough to be read.
fn excerpt(record: &Record) -> String {
    let tail = |bytes: &[u8]| String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(2000)..]).into_owned();
    format!("client:\n{}\nserver:\n{}", tail(&record.client), tail(&record.server))
}
