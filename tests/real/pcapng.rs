//! Captures of real sessions, looked at with tshark: it dissects what lies inside TLS and DEFLATE, finds nothing wrong, follows
//! the streams, and shows the remarks of the log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::peer::client::python;
use crate::peer::mail::{crlf, letters, messages};
use crate::peer::postfix::{self, Postfix};
use crate::peer::scope::Scope;
use crate::peer::sender::{RECIPIENT, files, sent, swaks};
use crate::peer::server::Dovecot;
use crate::peer::{PASSWORD, USER, succeed, wanted};

/// A capture in a folder of its own.
struct Shark {
    folder: tempfile::TempDir,
}

impl Shark {
    fn new() -> Shark {
        Shark { folder: tempfile::tempdir().expect("a folder") }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("session.pcapng")
    }

    /// The output that writes it.
    fn output(&self) -> String {
        format!("pcapng:{}", self.file().display())
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tshark");
        command.args(["-n", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]);
        command.env("HOME", self.folder.path()).arg("-r").arg(self.file()).args(arguments);
        String::from_utf8_lossy(&succeed(&mut command)).into_owned()
    }

    /// The values of a field where it is there, in order.
    fn field(&self, name: &str) -> Vec<String> {
        let lines = self.run(&["-Y", name, "-T", "fields", "-E", "occurrence=f", "-e", name]);
        lines.lines().map(str::to_owned).collect()
    }

    /// The client's commands by stream: `0 CAPABILITY`.
    fn commands(&self, name: &str) -> Vec<String> {
        let lines = self.run(&["-Y", name, "-T", "fields", "-E", "separator=/s", "-e", "tcp.stream", "-e", name]);
        lines.lines().map(str::to_owned).collect()
    }

    /// Nothing in it is wrong, and no secret is there.
    fn sound(&self) {
        for wrong in
            ["_ws.malformed", "tcp.analysis.flags", "tcp.checksum.status == 0", "ip.checksum.status == 0", "tls"]
        {
            let lines = self.run(&["-Y", wrong]);
            assert_eq!(lines, "", "{wrong}");
        }
        let unchecked = self.run(&["-Y", "tcp.checksum.status != 1"]);
        assert_eq!(unchecked, "", "every checksum was checked");
        let octets = fs::read(self.file()).expect("a capture");
        assert!(!octets.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes()));
    }

    /// What follows a stream shows, without its head.
    fn followed(&self, stream: usize) -> String {
        self.run(&["-q", "-z", &format!("follow,tcp,ascii,{stream}")])
    }

    fn remarks(&self) -> String {
        // All of a packet, and not its first one only.
        self.run(&["-Y", "frame.comment", "-T", "fields", "-E", "aggregator=|", "-e", "frame.comment"])
    }
}

fn curl(ca: &Path, url: &str) -> Vec<u8> {
    let mut command = Command::new("curl");
    command.args(["-q", "-sS", "--noproxy", "*", "--ssl-reqd", "--user", &format!("{USER}:{PASSWORD}"), "--cacert"]);
    succeed(command.arg(ca).arg(url))
}

#[test]
fn what_lies_behind_starttls_is_dissected() {
    if !wanted(&["dovecot", "curl", "openssl", "tshark"]) {
        return;
    }
    for (host, client) in [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")] {
        let (shark, all) = (Shark::new(), messages());
        let server = Dovecot::serving("imap+starttls", &all, "");
        let flags = ["-o", "pretty", "-o", &shark.output(), "--drop-cap", "IDLE"];
        let scope = Scope::at(host, ["imap"; 2], server.address, &server.certificate(), &flags);
        // The authority is there at once, and so the first connection is as good as any.
        let url = format!("imap://localhost:{}/INBOX;MAILINDEX=1", scope.port);
        let mut command = Command::new("curl");
        command.args(["-q", "-sS", "--noproxy", "*", "--ssl-reqd", "--user", &format!("{USER}:{PASSWORD}")]);
        command.args(["--resolve", &format!("localhost:{}:{host}", scope.port), "--cacert"]).arg(scope.ca());
        assert!(succeed(command.arg(url)) == crlf(&all[0]), "the message is read whole");
        scope.end();
        shark.sound();
        let commands = shark.commands("imap.request.command");
        let expected =
            ["0 CAPABILITY", "0 STARTTLS", "1 CAPABILITY", "1 AUTHENTICATE", "1 SELECT", "1 FETCH", "1 LOGOUT"];
        assert_eq!(commands, expected, "{host}");
        let family = if host == "[::1]" { "ipv6.src" } else { "ip.src" };
        assert_eq!(shark.field(family)[0], client);
        let followed = shark.followed(1);
        assert!(followed.contains("FETCH 1 BODY[]") && followed.contains("Subject: plain"), "{followed}");
        let remarks = shark.remarks();
        for part in
            ["TLS begins; what lies inside is another stream", "sent on instead: ", "answers A00", "closed by the"]
        {
            assert!(remarks.contains(part), "{part}: {remarks}");
        }
    }
}

