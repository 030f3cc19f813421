//! `imapscope demo`: a small server, a small client, and the real relay between them, on loopback. Nothing of the log
//! is made up: server and client talk through sockets, and what is shown is what the relay saw.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::proxy::bind;
use super::route::Route;
use super::scope::{self, Plan, RuleSets, Shared, tell};
use super::secure::Secure;
use super::{log, rules};
use crate::cli::{self, RuleFlags};
use crate::grammar::Grammar;
use crate::net::Limits;
use crate::problem::Problem;

/// What the demo drops, as it would be given to `--drop-cap`.
const DROPPED: &str = "LITERAL+";

/// No part of the demo may take longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The message in the demo's mailbox.
const MESSAGE: &str = "Return-Path: <bob@example.org>\r\n\
    Date: Mon, 2 Mar 2026 10:00:00 +0000\r\n\
    From: Bob <bob@example.org>\r\n\
    To: Alice <alice@example.org>\r\n\
    Subject: Lunch?\r\n\
    Message-ID: <1@example.org>\r\n\
    \r\n\
    Twelve, at the usual place?\r\n";

const ENVELOPE: &str = "(\"Mon, 2 Mar 2026 10:00:00 +0000\" \"Lunch?\" ((\"Bob\" NIL \"bob\" \"example.org\")) \
    ((\"Bob\" NIL \"bob\" \"example.org\")) ((\"Bob\" NIL \"bob\" \"example.org\")) \
    ((\"Alice\" NIL \"alice\" \"example.org\")) NIL NIL NIL \"<1@example.org>\")";

/// Runs the demo. Returns 1 if it did not go as it should.
///
/// # Errors
/// A flag that cannot be meant.
pub fn run(flags: &cli::Demo) -> Result<u8, Problem> {
    let rules = Arc::new(rules(&RuleFlags { drop_cap: vec![DROPPED.to_owned()], ..RuleFlags::default() })?);
    let filter = log::filter(&flags.log)?;
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let server = listener.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    let server = server.and_then(|listener| listener.local_addr().map(|address| (listener, address)));
    let (listener, address) = match server {
        Ok(server) => server,
        Err(error) => return Ok(failed(&error)),
    };
    let written = format!(":0=imap://{address}");
    let route = Route::parse(&written)?;
    let grammar = Grammar::builtin(&route.protocol).expect("routes name built-in grammars");
    let head = log::head(std::slice::from_ref(&written), std::slice::from_ref(&grammar), &flags.log);
    let sinks = log::open(&flags.log, filter.as_ref(), &head, None)?;
    tell("A small server, a small client, and imapscope between them, as if you had started");
    tell(&format!("  imapscope proxy {}=imap://{address} --drop-cap {DROPPED}", route.listen));
    tell("The server offers LITERAL+, the client never hears of it: see how it sends its message.");
    let plan = Plan {
        routes: vec![bind(route, 1, &written, &Secure::default())],
        limits: Limits::default(),
        grammars: vec![grammar],
        rules: Shared::new(RuleSets { rules, offering: Vec::new() }),
        sinks,
        show_secrets: flags.log.show_secrets,
    };
    let code = scope::run(plan, |addresses| async move {
        let both = async { tokio::try_join!(serve(listener), talk(addresses[0])) };
        match timeout(PATIENCE, both).await.unwrap_or_else(|late| Err(late.into())) {
            Ok(_) => 0,
            Err(error) => failed(&error),
        }
    })?;
    if code == 0 {
        tell("Now yours: imapscope proxy imap://YOUR.SERVER, and let the client connect to 127.0.0.1, port 1143.");
    }
    Ok(code)
}

fn failed(error: &io::Error) -> u8 {
    tell(&format!("error: the demo did not go as it should: {error}"));
    1
}

/// Serves one connection, until the client logs out.
async fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    let (socket, _) = TcpListener::from_std(listener)?.accept().await?;
    Server(Line::new(socket)).run().await
}

/// Talks to the server behind `address` like a careful mail client: it uses what it is offered, and nothing else.
async fn talk(address: SocketAddr) -> io::Result<()> {
    Client { line: Line::new(TcpStream::connect(address).await?), tag: 0 }.run().await
}

/// A connection, line by line.
struct Line {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Line {
    fn new(socket: TcpStream) -> Self {
        // Without it, small writes wait for one another; if it cannot be had, the demo is only slower.
        let _ = socket.set_nodelay(true);
        let (read, write) = socket.into_split();
        Line { read: BufReader::new(read), write }
    }

