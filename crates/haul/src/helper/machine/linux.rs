use super::Machine;
use super::bus;
use crate::helper::policy::{Battery, Fact};
use std::fs;
use std::path::{Path, PathBuf};

/// Linux, as `/proc`, `/sys` and NetworkManager describe it.
#[derive(Debug)]
pub(crate) struct Linux {
    root: PathBuf,
    bus: PathBuf,
}

impl Linux {
    /// This machine.
    pub(crate) fn here() -> Self {
        Self::at(Path::new("/"))
    }

    /// A machine whose file system begins here.
    pub(crate) fn at(root: &Path) -> Self {
        let bus = root.join("run/dbus/system_bus_socket");
        Self { root: root.to_owned(), bus }
    }

    /// The interfaces, without loopback, and the bytes that each has received.
    fn interfaces(&self) -> Option<Vec<(String, u64)>> {
        // What belongs to the network of this process, whatever is mounted on /sys.
        let table = fs::read_to_string(self.root.join("proc/self/net/dev")).ok()?;
        let interface = |line: &str| {
            let (name, counters) = line.split_once(':')?;
            let received = counters.split_whitespace().next()?.parse().ok()?;
            Some((name.trim().to_owned(), received))
        };
        let all = table.lines().filter_map(interface);
        Some(all.filter(|(name, _)| name != "lo").collect())
    }

    /// The interfaces that are up.
    fn up(&self) -> Option<Vec<String>> {
        let names = self.interfaces()?.into_iter().map(|(name, _)| name);
        Some(names.filter(|name| self.is_up(name)).collect())
    }

    /// Whether the interface is up; one that does not say is taken to be.
    fn is_up(&self, name: &str) -> bool {
        let flags = self.class_net(name, "flags");
        let flags = flags.and_then(|text| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok());
        flags.is_none_or(|flags| flags & IFF_UP != 0)
    }

    /// Whether the interface is a tunnel, by its kind or its name.
    pub(crate) fn is_vpn(&self, name: &str) -> bool {
        let told = self.class_net(name, "uevent").unwrap_or_default();
        let tunnel =
            self.class_net(name, "tun_flags").is_some() || told.contains("DEVTYPE=wireguard");
        let kind = self.class_net(name, "type").and_then(|kind| kind.parse().ok());
        tunnel
            || kind.is_some_and(|kind: u16| VPN_KINDS.contains(&kind))
            || VPN_NAMES.iter().any(|start| name.starts_with(start))
    }

    /// Whether the interface is a cable, which nobody pays for by the byte.
    fn is_wired(&self, name: &str) -> bool {
        let folder = self.root.join("sys/class/net").join(name);
        let ethernet = self.class_net(name, "type").as_deref() == Some(ETHERNET);
        let told = self.class_net(name, "uevent").unwrap_or_default();
        let radio = folder.join("wireless").exists()
            || folder.join("phy80211").exists()
            || told.contains("DEVTYPE=wwan")
            || told.contains("DEVTYPE=wlan")
            || name.starts_with("wl")
            || name.starts_with("ww");
        ethernet && !radio
    }

    fn class_net(&self, name: &str, file: &str) -> Option<String> {
        let path = self.root.join("sys/class/net").join(name).join(file);
        Some(fs::read_to_string(path).ok()?.trim().to_owned())
    }

    fn supply(path: &Path, file: &str) -> Option<String> {
        Some(fs::read_to_string(path.join(file)).ok()?.trim().to_owned())
    }
}

impl Machine for Linux {
    /// What `NetworkManager` says, guesses included; without it, wires alone are not metered.
    fn metered(&self) -> Fact {
        match bus::metered(&self.bus) {
            Some(YES | GUESS_YES) => return Fact::Yes,
            Some(NO | GUESS_NO) => return Fact::No,
            _ => {}
        }
        match self.up() {
            Some(up) if up.iter().all(|name| self.is_wired(name)) => Fact::No,
            _ => Fact::Unknown,
        }
    }

    fn vpn(&self) -> Fact {
        match self.up() {
            Some(up) if up.iter().any(|name| self.is_vpn(name)) => Fact::Yes,
            Some(_) => Fact::No,
            None => Fact::Unknown,
        }
    }

    /// A machine with a mains supply that is on, or without a battery of its own, runs on mains.
    fn battery(&self) -> Battery {
        let Ok(supplies) = fs::read_dir(self.root.join("sys/class/power_supply")) else {
            return Battery::Mains;
        };
        let mut lowest = Battery::Mains;
        for path in supplies.flatten().map(|entry| entry.path()) {
            let of = |file: &str| Self::supply(&path, file).unwrap_or_default();
            if of("type") != "Battery" {
                if of("online") == "1" {
                    return Battery::Mains;
                }
                continue;
            }
            // A mouse has a battery too, of scope Device.
            if of("scope") == "Device"
                || matches!(of("status").as_str(), "Charging" | "Full" | "Not charging")
            {
                continue;
            }
            lowest = lower(lowest, of("capacity").parse().ok());
        }
        lowest
    }

    fn received(&self) -> Option<u64> {
        Some(self.interfaces()?.iter().map(|(_, received)| received).sum())
    }
}

