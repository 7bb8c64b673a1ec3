//! Where helpers come in.

use super::peer::{Hosting, host};
use crate::{Error, ErrorKind};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::warn;

/// How many machines may be at the door or inside at a time.
const MOST: usize = 256;

/// How many connections may come from one address, so that it cannot keep the others out.
const MOST_OF_ONE: usize = 16;

/// A port that helpers dial.
pub(crate) struct Door {
    listener: TcpListener,
    /// Which one it is.
    pub(crate) port: u16,
}

impl Door {
    /// Opens the first free one of `ports`.
    pub(crate) async fn open(ports: RangeInclusive<u16>) -> Result<Self, Error> {
        let mut because = "there is no port to try".to_owned();
        for port in ports.clone() {
            match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await {
                Ok(listener) => {
                    let port = listener.local_addr().map_or(port, |address| address.port());
                    return Ok(Self { listener, port });
                }
                Err(error) => because = error.to_string(),
            }
        }
        let range = format!("no port from {} to {} is free", ports.start(), ports.end());
        Err(Error::new(ErrorKind::Network, "no helper can come in", format!("{range}: {because}")))
    }

    /// Lets machines in until dropped.
    pub(crate) async fn serve(self, hosting: Arc<Hosting>) {
        let (mut guests, mut inside) = (JoinSet::new(), BTreeMap::<IpAddr, usize>::new());
        loop {
            tokio::select! {
                biased;
                Some(left) = guests.join_next() => if let Ok(from) = left {
                    leave(&mut inside, from);
                },
                taken = self.listener.accept() => match taken {
                    Ok((tcp, at)) if guests.len() < MOST && enter(&mut inside, at.ip()) => {
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

/// Whether there is room for one more connection from this address.
fn enter(inside: &mut BTreeMap<IpAddr, usize>, from: IpAddr) -> bool {
    let count = inside.entry(from).or_default();
    let room = *count < MOST_OF_ONE;
    *count += usize::from(room);
    room
}

fn leave(inside: &mut BTreeMap<IpAddr, usize>, from: IpAddr) {
    if let Some(count) = inside.get_mut(&from) {
        *count -= 1;
        if *count == 0 {
            inside.remove(&from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_the_room() {
        let mut inside = BTreeMap::new();
        let [one, other] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(IpAddr::from);
        assert_eq!((0..1000).filter(|_| enter(&mut inside, one)).count(), MOST_OF_ONE);
        assert!(enter(&mut inside, other));
        leave(&mut inside, one);
        assert!(enter(&mut inside, one) && !enter(&mut inside, one));
        (0..MOST_OF_ONE).for_each(|_| leave(&mut inside, one));
        leave(&mut inside, other);
        assert!(inside.is_empty());
    }
}