    async fn next(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.read.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    async fn send(&mut self, text: &str) -> io::Result<()> {
        self.write.write_all(format!("{text}\r\n").as_bytes()).await
    }

    /// Reads to the end: the other side has closed, and the relay in between has seen it.
    async fn drain(&mut self) -> io::Result<()> {
        while self.read.read_u8().await.is_ok() {}
        Ok(())
    }

    /// Reads a literal of the length that `line` announces at its end, if it announces one.
    async fn literal(&mut self, line: &str) -> io::Result<usize> {
        let announced = line.strip_suffix('}').and_then(|line| line.rsplit_once('{'));
        let Some(count) = announced.and_then(|(_, count)| count.trim_end_matches('+').parse::<u16>().ok()) else {
            return Ok(0);
        };
        let mut octets = vec![0; usize::from(count)];
        self.read.read_exact(&mut octets).await
    }
}

/// The demo's server.
struct Server(Line);

impl Server {
    async fn run(&mut self) -> io::Result<()> {
        const BEFORE: &str = "IMAP4rev1 SASL-IR LITERAL+ ID ENABLE IDLE AUTH=PLAIN";
        const AFTER: &str = "IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MOVE CONDSTORE SPECIAL-USE";
        let mut messages = 1;
        self.0.send(&format!("* OK [CAPABILITY {BEFORE}] demo server ready")).await?;
        loop {
            let line = self.0.next().await?;
            let mut words = line.split(' ');
            let (tag, verb) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let done = match verb.to_ascii_uppercase().as_str() {
                "LOGIN" => format!("OK [CAPABILITY {AFTER}] Logged in"),
                "SELECT" => {
                    self.0.send("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)").await?;
                    self.0.send(&format!("* {messages} EXISTS")).await?;
                    self.0.send("* OK [UIDVALIDITY 1767225600] UIDs valid").await?;
                    sleep(Duration::from_millis(12)).await;
                    "OK [READ-WRITE] Select completed".to_owned()
                }
                "FETCH" => {
                    let size = MESSAGE.len();
                    self.0.send(&format!("* 1 FETCH (FLAGS () ENVELOPE {ENVELOPE} BODY[] {{{size}}}")).await?;
                    self.0.write.write_all(MESSAGE.as_bytes()).await?;
                    self.0.send(")").await?;
                    sleep(Duration::from_millis(43)).await;
                    "OK Fetch completed".to_owned()
                }
                "APPEND" => {
                    if line.ends_with('}') && !line.ends_with("+}") {
                        self.0.send("+ OK").await?;
                    }
                    self.0.literal(&line).await?;
                    self.0.next().await?;
                    messages += 1;
                    self.0.send(&format!("* {messages} EXISTS")).await?;
                    format!("OK [APPENDUID 1767225600 {messages}] Append completed")
                }
                "IDLE" => {
                    self.0.send("+ idling").await?;
                    sleep(Duration::from_millis(400)).await;
                    messages += 1;
                    self.0.send(&format!("* {messages} EXISTS")).await?;
                    self.0.next().await?;
                    "OK Idle completed".to_owned()
                }
                "LOGOUT" => {
                    self.0.send("* BYE Logging out").await?;
                    self.0.send(&format!("{tag} OK Logout completed")).await?;
                    self.0.write.shutdown().await?;
                    return self.0.drain().await;
                }
                "NOOP" => "OK Nothing done".to_owned(),
                _ => "BAD Unknown command".to_owned(),
            };
            self.0.send(&format!("{tag} {done}")).await?;
        }
    }
}

/// The demo's client.
struct Client {
    line: Line,
    tag: u32,
}

impl Client {
    async fn run(&mut self) -> io::Result<()> {
        self.line.next().await?;
        let login = self.command("LOGIN alice \"correct horse\"").await?;
        let offers = |name: &str| login.split([' ', '[', ']']).any(|word| word.eq_ignore_ascii_case(name));
        self.command("SELECT INBOX").await?;
        self.command("FETCH 1 (FLAGS ENVELOPE BODY.PEEK[])").await?;
        let draft = "Subject: Re: Lunch?\r\n\r\nYes.\r\n";
        let size = draft.len();
        // Here the dropped capability tells: with LITERAL+ there would be no waiting.
        if offers("LITERAL+") {
            self.command(&format!("APPEND Sent {{{size}+}}\r\n{draft}")).await?;
        } else {
            self.send(&format!("APPEND Sent {{{size}}}")).await?;
            self.line.next().await?;
            self.line.send(draft).await?;
            self.answer().await?;
        }
        if offers("IDLE") {
            self.send("IDLE").await?;
            for _ in ["+ idling", "* EXISTS"] {
                self.line.next().await?;
            }
            self.line.send("DONE").await?;
            self.answer().await?;
        }
        self.command("LOGOUT").await?;
        self.line.drain().await
    }

    async fn send(&mut self, command: &str) -> io::Result<()> {
        self.tag += 1;
        self.line.send(&format!("a{} {command}", self.tag)).await
    }

    async fn command(&mut self, command: &str) -> io::Result<String> {
        self.send(command).await?;
        self.answer().await
    }

    /// Reads up to the tagged reply, past literals.
    async fn answer(&mut self) -> io::Result<String> {
        let tag = format!("a{} ", self.tag);
        loop {
            let line = self.line.next().await?;
            if let Some(reply) = line.strip_prefix(&tag) {
                return if reply.starts_with("OK") { Ok(line) } else { Err(io::Error::other(line)) };
            }
            self.line.literal(&line).await?;
        }
    }
}
