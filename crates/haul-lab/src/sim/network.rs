use super::chance::Chance;
use super::lane::Word;
use super::machine::Machine;
use super::report::{Part, Report};
use super::scenario::{Fault, Mishap, Scenario, Who};
use super::share::{Flow, share};
use haul_plan::{Config, LeaseId, Output, Planner, Setback, WorkerId};
use haul_span::{Span, SpanSet};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long rates count as constant.
const STEP: Duration = Duration::from_millis(2);

/// A download that takes longer will not end.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A machine that comes back is a new worker, whose number is so much higher.
const RETURNED: u32 = 1000;

/// The machines, the planner that drives them, and what is on its way between them.
pub(crate) struct Network<'a> {
    scenario: &'a Scenario,
    now: Duration,
    planner: Planner,
    machines: Vec<Machine>,
    uplinks: Vec<(f64, Vec<usize>)>,
    /// By when they happen; those of one moment in the order in which they were sent.
    events: BTreeMap<(Duration, u64), Event>,
    sent: u64,
    /// Bytes that all links could have brought so far.
    possible: f64,
    ideal: Option<Duration>,
    outputs: Vec<(Duration, Output)>,
}

enum Event {
    Join(usize),
    Leave(usize),
    Befall(usize, Mishap),
    Obey(usize, WorkerId, Output),
    Hear(WorkerId, Word),
}

impl<'a> Network<'a> {
    pub(crate) fn new(scenario: &'a Scenario, seed: u64) -> Self {
        let stream = |at: usize| Chance::new(seed, at as u64);
        let plans = scenario.machines().enumerate();
        let machines = plans.map(|(at, plan)| {
            let streams = (stream(2 * at + 1), stream(2 * at + 2));
            Machine::new(plan, scenario.origin, streams, (at == 0).then_some(scenario.size()))
        });
        let mut network = Self {
            scenario,
            now: Duration::ZERO,
            planner: Planner::new(scenario.size(), SpanSet::new(), Config::default()),
            machines: machines.collect(),
            uplinks: uplinks(scenario),
            events: BTreeMap::new(),
            sent: 0,
            possible: 0.0,
            ideal: None,
            outputs: Vec::new(),
        };
        network.foresee(&mut stream(0));
        network
    }

    pub(crate) fn run(mut self) -> Report {
        let size = self.scenario.size();
        while self.planner.received().bytes() < size && self.now < PATIENCE {
            self.step();
        }
        let took = (self.planner.received().bytes() == size).then_some(self.now);
        let part = |machine: &Machine| Part {
            bytes: machine.bytes,
            wasted: Rounded(machine.wasted).into(),
        };
        let parts: Vec<Part> = self.machines.iter().map(part).collect();
        Report {
            took,
            ideal: self.ideal.unwrap_or(self.now),
            size,
            wasted: parts.iter().map(|part| part.wasted).sum(),
            parts,
            outputs: self.outputs,
        }
    }

    /// Plans who joins when, and what befalls whom.
    fn foresee(&mut self, chance: &mut Chance) {
        let joins: Vec<(Duration, Duration)> =
            self.scenario.machines().map(|plan| (plan.joins.0, plan.within.0)).collect();
        for (at, (from, within)) in joins.into_iter().enumerate() {
            let late = if within.is_zero() { within } else { chance.time(Duration::ZERO, within) };
            self.send(from + late, Event::Join(at));
        }
        let mut spared: Vec<usize> = (1..self.machines.len()).collect();
        for fault in &self.scenario.faults {
            for at in hit(fault, &mut spared, chance) {
                let when = chance.time(fault.at.0.0, fault.at.1.0);
                self.send(when, Event::Befall(at, fault.what));
            }
        }
    }

