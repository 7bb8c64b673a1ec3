use crate::allowance::Arrived;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A stream that is read in few large pieces instead of one per packet, as network cards coalesce
/// their interrupts.
///
/// What one read costs here and wherever the bytes go on to is most of what a narrow link costs the
/// processor. After a read that left nothing in the socket, the next one waits until [`BATCH`] bytes
/// are to be expected at the rate seen, at most [`LONGEST`]. A write ends the wait: the first bytes
/// of an answer are read at once.
pub(crate) struct Coalesced<S> {
    stream: S,
    meter: Meter,
    /// Runs while reads wait.
    wait: Option<Pin<Box<Sleep>>>,
    /// Who reads meanwhile.
    reader: Option<Waker>,
}

impl<S> Coalesced<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, meter: Meter::default(), wait: None, reader: None }
    }

    /// Lets reads wait no longer. Whoever reads is woken, as the timer that would have is gone.
    fn end_wait(&mut self) {
        self.meter = Meter::default();
        self.wait = None;
        self.reader.take().into_iter().for_each(Waker::wake);
    }
}

/// How fast bytes come, between reads that left none behind.
#[derive(Default)]
struct Meter {
    /// When the socket was last seen empty, since the last write.
    emptied: Option<Instant>,
    /// Bytes read since.
    bytes: usize,
    /// The last wait.
    wait: Duration,
}

impl Meter {
    /// Counts a read that left more in the socket.
    fn note(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Counts a read that emptied the socket, and says how long to leave it alone.
    fn note_last(&mut self, bytes: usize, now: Instant) -> Option<Duration> {
        let bytes = std::mem::take(&mut self.bytes) + bytes;
        let since = self.emptied.replace(now)?;
        // One odd gap between packets is not a rate: the wait grows by doubling only.
        let longest = LONGEST.min(self.wait.max(SHORTEST) * 2);
        let bytes = u32::try_from(bytes.max(1)).unwrap_or(u32::MAX);
        let fitting = now.duration_since(since).as_secs_f64() * BATCH / f64::from(bytes);
        self.wait = longest.min(Duration::try_from_secs_f64(fitting).unwrap_or(longest));
        (self.wait >= SHORTEST).then_some(self.wait)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Coalesced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(wait) = &mut self.wait {
            if wait.as_mut().poll(context).is_pending() {
                self.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
            self.wait = None;
            self.reader = None;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let bytes = buffer.filled().len() - before;
        if buffer.remaining() == 0 {
            self.meter.note(bytes);
        } else if bytes > 0 {
            let wait = self.meter.note_last(bytes, Instant::now());
            self.wait = wait.map(|wait| Box::pin(sleep(wait)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalesced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.end_wait();
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: Arrived> Arrived for Coalesced<S> {
    fn unread(&self) -> u64 {
        self.stream.unread()
    }
}

/// What a wait gathers, in bytes: far below the smallest window that TCP opens with, so that no
/// sender is ever held up.
const BATCH: f64 = 32.0 * 1024.0;

/// The longest wait: hardly a thing to whoever downloads, and a handful of packets at 2 Mbit/s.
const LONGEST: Duration = Duration::from_millis(25);

/// The shortest wait that is worth its timer.
const SHORTEST: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    /// Sends a packet of 1,448 bytes every `gap`, and counts the reads that bring them all.
    async fn reads(packets: usize, gap: Duration) -> usize {
        let (mut far, near) = duplex(1 << 20);
        let send = async move {
            for _ in 0..packets {
                sleep(gap).await;
                far.write_all(&[7; 1448]).await.unwrap();
            }
        };
        let read = async {
            let mut near = Coalesced::new(near);
            let (mut reads, mut text) = (0, vec![0; 64 << 10]);
            while near.read(&mut text).await.unwrap() > 0 {
                reads += 1;
            }
            reads
        };
        tokio::join!(send, read).1
    }

    #[tokio::test(start_paused = true)]
    async fn packets_of_a_narrow_link_are_read_in_batches() {
        let narrow = reads(1000, Duration::from_millis(6)).await;
        assert!((200..=270).contains(&narrow), "{narrow}");
        let wider = reads(1000, Duration::from_millis(1)).await;
        assert!((40..=70).contains(&wider), "{wider}");
    }

    #[tokio::test(start_paused = true)]
    async fn packets_that_come_rarely_are_read_as_they_come_or_a_25th_of_a_second_later() {
        let (mut far, near) = duplex(1 << 20);
        let mut near = Coalesced::new(near);
        let mut text = [0; 4096];
        for gap in [10, 20, 40, 300, 3000, 30] {
            sleep(Duration::from_millis(gap)).await;
            far.write_all(&[7; 100]).await.unwrap();
            let sent = Instant::now();
            assert_eq!(near.read(&mut text).await.unwrap(), 100);
            assert!(sent.elapsed() <= LONGEST, "{gap}: {:?}", sent.elapsed());
        }
    }

    async fn exchanged(far: &mut DuplexStream, near: &mut Coalesced<DuplexStream>) -> Duration {
        near.write_all(b"GET").await.unwrap();
        let (asked, mut text) = (Instant::now(), [0; 4096]);
        far.write_all(&[7; 100]).await.unwrap();
        assert_eq!(near.read(&mut text).await.unwrap(), 100);
        asked.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_bytes_after_a_write_are_read_at_once() {
        let (mut far, near) = duplex(1 << 20);
        let mut near = Coalesced::new(near);
        let mut text = [0; 4096];
        for _ in 0..10 {
            sleep(Duration::from_millis(9)).await;
            far.write_all(&[7; 100]).await.unwrap();
            assert_eq!(near.read(&mut text).await.unwrap(), 100);
        }
        assert!(near.wait.is_some());
        for _ in 0..3 {
            assert_eq!(exchanged(&mut far, &mut near).await, Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_to_read_is_woken_by_a_write() {
        let (mut far, near) = duplex(1 << 20);
        let (mut near, mut writer) = tokio::io::split(Coalesced::new(near));
        let mut text = [0; 4096];
        for _ in 0..10 {
            sleep(Duration::from_millis(9)).await;
            far.write_all(&[7; 100]).await.unwrap();
            assert_eq!(near.read(&mut text).await.unwrap(), 100);
        }
        far.write_all(&[7; 100]).await.unwrap();
        let reading = tokio::spawn(async move { near.read(&mut text).await.unwrap() });
        tokio::task::yield_now().await;
        let began = Instant::now();
        writer.write_all(b"WINDOW_UPDATE").await.unwrap();
        assert_eq!(reading.await.unwrap(), 100);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[test]
    fn a_fast_link_is_never_left_alone() {
        let (mut meter, mut now) = (Meter::default(), Instant::now());
        for _ in 0..1000 {
            now += Duration::from_micros(100);
            assert_eq!(meter.note_last(12 << 10, now), None, "120 MB/s");
        }
    }
}
