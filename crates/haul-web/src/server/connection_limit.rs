/// Which connections a listener keeps open: so many of clients that have proved who they are, and
/// so many of others, of which the one that was silent longest gives way to a newcomer.
///
/// Connections have numbers, which the caller gives and uses once.
#[derive(Debug)]
pub(crate) struct ConnectionLimit {
    /// The one that was silent longest comes first.
    anonymous: Vec<u64>,
    authenticated: Vec<u64>,
    most: Most,
}

/// How many connections may be open at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    /// Of clients that have proved nothing; at least one.
    pub(crate) anonymous: usize,
    /// Of clients that have proved who they are.
    pub(crate) authenticated: usize,
}

impl ConnectionLimit {
    pub(crate) const fn new(most: Most) -> Self {
        Self { anonymous: Vec::new(), authenticated: Vec::new(), most }
    }

    /// Takes a new connection in; returns the one to close for it, if there are too many.
    #[must_use = "it is to be closed"]
    pub(crate) fn open(&mut self, id: u64) -> Option<u64> {
        let is_full = self.anonymous.len() >= self.most.anonymous.max(1);
        let evicted = is_full.then(|| self.anonymous.remove(0));
        self.anonymous.push(id);
        evicted
    }

    /// Notes that a whole request came over a connection.
    pub(crate) fn asked(&mut self, id: u64) {
        if remove(&mut self.anonymous, id) {
            self.anonymous.push(id);
        }
    }

    /// Notes that the client has proved who it is: its connection gives way to nobody from then on,
    /// unless there are too many of the kind.
    pub(crate) fn authenticate(&mut self, id: u64) {
        if self.authenticated.len() < self.most.authenticated && remove(&mut self.anonymous, id) {
            self.authenticated.push(id);
        }
    }

    /// Notes that a connection has ended.
    pub(crate) fn close(&mut self, id: u64) {
        if !remove(&mut self.anonymous, id) {
            remove(&mut self.authenticated, id);
        }
    }
}

/// Takes a number out and keeps the order; says whether it was there.
fn remove(ids: &mut Vec<u64>, id: u64) -> bool {
    let at = ids.iter().position(|&known| known == id);
    at.map(|at| ids.remove(at)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const MOST: Most = Most { anonymous: 4, authenticated: 3 };

    #[derive(Clone, Debug)]
    enum Step {
        Open,
        Asked(u64),
        Authenticate(u64),
        Close(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Open),
            1 => (0..40_u64).prop_map(Step::Asked),
            1 => (0..40_u64).prop_map(Step::Authenticate),
            1 => (0..40_u64).prop_map(Step::Close),
        ]
    }

    /// What is open: since when it is silent, and whether its client is known.
    type Model = BTreeMap<u64, (usize, bool)>;

    fn count(model: &Model, known: bool) -> usize {
        model.values().filter(|(_, is_known)| *is_known == known).count()
    }

    proptest! {
        #[test]
        fn the_longest_silent_of_those_that_proved_nothing_gives_way_and_no_other(
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let (mut limit, mut model) = (ConnectionLimit::new(MOST), Model::new());
            for (now, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Open => {
                        let id = now as u64;
                        let anonymous = model.iter().filter(|(_, (_, known))| !known);
                        let oldest = anonymous.min_by_key(|(_, (since, _))| since).map(|(&id, _)| id);
                        let expected = oldest.filter(|_| count(&model, false) == MOST.anonymous);
                        prop_assert_eq!(limit.open(id), expected);
                        expected.map(|id| model.remove(&id));
                        model.insert(id, (now, false));
                    }
                    Step::Asked(id) => {
                        limit.asked(id);
                        model.entry(id).and_modify(|(since, _)| *since = now);
                    }
                    Step::Authenticate(id) => {
                        limit.authenticate(id);
                        if count(&model, true) < MOST.authenticated {
                            model.entry(id).and_modify(|(_, known)| *known = true);
                        }
                    }
                    Step::Close(id) => {
                        limit.close(id);
                        model.remove(&id);
                    }
                }
                prop_assert_eq!(limit.anonymous.len(), count(&model, false));
                prop_assert_eq!(limit.authenticated.len(), count(&model, true));
                prop_assert!(count(&model, false) <= MOST.anonymous);
                prop_assert!(count(&model, true) <= MOST.authenticated);
            }
        }
    }

    #[test]
    fn a_newcomer_is_taken_in_whatever_the_limit() {
        let mut none = ConnectionLimit::new(Most { anonymous: 0, authenticated: 0 });
        assert_eq!((none.open(1), none.open(2)), (None, Some(1)));
        none.authenticate(2);
        assert_eq!(none.open(3), Some(2), "there is no room for those that are known");
    }
}