#[test]
fn what_lies_inside_deflate_is_dissected() {
    if !wanted(&["dovecot", "python3", "openssl", "tshark"]) {
        return;
    }
    let plugins = "mail_plugins = zlib\nprotocol imap {\n  mail_plugins = zlib imap_zlib\n}\n";
    let (shark, all) = (Shark::new(), messages());
    let server = Dovecot::serving("imap", &all, plugins);
    let scope =
        Scope::between(["imap"; 2], server.address, &server.certificate(), &["-o", "pretty", "-o", &shark.output()]);
    python("compress.py", scope.address(), &[]);
    scope.end();
    shark.sound();
    let commands = shark.commands("imap.request.command");
    assert!(commands.contains(&"0 COMPRESS".to_owned()), "{commands:?}");
    assert_eq!(commands.iter().filter(|command| *command == "1 FETCH").count(), all.len(), "{commands:?}");
    let followed = shark.followed(1);
    for message in &all {
        let line = message.split(|&b| b == b'\n').find(|line| line.starts_with(b"Subject: ")).expect("a subject");
        assert!(followed.contains(&*String::from_utf8_lossy(line)), "{}", String::from_utf8_lossy(line));
    }
}

#[test]
fn mail_that_is_read_and_sent_is_dissected() {
    if !postfix::wanted(&["dovecot", "curl", "swaks", "openssl", "tshark"]) {
        return;
    }
    let (shark, all) = (Shark::new(), letters());
    let server = Dovecot::serving("pop3+starttls", &all, "");
    let flags = ["-o", "pretty", "-o", &shark.output()];
    let scope = Scope::start("pop3", server.address, &server.certificate(), &flags);
    assert!(curl(&scope.ca(), &format!("pop3://localhost:{}/1", scope.port)) == crlf(&all[0]));
    scope.end();
    shark.sound();
    let commands = shark.commands("pop.request.command");
    assert_eq!(commands[..2], ["0 CAPA", "0 STLS"]);
    assert!(commands.contains(&"1 RETR".to_owned()) && commands.contains(&"1 QUIT".to_owned()), "{commands:?}");

    let (shark, letters) = (Shark::new(), letters());
    let server = Postfix::start(&[&[]]);
    let flags = ["-o", "pretty", "-o", &shark.output()];
    let scope = Scope::start("smtp", server.address(), &server.certificate(), &flags);
    let paths = files(scope.folder.path(), &letters);
    sent(&swaks(scope.address(), &paths[0], &["--to", RECIPIENT]));
    sent(&swaks(scope.address(), &paths[0], &["--to", RECIPIENT, "--tls"]));
    server.take("bob", 2);
    scope.end();
    shark.sound();
    let commands = shark.commands("smtp.req.command");
    // Wireshark has four letters of a command.
    let expected = [
        "0 EHLO", "0 MAIL", "0 RCPT", "0 DATA", "0 QUIT", "1 EHLO", "1 STAR", "2 EHLO", "2 MAIL", "2 RCPT", "2 DATA",
        "2 QUIT",
    ];
    let commands: Vec<&str> = commands.iter().map(|it| it.trim_end()).collect();
    assert_eq!(commands, expected);
    assert!(shark.remarks().contains("answers DATA"), "{}", shark.remarks());
}
