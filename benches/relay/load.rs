//! The load: an IMAP server and clients on blocking sockets, one thread a connection, that spend as little as they can
//! themselves, or the relay would wait for them: much is read without being copied. Knows nothing of who relays.

use std::io::{BufRead, BufReader, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use socket2::SockRef;

/// How much is read or written at once, in octets: what stays in a processor's cache.
const PIECE: usize = 128 * 1024;

/// Linux: the octets that are received are thrown away, not copied (`MSG_TRUNC`, tcp(7)).
const UNSEEN: i32 = 0x20;

/// Sizes of what the server sends.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Octets of the one large literal.
    pub literal: u64,
    /// Octets of FETCH lines in answer to one large FETCH.
    pub lines: u64,
}

/// Starts the server; it lives as long as the process.
pub fn serve(sizes: Sizes) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let stock = Arc::new(Stock { sizes, lines: fetch_lines(1, 160, 800), headers: fetch_lines(1, 100, 300) });
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let stock = stock.clone();
            let builder = thread::Builder::new().stack_size(128 * 1024);
            builder.spawn(move || stock.serve(socket)).expect("a thread");
        }
    });
    address
}

struct Stock {
    sizes: Sizes,
    lines: Vec<u8>,
    headers: Vec<u8>,
}

/// Lines as a server answers FETCH with, each `size` octets long.
pub fn fetch_lines(first: u32, count: u32, size: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(count as usize * size);
    for n in first..first + count {
        let mut line = format!(
            "* {n} FETCH (UID {} FLAGS (\\Seen \\Answered $Label{}) INTERNALDATE \"17-Jul-2024 02:44:{:02} -0700\" \
             RFC822.SIZE {}",
            n * 3,
            n % 7,
            n % 60,
            n * 1021
        );
        if size > 400 {
            line += &format!(
                " ENVELOPE (\"Wed, 17 Jul 2024 02:23:25 -0700 (PDT)\" \"Report number {n}\" \
                 ((\"Terry Gray\" NIL \"gray\" \"example.org\")) ((\"Terry Gray\" NIL \"gray\" \"example.org\")) \
                 ((\"Terry Gray\" NIL \"gray\" \"example.org\")) ((NIL NIL \"imap\" \"example.org\")) \
                 ((NIL NIL \"minutes\" \"example.com\")(\"John Klensin\" NIL \"klensin\" \"example.com\")) NIL NIL \
                 \"<B27397-{n}@example.org>\") BODY (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"UTF-8\") NIL NIL \"8BIT\" 3028 92)"
            );
        }
        let used = line.len() + " X-NOTE \"\")\r\n".len();
        line += &format!(" X-NOTE \"{}\")\r\n", "n".repeat(size.saturating_sub(used)));
        all.extend_from_slice(line.as_bytes());
    }
    all
}

/// Sends `stock` over and over, `octets` in all.
pub fn repeat(mut to: &TcpStream, stock: &[u8], mut octets: u64) -> std::io::Result<()> {
    while octets > 0 {
        let now = stock.len().min(usize::try_from(octets).unwrap_or(usize::MAX));
        to.write_all(&stock[..now])?;
        octets -= now as u64;
    }
    Ok(())
}

/// Reads `octets` and throws them away.
pub fn discard(from: &TcpStream, mut octets: u64) -> std::io::Result<()> {
    let mut buffer = vec![MaybeUninit::uninit(); PIECE];
    while octets > 0 {
        let want = buffer.len().min(usize::try_from(octets).unwrap_or(usize::MAX));
        match SockRef::from(from).recv_with_flags(&mut buffer[..want], UNSEEN)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => octets -= count as u64,
        }
    }
    Ok(())
}

/// Reads to the end and throws it away; returns how many octets that were.
pub fn discard_all(from: &TcpStream) -> std::io::Result<u64> {
    let mut buffer = vec![MaybeUninit::uninit(); PIECE];
    let mut all = 0;
    loop {
        match SockRef::from(from).recv_with_flags(&mut buffer, UNSEEN)? {
            0 => return Ok(all),
            count => all += count as u64,
        }
    }
}

impl Stock {
    /// A connection: its errors are the client's business.
    fn serve(&self, socket: TcpStream) {
        let _ = self.converse(&socket);
    }

