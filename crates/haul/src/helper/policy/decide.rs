use super::moment::Moment;
use super::{Care, Mode, Policy};
use crate::{Decision, Request};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is known of the machine, and of who asks, when a policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub struct Facts {
    /// Whether the owner has paused help.
    pub paused: bool,
    /// Whether the connection is paid for by the byte.
    pub metered: Fact,
    /// Whether a VPN is up.
    pub vpn: Fact,
    /// What the machine runs on.
    pub battery: Battery,
    /// How many leaders are being helped.
    pub helping: usize,
    /// Whether who asks is of the group, or known and its grant has not ended.
    pub known: bool,
    /// Whether who asks is blocked.
    pub blocked: bool,
    /// Whether a person's yes of before still covers what is asked for, and was given although all
    /// that calls for care now did so then.
    pub granted: bool,
}

/// The circumstances in which a policy wants a person: a set of the [circumstances](Policy::cares)
/// that call for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cares(pub(crate) u8);

impl Cares {
    /// Whether nothing calls for a person.
    pub(crate) const fn are_none(self) -> bool {
        self.0 == 0
    }

    /// Whether none of them is missing from `other`.
    pub(crate) const fn are_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

/// Something that is so, is not, or cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fact {
    /// It is so.
    Yes,
    /// It is not.
    No,
    /// It cannot be told.
    Unknown,
}

/// What the machine runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Battery {
    /// Mains, or it has no battery.
    Mains,
    /// A battery with so many percent left.
    Discharging(u8),
    /// A battery that does not tell.
    Unknown,
}

/// Bytes that were received for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// On this local day.
    pub today: u64,
    /// On this day and the 29 before it.
    pub last_30_days: u64,
}

/// What a policy says, and by which of its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it says.
    pub ruling: Ruling,
    /// The rule that said so.
    pub rule: Rule,
}

/// What a policy says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// This is the answer.
    Answer(Decision),
    /// A person decides.
    Ask,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $name:literal,)+) => {
        /// A rule of a policy; shown as the field of the policy file that it comes from.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $($(#[$doc])* $rule,)+
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$rule),+];

            /// How the log names it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$rule => $name,)+ }
            }
        }
    };
}

rules! {
    /// Help is paused.
    Paused = "paused",
    /// Nobody is helped.
    Never = "mode never",
    /// The leader is blocked.
    Blocked = "leaders.blocked",
    /// It is not the hour.
    Hours = "when.hours",
    /// The connection is metered.
    Metered = "when.metered",
    /// A VPN is up.
    Vpn = "when.vpn",
    /// The battery is low.
    Battery = "when.battery",
    /// Something about the machine cannot be told.
    Unknown = "when.unknown",
    /// The host is not one to fetch from.
    Hosts = "hosts",
    /// The file is too large.
    LargestFile = "limits.largest_file",
    /// So much of one file is enough.
    LargestShare = "limits.largest_share",
    /// So much for one job is enough.
    PerJob = "limits.per_job",
    /// So much for one day is enough.
    PerDay = "limits.per_day",
    /// So much for 30 days is enough.
    Per30Days = "limits.per_30_days",
    /// As many leaders are helped as may be.
    AtOnce = "leaders.at_once",
    /// A person's yes of before still covers it.
    Granted = "granted",
    /// The leader is known.
    Known = "leaders.known",
    /// What holds for leaders that are not known.
    Mode = "mode",
}

