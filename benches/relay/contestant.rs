//! Who is measured: child processes that relay from a port of theirs to the load's server, and what the kernel says
//! about them. Knows nothing of the load.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use std::sync::Arc;

use imapscope::grammar::Grammar;
use imapscope::net::queue::channel;
use imapscope::net::tls::{Identity, Trust};
use imapscope::net::{Endpoint, Limits, Relay, Route};
use imapscope::rules::Rules;
use imapscope::session::Session;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{packed, secure};

/// Who relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `copy_bidirectional_with_sizes` with 64 KiB buffers, and nothing else but TLS where it is wanted: the unit.
    Bare,
    /// A bare copy that also inflates what the server sends, and throws it away.
    Inflate,
    /// A bare proxy that inflates it and compresses it anew.
    Repack,
    /// The relay with its sessions; the events are taken from the queue and dropped.
    Relay,
    /// The whole program, with the coloured log going to a file.
    Proxy,
    /// The same with a rule that may touch every line, and matches none.
    Rule,
}

impl Kind {
    /// As it is called in the table.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Bare => "bare",
            Kind::Relay => "relay",
            Kind::Proxy => "proxy",
            Kind::Inflate => "inflate",
            Kind::Repack => "repack",
            Kind::Rule => "rule",
        }
    }
}

/// A relay that runs as a child process.
pub struct Contestant {
    pub kind: Kind,
    pub address: SocketAddr,
    child: Child,
    log: PathBuf,
}

impl Contestant {
    /// Starts it; `None` if the program does not know how to be it yet. Where the scheme has TLS, the folder has the
    /// certificate.
    pub fn start(kind: Kind, scheme: &str, server: SocketAddr, folder: &Path) -> Option<Contestant> {
        let log = folder.join("log.txt");
        let mut command = match kind {
            Kind::Proxy | Kind::Rule => Command::new(env!("CARGO_BIN_EXE_imapscope")),
            _ => Command::new(std::env::current_exe().expect("this program has a path")),
        };
        match kind {
            Kind::Proxy | Kind::Rule => command
                .arg("proxy")
                .arg(format!("{scheme}://:0={scheme}://{server}"))
                .args(["--color", "always", "-o"])
                .arg(format!("pretty:{}", log.display())),
            _ => command.args(["--be", kind.word(), scheme]).arg(server.to_string()).arg(folder),
        };
        if kind == Kind::Rule {
            command.args(["--rule", "s/no such words here/x/"]);
        }
        if kind == Kind::Proxy && scheme == "imaps" {
            let certificate = secure::certificate(folder);
            command.arg("--cert").arg(&certificate).arg("--key").arg(secure::key(folder));
            command.arg("--server-ca").arg(certificate);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it can be started");
        let mut lines = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let mut line = String::new();
        while lines.read_line(&mut line).expect("it speaks UTF-8") > 0 {
            if let Some((_, rest)) = line.split_once(&format!("listening on {scheme}://")) {
                let address = rest.split_whitespace().next().and_then(|word| word.parse().ok());
                // Whatever it says later must not fill the pipe.
                std::thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
                return address.map(|address| Contestant { kind, address, child, log });
            }
            line.clear();
        }
        let _ = child.wait();
        None
    }

    /// Empties the log, so that a disk is not filled by what was measured already.
    pub fn empty_log(&self) {
        if let Ok(file) = fs::OpenOptions::new().write(true).open(&self.log) {
            let _ = file.set_len(0);
        }
    }

    /// Processor time that it took so far, in seconds, once it has come to rest.
    pub fn cpu_at_rest(&self) -> f64 {
        let mut last = self.cpu();
        loop {
            std::thread::sleep(Duration::from_millis(60));
            let now = self.cpu();
            if now <= last {
                return now;
            }
            last = now;
        }
    }

    /// Processor time that it took so far, in seconds; the kernel counts in hundredths.
    pub fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        (ticks(11) + ticks(12)) / 100.0
    }

    /// A figure of `/proc/PID/status`, in KiB: `VmHWM:` is the peak of its memory, `VmRSS:` what it has now.
    pub fn memory(&self, key: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0.0)
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is a contestant, until it is killed.
pub fn be(kind: &str, scheme: &str, server: &str, folder: &Path) {
    let server: SocketAddr = server.parse().expect("the server is an address");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match kind {
        "bare" if scheme == "imaps" => runtime.block_on(secure::be_bare(server, folder)),
        "bare" => runtime.block_on(be_bare(scheme, server)),
        "inflate" => runtime.block_on(packed::be_bare(server, false)),
        "repack" => runtime.block_on(packed::be_bare(server, true)),
        _ => runtime.block_on(be_relay(scheme, server, folder)),
    }
}

async fn be_bare(scheme: &str, server: SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    eprintln!("listening on {scheme}://{} -> {server}", listener.local_addr().expect("its address"));
    loop {
        let (mut client, _) = listener.accept().await.expect("a client");
        tokio::spawn(async move {
            let mut there = TcpStream::connect(server).await?;
            client.set_nodelay(true)?;
            there.set_nodelay(true)?;
            tokio::io::copy_bidirectional_with_sizes(&mut client, &mut there, 64 * 1024, 64 * 1024).await
        });
    }
}

async fn be_relay(scheme: &str, server: SocketAddr, folder: &Path) {
    let (identity, trust) = if scheme == "imaps" {
        let certificate = secure::certificate(folder);
        let identity = Identity::given(&certificate, &secure::key(folder)).expect("a certificate");
        (Some(Arc::new(identity)), Some(Arc::new(Trust::file(&certificate, false).expect("a certificate"))))
    } else {
        (None, None)
    };
    let protocol = if scheme == "imaps" { "imap" } else { scheme };
    let route = Route {
        name: Default::default(),
        listen: Endpoint::new("127.0.0.1", 0),
        server: Endpoint::new(server.ip().to_string(), server.port()),
        protocol: protocol.into(),
        scheme: scheme.into(),
        listens: scheme.into(),
        plain: protocol.into(),
        identity,
        trust,
        own: [false; 2],
        means: None,
    };
    let relay = Relay::bind(vec![route], Limits::default()).await.expect("a port");
    eprintln!("listening on {scheme}://{} -> {server}", relay.routes()[0].address);
    let (sender, mut receiver) = channel(4 << 20);
    std::thread::spawn(move || {
        while let Some(batch) = receiver.recv() {
            receiver.recycle(batch);
        }
    });
    let (_stop, stopped) = watch::channel(false);
    let grammar = Grammar::builtin(protocol).expect("the protocol is built in");
    let rules = Arc::new(Rules::default());
    let make = move |_: &Route, number| Session::new(number, grammar.clone(), rules.clone());
    relay.serve(make, sender, stopped, |notice| eprintln!("{notice}")).await;
}
