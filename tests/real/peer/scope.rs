//! The proxy with TLS: in front of a server with a certificate of its own, with an authority of its own for clients.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{PASSWORD, read_again, signal, succeed};

/// The proxy between two legs under TLS.
pub struct Scope {
    child: Child,
    /// A folder of its own, where clients may have their files too.
    pub folder: tempfile::TempDir,
    /// Where it listens on loopback.
    pub port: u16,
}

impl Scope {
    /// Starts it in front of a server that shows this certificate of its own; the same scheme on both sides. Its authority
    /// is there at once.
    pub fn start(scheme: &str, server: SocketAddr, certificate: &Path, flags: &[&str]) -> Scope {
        Scope::between([scheme, scheme], server, certificate, flags)
    }

    /// The same with a scheme for each side, `[client, server]`.
    pub fn between(schemes: [&str; 2], server: SocketAddr, certificate: &Path, flags: &[&str]) -> Scope {
        Scope::at("127.0.0.1", schemes, server, certificate, flags)
    }

    /// The same on another address.
    pub fn at(host: &str, schemes: [&str; 2], server: SocketAddr, certificate: &Path, flags: &[&str]) -> Scope {
        let [listens, scheme] = schemes;
        let folder = tempfile::tempdir().expect("a folder");
        succeed(
            Command::new(env!("CARGO_BIN_EXE_imapscope")).args(["ca", "path"]).env("IMAPSCOPE_HOME", folder.path()),
        );
        let mut command = Command::new(env!("CARGO_BIN_EXE_imapscope"));
        command.args(["proxy", &format!("{listens}://{host}:0={scheme}://localhost:{}", server.port())]);
        command.arg("--server-ca").arg(certificate).args(flags);
        command.arg("-w").arg(folder.path().join("recording"));
        command.env("IMAPSCOPE_HOME", folder.path()).env_remove("SSLKEYLOGFILE").env_remove("CLICOLOR_FORCE");
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command.stdout(fs::File::create(folder.path().join("log")).expect("a file"));
        let mut child = command.spawn().expect("imapscope starts");
        // Warnings may come first.
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map(|line| line.expect("a line"));
        let said = lines.find(|line| line.starts_with("listening on ")).expect("it listens");
        let address = said.split(" -> ").next().expect("the address is printed");
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        Scope { child, folder, port }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The certificate of its authority.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Ends it; returns the log.
    pub fn end(mut self) -> String {
        signal(&self.child, "-INT");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
        let mut log = String::new();
        fs::File::open(self.folder.path().join("log")).expect("a log").read_to_string(&mut log).expect("UTF-8");
        assert!(!log.contains(PASSWORD), "{log}");
        let recording = self.folder.path().join("recording");
        assert!(read_again(&recording) == log, "the recording gives the same log:\n{log}");
        assert!(!fs::read_to_string(recording).expect("a recording is UTF-8").contains(PASSWORD), "{log}");
        log
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
