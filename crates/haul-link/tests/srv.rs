//! A domain's helpers are learned from name servers on loopback: by datagram, by TCP where that is
//! too small, from the next server where one is silent, and from nobody who was not asked.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

use haul_lab::dns::{Service, Zone};
use haul_link::srv::{Resolver, SrvFault};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::thread;

const DOMAIN: &str = "lab.test";
const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

fn service(priority: u16, port: u16) -> Service {
    Service { priority, weight: 0, port, host: format!("helper-{port}.lab.test") }
}

/// A name server that knows the domain's helpers.
fn server(services: &[Service]) -> SocketAddr {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind(LOOPBACK).unwrap();
        // Another program may have the same port of TCP.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            break (udp, tcp);
        }
    };
    let at = udp.local_addr().unwrap();
    let zone = Zone::default().with_services("_haul._udp.lab.test", services);
    zone.serve_over_tcp_too(udp, tcp);
    at
}

async fn ports(servers: Vec<SocketAddr>) -> Result<Vec<u16>, SrvFault> {
    let services = Resolver::of(servers).services(&DOMAIN.parse().unwrap()).await?;
    Ok(services.iter().map(|service| service.port).collect())
}

#[tokio::test]
async fn helpers_come_in_the_order_of_their_priorities() {
    let at = server(&[service(20, 3), service(0, 1), service(10, 2)]);
    assert_eq!(ports(vec![at]).await.unwrap(), [1, 2, 3]);
}

#[tokio::test]
async fn more_helpers_than_a_datagram_holds_are_told_over_tcp() {
    let many: Vec<Service> = (1..=200).map(|port| service(port, port)).collect();
    let wanted: Vec<u16> = (1..=200).collect();
    assert_eq!(ports(vec![server(&many)]).await.unwrap(), wanted);
}

#[tokio::test]
async fn the_next_server_is_asked_where_one_cannot_be() {
    let closed = UdpSocket::bind(LOOPBACK).unwrap().local_addr().unwrap();
    assert_eq!(ports(vec![closed, server(&[service(0, 7)])]).await.unwrap(), [7]);
}

#[tokio::test]
async fn a_forged_answer_is_passed_over_and_the_right_one_waited_for() {
    let (front, behind) = (UdpSocket::bind(LOOPBACK).unwrap(), server(&[service(0, 7)]));
    let at = front.local_addr().unwrap();
    thread::spawn(move || {
        let mut query = [0; 512];
        let (len, from) = front.recv_from(&mut query).unwrap();
        let query = &mut query[..len];
        let forged = [&[query[0] ^ 1, query[1], 0x81, 0x83], &query[4..]].concat();
        front.send_to(&forged, from).unwrap();
        front.send_to(b"", from).unwrap();
        // Right in everything but who sends it.
        let stranger = UdpSocket::bind(LOOPBACK).unwrap();
        stranger.send_to(&[&query[..2], &[0x81, 0x83], &query[4..]].concat(), from).unwrap();
        let asks = UdpSocket::bind(LOOPBACK).unwrap();
        asks.send_to(query, behind).unwrap();
        let mut answer = [0; 512];
        let len = asks.recv(&mut answer).unwrap();
        front.send_to(&answer[..len], from).unwrap();
    });
    assert_eq!(ports(vec![at]).await.unwrap(), [7]);
}

#[tokio::test]
async fn a_domain_without_helpers_and_a_silent_server_are_different_faults() {
    let empty = ports(vec![server(&[])]).await.unwrap_err();
    assert!(
        matches!(&empty, SrvFault::NoRecord { name } if name.as_str() == "_haul._udp.lab.test")
    );
    assert!(!empty.may_pass());
    let silent = UdpSocket::bind(LOOPBACK).unwrap();
    tokio::time::pause();
    let fault = ports(vec![silent.local_addr().unwrap()]).await.unwrap_err();
    assert!(matches!(fault, SrvFault::Silent { .. }) && fault.may_pass(), "{fault}");
}
