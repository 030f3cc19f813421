//! The program with every output that is a file, and bombs thrown at it. Linux, where the memory of another process can be read.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::bomb::Bomb;
use crate::program::{PATIENCE, Started, imapscope, lines, until};

/// A running program, and a server in front of which it is.
pub struct Proxy {
    /// It ends with the test.
    pub program: Started,
    address: SocketAddr,
    server: TcpListener,
}

impl Proxy {
    /// The program, which writes whatever it can into a folder; with `edit`, a rule may act on all that passes.
    pub fn start(folder: &Path, edit: bool) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let route = format!(":0=imap://{}", server.local_addr().expect("it is bound"));
        let mut arguments = vec!["proxy".to_owned(), route];
        for kind in ["pretty", "json", "html", "pcapng", "raw", "bodies", "record"] {
            arguments.extend(["-o".to_owned(), format!("{kind}:{}", folder.join(kind).display())]);
        }
        if edit {
            arguments.extend(["--rule", "s/nowhere/x/"].map(str::to_owned));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut child =
            imapscope(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program runs");
        let said = lines(child.stderr.take().expect("piped"));
        let program = Started(child);
        let listening = until(&said, "listening on").pop().expect("a line");
        let address = listening.split("://").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
        Proxy { program, address: address.parse().expect("an address"), server }
    }

    /// A client and its server, past the greeting.
    pub fn pair(&self) -> [TcpStream; 2] {
        let client = TcpStream::connect(self.address).expect("it listens");
        let (server, _) = self.server.accept().expect("it connects");
        let mut pair = [client, server];
        pair.iter().for_each(|end| {
            end.set_read_timeout(Some(PATIENCE)).expect("a time");
            end.set_nodelay(true).expect("an option");
        });
        say(&mut pair, 1, "* PREAUTH hi\r\n");
        pair
    }

    /// Returns the peak of its resident memory, in KiB.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.program.0.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a figure");
        line.trim().split(' ').next().and_then(|figure| figure.parse().ok()).expect("a number")
    }
}

/// One end says a line, and the other hears it.
fn say(pair: &mut [TcpStream; 2], from: usize, line: &str) {
    pair[from].write_all(line.as_bytes()).expect("it is sent");
    let mut heard = vec![0; line.len()];
    pair[1 - from].read_exact(&mut heard).expect("it arrives");
    assert_eq!(heard, line.as_bytes());
}

/// Sends a bomb from one end, and reads at the other; both go on until the connection ends.
pub fn throw(mut pair: [TcpStream; 2], from: usize, bomb: &Bomb) {
    if bomb.packed {
        say(&mut pair, 0, "z COMPRESS DEFLATE\r\n");
        say(&mut pair, 1, "z OK\r\n");
    }
    let [client, server] = pair;
    let (mut sender, mut reader) = if from == 0 { (client, server) } else { (server, client) };
    let wire = bomb.wire.clone();
    thread::spawn(move || {
        // It may end before all is sent.
        let _ = sender.set_write_timeout(None);
        let _ = sender.write_all(&wire);
        let _ = sender.read_to_end(&mut Vec::new());
    });
    let _ = reader.set_read_timeout(None);
    thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
}

/// How long a command and its answer take, the worst of some.
pub fn worst(pair: &mut [TcpStream; 2], time: Duration) -> Duration {
    let (begun, mut worst) = (Instant::now(), Duration::ZERO);
    while begun.elapsed() < time {
        let now = Instant::now();
        say(pair, 0, "a NOOP\r\n");
        say(pair, 1, "a OK\r\n");
        worst = worst.max(now.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    worst
}
