//! What the facts about this machine mean.

use super::facts::{Facts, Folder};
use super::network::{interfaces, isolation, mtu, multicast, vpn};
use super::system::Holder;
use super::{Check, Side, firewall};
use crate::helper::control::{State as HelperState, Status};
use haul_link::{PORT, PORTS};
use std::time::Duration;

/// The first second of 2026 and of 2100: no right clock shows a time outside of these years.
const YEARS: std::ops::Range<u64> = 1_767_225_600..4_102_444_800;

/// With less room than this, in bytes, few files fit.
const LITTLE_ROOM: u64 = 1 << 30;

/// Every check, in the order in which people look for a fault: what must be there first.
pub(crate) fn all(facts: &Facts) -> Vec<Check> {
    let used: Vec<_> = facts.used().collect();
    let mut checks = interfaces(facts);
    checks.extend((facts.side == Side::Leader).then(|| privileges(facts)));
    checks.extend(firewall::judge(facts.side, &facts.firewall, &used));
    checks.extend(multicast(facts));
    checks.extend(isolation(facts));
    checks.push(vpn(facts));
    checks.push(ports(facts));
    checks.extend(mtu(facts));
    checks.push(clock(facts.unix_seconds));
    checks.extend(facts.disk.as_ref().map(disk));
    checks.push(state(facts));
    checks.extend(helper(facts));
    checks
}

fn privileges(facts: &Facts) -> Check {
    let Some(rights) = facts.rights else {
        return Check::unknown("privileges", "this system does not tell");
    };
    if rights.raw {
        return Check::ok("privileges", "CAP_NET_RAW is there: scans are complete and fast");
    }
    let echo = if rights.echo { "may" } else { "may not" };
    let check = Check::warn("privileges", format!("no CAP_NET_RAW; this user {echo} send pings"))
        .because("scans find less and take longer without; all else works");
    match &facts.entitle {
        Some(command) => check.remedy(command),
        None => check,
    }
}

fn ports(facts: &Facts) -> Check {
    match facts.side {
        Side::Leader => leaders_ports(&facts.ports.tcp),
        Side::Helper => helpers_port(facts.ports.udp.as_ref(), runs(facts)),
    }
}

fn leaders_ports(taken: &[Holder]) -> Check {
    let (all, range) = (PORTS.count(), format!("{} to {}", PORTS.start(), PORTS.end()));
    match taken {
        [] => Check::ok("ports", format!("TCP {range} are free")),
        taken if taken.len() < all => {
            Check::ok("ports", format!("of TCP {range}, {} are free", all - taken.len()))
                .because(held(taken))
        }
        taken => Check::fail("ports", format!("none of TCP {range} is free"))
            .because(held(taken))
            .remedy("end one of the programs that have them"),
    }
}

fn helpers_port(taken: Option<&Holder>, runs: bool) -> Check {
    match taken {
        None => Check::ok("ports", format!("UDP {PORT} is free for `helper run`")),
        Some(_) if runs => Check::ok("ports", format!("the helper that runs here has UDP {PORT}")),
        Some(holder) => Check::fail("ports", format!("UDP {PORT} is taken"))
            .because(held(std::slice::from_ref(holder)))
            .remedy("end that program, or choose another port with `helper run --listen`"),
    }
}

/// Who has what, in words.
fn held(taken: &[Holder]) -> String {
    let one = |holder: &Holder| match &holder.program {
        Some(program) => format!("{program} has {}", holder.port),
        None => format!("another program has {}", holder.port),
    };
    let named: Vec<String> = taken.iter().take(3).map(one).collect();
    let more = taken.len().saturating_sub(3);
    let rest = if more == 0 { String::new() } else { format!(", and {more} more are taken") };
    named.join(", ") + &rest
}

