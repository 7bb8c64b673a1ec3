//! Where every ask is decided upon, and every help is held to the owner's limits.

mod jobs;
mod rate;

use super::accounts::Accounts;
use super::blocked::{block, is_blocked};
use super::consent::{ConsentPolicy, Decision, Request};
use super::job::Permit;
use super::limits::agreed::Agreed;
use super::limits::prompts::{Outcome, Prompts};
use super::limits::requests::Requests;
use super::machine::{Machine, Traffic};
use super::pause::Pause;
use super::policy::{
    Battery, Fact, Facts, InForce, Moment, Policies, PolicyError, Rule, Ruling, Spent,
};
use crate::Home;
use crate::limits::party::Party;
use crate::trust::{Role, Standing, Trust};
use haul_fetch::Client;
pub(crate) use jobs::{IDLE, Jobs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tracing::info;

/// How long a person, or an app, may think; no answer is a no.
pub(crate) const DECISION: Duration = Duration::from_secs(45);

/// All that decides whether this machine helps. It outlives every session.
pub(crate) struct Gate {
    pub(crate) home: Home,
    pub(crate) client: Client,
    pub(crate) policies: Mutex<Policies>,
    pub(crate) accounts: Mutex<Accounts>,
    pub(crate) jobs: Mutex<Jobs>,
    pub(crate) traffic: Mutex<Traffic>,
    pub(crate) pause: Mutex<Pause>,
    /// How fast help may be besides what the policy says, in bytes a second, while there is any.
    limit: Mutex<Option<u64>>,
    consent: Arc<dyn ConsentPolicy>,
    machine: Arc<dyn Machine>,
    trust: Trust,
    prompts: Mutex<Prompts>,
    pub(crate) requests: Mutex<Requests>,
    pub(crate) agreed: Mutex<Agreed>,
    senses: Mutex<Senses>,
    pub(crate) began: Instant,
}

/// What the machine said of itself a moment ago.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Senses {
    pub(crate) metered: Fact,
    pub(crate) vpn: Fact,
    pub(crate) battery: Battery,
}

/// What a leader is answered, and why.
pub(crate) struct Judged {
    pub(crate) decision: Decision,
    pub(crate) because: String,
    /// Whether somebody was asked for it, and not the policy alone.
    pub(crate) asked: bool,
    /// What a yes comes with.
    pub(crate) permit: Option<Permit>,
}

/// What a gate is made of.
pub(crate) struct Posts {
    pub(crate) home: Home,
    pub(crate) client: Client,
    pub(crate) policies: Policies,
    pub(crate) accounts: Accounts,
    pub(crate) consent: Arc<dyn ConsentPolicy>,
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) trust: Trust,
}

impl Gate {
    pub(crate) fn new(posts: Posts) -> Self {
        let Posts { home, client, policies, accounts, consent, machine, trust } = posts;
        let senses = Senses::of(&*machine);
        Self {
            pause: Mutex::new(Pause::load(&home)),
            home,
            client,
            policies: Mutex::new(policies),
            accounts: Mutex::new(accounts),
            jobs: Mutex::default(),
            traffic: Mutex::default(),
            limit: Mutex::default(),
            consent,
            machine,
            trust,
            prompts: Mutex::default(),
            requests: Mutex::default(),
            agreed: Mutex::default(),
            senses: Mutex::new(senses),
            began: Instant::now(),
        }
    }

    /// Decides on a request: by the policy, and by whoever is asked where that leaves it open.
    pub(crate) async fn decide(self: &Arc<Self>, request: &Request, who: &Party) -> Judged {
        let judged = match self.verdict(request) {
            (Ruling::Answer(decision), rule) => Judged::new(decision, rule.name()),
            (Ruling::Ask, _) if self.has_agreed(request) => Judged::new(Decision::Yes, AGREED),
            (Ruling::Ask, rule) => self.ask(request, who, rule).await,
        };
        info!(
            rule = judged.because,
            answer = ?judged.decision,
            leader = request.leader_id.get(..8),
            host = request.host,
            "decided"
        );
        judged.admitted(self, request, who)
    }

    /// What the policy says at this moment.
    fn verdict(&self, request: &Request) -> (Ruling, Rule) {
        let now = now();
        let facts = self.facts_about(&request.leader_id, &request.standing, now);
        let verdict = self.in_force().policy.decide(request, &facts, &self.spent(), now);
        (verdict.ruling, verdict.rule)
    }

