//! What ends the program, whatever its outputs, its files and its command do meanwhile; and what it says of pipes that
//! nobody writes to.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::program::scope::{Scope, answer, connect, line, listening, server};
use crate::program::{PROGRAM, Started, imapscope, lines, until};
use tempfile::TempDir;

/// How much a flooding server says: more than pipes hold.
const FLOOD: usize = 1 << 20;

/// A pipe with a name.
fn fifo(folder: &TempDir, name: &str) -> PathBuf {
    let path = folder.path().join(name);
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
    path
}

/// A server that says [`FLOOD`] bytes in short lines to whoever comes.
fn flood() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback can be listened on");
    let address = listener.local_addr().expect("it has an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream
                .write_all(b"* PREAUTH hi\r\n")
                .and_then(|()| stream.write_all(&b"* 1 EXISTS\r\n".repeat(FLOOD / 12)));
            let _ = stream.read(&mut [0]);
        }
    });
    address
}

/// A proxy in front of this server, with these flags; its lines on standard error, and where it listens.
fn start(mut command: Command, server: SocketAddr) -> (Started, std::sync::mpsc::Receiver<String>, SocketAddr) {
    let mut started = Started(command.stderr(Stdio::piped()).spawn().expect("the program starts"));
    let said = lines(started.0.stderr.take().expect("standard error is piped"));
    let line = until(&said, "listening on imap://").pop().expect("the address is printed");
    let address = listening(&line, server);
    (started, said, address)
}

fn proxy(server: SocketAddr, flags: &[&str]) -> Command {
    let mut command = imapscope(&["proxy", &format!("127.0.0.1:0=imap://{server}")]);
    command.args(flags).stdout(Stdio::null());
    command
}

#[test]
fn an_output_that_nobody_reads_does_not_keep_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = flood();
    for (kind, signal) in [("pretty", "-INT"), ("json", "-TERM"), ("record", "-HUP")] {
        let path = fifo(&folder, kind);
        let opened = thread::spawn({
            let path = path.clone();
            move || File::open(path).expect("the pipe can be read")
        });
        let output = format!("{kind}:{}", path.display());
        let (mut started, said, address) = start(proxy(server, &["-o", &output]), server);
        let reader = opened.join().expect("both ends are open");
        let mut client = connect(address);
        // The log of this is more than the pipe holds, and less than waits in memory.
        client.read_exact(&mut vec![0; FLOOD / 10]).expect("it is relayed");
        started.signal(signal);
        assert_eq!(started.code(), Some(1), "{kind}");
        let said: Vec<String> = said.iter().collect();
        assert!(said.iter().any(|line| line.contains("an output took nothing")), "{kind}: {said:?}");
        drop(reader);
    }
}

#[test]
fn a_standard_error_that_nobody_reads_does_not_keep_the_command() {
    let (_port, nobody) = crate::program::scope::nobody();
    let mut command = proxy(nobody, &["--", "sh", "-c", "yes"]);
    let mut started = Started(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"));
    // What the command says is shown there, and fills the pipe.
    let mut said = started.0.stderr.take().expect("it is piped");
    said.read_exact(&mut [0; 4096]).expect("the command runs");
    thread::sleep(std::time::Duration::from_millis(300));
    started.signal("-TERM");
    assert!(started.code().is_some());
}

#[test]
fn a_hangup_ends_with_a_summary_where_it_reads_no_rules() {
    let server = server("* OK hi\r\n", |line| answer(line, "OK done"));
    let scope = Scope::start(server, &[]);
    let mut client = BufReader::new(scope.connect());
    assert_eq!(line(&mut client), "* OK hi\r\n");
    let (code, log, said) = scope.end("-HUP");
    assert_eq!(code, Some(0), "{said}");
    assert!(log.contains("ended by imapscope") && log.contains("octets from the server"), "{log}");
}

#[test]
fn a_hangup_that_was_ignored_stays_ignored() {
    let server = server("* OK hi\r\n", |line| answer(line, "OK done"));
    let route = format!("127.0.0.1:0=imap://{server}");
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh", PROGRAM, "proxy", &route]).stdout(Stdio::null());
    let (mut started, _said, address) = start(command, server);
    started.signal("-HUP");
    // It is there, and works.
    for _ in 0..3 {
        assert_eq!(line(&mut BufReader::new(connect(address))), "* OK hi\r\n");
    }
    started.signal("-INT");
    assert_eq!(started.code(), Some(0));
}

#[test]
fn files_of_rules_that_have_become_pipes_do_not_stop_the_signals() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server("* OK hi\r\n", |line| answer(line, "OK done"));
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("a file");
        path
    };
    let name = |path: &Path| path.display().to_string();
    let rules = write("rules", "drop-capability IDLE\n");
    let caps = write("caps", "IMAP4rev1\n");
    let names = write("names", "IMAP4rev1 MOVE\n");
    let named = write("naming", &format!("only-capabilities @{}\n", names.display()));
    for (flag, file, gone) in [("--rules", &rules, &rules), ("--caps-like", &caps, &caps), ("--rules", &named, &names)]
    {
        let (mut started, said, address) = start(proxy(server, &[flag, &name(file)]), server);
        fs::remove_file(gone).expect("it is there");
        fifo(&folder, &gone.file_name().expect("a name").to_string_lossy());
        started.signal("-HUP");
        let told = until(&said, "the old rules stay");
        assert!(told.iter().any(|line| line.contains("not a regular file")), "{told:?}");
        assert_eq!(line(&mut BufReader::new(connect(address))), "* OK hi\r\n");
        started.signal("-TERM");
        assert_eq!(started.code(), Some(0));
    }
}

#[test]
fn whoever_waits_for_a_pipe_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_port, nobody) = crate::program::scope::nobody();
    let rules = fifo(&folder, "rules");
    let rules = rules.display().to_string();
    let mut command = proxy(nobody, &["--rules", &rules]);
    let mut started = Started(command.stderr(Stdio::piped()).spawn().expect("the program starts"));
    let said = lines(started.0.stderr.take().expect("it is piped"));
    until(&said, &format!("waiting for a program that writes to the pipe {rules}"));
    fs::write(&rules, "drop-capability IDLE\n").expect("somebody reads");
    until(&said, "listening on");
    started.signal("-INT");
    assert_eq!(started.code(), Some(0));
    for arguments in [&["read", &rules][..], &["read", "--follow", &rules], &["grammar", "check", &rules]] {
        let child = imapscope(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut started = Started(child.expect("the program starts"));
        let said = lines(started.0.stderr.take().expect("it is piped"));
        until(&said, "waiting for a program that writes to the pipe");
    }
}
