use super::consent::{ConsentPolicy, Decision};
use super::machine::{Linux, Machine};
use super::policy::PolicySource;
use super::serve::{Serving, serve};
use super::surroundings::surroundings;
use crate::home::machine_name;
use crate::{ByteRate, Error, Home};
use haul_fetch::{Cidr, Client, Denied, Guard, Options};
use haul_link::{PORT, PORTS};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A machine that lends its link, checked and ready to serve.
pub struct Helper {
    pub(crate) settings: Settings,
}

/// How a helper is to behave; made by [`Helper::builder`].
#[must_use]
pub struct HelperBuilder {
    consent: Arc<dyn ConsentPolicy>,
    policy: PolicySource,
    allowed: Vec<Cidr>,
    limit: Option<ByteRate>,
    listen: SocketAddrV4,
    home: Option<Home>,
    roots: Vec<u8>,
    source_address: Option<IpAddr>,
    ports: RangeInclusive<u16>,
    name: Option<String>,
    announce: bool,
    group_only: bool,
}

/// A builder's choices, checked.
pub(crate) struct Settings {
    pub(crate) consent: Arc<dyn ConsentPolicy>,
    pub(crate) policy: PolicySource,
    pub(crate) machine_facts: Arc<dyn Machine>,
    pub(crate) client: Client,
    pub(crate) listen: SocketAddrV4,
    pub(crate) home: Home,
    pub(crate) ports: RangeInclusive<u16>,
    pub(crate) machine: String,
    #[cfg_attr(not(feature = "dns-sd"), expect(dead_code, reason = "nothing is announced"))]
    pub(crate) announce: bool,
    pub(crate) group_only: bool,
}

impl Helper {
    /// A helper that refuses everybody until it is told who decides.
    pub fn builder() -> HelperBuilder {
        HelperBuilder {
            consent: Arc::new(Decision::No),
            policy: PolicySource::default(),
            allowed: Vec::new(),
            limit: None,
            listen: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT),
            home: None,
            roots: Vec::new(),
            source_address: None,
            ports: PORTS,
            name: None,
            announce: true,
            group_only: false,
        }
    }

    /// Serves until `shutdown` is done.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let mut serving = self.start();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return serving.stop().await,
                event = serving.next_event() => if event.is_none() {
                    return serving.stop().await;
                },
            }
        }
    }

    /// Starts to serve on the current tokio runtime and returns the handle on it.
    pub fn start(self) -> Serving {
        let (tell, events) = mpsc::unbounded_channel();
        let task = tokio::spawn(serve(self.settings, tell));
        Serving::new(events, task)
    }
}

impl HelperBuilder {
    /// Who decides where the policy leaves it open, which it does by default.
    pub fn consent(mut self, decides: impl ConsentPolicy) -> Self {
        self.consent = Arc::new(decides);
        self
    }

    /// What the owner allows at all: whom to help, with what, when and how much. Its limits hold
    /// whoever decides; unless told they are those of [`Policy::default`](crate::policy::Policy).
    pub fn policy(mut self, source: PolicySource) -> Self {
        self.policy = source;
        self
    }

    /// Opens a network on every port although it is private. Everything else stays closed but for
    /// public addresses on ports 80 and 443.
    pub fn allow_net(mut self, network: Cidr) -> Self {
        self.allowed.push(network);
        self
    }

    /// The most that is fetched for others, if the policy does not say less.
    pub fn limit_rate(mut self, rate: ByteRate) -> Self {
        self.limit = Some(rate);
        self
    }

    /// Hears asks here by UDP, and takes in leaders that dial by TCP; port 4285 on every address
    /// unless told.
    pub fn listen(mut self, address: SocketAddrV4) -> Self {
        self.listen = address;
        self
    }

    /// Where the installation's key is; [`Home::of_user`] unless told.
    pub fn home(mut self, home: Home) -> Self {
        self.home = Some(home);
        self
    }

    /// Trusts these root certificates too, in PEM.
    pub fn extra_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = pem.into();
        self
    }

    /// Fetches from this local address, on a machine with several links.
    pub fn source_address(mut self, address: IpAddr) -> Self {
        self.source_address = Some(address);
        self
    }

    /// Dials leaders only on these ports.
    pub fn ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports = ports;
        self
    }

    /// The name that leaders see; the machine's own unless told.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Does not announce this machine by DNS-SD; asks are heard all the same.
    ///
    /// What is announced is the machine's name, its addresses on the network and the port where asks
    /// are heard, and only while somebody would be helped. A helper for the own group alone, or one
    /// that listens on loopback, never announces itself.
    pub fn no_announce(mut self) -> Self {
        self.announce = false;
        self
    }

    /// Hears only asks of the own group and helps no other leader: to everybody else it is not
    /// there. Takes a key of the group in [`GroupFile`](crate::trust::GroupFile).
    pub fn group_only(mut self) -> Self {
        self.group_only = true;
        self
    }

    /// Checks everything that can be checked without touching the network or the disk.
    pub fn build(self) -> Result<Helper, Error> {
        let denied = Denied::asking(surroundings);
        let client = Client::new(Options {
            guard: Guard::Public { allowed: Vec::new(), denied },
            extra_roots: self.roots,
            source_address: self.source_address,
            ..Options::default()
        })?;
        let policy = self.allowed.into_iter().fold(self.policy, PolicySource::allow_net);
        let policy = self.limit.into_iter().fold(policy, PolicySource::limit_rate);
        let settings = Settings {
            consent: self.consent,
            policy,
            machine_facts: Arc::new(Linux::here()),
            client,
            listen: self.listen,
            home: self.home.map_or_else(Home::of_user, Ok)?,
            ports: self.ports,
            machine: self.name.unwrap_or_else(machine_name),
            announce: self.announce,
            group_only: self.group_only,
        };
        Ok(Helper { settings })
    }
}