fn lower(lowest: Battery, capacity: Option<u8>) -> Battery {
    match (lowest, capacity) {
        (Battery::Unknown, _) | (_, None) => Battery::Unknown,
        (Battery::Mains, Some(left)) => Battery::Discharging(left),
        (Battery::Discharging(other), Some(left)) => Battery::Discharging(other.min(left)),
    }
}

/// `NMMetered` of NetworkManager's interface.
const YES: u32 = 1;
const NO: u32 = 2;
const GUESS_YES: u32 = 3;
const GUESS_NO: u32 = 4;

/// netdevice(7).
const IFF_UP: u32 = 1;

/// `ARPHRD_ETHER` of `linux/if_arp.h`.
const ETHERNET: &str = "1";

/// `ARPHRD_PPP`, `ARPHRD_NONE` (tun and `WireGuard`), of the same.
const VPN_KINDS: [u16; 2] = [512, 65_534];

/// How the interfaces of tunnels are called where nothing else tells.
const VPN_NAMES: [&str; 7] = ["tun", "tap", "wg", "ppp", "tailscale", "zt", "utun"];

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A machine of files.
    fn machine(files: &[(&str, &str)]) -> (TempDir, Linux) {
        let root = TempDir::new().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let linux = Linux::at(root.path());
        (root, linux)
    }

    const TABLE: &str = "Inter-|   Receive  |  Transmit\n face |bytes packets\n    \
                         lo: 900 1 0 0 0 0 0 0 900 1\n  eth0: 100 1 0 0 0 0 0 0 7 1\n wlan0:11 2 0 0\n";

    #[test]
    fn the_machines_traffic_is_that_of_all_interfaces_but_loopback() {
        let (_root, linux) = machine(&[("proc/self/net/dev", TABLE)]);
        assert_eq!(linux.received(), Some(111));
        assert_eq!(machine(&[]).1.received(), None);
    }

    #[test]
    fn wires_are_not_metered_and_what_is_not_a_wire_cannot_be_told() {
        let wired = ("sys/class/net/eth0/type", "1\n");
        let (_root, linux) = machine(&[
            ("proc/self/net/dev", TABLE),
            wired,
            ("sys/class/net/wlan0/flags", "0x1002\n"),
        ]);
        assert_eq!(linux.metered(), Fact::No, "wlan0 is down");
        let (_root, linux) =
            machine(&[("proc/self/net/dev", TABLE), wired, ("sys/class/net/wlan0/type", "1")]);
        assert_eq!(linux.metered(), Fact::Unknown);
        assert_eq!(machine(&[]).1.metered(), Fact::Unknown);
    }

    #[test]
    fn a_tunnel_is_a_vpn_by_its_kind_or_its_name_while_it_is_up() {
        let table = |name: &str| TABLE.replace("wlan0", name);
        for (name, file, text, vpn) in [
            ("corp0", "type", "65534\n", Fact::Yes),
            ("corp0", "tun_flags", "0x1001\n", Fact::Yes),
            ("corp0", "uevent", "DEVTYPE=wireguard\nINTERFACE=corp0\n", Fact::Yes),
            ("wg0", "flags", "0x1003\n", Fact::Yes),
            ("wg0", "flags", "0x1002\n", Fact::No),
            ("eth1", "type", "1\n", Fact::No),
        ] {
            let path = format!("sys/class/net/{name}/{file}");
            let (_root, linux) = machine(&[("proc/self/net/dev", &table(name)), (&path, text)]);
            assert_eq!(linux.vpn(), vpn, "{name} {file} {text}");
        }
        assert_eq!(machine(&[]).1.vpn(), Fact::Unknown);
    }

    #[test]
    fn the_battery_is_the_lowest_that_discharges_unless_there_is_mains() {
        fn supplies(given: &[(&str, &str, &str)]) -> Battery {
            let files: Vec<(String, &str)> = given
                .iter()
                .map(|(supply, file, text)| {
                    (format!("sys/class/power_supply/{supply}/{file}"), *text)
                })
                .collect();
            let files: Vec<(&str, &str)> =
                files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
            machine(&files).1.battery()
        }
        let low = [
            ("BAT0", "type", "Battery\n"),
            ("BAT0", "capacity", "31\n"),
            ("BAT0", "status", "Discharging\n"),
        ];
        let mains = [("AC", "type", "Mains\n"), ("AC", "online", "1\n")];
        let mouse = [("m", "type", "Battery"), ("m", "scope", "Device"), ("m", "capacity", "3")];
        let dumb = [("BAT1", "type", "Battery")];
        assert_eq!(supplies(&[]), Battery::Mains);
        assert_eq!(supplies(&mouse), Battery::Mains);
        assert_eq!(supplies(&low), Battery::Discharging(31));
        assert_eq!(supplies(&[&low[..], &mains].concat()), Battery::Mains);
        assert_eq!(
            supplies(&[&low[..], &[("AC", "type", "Mains"), ("AC", "online", "0")]].concat()),
            Battery::Discharging(31)
        );
        assert_eq!(supplies(&[&low[..], &dumb].concat()), Battery::Unknown);
    }
}
