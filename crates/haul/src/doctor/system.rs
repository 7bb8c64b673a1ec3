//! What the operating system tells of itself, as Linux writes it below `/proc`, `/sys` and `/etc`.
//! Elsewhere these files are missing, and nothing is told.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A machine whose file system begins at a folder.
#[derive(Debug)]
pub(crate) struct System {
    root: PathBuf,
}

/// What a program may do on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Open packet sockets: `CAP_NET_RAW`.
    pub(crate) raw: bool,
    /// Send ICMP echoes from a datagram socket, by its groups (icmp(7)).
    pub(crate) echo: bool,
}

/// A line of the neighbour table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) address: Ipv4Addr,
    pub(crate) interface: String,
    /// Whether it has answered.
    pub(crate) answered: bool,
}

/// Who has a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) port: u16,
    /// The program, if `/proc` shows it to this user.
    pub(crate) program: Option<String>,
}

/// The bit of `CAP_NET_RAW` (capabilities(7)).
const CAP_NET_RAW: u32 = 13;

/// A complete entry of the neighbour table (`ATF_COM`).
const COMPLETE: u32 = 2;

/// The state of a TCP socket that listens, in `/proc/net/tcp`.
const LISTENING: &str = "0A";

impl System {
    /// This machine.
    pub(crate) fn here() -> Self {
        Self::at(Path::new("/"))
    }

    /// A machine whose file system begins here.
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// What this program may do; nothing where the system does not tell.
    pub(crate) fn rights(&self) -> Option<Rights> {
        let status = self.text("proc/self/status")?;
        let range = self.text("proc/sys/net/ipv4/ping_group_range").unwrap_or_default();
        Some(Rights { raw: has_raw(&status)?, echo: may_echo(&status, &range) })
    }

    /// The most bytes that a packet of the interface has.
    pub(crate) fn mtu(&self, interface: &str) -> Option<u32> {
        self.text(&format!("sys/class/net/{interface}/mtu"))?.trim().parse().ok()
    }

    /// The IPv4 machines that the kernel has looked for or heard of.
    pub(crate) fn neighbours(&self) -> Vec<Neighbour> {
        neighbours(&self.text("proc/self/net/arp").unwrap_or_default())
    }

    /// Whether Ubuntu's firewall is switched on.
    pub(crate) fn ufw(&self) -> bool {
        let settings = self.text("etc/ufw/ufw.conf").unwrap_or_default();
        settings.lines().any(|line| line.trim().eq_ignore_ascii_case("ENABLED=yes"))
    }

    /// Whether a program of this name runs.
    pub(crate) fn runs(&self, program: &str) -> bool {
        self.processes().any(|process| named(&process).as_deref() == Some(program))
    }

    /// Whether rules of the old kind are in force, which `nft` does not list.
    pub(crate) fn has_old_tables(&self) -> bool {
        self.text("proc/self/net/ip_tables_names").is_some_and(|names| !names.trim().is_empty())
    }

    /// Who has these UDP ports.
    pub(crate) fn udp_holders(&self, ports: &[u16]) -> Vec<Holder> {
        self.holders("udp", ports, |_| true)
    }

    /// Who listens on these TCP ports.
    pub(crate) fn tcp_holders(&self, ports: &[u16]) -> Vec<Holder> {
        self.holders("tcp", ports, |state| state == LISTENING)
    }

    fn holders(&self, table: &str, ports: &[u16], counts: impl Fn(&str) -> bool) -> Vec<Holder> {
        let both = [table.to_owned(), format!("{table}6")];
        let tables = both.iter().filter_map(|table| self.text(&format!("proc/self/net/{table}")));
        let sockets: Vec<_> = tables.flat_map(|table| sockets(&table)).collect();
        let holder = |&port: &u16| {
            let socket = sockets.iter().find(|socket| socket.port == port && counts(&socket.state));
            socket.map(|socket| Holder { port, program: self.program(&socket.inode) })
        };
        ports.iter().filter_map(holder).collect()
    }

    /// The program that has this socket open.
    fn program(&self, inode: &str) -> Option<String> {
        let socket = PathBuf::from(format!("socket:[{inode}]"));
        let mut processes = self.processes();
        named(&processes.find(|process| has_open(process, &socket))?)
    }

    fn processes(&self) -> impl Iterator<Item = PathBuf> {
        let entries = fs::read_dir(self.root.join("proc")).into_iter().flatten().flatten();
        let is_process = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.bytes().all(|byte| byte.is_ascii_digit())
        };
        entries.map(|entry| entry.path()).filter(is_process)
    }

    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }
}

/// The rules of the packet filter, which only root may read.
pub(crate) fn ruleset() -> Option<String> {
    // A user's PATH may lack the folder in which it is.
    ["nft", "/usr/sbin/nft"].into_iter().find_map(|nft| {
        let mut command = Command::new(nft);
        command.args(["-j", "list", "ruleset"]).stdin(Stdio::null());
        let output = command.output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    })
}

/// A socket in one of the kernel's tables.
struct Socket {
    port: u16,
    state: String,
    inode: String,
}

