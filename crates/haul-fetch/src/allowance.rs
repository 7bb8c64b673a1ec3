use crate::client::Settings;
use haul_span::Span;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::sleep;
use url::Url;

/// What a machine's owner lets a [`Client`](crate::Client) have: hosts to ask, and bytes to receive.
///
/// Bytes are counted where they leave the socket, so heads, TLS and what is thrown away count too.
/// One allowance may be shared by any number of connections.
pub trait Allowance: Send + Sync + 'static {
    /// Whether anything may be asked of this host. Each hop of a redirect is judged anew.
    fn admits(&self, host: &str) -> bool;

    /// Counts a new connection or a request, or says how long to wait before it is asked again.
    /// Each hop of a redirect is a request of its own.
    fn take_turn(&self, _: Turn<'_>) -> Result<(), Duration> {
        Ok(())
    }

    /// Takes up to `wanted` bytes, at least one, off what may be received. Waits while there are
    /// none, and wakes the task then; an error ends the connection.
    fn poll_take(&self, context: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>>;

    /// Returns bytes that were taken and not received.
    fn give_back(&self, bytes: usize);

    /// So many bytes had arrived at a connection that was closed before they were read.
    fn thrown_away(&self, bytes: u64);
}

/// What is about to be done to an origin.
#[derive(Clone, Copy, Debug)]
pub enum Turn<'a> {
    /// To connect to where this URL points.
    Connection(&'a Url),
    /// To ask for what is there: this part of it, or all.
    Request(&'a Url, Option<Span>),
}

/// Waits until it is this one's turn.
pub(crate) async fn turn(settings: &Settings, turn: Turn<'_>) {
    if let Some(allowance) = &settings.allowance {
        while let Err(wait) = allowance.take_turn(turn) {
            sleep(wait).await;
        }
    }
}

/// A stream that knows how much of what arrived has not been read.
pub(crate) trait Arrived {
    fn unread(&self) -> u64;
}

impl Arrived for TcpStream {
    fn unread(&self) -> u64 {
        #[cfg(unix)]
        return rustix::io::ioctl_fionread(self).unwrap_or(0);
        #[cfg(not(unix))]
        0
    }
}

/// A stream that receives no more than its allowance lets it.
pub(crate) struct Allowed<S: Arrived> {
    stream: S,
    allowance: Arc<dyn Allowance>,
}

impl<S: Arrived> Allowed<S> {
    pub(crate) fn new(stream: S, allowance: Arc<dyn Allowance>) -> Self {
        Self { stream, allowance }
    }
}

impl<S: AsyncRead + Arrived + Unpin> AsyncRead for Allowed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wanted = buffer.remaining();
        if wanted == 0 {
            return Poll::Ready(Ok(()));
        }
        let taken = ready!(self.allowance.poll_take(context, wanted))?.min(wanted);
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(taken));
        let polled = Pin::new(&mut self.stream).poll_read(context, &mut part);
        let received = part.filled().len();
        if received < taken {
            self.allowance.give_back(taken - received);
        }
        buffer.advance(received);
        polled
    }
}

impl<S: AsyncWrite + Arrived + Unpin> AsyncWrite for Allowed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: Arrived> Drop for Allowed<S> {
    fn drop(&mut self) {
        self.allowance.thrown_away(self.stream.unread());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::io::AsyncReadExt;

    /// So many bytes, then an error; thousands for what was thrown away.
    struct Purse(Mutex<usize>);

    impl Allowance for Purse {
        fn admits(&self, _: &str) -> bool {
            true
        }

        fn poll_take(&self, _: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
            let mut left = self.0.lock().unwrap();
            let taken = wanted.min(*left);
            *left -= taken;
            Poll::Ready(if taken == 0 { Err(io::ErrorKind::Other.into()) } else { Ok(taken) })
        }

        fn give_back(&self, bytes: usize) {
            *self.0.lock().unwrap() += bytes;
        }

        fn thrown_away(&self, bytes: u64) {
            *self.0.lock().unwrap() += usize::try_from(bytes).unwrap() * 1000;
        }
    }

    impl Arrived for &[u8] {
        fn unread(&self) -> u64 {
            self.len() as u64
        }
    }

    #[tokio::test]
    async fn not_a_byte_more_is_read_than_allowed_and_what_was_not_read_is_given_back() {
        let purse = Arc::new(Purse(Mutex::new(10)));
        let mut stream = Allowed::new(&b"0123456"[..], purse.clone());
        let mut text = [0; 64];
        assert_eq!(stream.read(&mut text).await.unwrap(), 7);
        assert_eq!(*purse.0.lock().unwrap(), 3);
        let mut stream = Allowed::new(&b"0123456"[..], purse.clone());
        assert_eq!(stream.read(&mut text).await.unwrap(), 3);
        assert!(stream.read(&mut text).await.is_err());
        drop(stream);
        assert_eq!(*purse.0.lock().unwrap(), 4000, "four bytes had arrived in vain");
    }
}
