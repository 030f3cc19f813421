//! The load under a layer: a small IMAP server and its clients, one thread a connection, whose octets go through TLS or
//! DEFLATE (`secure.rs`, `packed.rs`). What comes in bulk is read to its end without being looked at, or the load would
//! take more of the processors than those who relay. Knows nothing of who relays.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::load::discard_all;

/// One end of a connection with its layer.
pub trait Wire: Read + Write {
    /// Sends the octets of the large literal.
    fn pour(&mut self, octets: u64) -> io::Result<()>;

    /// The layer begins here, if it begins in the middle.
    fn begin(&mut self) {}

    /// Sends what is left, and that no more will come.
    fn finish(&mut self) -> io::Result<()>;

    /// The socket below the layer.
    fn socket(&self) -> &TcpStream;
}

/// How one end of a fresh connection comes to its layer.
pub type Open<W> = dyn Fn(TcpStream) -> io::Result<W> + Send + Sync;

/// Starts a server whose large literal has so many octets; it lives as long as the process.
pub fn serve<W: Wire + 'static>(open: Arc<Open<W>>, literal: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let open = open.clone();
            let builder = thread::Builder::new().stack_size(256 * 1024);
            // Its errors are the client's business.
            builder.spawn(move || open(socket).and_then(|mut wire| converse(&mut wire, literal))).expect("a thread");
        }
    });
    address
}

fn converse(wire: &mut impl Wire, literal: u64) -> io::Result<()> {
    wire.socket().set_nodelay(true)?;
    wire.write_all(b"* OK [CAPABILITY IMAP4rev1 IDLE COMPRESS=DEFLATE] ready\r\n")?;
    let mut held = Vec::new();
    loop {
        let line = match held.iter().position(|octet| *octet == b'\n') {
            Some(end) => String::from_utf8_lossy(&held.drain(..=end).collect::<Vec<u8>>()).into_owned(),
            None => {
                let mut buffer = [0; 1024];
                match wire.read(&mut buffer)? {
                    0 => return Ok(()),
                    count => held.extend_from_slice(&buffer[..count]),
                }
                continue;
            }
        };
        let mut words = line.trim_end().split(' ');
        let (tag, verb) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match verb {
            "FETCH" => {
                wire.write_all(format!("* 1 FETCH (BODY[] {{{literal}}}\r\n").as_bytes())?;
                wire.pour(literal)?;
                wire.write_all(b")\r\n")?;
            }
            "LOGOUT" => wire.write_all(b"* BYE\r\n")?,
            _ => {}
        }
        wire.write_all(format!("{tag} OK {verb} completed\r\n").as_bytes())?;
        match verb {
            "COMPRESS" => wire.begin(),
            "LOGOUT" => return wire.finish(),
            _ => {}
        }
    }
}

/// A client with a connection.
pub struct Client<W> {
    wire: W,
    buffer: Vec<u8>,
}

impl<W: Wire> Client<W> {
    /// Connects, reads the greeting and logs in. `buffer` is the size of its reads, in octets.
    pub fn enter(open: &Open<W>, address: SocketAddr, buffer: usize) -> Client<W> {
        let socket = TcpStream::connect(address).expect("the relay listens");
        socket.set_nodelay(true).expect("a fresh socket");
        let wire = open(socket).expect("the layer begins");
        let mut client = Client { wire, buffer: vec![0; buffer] };
        client.read_to(b" ready\r\n");
        client.ask("a LOGIN tim secret-word");
        client
    }

    /// Sends a command and reads until it is completed.
    pub fn ask(&mut self, command: &str) {
        self.say(command);
        self.read_to(b" completed\r\n");
    }

    /// Begins DEFLATE.
    pub fn compress(&mut self) {
        self.ask("z COMPRESS DEFLATE");
        self.wire.begin();
    }

    /// Has the server send its large literal and then close. Returns the octets that came until then, as they came;
    /// they are not looked at.
    pub fn gulp(&mut self) -> u64 {
        self.say("b FETCH 1 BODY[]\r\nc LOGOUT");
        discard_all(self.wire.socket()).expect("the relay lives")
    }

    /// The same, and looks at them: panics if they are not what the server says, literal and all. Returns how many
    /// there were without the layer.
    pub fn check(&mut self, literal: u64) -> u64 {
        self.say("b FETCH 1 BODY[]\r\nc LOGOUT");
        let head = format!("* 1 FETCH (BODY[] {{{literal}}}\r\n");
        let tail = ")\r\nb OK FETCH completed\r\n* BYE\r\nc OK LOGOUT completed\r\n";
        let (mut all, mut first, mut last) = (0, Vec::new(), Vec::new());
        loop {
            let count = self.wire.read(&mut self.buffer).expect("the relay lives and its octets are sound");
            if count == 0 {
                break;
            }
            let new = &self.buffer[..count];
            all += count as u64;
            first.extend_from_slice(&new[..count.min(head.len() - first.len())]);
            last.extend_from_slice(&new[count.saturating_sub(tail.len())..]);
            last.drain(..last.len().saturating_sub(tail.len()));
        }
        assert_eq!((first.as_slice(), last.as_slice()), (head.as_bytes(), tail.as_bytes()));
        assert_eq!(all, (head.len() + tail.len()) as u64 + literal);
        all
    }

    /// How long each of so many NOOPs takes, one after the other.
    pub fn knock(&mut self, rounds: usize) -> Vec<Duration> {
        let knock = |n| {
            let begun = Instant::now();
            self.ask(&format!("n{n} NOOP"));
            begun.elapsed()
        };
        (0..rounds).map(knock).collect()
    }

    /// What lies below.
    pub fn wire(&self) -> &W {
        &self.wire
    }

    fn say(&mut self, line: &str) {
        self.wire.write_all(format!("{line}\r\n").as_bytes()).expect("the relay takes it");
    }

    fn read_to(&mut self, end: &[u8]) {
        let mut tail: Vec<u8> = Vec::with_capacity(64);
        while tail != end {
            let count = self.wire.read(&mut self.buffer).expect("the relay lives");
            assert!(count > 0, "the relay closed the connection");
            let new = &self.buffer[..count];
            tail.extend_from_slice(&new[count.saturating_sub(end.len())..]);
            tail.drain(..tail.len().saturating_sub(end.len()));
        }
    }
}
