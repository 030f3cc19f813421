//! A proxy for IMAP that was started, and what tests put on its two sides: small servers, and clients of a few lines.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc::Receiver;
use std::thread;

use socket2::{Domain, Socket, Type};

use super::{PATIENCE, Started, imapscope, lines, until};

/// A proxy that was started, and ends with the test.
pub struct Scope {
    started: Started,
    /// What it says on standard error.
    said: Receiver<String>,
    /// Where it listens.
    address: SocketAddr,
}

impl Scope {
    /// In front of this server, with these flags.
    pub fn start(server: SocketAddr, flags: &[&str]) -> Scope {
        let route = format!("127.0.0.1:0=imap://{server}");
        let arguments = [&["proxy", &route], flags].concat();
        let child = imapscope(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut started = Started(child.expect("the program starts"));
        let said = lines(started.0.stderr.take().expect("standard error is piped"));
        let line = until(&said, "listening on imap://").pop().expect("the address is printed");
        let address = listening(&line, server);
        Scope { started, said, address }
    }

    /// A client.
    pub fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// The next line that it says, and begins like this.
    pub fn told(&self, start: &str) -> String {
        loop {
            let line = self.said.recv_timeout(PATIENCE).expect("it is said in time");
            if line.starts_with(start) {
                return line;
            }
        }
    }

    /// Has it read its rules again.
    pub fn hang_up(&self) {
        self.started.signal("-HUP");
    }

    /// Ctrl-C; returns the exit code, the log, and what else was said.
    pub fn interrupt(self) -> (Option<i32>, String, String) {
        self.end("-INT")
    }

    /// Ends it with this signal; returns the exit code, the log, and what else was said.
    pub fn end(mut self, signal: &str) -> (Option<i32>, String, String) {
        self.started.signal(signal);
        let mut out = self.started.0.stdout.take().expect("standard output is piped");
        let reader = thread::spawn(move || {
            let mut log = String::new();
            out.read_to_string(&mut log).map(|_| log)
        });
        let code = self.started.code();
        let log = reader.join().expect("the reader ends").expect("the log is UTF-8");
        (code, log, self.said.iter().collect::<Vec<_>>().join("\n"))
    }
}

/// The address in the line that tells where a route listens.
pub fn listening(line: &str, server: SocketAddr) -> SocketAddr {
    let rest = line.strip_prefix("listening on imap://").expect("the line begins so");
    let (address, to) = rest.split_once(" -> ").expect("the line names both ends");
    assert_eq!(to, format!("imap://{server}"));
    address.parse().expect("an address and a port")
}

/// A client that waits for as long as is reasonable.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the proxy listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream
}

/// The next line that a client gets.
pub fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).expect("a line comes in time");
    line
}

/// A server that greets each client and then answers line by line; empty answers are not sent.
pub fn server(greeting: &'static str, answer: fn(&str) -> String) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback can be listened on");
    let address = listener.local_addr().expect("it has an address");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut stream = stream;
                let mut reader = BufReader::new(stream.try_clone()?);
                stream.write_all(greeting.as_bytes())?;
                let mut line = String::new();
                while reader.read_line(&mut line)? > 0 {
                    stream.write_all(answer(&line).as_bytes())?;
                    line.clear();
                }
                std::io::Result::Ok(())
            });
        }
    });
    address
}

/// What most commands are answered with.
pub fn answer(line: &str, what: &str) -> String {
    format!("{} {what}\r\n", line.split(' ').next().unwrap_or_default())
}

/// An address at which nobody listens, for as long as the socket is kept: a free port could be another test's next.
pub fn nobody() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    (socket, address)
}