    /// What a leader is answered that names no file: what the policy says whatever the file. Nobody
    /// is asked for it.
    pub(crate) fn incline(&self, leader_id: &str, standing: &Standing, who: &Party) -> Decision {
        let now = now();
        let facts = self.facts_about(leader_id, standing, now);
        let in_force = self.in_force();
        match in_force.policy.incline(leader_id, &facts, &self.spent(), now).ruling {
            Ruling::Answer(decision) => decision,
            Ruling::Ask if !self.consent.may_agree() => Decision::No,
            Ruling::Ask if !self.consent.asks_a_person() => Decision::Yes,
            Ruling::Ask => {
                let per_hour = in_force.policy.prompts_per_hour;
                let may_open = locked(&self.prompts).may_open(self.steady(), who, per_hour);
                may_open.map_or(Decision::Later, |()| Decision::Yes)
            }
        }
    }

    fn facts_about(&self, leader_id: &str, standing: &Standing, now: Moment) -> Facts {
        Facts {
            known: self.knows(leader_id, standing, now),
            blocked: is_blocked(&self.home, leader_id),
            ..self.facts(now)
        }
    }

    async fn ask(&self, request: &Request, who: &Party, rule: Rule) -> Judged {
        let person = self.consent.asks_a_person();
        if person {
            let per_hour = self.in_force().policy.prompts_per_hour;
            let opened = locked(&self.prompts).open(self.steady(), who, per_hour);
            if let Err(held) = opened {
                return Judged::new(Decision::Later, held.name());
            }
        }
        let prompt = PromptOpen { gate: person.then_some(self), outcome: Outcome::Withdrawn };
        let mut judged = match timeout(DECISION, self.consent.decide(request)).await {
            Ok(decision) => Judged::new(decision, format!("asked, as {rule} wants it")),
            Err(_) => Judged::new(Decision::No, "nobody answered within 45 s"),
        };
        judged.asked = true;
        prompt.closed(judged.decision == Decision::Yes);
        if judged.decision == Decision::Block
            && let Err(error) = block(&self.home, &request.leader_id, &request.leader)
        {
            tracing::warn!(%error, "a leader could not be blocked for good");
        }
        judged
    }

    /// Whether this was agreed to a short time ago, and its leader has only come back.
    fn has_agreed(&self, request: &Request) -> bool {
        locked(&self.agreed).received(self.steady(), request).is_some()
    }

    /// Whether the leader is one of the owner's, by their own word or by the policy's.
    pub(crate) fn trusts(&self, leader_id: &str, standing: &Standing) -> bool {
        let now = now();
        self.knows(leader_id, standing, now) || self.in_force().policy.knows(leader_id, now)
    }

    /// Whether the leader is of the group, or known and its grant has not ended.
    fn knows(&self, leader_id: &str, standing: &Standing, now: Moment) -> bool {
        match standing {
            Standing::Group => true,
            Standing::Known { .. } => {
                let days = self.in_force().policy.grant_days;
                self.trust.list().unwrap_or_default().iter().any(|known| {
                    let added = i64::try_from(known.added).unwrap_or(i64::MAX);
                    let added = Moment { unix: added, ..now };
                    known.role == Role::Leader
                        && known.id == leader_id
                        && now.day() <= added.day().saturating_add(days.into())
                })
            }
            _ => false,
        }
    }

    pub(crate) fn in_force(&self) -> Arc<InForce> {
        locked(&self.policies).in_force()
    }

    pub(crate) fn spent(&self) -> Spent {
        locked(&self.accounts).spent(now(), self.steady())
    }

