//! What stands between the network and this machine's programs, and the command that opens it.

use super::facts::Link;
use super::nft::{Chain, Fate, Packet, fate};
use super::system::{System, ruleset};
use super::{Check, Side};
use haul_link::{PORT, PORTS};

/// What is known of the filters of this machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Firewall {
    /// The rules of the kernel's filter, if this user may read them.
    pub(crate) ruleset: Option<String>,
    /// Whether there are rules that the ruleset does not have.
    pub(crate) more_rules: bool,
    /// What the user commands them with, if it is known.
    pub(crate) front: Option<Front>,
}

/// What a user commands a filter with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    Ufw,
    Firewalld,
    Windows,
}

/// Something that has to come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// Asks, to a helper.
    Asks,
    /// Leaders, to a helper that they know of.
    Leaders,
    /// Helpers, to a leader that they heard.
    Helpers,
}

impl Firewall {
    /// Looks at this machine.
    pub(crate) fn of(system: &System) -> Self {
        let front = if cfg!(windows) {
            Some(Front::Windows)
        } else if system.ufw() {
            Some(Front::Ufw)
        } else {
            system.runs("firewalld").then_some(Front::Firewalld)
        };
        Self { ruleset: ruleset(), more_rules: system.has_old_tables(), front }
    }

    /// What becomes of a packet, as far as the rules tell.
    fn fate(&self, packet: Packet<'_>) -> Fate {
        let Some(ruleset) = &self.ruleset else { return Fate::Unclear };
        match fate(ruleset, packet) {
            Fate::In if self.more_rules => Fate::Unclear,
            fate => fate,
        }
    }
}

/// A check of everything that has to come in on these interfaces.
pub(crate) fn judge(side: Side, firewall: &Firewall, links: &[&Link]) -> Vec<Check> {
    let doors: &[Door] = match side {
        Side::Leader => &[Door::Helpers],
        Side::Helper => &[Door::Asks, Door::Leaders],
    };
    let fates: Vec<_> = doors.iter().map(|&door| (door, worst(firewall, door, links))).collect();
    let is_shut = |(_, fate): &(Door, Fate)| matches!(fate, Fate::Dropped(_));
    // A leader can still dial the helpers that it finds, and a helper be dialled.
    let nobody = side == Side::Helper && fates.iter().all(is_shut);
    let muffled = links.iter().any(|link| link.hears_itself == Some(false));
    let judge = |(door, fate): (Door, Fate)| match fate {
        Fate::In => door.open(),
        Fate::Dropped(chain) => door.shut(firewall, &chain, nobody),
        Fate::Unclear => door.unclear(firewall, muffled),
    };
    fates.into_iter().map(judge).collect()
}

/// What is worst of what becomes of it on these interfaces.
fn worst(firewall: &Firewall, door: Door, links: &[&Link]) -> Fate {
    let fates = links.iter().map(|link| {
        let (protocol, port) = (door.protocol(), PORT);
        firewall.fate(Packet { interface: &link.name, protocol, port })
    });
    fates
        .reduce(|worst, fate| if matches!(worst, Fate::In) { fate } else { worst })
        .unwrap_or(Fate::Unclear)
}

