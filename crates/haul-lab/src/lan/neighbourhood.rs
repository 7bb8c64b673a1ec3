use super::tool::run;
use super::{Host, Lan, Link};
use crate::Error;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::Command;
use tempfile::NamedTempFile;

/// How many machines share the addresses; the last of them is deaf to ping.
const MACHINES: usize = 4;

/// The first address of the network.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 0);

/// A LAN with many live addresses for a scan to find from the leader's place, over `lan0`.
///
/// A few machines have them all, as what a scan hears is the same, and thousands of namespaces
/// would take minutes.
#[derive(Debug)]
pub struct Neighbourhood {
    lan: Lan,
    live: BTreeSet<Ipv4Addr>,
    prefix: u8,
}

impl Neighbourhood {
    /// A network of this prefix, 16 to 24, with so many live addresses beside the leader's, of which
    /// `deaf` do not answer ping.
    ///
    /// # Panics
    ///
    /// If fewer than four are live, or fewer are not deaf than there are machines for them.
    pub fn build(prefix: u8, live: usize, deaf: usize) -> Result<Self, Error> {
        let names = ["asha", "ben", "chen", "dora"];
        assert!(live >= deaf + MACHINES && deaf > 0, "every machine needs an address");
        let builder = names.iter().fold(Lan::builder(), |lan, n| lan.helper(*n, Link::UNSHAPED));
        let lan = builder.build()?;
        lan.leader().ip("address flush dev lan0")?;
        lan.leader().ip(&format!("address add 10.77.0.1/{prefix} brd + dev lan0"))?;
        let hearing = share(live - deaf, MACHINES - 1);
        let mut addresses = addresses(prefix, live);
        for (host, count) in lan.helpers().iter().zip(hearing.chain([deaf])) {
            let own: Vec<_> = addresses.by_ref().take(count).collect();
            give(host, prefix, &own)?;
        }
        let last = &lan.helpers()[MACHINES - 1];
        last.set(&[("net/ipv4/icmp_echo_ignore_all", "1")])?;
        Ok(Self { lan, live: self::addresses(prefix, live).collect(), prefix })
    }

    /// The machine to scan from, at 10.77.0.1.
    pub const fn leader(&self) -> &Host {
        self.lan.leader()
    }

    /// The machines that have the addresses; broadcasts reach each.
    pub fn machines(&self) -> &[Host] {
        self.lan.helpers()
    }

    /// Every live address but the leader's.
    pub const fn live(&self) -> &BTreeSet<Ipv4Addr> {
        &self.live
    }

    /// The network as programs are told it: `10.77.0.0/24`.
    pub fn network(&self) -> String {
        format!("{FIRST}/{}", self.prefix)
    }
}

/// `count` in so many parts that are as equal as can be.
fn share(count: usize, parts: usize) -> impl Iterator<Item = usize> {
    (0..parts).map(move |part| (count + part) / parts)
}

/// So many addresses of a network, spread all over it.
fn addresses(prefix: u8, count: usize) -> impl Iterator<Item = Ipv4Addr> {
    let size = 1_usize << (32 - prefix);
    // Neither the network's own address, nor the leader's, nor that of everybody.
    let nth = move |n: usize| 2 + n * (size - 3) / count;
    let first = FIRST.to_bits();
    (0..count)
        .filter_map(move |n| u32::try_from(nth(n)).ok())
        .map(move |n| Ipv4Addr::from_bits(first + n))
}

/// Gives a machine these addresses and no others.
fn give(host: &Host, prefix: u8, addresses: &[Ipv4Addr]) -> Result<(), Error> {
    let lines =
        addresses.iter().map(|address| format!("address add {address}/{prefix} dev lan0\n"));
    let batch = "address flush dev lan0\n".to_owned() + &lines.collect::<String>();
    let mut file =
        NamedTempFile::new().map_err(Error::io("keep a list of addresses".to_owned()))?;
    file.write_all(batch.as_bytes()).map_err(Error::io("keep a list of addresses".to_owned()))?;
    run(Command::new("ip").args(["-n", host.namespace_name(), "-batch"]).arg(file.path()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_are_as_many_as_asked_for_and_none_is_the_leaders_or_nobodys() {
        for (prefix, count) in [(24, 60), (22, 300), (20, 1000)] {
            let all: BTreeSet<_> = addresses(prefix, count).collect();
            let last = FIRST.to_bits() + (1 << (32 - prefix)) - 1;
            assert_eq!(all.len(), count);
            assert!(
                all.iter().all(|address| (FIRST.to_bits() + 2..last).contains(&address.to_bits()))
            );
            assert_eq!(share(count, 3).sum::<usize>(), count);
        }
    }
}
