use crate::{LinkError, Pace, Secured, TokenBucket};
use bytes::BytesMut;
use haul_wire::{Frame, Limit};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsStream;

/// A side that has nothing to say sends a ping after this.
const PING_AFTER: Duration = Duration::from_secs(2);

/// A side that is silent for longer is taken for dead.
const DEAD_AFTER: Duration = Duration::from_secs(8);

/// How many control frames may come at once, and how many a second in the long run. A leader gives
/// credit for every MiB, which is a thousand times a second at 8 Gbit/s, and as much again is left
/// for all else.
const CONTROL: Pace = Pace { burst: 4000, per_second: 2000 };

/// Data of fewer bytes costs the other side as much as a control frame, and counts as one.
const SMALL: usize = 256;

/// Frames to and from one other machine.
#[derive(Debug)]
pub struct Session {
    reader: FrameReader,
    writer: FrameWriter,
}

impl Session {
    /// How often a side that has nothing to say sends a ping, so that the other knows it lives.
    pub const PING_AFTER: Duration = PING_AFTER;

    pub(crate) fn new(secured: Secured) -> Self {
        let (read, write) = tokio::io::split(secured.stream);
        Self {
            reader: FrameReader::new(read),
            writer: FrameWriter { write, buffer: BytesMut::new() },
        }
    }

    /// Sends a frame at once.
    pub async fn send(&mut self, frame: &Frame) -> Result<(), LinkError> {
        self.writer.send(frame).await
    }

    /// The next frame; cancel safe. Waits without a limit: while people decide, nobody talks.
    pub async fn next(&mut self) -> Result<Frame, LinkError> {
        self.reader.next().await
    }

    /// From here on data may come, and each direction is used by itself.
    pub fn granted(self) -> (FrameReader, FrameWriter) {
        let Self { mut reader, writer } = self;
        reader.limit = Limit::Granted;
        (reader, writer)
    }
}

/// The half of a session that receives.
#[derive(Debug)]
pub struct FrameReader {
    read: ReadHalf<TlsStream<TcpStream>>,
    buffer: BytesMut,
    limit: Limit,
    control: TokenBucket,
    began: Instant,
    awaited: Awaited,
}

impl FrameReader {
    fn new(read: ReadHalf<TlsStream<TcpStream>>) -> Self {
        Self {
            read,
            buffer: BytesMut::new(),
            limit: Limit::Offered,
            control: TokenBucket::full(CONTROL, Duration::ZERO),
            began: Instant::now(),
            awaited: Awaited::default(),
        }
    }

    /// The next frame; cancel safe.
    pub async fn next(&mut self) -> Result<Frame, LinkError> {
        loop {
            if let Some(frame) = Frame::read(&mut self.buffer, self.limit)? {
                self.count(&frame)?;
                return Ok(frame);
            }
            self.buffer.reserve(16 * 1024);
            let read = self.read.read_buf(&mut self.buffer).await;
            if read.map_err(|source| lost("receiving", source))? == 0 {
                return Err(LinkError::Closed);
            }
        }
    }

    /// The next frame of a peer that is expected to show that it lives; cancel safe. The time that
    /// a cancelled call has waited counts for the next one.
    pub async fn next_alive(&mut self) -> Result<Frame, LinkError> {
        let silent = LinkError::Silent { awaiting: "sign of life", after: DEAD_AFTER };
        let left = self.awaited.left(self.began.elapsed());
        let next = tokio::time::timeout(left, self.next()).await.unwrap_or(Err(silent));
        self.awaited = Awaited::default();
        next
    }

    fn count(&mut self, frame: &Frame) -> Result<(), LinkError> {
        if matches!(frame, Frame::Data { bytes, .. } if bytes.len() >= SMALL) {
            return Ok(());
        }
        self.control.take(self.began.elapsed(), 1).map_err(|_| LinkError::Flood)
    }
}

/// Since when a frame is awaited, if one is. Time is an argument: since the session began.
#[derive(Debug, Default)]
struct Awaited(Option<Duration>);

impl Awaited {
    /// For how long the peer may be silent still.
    fn left(&mut self, now: Duration) -> Duration {
        let since = *self.0.get_or_insert(now);
        DEAD_AFTER.saturating_sub(now.saturating_sub(since))
    }
}

/// The half of a session that sends.
#[derive(Debug)]
pub struct FrameWriter {
    write: WriteHalf<TlsStream<TcpStream>>,
    buffer: BytesMut,
}

impl FrameWriter {
    /// Sends a frame at once. Not cancel safe: a frame that was begun must be ended.
    pub async fn send(&mut self, frame: &Frame) -> Result<(), LinkError> {
        self.buffer.clear();
        frame.encode(&mut self.buffer);
        let sent = async {
            self.write.write_all(&self.buffer).await?;
            self.write.flush().await
        };
        sent.await.map_err(|source| lost("sending", source))
    }

    /// Sends bytes that need not be a frame: for whoever tries what the other side bears.
    pub async fn danger_send_bytes(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let sent = async {
            self.write.write_all(bytes).await?;
            self.write.flush().await
        };
        sent.await.map_err(|source| lost("sending", source))
    }

    /// Ends the connection after what was sent.
    pub async fn close(&mut self) {
        // Whoever closes does not care any more whether the other side hears it.
        let _ = self.write.shutdown().await;
    }
}

fn lost(doing: &'static str, source: io::Error) -> LinkError {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => LinkError::Closed,
        _ => LinkError::Broken { doing, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn awaited_counts_from_the_first_call_until_a_frame_has_come() {
        let second = Duration::from_secs(1);
        let mut awaited = Awaited::default();
        assert_eq!(awaited.left(5 * second), DEAD_AFTER);
        for interrupted in 1..8 {
            assert_eq!(
                awaited.left((5 + interrupted) * second),
                DEAD_AFTER.saturating_sub(interrupted * second)
            );
        }
        assert_eq!(awaited.left(60 * second), Duration::ZERO);
    }
}
