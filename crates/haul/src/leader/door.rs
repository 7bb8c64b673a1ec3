//! Where helpers come in.

use super::peer::{Hosting, host};
use crate::{Error, ErrorKind};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::warn;

/// How many machines may be at the door or inside at a time.
const MOST: usize = 256;

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
        let mut guests = JoinSet::new();
        loop {
            while guests.try_join_next().is_some() {}
            tokio::select! {
                taken = self.listener.accept() => match taken {
                    Ok((tcp, _)) if guests.len() < MOST => drop(guests.spawn(host(tcp, Arc::clone(&hosting)))),
                    Ok(_) => {}
                    Err(error) => {
                        warn!(%error, "a connection could not be taken in");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(_) = guests.join_next() => {}
            }
        }
    }
}
