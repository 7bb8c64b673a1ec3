use crate::stream::Replay;
use bytes::Bytes;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the helper's page has to know, as server-sent events.
///
/// Each is how something is at this moment, so that of each only the last counts.
#[derive(Debug, Default)]
pub(crate) struct Board {
    notes: BTreeMap<Topic, Note>,
    last: u64,
}

/// What is told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// The open prompt, or that there is none.
    Ask,
    /// Whom this machine has helped.
    History,
    /// The owner's rules, as a form.
    Policy,
    /// How the helper is.
    Status,
    /// Whom its owner trusts, and whom not.
    Trust,
}

#[derive(Debug)]
struct Note {
    id: u64,
    json: String,
}

impl Board {
    /// Tells how something is; returns whether that is news.
    pub(crate) fn tell(&mut self, topic: Topic, value: &impl Serialize) -> bool {
        // What is told are plain records, which JSON can always write.
        let json = serde_json::to_string(value).unwrap_or_default();
        if self.notes.get(&topic).is_some_and(|known| known.json == json) {
            return false;
        }
        self.last += 1;
        self.notes.insert(topic, Note { id: self.last, json });
        true
    }
}

impl Topic {
    const fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::History => "history",
            Self::Policy => "policy",
            Self::Status => "status",
            Self::Trust => "trust",
        }
    }
}

impl Replay for Board {
    fn after(&self, seen: u64) -> (Vec<Bytes>, u64) {
        let mut news: Vec<_> = self.notes.iter().filter(|(_, note)| note.id > seen).collect();
        news.sort_by_key(|(_, note)| note.id);
        let text = |(topic, Note { id, json }): (&Topic, &Note)| {
            format!("id: {id}\nevent: {}\ndata: {json}\n\n", topic.name()).into()
        };
        (news.into_iter().map(text).collect(), self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(board: &Board, seen: u64) -> Vec<String> {
        let told = board.after(seen).0.into_iter();
        told.map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
    }

    #[test]
    fn of_each_topic_the_last_is_told_in_the_order_of_telling() {
        let mut board = Board::default();
        assert!(board.tell(Topic::Status, &1) && board.tell(Topic::Ask, &"a\nb"));
        assert!(board.tell(Topic::Status, &2));
        let ask = "id: 2\nevent: ask\ndata: \"a\\nb\"\n\n";
        let status = "id: 3\nevent: status\ndata: 2\n\n";
        assert_eq!(texts(&board, 0), [ask, status]);
        assert_eq!(texts(&board, 2), [status]);
        assert!(texts(&board, 3).is_empty());
    }

    #[test]
    fn what_is_as_it_was_is_no_news() {
        let mut board = Board::default();
        assert!(board.tell(Topic::Policy, &[1]));
        assert!(!board.tell(Topic::Policy, &[1]));
        assert_eq!(board.after(0).1, 1);
    }
}
