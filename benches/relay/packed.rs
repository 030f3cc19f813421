//! COMPRESS=DEFLATE (RFC 4978): mail that was compressed before, both ends of the load, and the bare proxies that do what
//! decoding and encoding cost at least. What is small goes in blocks that are not compressed (RFC 1951 section 3.2.4), which
//! fit behind any flush.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};

use flate2::{Compress, Compression, FlushCompress};
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::layer::{Open, Wire};

/// Octets of the mail that is sent over and over.
pub const STOCK: usize = 1 << 20;

/// How much a bare proxy inflates at once, in octets.
const PIECE: usize = 16 * 1024;

/// How hard a bare proxy compresses: as the relay does.
const EFFORT: u32 = 2;

const WORDS: &str = "the of and to a in is it you that he was for on are with as his they be at one have this from or had \
    by not but some what there we can out other were all your when up use word how said an each she which do their time if \
    will way about many then them would write like so these her long make thing see him two has look more day could go \
    come did my sound no most number who over know water than call first people may down side been now find meeting \
    report server mailbox delivery attached please regards schedule review version release draft invoice number";

/// Always the same row of numbers without a pattern (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides
    }
}

/// [`STOCK`] octets of mail: heads, text, and a small attachment now and then. It shrinks to about a third.
fn mail() -> Vec<u8> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let (mut dice, mut all, mut number) = (Dice(0x2545_F491_4F6C_DD1D), String::with_capacity(STOCK + 8192), 0);
    while all.len() < STOCK {
        number += 1;
        all += &format!(
            "Return-Path: <list-{}@example.org>\r\nReceived: from mx{}.example.org by mail.example.com; {} Jul 2024\r\n\
             Message-ID: <{:x}{:x}@example.org>\r\nFrom: {} <{}@example.org>\r\nSubject: Re: {} {} {number}\r\n\
             MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
            dice.roll(9000),
            dice.roll(20),
            1 + dice.roll(31),
            dice.roll(1 << 30),
            dice.roll(1 << 30),
            words[dice.roll(words.len())],
            words[dice.roll(words.len())],
            words[dice.roll(words.len())],
            words[dice.roll(words.len())],
        );
        let mut line = String::new();
        for _ in 0..200 + dice.roll(400) {
            // The smaller of two: some words are much more frequent than others.
            line += words[dice.roll(words.len()).min(dice.roll(words.len()))];
            line.push(if dice.roll(12) == 0 { ',' } else { ' ' });
            if line.len() > 66 {
                all += line.trim_end();
                all += "\r\n";
                line.clear();
            }
        }
        if number % 16 == 0 {
            const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            for _ in 0..20 {
                all.extend((0..76).map(|_| char::from(DIGITS[dice.roll(64)])));
                all += "\r\n";
            }
        }
    }
    all.truncate(STOCK);
    all.into_bytes()
}

/// The mail, compressed so that it can stand behind itself: nothing in it points back to what came before.
pub fn stock() -> &'static [u8] {
    static PACKED: OnceLock<Vec<u8>> = OnceLock::new();
    PACKED.get_or_init(|| {
        let mut packed = Vec::with_capacity(STOCK);
        let mut compress = Compress::new(Compression::default(), false);
        compress.compress_vec(&mail(), &mut packed, FlushCompress::Full).expect("there is room");
        packed
    })
}

/// One end of the load.
pub struct Packed {
    socket: TcpStream,
    /// From the answer to COMPRESS on.
    inflate: Option<Box<InflateState>>,
    /// Octets that came and are not inflated yet.
    held: Vec<u8>,
}

/// How both ends come to it.
pub fn end() -> Arc<Open<Packed>> {
    Arc::new(|socket| Ok(Packed { socket, inflate: None, held: Vec::new() }))
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(state) = &mut self.inflate else { return self.socket.read(buffer) };
        loop {
            let done = inflate(state, &self.held, buffer, MZFlush::None);
            self.held.drain(..done.bytes_consumed);
            if done.bytes_written > 0 {
                return Ok(done.bytes_written);
            }
            if !self.held.is_empty() && done.bytes_consumed == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.held.is_empty() {
                self.held.resize(PIECE, 0);
                let count = self.socket.read(&mut self.held)?;
                self.held.truncate(count);
                if count == 0 {
                    return Ok(0);
                }
            }
        }
    }
}