fn clock(unix_seconds: u64) -> Check {
    let at = jiff::Timestamp::UNIX_EPOCH + Duration::from_secs(unix_seconds.min(YEARS.end * 2));
    if YEARS.contains(&unix_seconds) {
        return Check::ok("clock", format!("it is {at:.0}"));
    }
    Check::fail("clock", format!("it cannot be {at:.0}"))
        .because("with a wrong clock no certificate of an https server is valid")
        .remedy("set the clock: sudo timedatectl set-ntp true")
}

fn disk(folder: &Folder) -> Check {
    let path = folder.path.display();
    if let Some(refusal) = &folder.refusal {
        return Check::fail("disk", format!("nothing can be saved in {path}"))
            .because(refusal)
            .remedy("choose a folder that you may write to with --dir");
    }
    match folder.free {
        Some(free) if free < LITTLE_ROOM => {
            Check::warn("disk", format!("{} MiB are free in {path}", free >> 20))
                .because("a larger file does not fit")
                .remedy("make room, or choose another folder with --dir")
        }
        Some(free) => Check::ok("disk", format!("{} GiB are free in {path}", free >> 30)),
        None => Check::unknown("disk", format!("{path} can be written to, and tells no room")),
    }
}

fn state(facts: &Facts) -> Check {
    let (folder, refusal) = &facts.state;
    let folder = folder.display();
    match refusal {
        None => Check::ok("state", format!("this machine's key is in {folder}")),
        Some(refusal) => Check::fail("state", format!("{folder} cannot be used"))
            .because(refusal)
            .remedy("make it yours to write, or set HAUL_HOME to a folder that is"),
    }
}

fn runs(facts: &Facts) -> bool {
    matches!(facts.helper, Some(Ok(_)))
}

fn helper(facts: &Facts) -> Option<Check> {
    Some(match facts.helper.as_ref()? {
        Ok(status) => helper_at_work(status),
        Err(error) => Check::warn("helper", error.what())
            .because(error.because())
            .remedy(error.remedy().unwrap_or("start one with `helper run`")),
    })
}

