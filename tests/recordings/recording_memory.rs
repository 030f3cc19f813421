//! Recording and reading take bounded memory, however long the conversation is. The figures are those of the program itself.
//! Linux only, where the memory of a process can be read.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

const PATIENCE: Duration = Duration::from_secs(120);

/// What the peak may be, in KiB: the queue to the log has 8 MiB of octets, and each line is an event besides; what waits between
/// the threads of `read` is less. It must not grow with the conversation.
const CEILING: u64 = 64 * 1024;

/// The octets of a literal, and as many of lines.
const SIZE: usize = 40 << 20;

struct Started(Child);

impl Started {
    fn new(arguments: &[&str]) -> Started {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imapscope"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Started(command.spawn().expect("the program starts"))
    }

    /// The most memory that it has had, in KiB.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux tells");
        line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).expect("a number")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a literal of octets that are no UTF-8, and lines.
fn flood(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(format!("* PREAUTH hi\r\n* 1 FETCH (BODY[] {{{SIZE}}}\r\n").as_bytes())?;
    let piece = [b'x', 0xff, b'"', 0].repeat(16 * 1024);
    for _ in 0..SIZE / piece.len() {
        stream.write_all(&piece)?;
    }
    stream.write_all(b")\r\n")?;
    let lines = format!("* 2 FETCH (FLAGS (\\Seen) X \"{}\")\r\n", "x".repeat(200)).repeat(100);
    for _ in 0..SIZE / lines.len() {
        stream.write_all(lines.as_bytes())?;
    }
    stream.write_all(b"* BYE that was all\r\n")
}

/// The last octets of a file.
fn end(file: &str) -> String {
    let mut file = fs::File::open(file).expect("it is there");
    let size = file.metadata().expect("it is there").len();
    file.seek(SeekFrom::Start(size.saturating_sub(1000))).expect("it is a file");
    let mut end = Vec::new();
    file.read_to_end(&mut end).expect("it can be read");
    String::from_utf8_lossy(&end).into_owned()
}

#[test]
fn a_long_session_is_recorded_and_read_in_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("recording").display().to_string();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback can be listened on");
    let route = format!("127.0.0.1:0=imap://{}", listener.local_addr().expect("an address"));
    let mut scope = Started::new(&["proxy", &route, "-w", &file, "-o", "pretty:/dev/null"]);
    let said = BufReader::new(scope.0.stderr.take().expect("it is piped")).lines().next();
    let said = said.expect("a line").expect("UTF-8");
    let address =
        said.split(['/', ' ']).find_map(|word| word.parse::<std::net::SocketAddr>().ok()).expect("an address");
    let server = thread::spawn(move || flood(listener.accept()?.0));
    let mut client = TcpStream::connect(address).expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    std::io::copy(&mut client, &mut std::io::sink()).expect("all of it arrives");
    server.join().expect("it ends").expect("all of it was sent");
    drop(client);
    let deadline = Instant::now() + PATIENCE;
    while !end(&file).contains("\"closed\":") {
        assert!(Instant::now() < deadline, "the end is recorded in time");
        thread::sleep(Duration::from_millis(50));
    }
    let recorded = scope.peak();
    drop(scope);
    let size = fs::metadata(&file).expect("it is there").len();
    assert!(size > 2 * SIZE as u64, "all of it is there: {size}");

    let mut read = Started::new(&["read", "--follow", &file]);
    let log = BufReader::new(read.0.stdout.take().expect("it is piped"));
    let last = log.lines().map_while(Result::ok).any(|line| line.contains("octets from the client"));
    assert!(last, "it is read to the end");
    let shown = read.peak();
    println!("{recorded} KiB to record, {shown} KiB to read {size} octets");
    assert!(recorded < CEILING && shown < CEILING, "{recorded} KiB to record, {shown} KiB to read");
}
