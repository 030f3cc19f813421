//! The proxy's end of a pipe in memory, whose other end may leave with a reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

/// One end of a pipe. Its end is a reset if the flag is set when it comes.
#[derive(Debug)]
pub struct Pipe {
    stream: DuplexStream,
    reset: Arc<AtomicBool>,
}

/// A peer's end of a pipe that holds so many bytes each way, the flag that makes its end a reset, and the proxy's end.
pub fn pipe(size: usize) -> (DuplexStream, Arc<AtomicBool>, Pipe) {
    let (theirs, stream) = duplex(size);
    let reset = Arc::new(AtomicBool::new(false));
    (theirs, Arc::clone(&reset), Pipe { stream, reset })
}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        let ended = matches!(read, Poll::Ready(Ok(()))) && into.filled().len() == before && into.remaining() > 0;
        if ended && self.reset.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        read
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
