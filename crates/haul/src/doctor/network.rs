//! What the facts say of the networks of this machine, and why nobody may have been found there.

use super::facts::{Facts, Link};
use super::{Check, Side, State, firewall};
use std::net::{IpAddr, Ipv4Addr};

/// Smaller packets are rarer than mistakes: every link must carry so many bytes (RFC 8200 §5).
const LEAST_MTU: u32 = 1280;

/// With so many silent neighbours, and only the router heard, somebody keeps machines apart.
const MANY: usize = 8;

/// A check of each interface, and of there being one.
pub(crate) fn interfaces(facts: &Facts) -> Vec<Check> {
    let mut checks: Vec<Check> = facts.links.iter().map(interface).collect();
    if facts.used().next().is_none() {
        checks.push(
            Check::fail("interface", "there is none on which helpers and leaders meet")
                .because("none leads to a network with more machines than one")
                .remedy("connect this machine to a network, or name an interface with --interface"),
        );
    }
    checks
}

fn interface(link: &Link) -> Check {
    let words: Vec<&str> =
        [&link.name].into_iter().chain(&link.networks).map(String::as_str).collect();
    let name = words.join(", ");
    match (link.asked, &link.not_scanned) {
        (true, None) => Check::ok("interface", format!("{name}: used")),
        (true, Some(why)) => {
            Check::ok("interface", format!("{name}: used, but not scanned")).because(why)
        }
        (false, why) => {
            let why = why.as_deref().unwrap_or("its network holds no machine but one other");
            Check::ok("interface", format!("{name}: not used")).because(why)
        }
    }
}

/// A check of each interface that is used, on which the own voice should be heard.
pub(crate) fn multicast(facts: &Facts) -> Vec<Check> {
    let check = |link: &Link| match link.hears_itself {
        Some(true) => Check::ok("multicast", format!("works on {}", link.name)),
        Some(false) => Check::warn("multicast", format!("does not work on {}", link.name))
            .because("what this machine says to the group does not come back")
            .remedy("let the firewall pass UDP 4285; where it does, name helpers with --helpers"),
        None => Check::unknown("multicast", format!("could not be tried on {}", link.name)),
    };
    facts.used().map(check).collect()
}

/// A check of each interface that is used: whether anybody but the router answers there.
pub(crate) fn isolation(facts: &Facts) -> Vec<Check> {
    facts.used().map(|link| isolation_on(link, facts)).collect()
}

fn isolation_on(link: &Link, facts: &Facts) -> Check {
    let here = || facts.neighbours.iter().filter(|neighbour| neighbour.interface == link.name);
    let is_router = |address: Ipv4Addr| facts.gateways.contains(&IpAddr::V4(address));
    let others = here().filter(|one| one.answered && !is_router(one.address)).count();
    let router = here().any(|one| one.answered && is_router(one.address));
    let silent = here().filter(|one| !one.answered).count();
    let name = &link.name;
    match (others, router) {
        (1.., _) => Check::ok("isolation", format!("other machines answer on {name}: {others}")),
        (0, true) if silent >= MANY => isolated(format!("only the router answers on {name}")),
        (0, _) => Check::unknown("isolation", format!("nobody was heard on {name} lately"))
            .remedy("run `leader scan`: if it finds the router alone, machines are kept apart"),
    }
}

fn isolated(found: String) -> Check {
    Check::warn("isolation", found)
        .because("the access point seems to keep machines apart, as guest networks do")
        .remedy("use another network or a cable, or switch off client (AP) isolation at the router")
}

/// Whether a tunnel takes what is for the internet, or even for the network.
pub(crate) fn vpn(facts: &Facts) -> Check {
    let tunnel = |name: &str| facts.links.iter().any(|link| link.name == name && link.is_tunnel);
    let led_away = facts.used().find_map(|link| {
        let by = link.led_away.as_deref().filter(|by| tunnel(by))?;
        Some((link.name.as_str(), by))
    });
    if let Some((name, by)) = led_away {
        return Check::fail("vpn", format!("what is for the network of {name} goes through {by}"))
            .because("a VPN takes all that this machine sends")
            .remedy("allow access to the local network in the VPN's settings, or switch it off");
    }
    match facts.internet.as_deref() {
        Some(by) if tunnel(by) => {
            Check::warn("vpn", format!("the internet is reached through {by}"))
                .because(match facts.side {
                    Side::Leader => "many VPNs keep this machine from others on its network",
                    Side::Helper => "a policy may refuse to help while a VPN is up",
                })
                .remedy("if nobody is found, allow access to the local network, or switch it off")
        }
        Some(by) => {
            Check::ok("vpn", format!("the internet is reached by {by}, which is no tunnel"))
        }
        None => Check::warn("internet", "there is no way to it")
            .because("no route leads there by IPv4")
            .remedy("connect this machine to the internet"),
    }
}

