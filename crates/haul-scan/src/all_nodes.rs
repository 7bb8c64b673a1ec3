use crate::icmp::{self, Token};
use crate::link::Link;
use crate::{Mac, random};
use std::collections::BTreeSet;
use std::io;
use std::net::Ipv6Addr;
use std::time::Duration;

/// How many machines are kept apart; a liar could invent any number.
const MOST: usize = 4096;

/// One question by IPv6 to every node on the link: one packet, to which those answer that ARP for
/// IPv4 does not reach as well.
#[derive(Debug)]
pub(crate) struct AllNodes<L> {
    link: L,
    token: Token,
    heard: BTreeSet<(Ipv6Addr, Mac)>,
}

impl<L: Link> AllNodes<L> {
    /// Asks, from an interface's own addresses.
    pub(crate) fn ask(mut link: L, mac: Mac, source: Ipv6Addr) -> io::Result<Self> {
        let token = Token(random::seed().to_ne_bytes());
        link.send(&icmp::all_nodes_request(mac, source, token))?;
        Ok(Self { link, token, heard: BTreeSet::new() })
    }

    /// Who has answered so far, each told once. It does not wait.
    pub(crate) fn answers(&mut self) -> Vec<(Ipv6Addr, Mac)> {
        let mut answers = Vec::new();
        for _ in 0..MOST {
            // A link that breaks has no more answers, and ARP needs not care.
            let Ok(Some(frame)) = self.link.recv(Duration::ZERO) else { break };
            let answer = icmp::all_nodes_reply(frame, self.token);
            let new = answer.filter(|_| self.heard.len() < MOST);
            answers.extend(new.filter(|answer| self.heard.insert(*answer)));
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use icmp::tests::all_nodes_answer;
    use std::collections::VecDeque;

    const US: (Ipv6Addr, Mac) =
        (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), Mac::new([2, 0, 0, 0, 0, 1]));

    /// A link on which three machines answer, one of them twice.
    #[derive(Default)]
    struct Crowd(VecDeque<Vec<u8>>, Vec<u8>);

    impl Link for Crowd {
        fn send(&mut self, frame: &[u8]) -> io::Result<()> {
            self.0 =
                [7, 8, 8, 9].map(|n| all_nodes_answer(machine(n).1, machine(n).0, frame)).into();
            Ok(())
        }

        fn recv(&mut self, _: Duration) -> io::Result<Option<&[u8]>> {
            let Some(frame) = self.0.pop_front() else { return Ok(None) };
            self.1 = frame;
            Ok(Some(&self.1))
        }
    }

    fn machine(n: u8) -> (Ipv6Addr, Mac) {
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n.into());
        (address, Mac::new([2, 0, 0, 0, 0, n]))
    }

    #[test]
    fn whoever_answers_is_told_once() {
        let mut asked = AllNodes::ask(Crowd::default(), US.1, US.0).unwrap();
        assert_eq!(asked.answers(), [7, 8, 9].map(machine));
        assert_eq!(asked.answers(), []);
    }
}
