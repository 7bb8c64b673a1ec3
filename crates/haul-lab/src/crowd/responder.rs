use super::Crowd;
use crate::Error;
use crate::lan::Host;
use pnet_datalink::{Channel, Config, DataLinkReceiver, DataLinkSender, NetworkInterface};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, mem};

/// How long the responder waits for a frame before it looks at the time.
const SLICE: Duration = Duration::from_millis(1);

/// The length of an ARP packet for IPv4 over Ethernet, and where it says who asks for whom.
const ARP: usize = 42;

/// A thread that answers for a [`Crowd`] to whom a machine's `lan0` leads; it ends when this is
/// dropped.
#[derive(Debug)]
pub struct Responder {
    orders: mpsc::Sender<mpsc::Sender<Asked>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What came in from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// When each ARP request came, since the responder started, and who was sought.
    pub requests: Vec<(Duration, Ipv4Addr)>,
    /// How many frames were none.
    pub others: usize,
}

impl Responder {
    /// Answers on this machine, beside what its kernel does, and keeps a record from now on.
    pub fn start(host: &Host, crowd: Crowd) -> Result<Self, Error> {
        let (orders, ordered) = mpsc::channel();
        let stopped = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = mpsc::channel();
        let stop = Arc::clone(&stopped);
        let work = move || {
            let opened = open();
            let (answer, wire) = match opened {
                Ok(wire) => (Ok(()), Some(wire)),
                Err(error) => (Err(error), None),
            };
            // Whoever waits for this is at hand.
            let _ = ready.send(answer);
            if let Some((sender, receiver)) = wire {
                let began = Instant::now();
                let desk =
                    Desk { crowd, sender, asked: Asked::default(), due: BTreeSet::new(), began };
                desk.serve(receiver, &ordered, &stop);
            }
        };
        let thread = Some(host.within(work)?);
        let opened = is_ready.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
        opened.map_err(Error::io("open a packet socket on lan0".to_owned()))?;
        Ok(Self { orders, stopped, thread })
    }

    /// What came in since the start, or since this was last called.
    pub fn asked(&self) -> Asked {
        let (sender, receiver) = mpsc::channel();
        // A responder that ended was asked nothing.
        let _ = self.orders.send(sender);
        receiver.recv().unwrap_or_default()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it panicked of, it has said.
            let _ = thread.join();
        }
    }
}

/// Where requests come in and answers wait for their time.
struct Desk {
    crowd: Crowd,
    sender: Box<dyn DataLinkSender>,
    asked: Asked,
    due: BTreeSet<(Duration, Vec<u8>)>,
    began: Instant,
}

impl Desk {
    fn serve(
        mut self,
        mut receiver: Box<dyn DataLinkReceiver>,
        ordered: &mpsc::Receiver<mpsc::Sender<Asked>>,
        stopped: &AtomicBool,
    ) {
        while !stopped.load(Ordering::Relaxed) {
            // Nothing within the time is an error like others, and none of them ends a lab.
            match receiver.next() {
                Ok(frame) => self.take(frame),
                Err(_) => ordered.try_iter().for_each(|order| {
                    let _ = order.send(mem::take(&mut self.asked));
                }),
            }
            self.answer();
        }
    }

    fn take(&mut self, frame: &[u8]) {
        let now = self.began.elapsed();
        let Some(target) = sought(frame) else {
            self.asked.others += 1;
            return;
        };
        self.asked.requests.push((now, target));
        if let Some(after) = self.crowd.answer(target) {
            self.due.insert((now + after, reply(frame, target)));
        }
    }

    fn answer(&mut self) {
        while self.due.first().is_some_and(|(at, _)| *at <= self.began.elapsed()) {
            if let Some((_, frame)) = self.due.pop_first() {
                // A full queue loses it, as it would on a real machine.
                let _ = self.sender.send_to(&frame, None);
            }
        }
    }
}

fn open() -> io::Result<(Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>)> {
    let is_lan = |interface: &NetworkInterface| interface.name == "lan0";
    let lan = pnet_datalink::interfaces().into_iter().find(is_lan);
    let lan = lan.ok_or(io::ErrorKind::NotFound)?;
    let config = Config { read_timeout: Some(SLICE), ..Config::default() };
    match pnet_datalink::channel(&lan, config)? {
        Channel::Ethernet(sender, receiver) => Ok((sender, receiver)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Whom an ARP request seeks.
fn sought(frame: &[u8]) -> Option<Ipv4Addr> {
    let frame: &[u8; ARP] = frame.first_chunk()?;
    let is_request = frame[12..14] == [0x08, 0x06] && frame[20..22] == [0, 1];
    is_request.then(|| Ipv4Addr::new(frame[38], frame[39], frame[40], frame[41]))
}

/// The answer to a request; its machine's hardware address is made of the address sought.
fn reply(request: &[u8], target: Ipv4Addr) -> Vec<u8> {
    let [_, b, c, d] = target.octets();
    let mac = [0x02, 0x77, 0, b, c, d];
    let (asker_mac, asker) = (&request[22..28], &request[28..32]);
    let header = [asker_mac, &mac, &[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2]].concat();
    [&header, &mac[..], &target.octets(), asker_mac, asker].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_says_to_whoever_asked_where_the_one_sought_is() {
        let mut request = vec![0xff; 6];
        request.extend([2, 0, 0, 0, 0, 1, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
        request.extend([2, 0, 0, 0, 0, 1, 10, 77, 0, 1, 0, 0, 0, 0, 0, 0, 10, 77, 0, 9]);
        let target = Ipv4Addr::new(10, 77, 0, 9);
        assert_eq!(sought(&request), Some(target));
        let reply = reply(&request, target);
        assert_eq!(reply.len(), ARP);
        assert_eq!((&reply[..6], &reply[28..32]), (&[2, 0, 0, 0, 0, 1][..], &[10, 77, 0, 9][..]));
        assert_eq!(sought(&reply), None);
        assert_eq!(sought(&request[..41]), None);
    }
}
