//! What the tests against real peers stand on: private servers, the proxy, and a recording tee on either side of it.
//! Knows nothing of what imapscope is made of: it sees what a user sees, and the bytes on both sides.

pub mod client;
pub mod hide;
pub mod mail;
pub mod postfix;
pub mod refusal;
pub mod scope;
pub mod sender;
pub mod server;
pub mod stand;
pub mod tee;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

/// No wait takes longer.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The user every server here knows.
pub const USER: &str = "alice";

/// The password; must appear in no log.
pub const PASSWORD: &str = "canary-Pw7-of-alice";

/// Whether these tests shall run. Then a program that is missing is a failure, not an excuse.
pub fn wanted(needs: &[&str]) -> bool {
    if std::env::var_os("IMAPSCOPE_REAL").is_some_and(|value| value == "1") {
        for program in needs {
            let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().expect("sh runs");
            assert!(found.status.success(), "IMAPSCOPE_REAL=1, but `{program}` is not installed");
        }
        return true;
    }
    println!("not run: set IMAPSCOPE_REAL=1 (needs {})", needs.join(", "));
    false
}

/// Asks again and again until it is so; fails with `what` when that takes too long.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A port of loopback for a server that cannot be given port 0. It is bound for as long as this lives and not listened
/// on: the system gives it to nobody else meanwhile, and lets the server, which asks for it by number, listen there.
pub struct Port {
    _bound: TcpSocket,
    /// Where to listen.
    pub address: SocketAddr,
}

impl Port {
    /// One that nobody has.
    pub fn reserve() -> Port {
        let bound = TcpSocket::new_v4().expect("a socket");
        // The server asks for the same: only then may two have one port while neither listens.
        bound.set_reuseaddr(true).expect("it may be shared");
        bound.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("loopback can be bound");
        let address = bound.local_addr().expect("it has an address");
        Port { _bound: bound, address }
    }
}

/// Sends a signal to a program that we started.
pub fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().expect("kill runs").success());
}

/// Runs a program to its end under a time limit; `timeout` ends it and what it started.
pub fn run(command: &mut Command) -> Output {
    fed(command, b"")
}

/// The same, with this as its standard input.
pub fn fed(command: &mut Command, input: &[u8]) -> Output {
    let mut limited = Command::new("timeout");
    limited.args(["-k", "5", &PATIENCE.as_secs().to_string()]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = limited.spawn().expect("timeout runs");
    // Who refuses may not read to the end.
    let _ = child.stdin.take().expect("standard input is piped").write_all(input);
    child.wait_with_output().expect("it ends")
}

/// The log that a recording gives.
pub fn read_again(recording: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imapscope"));
    command.args(["read", "--color", "never"]).arg(recording);
    let log = String::from_utf8(succeed(&mut command)).expect("the log is UTF-8");
    // Real servers answer, or say why not: whoever is accused of less is accused falsely.
    assert!(!log.contains("closed-without-answer"), "{log}");
    log
}

/// Runs a program that must succeed; returns its standard output.
pub fn succeed(command: &mut Command) -> Vec<u8> {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?} failed, {}:\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Writes `key.pem` and `cert.pem` into this folder: TLS that nobody trusts.
pub fn certificate(folder: &Path) {
    let (key, cert) = (folder.join("key.pem"), folder.join("cert.pem"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]);
    succeed(
        command
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&cert),
    );
    assert!(fs::metadata(&key).is_ok() && fs::metadata(&cert).is_ok(), "openssl wrote both");
}
