//! A relay that does nothing but write down what passes, one record a connection: what one side of the proxy really saw.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::wait_until;

/// One connection as it was on the wire.
#[derive(Clone, Default)]
pub struct Record {
    /// Every octet the client's side sent.
    pub client: Vec<u8>,
    /// Every octet the server's side sent.
    pub server: Vec<u8>,
    /// Where in `client` the octets begin that were sent after the server had said something.
    turns: Vec<usize>,
    /// How much the server had said when the last turn began.
    heard: Option<usize>,
    /// How many of the two directions have ended.
    ended: u8,
}

impl Record {
    /// What the client sent, as lines; octets that are no UTF-8 are replaced.
    pub fn client_text(&self) -> String {
        String::from_utf8_lossy(&self.client).into_owned()
    }

    /// Whether the client sent both without waiting for an answer between them.
    pub fn at_once(&self, one: &str, other: &str) -> bool {
        let ends = self.turns.iter().skip(1).copied().chain([self.client.len()]);
        self.turns.iter().zip(ends).any(|(start, end)| {
            let text = String::from_utf8_lossy(&self.client[*start..end]);
            text.split_once(one).is_some_and(|(_, rest)| rest.contains(other))
        })
    }
}

/// Listens on a port of its own and connects each client to one server.
pub struct Tee {
    /// Where it listens.
    pub address: SocketAddr,
    records: Arc<Mutex<Vec<Record>>>,
}

impl Tee {
    /// Starts; its threads end with their connections, the listening one with the process.
    pub fn start(server: SocketAddr) -> Tee {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback can be listened on");
        let address = listener.local_addr().expect("it has an address");
        let records = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&records);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A server that refuses is seen by the client as a connection that ends at once.
                let Ok(server) = TcpStream::connect(server) else { continue };
                let index = {
                    let mut all = all.lock().expect("no thread has failed");
                    all.push(Record::default());
                    all.len() - 1
                };
                let back = (server.try_clone().expect("a handle"), client.try_clone().expect("a handle"));
                let (here, there) = (Arc::clone(&all), Arc::clone(&all));
                thread::spawn(move || copy(client, server, |bytes| note(&here, index, bytes, true)));
                thread::spawn(move || copy(back.0, back.1, |bytes| note(&there, index, bytes, false)));
            }
        });
        Tee { address, records }
    }

    /// What was recorded so far, a record a connection in the order in which they came.
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().expect("no thread has failed").clone()
    }

    /// Whether any client sent this.
    pub fn client_sent(&self, text: &str) -> bool {
        self.records().iter().any(|record| record.client_text().contains(text))
    }

    /// Waits until every connection has ended on both sides.
    pub fn wait_for_the_end(&self) {
        wait_until("all connections have ended", || self.records().iter().all(|record| record.ended == 2));
    }
}

/// Writes down what passed; nothing means the end.
fn note(records: &Mutex<Vec<Record>>, index: usize, bytes: &[u8], client: bool) {
    let mut records = records.lock().expect("no thread has failed");
    let record = &mut records[index];
    match (bytes.is_empty(), client) {
        (true, _) => record.ended += 1,
        (false, true) => {
            if record.heard != Some(record.server.len()) {
                record.heard = Some(record.server.len());
                record.turns.push(record.client.len());
            }
            record.client.extend_from_slice(bytes);
        }
        (false, false) => record.server.extend_from_slice(bytes),
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, mut note: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 16 * 1024];
    // A reset is an end like another here; what came before it was written down.
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        // Before it is sent on: who has an answer finds the question in the record.
        note(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
    note(&[]);
}
