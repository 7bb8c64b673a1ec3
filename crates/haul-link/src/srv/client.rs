use super::message::{Answer, Question};
use super::order::in_order;
use super::{Name, Service, SrvFault, servers};
use crate::random;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tracing::debug;

/// How long one server may take to answer, over UDP and TCP together.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How often all servers are asked: datagrams get lost.
const ROUNDS: usize = 2;

/// Room for any answer that comes as a datagram.
const LONGEST_DATAGRAM: usize = 4096;

/// Asks name servers.
#[derive(Clone, Debug)]
pub struct Resolver {
    servers: Vec<SocketAddr>,
}

impl Resolver {
    /// Asks the servers that the system asks.
    pub fn of_system() -> Result<Self, SrvFault> {
        let servers = servers::of_system().map_err(|source| SrvFault::NoServers { source })?;
        Ok(Self { servers })
    }

    /// Asks these servers, in this order.
    pub const fn of(servers: Vec<SocketAddr>) -> Self {
        Self { servers }
    }

    /// The helpers that a domain names, at most 256, in the order in which they are to be tried.
    /// Every server is asked twice and has 1.5 s each time.
    pub async fn services(&self, domain: &Name) -> Result<Vec<Service>, SrvFault> {
        let name =
            domain.of_service().ok_or_else(|| SrvFault::TooLong { domain: domain.clone() })?;
        let services = self.ask(&name).await?;
        if services.is_empty() {
            return Err(SrvFault::NoRecord { name });
        }
        Ok(in_order(services, chance))
    }

    /// The first answer of a server.
    async fn ask(&self, name: &Name) -> Result<Vec<Service>, SrvFault> {
        let mut fault = SrvFault::NoServers { source: io::ErrorKind::NotFound.into() };
        for server in self.servers.repeat(ROUNDS) {
            fault = match ask_one(server, name).await {
                Ok(services) => return Ok(services),
                Err(fault) => fault,
            };
            debug!(%name, %fault, "no answer");
        }
        Err(fault)
    }
}

async fn ask_one(server: SocketAddr, name: &Name) -> Result<Vec<Service>, SrvFault> {
    let question = Question { id: u16::from_be_bytes(random()), name: name.clone() };
    let answer = timeout(PATIENCE, answer(server, &question)).await;
    match answer.map_err(|_| SrvFault::Silent { server, after: PATIENCE })? {
        Ok(Some(Answer::Services(services))) => Ok(services),
        Ok(Some(Answer::Refused(code))) => Err(SrvFault::Refused { server, code }),
        Ok(Some(Answer::Truncated) | None) => Err(SrvFault::Malformed { server }),
        Err(source) => Err(SrvFault::Broken { server, source }),
    }
}

async fn answer(server: SocketAddr, question: &Question) -> io::Result<Option<Answer>> {
    match over_udp(server, question).await? {
        Answer::Truncated => over_tcp(server, question).await,
        whole => Ok(Some(whole)),
    }
}

/// Waits for an answer to the question, whatever else comes: it may be forged.
async fn over_udp(server: SocketAddr, question: &Question) -> io::Result<Answer> {
    let socket = UdpSocket::bind((any(server), 0)).await?;
    // From now on the socket hears this server only.
    socket.connect(server).await?;
    socket.send(&question.to_bytes()).await?;
    let mut datagram = [0; LONGEST_DATAGRAM];
    loop {
        let len = socket.recv(&mut datagram).await?;
        if let Some(answer) = question.answer_in(&datagram[..len]) {
            return Ok(answer);
        }
    }
}

/// Over TCP every message has its length before it (RFC 1035 §4.2.2).
async fn over_tcp(server: SocketAddr, question: &Question) -> io::Result<Option<Answer>> {
    let mut tcp = TcpStream::connect(server).await?;
    let bytes = question.to_bytes();
    let len = u16::try_from(bytes.len()).expect("a question has a name of 255 octets at most");
    tcp.write_all(&[&len.to_be_bytes(), &bytes[..]].concat()).await?;
    let len = tcp.read_u16().await?;
    let mut message = vec![0; len.into()];
    tcp.read_exact(&mut message).await?;
    Ok(question.answer_in(&message))
}

/// Any own address of the server's family.
const fn any(server: SocketAddr) -> IpAddr {
    match server {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// A random number up to this one.
fn chance(most: u32) -> u32 {
    let number = u64::from_be_bytes(random()) % (u64::from(most) + 1);
    u32::try_from(number).expect("it is not above the most")
}
