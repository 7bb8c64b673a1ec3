//! A policy decides by its rules in their order, and every rule decides where its bound is.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

use haul::policy::{
    Battery, Care, Fact, Facts, KnownLeader, Mode, Moment, Policy, Rule, Ruling, Spent,
};
use haul::trust::Standing;
use haul::{Decision, Request};

/// 2026-02-28 was a Saturday.
const SATURDAY: i64 = 20_512;
const DAY: i64 = 86_400;

/// A request and all that a policy judges it by.
#[derive(Clone)]
struct Case {
    policy: Policy,
    request: Request,
    facts: Facts,
    spent: Spent,
    now: Moment,
}

impl Case {
    /// One that only the mode decides about.
    fn plain() -> Self {
        let request = Request {
            leader: "asha".into(),
            leader_id: "ab".repeat(32),
            standing: Standing::Stranger,
            code: "418 207".into(),
            scheme: "https",
            host: "example.org".into(),
            size: 1 << 30,
        };
        let facts = Facts {
            paused: false,
            metered: Fact::No,
            vpn: Fact::No,
            battery: Battery::Mains,
            helping: 0,
            known: false,
            blocked: false,
            granted: false,
        };
        let now = Moment { unix: SATURDAY * DAY + 12 * 3600, offset: 0 };
        Self { policy: Policy::default(), request, facts, spent: Spent::default(), now }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::plain();
        change(&mut case);
        case
    }

    fn verdict(&self) -> (Ruling, Rule) {
        let Self { policy, request, facts, spent, now } = self;
        let verdict = policy.decide(request, facts, spent, *now);
        (verdict.ruling, verdict.rule)
    }
}

const fn answer(decision: Decision) -> Ruling {
    Ruling::Answer(decision)
}

const NO: Ruling = answer(Decision::No);
const YES: Ruling = answer(Decision::Yes);
const LATER: Ruling = answer(Decision::Later);
const BUSY: Ruling = answer(Decision::Busy);
const ASK: Ruling = Ruling::Ask;

/// What makes a rule speak.
type Cause = fn(&mut Case);

/// Every rule, in the order in which they are asked, with what makes it speak.
const ORDER: [(Rule, Ruling, Cause); 16] = [
    (Rule::Paused, LATER, |case| case.facts.paused = true),
    (Rule::Never, NO, |case| case.policy.mode = Mode::Never),
    (Rule::Blocked, NO, |case| case.facts.blocked = true),
    (Rule::Hours, LATER, |case| case.policy.hours = hours("22:00-07:00")),
    (Rule::Metered, LATER, |case| case.facts.metered = Fact::Yes),
    (Rule::Vpn, LATER, |case| case.facts.vpn = Fact::Yes),
    (Rule::Battery, LATER, |case| case.facts.battery = Battery::Discharging(39)),
    (Rule::Hosts, NO, |case| case.policy.hosts_denied = case.policy.hosts_allowed.clone()),
    (Rule::LargestFile, NO, |case| case.request.size = (20 << 30) + 1),
    (Rule::PerDay, LATER, |case| case.spent.today = 5 << 30),
    (Rule::Per30Days, LATER, |case| case.spent.last_30_days = 20 << 30),
    (Rule::AtOnce, BUSY, |case| case.facts.helping = case.policy.at_once.into()),
    (Rule::Granted, YES, |case| case.facts.granted = true),
    (Rule::Unknown, ASK, |case| {
        // A fact that is known to be so speaks before one that cannot be told.
        if case.facts.vpn == Fact::No {
            case.facts.vpn = Fact::Unknown;
        }
    }),
    (Rule::Known, YES, |case| case.facts.known = true),
    (Rule::Mode, ASK, |_| {}),
];

#[test]
fn of_two_rules_that_have_something_to_say_the_earlier_one_decides() {
    for (at, (rule, ruling, cause)) in ORDER.iter().enumerate() {
        assert_eq!(Case::with(cause).verdict(), (*ruling, *rule), "{rule} alone");
        for (later, _, other) in &ORDER[at..] {
            let both = Case::with(|case| {
                cause(case);
                other(case);
            });
            assert_eq!(both.verdict(), (*ruling, *rule), "{rule} before {later}");
        }
    }
}

#[test]
fn every_rule_speaks_in_the_order_or_names_the_end_of_a_job() {
    let of_jobs = [Rule::LargestShare, Rule::PerJob];
    let spoken = |rule: &Rule| ORDER.iter().any(|(other, ..)| other == rule);
    assert!(Rule::ALL.iter().all(|rule| spoken(rule) || of_jobs.contains(rule)));
}

