//! A name server that says whatever a test wants, also something else every time.
//!
//! It knows A and AAAA records of class IN and nothing else, and every answer has a time to live
//! of zero (RFC 1035), so that whoever wants to know again asks again.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::sync::Mutex;
use std::thread::{self, JoinHandle};

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// Response, authoritative, recursion desired and available; with and without such a name.
const FOUND: u16 = 0x8580;
const NO_SUCH_NAME: u16 = 0x8583;

/// What names lead to.
#[derive(Debug, Default)]
pub struct Zone {
    names: HashMap<String, Name>,
}

#[derive(Debug)]
struct Name {
    /// The addresses of each answer in turn; the last one stays.
    answers: Vec<Vec<IpAddr>>,
    /// How many questions of each type were answered.
    asked: Mutex<HashMap<u16, usize>>,
}

impl Zone {
    /// Lets `name` lead to `addresses`.
    #[must_use]
    pub fn with(self, name: &str, addresses: &[IpAddr]) -> Self {
        self.with_turns(name, &[addresses])
    }

    /// Lets `name` lead to the first of `turns` when it is asked for first, to the second one
    /// then, and to the last one from there on; A and AAAA are counted apart.
    #[must_use]
    pub fn with_turns(mut self, name: &str, turns: &[&[IpAddr]]) -> Self {
        let answers = turns.iter().map(|turn| turn.to_vec()).collect();
        let name = name.to_ascii_lowercase();
        self.names.insert(name, Name { answers, asked: Mutex::default() });
        self
    }

    /// Answers on `socket` until the process ends.
    pub fn serve(self, socket: UdpSocket) -> JoinHandle<io::Result<()>> {
        thread::spawn(move || {
            let mut datagram = [0; 512];
            loop {
                let (len, from) = socket.recv_from(&mut datagram)?;
                if let Some(answer) = self.answer(&datagram[..len]) {
                    socket.send_to(&answer, from)?;
                }
            }
        })
    }

    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let question = Question::parse(query)?;
        let known = self.names.get(&question.name);
        let addresses = known.map(|name| name.next(question.wanted)).unwrap_or_default();
        let mut answer = query[..2].to_vec();
        let flags = if known.is_some() { FOUND } else { NO_SUCH_NAME };
        let records = u16::try_from(addresses.len()).ok()?;
        for word in [flags, 1, records, 0, 0] {
            answer.extend(word.to_be_bytes());
        }
        answer.extend(question.bytes);
        for address in addresses {
            answer.extend(record(address));
        }
        Some(answer)
    }
}

impl Name {
    fn next(&self, wanted: u16) -> Vec<IpAddr> {
        let mut asked = self.asked.lock().expect("no holder panics");
        let turn = asked.entry(wanted).or_default();
        let answer = self.answers.get(*turn).or(self.answers.last());
        *turn += 1;
        let fits = |ip: &IpAddr| wanted == if ip.is_ipv4() { TYPE_A } else { TYPE_AAAA };
        answer.into_iter().flatten().copied().filter(fits).collect()
    }
}

struct Question<'a> {
    name: String,
    wanted: u16,
    /// Name, type and class as they came.
    bytes: &'a [u8],
}

impl<'a> Question<'a> {
    /// The first question of a query.
    fn parse(query: &'a [u8]) -> Option<Self> {
        let asked = query.get(12..)?;
        let (mut name, mut at) = (String::new(), 0);
        loop {
            let len = usize::from(*asked.get(at)?);
            let label = asked.get(at + 1..at + 1 + len)?;
            at += 1 + len;
            if len == 0 {
                break;
            }
            let dot = if name.is_empty() { "" } else { "." };
            name = name + dot + &String::from_utf8_lossy(label).to_ascii_lowercase();
        }
        let wanted = u16::from_be_bytes(*asked.get(at..)?.first_chunk()?);
        Some(Self { name, wanted, bytes: asked.get(..at + 4)? })
    }
}

/// A record of the name that the question begins with, at offset 12 of the message.
fn record(address: IpAddr) -> Vec<u8> {
    let (wanted, octets) = match address {
        IpAddr::V4(v4) => (TYPE_A, v4.octets().to_vec()),
        IpAddr::V6(v6) => (TYPE_AAAA, v6.octets().to_vec()),
    };
    let len = if address.is_ipv4() { 4 } else { 16 };
    let words = [0xc00c, wanted, 1, 0, 0, len];
    words.into_iter().flat_map(u16::to_be_bytes).chain(octets).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question as resolvers write it.
    fn query(name: &str, wanted: u16) -> Vec<u8> {
        let mut query = [[0xab, 0xcd], [1, 0], [0, 1], [0, 0], [0, 0], [0, 0]].concat();
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.as_bytes());
        }
        query.push(0);
        query.extend([wanted, 1].into_iter().flat_map(u16::to_be_bytes));
        query
    }

    #[test]
    fn a_name_leads_to_its_addresses_in_their_turn_and_another_to_nothing() {
        let (one, two): (IpAddr, IpAddr) = ([1, 2, 3, 4].into(), [5, 6, 7, 8].into());
        let zone = Zone::default().with_turns("a.test", &[&[one], &[two]]);
        let ends = |zone: &Zone, name, wanted| zone.answer(&query(name, wanted)).unwrap();
        assert!(ends(&zone, "A.test", TYPE_A).ends_with(&[0, 4, 1, 2, 3, 4]));
        assert!(ends(&zone, "a.test", TYPE_A).ends_with(&[0, 4, 5, 6, 7, 8]));
        assert!(ends(&zone, "a.test", TYPE_A).ends_with(&[0, 4, 5, 6, 7, 8]));
        assert_eq!(ends(&zone, "a.test", TYPE_AAAA)[6..8], [0, 0], "no address of that family");
        assert_eq!(ends(&zone, "b.test", TYPE_A)[2..4], NO_SUCH_NAME.to_be_bytes());
        assert_eq!(zone.answer(&[0; 20]).map(|answer| answer.len()), Some(17));
        assert_eq!(zone.answer(&[9; 14]), None);
    }
}
