//! Helpers in the test's own process, each on a link of its own and at an address of loopback.

use haul::{Decision, Helper, HelperEvent, Home, Serving};
use std::net::{Ipv4Addr, SocketAddrV4};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) struct Neighbours {
    serving: Vec<(Serving, String)>,
    home: TempDir,
    runtime: Runtime,
}

impl Neighbours {
    pub(crate) fn new() -> Self {
        let (home, runtime) = (TempDir::new().unwrap(), Runtime::new().unwrap());
        Self { serving: Vec::new(), home, runtime }
    }

    /// One more, that answers so. The first has the link of 127.0.0.11, the second that of
    /// 127.0.0.12, and so on.
    pub(crate) fn add(&mut self, name: &str, says: Decision) {
        let link = 11 + self.serving.len() as u8;
        let helper = Helper::builder()
            .consent(says)
            .allow_net("127.0.0.0/8".parse().unwrap())
            .listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))
            .home(Home::at(self.home.path().join(link.to_string())))
            .source_address([127, 0, 0, link].into())
            .ports(1..=u16::MAX)
            .name(name)
            .build()
            .unwrap();
        let mut serving = self.runtime.block_on(async { helper.start() });
        let heard = self.runtime.block_on(serving.next_event());
        let Some(HelperEvent::Listening { address }) = heard else { panic!("it does not listen") };
        self.serving.push((serving, address.to_string()));
    }

    /// Where all of them hear asks, as `--helpers` takes it.
    pub(crate) fn addresses(&self) -> String {
        let addresses: Vec<&str> = self.serving.iter().map(|(_, at)| at.as_str()).collect();
        addresses.join(",")
    }

    /// Sends all of them away.
    pub(crate) fn dismiss(&mut self) {
        let serving = std::mem::take(&mut self.serving);
        self.runtime.block_on(async { drop(serving) });
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        self.dismiss();
    }
}
