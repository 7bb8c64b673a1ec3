//! Helpers with everything around them that they must not touch: each with a web server on it.

use crate::corpus::{Bait, GATEWAY, LENGTH, NAME_SERVER, ON_LINK, ON_LINK_V6, PUBLIC};
use crate::web;
use haul_lab::dns::Zone;
use haul_lab::hostile::{Enticer, Outcome};
use haul_lab::lan::{self, Host, Lan, Link, Process};
use haul_lab::wire::Watch;
use std::io::{Write, stderr};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// How long the helper may take to dial and for each of its words.
const PATIENCE: Duration = Duration::from_secs(40);

/// The helpers that are enticed side by side, as each takes its time with every refusal.
const HELPERS: [&str; 3] = ["asha", "ben", "chi"];

/// How many leaders entice a helper at a time, and from how many addresses each, as a helper dials one
/// address only every two seconds.
const LEADERS: u8 = 8;
const ADDRESSES: u8 = 16;

/// Where helpers hear asks.
const ASKS: u16 = 4285;

pub(crate) struct Scene {
    lan: Lan,
    watches: Vec<Watch>,
    homes: TempDir,
}

impl Scene {
    /// Builds the LAN; `None` where there can be none.
    pub(crate) fn build(baits: &[Bait]) -> Option<Self> {
        if let Some(reason) = lan::missing(&[]) {
            lan::skip_or_fail(&reason);
            return None;
        }
        let lan =
            HELPERS.into_iter().fold(Lan::builder(), |lan, name| lan.helper(name, Link::UNSHAPED));
        let lan = lan.build().unwrap();
        surround_leader(lan.leader());
        (11..).zip(lan.helpers()).for_each(|(at, helper)| surround_helper(helper, at));
        let zone = zone(baits);
        entered(lan.leader(), move || {
            zone.serve(UdpSocket::bind((NAME_SERVER, 53)).unwrap());
            web::serve(TcpListener::bind("[::]:80").unwrap());
        });
        entered(lan.origin(), || web::serve(TcpListener::bind("0.0.0.0:80").unwrap()));
        let watches = lan.helpers().iter().map(|helper| {
            entered(helper, || web::serve(TcpListener::bind("[::]:80").unwrap()));
            entered(helper, || Watch::start().unwrap())
        });
        let watches = watches.collect();
        Some(Self { lan, watches, homes: TempDir::new().unwrap() })
    }

    /// `helper run --accept always` on all of them, which hear asks when this returns.
    pub(crate) fn run_helpers(&self, more: &[&str]) -> Vec<Process> {
        self.lan.helpers().iter().map(|host| self.run_helper(host, more)).collect()
    }

    fn run_helper(&self, host: &Host, more: &[&str]) -> Process {
        let mut command = host.command(env!("CARGO_BIN_EXE_helper"));
        command.env("HAUL_HOME", self.homes.path().join(host.name())).env("RUST_LOG", "warn");
        command.args(["run", "--json", "--accept", "always"]).args(more);
        let mut helper = Process::spawn(&mut command).unwrap();
        helper.wait_for(PATIENCE, |out, _| out.contains("listening")).unwrap();
        helper
    }

    /// Where the helpers have dialled to.
    pub(crate) fn dialled(&self) -> Vec<SocketAddr> {
        self.watches.iter().flat_map(Watch::dialled).collect()
    }

    pub(crate) fn origin(&self) -> IpAddr {
        self.lan.origin().internet_address().into()
    }