fn helper_at_work(status: &Status) -> Check {
    if let Some(error) = &status.policy_error {
        return Check::warn("helper", "follows an old policy: the newest is not in force")
            .because(error)
            .remedy("mend the policy file; it is read again as soon as it changes");
    }
    match (&status.refuses, status.state) {
        (_, HelperState::Paused) => {
            Check::warn("helper", "is paused").because("its owner said so").remedy("helper resume")
        }
        (Some(rule), _) => Check::warn("helper", "runs, but helps nobody at present")
            .because(format!("its policy says so: {rule}"))
            .remedy("see docs/POLICY.md, and `helper status`"),
        (None, _) => Check::ok("helper", "runs and waits for asks"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;
    use crate::doctor::facts::Ports;
    use crate::doctor::facts::tests::facts;
    use crate::doctor::system::Rights;
    use crate::helper::policy::{Battery, Fact, Mode, Spent};
    use crate::{Error, ErrorKind};

    fn holder(port: u16, program: &str) -> Holder {
        Holder { port, program: Some(program.into()) }
    }

    fn status() -> Status {
        Status {
            v: 1,
            state: HelperState::Waiting,
            paused_until: None,
            mode: Mode::Ask,
            policy: None,
            policy_error: None,
            managed: Vec::new(),
            refuses: None,
            metered: Fact::No,
            vpn: Fact::No,
            battery: Battery::Mains,
            spent: Spent::default(),
            per_day: 1,
            per_30_days: 1,
            per_job: 1,
            largest_share: 100,
            rate: None,
            limit: None,
            fastest: None,
            helping: Vec::new(),
            granted: Vec::new(),
            refused: Vec::new(),
        }
    }

    #[test]
    fn nothing_is_wrong_where_all_is_well() {
        let leader = all(&facts(Side::Leader));
        let helper = all(&Facts { helper: Some(Ok(status())), ..facts(Side::Helper) });
        for check in leader.iter().chain(&helper) {
            assert!(check.state <= State::Unknown, "{check:?}");
        }
    }

    #[test]
    fn the_command_for_the_right_that_is_missing_is_named() {
        let rights = Some(Rights { raw: false, echo: false });
        let check = privileges(&Facts { rights, ..facts(Side::Leader) });
        assert_eq!(check.state, State::Warn);
        assert_eq!(check.r#try.unwrap(), "sudo setcap cap_net_raw+ep /usr/bin/leader");
        let unknown = privileges(&Facts { rights: None, ..facts(Side::Leader) });
        assert_eq!(unknown.state, State::Unknown);
    }

    #[test]
    fn a_leader_needs_one_port_of_many_and_a_helper_the_one() {
        let all_taken: Vec<_> = PORTS.map(|port| holder(port, "other")).collect();
        assert_eq!(leaders_ports(&[]).state, State::Ok);
        let one = leaders_ports(&all_taken[..1]);
        assert_eq!((one.state, one.because.as_deref()), (State::Ok, Some("other has 4285")));
        let none = leaders_ports(&all_taken);
        assert_eq!(none.state, State::Fail);
        assert!(none.because.unwrap().ends_with("other has 4287, and 13 more are taken"));
        let taken = holder(PORT, "other");
        assert_eq!(helpers_port(None, false).state, State::Ok);
        assert_eq!(helpers_port(Some(&taken), true).state, State::Ok);
        let check = helpers_port(Some(&taken), false);
        assert_eq!((check.state, check.because.as_deref()), (State::Fail, Some("other has 4285")));
    }

    #[test]
    fn a_clock_that_cannot_be_right_fails() {
        for (seconds, expected) in [
            (0, State::Fail),
            (YEARS.start, State::Ok),
            (YEARS.end, State::Fail),
            (u64::MAX, State::Fail),
        ] {
            assert_eq!(clock(seconds).state, expected, "{seconds}");
        }
    }

    #[test]
    fn folders_need_room_and_leave_to_write() {
        let folder = |free, refusal: Option<&str>| Folder {
            path: "/downloads".into(),
            free,
            refusal: refusal.map(str::to_owned),
        };
        for (folder, expected) in [
            (folder(Some(LITTLE_ROOM), None), State::Ok),
            (folder(Some(LITTLE_ROOM - 1), None), State::Warn),
            (folder(None, None), State::Unknown),
            (folder(Some(u64::MAX), Some("Permission denied")), State::Fail),
        ] {
            assert_eq!(disk(&folder).state, expected, "{folder:?}");
        }
        let refused = Facts { state: ("/root".into(), Some("no".into())), ..facts(Side::Leader) };
        assert_eq!(state(&refused).state, State::Fail);
    }

    #[test]
    fn a_helper_that_refuses_everybody_is_warned_of() {
        let absent = Err(Error::new(ErrorKind::Other, "no helper runs here", "nobody listens"));
        let paused = Status { state: HelperState::Paused, ..status() };
        let refuses = Status { refuses: Some("when.hours".into()), ..status() };
        let old = Status { policy_error: Some("line 3".into()), ..status() };
        for (found, expected) in [
            (Ok(status()), State::Ok),
            (Ok(paused), State::Warn),
            (Ok(refuses), State::Warn),
            (Ok(old), State::Warn),
            (absent, State::Warn),
        ] {
            let check = helper(&Facts { helper: Some(found), ..facts(Side::Helper) }).unwrap();
            assert_eq!(check.state, expected, "{check:?}");
        }
        assert_eq!(helper(&facts(Side::Leader)), None);
    }

    #[test]
    fn taken_ports_are_no_concern_where_the_helper_itself_has_them() {
        let ports = Ports { udp: Some(holder(PORT, "helper")), tcp: Vec::new() };
        let mut facts = Facts { ports, helper: Some(Ok(status())), ..facts(Side::Helper) };
        assert_eq!(super::ports(&facts).state, State::Ok);
        facts.helper = None;
        assert_eq!(super::ports(&facts).state, State::Fail);
    }
}
