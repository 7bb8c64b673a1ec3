//! Where every ask is decided upon, and every help is held to the owner's limits.

mod after;
mod granted;
mod jobs;
mod judged;
mod prompt;
mod rate;

use super::accounts::Accounts;
use super::blocked::{block, is_blocked};
use super::consent::{ConsentPolicy, Decision, Request};
use super::limits::prompts::{Outcome, Prompts};
use super::limits::requests::Requests;
use super::machine::{Machine, Traffic};
use super::pause::Pause;
use super::policy::{
    Battery, Fact, Facts, InForce, Moment, Policies, PolicyError, Rule, Ruling, Spent,
};
use crate::Home;
use crate::limits::party::Party;
use crate::trust::{Covers, Grant, Grants, Role, Sought, Standing, Trust};
pub(crate) use granted::{Basis, ENDED, Settled, TAKEN_BACK};
use haul_fetch::Client;
use haul_link::PeerId;
pub(crate) use jobs::{IDLE, Jobs};
pub(crate) use judged::Judged;
use prompt::PromptOpen;
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
    pub(crate) grants: Grants,
    /// Who may come again because of an ask that was refused.
    lifted: Mutex<Vec<(PeerId, [u8; 16])>>,
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
            grants: Grants::of(&home),
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
            lifted: Mutex::default(),
            senses: Mutex::new(senses),
            began: Instant::now(),
        }
    }

    /// Decides on a request: by the policy, and by whoever is asked where that leaves it open.
    pub(crate) async fn decide(self: &Arc<Self>, request: &Request, who: &Party) -> Judged {
        let judged = match self.verdict(request) {
            (Ruling::Answer(_), _, Some(grant)) => Judged::granted(&grant),
            (Ruling::Answer(decision), rule, None) => Judged {
                after: after::told(self.passes_in(rule), who),
                ..Judged::new(decision, rule.name())
            },
            (Ruling::Ask, ..) if !self.may_admit(who) => Judged::busy(),
            (Ruling::Ask, rule, _) => self.ask(request, who, rule).await,
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

    /// What the policy says at this moment, with the yes of before if that is why.
    fn verdict(&self, request: &Request) -> (Ruling, Rule, Option<Grant>) {
        let now = now();
        let facts = self.facts_about(&request.leader_id, &request.standing, now);
        let file = Covers::file(request);
        let grant = self.grant_of(&request.leader_id, Sought::File(&file), &facts);
        let facts = Facts { granted: grant.is_some(), ..facts };
        let verdict = self.in_force().policy.decide(request, &facts, &self.spent(), now);
        (verdict.ruling, verdict.rule, grant.filter(|_| verdict.rule == Rule::Granted))
    }

    /// What a leader is answered that names no file: what the policy says whatever the file. Nobody
    /// is asked for it.
    pub(crate) fn incline(&self, leader_id: &str, standing: &Standing, who: &Party) -> Decision {
        self.inclined(leader_id, standing, who, Sought::NoFile)
    }

    /// Whether a leader that waits would be helped now: a yes to a file may be to the one that it
    /// waits for.
    pub(crate) fn welcomes(&self, leader_id: &str, standing: &Standing, who: &Party) -> bool {
        self.inclined(leader_id, standing, who, Sought::SomeFile) == Decision::Yes
    }

    fn inclined(
        &self,
        leader_id: &str,
        standing: &Standing,
        who: &Party,
        sought: Sought<'_>,
    ) -> Decision {
        let now = now();
        let facts = self.facts_about(leader_id, standing, now);
        let granted = self.grant_of(leader_id, sought, &facts).is_some();
        let facts = Facts { granted, ..facts };
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

    /// In how many seconds a rule has nothing more to say, as far as that is known.
    fn passes_in(&self, rule: Rule) -> Option<i64> {
        let (now, in_force) = (now(), self.in_force());
        match rule {
            Rule::Paused => locked(&self.pause).ends_in(now.unix),
            Rule::Hours => in_force.policy.hours.begin_in(now),
            Rule::PerDay => Some(now.until_midnight()),
            _ => None,
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
        let cares = self.in_force().policy.cares(&self.facts(now()));
        // Where nobody can agree, a no was not said by anybody.
        let is_spoken = self.consent.may_agree();
        if person {
            let per_hour = self.in_force().policy.prompts_per_hour;
            let opened = locked(&self.prompts).open(self.steady(), who, per_hour);
            if let Err(held) = opened {
                return Judged::new(Decision::Later, held.name());
            }
        }
        let prompt = PromptOpen::of(person.then_some(self));
        let said = timeout(DECISION, self.consent.decide(request)).await.ok();
        let mut judged = match said {
            Some(decision) => Judged::new(decision, format!("asked, as {rule} wants it")),
            None => Judged::new(Decision::No, "nobody answered within 45 s"),
        };
        judged.asked = true;
        let outcome = match judged.decision {
            Decision::Yes | Decision::YesFor(_) => Outcome::Yes,
            Decision::Block => Outcome::Block,
            Decision::No | Decision::Busy | Decision::Later => Outcome::No,
        };
        prompt.closed(outcome);
        if outcome == Outcome::Yes {
            judged = self.said_yes(request, cares, judged);
        }
        if judged.decision == Decision::Block
            && let Err(error) = block(&self.home, &request.leader_id, &request.leader)
        {
            tracing::warn!(%error, "a leader could not be blocked for good");
        }
        if is_spoken && matches!(said, Some(Decision::No | Decision::Block)) {
            self.withdraw(&request.leader_id);
        }
        judged
    }

    /// Whether the leader is one of the owner's, by their own word or by the policy's.
    pub(crate) fn trusts(&self, leader_id: &str, standing: &Standing) -> bool {
        let now = now();
        self.knows(leader_id, standing, now) || self.in_force().policy.knows(leader_id, now)
    }

    /// Whether the leader is of the group, or known and its grant has not ended.
    fn knows(&self, leader_id: &str, standing: &Standing, now: Moment) -> bool {
        if *standing == Standing::Group {
            return true;
        }
        let days = self.in_force().policy.grant_days;
        self.trust.list().unwrap_or_default().iter().any(|known| {
            let added = i64::try_from(known.added).unwrap_or(i64::MAX);
            let added = Moment { unix: added, ..now };
            known.role == Role::Leader
                && known.id == leader_id
                && now.day() <= added.day().saturating_add(days.into())
        })
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
        Facts {
            paused,
            metered,
            vpn,
            battery,
            helping,
            known: false,
            blocked: false,
            granted: false,
        }
    }

    /// The rule that ends help which is under way, if one does.
    pub(crate) fn interrupts(&self) -> Option<Rule> {
        let now = now();
        self.in_force().policy.interrupts(&self.facts(now), now)
    }

    /// For how many leaders there is room at this moment, if for any.
    pub(crate) fn room(&self) -> Option<usize> {
        let at_once = usize::from(self.in_force().policy.at_once);
        let taken = locked(&self.jobs).in_use(self.steady());
        Some(at_once.saturating_sub(taken)).filter(|room| *room > 0 && self.interrupts().is_none())
    }

    /// Whether there is a place for one more of this leader, beside those that it has.
    pub(crate) fn may_admit(&self, who: &Party) -> bool {
        let at_once = usize::from(self.in_force().policy.at_once);
        locked(&self.jobs).may_admit(self.steady(), who, at_once)
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
        drop(jobs);
        self.share_out();
    }

    /// Pauses help, at once, or resumes it; kept for the next helper with this home.
    pub(crate) fn set_pause(&self, pause: Pause) -> std::io::Result<()> {
        *locked(&self.pause) = pause;
        if pause.is_on(now().unix) {
            self.end_all(Rule::Paused.name());
        }
        pause.keep(&self.home)
    }

    /// Ends every help at once: nothing more is received from any origin when this returns.
    pub(crate) fn end_all(&self, why: &str) {
        locked(&self.jobs).running.values().for_each(|job| job.end(why));
    }

    /// Follows the policy's files and the machine, about once a second, until dropped. Tells of a
    /// policy that was changed, or why it could not be.
    pub(crate) async fn tend(&self, mut tell: impl FnMut(Result<(), PolicyError>)) {
        let mut quarters = tokio::time::interval(Duration::from_millis(250));
        for second in 0_u64.. {
            for _ in 0..4 {
                quarters.tick().await;
                self.share_out();
            }
            // Whoever is told asks for the policy, so it must not be held any more.
            let changed = locked(&self.policies).look();
            changed.into_iter().for_each(&mut tell);
            locked(&self.jobs)
                .running
                .values()
                .for_each(|job| job.speed.tick(job.purse.received()));
            self.review();
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

/// The machine is asked about itself every so many seconds.
const SENSE_EVERY: u64 = 5;

#[cfg(test)]
mod tests;
