use crate::Error;
use crate::lending::Lending;
use crate::server::{Links, Server};
use haul::Home;
use haul::doors::{Door, Doors};
use haul::policy::PolicySource;
use std::net::SocketAddr;

/// The helper's page, open on a port of 127.0.0.1: a door to its owner, who is asked there, sees
/// what is lent, and sets the rules. While it is open a person counts as reachable.
pub struct HelperPage {
    server: Server<Lending>,
    door: Door,
}

/// What a [`HelperPage`] is to be.
#[must_use]
pub struct HelperPageBuilder {
    doors: Doors,
    home: Home,
    policy: PolicySource,
    port: u16,
}

impl HelperPage {
    /// A page on a free port for the helper of this home, which asks at these doors.
    pub fn builder(doors: &Doors, home: &Home) -> HelperPageBuilder {
        let (doors, home, policy) = (doors.clone(), home.clone(), PolicySource::of_home(home));
        HelperPageBuilder { doors, home, policy, port: 0 }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// The link that opens it, once: whoever has it answers in the owner's name, so it belongs in
    /// no log. When it has been used, only the address of the page is left of it.
    pub fn link(&self) -> String {
        self.server.site.gate.link()
    }

    /// A way to make further links while it is served.
    pub fn links(&self) -> Links {
        self.server.links()
    }

    /// Serves it until `stop` is ready.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { server, door } = self;
        let face = &server.site.face;
        tokio::select! {
            () = server.serve(stop) => {}
            never = face.attend(door) => match never {},
            never = face.look() => match never {},
        }
    }
}

impl HelperPageBuilder {
    /// Listens on this port of 127.0.0.1, or on a free one if it is 0.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Shows and changes this policy; the file `policy.toml` of the home unless told.
    pub fn policy(mut self, source: PolicySource) -> Self {
        self.policy = source;
        self
    }

    /// Opens it; browsers can connect when this returns, and are answered once it is served.
    pub async fn open(self) -> Result<HelperPage, Error> {
        let door = self.doors.open();
        let face = Lending::new(self.doors, self.home, self.policy);
        Ok(HelperPage { server: Server::open(self.port, face).await?, door })
    }
}
