//! Whether the kernel's packet filter lets something in, by its rules as `nft -j list ruleset`
//! writes them (libnftables-json(5)).
//!
//! Rules can ask for more than is known of a packet that has not come. What such a rule says may
//! then hold or not, and both are followed: an answer is given only where all ways lead to it.

use serde_json::Value;
use std::fmt;
use std::ops::BitOrAssign;

/// The first packet of somebody on the same network, by IPv4.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    /// The interface that it comes in by.
    pub(crate) interface: &'a str,
    /// `tcp` or `udp`.
    pub(crate) protocol: &'static str,
    /// Where it is to.
    pub(crate) port: u16,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It comes in.
    In,
    /// This chain drops or rejects it.
    Dropped(Chain),
    /// That depends on what is not known.
    Unclear,
}

/// A chain of rules that packets come to by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    family: String,
    table: String,
    name: String,
}

/// As `nft` takes it: `inet filter input`.
impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.family, self.table, self.name)
    }
}

/// What these rules do to a packet. Text that is no ruleset tells nothing.
pub(crate) fn fate(ruleset: &str, packet: Packet<'_>) -> Fate {
    let Ok(ruleset) = serde_json::from_str::<Value>(ruleset) else { return Fate::Unclear };
    let Some(items) = ruleset["nftables"].as_array() else { return Fate::Unclear };
    let rules = Rules { items, packet };
    let mut fate = Fate::In;
    // Every chain at the hook sees what the ones before it accepted.
    for (chain, accepts) in rules.hooked() {
        let mut ends = rules.walk(&chain, 0);
        if ends.back {
            *(if accepts { &mut ends.accept } else { &mut ends.drop }) = true;
        }
        match (ends.accept, ends.drop) {
            (false, true) => return Fate::Dropped(chain),
            (true, true) => fate = Fate::Unclear,
            _ => {}
        }
    }
    fate
}

/// Where a rule or a chain may lead.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "it is a set")]
struct Ends {
    accept: bool,
    drop: bool,
    /// To the next rule.
    on: bool,
    /// To the end of the chain, and the rule behind the one that jumped there.
    back: bool,
}

impl Ends {
    const ACCEPT: Self = Self { accept: true, drop: false, on: false, back: false };
    const DROP: Self = Self { accept: false, drop: true, on: false, back: false };
    const ON: Self = Self { accept: false, drop: false, on: true, back: false };
    const BACK: Self = Self { accept: false, drop: false, on: false, back: true };
    const ANYWHERE: Self = Self { accept: true, drop: true, on: true, back: true };
}

impl BitOrAssign for Ends {
    fn bitor_assign(&mut self, other: Self) {
        self.accept |= other.accept;
        self.drop |= other.drop;
        self.on |= other.on;
        self.back |= other.back;
    }
}

/// What is known of whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
    Maybe,
}

impl Holds {
    const fn when(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    const fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
        }
    }

    /// Whether one of them holds.
    fn any(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::No, |any, one| match (any, one) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, Self::No) => Self::No,
            _ => Self::Maybe,
        })
    }
}

/// What is known of a field of the packet.
enum Field<'a> {
    Is(Known<'a>),
    /// No packet of this kind has it.
    Absent,
    Unknown,
}

#[derive(Clone, Copy)]
enum Known<'a> {
    Word(&'a str),
    Number(u64),
}

/// As deep as the kernel lets chains jump into each other.
const DEEPEST: u32 = 16;

struct Rules<'a> {
    items: &'a [Value],
    packet: Packet<'a>,
}

impl<'a> Rules<'a> {
    /// The chains that a packet comes to on its way in, and whether their policy accepts.
    fn hooked(&self) -> Vec<(Chain, bool)> {
        let chains = self.items.iter().map(|item| &item["chain"]).filter(|chain| {
            matches!(chain["hook"].as_str(), Some("input" | "prerouting"))
                && chain["type"] == "filter"
                && matches!(chain["family"].as_str(), Some("inet" | "ip"))
        });
        let found = chains.map(|chain| (chain_of(chain, "name"), chain["policy"] != "drop"));
        found.collect()
    }