    fn step(&mut self) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.now)
        {
            let event = entry.remove();
            self.happen(event);
        }
        if self.planner.wake_at().is_some_and(|at| at <= self.now) {
            self.planner.wake(self.now);
            self.drain();
        }
        self.flow();
        self.note_possible();
        self.now += STEP;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Join(at) => self.join(at),
            Event::Leave(at) => self.leave(at),
            Event::Befall(at, mishap) => self.befall(at, mishap),
            Event::Obey(at, worker, output) => {
                if self.machines[at].worker == Some(worker) {
                    let mut words = Vec::new();
                    self.machines[at].obey(self.now, &output, &mut words);
                    self.machines[at].start_lanes(self.now);
                    self.say(at, worker, words);
                }
            }
            Event::Hear(worker, word) => self.hear(worker, word),
        }
    }

    fn join(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        let number = u32::try_from(at).unwrap_or(RETURNED - 1);
        let id = WorkerId(number + RETURNED * machine.joined);
        machine.joined += 1;
        (machine.worker, machine.present) = (Some(id), true);
        machine.link.revive();
        match at {
            0 => self.planner.join_own(self.now, id, machine.most_lanes, Some(0)),
            _ => self.planner.join(self.now, id, machine.most_lanes),
        }
        self.drain();
    }

    fn leave(&mut self, at: usize) {
        self.machines[at].present = false;
        if let Some(worker) = self.machines[at].worker {
            self.machines[at].reset();
            self.planner.leave(self.now, worker);
            self.drain();
        }
    }

    fn befall(&mut self, at: usize, mishap: Mishap) {
        let link = &mut self.machines[at].link;
        match mishap {
            Mishap::Stall(lasts) => link.stall(self.now + lasts.0),
            Mishap::Death(noticed) => {
                link.die();
                self.send(self.now + noticed.0, Event::Leave(at));
            }
            Mishap::Leave(away) => {
                link.die();
                self.send(self.now, Event::Leave(at));
                self.send(self.now + away.0, Event::Join(at));
            }
        }
    }

    /// The leader hears from a worker.
    fn hear(&mut self, worker: WorkerId, word: Word) {
        match word {
            Word::Bytes(lease, span) => self.arrive(worker, lease, span),
            Word::Done(lease) => self.planner.done(self.now, worker, lease),
            Word::Refused(lease) => {
                let setback = Setback::Throttled { pause: self.scenario.origin.retry_after.0 };
                self.planner.fail(self.now, worker, lease, setback);
            }
        }
        self.drain();
    }

    fn arrive(&mut self, worker: WorkerId, lease: LeaseId, span: Span) {
        let arrival = self.planner.arrive(self.now, worker, lease, span);
        let machine = &mut self.machines[place(worker)];
        machine.bytes += arrival.fresh.map_or(0, Span::len);
        machine.wasted += arrival.wasted as f64;
    }

    /// Sends what the planner says to whom it concerns.
    fn drain(&mut self) {
        while let Some(output) = self.planner.poll_output() {
            self.outputs.push((self.now, output.clone()));
            let Some(worker) = addressee(&output) else { continue };
            let at = place(worker);
            self.send(self.now + self.machines[at].lan, Event::Obey(at, worker, output));
        }
    }

    /// Lets bytes flow for one step.
    fn flow(&mut self) {
        let (flows, lanes) = self.flows();
        let rates = share(&flows, &self.pipes());
        let mut reading = lanes.into_iter().zip(rates).peekable();
        for at in 0..self.machines.len() {
            let Some(worker) = self.machines[at].worker else { continue };
            let mut words = Vec::new();
            let machine = &mut self.machines[at];
            for lane in 0..machine.lanes() {
                let flow = reading.next_if(|(flow, _)| *flow == (at, lane));
                machine.read(lane, self.now, STEP, flow.map_or(0.0, |(_, rate)| rate), &mut words);
            }
            machine.start_lanes(self.now + STEP);
            self.say(at, worker, words);
        }
    }

    /// What flows now, and the machine and lane of each.
    fn flows(&self) -> (Vec<Flow>, Vec<(usize, usize)>) {
        let uplink = |at| self.uplinks.iter().position(|(_, behind)| behind.contains(&at));
        let machines = self.machines.iter().enumerate();
        let flows = machines.flat_map(|(at, machine)| {
            let uplink = uplink(at).map(|number| self.machines.len() + number);
            let limits = machine.limits(self.now);
            limits.map(move |(lane, limit)| (Flow { limit, link: at, uplink }, (at, lane)))
        });
        flows.unzip()
    }

    /// The rate of every link, and then of every uplink.
    fn pipes(&mut self) -> Vec<f64> {
        let now = self.now;
        let links = self.machines.iter_mut().map(|machine| machine.pipe(now));
        links.chain(self.uplinks.iter().map(|(rate, _)| *rate)).collect()
    }

    fn note_possible(&mut self) {
        let now = self.now;
        let mut rates: Vec<f64> =
            self.machines.iter_mut().map(|machine| machine.capacity(now)).collect();
        let mut total = 0.0;
        for (rate, behind) in &self.uplinks {
            total +=
                behind.iter().map(|&at| std::mem::take(&mut rates[at])).sum::<f64>().min(*rate);
        }
        total += rates.iter().sum::<f64>();
        self.possible += total * STEP.as_secs_f64();
        if self.possible >= self.scenario.size() as f64 {
            self.ideal.get_or_insert(now + STEP);
        }
    }

    /// Sends what a machine has to say to the leader.
    fn say(&mut self, at: usize, worker: WorkerId, words: Vec<Word>) {
        let when = self.now + self.machines[at].lan;
        for word in words {
            self.send(when, Event::Hear(worker, word));
        }
    }

    fn send(&mut self, when: Duration, event: Event) {
        self.sent += 1;
        self.events.insert((when, self.sent), event);
    }
}

/// A count of bytes that was reckoned as a fraction.
struct Rounded(f64);

impl From<Rounded> for u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates"
    )]
    fn from(bytes: Rounded) -> Self {
        bytes.0.round() as Self
    }
}

/// The machine that is or was this worker.
fn place(worker: WorkerId) -> usize {
    (worker.0 % RETURNED) as usize
}

fn addressee(output: &Output) -> Option<WorkerId> {
    match *output {
        Output::Grant { worker, .. }
        | Output::Trim { worker, .. }
        | Output::Revoke { worker, .. }
        | Output::Lanes { worker, .. }
        | Output::Release { worker, .. } => Some(worker),
        Output::Stuck | Output::Complete => None,
    }
}

fn uplinks(scenario: &Scenario) -> Vec<(f64, Vec<usize>)> {
    let behind = |name: &String| {
        let machines = scenario.machines().enumerate();
        machines.filter(|(_, plan)| plan.uplink.as_ref() == Some(name)).map(|(at, _)| at).collect()
    };
    let uplinks = scenario.uplinks.iter();
    uplinks.map(|(name, rate)| (rate.as_bytes_per_second() as f64, behind(name))).collect()
}

/// The machines that a fault hits.
fn hit(fault: &Fault, spared: &mut Vec<usize>, chance: &mut Chance) -> Vec<usize> {
    match fault.who {
        Who::Own => vec![0],
        Who::EveryHelper => std::mem::take(spared),
        Who::OneHelper if spared.is_empty() => Vec::new(),
        Who::OneHelper => vec![spared.swap_remove(chance.below(spared.len()))],
    }
}
