//! A socket with bytes that were read ahead of it: what came before a layer began is put before what comes next.
//! While it is told to, it also keeps the first octets that it reads, so that a failed handshake can show them.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// So many of the first octets are kept.
const HEAD: usize = 96;

/// The first octets that were read, shared with whoever has to tell of them.
#[derive(Debug, Clone, Default)]
pub struct Head(Arc<Mutex<Vec<u8>>>);

impl Head {
    /// What was read so far, [`HEAD`] octets at most.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn note(&self, octets: &[u8]) {
        let mut head = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = HEAD.saturating_sub(head.len());
        head.extend_from_slice(&octets[..octets.len().min(room)]);
    }
}

/// Both directions of a connection that is no TCP socket, such as a pipe in memory.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug> Stream for T {}

/// How a peer has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// It will send no more.
    End,
    /// It has reset the connection.
    Reset,
}

/// What carries the bytes.
#[derive(Debug)]
enum Carrier {
    Tcp(TcpStream),
    Other(Box<dyn Stream>),
}

/// Does the same with either carrier.
macro_rules! carrier {
    ($socket:expr, $stream:ident => $act:expr) => {
        match &mut $socket.carrier {
            Carrier::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $act
            }
            Carrier::Other(stream) => {
                let $stream = Pin::new(stream);
                $act
            }
        }
    };
}

/// A socket, and what is to be read before it.
#[derive(Debug)]
pub struct Socket {
    carrier: Carrier,
    ahead: Vec<u8>,
    head: Option<Head>,
    /// Nothing more comes.
    #[cfg(feature = "legacy-tls")]
    ended: bool,
}

impl Socket {
    /// A socket of which `ahead` was read already, and is to be read again before everything else. Small writes leave
    /// at once: what is waited for must not wait for more.
    #[must_use]
    pub fn new(tcp: TcpStream, ahead: Vec<u8>) -> Self {
        // It fails only on a socket that is dead already; the first read will say so.
        let _ = tcp.set_nodelay(true);
        Self::carried(Carrier::Tcp(tcp), ahead)
    }

    /// A connection that is no TCP socket.
    #[must_use]
    pub fn other(stream: Box<dyn Stream>) -> Self {
        Self::carried(Carrier::Other(stream), Vec::new())
    }

    const fn carried(carrier: Carrier, ahead: Vec<u8>) -> Self {
        Socket {
            carrier,
            ahead,
            head: None,
            #[cfg(feature = "legacy-tls")]
            ended: false,
        }
    }

    /// Puts octets that were read before those that come next. If the head is kept, they are all that was read since.
    pub fn put_before(&mut self, mut octets: Vec<u8>) {
        octets.append(&mut self.ahead);
        self.ahead = octets;
        // They will be read again, and noted then.
        self.head.iter().for_each(Head::clear);
    }

    /// True once the peer's end was read, without which a layer may not tell how it came.
    #[cfg(feature = "legacy-tls")]
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Begins to keep the first octets that are read from now on.
    pub fn keep_head(&mut self) -> Head {
        self.head.get_or_insert_default().clone()
    }

    /// Stops that.
    pub fn forget_head(&mut self) {
        self.head = None;
    }

    /// Our own address, if there is one.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        match &self.carrier {
            Carrier::Tcp(tcp) => tcp.local_addr().ok(),
            Carrier::Other(_) => None,
        }
    }

    /// How the peer has left, as far as that can be seen without reading what it has sent before.
    #[must_use]
    pub fn departure(&self) -> Option<Departure> {
        let Carrier::Tcp(tcp) = &self.carrier else { return None };
        #[cfg(target_os = "linux")]
        let ended = PollFlags::RDHUP;
        #[cfg(not(target_os = "linux"))]
        let ended = PollFlags::HUP;
        let mut seen = [PollFd::new(tcp, ended)];
        poll(&mut seen, Some(&Timespec::default())).ok()?;
        let seen = seen[0].revents();
        if seen.intersects(PollFlags::ERR) {
            return Some(Departure::Reset);
        }
        seen.intersects(ended | PollFlags::HUP).then_some(Departure::End)
    }

    /// Makes the end of this socket a reset.
    pub fn reset(&self) {
        if let Carrier::Tcp(tcp) = &self.carrier {
            let _ = SockRef::from(tcp).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        if self.ahead.is_empty() {
            ready!(carrier!(self, stream => stream.poll_read(cx, into)))?;
            #[cfg(feature = "legacy-tls")]
            {
                self.ended = into.remaining() > 0 && into.filled().len() == before;
            }
        } else {
            let count = self.ahead.len().min(into.remaining());
            into.put_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
            if self.ahead.is_empty() {
                self.ahead = Vec::new();
            }
        }
        if let Some(head) = &self.head {
            head.note(&into.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        carrier!(self, stream => stream.poll_write(cx, octets))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        carrier!(self, stream => stream.poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.carrier {
            Carrier::Tcp(tcp) => tcp.is_write_vectored(),
            Carrier::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        carrier!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        carrier!(self, stream => stream.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_was_read_ahead_comes_first_and_the_head_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut there = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut socket = Socket::new(listener.accept().await.unwrap().0, b"abcd".to_vec());
        let head = socket.keep_head();
        there.write_all(&[b'e'; 200]).await.unwrap();
        let mut read = [0; 204];
        socket.read_exact(&mut read[..3]).await.unwrap();
        assert_eq!((&read[..3], head.octets().as_slice()), (&b"abc"[..], &b"abc"[..]));
        socket.read_exact(&mut read[3..]).await.unwrap();
        assert_eq!(&read[..6], b"abcdee");
        assert_eq!(head.octets().len(), HEAD);
        socket.put_before(b"gh".to_vec());
        socket.put_before(b"f".to_vec());
        socket.read_exact(&mut read[..3]).await.unwrap();
        assert_eq!((&read[..3], head.octets().as_slice()), (&b"fgh"[..], &b"fgh"[..]));
    }
}