    /// Names every bait to one of the helpers; what it did with each.
    pub(crate) fn entice(&self, baits: &[Bait]) -> Vec<Outcome> {
        let shares = (0..HELPERS.len()).map(|helper| {
            let urls = baits.iter().enumerate().skip(helper).step_by(HELPERS.len());
            let urls = urls.map(|(at, bait)| (at, bait.url.clone())).collect();
            let helper = SocketAddr::from((self.lan.helpers()[helper].address(), ASKS));
            let work = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(entice_all(urls, helper))
            };
            self.lan.leader().enter(work).unwrap()
        });
        let shares: Vec<_> = shares.collect();
        let mut outcomes: Vec<_> =
            shares.into_iter().flat_map(|share| share.join().unwrap()).collect();
        outcomes.sort_by_key(|(at, _)| *at);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

/// Names URLs to a helper, each with its place among all.
async fn entice_all(urls: Vec<(usize, String)>, helper: SocketAddr) -> Vec<(usize, Outcome)> {
    let urls = Arc::new(urls);
    let mut leaders = JoinSet::new();
    for leader in 0..LEADERS {
        let urls = Arc::clone(&urls);
        leaders.spawn(async move {
            let mut turns = (0..ADDRESSES).cycle().map(|turn| address(leader, turn));
            let mut outcomes = Vec::new();
            let own = urls.iter().skip(leader.into()).step_by(LEADERS.into());
            for (at, url) in own {
                outcomes.push((*at, entice_one(helper, url, &mut turns).await));
            }
            outcomes
        });
    }
    leaders.join_all().await.concat()
}

/// Names a URL until the helper has a turn for it.
async fn entice_one(
    helper: SocketAddr,
    url: &str,
    addresses: &mut impl Iterator<Item = Ipv4Addr>,
) -> Outcome {
    loop {
        let from = addresses.next().unwrap();
        let enticer = Enticer { from, helper, length: LENGTH };
        let outcome = enticer.entice(url, PATIENCE).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("{url}: {error}"));
        if !outcome.was_busy() {
            return outcome;
        }
    }
}

/// The addresses of one leader among many: in the LAN's network, and no machine's but the leader's.
const fn address(leader: u8, turn: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, 100 + leader * ADDRESSES + turn)
}

/// Whether a helper may dial this: the leaders that asked it, and the origin that they name.
pub(crate) fn is_meant(to: &SocketAddr) -> bool {
    let IpAddr::V4(ip) = to.ip() else { return false };
    let leader = ip >= address(0, 0) && ip <= address(LEADERS - 1, ADDRESSES - 1);
    let origin = ip == Ipv4Addr::new(203, 0, 113, 10);
    (leader && (4285..=4300).contains(&to.port())) || (origin && to.port() == 80)
}

/// Gives the leader the addresses of everything that is forbidden.
fn surround_leader(leader: &Host) {
    let global = ON_LINK_V6.trim_matches(['[', ']']);
    leader.enable_ipv6().unwrap();
    leader.ip(&format!("addr add {global}/64 dev lan0 nodad")).unwrap();
    for (address, prefix) in [(ON_LINK, 24), (GATEWAY, 32), (NAME_SERVER, 32), (PUBLIC, 32)] {
        leader.ip(&format!("addr add {address}/{prefix} dev lan0")).unwrap();
    }
    for at in 0..LEADERS * ADDRESSES {
        leader.ip(&format!("addr add {}/24 dev lan0", address(0, at))).unwrap();
    }
}

/// Gives a helper the routes to all that, and networks of its own that end in this number.
fn surround_helper(helper: &Host, at: u8) {
    let global = ON_LINK_V6.trim_matches(['[', ']']);
    helper.enable_ipv6().unwrap();
    for line in [
        format!("addr add 2606:4700:aaaa::{at}/64 dev lan0 nodad"),
        format!("route add default via {global} dev lan0"),
        format!("addr add 11.22.33.{at}/24 dev lan0"),
        format!("route add {GATEWAY}/32 dev lan0"),
        format!("route add default via {GATEWAY} dev lan0 metric 900"),
        format!("route add {NAME_SERVER}/32 dev lan0"),
        format!("route add {PUBLIC}/32 dev lan0"),
    ] {
        helper.ip(&line).unwrap();
    }
    helper.set_name_server(NAME_SERVER.parse().unwrap()).unwrap();
}

fn zone(baits: &[Bait]) -> Zone {
    let named = baits.iter().filter_map(|bait| bait.named.as_ref());
    named.fold(Zone::default(), |zone, (name, turns)| {
        let turns: Vec<&[IpAddr]> = turns.iter().map(Vec::as_slice).collect();
        zone.with_turns(name, &turns)
    })
}

fn entered<T: Send + 'static>(host: &Host, work: impl FnOnce() -> T + Send + 'static) -> T {
    host.enter(work).unwrap().join().unwrap()
}

/// Prints past the test harness, which keeps what passing tests print to itself.
pub(crate) fn say(line: &str) {
    let _ = stderr().write_all(format!("{line}\n").as_bytes());
}
