use crate::Answer;
use crate::trust::Standing;
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};

/// Something that happened on a helper.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
#[non_exhaustive]
pub enum HelperEvent {
    /// Leaders are heard from now on.
    Listening {
        /// Where.
        address: SocketAddr,
    },
    /// A leader's offer arrived, and the policy is asked.
    Asked {
        /// The name the leader gives itself.
        leader: String,
        /// Where it is.
        address: IpAddr,
        /// Who it is to this machine.
        #[serde(flatten)]
        standing: Standing,
        /// The code that its screen shows too.
        code: String,
        /// The host that the file comes from.
        host: String,
        /// The length of the file.
        size: u64,
    },
    /// The policy has decided.
    Answered {
        /// The leader.
        leader: String,
        /// What it was told.
        answer: Answer,
        /// Why: the rule of the policy, or what became of asking.
        because: String,
        /// Whether somebody was asked, and not the policy alone.
        asked: bool,
    },
    /// The policy is in force, or the newest version of its file cannot be.
    Policy {
        /// The fields that the owner's organisation has set.
        managed: Vec<String>,
        /// What is wrong with the newest version; the one before it stays in force.
        error: Option<String>,
        /// What to try then.
        r#try: Option<String>,
    },
    /// Something that the owner may want to know.
    Note {
        /// One sentence.
        text: String,
    },
    /// Fetching begins.
    Helping {
        /// The leader.
        leader: String,
        /// The host that the file comes from.
        host: String,
    },
    /// How far it is; once a second.
    Progress {
        /// The leader.
        leader: String,
        /// Bytes sent so far.
        bytes: u64,
        /// Bytes per second.
        rate: u64,
    },
    /// Fetching has ended.
    Ended {
        /// The leader.
        leader: String,
        /// Bytes sent in all.
        bytes: u64,
        /// Why.
        because: String,
    },
}
