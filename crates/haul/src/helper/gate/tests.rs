use super::*;
use crate::helper::consent::Lasts;
use crate::helper::job::Permit;
use crate::helper::policy::{Care, Policy, PolicySource};
use crate::trust::JobId;
use haul_fetch::Options;
use std::collections::VecDeque;
use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::Pin;
use tempfile::TempDir;

const CALM: Senses = Senses { metered: Fact::No, vpn: Fact::No, battery: Battery::Mains };
const VPN: Senses = Senses { vpn: Fact::Yes, ..CALM };

impl Machine for Senses {
    fn metered(&self) -> Fact {
        self.metered
    }

    fn vpn(&self) -> Fact {
        self.vpn
    }

    fn battery(&self) -> Battery {
        self.battery
    }

    fn received(&self) -> Option<u64> {
        None
    }
}

/// A person who says this, one after the other, and no more after that.
struct Person(Mutex<VecDeque<Decision>>);

impl ConsentPolicy for Person {
    fn decide<'a>(&'a self, _: &'a Request) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>> {
        Box::pin(std::future::ready(locked(&self.0).pop_front().unwrap()))
    }

    fn asks_a_person(&self) -> bool {
        true
    }
}

/// A gate whose owner says this, with what it keeps.
fn gate(policy: Policy, says: &[Decision]) -> (TempDir, Arc<Gate>) {
    let folder = TempDir::new().unwrap();
    let home = Home::at(folder.path().join("home"));
    let source = PolicySource::fixed(policy).managed_from(folder.path().join("none"));
    let posts = Posts {
        client: Client::new(Options::default()).unwrap(),
        policies: Policies::open(source).unwrap(),
        accounts: Accounts::open(&home).unwrap(),
        consent: Arc::new(Person(Mutex::new(says.iter().copied().collect()))),
        machine: Arc::new(CALM),
        trust: Trust::of(&home),
        home,
    };
    (folder, Arc::new(Gate::new(posts)))
}

fn id() -> String {
    "ab".repeat(32)
}

fn request(host: &str, standing: Standing) -> Request {
    Request {
        leader: "asha".into(),
        leader_id: id(),
        standing,
        code: "418 207".into(),
        scheme: "https",
        host: host.into(),
        size: 1 << 30,
    }
}

async fn asked(gate: &Arc<Gate>, request: &Request) -> Judged {
    gate.decide(request, &who()).await
}

fn who() -> Party {
    Party::at(Ipv4Addr::LOCALHOST.into())
}

const URL: &str = "https://a.test/x?token=1";

#[tokio::test]
async fn gate_ends_what_was_granted_to_a_leader_when_its_owner_says_no_to_it() {
    for no in [Decision::No, Decision::Block] {
        let says = [Decision::YesFor(Lasts::File), no];
        let (_folder, gate) = gate(Policy::default(), &says);
        let permit = asked(&gate, &request("a.test", Standing::Stranger)).await.permit.unwrap();
        assert_eq!(gate.trust.granted().unwrap().len(), 1);
        assert!(asked(&gate, &request("b.test", Standing::Stranger)).await.permit.is_none());
        assert_eq!(gate.trust.granted().unwrap(), []);
        assert!(permit.was_withdrawn(), "{no:?}");
    }
}

#[tokio::test]
async fn gate_ends_help_to_a_known_leader_that_needed_the_yes_which_was_taken_back() {
    let policy = Policy { vpn: Care::Ask, ..Policy::default() };
    let (_folder, gate) = gate(policy, &[Decision::YesFor(Lasts::TwoHours)]);
    gate.trust.add(Role::Leader, &id(), "asha").unwrap();
    *locked(&gate.senses) = VPN;
    let known = request("a.test", Standing::Known { name: "asha".into() });
    let permit = asked(&gate, &known).await.permit.unwrap();
    gate.trust.take_back("asha").unwrap();
    *locked(&gate.senses) = CALM;
    gate.review();
    assert!(!permit.was_withdrawn(), "it is helped without the yes");
    *locked(&gate.senses) = VPN;
    gate.review();
    assert!(permit.was_withdrawn());
}

