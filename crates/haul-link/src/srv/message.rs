//! A question to a name server and its answer as bytes (RFC 1035 §4).

use super::{Name, Service};

/// The type of a record that names services (RFC 2782), and of one that says that a name is another
/// name's alias (RFC 1035 §3.3.1).
const SRV: u16 = 33;
const CNAME: u16 = 5;

/// The internet (RFC 1035 §3.2.4).
const IN: u16 = 1;

/// What a question is marked with: the server shall find out itself what it does not know.
const RECURSION_DESIRED: u16 = 0x0100;

/// In an answer: that it is one, of which kind, that it was cut, and how it went.
const IS_ANSWER: u16 = 0x8000;
const KIND: u16 = 0x7800;
const TRUNCATED: u16 = 0x0200;
const CODE: u16 = 0x000f;

/// The code that says that there is no such name.
const NO_SUCH_NAME: u16 = 3;

/// No domain names more helpers than this; further ones are left out.
const MOST: usize = 256;

/// The most labels of a name of 255 octets.
const MOST_LABELS: usize = 127;

/// What a name server is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// So that nobody who has not seen the question can answer it.
    pub(crate) id: u16,
    /// Whose SRV records are wanted.
    pub(crate) name: Name,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// These are the services; none if there is no such name.
    Services(Vec<Service>),
    /// There are more than fit into this answer.
    Truncated,
    /// It cannot or will not tell.
    Refused(u8),
}

impl Question {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let header = [self.id, RECURSION_DESIRED, 1, 0, 0, 0];
        let mut bytes: Vec<u8> = header.into_iter().flat_map(u16::to_be_bytes).collect();
        for label in self.name.labels() {
            bytes.push(u8::try_from(label.len()).expect("a label has 63 octets at most"));
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend([SRV, IN].into_iter().flat_map(u16::to_be_bytes));
        bytes
    }

    /// What these bytes answer; `None` if they are no answer to this question.
    pub(crate) fn answer_in(&self, message: &[u8]) -> Option<Answer> {
        self.parse(message).ok()
    }

    fn parse(&self, message: &[u8]) -> Result<Answer, Malformed> {
        let mut reader = Reader { message, at: 0 };
        let [id, flags, questions, answers, _authorities, _additional] = reader.u16s()?;
        let fits = id == self.id && flags & (IS_ANSWER | KIND) == IS_ANSWER && questions == 1;
        if !fits || reader.name()?.as_ref() != Some(&self.name) || reader.u16s()? != [SRV, IN] {
            return Err(Malformed);
        }
        match flags & CODE {
            0 if flags & TRUNCATED != 0 => Ok(Answer::Truncated),
            0 => Ok(Answer::Services(self.services(&mut reader, answers)?)),
            NO_SUCH_NAME => Ok(Answer::Services(Vec::new())),
            code => Ok(Answer::Refused(u8::try_from(code).expect("it has four bits"))),
        }
    }

    /// The services of the name, or of the name that it is an alias of.
    fn services(&self, reader: &mut Reader<'_>, answers: u16) -> Result<Vec<Service>, Malformed> {
        let (mut owner, mut services) = (self.name.clone(), Vec::new());
        for _ in 0..answers {
            let record = reader.record()?;
            if record.class != IN || record.owner.as_ref() != Some(&owner) {
                continue;
            }
            let mut data = record.data;
            match record.kind {
                CNAME => owner = data.name()?.ok_or(Malformed)?,
                SRV if services.len() < MOST => services.extend(data.service()?),
                _ => {}
            }
        }
        Ok(services)
    }
}

/// The bytes are no message.
#[derive(Debug)]
struct Malformed;

/// A record, whose data is still to be read.
struct Record<'a> {
    owner: Option<Name>,
    kind: u16,
    class: u16,
    data: Reader<'a>,
}

