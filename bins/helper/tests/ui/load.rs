//! A download that takes long enough to watch a helper at work.

use haul::{Helpers, Home, Leader, Report};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::thread;
use tempfile::TempDir;

/// The helper fetches from the address that the system gives it, the leader from its own.
const HELPER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LEADER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 12));

/// A file that nearly all has to come over the helper's link.
pub(crate) struct Load {
    origin: Arc<Origin>,
    payload: Payload,
    folder: TempDir,
    thread: thread::JoinHandle<Report>,
}

impl Load {
    /// Starts it as a machine of this name, which asks this helper.
    pub(crate) fn start(helper: String, name: &'static str) -> Self {
        let payload = Payload::new(37, 64 << 20);
        let links = Shape::default().peer(LEADER, Rate::mbit(2)).peer(HELPER, Rate::mbit(16));
        let served = Origin::builder().serve("/file.bin", Resource::of(payload));
        let origin = Arc::new(served.shape(links).start().unwrap());
        let folder = TempDir::new().unwrap();
        let leader = Leader::builder(origin.url("/file.bin").parse().unwrap())
            .helpers(Helpers::only([helper]))
            .home(Home::at(folder.path().join("home")))
            .folder(folder.path())
            .source_address(LEADER)
            .name(name)
            .no_scan()
            .build()
            .unwrap();
        let download = move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(leader.run()).unwrap()
        };
        Self { origin, payload, folder, thread: thread::spawn(download) }
    }

    /// Lets the leader's own link bring the rest at once; the file must be right.
    pub(crate) fn ends(self) -> Report {
        self.origin.set_rate(LEADER, Rate::mbit(2000));
        let report = self.thread.join().unwrap();
        assert_eq!(self.payload.first_difference(&report.path).unwrap(), None);
        drop(self.folder);
        report
    }
}