#[tokio::test]
async fn gate_ends_help_to_known_leaders_when_it_cannot_be_read_who_is_known() {
    let (_folder, gate) = gate(Policy::default(), &[]);
    gate.trust.add(Role::Leader, &id(), "asha").unwrap();
    let known = request("a.test", Standing::Known { name: "asha".into() });
    let permit = asked(&gate, &known).await.permit.unwrap();
    gate.review();
    assert!(!permit.was_withdrawn());
    let file = gate.home.folder().join("known");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    gate.review();
    assert!(permit.was_withdrawn());
}

#[tokio::test]
async fn gate_welcomes_a_leader_that_waits_for_a_file_that_was_granted() {
    let policy = Policy { prompts_per_hour: 1, ..Policy::default() };
    let (_folder, gate) = gate(policy, &[Decision::YesFor(Lasts::File)]);
    let stranger = request("a.test", Standing::Stranger);
    drop(asked(&gate, &stranger).await.permit.unwrap());
    let (standing, who) = (Standing::Stranger, who());
    assert_eq!(gate.incline(&id(), &standing, &who), Decision::Later, "it may name any file");
    assert!(gate.welcomes(&id(), &standing, &who));
    gate.trust.take_back("asha").unwrap();
    assert!(!gate.welcomes(&id(), &standing, &who));
}

#[tokio::test]
async fn gate_knows_what_a_job_has_used_up_before_its_place_is_free() {
    let (_folder, gate) = gate(Policy::default(), &[Decision::Yes]);
    let stranger = request("a.test", Standing::Stranger);
    let who = Party { key: Some(PeerId([0xab; 32])), ..who() };
    let first = gate.decide(&stranger, &who).await.permit.unwrap();
    first.is_for(URL, 1 << 30);
    assert!(Permit::take(&gate, &stranger, &who).is_none(), "a key has one place");
    let kept_from_settling = crate::trust::lock(&gate.home).unwrap();
    let ended = std::thread::spawn(move || drop(first));
    for _ in 0..20 {
        assert!(Permit::take(&gate, &stranger, &who).is_none());
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(kept_from_settling);
    ended.join().unwrap();
    assert!(Permit::take(&gate, &stranger, &who).is_some());
}

#[tokio::test]
async fn gate_keeps_what_was_received_when_a_leader_may_return_for_its_file() {
    let (_folder, gate) = gate(Policy::default(), &[]);
    let request = request("a.test", Standing::Stranger);
    let job = JobId::of(&id(), URL, 1 << 30);
    let settled = Settled {
        request: &request,
        basis: &Basis::Asked(None),
        job: Some(&job),
        noted: 0,
        used: 42,
        is_done: false,
        may_return: true,
    };
    gate.settle(&settled);
    let granted = gate.trust.granted().unwrap();
    assert_eq!((granted[0].files, granted[0].bytes), (1, 42));
    let basis = Basis::Granted(granted[0].key());
    assert!(gate.use_ahead(&basis, &job, 0, 30));
    gate.settle(&Settled { basis: &basis, noted: 30, used: 10, ..settled });
    let other = JobId::of(&id(), "https://a.test/y", 1 << 30);
    assert_eq!(gate.used_before(&basis, &job), 52);
    assert_eq!(gate.used_before(&basis, &other), 52, "whatever its leader calls the file");
    assert_eq!(gate.used_before(&Basis::Policy, &other), 0);
    assert_eq!(gate.used_before(&Basis::Asked(None), &job), 0, "a person said yes to all of it");
}

#[test]
fn decision_that_is_a_yes_for_a_while_may_agree() {
    let agrees = [Decision::Yes, Decision::YesFor(Lasts::Today)];
    assert!(agrees.iter().all(ConsentPolicy::may_agree));
    let others = [Decision::No, Decision::Block, Decision::Busy, Decision::Later];
    assert!(!others.iter().any(ConsentPolicy::may_agree));
}