/// Reads a message from `at` on.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let rest = self.message.get(self.at..).ok_or(Malformed)?;
        let bytes = rest.get(..len).ok_or(Malformed)?;
        self.at += len;
        Ok(bytes)
    }

    fn u16s<const N: usize>(&mut self) -> Result<[u16; N], Malformed> {
        let mut numbers = [0; N];
        for (number, bytes) in numbers.iter_mut().zip(self.bytes(2 * N)?.chunks_exact(2)) {
            *number = u16::from_be_bytes([bytes[0], bytes[1]]);
        }
        Ok(numbers)
    }

    /// A record and a reader of its data, in which names may refer to what stands before it.
    fn record(&mut self) -> Result<Record<'a>, Malformed> {
        let owner = self.name()?;
        let [kind, class, _ttl, _rest_of_ttl, len] = self.u16s()?;
        let start = self.at;
        self.bytes(len.into())?;
        let data = Self { message: &self.message[..self.at], at: start };
        Ok(Record { owner, kind, class, data })
    }

    /// A service; none if its machine is the root, which says that there is no service, or has no
    /// name or port.
    fn service(&mut self) -> Result<Option<Service>, Malformed> {
        let [priority, weight, port] = self.u16s()?;
        let host = self.name()?.filter(|_| port != 0);
        Ok(host.map(|host| Service { priority, weight, port, host }))
    }

    /// A name, which may end with a pointer to an earlier one (RFC 1035 §4.1.4); none if it is the
    /// root, or no name of a machine.
    fn name(&mut self) -> Result<Option<Name>, Malformed> {
        let mut labels = Vec::new();
        let mut pointer = self.labels(&mut labels)?;
        while let Some(at) = pointer {
            pointer = Self { at, ..*self }.labels(&mut labels)?;
        }
        Ok(Name::of_labels(&labels))
    }

    /// Takes labels up to the name's end, or up to a pointer, and then tells where it leads to:
    /// always before these labels, so that no chain of pointers is a circle.
    fn labels(&mut self, labels: &mut Vec<&'a [u8]>) -> Result<Option<usize>, Malformed> {
        let begin = self.at;
        loop {
            match self.bytes(1)?[0] {
                0 => return Ok(None),
                len @ 1..=63 if labels.len() < MOST_LABELS => labels.push(self.bytes(len.into())?),
                high @ 0xc0.. => {
                    let low = self.bytes(1)?[0];
                    let target = usize::from(high & 0x3f) << 8 | usize::from(low);
                    return if target < begin { Ok(Some(target)) } else { Err(Malformed) };
                }
                _ => return Err(Malformed),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWNER: [u8; 2] = [0xc0, 12];

    fn question() -> Question {
        Question { id: 0x1234, name: "_haul._udp.lab.test".parse().unwrap() }
    }

    /// An answer to the question with these flags and records.
    fn answer(flags: u16, records: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = question().to_bytes();
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        bytes[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
        bytes.extend(records.concat());
        bytes
    }

    fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
        let len = u16::try_from(data.len()).unwrap();
        let numbers = [kind, IN, 0, 60, len].into_iter().flat_map(u16::to_be_bytes);
        owner.iter().copied().chain(numbers).chain(data.iter().copied()).collect()
    }

    fn srv(priority: u16, weight: u16, port: u16, host: &[u8]) -> Vec<u8> {
        let numbers = [priority, weight, port].into_iter().flat_map(u16::to_be_bytes);
        record(&OWNER, SRV, &numbers.chain(host.iter().copied()).collect::<Vec<_>>())
    }

    fn told(message: &[u8]) -> Option<Vec<(u16, String)>> {
        match question().answer_in(message)? {
            Answer::Services(services) => {
                Some(services.into_iter().map(|one| (one.port, one.host.to_string())).collect())
            }
            _ => None,
        }
    }

    #[test]
    fn a_question_has_the_bytes_of_the_rfc() {
        let bytes = question().to_bytes();
        assert_eq!(bytes[..12], [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&bytes[12..], b"\x05_haul\x04_udp\x03lab\x04test\0\0\x21\0\x01");
    }

    #[test]
    fn services_are_read_with_names_whole_and_compressed() {
        let whole = srv(0, 5, 4285, b"\x04Asha\x04test\0");
        let short = srv(0, 0, 4290, b"\x03ben\xc0\x17");
        let wanted = [(4285, "asha.test".to_owned()), (4290, "ben.lab.test".to_owned())];
        assert_eq!(told(&answer(0x8180, &[whole, short])).unwrap(), wanted);
    }

    #[test]
    fn an_alias_is_followed_and_records_of_others_are_left_out() {
        let alias = record(&OWNER, CNAME, b"\x01x\xc0\x17");
        let others = srv(0, 0, 1, b"\x01a\0");
        let of_alias = record(b"\x01X\x03lab\x04test\0", SRV, b"\0\0\0\0\x10\xbd\x01b\0");
        let message = answer(0x8180, &[alias, others, of_alias]);
        assert_eq!(told(&message).unwrap(), [(4285, "b".to_owned())]);
    }

    #[test]
    fn no_service_is_no_error_and_a_refusal_is_one() {
        assert_eq!(told(&answer(0x8180, &[srv(0, 0, 4285, b"\0")])).unwrap(), []);
        assert_eq!(told(&answer(0x8180, &[srv(0, 0, 0, b"\x01a\0")])).unwrap(), []);
        assert_eq!(told(&answer(0x8183, &[])).unwrap(), []);
        let says = |flags| question().answer_in(&answer(flags, &[])).unwrap();
        assert_eq!([says(0x8182), says(0x8380)], [Answer::Refused(2), Answer::Truncated]);
    }

    #[test]
    fn what_answers_no_question_of_ours_is_not_read() {
        let good = answer(0x8180, &[srv(0, 0, 4285, b"\x01a\0")]);
        assert!(told(&good).is_some());
        for (at, what) in [(1, "id"), (2, "query"), (5, "questions"), (14, "name"), (33, "type")] {
            let mut forged = good.clone();
            forged[at] ^= if at == 2 { 0x80 } else { 1 };
            assert_eq!(told(&forged), None, "{what}");
        }
        for len in 0..good.len() {
            assert_eq!(told(&good[..len]), None, "cut after {len}");
        }
    }

    #[test]
    fn pointers_that_lead_forwards_or_in_a_circle_end_the_reading() {
        for host in [&b"\xc0\x37"[..], b"\xc0\x39", b"\x01a\xc0\x37", b"\xff\xff", b"\x80\0"] {
            assert_eq!(told(&answer(0x8180, &[srv(0, 0, 4285, host)])), None, "{host:x?}");
        }
        let endless = answer(0x8180, &[srv(0, 0, 4285, &b"\x01a".repeat(200))]);
        assert_eq!(told(&endless), None);
    }

    #[test]
    fn a_domain_with_thousands_of_helpers_names_the_first_256() {
        let many: Vec<_> = (1..2000).map(|port| srv(0, 0, port, b"\x01a\0")).collect();
        assert_eq!(told(&answer(0x8180, &many)).unwrap().len(), MOST);
    }

    proptest! {
        #[test]
        fn no_message_breaks_the_reader(tail in prop::collection::vec(any::<u8>(), 0..300), records in 0..9_u8) {
            let mut message = answer(0x8180, &[]);
            message[7] = records;
            message.extend(tail);
            if let Some(Answer::Services(services)) = question().answer_in(&message) {
                prop_assert!(services.len() <= usize::from(records));
            }
        }
    }
}