impl Door {
    const fn protocol(self) -> &'static str {
        match self {
            Self::Asks => "udp",
            Self::Leaders | Self::Helpers => "tcp",
        }
    }

    fn ports(self) -> String {
        match self {
            Self::Asks | Self::Leaders => PORT.to_string(),
            Self::Helpers => format!("{}-{}", PORTS.start(), PORTS.end()),
        }
    }

    /// Who comes in, and by which ports.
    fn words(self) -> String {
        let ports = self.ports().replace('-', " to ");
        match self {
            Self::Asks => format!("asks, UDP {ports}"),
            Self::Leaders => format!("leaders that dial this helper, TCP {ports}"),
            Self::Helpers => format!("helpers that dial this leader, TCP {ports}"),
        }
    }

    /// What is lost while nobody comes in here.
    const fn loss(self) -> &'static str {
        match self {
            Self::Asks => "leaders that do not know of this helper cannot find it",
            Self::Leaders => "leaders whose own firewall is shut cannot reach this helper",
            Self::Helpers => "helpers whose own firewall is shut too cannot be reached",
        }
    }

    fn open(self) -> Check {
        Check::ok("firewall", format!("lets in {}", self.words()))
    }

    fn shut(self, firewall: &Firewall, chain: &Chain, nobody: bool) -> Check {
        let found = format!("keeps out {}", self.words());
        let check =
            if nobody { Check::fail("firewall", found) } else { Check::warn("firewall", found) };
        check
            .because(format!("the chain `{chain}` drops them: {}", self.loss()))
            .remedy(self.command(firewall.front, Some(chain)))
    }

    /// Where the rules cannot be read, the own voice has to tell.
    fn unclear(self, firewall: &Firewall, muffled: bool) -> Check {
        let remedy = match firewall.front {
            Some(front) => self.command(Some(front), None),
            None if firewall.ruleset.is_none() => {
                "run this command as root, which may read the rules: with sudo".into()
            }
            None => format!("see that your firewall lets in {}", self.words()),
        };
        if muffled {
            return Check::warn("firewall", format!("seems to keep out {}", self.words()))
                .because("not even what this machine says to itself comes in")
                .remedy(remedy);
        }
        let because = match (firewall.front, &firewall.ruleset) {
            (Some(Front::Ufw), _) => "ufw is on, and its rules are root's to read",
            (Some(Front::Firewalld), _) => "firewalld runs, and its rules are root's to read",
            (_, Some(_)) => "its rules ask for more than can be told beforehand",
            (_, None) => "the rules are root's to read",
        };
        Check::unknown("firewall", format!("may or may not let in {}", self.words()))
            .because(because)
            .remedy(remedy)
    }

    /// The command that lets them in.
    fn command(self, front: Option<Front>, chain: Option<&Chain>) -> String {
        let (protocol, ports) = (self.protocol(), self.ports());
        match (front, chain) {
            (Some(Front::Ufw), _) => {
                format!("sudo ufw allow {}/{protocol}", ports.replace('-', ":"))
            }
            (Some(Front::Firewalld), _) => format!(
                "sudo firewall-cmd --permanent --add-port={ports}/{protocol} && \
                 sudo firewall-cmd --reload"
            ),
            (Some(Front::Windows), _) => format!(
                "New-NetFirewallRule -DisplayName haul -Direction Inbound -Protocol {} \
                 -LocalPort {ports} -Action Allow",
                protocol.to_uppercase()
            ),
            (None, Some(chain)) => {
                format!("sudo nft insert rule {chain} {protocol} dport {ports} accept")
            }
            (None, None) => format!("let in {}", self.words()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    const SHUT: &str = r#"{"nftables":[{"chain":{"family":"inet","table":"filter","name":"input",
        "type":"filter","hook":"input","policy":"drop"}}]}"#;
    const ONLY_UDP: &str = r#"{"nftables":[{"chain":{"family":"ip","table":"t","name":"in",
        "type":"filter","hook":"input","policy":"accept"}},{"rule":{"family":"ip","table":"t",
        "chain":"in","expr":[{"match":{"op":"==","left":{"meta":{"key":"l4proto"}},
        "right":"tcp"}},{"drop":null}]}}]}"#;
    const OPEN: &str = r#"{"nftables":[]}"#;

    fn firewall(ruleset: Option<&str>, front: Option<Front>) -> Firewall {
        Firewall { ruleset: ruleset.map(str::to_owned), more_rules: false, front }
    }

    fn link(hears_itself: bool) -> Link {
        Link { name: "lan0".into(), hears_itself: Some(hears_itself), ..Link::default() }
    }

    fn states(side: Side, firewall: &Firewall, hears_itself: bool) -> Vec<State> {
        judge(side, firewall, &[&link(hears_itself)]).iter().map(|check| check.state).collect()
    }

    #[test]
    fn a_helper_that_nobody_can_reach_fails_and_less_is_a_warning() {
        for (side, ruleset, expected) in [
            (Side::Leader, OPEN, vec![State::Ok]),
            (Side::Leader, SHUT, vec![State::Warn]),
            (Side::Helper, OPEN, vec![State::Ok, State::Ok]),
            (Side::Helper, ONLY_UDP, vec![State::Ok, State::Warn]),
            (Side::Helper, SHUT, vec![State::Fail, State::Fail]),
        ] {
            assert_eq!(states(side, &firewall(Some(ruleset), None), true), expected, "{ruleset}");
        }
    }

    #[test]
    fn rules_that_cannot_be_read_are_unknown_unless_the_own_voice_is_lost() {
        assert_eq!(states(Side::Leader, &firewall(None, None), true), [State::Unknown]);
        assert_eq!(states(Side::Leader, &firewall(None, None), false), [State::Warn]);
        let more = Firewall { more_rules: true, ..firewall(Some(OPEN), None) };
        assert_eq!(states(Side::Leader, &more, true), [State::Unknown]);
    }

    #[test]
    fn the_remedy_is_a_command_of_the_firewall_in_use() {
        for (side, ruleset, front, expected) in [
            (
                Side::Leader,
                Some(SHUT),
                None,
                "sudo nft insert rule inet filter input tcp dport 4285-4300 accept",
            ),
            (Side::Leader, Some(SHUT), Some(Front::Ufw), "sudo ufw allow 4285:4300/tcp"),
            (Side::Helper, None, Some(Front::Ufw), "sudo ufw allow 4285/udp"),
            (
                Side::Leader,
                None,
                Some(Front::Firewalld),
                "sudo firewall-cmd --permanent --add-port=4285-4300/tcp && sudo firewall-cmd --reload",
            ),
            (
                Side::Helper,
                None,
                Some(Front::Windows),
                "New-NetFirewallRule -DisplayName haul -Direction Inbound -Protocol UDP \
                 -LocalPort 4285 -Action Allow",
            ),
        ] {
            let checks = judge(side, &firewall(ruleset, front), &[&link(true)]);
            assert_eq!(checks[0].r#try.as_deref(), Some(expected));
        }
    }
}