impl Rule {
    /// Those that end help which is under way, until they pass.
    pub(crate) const INTERRUPTING: &[Self] = &[
        Self::Paused,
        Self::Never,
        Self::Hours,
        Self::Metered,
        Self::Vpn,
        Self::Battery,
        Self::Unknown,
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Policy {
    /// Decides by the first rule that has something to say:
    ///
    /// 1. While help is paused: later.
    /// 2. Where nobody is to be helped: no.
    /// 3. A blocked leader: no.
    /// 4. Outside the hours: later.
    /// 5. On a metered connection, with a VPN up, or on a low battery: later, unless that is
    ///    allowed or a person is to be asked.
    /// 6. A host that is denied or not allowed: no.
    /// 7. A file larger than the largest: no.
    /// 8. With less than [`LEAST_HELP`] left of the day's or the 30 days' bytes: later.
    /// 9. With as many leaders helped as may be: busy.
    /// 10. A leader that is not known, where only known ones are helped: no.
    /// 11. Where a person would be asked by rule 12 or 14, and a yes of before still covers what is
    ///     asked for: yes.
    /// 12. Where rule 5 wants a person, or cannot be told what it is about and the policy wants a
    ///     person then: ask.
    /// 13. A known leader whose grant has not ended: yes.
    /// 14. Everybody else as the mode says: yes or ask.
    pub fn decide(&self, request: &Request, facts: &Facts, spent: &Spent, now: Moment) -> Verdict {
        self.verdict(&request.leader_id, self.unfit(request), facts, spent, now)
    }

    /// What it says of a leader whose file is not known: the same, but for rules 6 and 7.
    pub fn incline(&self, leader_id: &str, facts: &Facts, spent: &Spent, now: Moment) -> Verdict {
        self.verdict(leader_id, None, facts, spent, now)
    }

    /// The first rule that has something to say; `unfit` is what rules 6 and 7 do.
    fn verdict(
        &self,
        leader_id: &str,
        unfit: Option<Verdict>,
        facts: &Facts,
        spent: &Spent,
        now: Moment,
    ) -> Verdict {
        let refused = self
            .owner_refuses(leader_id, facts, now)
            .or_else(|| self.circumstances(facts, Care::Never).map(later))
            .or(unfit)
            .or_else(|| self.used_up(spent))
            .or_else(|| self.no_room(facts));
        if let Some(verdict) = refused {
            return verdict;
        }
        let known = facts.known || self.knows(leader_id, now);
        if self.mode == Mode::Known && !known {
            return answer(Decision::No, Rule::Mode);
        }
        let care = self.circumstances(facts, Care::Ask);
        if facts.granted && (care.is_some() || self.mode == Mode::Ask) {
            return answer(Decision::Yes, Rule::Granted);
        }
        if let Some(rule) = care {
            return Verdict { ruling: Ruling::Ask, rule };
        }
        if known {
            return answer(Decision::Yes, Rule::Known);
        }
        match self.mode {
            Mode::Always => answer(Decision::Yes, Rule::Mode),
            Mode::Ask => Verdict { ruling: Ruling::Ask, rule: Rule::Mode },
            Mode::Known | Mode::Never => answer(Decision::No, Rule::Mode),
        }
    }

    /// The rules that end help which is under way, as soon as they have something to say: 1, 2,
    /// 4 and 5.
    pub fn interrupts(&self, facts: &Facts, now: Moment) -> Option<Rule> {
        let circumstances = || self.circumstances(facts, Care::Never);
        self.closed(facts, now).map(|verdict| verdict.rule).or_else(circumstances)
    }

    /// Rules 1 to 4.
    fn owner_refuses(&self, leader_id: &str, facts: &Facts, now: Moment) -> Option<Verdict> {
        let listed = self.blocked.iter().any(|id| id.eq_ignore_ascii_case(leader_id));
        let blocked = listed || facts.blocked;
        let closed = self.closed(facts, now);
        // Being blocked comes before the hour, but after what holds for everybody.
        match closed {
            Some(verdict) if verdict.rule != Rule::Hours => Some(verdict),
            _ if blocked => Some(answer(Decision::No, Rule::Blocked)),
            other => other,
        }
    }

    /// Rules 1, 2 and 4: what holds whoever asks.
    fn closed(&self, facts: &Facts, now: Moment) -> Option<Verdict> {
        if facts.paused {
            Some(later(Rule::Paused))
        } else if self.mode == Mode::Never {
            Some(answer(Decision::No, Rule::Never))
        } else if !self.hours.contain(now) {
            Some(later(Rule::Hours))
        } else {
            None
        }
    }

    /// Rules 5 and 12: the first circumstance that calls for exactly this care.
    fn circumstances(&self, facts: &Facts, care: Care) -> Option<Rule> {
        let mut told = self.called_for(facts).into_iter();
        told.find(|(called_for, _)| *called_for == Some(care)).map(|(_, rule)| rule)
    }

    /// All circumstances that call for a person: what cannot be told is another one than what is
    /// known to be so.
    pub(crate) fn cares(&self, facts: &Facts) -> Cares {
        let told = self.called_for(facts).into_iter().zip(0..);
        let asks = told.filter(|((called_for, _), _)| *called_for == Some(Care::Ask));
        Cares(asks.fold(0, |cares, ((_, rule), at)| {
            cares | 1 << (2 * at + u8::from(rule == Rule::Unknown))
        }))
    }

    /// What care the connection, a VPN and the battery call for, each by which rule.
    fn called_for(&self, facts: &Facts) -> [(Option<Care>, Rule); 3] {
        let of = |fact, when_so| match fact {
            Fact::Yes => Some(when_so),
            Fact::No => None,
            Fact::Unknown => Some(self.unknown),
        };
        let battery = match facts.battery {
            Battery::Mains => None,
            Battery::Discharging(left) => (left < self.battery.get()).then_some(Care::Never),
            Battery::Unknown => (self.battery.get() > 0).then_some(self.unknown),
        };
        let metered = of(facts.metered, self.metered);
        let vpn = of(facts.vpn, self.vpn);
        [
            (metered, named(facts.metered, Rule::Metered)),
            (vpn, named(facts.vpn, Rule::Vpn)),
            (
                battery,
                if facts.battery == Battery::Unknown { Rule::Unknown } else { Rule::Battery },
            ),
        ]
    }

    /// Rules 6 and 7.
    fn unfit(&self, request: &Request) -> Option<Verdict> {
        if !self.admits_host(&request.host) {
            Some(answer(Decision::No, Rule::Hosts))
        } else if request.size > self.largest_file {
            Some(answer(Decision::No, Rule::LargestFile))
        } else {
            None
        }
    }

    /// Rule 8.
    fn used_up(&self, spent: &Spent) -> Option<Verdict> {
        let used_up = |most: u64, spent: u64| most.saturating_sub(spent) < LEAST_HELP.min(most);
        if used_up(self.per_day, spent.today) {
            Some(later(Rule::PerDay))
        } else if used_up(self.per_30_days, spent.last_30_days) {
            Some(later(Rule::Per30Days))
        } else {
            None
        }
    }

    /// Rule 9.
    fn no_room(&self, facts: &Facts) -> Option<Verdict> {
        let full = facts.helping >= usize::from(self.at_once);
        full.then_some(answer(Decision::Busy, Rule::AtOnce))
    }

    /// Whether it is one of those that the policy names, and its grant has not ended.
    pub(crate) fn knows(&self, id: &str, now: Moment) -> bool {
        let fresh = |until: Option<i64>| until.is_none_or(|last| now.day() <= last);
        self.known.iter().any(|leader| leader.id.eq_ignore_ascii_case(id) && fresh(leader.until))
    }
}

/// With less than this left of a budget nobody is helped, in bytes.
pub const LEAST_HELP: u64 = 64 << 10;

/// The rule that speaks: the fact's own, or that for what cannot be told.
const fn named(fact: Fact, rule: Rule) -> Rule {
    match fact {
        Fact::Unknown => Rule::Unknown,
        Fact::Yes | Fact::No => rule,
    }
}

const fn answer(decision: Decision, rule: Rule) -> Verdict {
    Verdict { ruling: Ruling::Answer(decision), rule }
}

const fn later(rule: Rule) -> Verdict {
    answer(Decision::Later, rule)
}
