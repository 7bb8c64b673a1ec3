use crate::trust::Standing;
use std::future::Future;
use std::pin::Pin;

/// Who decides where the policy wants somebody to: a person, or an app on their behalf.
///
/// It is asked about what the [policy](crate::policy) leaves open, and has 45 seconds; no answer in
/// that time is a no. It cannot widen the helper's hard limits: the policy's budgets, rates and
/// hours hold whatever it says, and so does which addresses are ever connected to.
pub trait ConsentPolicy: Send + Sync + 'static {
    /// Decides on one request. Dropping the future means that the answer is no longer wanted.
    fn decide<'a>(
        &'a self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>>;

    /// Whether it may say yes to anybody at this moment; leaders that call the roll hear of it,
    /// without a request.
    fn may_agree(&self) -> bool {
        true
    }

    /// Whether a person is disturbed by being asked at this moment. If so, the helper asks no more than the policy
    /// lets it, and about no leader again too soon.
    fn asks_a_person(&self) -> bool {
        false
    }
}

/// What a leader asks of a helper. All of it comes from the leader, but for its standing and the
/// code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The name that the leader's machine gives itself, made safe to show.
    pub leader: String,
    /// The leader's id, which it has proved to hold the key of: 64 hexadecimal digits.
    pub leader_id: String,
    /// Who the leader is to this machine.
    pub standing: Standing,
    /// The six digits that the leader's screen shows, unless somebody is in the middle. Whoever
    /// lets them be typed in for [`Trust::pair`](crate::trust::Trust::pair) does not show them.
    pub code: String,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The host that the file comes from, made safe to show.
    pub host: String,
    /// The length of the file, in bytes.
    pub size: u64,
}

/// How long a yes lasts: for so long its leader is helped without another question, in whatever
/// called for one when it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lasts {
    /// For one file, named by scheme, host and size, until its leader says that it is done, and for
    /// two hours at the most.
    File,
    /// For all that the leader asks for, for two hours.
    #[default]
    TwoHours,
    /// For all that the leader asks for, until local midnight.
    Today,
}

/// What is decided on a request; the leader learns no more than yes, no, busy or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Help this time; the next time it is decided anew.
    Yes,
    /// Help, and do not ask again for so long.
    YesFor(Lasts),
    /// Do not.
    No,
    /// Do not, now or ever: the leader is blocked.
    Block,
    /// Not while something else is helped with.
    Busy,
    /// Not at present.
    Later,
}

/// Decides the same on every request.
impl ConsentPolicy for Decision {
    fn decide<'a>(&'a self, _: &'a Request) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>> {
        Box::pin(std::future::ready(*self))
    }

    fn may_agree(&self) -> bool {
        matches!(self, Self::Yes | Self::YesFor(_))
    }
}
