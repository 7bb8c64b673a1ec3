//! Entrances for fuzz targets, each of which takes any bytes and must neither panic nor hang.

use crate::Interface;
use crate::dns_sd::Said;
use crate::srv::{Answer, Name, Question, in_order, name_servers};
use std::net::Ipv4Addr;

/// An answer of a name server: as it stands, or behind a question that is the right one, as no
/// fuzzer finds that by itself. The first byte says which.
pub fn srv(bytes: &[u8]) {
    let Some((&how, rest)) = bytes.split_first() else { return };
    let name = "_haul._udp.lab.test".parse().expect("it is a name");
    let question = Question { id: 0x4842, name };
    let message = if how & 1 == 0 { rest.to_vec() } else { behind(&question, rest) };
    let Some(Answer::Services(services)) = question.answer_in(&message) else { return };
    assert!(services.len() <= 256 && services.len() <= message.len() / 11);
    for service in &services {
        assert_eq!(service.host.as_str().parse::<Name>().as_ref(), Ok(&service.host));
    }
    let mut marks = message.iter().cycle();
    let chance = |most: u32| u32::from(*marks.next().expect("it is not empty")).min(most);
    let ordered = in_order(services.clone(), chance);
    assert!(ordered.is_sorted_by_key(|service| service.priority));
    assert_eq!(ordered.len(), services.len());
}

/// The question as an answer with the flags and the number of records that these bytes begin with,
/// and the rest of them as those records.
fn behind(question: &Question, bytes: &[u8]) -> Vec<u8> {
    let mut message = question.to_bytes();
    let Some((&[high, low, records], rest)) = bytes.split_first_chunk() else { return message };
    (message[2], message[3], message[7]) = (high | 0x80, low, records);
    message.extend(rest);
    message
}

/// What somebody announces by DNS-SD: a port, a version and addresses.
pub fn announcement(bytes: &[u8]) {
    let Some((&[high, low, version, last, prefix], rest)) = bytes.split_first_chunk() else {
        return;
    };
    let network = Interface {
        name: "eth0".to_owned(),
        address: Ipv4Addr::new(10, 77, 0, last),
        prefix: prefix % 33,
        point_to_point: false,
    };
    let addresses = rest.as_chunks::<4>().0.iter().map(|&octets| octets.into()).collect();
    let version = ["1", "2", ""].get(usize::from(version)).copied();
    let said = Said { version, port: u16::from_be_bytes([high, low]), addresses };
    for machine in said.machines(std::slice::from_ref(&network)) {
        assert!(network.has(machine.ip()) && machine.ip() != network.broadcast());
        assert!(!machine.ip().is_loopback() && !machine.ip().is_multicast());
        assert!(machine.port() >= 1024);
    }
}

/// A system's list of name servers.
pub fn servers(text: &str) {
    assert!((1..=3).contains(&name_servers(text).len()));
}