/// A check of each interface that is used.
pub(crate) fn mtu(facts: &Facts) -> Vec<Check> {
    let check = |link: &Link| {
        let name = &link.name;
        match link.mtu {
            Some(mtu) if mtu < LEAST_MTU => {
                Check::warn("mtu", format!("{name} carries {mtu} bytes at a time"))
                    .because("so small a packet slows transfers, and is often a mistake")
                    .remedy(format!("sudo ip link set {name} mtu 1500"))
            }
            Some(mtu) => Check::ok("mtu", format!("{name} carries {mtu} bytes at a time")),
            None => Check::unknown("mtu", format!("{name} does not tell")),
        }
    };
    facts.used().map(check).collect()
}

/// What a leader has met on the networks while it looked for helpers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Met {
    /// Machines that are there, whatever runs on them.
    pub(crate) alive: Vec<IpAddr>,
    /// Those of them that do not answer when they are dialled: not even with a refusal.
    pub(crate) silent: Vec<IpAddr>,
    /// Whether every address was looked at.
    pub(crate) scanned: bool,
    /// Whether nobody was looked for but machines that the user named.
    pub(crate) only_named: bool,
}

/// A reason why nobody may have been found, and what to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suspect {
    pub(crate) because: String,
    pub(crate) remedy: String,
}