    /// Since the helper began.
    pub(crate) fn steady(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn senses(&self) -> Senses {
        *locked(&self.senses)
    }

    fn facts(&self, now: Moment) -> Facts {
        let Senses { metered, vpn, battery } = self.senses();
        let paused = locked(&self.pause).is_on(now.unix);
        let helping = locked(&self.jobs).in_use(self.steady());
        Facts { paused, metered, vpn, battery, helping, known: false, blocked: false }
    }

    /// The rule that ends help which is under way, if one does.
    pub(crate) fn interrupts(&self) -> Option<Rule> {
        let now = now();
        self.in_force().policy.interrupts(&self.facts(now), now)
    }

    /// Notes that a job has ended; what was said for those under way is over with the last.
    pub(crate) fn forget(&self, id: u64) {
        let mut jobs = locked(&self.jobs);
        if let Some(job) = jobs.running.remove(&id) {
            jobs.received += job.purse.received();
        }
        if jobs.running.is_empty() {
            *locked(&self.limit) = None;
        }
    }

    /// Pauses help, at once, or resumes it; kept for the next helper with this home.
    pub(crate) fn set_pause(&self, pause: Pause) -> std::io::Result<()> {
        *locked(&self.pause) = pause;
        if pause.is_on(now().unix) {
            self.end_all(Rule::Paused.name());
        }
        pause.keep(&self.home)
    }

    /// Ends one help, if it is still under way, as [`Self::end_all`] does.
    pub(crate) fn end(&self, help: u64, why: &str) {
        if let Some(job) = locked(&self.jobs).running.get(&help) {
            job.end(why);
        }
    }

    /// Ends every help at once: nothing more is received from any origin when this returns.
    pub(crate) fn end_all(&self, why: &str) {
        locked(&self.jobs).running.values().for_each(|job| job.end(why));
    }

    /// Follows the policy's files and the machine, about once a second, until dropped. Tells of a
    /// policy that was changed, or why it could not be.
    pub(crate) async fn tend(&self, mut tell: impl FnMut(Result<(), PolicyError>)) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        for second in 0_u64.. {
            seconds.tick().await;
            // Whoever is told asks for the policy, so it must not be held any more.
            let changed = locked(&self.policies).look();
            changed.into_iter().for_each(&mut tell);
            locked(&self.jobs)
                .running
                .values()
                .for_each(|job| job.speed.tick(job.purse.received()));
            let own = self.received();
            locked(&self.traffic).read(Instant::now(), self.machine.received(), own);
            if second % SENSE_EVERY == 0 {
                self.sense().await;
            }
        }
    }

    /// Asks the machine anew; the bus may take its time.
    async fn sense(&self) {
        let machine = Arc::clone(&self.machine);
        if let Ok(senses) = tokio::task::spawn_blocking(move || Senses::of(&*machine)).await {
            *locked(&self.senses) = senses;
        }
    }

    /// Bytes that were received for others since the helper began.
    fn received(&self) -> u64 {
        let jobs = locked(&self.jobs);
        jobs.received + jobs.running.values().map(|job| job.purse.received()).sum::<u64>()
    }
}

impl Senses {
    fn of(machine: &dyn Machine) -> Self {
        Self { metered: machine.metered(), vpn: machine.vpn(), battery: machine.battery() }
    }
}

impl Judged {
    pub(crate) fn new(decision: Decision, because: impl Into<String>) -> Self {
        Self { decision, because: because.into(), asked: false, permit: None }
    }

    /// With the permit of a yes; what held before a person thought about it must hold still.
    fn admitted(mut self, gate: &Arc<Gate>, request: &Request, who: &Party) -> Self {
        if self.decision != Decision::Yes {
            return self;
        }
        if let (Ruling::Answer(decision), rule) = gate.verdict(request)
            && decision != Decision::Yes
            && rule != Rule::Mode
        {
            return Self::new(decision, rule.name());
        }
        match Permit::take(gate, request, who) {
            Some(permit) => self.permit = Some(permit),
            None => return Self::new(Decision::Busy, Rule::AtOnce.name()),
        }
        self
    }
}

/// A prompt that is open; dropped without an answer it was taken back.
struct PromptOpen<'a> {
    gate: Option<&'a Gate>,
    outcome: Outcome,
}

impl PromptOpen<'_> {
    fn closed(mut self, yes: bool) {
        self.outcome = if yes { Outcome::Yes } else { Outcome::No };
    }
}

impl Drop for PromptOpen<'_> {
    fn drop(&mut self) {
        if let Some(gate) = self.gate {
            locked(&gate.prompts).close(gate.steady(), self.outcome);
        }
    }
}

/// What a mutex guards; whoever panicked with it left it whole, as nothing here is changed in two
/// steps.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This moment on the wall.
pub(crate) fn now() -> Moment {
    let now = jiff::Timestamp::now();
    let offset = jiff::tz::TimeZone::system().to_offset(now).seconds();
    Moment { unix: now.as_second(), offset }
}

/// Why a leader is helped again without a question.
const AGREED: &str = "agreed to a short time ago";

/// The machine is asked about itself every so many seconds.
const SENSE_EVERY: u64 = 5;
