//! Hostile machines, and honest ones that are no haul either.

use crate::common::PATIENCE;
use crate::scene::Scene;
use haul_lab::lan::{self, Host, LanBuilder, Process, skip_or_fail};
use haul_lab::peers;
use std::process::Command;

/// A scene with hostile machines; `None` where there can be none.
pub(crate) fn scene(lan: LanBuilder) -> Option<Scene> {
    match peers::missing().or_else(|| lan::missing(&["nft"])) {
        Some(reason) => {
            skip_or_fail(&reason);
            None
        }
        None => Scene::build(lan),
    }
}

/// Helpers of this scenario, so many keys of one machine, that come as soon as they are asked.
pub(crate) fn helpers(host: &Host, scenario: &str, keys: usize, more: &[&str]) -> Process {
    let (keys, name) = (keys.to_string(), host.name());
    let own = ["helper", "--scenario", scenario, "--keys", &keys, "--name", name];
    let bounds = ["--sessions", "300", "--seconds", "120"];
    peers::listening(&mut peers::command_on(host, &[&own[..], &bounds, more].concat())).unwrap().0
}

/// A leader of this scenario on a machine, at work for as long as it is kept.
pub(crate) fn leader(host: &Host, scenario: &str, helper: &Host, more: &[&str]) -> Process {
    Process::spawn(&mut leads(host, scenario, helper, more)).unwrap()
}

/// An honest leader at one address of a machine, to its end; whether it got the whole file.
pub(crate) fn is_helped(host: &Host, from: &str, helper: &Host, url: &str) -> bool {
    let more = ["--from", from, "--url", url, "--patience", "5", "--seconds", "20"];
    let mut leader = leader(host, "honest", helper, &more);
    leader.wait_within(PATIENCE).unwrap().expect("it has a time to end");
    !peers::events(&leader.stdout(), "done").is_empty()
}

/// Gives a machine so many addresses more, from 10.77.0.`first` on.
pub(crate) fn add_addresses(host: &Host, first: usize, count: usize) -> Vec<String> {
    let addresses: Vec<_> = (first..first + count).map(|last| format!("10.77.0.{last}")).collect();
    for address in &addresses {
        host.ip(&format!("addr add {address}/24 dev lan0")).unwrap();
    }
    addresses
}

fn leads(host: &Host, scenario: &str, helper: &Host, more: &[&str]) -> Command {
    let (to, name) = (format!("{}:4285", helper.address()), host.name());
    let own = ["leader", "--scenario", scenario, "--helper", &to, "--name", name];
    peers::command_on(host, &[&own[..], more].concat())
}
