//! One leg: a socket with its layers. Knows how octets get in and out; must not know what they mean.
//! Only plain TCP so far; TLS and DEFLATE go between the socket and these same functions.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// One socket of a connection.
#[derive(Debug)]
pub struct Leg {
    socket: TcpStream,
}

impl Leg {
    /// A plain leg. Small writes leave at once: what is waited for must not wait for more.
    #[must_use]
    pub fn new(socket: TcpStream) -> Self {
        // It fails only on a socket that is dead already; the first read will say so.
        let _ = socket.set_nodelay(true);
        Leg { socket }
    }

    /// Reads into `buffer`; 0 octets mean that the peer will send no more.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut into))?;
        Poll::Ready(Ok(into.filled().len()))
    }

    /// Writes as much of `pieces` as fits and says how many octets that were.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match pieces {
            [one] => Pin::new(&mut self.socket).poll_write(cx, one),
            many => Pin::new(&mut self.socket).poll_write_vectored(cx, many),
        }
    }

    /// Says that no more will be sent (half-close).
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.socket).poll_shutdown(cx)) {
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            other => Poll::Ready(other),
        }
    }

    /// Ends the leg so that the peer sees a reset, as if the other peer had sent it.
    pub fn reset(self) {
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }
}