/// The second column is the address and port in hexadecimal digits, the fourth the state, the
/// tenth the inode (proc(5)).
fn sockets(table: &str) -> Vec<Socket> {
    let socket = |line: &str| {
        let mut words = line.split_whitespace();
        let (_, port) = words.nth(1)?.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(Socket { port, state: words.nth(1)?.to_owned(), inode: words.nth(5)?.to_owned() })
    };
    table.lines().skip(1).filter_map(socket).collect()
}

fn named(process: &Path) -> Option<String> {
    Some(fs::read_to_string(process.join("comm")).ok()?.trim().to_owned())
}

fn has_open(process: &Path, file: &Path) -> bool {
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|target| target == file)
}

/// Whether the bit is among the effective capabilities.
fn has_raw(status: &str) -> Option<bool> {
    let effective = field(status, "CapEff:")?;
    Some(u64::from_str_radix(effective.trim(), 16).ok()? >> CAP_NET_RAW & 1 == 1)
}

/// Whether one of the groups lies within the range.
fn may_echo(status: &str, range: &str) -> bool {
    let numbers =
        |text: &str| text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let bounds: Vec<u64> = numbers(range);
    let &[first, last] = &bounds[..] else { return false };
    let groups = ["Gid:", "Groups:"].into_iter().filter_map(|name| field(status, name));
    let groups: Vec<u64> = groups.flat_map(|text| -> Vec<u64> { numbers(text) }).collect();
    groups.iter().any(|group| (first..=last).contains(group))
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name))
}

/// Address, kind, flags, hardware address, mask and interface, a machine a line.
fn neighbours(table: &str) -> Vec<Neighbour> {
    let neighbour = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let &[address, _, flags, _, _, interface] = &words[..] else { return None };
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        Some(Neighbour {
            address: address.parse().ok()?,
            interface: interface.to_owned(),
            answered: flags & COMPLETE != 0,
        })
    };
    table.lines().skip(1).filter_map(neighbour).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const STATUS: &str = "Name:\thaul\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\n\
                          Groups:\t4 27 1000 \nCapEff:\t0000000000002000\n";

    #[test]
    fn rights_are_read_as_the_kernel_writes_them() {
        assert_eq!(has_raw(STATUS), Some(true));
        assert_eq!(has_raw("CapEff:\t0000000000000000\n"), Some(false));
        assert_eq!(has_raw("Name:\thaul\n"), None);
        assert!(may_echo(STATUS, "0\t2147483647\n") && may_echo(STATUS, "27 27"));
        assert!(!may_echo(STATUS, "1\t0\n") && !may_echo(STATUS, ""));
    }

    #[test]
    fn neighbours_are_read_with_whether_they_answered() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
            10.77.0.11       0x1         0x2         02:00:00:00:00:0b     *        lan0\n\
            10.77.0.12       0x1         0x0         00:00:00:00:00:00     *        lan0\n\
            torn 0x1\n";
        let neighbour = |last, answered| Neighbour {
            address: [10, 77, 0, last].into(),
            interface: "lan0".into(),
            answered,
        };
        assert_eq!(neighbours(table), [neighbour(11, true), neighbour(12, false)]);
    }

    #[test]
    fn a_port_is_led_back_to_the_program_that_has_it() {
        let root = tempfile::tempdir().unwrap();
        let process = root.path().join("proc/42");
        fs::create_dir_all(process.join("fd")).unwrap();
        fs::create_dir_all(root.path().join("proc/self/net")).unwrap();
        fs::write(process.join("comm"), "other\n").unwrap();
        symlink("socket:[777]", process.join("fd/3")).unwrap();
        let titles = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        let line = |port: &str, state: &str, inode: &str| {
            format!(
                "   0: 00000000:{port} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1\n"
            )
        };
        let table = [titles, &line("10BD", "0A", "777"), &line("10BE", "01", "778")].concat();
        fs::write(root.path().join("proc/self/net/tcp"), table).unwrap();
        fs::write(
            root.path().join("proc/self/net/udp6"),
            [titles, &line("10BD", "07", "9")].concat(),
        )
        .unwrap();
        let system = System::at(root.path());
        let holder = Holder { port: 4285, program: Some("other".into()) };
        assert_eq!(system.tcp_holders(&[4285, 4286]), [holder]);
        assert_eq!(system.udp_holders(&[4285]), [Holder { port: 4285, program: None }]);
        assert!(system.runs("other") && !system.runs("firewalld"));
    }

    #[test]
    fn ufw_is_on_only_where_its_settings_say_so() {
        let root = tempfile::tempdir().unwrap();
        let system = System::at(root.path());
        assert!(!system.ufw());
        fs::create_dir_all(root.path().join("etc/ufw")).unwrap();
        for (settings, on) in [("# ENABLED=yes\nENABLED=no\n", false), ("ENABLED=yes\n", true)] {
            fs::write(root.path().join("etc/ufw/ufw.conf"), settings).unwrap();
            assert_eq!(system.ufw(), on);
        }
    }

    #[test]
    fn a_system_that_tells_nothing_is_no_error() {
        let root = tempfile::tempdir().unwrap();
        let system = System::at(root.path());
        assert_eq!((system.rights(), system.mtu("lan0")), (None, None));
        assert!(system.neighbours().is_empty() && system.tcp_holders(&[4285]).is_empty());
        assert!(!system.has_old_tables() && !system.runs("nft"));
    }
}
