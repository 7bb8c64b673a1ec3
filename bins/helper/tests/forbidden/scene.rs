//! A helper with everything around it that it must not touch: each with a web server on it.

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

/// How many leaders entice at a time, and from how many addresses each, as a helper dials one
/// address only every two seconds.
const LEADERS: u8 = 8;
const ADDRESSES: u8 = 16;

/// Where helpers hear asks.
const ASKS: u16 = 4285;

pub(crate) struct Scene {
    lan: Lan,
    watch: Watch,
    home: TempDir,
}

impl Scene {
    /// Builds the LAN; `None` where there can be none.
    pub(crate) fn build(baits: &[Bait]) -> Option<Self> {
        if let Some(reason) = lan::missing(&[]) {
            lan::skip_or_fail(&reason);
            return None;
        }
        let lan = Lan::builder().helper("asha", Link::UNSHAPED).build().unwrap();
        surround(lan.helper("asha"), lan.leader());
        let zone = zone(baits);
        entered(lan.leader(), move || {
            zone.serve(UdpSocket::bind((NAME_SERVER, 53)).unwrap());
            web::serve(TcpListener::bind("[::]:80").unwrap());
        });
        entered(lan.origin(), || web::serve(TcpListener::bind("0.0.0.0:80").unwrap()));
        entered(lan.helper("asha"), || web::serve(TcpListener::bind("[::]:80").unwrap()));
        let watch = entered(lan.helper("asha"), || Watch::start().unwrap());
        Some(Self { lan, watch, home: TempDir::new().unwrap() })
    }

    /// `helper run --accept always`, which hears asks when this returns.
    pub(crate) fn helper(&self, more: &[&str]) -> Process {
        let host = self.lan.helper("asha");
        let mut command = host.command(env!("CARGO_BIN_EXE_helper"));
        command.env("HAUL_HOME", self.home.path()).env("RUST_LOG", "warn");
        command.args(["run", "--json", "--accept", "always"]).args(more);
        let mut helper = Process::spawn(&mut command).unwrap();
        helper.wait_for(PATIENCE, |out, _| out.contains("listening")).unwrap();
        helper
    }

    /// Where the helper has dialled to.
    pub(crate) fn dialled(&self) -> Vec<SocketAddr> {
        self.watch.dialled()
    }

    pub(crate) fn origin(&self) -> IpAddr {
        self.lan.origin().internet_address().into()
    }

    /// Names every bait to the helper; what it did with each.
    pub(crate) fn entice(&self, baits: &[Bait]) -> Vec<Outcome> {
        let urls: Vec<String> = baits.iter().map(|bait| bait.url.clone()).collect();
        let helper = SocketAddr::from((self.lan.helper("asha").address(), ASKS));
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(entice_all(urls, helper))
        };
        self.lan.leader().enter(work).unwrap().join().unwrap()
    }
}

async fn entice_all(urls: Vec<String>, helper: SocketAddr) -> Vec<Outcome> {
    let urls = Arc::new(urls);
    let mut leaders = JoinSet::new();
    for leader in 0..LEADERS {
        let urls = Arc::clone(&urls);
        leaders.spawn(async move {
            let mut turns = (0..ADDRESSES).cycle().map(|turn| address(leader, turn));
            let mut outcomes = Vec::new();
            let own = urls.iter().enumerate().skip(leader.into()).step_by(LEADERS.into());
            for (at, url) in own {
                outcomes.push((at, entice_one(helper, url, &mut turns).await));
            }
            outcomes
        });
    }
    let mut outcomes = leaders.join_all().await.concat();
    outcomes.sort_by_key(|(at, _)| *at);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
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

/// Gives both machines the addresses and routes of everything that is forbidden.
fn surround(helper: &Host, leader: &Host) {
    let [global, own] = [ON_LINK_V6, "[2606:4700:aaaa::11]"].map(|ip| ip.trim_matches(['[', ']']));
    for (host, lines) in [
        (
            leader,
            vec![
                format!("addr add {global}/64 dev lan0 nodad"),
                format!("addr add {ON_LINK}/24 dev lan0"),
                format!("addr add {GATEWAY}/32 dev lan0"),
                format!("addr add {NAME_SERVER}/32 dev lan0"),
                format!("addr add {PUBLIC}/32 dev lan0"),
            ],
        ),
        (
            helper,
            vec![
                format!("addr add {own}/64 dev lan0 nodad"),
                format!("route add default via {global} dev lan0"),
                "addr add 11.22.33.11/24 dev lan0".into(),
                format!("route add {GATEWAY}/32 dev lan0"),
                format!("route add default via {GATEWAY} dev lan0 metric 900"),
                format!("route add {NAME_SERVER}/32 dev lan0"),
                format!("route add {PUBLIC}/32 dev lan0"),
            ],
        ),
    ] {
        host.enable_ipv6().unwrap();
        for line in &lines {
            host.ip(line).unwrap();
        }
    }
    for at in 0..LEADERS * ADDRESSES {
        leader.ip(&format!("addr add {}/24 dev lan0", address(0, at))).unwrap();
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
