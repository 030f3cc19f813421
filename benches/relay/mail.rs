//! The load of the protocols in which messages are lines to a dot: servers of SMTP and POP3 that know how many octets will
//! come, and clients. Knows nothing of who relays.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::load::{Client, discard, repeat};

/// Octets of a line, with CRLF.
const LINE: usize = 78;
/// So many lines are sent at once.
const LINES: usize = 1680;
/// What ends a message.
const END: &[u8] = b".\r\n";
/// What a server of POP3 replies.
const OK: &[u8] = b"+OK completed\r\n";

/// Octets of a message of this size or somewhat less: whole lines, without the end.
const fn whole(octets: u64) -> u64 {
    octets / (LINE * LINES) as u64 * (LINE * LINES) as u64
}

/// Lines of text, of which some begin with a dot.
fn lines() -> Vec<u8> {
    let line = |n: usize| {
        let start = if n.is_multiple_of(50) { "..dot" } else { "text " };
        format!("{start}{}\r\n", "m".repeat(LINE - start.len() - 2))
    };
    (0..LINES).map(line).collect::<String>().into_bytes()
}

/// Starts a server whose messages, in either direction, are of so many octets; it lives as long as the process.
pub fn serve(octets: u64, pop3: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            // Its errors are the client's business.
            thread::spawn(move || if pop3 { retrieve(&socket, octets) } else { take(&socket, octets) });
        }
    });
    address
}

fn take(mut to: &TcpStream, octets: u64) -> std::io::Result<()> {
    to.set_nodelay(true)?;
    let mut from = BufReader::with_capacity(8 * 1024, to);
    to.write_all(b"220 mx.example.org ready\r\n")?;
    let mut line = String::new();
    while from.read_line(&mut line)? > 0 {
        if line.starts_with("DATA") {
            to.write_all(b"354 go\r\n")?;
            discard(to, whole(octets))?;
            from.read_exact(&mut [0; END.len()])?;
        }
        to.write_all(b"250 completed\r\n")?;
        line.clear();
    }
    Ok(())
}

fn retrieve(mut to: &TcpStream, octets: u64) -> std::io::Result<()> {
    to.set_nodelay(true)?;
    let mut from = BufReader::with_capacity(8 * 1024, to);
    to.write_all(b"+OK mail.example.org ready\r\n")?;
    let mut line = String::new();
    while from.read_line(&mut line)? > 0 {
        to.write_all(OK)?;
        if line.starts_with("RETR") {
            repeat(to, &lines(), whole(octets))?;
            to.write_all(END)?;
        }
        line.clear();
    }
    Ok(())
}

/// Sends one message of so many octets.
pub fn send(address: SocketAddr, octets: u64) {
    let mut client = Client::connect(address, 4096);
    for command in ["EHLO c", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>"] {
        client.ask(command);
    }
    client.say("DATA\r\n");
    client.read_to(b"354 go\r\n");
    client.pour(&lines(), whole(octets));
    client.say(".\r\n");
    client.read_to(b"250 completed\r\n");
}

/// Fetches one message of so many octets.
pub fn fetch(address: SocketAddr, octets: u64) {
    let mut client = Client::connect(address, 4096);
    client.ask("USER tim");
    client.ask("PASS secret-word");
    client.say("RETR 1\r\n");
    client.drain(OK.len() as u64 + whole(octets));
    client.read_to(END);
}