    /// Where a chain may lead: to accept, to drop, or back.
    fn walk(&self, chain: &Chain, depth: u32) -> Ends {
        if depth > DEEPEST {
            return Ends::ANYWHERE;
        }
        let mut ends = Ends::default();
        for rule in self.rules_of(chain) {
            let led = self.follow(rule, chain, depth);
            ends |= Ends { on: false, ..led };
            if !led.on {
                return ends;
            }
        }
        Ends { back: true, ..ends }
    }

    fn rules_of(&self, chain: &Chain) -> impl Iterator<Item = &'a [Value]> {
        let rules = self.items.iter().map(|item| &item["rule"]);
        let own = rules.filter(move |rule| chain_of(rule, "chain") == *chain);
        own.filter_map(|rule| rule["expr"].as_array().map(Vec::as_slice))
    }

    /// Where a rule may lead.
    fn follow(&self, statements: &[Value], chain: &Chain, depth: u32) -> Ends {
        let mut sure = true;
        for statement in statements {
            let led = match self.holds(statement, chain) {
                Some(Holds::Yes) => continue,
                Some(Holds::No) => return Ends::ON,
                Some(Holds::Maybe) => {
                    sure = false;
                    continue;
                }
                None => self.verdict(statement, chain, depth),
            };
            return Ends { on: led.on || !sure, ..led };
        }
        Ends::ON
    }

    /// Whether a statement lets the rule go on; `None` if it is a verdict.
    fn holds(&self, statement: &Value, chain: &Chain) -> Option<Holds> {
        let kind = statement.as_object().and_then(|object| object.keys().next());
        Some(match kind.map(String::as_str) {
            Some("match") => self.matches(&statement["match"], chain),
            Some("counter" | "log" | "mangle" | "meta" | "notrack" | "comment") => Holds::Yes,
            Some(
                "accept" | "drop" | "reject" | "return" | "jump" | "goto" | "continue" | "vmap"
                | "queue",
            ) => return None,
            _ => Holds::Maybe,
        })
    }

    fn verdict(&self, statement: &Value, chain: &Chain, depth: u32) -> Ends {
        let target = |to: &Value| {
            let name = to["target"].as_str().unwrap_or_default().to_owned();
            self.walk(&Chain { name, ..chain.clone() }, depth + 1)
        };
        let Some((kind, value)) = statement.as_object().and_then(|one| one.iter().next()) else {
            return Ends::ANYWHERE;
        };
        match kind.as_str() {
            "accept" => Ends::ACCEPT,
            "drop" | "reject" => Ends::DROP,
            "return" => Ends::BACK,
            "continue" => Ends::ON,
            "goto" => target(value),
            "jump" => {
                let led = target(value);
                Ends { on: led.back, back: false, ..led }
            }
            "vmap" => self.mapped(value, chain, depth),
            _ => Ends::ANYWHERE,
        }
    }

    /// Where a map of verdicts may lead.
    fn mapped(&self, map: &Value, chain: &Chain, depth: u32) -> Ends {
        let Some(pairs) = map["data"]["set"].as_array() else { return Ends::ANYWHERE };
        let field = self.field(&map["key"]);
        let mut ends = Ends::default();
        for (key, verdict) in pairs.iter().map(|pair| (&pair[0], &pair[1])) {
            match self.is_one_of(&field, key, chain) {
                Holds::Yes => {
                    ends |= self.verdict(verdict, chain, depth);
                    return ends;
                }
                Holds::Maybe => ends |= self.verdict(verdict, chain, depth),
                Holds::No => {}
            }
        }
        Ends { on: true, ..ends }
    }

    fn matches(&self, statement: &Value, chain: &Chain) -> Holds {
        let left = &statement["left"];
        let masked = left["&"].as_array().filter(|masked| is_flags(&masked[0]));
        if masked.is_some() || is_flags(left) {
            return self.has_flags(masked.and_then(|masked| masked.get(1)), statement);
        }
        let (field, right) = (self.field(&statement["left"]), &statement["right"]);
        match statement["op"].as_str() {
            Some("==" | "in") => self.is_one_of(&field, right, chain),
            Some("!=") if matches!(field, Field::Absent) => Holds::No,
            Some("!=") => self.is_one_of(&field, right, chain).not(),
            _ => Holds::Maybe,
        }
    }

    /// Whether a rule means the TCP flags of a first packet: `syn` alone.
    fn has_flags(&self, mask: Option<&Value>, statement: &Value) -> Holds {
        if self.packet.protocol != "tcp" {
            return Holds::No;
        }
        let Some(wanted) = statement["right"].as_array().map_or_else(
            || statement["right"].as_str().map(|flag| vec![flag]),
            |flags| flags.iter().map(Value::as_str).collect(),
        ) else {
            return Holds::Maybe;
        };
        let has_syn = wanted.contains(&"syn");
        match (statement["op"].as_str(), mask) {
            (Some("in" | "=="), None) => Holds::when(has_syn),
            (Some("!"), None) => Holds::when(!has_syn),
            (Some("=="), Some(mask)) if holds_word(mask, "syn") => Holds::when(wanted == ["syn"]),
            (Some("!="), Some(mask)) if holds_word(mask, "syn") => Holds::when(wanted != ["syn"]),
            _ => Holds::Maybe,
        }
    }

    /// What the packet has where a rule looks.
    fn field(&self, left: &Value) -> Field<'a> {
        let word = |word: &'a str| Field::Is(Known::Word(word));
        if let Some(key) = left["meta"]["key"].as_str() {
            return match key {
                "iif" | "iifname" => word(self.packet.interface),
                "l4proto" => word(self.packet.protocol),
                "nfproto" => word("ipv4"),
                "protocol" => word("ip"),
                _ => Field::Unknown,
            };
        }
        if left["ct"]["key"] == "state" {
            return word("new");
        }
        let (of, field) = (left["payload"]["protocol"].as_str(), left["payload"]["field"].as_str());
        match (of, field) {
            (Some("ip"), Some("protocol")) => word(self.packet.protocol),
            (Some("ip6" | "icmp" | "icmpv6"), _) => Field::Absent,
            (Some(of @ ("tcp" | "udp")), _) if of != self.packet.protocol => Field::Absent,
            (Some("tcp" | "udp" | "th"), Some("dport")) => {
                Field::Is(Known::Number(self.packet.port.into()))
            }
            _ => Field::Unknown,
        }
    }

    fn is_one_of(&self, field: &Field<'_>, right: &Value, chain: &Chain) -> Holds {
        match field {
            Field::Is(known) => self.is(*known, right, chain),
            Field::Absent => Holds::No,
            Field::Unknown => Holds::Maybe,
        }
    }

    fn is(&self, known: Known<'_>, right: &Value, chain: &Chain) -> Holds {
        if let Some(name) = right.as_str().and_then(|text| text.strip_prefix('@')) {
            return match self.set(name, chain) {
                Some(elements) => Holds::any(elements.iter().map(|one| self.is(known, one, chain))),
                None => Holds::Maybe,
            };
        }
        if let Some(elements) = right.as_array().or_else(|| right["set"].as_array()) {
            return Holds::any(elements.iter().map(|element| self.is(known, element, chain)));
        }
        match (known, right) {
            (_, Value::Object(object)) => match (known, object.get("range"), object.get("elem")) {
                (Known::Number(number), Some(range), _) => within(number, range),
                (_, _, Some(element)) => self.is(known, &element["val"], chain),
                _ => Holds::Maybe,
            },
            (Known::Number(number), Value::Number(other)) => {
                Holds::when(other.as_u64() == Some(number))
            }
            (Known::Word(word), Value::String(pattern)) => Holds::when(is_like(word, pattern)),
            _ => Holds::Maybe,
        }
    }

    /// The elements of a set of the chain's table.
    fn set(&self, name: &str, chain: &Chain) -> Option<&'a Vec<Value>> {
        let mut sets = self.items.iter().map(|item| &item["set"]);
        let set = sets.find(|set| {
            set["name"] == name
                && set["table"] == chain.table.as_str()
                && set["family"] == chain.family.as_str()
        })?;
        set["elem"].as_array()
    }
}