impl From<Check> for Suspect {
    fn from(check: Check) -> Self {
        let because = match check.because {
            Some(because) => format!("{} {}: {because}", check.check, check.found),
            None => format!("{} {}", check.check, check.found),
        };
        Self { because, remedy: check.r#try.unwrap_or_default() }
    }
}

/// Why nobody may have been found, the likeliest first.
///
/// 1. There is no network to look on.
/// 2. A tunnel takes what is for the network.
/// 3. The firewall here keeps helpers out.
/// 4. Machines are there and let nobody in: their firewall.
/// 5. Nobody but the router is there: machines are kept apart.
/// 6. Nobody runs a helper, which can always be.
pub(crate) fn suspects(facts: &Facts, met: &Met) -> Vec<Suspect> {
    let used: Vec<&Link> = facts.used().collect();
    let mut found = if met.only_named { Vec::new() } else { interfaces(facts) };
    if !used.is_empty() {
        found.push(vpn(facts));
        found.extend(firewall::judge(facts.side, &facts.firewall, &used));
    }
    let bad = found.into_iter().filter(|check| check.state >= State::Warn).map(Suspect::from);
    bad.chain(shut_elsewhere(met)).chain(kept_apart(facts, met)).chain([nobody(met)]).collect()
}

fn shut_elsewhere(met: &Met) -> Option<Suspect> {
    let one = met.silent.first()?;
    let who = match met.silent.len() {
        1 => format!("{one} is there, but what it is sent"),
        many => format!("{many} machines such as {one} are there, but what they are sent"),
    };
    Some(Suspect {
        because: format!("{who} gets no answer: if a helper runs there, a firewall shuts it off"),
        remedy: "run `helper doctor` there, which names the command that opens it".into(),
    })
}

fn kept_apart(facts: &Facts, met: &Met) -> Option<Suspect> {
    let is_router = |address: &IpAddr| facts.gateways.contains(address);
    let alone = met.scanned && !met.alive.is_empty() && met.alive.iter().all(is_router);
    alone.then(|| isolated("only the router answers".into()).into())
}

fn nobody(met: &Met) -> Suspect {
    let others = met.alive.len();
    let because = match others {
        _ if met.only_named => "no helper answers where you said that there is one".into(),
        0 => "nobody on this network runs a helper, or asks do not reach them".into(),
        _ => format!("none of the machines that were found ({others}) runs a helper"),
    };
    let remedy =
        "start `helper run` on another machine of this network, or name one with --helpers ADDRESS";
    Suspect { because, remedy: remedy.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::facts::tests::{facts, link};
    use crate::doctor::system::Neighbour;

    const OPEN: &str = r#"{"nftables":[]}"#;
    const SHUT: &str = r#"{"nftables":[{"chain":{"family":"inet","table":"filter","name":"input",
        "type":"filter","hook":"input","policy":"drop"}}]}"#;

    fn neighbour(last: u8, answered: bool) -> Neighbour {
        Neighbour { address: [10, 77, 0, last].into(), interface: "lan0".into(), answered }
    }

    fn ip(last: u8) -> IpAddr {
        [10, 77, 0, last].into()
    }

    #[test]
    fn every_interface_is_told_with_whether_it_is_used_and_why_not() {
        let mut facts = facts(Side::Leader);
        facts.links.push(Link {
            not_scanned: Some("10.0.0.0/8 is not between /16 and /30".into()),
            ..link("big0", true)
        });
        facts
            .links
            .push(Link { not_scanned: Some("it is a bridge".into()), ..link("docker0", false) });
        let told: Vec<_> =
            interfaces(&facts).into_iter().map(|check| (check.found, check.because)).collect();
        let expected = [
            ("lan0, 10.77.0.1/24: used", None),
            (
                "big0, 10.77.0.1/24: used, but not scanned",
                Some("10.0.0.0/8 is not between /16 and /30"),
            ),
            ("docker0, 10.77.0.1/24: not used", Some("it is a bridge")),
        ];
        let expected = expected.map(|(found, why)| (found.to_owned(), why.map(str::to_owned)));
        assert_eq!(told, expected);
        facts.links.iter_mut().for_each(|link| link.asked = false);
        assert_eq!(interfaces(&facts).last().unwrap().state, State::Fail);
    }

    #[test]
    fn machines_seem_to_be_kept_apart_where_only_the_router_answers() {
        let silent = |count: u8| (100..100 + count).map(|last| neighbour(last, false));
        for (heard, silence, expected) in [
            (vec![], 0, State::Unknown),
            (vec![neighbour(254, true)], 2, State::Unknown),
            (vec![neighbour(254, true)], 20, State::Warn),
            (vec![neighbour(254, true), neighbour(9, true)], 20, State::Ok),
            (vec![neighbour(9, true)], 0, State::Ok),
        ] {
            let neighbours = heard.clone().into_iter().chain(silent(silence)).collect();
            let facts = Facts { gateways: vec![ip(254)], neighbours, ..facts(Side::Leader) };
            assert_eq!(isolation(&facts)[0].state, expected, "{heard:?}, {silence} silent");
        }
    }

    #[test]
    fn a_tunnel_that_takes_the_network_fails_and_one_to_the_internet_is_a_warning() {
        let tunnel = Link { is_tunnel: true, ..link("wg0", false) };
        let led = |by: &str| Link { led_away: Some(by.into()), ..link("lan0", true) };
        for (lan, internet, expected) in [
            (link("lan0", true), Some("lan0"), State::Ok),
            (link("lan0", true), Some("wg0"), State::Warn),
            (link("lan0", true), None, State::Warn),
            (led("wg0"), Some("wg0"), State::Fail),
            (led("lan1"), Some("lan0"), State::Ok),
        ] {
            let internet = internet.map(str::to_owned);
            let links = vec![lan.clone(), tunnel.clone()];
            let check = vpn(&Facts { links, internet, ..facts(Side::Leader) });
            assert_eq!(check.state, expected, "{lan:?}: {}", check.found);
        }
    }

    #[test]
    fn small_packets_and_a_lost_voice_are_warned_of_where_helpers_are_looked_for() {
        let of = |mtu, heard| {
            let odd = Link { mtu, hears_itself: heard, ..link("lan0", true) };
            let unused = Link { mtu: Some(68), hears_itself: Some(false), ..link("tun0", false) };
            Facts { links: vec![odd, unused], ..facts(Side::Helper) }
        };
        for (mtu_is, heard, expected) in [
            (Some(1500), Some(true), [State::Ok, State::Ok]),
            (Some(1279), Some(false), [State::Warn, State::Warn]),
            (None, None, [State::Unknown, State::Unknown]),
        ] {
            let facts = of(mtu_is, heard);
            let states: Vec<State> =
                mtu(&facts).iter().chain(&multicast(&facts)).map(|check| check.state).collect();
            assert_eq!(states, expected);
        }
    }

    #[test]
    fn the_likeliest_reason_why_nobody_was_found_comes_first() {
        let first = |facts: &Facts, met: &Met| suspects(facts, met)[0].because.clone();
        let (open, nothing) = (facts(Side::Leader), Met::default());
        assert!(first(&open, &nothing).contains("nobody on this network runs a helper"));
        let alive = Met { alive: vec![ip(9), ip(254)], scanned: true, ..Met::default() };
        assert!(first(&open, &alive).contains("none of the machines that were found (2)"));
        let named = Met { only_named: true, ..Met::default() };
        assert!(first(&open, &named).contains("where you said"));
        let silent = Met { silent: vec![ip(9)], ..alive.clone() };
        assert!(first(&open, &silent).contains("10.77.0.9 is there"));
        let router = Met { alive: vec![ip(254)], scanned: true, ..Met::default() };
        let behind = Facts { gateways: vec![ip(254)], ..facts(Side::Leader) };
        assert!(first(&behind, &router).contains("keep machines apart"));
        let mut shut = facts(Side::Leader);
        shut.firewall.ruleset = Some(SHUT.into());
        assert!(first(&shut, &silent).contains("`inet filter input` drops them"));
        let tunnel = Link { is_tunnel: true, ..link("wg0", false) };
        shut.links.push(tunnel);
        shut.links[0].led_away = Some("wg0".into());
        assert!(first(&shut, &silent).starts_with("vpn"));
        shut.links.clear();
        assert!(first(&shut, &nothing).starts_with("interface"));
        shut.firewall.ruleset = Some(OPEN.into());
        assert!(suspects(&shut, &nothing).iter().all(|one| !one.remedy.is_empty()));
    }
}
