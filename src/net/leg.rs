//! One leg: a socket with its layers. Knows how octets get in and out; must not know what they mean.
//! TLS lies between the socket and these functions; whoever uses a leg does not see whether it does.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use super::socket::{Departure, Socket};
#[cfg(feature = "legacy-tls")]
use super::tls::LegacyStream;

/// One socket of a connection, with its layers.
#[derive(Debug)]
pub struct Leg {
    layer: Layer,
    /// The peer ended without saying so to TLS.
    abrupt: bool,
    /// The server requested a client certificate, and got none.
    asked: bool,
}

#[derive(Debug)]
enum Layer {
    Plain(Socket),
    // Boxed: a plain leg stays small.
    Tls(Box<TlsStream<Socket>>),
    #[cfg(feature = "legacy-tls")]
    Legacy(Box<LegacyStream>),
    /// Taken out, for TLS to begin on it.
    Gone,
}

/// Does the same with either layer.
macro_rules! layer {
    ($leg:expr, $stream:ident => $act:expr) => {
        match &mut $leg.layer {
            Layer::Plain(socket) => {
                let $stream = Pin::new(socket);
                $act
            }
            Layer::Tls(stream) => {
                let $stream = Pin::new(stream.as_mut());
                $act
            }
            #[cfg(feature = "legacy-tls")]
            Layer::Legacy(stream) => {
                let $stream = Pin::new(stream.as_mut());
                $act
            }
            Layer::Gone => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    };
}

impl Leg {
    /// A plain leg.
    #[must_use]
    pub const fn plain(socket: Socket) -> Self {
        Leg { layer: Layer::Plain(socket), abrupt: false, asked: false }
    }

    /// A leg under TLS, after its handshake.
    #[must_use]
    pub fn tls(stream: TlsStream<Socket>) -> Self {
        Leg { layer: Layer::Tls(Box::new(stream)), abrupt: false, asked: false }
    }

    /// The same leg; `asked` is true if the server requested a client certificate in the handshake, and got none.
    #[must_use]
    pub const fn asked(mut self, asked: bool) -> Self {
        self.asked = asked;
        self
    }

    /// True if the server requested a client certificate, and got none.
    #[must_use]
    pub const fn has_asked(&self) -> bool {
        self.asked
    }

    /// The same with OpenSSL, for clients that rustls cannot serve.
    #[cfg(feature = "legacy-tls")]
    #[must_use]
    pub fn legacy(stream: LegacyStream) -> Self {
        Leg { layer: Layer::Legacy(Box::new(stream)), abrupt: false, asked: false }
    }

    /// What stands in the place of a leg that was taken out.
    #[must_use]
    pub const fn gone() -> Self {
        Leg { layer: Layer::Gone, abrupt: false, asked: false }
    }

    /// The socket of a leg without TLS, for TLS to begin on it; a leg with TLS comes back as it was.
    pub fn into_plain(self) -> Result<Socket, Leg> {
        match self.layer {
            Layer::Plain(socket) => Ok(socket),
            layer => Err(Leg { layer, abrupt: self.abrupt, asked: self.asked }),
        }
    }

    /// Reads into `buffer`; 0 octets mean that the peer will send no more.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(buffer);
        let read = ready!(layer!(self, stream => stream.poll_read(cx, &mut into)));
        match read {
            // Most mail programs end so; the other peer is told the end, as it would be without TLS.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && !matches!(self.layer, Layer::Plain(_)) => {
                self.abrupt = true;
                Poll::Ready(Ok(0))
            }
            read => Poll::Ready(read.map(|()| into.filled().len())),
        }
    }

    /// True if the peer's end came without close_notify (RFC 8446 section 6.1), so that more may have been cut off.
    #[must_use]
    pub const fn is_abrupt(&self) -> bool {
        self.abrupt
    }

    /// Writes as much of `pieces` as fits and says how many octets that were.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match pieces {
            [one] => layer!(self, stream => stream.poll_write(cx, one)),
            many => layer!(self, stream => stream.poll_write_vectored(cx, many)),
        }
    }

    /// Writes all of it, and whatever a layer holds.
    pub async fn write_all(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut rest = octets;
        while !rest.is_empty() {
            let count = poll_fn(|cx| self.poll_write(cx, &[IoSlice::new(rest)])).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = &rest[count..];
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// True if a layer holds octets that its socket did not take yet: [`Leg::poll_flush`] has to be called.
    #[must_use]
    pub fn owes(&self) -> bool {
        match &self.layer {
            Layer::Plain(_) | Layer::Gone => false,
            Layer::Tls(stream) => stream.get_ref().1.wants_write(),
            // OpenSSL says that it took a record when the socket has it, and not before.
            #[cfg(feature = "legacy-tls")]
            Layer::Legacy(_) => false,
        }
    }

    /// Sends what a layer still holds.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        layer!(self, stream => stream.poll_flush(cx))
    }

    /// Says that no more will be sent (half-close), with close_notify under TLS.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(layer!(self, stream => stream.poll_shutdown(cx))) {
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            other => Poll::Ready(other),
        }
    }

    /// How the peer has left, as far as that can be seen without reading what it has sent before.
    #[must_use]
    pub fn departure(&self) -> Option<Departure> {
        match &self.layer {
            Layer::Plain(socket) => socket.departure(),
            Layer::Tls(stream) => stream.get_ref().0.departure(),
            #[cfg(feature = "legacy-tls")]
            Layer::Legacy(stream) => stream.socket().departure(),
            Layer::Gone => None,
        }
    }

    /// Ends the leg so that the peer sees a reset, as if the other peer had sent it.
    pub fn reset(self) {
        match &self.layer {
            Layer::Plain(socket) => socket.reset(),
            Layer::Tls(stream) => stream.get_ref().0.reset(),
            #[cfg(feature = "legacy-tls")]
            Layer::Legacy(stream) => stream.socket().reset(),
            Layer::Gone => {}
        }
    }
}