fn is_flags(left: &Value) -> bool {
    left["payload"]["protocol"] == "tcp" && left["payload"]["field"] == "flags"
}

/// Whether a value is the word, or a list that has it.
fn holds_word(value: &Value, word: &str) -> bool {
    value == word || value.as_array().is_some_and(|list| list.iter().any(|one| one == word))
}

fn chain_of(item: &Value, name: &str) -> Chain {
    let word = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
    Chain { family: word("family"), table: word("table"), name: word(name) }
}

fn within(number: u64, range: &Value) -> Holds {
    match (range[0].as_u64(), range[1].as_u64()) {
        (Some(first), Some(last)) => Holds::when((first..=last).contains(&number)),
        _ => Holds::Maybe,
    }
}

/// Whether a word is the one that is meant; `eth*` means all that begin with `eth`.
fn is_like(word: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => word.starts_with(beginning),
        None => word == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A filter of the input with this policy and these rules, and a chain `more`.
    fn ruleset(policy: &str, input: &[Value], more: &[Value]) -> String {
        let rule = |chain: &str, expr: &Value| json!({ "rule": { "family": "inet", "table": "filter", "chain": chain, "expr": expr } });
        let mut items = vec![
            json!({ "metainfo": { "json_schema_version": 1 } }),
            json!({ "set": { "family": "inet", "table": "filter", "name": "open",
                "elem": [22, { "range": [4280, 4290] }, { "elem": { "val": 9 } }] } }),
            json!({ "chain": { "family": "inet", "table": "filter", "name": "input",
                "type": "filter", "hook": "input", "policy": policy } }),
            json!({ "chain": { "family": "inet", "table": "filter", "name": "more" } }),
        ];
        items.extend(input.iter().map(|expr| rule("input", expr)));
        items.extend(more.iter().map(|expr| rule("more", expr)));
        json!({ "nftables": items }).to_string()
    }

    fn tcp(ruleset: &str) -> &'static str {
        word(&fate(ruleset, Packet { interface: "lan0", protocol: "tcp", port: 4285 }))
    }

    fn word(fate: &Fate) -> &'static str {
        match fate {
            Fate::In => "in",
            Fate::Dropped(_) => "dropped",
            Fate::Unclear => "unclear",
        }
    }

    fn matching(left: &Value, right: &Value) -> Value {
        json!({ "match": { "op": "==", "left": left, "right": right } })
    }

    fn tcp_port() -> Value {
        json!({ "payload": { "protocol": "tcp", "field": "dport" } })
    }

    fn accept() -> Value {
        json!({ "accept": null })
    }

    fn drop() -> Value {
        json!({ "drop": null })
    }

    #[test]
    fn without_rules_all_comes_in_and_a_text_that_is_none_tells_nothing() {
        assert_eq!(tcp(r#"{"nftables":[{"metainfo":{}}]}"#), "in");
        for text in ["", "{}", "[]", r#"{"nftables":3}"#, r#"{"nftables":["#] {
            assert_eq!(tcp(text), "unclear", "{text}");
        }
    }

    #[test]
    fn the_policy_holds_where_no_rule_does() {
        assert_eq!(tcp(&ruleset("drop", &[], &[])), "dropped");
        assert_eq!(tcp(&ruleset("accept", &[], &[])), "in");
    }

    #[test]
    fn ports_are_matched_alone_in_ranges_and_in_sets() {
        for (right, expected) in [
            (json!(4285), "in"),
            (json!(4286), "dropped"),
            (json!({ "range": [4285, 4300] }), "in"),
            (json!({ "set": [22, { "range": [1, 4284] }] }), "dropped"),
            (json!("@open"), "in"),
            (json!("@unheard-of"), "unclear"),
        ] {
            let rule = json!([matching(&tcp_port(), &right), { "counter": null }, accept()]);
            assert_eq!(tcp(&ruleset("drop", &[rule], &[])), expected, "{right}");
        }
    }

    #[test]
    fn rules_for_others_do_not_hold_and_those_that_cannot_be_told_may() {
        let meta = |key: &str| json!({ "meta": { "key": key } });
        let field = |of: &str, name: &str| json!({ "payload": { "protocol": of, "field": name } });
        let state = json!({ "ct": { "key": "state" } });
        for (left, right, expected) in [
            (meta("iifname"), json!("lan0"), "in"),
            (meta("iifname"), json!("la*"), "in"),
            (meta("iif"), json!("lo"), "dropped"),
            (meta("l4proto"), json!({ "set": ["tcp", "udp"] }), "in"),
            (meta("nfproto"), json!("ipv6"), "dropped"),
            (meta("mark"), json!(7), "unclear"),
            (field("udp", "dport"), json!(4285), "dropped"),
            (field("th", "dport"), json!(4285), "in"),
            (field("ip", "protocol"), json!("tcp"), "in"),
            (field("ip6", "saddr"), json!("fe80::1"), "dropped"),
            (field("ip", "saddr"), json!("10.0.0.9"), "unclear"),
            (state.clone(), json!(["established", "related"]), "dropped"),
            (state, json!("new"), "in"),
        ] {
            let rule = json!([matching(&left, &right), accept()]);
            assert_eq!(tcp(&ruleset("drop", &[rule], &[])), expected, "{left} {right}");
        }
    }

    #[test]
    fn a_first_packet_has_the_flag_syn_alone() {
        let flags = json!({ "payload": { "protocol": "tcp", "field": "flags" } });
        let masked = |mask: Value| json!({ "&": [flags.clone(), mask] });
        for (op, left, right, expected) in [
            ("==", masked(json!(["syn", "ack"])), json!("syn"), "dropped"),
            ("==", masked(json!(["fin", "syn"])), json!(["fin", "syn"]), "in"),
            ("!=", masked(json!(["fin", "syn", "rst", "ack"])), json!("syn"), "in"),
            ("==", masked(json!(["fin", "psh"])), json!("fin"), "unclear"),
            ("in", flags.clone(), json!("syn"), "dropped"),
            ("in", flags.clone(), json!(["rst", "fin"]), "in"),
            ("!", flags.clone(), json!("syn"), "in"),
            ("!", flags.clone(), json!(["rst", "fin"]), "dropped"),
            ("<", flags.clone(), json!(7), "unclear"),
        ] {
            let rule = json!([{ "match": { "op": op, "left": left, "right": right } }, drop()]);
            assert_eq!(tcp(&ruleset("accept", &[rule], &[])), expected, "{left} {op} {right}");
        }
    }

    #[test]
    fn what_cannot_be_told_does_not_matter_where_all_ways_lead_to_the_same() {
        let limited = json!([{ "limit": { "rate": 5 } }, { "reject": null }]);
        assert_eq!(tcp(&ruleset("drop", std::slice::from_ref(&limited), &[])), "dropped");
        assert_eq!(tcp(&ruleset("accept", &[limited], &[])), "unclear");
        assert_eq!(tcp(&ruleset("accept", &[json!([{ "xt": null }, accept()])], &[])), "in");
    }

    #[test]
    fn jumps_come_back_gotos_and_verdicts_do_not() {
        let (jump, goto) =
            (json!([{ "jump": { "target": "more" } }]), json!([{ "goto": { "target": "more" } }]));
        let (accept, drop) = (json!([accept()]), json!([drop()]));
        let back = json!([{ "return": null }]);
        for (input, more, expected) in [
            (vec![jump.clone(), accept.clone()], vec![drop.clone()], "dropped"),
            (vec![jump.clone(), accept.clone()], vec![], "in"),
            (vec![jump.clone(), accept.clone()], vec![back.clone(), drop.clone()], "in"),
            (vec![goto, accept.clone()], vec![], "dropped"),
            (vec![jump.clone()], vec![jump], "unclear"),
            (vec![back, accept], vec![], "dropped"),
        ] {
            let found = tcp(&ruleset("drop", &input, &more));
            assert_eq!(found, expected, "{input:?} {more:?}");
        }
    }

    #[test]
    fn maps_of_verdicts_are_looked_up() {
        let map = |key: &Value, pairs: &Value| json!([{ "vmap": { "key": key, "data": { "set": pairs } } }]);
        let states = json!([["established", accept()], ["invalid", drop()]]);
        let by_state = map(&json!({ "ct": { "key": "state" } }), &states);
        let ports = json!([[22, drop()], [4285, { "jump": { "target": "more" } }]]);
        let rules = [by_state, map(&tcp_port(), &ports)];
        assert_eq!(tcp(&ruleset("drop", &rules, &[json!([accept()])])), "in");
        assert_eq!(tcp(&ruleset("accept", &rules, &[json!([drop()])])), "dropped");
        let unknown = map(&json!({ "meta": { "key": "mark" } }), &json!([[1, drop()]]));
        assert_eq!(tcp(&ruleset("accept", &[unknown], &[])), "unclear");
    }

    #[test]
    fn the_chain_that_drops_is_named_as_nft_takes_it() {
        let packet = Packet { interface: "lan0", protocol: "udp", port: 4285 };
        let Fate::Dropped(chain) = fate(&ruleset("drop", &[], &[]), packet) else {
            panic!("it is dropped");
        };
        assert_eq!(chain.to_string(), "inet filter input");
    }
}
