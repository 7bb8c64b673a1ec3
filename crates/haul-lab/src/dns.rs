//! A name server that says whatever a test wants, also something else every time.
//!
//! It knows A, AAAA and SRV records of class IN and nothing else, and every answer has a time to
//! live of zero (RFC 1035), so that whoever wants to know again asks again.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const TYPE_SRV: u16 = 33;

/// Response, authoritative, recursion desired and available; with and without such a name, and cut
/// to what a datagram holds.
const FOUND: u16 = 0x8580;
const NO_SUCH_NAME: u16 = 0x8583;
const TRUNCATED: u16 = 0x8780;

/// The most octets of an answer that is a datagram.
const LONGEST_DATAGRAM: usize = 512;

/// What names lead to.
#[derive(Debug, Default)]
pub struct Zone {
    names: HashMap<String, Name>,
    services: HashMap<String, Vec<Service>>,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug)]
pub struct Service {
    /// The lowest number first.
    pub priority: u16,
    /// How often before others of its priority.
    pub weight: u16,
    /// Where it serves.
    pub port: u16,
    /// The machine's name.
    pub host: String,
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

    /// Lets `name`, such as `_haul._udp.lab.test`, lead to these services.
    #[must_use]
    pub fn with_services(mut self, name: &str, services: &[Service]) -> Self {
        self.services.insert(name.to_ascii_lowercase(), services.to_vec());
        self
    }

    /// Answers on `socket` until the process ends; what is too long for a datagram is cut.
    pub fn serve(self, socket: UdpSocket) -> JoinHandle<io::Result<()>> {
        thread::spawn(move || self.answer_datagrams(&socket))
    }

    /// The same, and answers in whole on `listener`.
    pub fn serve_over_tcp_too(
        self,
        socket: UdpSocket,
        listener: TcpListener,
    ) -> JoinHandle<io::Result<()>> {
        let zone = Arc::new(self);
        let same = Arc::clone(&zone);
        thread::spawn(move || {
            // A connection that breaks is nobody's loss but its maker's.
            listener.incoming().flatten().for_each(|tcp| drop(same.answer_connection(tcp)));
        });
        thread::spawn(move || zone.answer_datagrams(&socket))
    }

    fn answer_datagrams(&self, socket: &UdpSocket) -> io::Result<()> {
        let mut datagram = [0; LONGEST_DATAGRAM];
        loop {
            let (len, from) = socket.recv_from(&mut datagram)?;
            if let Some(answer) = self.answer(&datagram[..len]) {
                socket.send_to(&cut(answer), from)?;
            }
        }
    }

    fn answer_connection(&self, mut tcp: TcpStream) -> io::Result<()> {
        let mut len = [0; 2];
        tcp.read_exact(&mut len)?;
        let mut query = vec![0; u16::from_be_bytes(len).into()];
        tcp.read_exact(&mut query)?;
        let answer = self.answer(&query).unwrap_or_default();
        let len = u16::try_from(answer.len()).map_err(io::Error::other)?;
        tcp.write_all(&[&len.to_be_bytes(), &answer[..]].concat())
    }

    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let question = Question::parse(query)?;
        let (known, records) = self.records(&question);
        let mut answer = query[..2].to_vec();
        let flags = if known { FOUND } else { NO_SUCH_NAME };
        for word in [flags, 1, u16::try_from(records.len()).ok()?, 0, 0] {
            answer.extend(word.to_be_bytes());
        }
        answer.extend(question.bytes);
        answer.extend(records.concat());
        Some(answer)
    }

    /// Whether there is such a name, and what it has of the type that is wanted.
    fn records(&self, Question { name, wanted, .. }: &Question<'_>) -> (bool, Vec<Vec<u8>>) {
        let (known, services) = (self.names.get(name), self.services.get(name));
        let records = if *wanted == TYPE_SRV {
            services.into_iter().flatten().map(Service::record).collect()
        } else {
            known
                .map(|name| name.next(*wanted))
                .unwrap_or_default()
                .into_iter()
                .map(record)
                .collect()
        };
        (known.is_some() || services.is_some(), records)
    }
}

impl Service {
    fn record(&self) -> Vec<u8> {
        let mut data: Vec<u8> = [self.priority, self.weight, self.port]
            .into_iter()
            .flat_map(u16::to_be_bytes)
            .collect();
        for label in self.host.split('.') {
            data.push(u8::try_from(label.len()).expect("a test's names are short"));
            data.extend(label.as_bytes());
        }
        data.push(0);
        of_question(TYPE_SRV, &data)
    }
}

/// What of an answer is sent as a datagram: of one that is too long, no record.
fn cut(mut answer: Vec<u8>) -> Vec<u8> {
    if answer.len() > LONGEST_DATAGRAM {
        let question = Question::parse(&answer).map_or(0, |question| question.bytes.len());
        answer.truncate(12 + question);
        answer[2..4].copy_from_slice(&TRUNCATED.to_be_bytes());
        answer[6..8].fill(0);
    }
    answer
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

fn record(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => of_question(TYPE_A, &v4.octets()),
        IpAddr::V6(v6) => of_question(TYPE_AAAA, &v6.octets()),
    }
}

/// A record of the name that the question begins with, at offset 12 of the message.
fn of_question(wanted: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).expect("a test's records are short");
    let words = [0xc00c, wanted, 1, 0, 0, len];
    words.into_iter().flat_map(u16::to_be_bytes).chain(data.iter().copied()).collect()
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
    #[test]
    fn services_are_told_whole_if_they_fit_a_datagram_and_not_at_all_if_they_do_not() {
        let service = |port| Service { priority: 1, weight: 2, port, host: "a.test".into() };
        let ask = |services: &[Service]| {
            let zone = Zone::default().with_services("_haul._udp.lab.test", services);
            zone.answer(&query("_haul._udp.lab.test", TYPE_SRV)).map(cut).unwrap()
        };
        let one = ask(&[service(4285)]);
        assert!(one.ends_with(b"\0\x0e\0\x01\0\x02\x10\xbd\x01a\x04test\0"));
        let many = ask(&(1..50).map(service).collect::<Vec<_>>());
        assert_eq!(many.len(), query("_haul._udp.lab.test", TYPE_SRV).len());
        assert_eq!((&many[2..4], &many[6..8]), (&TRUNCATED.to_be_bytes()[..], &[0, 0][..]));
    }
}