    fn converse(&self, mut to: &TcpStream) -> std::io::Result<()> {
        to.set_nodelay(true)?;
        let mut from = BufReader::with_capacity(8 * 1024, to);
        to.write_all(b"* OK [CAPABILITY IMAP4rev1 LITERAL+ IDLE UIDPLUS ENABLE CONDSTORE] ready\r\n")?;
        let mut line = String::new();
        while from.read_line(&mut line)? > 0 {
            let mut words = line.trim_end().split(' ');
            let (tag, verb) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let last = words.next_back().unwrap_or_default();
            let done = format!("{tag} OK {verb} completed\r\n");
            match (verb, last) {
                ("CAPABILITY", _) => {
                    to.write_all(b"* CAPABILITY IMAP4rev1 LITERAL+ IDLE UIDPLUS ENABLE CONDSTORE\r\n")?
                }
                ("LIST", _) => {
                    let line = |n: u32| format!("* LIST (\\HasNoChildren) \"/\" \"Archive/Year {n}\"\r\n");
                    to.write_all((0..20).map(line).collect::<String>().as_bytes())?;
                }
                ("SELECT", _) => to.write_all(
                    b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n* 172 EXISTS\r\n* 1 RECENT\r\n\
                      * OK [UIDVALIDITY 3857529045] UIDs valid\r\n* OK [UIDNEXT 4392] Predicted next UID\r\n",
                )?,
                ("FETCH", "BODY[]") => {
                    write!(to, "* 1 FETCH (BODY[] {{{}}}\r\n", self.sizes.literal)?;
                    repeat(to, &vec![b'x'; PIECE], self.sizes.literal)?;
                    to.write_all(b")\r\n")?;
                }
                ("FETCH", "ENVELOPE") => {
                    let whole = self.sizes.lines / self.lines.len() as u64 * self.lines.len() as u64;
                    repeat(to, &self.lines, whole)?;
                }
                ("FETCH", "BODY.PEEK[]") => {
                    to.write_all(b"* 7 FETCH (BODY[] {20000}\r\n")?;
                    repeat(to, &vec![b'y'; 20_000], 20_000)?;
                    to.write_all(b")\r\n")?;
                }
                ("FETCH", _) => to.write_all(&self.headers)?,
                ("IDLE", _) => {
                    to.write_all(b"+ idling\r\n")?;
                    line.clear();
                    from.read_line(&mut line)?;
                }
                ("APPEND", literal) => {
                    let count = literal.trim_matches(['{', '}', '+']).parse().unwrap_or(0);
                    let held = (from.buffer().len() as u64).min(count);
                    from.consume(held as usize);
                    discard(to, count - held)?;
                    from.read_line(&mut String::new())?;
                }
                ("LOGOUT", _) => {
                    to.write_all(b"* BYE\r\n")?;
                    return to.write_all(done.as_bytes());
                }
                _ => {}
            }
            to.write_all(done.as_bytes())?;
            line.clear();
        }
        Ok(())
    }
}

/// A client with a connection.
pub struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects and reads the greeting. `buffer` is the size of its reads, in octets.
    pub fn connect(address: SocketAddr, buffer: usize) -> Client {
        let socket = TcpStream::connect(address).expect("the relay listens");
        socket.set_nodelay(true).expect("a fresh socket");
        let mut client = Client { socket, buffer: vec![0; buffer] };
        client.read_to(b" ready\r\n");
        client
    }

    /// Connects, logs in and selects a mailbox.
    pub fn selected(address: SocketAddr, buffer: usize) -> Client {
        let mut client = Client::connect(address, buffer);
        client.ask("a LOGIN tim secret-word");
        client.ask("b SELECT INBOX");
        client
    }

    /// Sends a command and reads until it is completed.
    pub fn ask(&mut self, command: &str) {
        self.say(&format!("{command}\r\n"));
        self.read_to(b" completed\r\n");
    }

    /// Sends a line.
    pub fn say(&mut self, line: &str) {
        self.socket.write_all(line.as_bytes()).expect("the relay takes it");
    }

    /// Reads until what came ends with `end`.
    pub fn read_to(&mut self, end: &[u8]) {
        let mut tail: Vec<u8> = Vec::with_capacity(64);
        loop {
            let count = self.socket.read(&mut self.buffer).expect("the relay lives");
            assert!(count > 0, "the relay closed the connection");
            let new = &self.buffer[..count];
            tail.extend_from_slice(&new[count.saturating_sub(end.len())..]);
            tail.drain(..tail.len().saturating_sub(end.len()));
            if tail == end {
                return;
            }
        }
    }

    /// Sends a command whose answer is `octets` long or longer, and reads until it is completed.
    pub fn ask_much(&mut self, command: &str, octets: u64) {
        self.say(&format!("{command}\r\n"));
        discard(&self.socket, octets).expect("the relay lives");
        self.read_to(b" completed\r\n");
    }

    /// Sends `stock` over and over, `octets` in all.
    pub fn pour(&self, stock: &[u8], octets: u64) {
        repeat(&self.socket, stock, octets).expect("the relay takes it");
    }

    /// Reads `octets` and throws them away.
    pub fn drain(&self, octets: u64) {
        discard(&self.socket, octets).expect("the relay lives");
    }

    /// Appends a message of `octets`.
    pub fn append(&mut self, tag: &str, octets: u64) {
        self.say(&format!("{tag} APPEND Sent (\\Seen) {{{octets}+}}\r\n"));
        repeat(&self.socket, &vec![b'z'; PIECE.min(octets as usize)], octets).expect("the relay takes it");
        self.say("\r\n");
        self.read_to(b" completed\r\n");
    }

    /// What a mail program does when it looks for new mail.
    pub fn typical(address: SocketAddr) {
        let mut client = Client::connect(address, 64 * 1024);
        client.ask("a1 CAPABILITY");
        client.ask("a2 LOGIN tim secret-word");
        client.ask("a3 LIST \"\" \"*\"");
        client.ask("a4 SELECT INBOX");
        client.ask("a5 FETCH 1:100 (UID FLAGS INTERNALDATE)");
        for n in 6..11 {
            client.ask(&format!("a{n} FETCH 7 BODY.PEEK[]"));
        }
        client.ask("a11 STORE 7 +FLAGS (\\Seen)");
        client.append("a12", 5_000);
        client.ask("a13 NOOP");
        client.ask("a14 LOGOUT");
    }
}
