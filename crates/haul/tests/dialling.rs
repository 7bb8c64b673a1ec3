//! Either side dials, and it makes no difference: a helper that cannot dial is dialled, whoever
//! comes twice takes part once, and strangers learn nothing by dialling.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use haul::trust::GroupFile;
use haul::{
    Decision, Event, Happening, Helper, HelperBuilder, HelperEvent, Helpers, Home, Leader,
    LeaderBuilder, Serving, Transfer,
};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use haul_link::{Greeting, Group, Identity, LinkError, Me, PeerId, answer, dial, greet};
use haul_wire::{Answer, Ask, ByeReason, Frame, Offer, Scheme, Verdict};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

const SIZE: u64 = 1 << 20;

/// A helper takes in one connection of an address in two seconds.
const PAUSE: Duration = Duration::from_millis(2100);

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_that_cannot_dial_is_dialled_and_is_asked_first_the_next_time() {
    let stage = Stage::set();
    let (_serving, at) = listening(stage.helper().ports(1..=1)).await;
    let events = stage.download(at).await;
    let found = |event: &Event| match event.what {
        Happening::Found { how, .. } => Some((how, event.at >= Duration::from_secs(1))),
        _ => None,
    };
    assert_eq!(events.iter().filter_map(found).collect::<Vec<_>>(), [("named", true)]);
    let kept = std::fs::read_to_string(stage.folder.path().join("leader/helpers")).unwrap();
    let id = stage.home("helper").id().unwrap();
    assert_eq!(kept, format!("{id} {at}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_that_was_lost_is_dialled_again() {
    let stage = Stage::behind(16 << 20, Shape::by_peer(Rate::mbit(1)));
    let (serving, at) = listening(stage.helper().ports(1..=1)).await;
    let mut transfer = stage.leader(at).build().unwrap().start();
    until_joined(&mut transfer).await;
    serving.stop().await.unwrap();
    let SocketAddr::V4(same) = at else { panic!() };
    let (_serving, _) = listening(stage.helper().ports(1..=1).listen(same)).await;
    until_joined(&mut transfer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_that_comes_twice_is_offered_the_job_once() {
    let stage = Stage::set();
    let asked = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = asked.local_addr().unwrap();
    let twice = async {
        let mut datagram = [0; Ask::LEN];
        let (_, from) = asked.recv_from(&mut datagram).await.unwrap();
        let ask = Ask::parse(&datagram).unwrap();
        let (me, door) = (Identity::ephemeral(), (from.ip(), ask.port).into());
        let [mut first, mut second] =
            [come(&me, door, ask.leader).await, come(&me, door, ask.leader).await];
        assert!(matches!(first.session.next().await.unwrap(), Frame::Offer(_)));
        let told = second.session.next().await.unwrap();
        assert_eq!(told, Frame::Bye { reason: ByeReason::NotWanted });
        first.session.send(&Frame::Answer(Answer::NO)).await.unwrap();
    };
    let (events, ()) = tokio::join!(stage.download(at), twice);
    let offered = events.iter().filter(|event| matches!(event.what, Happening::Offered { .. }));
    assert_eq!(offered.count(), 1);
}

#[tokio::test]
async fn an_owner_is_asked_once_for_each_ask_however_often_the_leader_dials() {
    let stage = Stage::set();
    let (mut serving, at) = listening(stage.helper().consent(Decision::No)).await;
    let leader = Identity::ephemeral();
    let mut greeting = call(&leader, at, None).await.unwrap();
    greeting.session.send(&offer()).await.unwrap();
    let Frame::Answer(said) = greeting.session.next().await.unwrap() else { panic!() };
    assert_eq!(said.verdict, Verdict::No);
    call(&leader, at, None).await.unwrap_err();
    sleep(PAUSE).await;
    let mut again = call(&leader, at, None).await.unwrap();
    again.session.send(&offer()).await.unwrap();
    let told = again.session.next().await.unwrap();
    assert_eq!(told, Frame::Bye { reason: ByeReason::NotWanted });
    assert_eq!(asked(&mut serving).await, 1);
}

#[tokio::test]
async fn a_helper_for_its_group_only_is_silent_before_whoever_dials_and_is_not_of_it() {
    let stage = Stage::set();
    let [ours, other] = ["helper", "other"].map(|of| {
        let file = GroupFile::of(&stage.home(of));
        file.make().unwrap();
        file.group().unwrap().unwrap()
    });
    let (mut serving, at) = listening(stage.helper().group_only()).await;
    for (group, talks) in [(None, false), (Some(&other), false), (Some(&ours), true)] {
        let greeted = call(&Identity::ephemeral(), at, group).await;
        assert_eq!(greeted.is_ok(), talks, "{greeted:?}");
        sleep(PAUSE).await;
    }
    assert_eq!(asked(&mut serving).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_whose_port_is_taken_says_so_and_dials_all_the_same() {
    let stage = Stage::set();
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let helper = stage.helper().listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    let (mut serving, at) = listening(helper).await;
    let Some(HelperEvent::Note { text }) = serving.next_event().await else { panic!() };
    assert!(text.contains(&format!("TCP port {port} is not to be had")), "{text}");
    let events = stage.download(at).await;
    assert!(events.iter().any(|event| matches!(event.what, Happening::Joined { .. })));
}

/// An origin, and the homes of a leader and a helper.
struct Stage {
    folder: TempDir,
    origin: Origin,
}

impl Stage {
    fn set() -> Self {
        Self::behind(SIZE, Shape::default())
    }

    /// With an origin that serves this many bytes in this shape.
    fn behind(size: u64, shape: Shape) -> Self {
        let file = Resource::of(Payload::new(7, size));
        let origin = Origin::builder().serve("/file.bin", file).shape(shape).start().unwrap();
        Self { folder: TempDir::new().unwrap(), origin }
    }

    fn home(&self, of: &str) -> Home {
        Home::at(self.folder.path().join(of))
    }

    fn helper(&self) -> HelperBuilder {
        Helper::builder()
            .consent(Decision::Yes)
            .allow_net("127.0.0.0/8".parse().unwrap())
            .listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))
            .home(self.home("helper"))
            .ports(1..=u16::MAX)
    }

    /// A leader that waits for the machine at this address for some seconds.
    fn leader(&self, at: SocketAddr) -> LeaderBuilder {
        Leader::builder(self.origin.url("/file.bin").parse().unwrap())
            .folder(self.folder.path())
            .home(self.home("leader"))
            .helpers(Helpers::only([at.to_string()]))
            .ports(0..=0)
            .min_helpers(1)
    }

    /// What its download tells.
    async fn download(&self, at: SocketAddr) -> Vec<Event> {
        let mut transfer = self.leader(at).build().unwrap().start();
        let mut events = Vec::new();
        while let Some(event) = transfer.next_event().await {
            events.push(event);
        }
        events
    }
}

async fn listening(helper: HelperBuilder) -> (Serving, SocketAddr) {
    let mut serving = helper.build().unwrap().start();
    match serving.next_event().await {
        Some(HelperEvent::Listening { address }) => (serving, address),
        other => panic!("{other:?}: {:?}", serving.stop().await),
    }
}

async fn until_joined(transfer: &mut Transfer) {
    let mut told = Vec::new();
    while let Some(event) = transfer.next_event().await {
        if matches!(event.what, Happening::Joined { .. }) {
            return;
        }
        told.push(event);
    }
    panic!("nobody joined: {told:#?}");
}

/// How often the owner was asked until now.
async fn asked(serving: &mut Serving) -> usize {
    let mut asked = 0;
    while let Ok(Some(event)) = timeout(Duration::from_millis(200), serving.next_event()).await {
        asked += usize::from(matches!(event, HelperEvent::Asked { .. }));
    }
    asked
}

/// A helper that dials a leader.
async fn come(me: &Identity, door: SocketAddr, leader: [u8; 32]) -> Greeting {
    let secured = dial(me, door, Some(PeerId(leader))).await.unwrap();
    answer(secured, Me { id: me.id(), name: "ben", group: None }).await.unwrap()
}

/// A leader that dials a helper, always because of the same ask.
async fn call(
    me: &Identity,
    helper: SocketAddr,
    group: Option<&Group>,
) -> Result<Greeting, LinkError> {
    let secured = dial(me, helper, None).await?;
    greet(secured, Me { id: me.id(), name: "asha", group }, [7; 16]).await
}

fn offer() -> Frame {
    let (host, scheme) = ("example.org".to_owned(), Scheme::Https);
    Frame::Offer(Offer { scheme, host, port: 443, size: SIZE, share: SIZE })
}
