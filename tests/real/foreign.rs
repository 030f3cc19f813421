//! What other programs write of real sessions, read back: a capture by dumpcap, Dovecot's raw log, and what swaks and curl print.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use imapscope::event::Peer;
use imapscope::foreign::{self, Piece, Times};

use crate::peer::client::python;
use crate::peer::mail::{letters, messages};
use crate::peer::postfix::{self, Postfix};
use crate::peer::sender::{RECIPIENT, SENDER, files};
use crate::peer::server::Dovecot;
use crate::peer::tee::Tee;
use crate::peer::{PASSWORD, USER, run, signal, wait_until};

/// A capture of loopback that goes on.
struct Dumpcap(Child);

impl Dumpcap {
    fn start(port: u16, file: &Path) -> Dumpcap {
        let mut command = Command::new("dumpcap");
        command.args(["-q", "-i", "lo", "-f", &format!("tcp port {port}"), "-w"]).arg(file);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let begun = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("File:"));
        assert!(begun.is_some(), "dumpcap captures on loopback");
        // It says no more than its head until it ends; that fits the pipe, which must stay open.
        std::mem::forget(lines);
        Dumpcap(child)
    }

    /// Ends it once its file rests, and has so many octets at least: it writes at its leisure, and what it has not taken from
    /// the system when it ends is lost.
    fn end(mut self, file: &Path, octets: u64) {
        let mut seen = (0, Instant::now());
        wait_until("all is captured", || {
            let len = fs::metadata(file).map_or(0, |it| it.len());
            if len != seen.0 {
                seen = (len, Instant::now());
            }
            len > octets && seen.1.elapsed() > Duration::from_secs(3)
        });
        signal(&self.0, "-INT");
        assert!(self.0.wait().expect("it ends").success());
    }
}

impl Drop for Dumpcap {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What was said on each connection, `[client, server]`, and what was remarked.
fn told(path: &Path, protocol: Option<&str>) -> (Vec<[Vec<u8>; 2]>, Vec<String>, Times) {
    let pieces = foreign::open(path, protocol).expect("it can be read");
    let times = pieces.times;
    let (mut said, mut remarks): (Vec<[Vec<u8>; 2]>, Vec<String>) = Default::default();
    for piece in pieces {
        match piece {
            Piece::Opened { protocol, .. } => {
                assert!(protocol.is_some());
                said.push(Default::default());
            }
            Piece::Octets { connection, from, bytes, .. } => {
                said[connection as usize - 1][from.index()].extend(bytes);
            }
            Piece::Remark { text, .. } => remarks.push(text),
            Piece::TlsFirst { .. }
            | Piece::Tls { .. }
            | Piece::Lost { .. }
            | Piece::Behind { .. }
            | Piece::LeftOut { .. }
            | Piece::Closed { .. } => {}
        }
    }
    (said, remarks, times)
}

#[test]
fn captures_and_raw_logs_hold_what_was_said() {
    if !postfix::wanted(&["dovecot", "python3", "dumpcap"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let logs = folder.path().join("rawlog");
    fs::create_dir(&logs).expect("a folder");
    for path in [folder.path(), &logs] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("it is ours");
    }
    let server = Dovecot::serving("imap", &messages(), &format!("rawlog_dir = {}\n", logs.display()));
    let near = Tee::start(server.address);
    let file = folder.path().join("session.pcapng");
    let capture = Dumpcap::start(server.address.port(), &file);
    python("session.py", near.address, &["idle", "literal+", "condstore"]);
    near.wait_for_the_end();
    let records = near.records();
    let octets: usize = records.iter().map(|record| record.client.len() + record.server.len()).sum();
    capture.end(&file, octets as u64);

    let (mut said, remarks, times) = told(&file, None);
    assert_eq!(times, Times::Known);
    // On loopback nothing is lost.
    assert!(!remarks.iter().any(|remark| remark.contains("not in the capture")), "{remarks:?}");
    // The test's own question whether the server listens was before, and python asks several times.
    let mut expected: Vec<[Vec<u8>; 2]> =
        records.iter().map(|record| [record.client.clone(), record.server.clone()]).collect();
    said.sort();
    expected.sort();
    let lens = |all: &[[Vec<u8>; 2]]| all.iter().map(|one| one.each_ref().map(Vec::len)).collect::<Vec<_>>();
    assert!(said == expected, "all is as it was seen on the way: {:?}, {:?}", lens(&said), lens(&expected));

    // The raw log begins behind the login.
    let (said, remarks, times) = told(&logs, Some("imap"));
    assert_eq!(times, Times::Known, "{remarks:?}");
    assert_eq!(said.len(), expected.len());
    for [client, server] in &said {
        assert!(!client.is_empty() && !server.is_empty());
        let fits = |[whole, answers]: &[Vec<u8>; 2]| whole.ends_with(client) && answers.ends_with(server);
        assert!(expected.iter().any(fits), "{}\n{}", client.escape_ascii(), server.escape_ascii());
    }
}

#[test]
fn what_swaks_and_curl_print_is_what_was_said() {
    if !postfix::wanted(&["swaks", "curl", "dovecot"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Postfix::start(&[&[]]);
    let near = Tee::start(server.address());
    let mut command = Command::new("swaks");
    command.args([
        "--server",
        "127.0.0.1",
        "--port",
        &near.address.port().to_string(),
        "--to",
        RECIPIENT,
        "--from",
        SENDER,
    ]);
    command.args(["--helo", "client.example.org", "--data"]);
    command.arg(format!("@{}", files(folder.path(), &letters())[0].display())).env("HOME", folder.path());
    let output = run(&mut command);
    assert!(output.status.success());
    near.wait_for_the_end();
    let file = folder.path().join("swaks.txt");
    fs::write(&file, &output.stdout).expect("a file");
    let (said, _, _) = told(&file, None);
    let record = &near.records()[0];
    let show = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    assert_eq!(show(&said[0][1]), show(&record.server));
    assert_eq!(show(&said[0][0]), show(&record.client));

    let server = Dovecot::start(&messages());
    let near = Tee::start(server.address);
    let url = format!("imap://{}/INBOX;MAILINDEX=1", near.address);
    let mut command = Command::new("curl");
    command.args(["-q", "-sv", "--noproxy", "*", "--user", &format!("{USER}:{PASSWORD}"), &url]);
    let output = run(&mut command);
    assert!(output.status.success());
    near.wait_for_the_end();
    let file = folder.path().join("curl.txt");
    fs::write(&file, &output.stderr).expect("a file");
    let (said, _, _) = told(&file, None);
    // curl prints neither how it takes its leave nor the message.
    let client = near.records()[0].client_text();
    assert_eq!(client.strip_prefix(&show(&said[0][Peer::Client.index()])), Some("A005 LOGOUT\r\n"));
    let server = show(&said[0][1]);
    assert!(server.contains("BODY[] {168}\r\n)\r\nA004 OK Fetch completed"), "{server}");
}
