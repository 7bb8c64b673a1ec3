//! Leaders that are helped without a question.

use haul::{ConsentPolicy, Decision, Request};
use std::future::{Future, ready};
use std::pin::Pin;

/// Says yes to leaders that are known or of the group, and no to everybody else.
///
/// A leader has proved to hold the key that makes it known; the name that it gives itself counts
/// for nothing.
pub(crate) struct Known;

impl Known {
    fn decide(request: &Request) -> Decision {
        if request.standing.is_trusted() {
            return Decision::Yes;
        }
        let Request { leader, leader_id, .. } = request;
        eprintln!("{leader} is not known; to help it always, type");
        eprintln!("helper trust add {leader_id} \"{leader}\"");
        Decision::No
    }
}

impl ConsentPolicy for Known {
    fn decide<'a>(
        &'a self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>> {
        Box::pin(ready(Self::decide(request)))
    }
}
