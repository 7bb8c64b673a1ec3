//! Where leaders are heard: asks by UDP, and connections by TCP at the same address and port, for
//! leaders whose firewall lets nobody dial them.

use crate::Error;
use haul_link::{Heard, Interface, Listener, interfaces};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Interval, interval, sleep};
use tracing::{debug, warn};

/// How often the machine's interfaces are looked at; they change while it roams.
const LOOK: Duration = Duration::from_secs(3);

/// How many ports are tried for both where any will do.
const PORTS_TRIED: u32 = 16;

/// Whatever a leader makes itself heard by.
pub(crate) enum Came {
    Ask(Heard),
    Caller { tcp: TcpStream, from: IpAddr },
}

impl Came {
    /// The address of whoever wants something.
    pub(crate) const fn from(&self) -> IpAddr {
        match self {
            Self::Ask(Heard { from, .. }) | Self::Caller { from, .. } => *from,
        }
    }
}

/// Both ways, on whichever networks the machine is in.
pub(crate) struct Ears {
    asks: Listener,
    address: SocketAddrV4,
    /// None while another program has the port.
    callers: Option<TcpListener>,
    networks: Vec<Interface>,
    looks: Interval,
}

impl Ears {
    /// Opens both ways at an address. The second one may be missing: then comes with it, in a
    /// sentence, why. It is tried again from time to time.
    pub(crate) fn open(listen: SocketAddrV4) -> Result<(Self, Option<String>), Error> {
        let networks = own_networks();
        let (mut asks, mut address, mut callers) = open_both(listen, &networks)?;
        // Where any port will do, it is one that is free for both.
        for _ in 1..PORTS_TRIED {
            if callers.is_ok() || listen.port() != 0 {
                break;
            }
            (asks, address, callers) = open_both(listen, &networks)?;
        }
        let (callers, trouble) = match callers {
            Ok(callers) => (Some(callers), None),
            Err(error) => (None, Some(in_the_way(address, &error))),
        };
        Ok((Self { asks, address, callers, networks, looks: interval(LOOK) }, trouble))
    }

    /// Where leaders are heard.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.into()
    }

    /// The machine's own networks, as they were a moment ago.
    pub(crate) fn networks(&self) -> &[Interface] {
        &self.networks
    }

    /// Whatever comes next. Cancel safe.
    pub(crate) async fn next(&mut self) -> Came {
        loop {
            let Self { asks, callers, looks, .. } = &mut *self;
            tokio::select! {
                heard = asks.next() => match heard {
                    Ok(heard) => return Came::Ask(heard),
                    Err(error) => debug!(%error, "an ask could not be read"),
                },
                taken = next_of(callers.as_ref()) => match taken {
                    Ok((tcp, from)) => return Came::Caller { tcp, from: from.ip() },
                    Err(error) => {
                        warn!(%error, "a connection could not be taken in");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
                _ = looks.tick() => self.look(),
            }
        }
    }

    /// Follows the machine into other networks, and takes the port when it is free.
    fn look(&mut self) {
        self.networks = own_networks();
        if self.asks.refresh(&fitting(&self.networks)) {
            debug!("asks are heard on another network");
        }
        if self.callers.is_none() {
            self.callers = open(self.address).ok();
        }
    }
}

/// Opens both ways, of which the second one may fail.
fn open_both(
    listen: SocketAddrV4,
    networks: &[Interface],
) -> Result<(Listener, SocketAddrV4, io::Result<TcpListener>), Error> {
    let asks = Listener::open(listen, &fitting(networks))?;
    let address = match asks.address() {
        Ok(SocketAddr::V4(address)) => address,
        _ => listen,
    };
    let callers = open(address);
    Ok((asks, address, callers))
}

async fn next_of(callers: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match callers {
        Some(callers) => callers.accept().await,
        None => std::future::pending().await,
    }
}

fn open(address: SocketAddrV4) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn in_the_way(address: SocketAddrV4, error: &io::Error) -> String {
    format!(
        "leaders cannot dial this machine, only be dialled by it: TCP port {} is not to be had: \
         {error}",
        address.port()
    )
}

fn own_networks() -> Vec<Interface> {
    interfaces().unwrap_or_default()
}

/// The networks in which asks to everybody are heard.
fn fitting(networks: &[Interface]) -> Vec<Interface> {
    networks.iter().filter(|network| network.is_fitting()).cloned().collect()
}
