//! Where helpers come in.

use super::hosting::Hosting;
use super::peer::host;
use crate::inside::Inside;
use crate::{Error, ErrorKind};
use std::io;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::warn;

/// How many machines may be at the door or inside at a time: all that answer one ask at the same
/// moment in a large organisation, and a memory that does not matter. Whoever comes then waits in
/// the system's queue until another leaves.
const MOST: usize = 2048;

/// How many connections may wait there.
const QUEUE: u32 = 4096;

/// How many files and connections are left for all else that the program does.
const RESERVED: u64 = 256;

/// How many connections may come from one address, so that it cannot keep the others out.
const MOST_OF_ONE: usize = 16;

/// A port that helpers dial.
pub(crate) struct Door {
    listener: TcpListener,
    room: usize,
    /// Which one it is.
    pub(crate) port: u16,
}

impl Door {
    /// Opens the first free one of `ports`.
    pub(crate) fn open(ports: RangeInclusive<u16>) -> Result<Self, Error> {
        let mut because = "there is no port to try".to_owned();
        for port in ports.clone() {
            match listen(port) {
                Ok(listener) => {
                    let port = listener.local_addr().map_or(port, |address| address.port());
                    return Ok(Self { listener, room: room(), port });
                }
                Err(error) => because = error.to_string(),
            }
        }
        let range = format!("no port from {} to {} is free", ports.start(), ports.end());
        Err(Error::new(ErrorKind::Network, "no helper can come in", format!("{range}: {because}")))
    }

    /// Lets machines in until dropped.
    pub(crate) async fn serve(self, hosting: Arc<Hosting>) {
        let (mut guests, mut inside) = (JoinSet::new(), Inside::with_room_for(MOST_OF_ONE));
        loop {
            tokio::select! {
                biased;
                Some(left) = guests.join_next() => if let Ok(from) = left {
                    inside.leave(from);
                },
                taken = self.listener.accept(), if guests.len() < self.room => match taken {
                    Ok((tcp, at)) if inside.enter(at.ip()) => {
                        let hosting = Arc::clone(&hosting);
                        guests.spawn(async move {
                            host(tcp, hosting).await;
                            at.ip()
                        });
                    }
                    Ok(_) => {}
                    Err(error) => {
                        warn!(%error, "a connection could not be taken in");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Elsewhere this would let another program take the port over.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::UNSPECIFIED, port).into())?;
    socket.listen(QUEUE)
}

/// How many machines the door has room for: as many as the system lets this program have files
/// open. Most systems give it fewer than it may have until it asks.
#[cfg(unix)]
fn room() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = RESERVED + MOST as u64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(few) = current.filter(|current| *current < wanted) else { return MOST };
    let more = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(more), maximum });
    let files = if raised.is_ok() { more } else { few };
    usize::try_from(files.saturating_sub(RESERVED)).map_or(MOST, |files| files.clamp(1, MOST))
}

#[cfg(not(unix))]
const fn room() -> usize {
    MOST
}