#[test]
fn a_bound_is_where_it_is_said_to_be() {
    const LEAST: u64 = haul::policy::LEAST_HELP;
    let table: [(&str, Cause, (Ruling, Rule)); 14] = [
        ("the largest file", |case| case.request.size = 20 << 30, (ASK, Rule::Mode)),
        ("one byte more", |case| case.request.size = (20 << 30) + 1, (NO, Rule::LargestFile)),
        ("room for a day's least", |c| c.spent.today = (5 << 30) - LEAST, (ASK, Rule::Mode)),
        ("a byte less", |c| c.spent.today = (5 << 30) - LEAST + 1, (LATER, Rule::PerDay)),
        ("more than the day's", |c| c.spent.today = u64::MAX, (LATER, Rule::PerDay)),
        ("room in 30 days", |c| c.spent.last_30_days = (20 << 30) - LEAST, (ASK, Rule::Mode)),
        ("30 days used up", |c| c.spent.last_30_days = 20 << 30, (LATER, Rule::Per30Days)),
        ("a small budget", |c| c.policy.per_day = 1000, (ASK, Rule::Mode)),
        (
            "a small budget, touched",
            |c| (c.policy.per_day, c.spent.today) = (1000, 1),
            (LATER, Rule::PerDay),
        ),
        ("enough charge", |c| c.facts.battery = Battery::Discharging(40), (ASK, Rule::Mode)),
        ("too little", |c| c.facts.battery = Battery::Discharging(39), (LATER, Rule::Battery)),
        ("room for a second", |c| (c.policy.at_once, c.facts.helping) = (2, 1), (ASK, Rule::Mode)),
        (
            "none for a third",
            |c| (c.policy.at_once, c.facts.helping) = (2, 2),
            (BUSY, Rule::AtOnce),
        ),
        ("the mode known", |case| case.policy.mode = Mode::Known, (NO, Rule::Mode)),
    ];
    for (name, cause, expected) in table {
        assert_eq!(Case::with(cause).verdict(), expected, "{name}");
    }
}

#[test]
fn a_circumstance_is_answered_with_the_care_that_the_policy_wants() {
    type Set = fn(&mut Policy, Care);
    let causes: [(Rule, Cause, Set); 3] = [
        (
            Rule::Metered,
            |case| case.facts.metered = Fact::Yes,
            |policy, care| policy.metered = care,
        ),
        (Rule::Vpn, |case| case.facts.vpn = Fact::Yes, |policy, care| policy.vpn = care),
        (
            Rule::Unknown,
            |case| case.facts.metered = Fact::Unknown,
            |policy, care| {
                policy.unknown = care;
            },
        ),
    ];
    for (rule, cause, set) in causes {
        for (care, expected) in [
            (Care::Never, (LATER, rule)),
            (Care::Ask, (ASK, rule)),
            (Care::Allow, (YES, Rule::Known)),
        ] {
            let case = Case::with(|case| {
                cause(case);
                case.facts.known = true;
                set(&mut case.policy, care);
            });
            assert_eq!(case.verdict(), expected, "{rule} {care:?}");
        }
    }
    let unknown = Case::with(|case| case.facts.battery = Battery::Unknown);
    assert_eq!(unknown.verdict(), (ASK, Rule::Unknown));
}

#[test]
fn a_grant_of_the_file_ends_with_its_day_wherever_midnight_falls() {
    let case = |until, unix, offset| {
        Case::with(|case| {
            let id = "AB".repeat(32);
            case.policy.known = vec![KnownLeader { id, until }];
            case.now = Moment { unix, offset };
        })
    };
    let midnight = (SATURDAY + 1) * DAY;
    assert_eq!(case(Some(SATURDAY), midnight - 1, 0).verdict(), (YES, Rule::Known));
    assert_eq!(
        case(Some(SATURDAY), midnight, 0).verdict(),
        (ASK, Rule::Mode),
        "the first of March"
    );
    assert_eq!(case(Some(SATURDAY), midnight, -3600).verdict(), (YES, Rule::Known), "further west");
    assert_eq!(case(Some(SATURDAY), midnight - 1, 3600).verdict(), (ASK, Rule::Mode));
    assert_eq!(case(None, i64::MAX, 0).verdict(), (YES, Rule::Known));
    assert_eq!(case(Some(0), i64::MIN, 0).verdict(), (YES, Rule::Known), "a clock before its time");
}

#[test]
fn what_ends_help_under_way_is_what_holds_whoever_asks() {
    let ends = |cause: Cause| {
        let case = Case::with(cause);
        case.policy.interrupts(&case.facts, case.now)
    };
    for (rule, _, cause) in &ORDER {
        let expected = matches!(
            rule,
            Rule::Paused | Rule::Never | Rule::Hours | Rule::Metered | Rule::Vpn | Rule::Battery
        );
        assert_eq!(ends(*cause), expected.then_some(*rule), "{rule}");
    }
    assert_eq!(ends(|case| case.facts.metered = Fact::Unknown), None, "a person has said yes");
}

#[test]
fn a_yes_of_before_answers_where_a_person_would_be_asked_and_nowhere_else() {
    let verdict = |mode, care| {
        Case::with(|case| {
            (case.policy.mode, case.policy.unknown) = (mode, care);
            (case.facts.granted, case.facts.vpn) = (true, Fact::Unknown);
        })
        .verdict()
    };
    assert_eq!(verdict(Mode::Ask, Care::Allow), (YES, Rule::Granted));
    for care in [Care::Ask, Care::Allow] {
        assert_eq!(verdict(Mode::Known, care), (NO, Rule::Mode), "only known ones, by now");
    }
    assert_eq!(verdict(Mode::Always, Care::Allow), (YES, Rule::Mode));
    assert_eq!(verdict(Mode::Ask, Care::Never), (LATER, Rule::Unknown));
}

#[test]
fn a_policy_of_known_leaders_asks_about_them_and_about_no_stranger() {
    let verdict = |known, granted| {
        Case::with(|case| {
            case.policy.mode = Mode::Known;
            (case.facts.vpn, case.facts.known) = (Fact::Unknown, known);
            case.facts.granted = granted;
        })
        .verdict()
    };
    assert_eq!(verdict(false, false), (NO, Rule::Mode));
    assert_eq!(verdict(true, false), (ASK, Rule::Unknown));
    assert_eq!(verdict(true, true), (YES, Rule::Granted));
}

fn hours(text: &str) -> haul::policy::Hours {
    text.parse().unwrap()
}