impl Write for Packed {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.inflate.is_none() {
            return self.socket.write(octets);
        }
        let count = octets.len().min(usize::from(u16::MAX));
        let length = u16::try_from(count).unwrap_or(u16::MAX);
        let mut block = vec![0];
        block.extend_from_slice(&length.to_le_bytes());
        block.extend_from_slice(&(!length).to_le_bytes());
        block.extend_from_slice(&octets[..count]);
        self.socket.write_all(&block)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Wire for Packed {
    fn pour(&mut self, octets: u64) -> io::Result<()> {
        assert!(self.inflate.is_some() && octets.is_multiple_of(STOCK as u64), "whole pieces of what is compressed");
        (0..octets / STOCK as u64).try_for_each(|_| self.socket.write_all(stock()))
    }

    fn begin(&mut self) {
        self.inflate = Some(InflateState::new_boxed(DataFormat::Raw));
    }

    fn finish(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

/// Relays, and inflates what the server sends after COMPRESS, as a tap does at least; with `repack`, compresses it anew, as
/// rules need at least.
pub async fn be_bare(server: SocketAddr, repack: bool) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    eprintln!("listening on imap://{} -> {server}", listener.local_addr().expect("its address"));
    loop {
        let (client, _) = listener.accept().await.expect("a client");
        tokio::spawn(async move {
            let there = tokio::net::TcpStream::connect(server).await?;
            client.set_nodelay(true)?;
            there.set_nodelay(true)?;
            let ((mut from, mut to), (answers, asks)) = (there.into_split(), client.into_split());
            let up = tokio::spawn(async move { (tokio::io::copy(&mut { answers }, &mut to).await, to) });
            let mut asks = asks;
            let mut buffer = vec![0; 64 * 1024];
            let mut layer: Option<(Box<InflateState>, Compress)> = None;
            let (mut plain, mut packed) = (vec![0; PIECE], Vec::new());
            loop {
                let count = from.read(&mut buffer).await?;
                if count == 0 {
                    break;
                }
                let mut rest = &buffer[..count];
                match &mut layer {
                    Some((state, compress)) => {
                        packed.clear();
                        loop {
                            let done = inflate(state, rest, &mut plain, MZFlush::None);
                            rest = &rest[done.bytes_consumed..];
                            if repack {
                                add(compress, &plain[..done.bytes_written], FlushCompress::None, &mut packed);
                            }
                            if rest.is_empty() && done.bytes_written < plain.len() {
                                break;
                            }
                        }
                        if repack {
                            add(compress, &[], FlushCompress::Sync, &mut packed);
                        }
                    }
                    None if rest.ends_with(b"COMPRESS completed\r\n") => {
                        let compress = Compress::new(Compression::new(EFFORT), false);
                        layer = Some((InflateState::new_boxed(DataFormat::Raw), compress));
                        asks.write_all(rest).await?;
                        continue;
                    }
                    None => {}
                }
                let leaves = if repack && layer.is_some() { &packed } else { &buffer[..count] };
                asks.write_all(leaves).await?;
            }
            asks.shutdown().await?;
            let _ = up.await;
            io::Result::Ok(())
        });
    }
}

/// Compresses octets into `packed`.
fn add(compress: &mut Compress, plain: &[u8], flush: FlushCompress, packed: &mut Vec<u8>) {
    let begun = compress.total_in();
    loop {
        packed.reserve(PIECE);
        let done = usize::try_from(compress.total_in() - begun).unwrap_or(plain.len());
        compress.compress_vec(&plain[done..], packed, flush).expect("there is room");
        let all = compress.total_in() - begun == plain.len() as u64;
        if all && packed.len() < packed.capacity() {
            return;
        }
    }
}
