//! Who is who between a leader and a helper over real sockets: known machines and namesakes are
//! told apart by their keys, and who wants only its group is not there for anybody else.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use haul::trust::{GroupFile, Role, Standing, Trust};
use haul::{
    Answer, Decision, Event, Happening, Helper, HelperEvent, Helpers, Home, Leader, LeaderBuilder,
    Serving,
};
use haul_lab::Payload;
use haul_lab::origin::{Origin, Resource};
use std::net::{Ipv4Addr, SocketAddrV4};
use tempfile::TempDir;

const SIZE: u64 = 1 << 20;

/// Two homes, one of the leader and one of the helper.
struct Stage {
    folder: TempDir,
    origin: Origin,
}

impl Stage {
    fn set() -> Self {
        let payload = Resource::of(Payload::new(7, SIZE));
        let origin = Origin::builder().serve("/file.bin", payload).start().unwrap();
        Self { folder: TempDir::new().unwrap(), origin }
    }

    fn home(&self, of: &str) -> Home {
        Home::at(self.folder.path().join(of))
    }

    /// Gives both homes the same group, or each its own.
    fn group(&self, same: bool) {
        let [leader, helper] = ["leader", "helper"].map(|of| GroupFile::of(&self.home(of)));
        leader.make().unwrap();
        if same {
            helper.join(leader.keys().unwrap().remove(0).1).unwrap();
        } else {
            helper.make().unwrap();
        }
    }

    fn helper(&self) -> haul::HelperBuilder {
        Helper::builder()
            .consent(Decision::Yes)
            .allow_net("127.0.0.0/8".parse().unwrap())
            .listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))
            .home(self.home("helper"))
            .ports(1..=u16::MAX)
            .name("ben")
    }

    fn leader(&self, at: &str) -> LeaderBuilder {
        Leader::builder(self.origin.url("/file.bin").parse().unwrap())
            .folder(self.folder.path())
            .home(self.home("leader"))
            .helpers(Helpers::only([at]))
            .ports(0..=0)
            .min_helpers(1)
            .auto_rename()
            .name("asha")
    }

    /// What a download tells, and who the helper said that the leader is.
    async fn run(&self, helper: haul::HelperBuilder, group_only: bool) -> Told {
        let mut serving = helper.build().unwrap().start();
        let at = listening(&mut serving).await;
        let leader = self.leader(&at);
        let leader = if group_only { leader.group_only() } else { leader };
        let mut transfer = leader.build().unwrap().start();
        let mut events = Vec::new();
        while let Some(event) = transfer.next_event().await {
            events.push(event);
        }
        let done = transfer.finish().await.is_ok();
        Told { helped: done, leader: asked(&mut serving).await, helper: offered(&events), events }
    }
}

/// What the two told of each other.
struct Told {
    helped: bool,
    /// Who the leader is to the helper.
    leader: Option<Standing>,
    /// Who the helper is to the leader.
    helper: Option<Standing>,
    events: Vec<Event>,
}

async fn listening(serving: &mut Serving) -> String {
    match serving.next_event().await {
        Some(HelperEvent::Listening { address }) => address.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Who asked, if anybody did until now.
async fn asked(serving: &mut Serving) -> Option<Standing> {
    let soon = std::time::Duration::from_millis(200);
    while let Ok(Some(event)) = tokio::time::timeout(soon, serving.next_event()).await {
        if let HelperEvent::Asked { standing, .. } = event {
            return Some(standing);
        }
    }
    None
}

fn offered(events: &[Event]) -> Option<Standing> {
    events.iter().find_map(|event| match &event.what {
        Happening::Offered { standing, .. } => Some(standing.clone()),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_are_strangers_until_they_are_known_and_namesakes_stay_strangers() {
    let stage = Stage::set();
    let told = stage.run(stage.helper(), false).await;
    assert!(told.helped);
    assert_eq!((told.leader, told.helper), (Some(Standing::Stranger), Some(Standing::Stranger)));
    let (leader, helper) = (stage.home("leader"), stage.home("helper"));
    Trust::of(&helper).add(Role::Leader, &leader.id().unwrap(), "Asha of ward 3").unwrap();
    Trust::of(&leader).add(Role::Helper, &"ab".repeat(32), "Ben").unwrap();
    let told = stage.run(stage.helper(), false).await;
    let known = Standing::Known { name: "Asha of ward 3".into() };
    assert_eq!((told.leader, told.helper), (Some(known), Some(Standing::Namesake)));
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_with_the_groups_key_know_each_other_as_of_the_group() {
    let stage = Stage::set();
    stage.group(true);
    let told = stage.run(stage.helper().group_only(), true).await;
    assert!(told.helped, "{:?}", told.events);
    assert_eq!((told.leader, told.helper), (Some(Standing::Group), Some(Standing::Group)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_for_its_group_only_is_not_there_for_another() {
    let stage = Stage::set();
    stage.group(false);
    let told = stage.run(stage.helper().group_only(), false).await;
    let met = told.events.iter().any(|event| matches!(event.what, Happening::Found { .. }));
    assert!(!told.helped && !met && told.leader.is_none(), "{:?}", told.events);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_for_its_group_only_offers_nothing_to_another() {
    let stage = Stage::set();
    stage.group(false);
    let told = stage.run(stage.helper(), true).await;
    let answered =
        |event: &Event| matches!(event.what, Happening::Answered { answer: Answer::Yes, .. });
    assert!(!told.helped && told.helper.is_none() && told.leader.is_none());
    assert!(!told.events.iter().any(answered), "{:?}", told.events);
}

#[tokio::test]
async fn who_wants_only_a_group_and_has_no_key_is_told_so() {
    let stage = Stage::set();
    let helper = stage.helper().group_only().build().unwrap();
    let error = helper.serve(std::future::pending()).await;
    assert!(error.unwrap_err().because().contains("no key"));
}
