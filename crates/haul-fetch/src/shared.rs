//! One HTTP/2 connection that several lanes share (RFC 9113).
//!
//! No task stands behind it: whoever waits for one of its streams moves all of it, and whatever
//! happens on it wakes all who wait. If nobody waits nothing is read, so that an origin is read
//! as fast as its readers want, but for what the windows of the streams let it send ahead.

use crate::connect::Stream;
use crate::request::Get;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

/// The connection; it closes when nobody holds it any more.
pub(crate) struct Shared {
    sender: http2::SendRequest<Empty<Bytes>>,
    works: Works,
    /// How many streams the origin allows at a time, as far as it has told.
    room: Arc<AtomicUsize>,
    retired: AtomicBool,
}

impl Shared {
    /// Greets the origin over a stream that was secured for HTTP/2.
    pub(crate) async fn over(stream: Box<dyn Stream>) -> hyper::Result<Self> {
        let works = Works::default();
        let executor = Inbox(Arc::downgrade(&works.crowd));
        let mut builder = http2::Builder::new(executor);
        builder
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAM_WINDOW * STREAMS)
            .max_header_list_size(HEAD);
        let (sender, mut connection) = builder.handshake(TokioIo::new(stream)).await?;
        let room = Arc::new(AtomicUsize::new(STREAMS as usize));
        let told = Arc::clone(&room);
        works.crowd.add(Box::pin(poll_fn(move |context| {
            let ended = Pin::new(&mut connection).poll(context);
            told.store(connection.current_max_send_streams(), Ordering::Relaxed);
            // How it ended reaches those who wait through their own streams.
            ended.map(drop)
        })));
        Ok(Self { sender, works, room, retired: AtomicBool::new(false) })
    }

    /// Sends a request on a stream of its own and waits for the head of its response. Dropping the
    /// future takes the request back.
    pub(crate) async fn exchange(&self, request: Get) -> hyper::Result<Response<Incoming>> {
        let mut response = pin!(self.sender.clone().send_request(request));
        poll_fn(|context| self.drive(context, |context| response.as_mut().poll(context))).await
    }

    /// Moves the connection as far as it goes, and then polls `work`.
    pub(crate) fn drive<T>(
        &self,
        context: &mut Context<'_>,
        mut work: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.works.turn(context.waker());
        work(context)
    }

    /// Takes no new requests from now on, as one of its streams got no answer in time.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Whether it takes new requests.
    pub(crate) fn is_open(&self) -> bool {
        !self.retired.load(Ordering::Relaxed) && !self.sender.is_closed()
    }

    /// How many may use it at one time: at least one.
    pub(crate) fn room(&self) -> usize {
        self.room.load(Ordering::Relaxed).clamp(1, STREAMS as usize)
    }
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What keeps the connection going: its own work, and that of each request on its way.
#[derive(Default)]
struct Works {
    going: Mutex<Vec<Work>>,
    crowd: Arc<Crowd>,
}

impl Works {
    /// Polls all works once if anything has happened; what happens from here on wakes `waker`.
    fn turn(&self, waker: &Waker) {
        self.crowd.join(waker);
        if !self.crowd.stirred.swap(false, Ordering::AcqRel) {
            return;
        }
        let mut going = lock(&self.going);
        going.append(&mut lock(&self.crowd.fresh));
        let waker = Waker::from(Arc::clone(&self.crowd));
        let mut context = Context::from_waker(&waker);
        going.retain_mut(|work| work.as_mut().poll(&mut context).is_pending());
    }
}

/// Those who wait for anything to happen on the connection.
#[derive(Default)]
struct Crowd {
    waiting: Mutex<Vec<Waker>>,
    /// Works that were not polled yet.
    fresh: Mutex<Vec<Work>>,
    /// Something has happened since the works were polled.
    stirred: AtomicBool,
}

impl Crowd {
    fn join(&self, waker: &Waker) {
        let mut waiting = lock(&self.waiting);
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    fn add(&self, work: Work) {
        lock(&self.fresh).push(work);
        self.stir();
    }

    fn stir(&self) {
        self.stirred.store(true, Ordering::Release);
        let waiting = mem::take(&mut *lock(&self.waiting));
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Crowd {
    fn wake(self: Arc<Self>) {
        self.stir();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.stir();
    }
}

/// Takes in the works that hyper starts. Works hold it themselves, so it must not keep them.
#[derive(Clone)]
struct Inbox(Weak<Crowd>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Inbox {
    fn execute(&self, work: F) {
        if let Some(crowd) = self.0.upgrade() {
            crowd.add(Box::pin(work));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many streams one connection carries: the own link's lanes all fit.
const STREAMS: u32 = 8;

/// How much of one stream may wait for its reader, in bytes: enough for 80 Mbit/s at 100 ms.
const STREAM_WINDOW: u32 = 1 << 20;

/// Bounds a response's head, in bytes as RFC 9113 §6.5.2 counts them.
const HEAD: u32 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn whatever_happens_wakes_all_who_wait_and_any_of_them_goes_on_with_all_work() {
        let works = Works::default();
        let counters = [Arc::new(Counter::default()), Arc::new(Counter::default())];
        let polls = Arc::new(AtomicUsize::new(0));
        let (counted, held) = (Arc::clone(&polls), Arc::new(Mutex::new(None)));
        let keeps = Arc::clone(&held);
        works.crowd.add(Box::pin(poll_fn(move |context: &mut Context<'_>| {
            *keeps.lock().unwrap() = Some(context.waker().clone());
            if counted.fetch_add(1, Ordering::Relaxed) < 2 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })));
        let turn = |counter: &Arc<Counter>| works.turn(&Waker::from(Arc::clone(counter)));
        counters.iter().for_each(turn);
        assert_eq!(polls.load(Ordering::Relaxed), 1, "nothing has happened since the first turn");
        for round in 1..=2 {
            held.lock().unwrap().clone().unwrap().wake();
            assert!(counters.iter().all(|counter| counter.0.load(Ordering::Relaxed) == round));
            counters.iter().rev().for_each(turn);
            assert_eq!(polls.load(Ordering::Relaxed), round + 1);
        }
        assert!(lock(&works.going).is_empty());
    }

    #[test]
    fn works_that_nobody_took_up_are_gone_with_the_connection() {
        let works = Works::default();
        let alive = Arc::new(());
        let inbox = Inbox(Arc::downgrade(&works.crowd));
        let (kept, held) = (inbox.clone(), Arc::clone(&alive));
        inbox.execute(async move { drop((kept, held)) });
        drop(works);
        assert_eq!(Arc::strong_count(&alive), 1);
        inbox.execute(async {});
    }
}
