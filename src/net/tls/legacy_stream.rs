//! A stream under OpenSSL that ends and fails as one under rustls does: an end without close_notify is an error, and errors
//! are those of rustls. Knows nothing of what goes through it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_openssl::SslStream;

use super::legacy::translated;
use crate::net::socket::Socket;

/// The stream of one client.
#[derive(Debug)]
pub struct LegacyStream {
    stream: SslStream<Socket>,
}

impl LegacyStream {
    /// A stream after its handshake.
    pub const fn new(stream: SslStream<Socket>) -> Self {
        LegacyStream { stream }
    }

    /// The socket under it.
    pub fn socket(&self) -> &Socket {
        self.stream.get_ref()
    }

    fn within(&mut self) -> Pin<&mut SslStream<Socket>> {
        Pin::new(&mut self.stream)
    }

    /// The error that OpenSSL has put into this one, in other words.
    fn said(&self, error: io::Error) -> io::Error {
        match error.downcast() {
            Ok(error) => translated(error, self.socket().has_ended()),
            Err(error) => error,
        }
    }
}

impl AsyncRead for LegacyStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let room = into.remaining() > 0;
        let read = ready!(self.within().poll_read(cx, into)).map_err(|error| self.said(error));
        // OpenSSL reads no further than to close_notify: whoever has seen the socket's end has not seen that. Older ones
        // say nothing of it.
        let nothing = read.is_ok() && room && into.filled().len() == before;
        if nothing && self.socket().has_ended() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for LegacyStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        // What OpenSSL did not say to have taken comes again, and more with it: see `SslMode` in `legacy.rs`.
        let written = ready!(self.within().poll_write(cx, octets));
        Poll::Ready(written.map_err(|error| self.said(error)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(self.within().poll_flush(cx));
        Poll::Ready(flushed.map_err(|error| self.said(error)))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = ready!(self.within().poll_shutdown(cx));
        Poll::Ready(shut.map_err(|error| self.said(error)))
    }
}
