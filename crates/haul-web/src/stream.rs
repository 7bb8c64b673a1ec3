use bytes::Bytes;
use http_body_util::channel::{Channel, SendError, Sender};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::timeout;

/// How often a silent stream shows that it lives, and learns whether anybody listens.
const BEAT: Duration = Duration::from_secs(15);

/// What can be told again to whoever comes late, or comes back.
pub(crate) trait Replay: Send + Sync + 'static {
    /// What was told after the event `seen`, and the number of the last of it.
    fn after(&self, seen: u64) -> (Vec<Bytes>, u64);
}

/// The body of server-sent events that tells all after the event `seen`, and goes on.
///
/// A reader that is slow hears only the last of the progress that it missed, so that nothing piles
/// up. `place` is given back when the stream ends.
pub(crate) fn start(
    record: watch::Receiver<impl Replay>,
    seen: u64,
    place: OwnedSemaphorePermit,
) -> Channel<Bytes> {
    let (sender, channel) = Channel::new(1);
    tokio::spawn(async move {
        // An error means that the reader is gone, which is its own right.
        let _ = tell(record, seen, sender).await;
        drop(place);
    });
    channel
}

async fn tell(
    mut record: watch::Receiver<impl Replay>,
    mut seen: u64,
    mut sender: Sender<Bytes>,
) -> Result<(), SendError> {
    sender.send_data(Bytes::from_static(b"retry: 1000\n\n")).await?;
    loop {
        let (told, last) = record.borrow_and_update().after(seen);
        for event in told {
            sender.send_data(event).await?;
        }
        seen = last;
        match timeout(BEAT, record.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Ok(()),
            Err(_) => sender.send_data(Bytes::from_static(b":\n\n")).await?,
        }
    }
}
