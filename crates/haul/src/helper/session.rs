//! The helper's end of a session with one leader.

use super::consent::{Decision, Request};
use super::event::HelperEvent;
use super::gate::{Judged, locked};
use super::job::Permit;
use super::limits::pools::Stage;
use super::limits::refused;
use super::limits::waiting::{Waiting, Why};
use super::meeting::{Met, STEP};
use super::proof::{Secret, first_challenge};
use super::serve::Helping;
use super::work::{Because, work};
use crate::Answer;
use crate::limits::party::Party;
use crate::trust::Role;
use haul_fetch::{Client, Source, Validator};
use haul_link::{Greeting, LinkError, PeerId, Session};
use haul_wire::{Answer as WireAnswer, ByeReason, Frame, JobFacts, Offer, Scheme, Verdict};
use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use url::Url;

/// How long a leader that called the roll may take to hang up.
const THANKS: Duration = Duration::from_secs(2);

/// How a leader comes back whose session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Return {
    /// When it asks again.
    Asked,
    /// It is called back once it can be helped.
    Welcome,
    /// It is called back until it can be reached.
    Reached,
}

/// Why a session ended before work began.
pub(crate) struct Ended {
    pub(crate) because: String,
    /// Whether, and how, the leader may come back.
    pub(super) again: Option<Return>,
    /// What the leader is told.
    farewell: Option<ByeReason>,
}

impl Ended {
    fn with(reason: ByeReason, because: impl Into<String>) -> Self {
        Self { because: because.into(), again: None, farewell: Some(reason) }
    }
}

impl From<LinkError> for Ended {
    fn from(error: LinkError) -> Self {
        let again = Some(Return::Asked);
        Self { because: error.to_string(), again, farewell: error.farewell() }
    }
}

/// Helps a leader if the policy says so.
pub(super) async fn agree_and_help(mut met: Met, helping: &Helping) -> Result<(), Ended> {
    match agree(&mut met, helping).await {
        Ok(Some(agreed)) => carry_out(met.greeting.session, agreed, helping).await,
        Ok(None) => Ok(()),
        Err(ended) => {
            if let Some(reason) = ended.farewell {
                // Whoever broke the protocol may have gone.
                let _ = met.greeting.session.send(&Frame::Bye { reason }).await;
            }
            Err(ended)
        }
    }
}

/// A leader that is to be helped, and what with.
struct Agreed {
    who: Party,
    leader: PeerId,
    /// The ask that led to it.
    ask: [u8; 16],
    request: Request,
    source: Source,
    secret: Secret,
    permit: Permit,
}

/// From the offer to the word that grants may come; `None` means that the leader heard a no.
async fn agree(met: &mut Met, helping: &Helping) -> Result<Option<Agreed>, Ended> {
    let offer = match &met.wants {
        Frame::Offer(offer) => offer.clone(),
        Frame::RollCall => return answer_roll_call(met, helping).await.map(|()| None),
        other => return Err(unexpected("an offer", other)),
    };
    let Met { who, leader, greeting, heard, calls, .. } = met;
    if helping.admission().has_ended(helping.gate.steady(), *leader, greeting.ask) {
        return Err(Ended::with(ByeReason::Withdrawn, "its owner has ended the help for this"));
    }
    if !helping.admission().admit_offer(helping.gate.steady(), *leader, greeting.ask) {
        return Err(Ended::with(ByeReason::NotWanted, "it has offered this before"));
    }
    let request = request(*leader, greeting, &offer, helping);
    let decided = decide(&request, *who, greeting, helping).await?;
    let Ok(permit) = decided else {
        if decided.is_err_and(|decision| matches!(decision, Decision::Busy | Decision::Later)) {
            let (leader, standing, ask) = (*leader, request.standing, greeting.ask);
            let (who, heard, calls, why) = (*who, *heard, *calls, Why::TurnedAway);
            helping.note_waiting(Waiting { who, leader, standing, ask, heard, why, calls });
        }
        return Ok(None);
    };
    locked(&helping.waiting).forget(*leader);
    let session = &mut greeting.session;
    let job = match within("job", session.next()).await? {
        Frame::Job(job) => job,
        other => return Err(unexpected("the job", &other)),
    };
    permit.is_for(&job.url, job.length);
    let began = Instant::now();
    let client = permit.client();
    let prepared = tokio::select! {
        prepared = prepare(session, &job, &offer, &client) => prepared?,
        why = permit.supervise() => {
            return Err(helping.stopped(&permit, why, *leader, greeting.ask));
        }
    };
    match (prepared, permit.why_ended()) {
        (Ok((source, secret)), _) => {
            let (who, leader, ask) = (*who, *leader, greeting.ask);
            Ok(Some(Agreed { who, leader, ask, request, source, secret, permit }))
        }
        // A purse that was closed reads nothing, which is no fault of the file.
        (Err(_), Some(why)) => Err(helping.stopped(&permit, why, *leader, greeting.ask)),
        (Err(because), None) => {
            permit.note_end(&because);
            drop(permit);
            Err(helping.refuse(&request, *who, began, because).await)
        }
    }
}

/// What the owner is told of an offer.
fn request(leader: PeerId, greeting: &Greeting, offer: &Offer, helping: &Helping) -> Request {
    Request {
        standing: helping.trust.standing(Role::Leader, leader, &greeting.name, greeting.group),
        leader: greeting.name.clone(),
        leader_id: leader.to_string(),
        code: greeting.code.to_string(),
        scheme: scheme_of(offer),
        host: safe_host(&offer.host),
        size: offer.size,
    }
}

/// Tells a leader that names no file whether it would be helped, as far as that is certain. Its
/// owner hears nothing of it.
async fn answer_roll_call(met: &mut Met, helping: &Helping) -> Result<(), Ended> {
    let Met { who, leader, greeting, .. } = met;
    let decision = if helping.is_refused(who) {
        Decision::No
    } else {
        let standing =
            helping.trust.standing(Role::Leader, *leader, &greeting.name, greeting.group);
        helping.gate.incline(&leader.to_string(), &standing, who)
    };
    let verdict = match decision {
        Decision::Yes | Decision::YesFor(_) => Verdict::Yes,
        Decision::Busy => Verdict::Busy,
        Decision::Later => Verdict::Later,
        Decision::No | Decision::Block => Verdict::No,
    };
    let session = &mut greeting.session;
    session.send(&Frame::Answer(WireAnswer::to_roll_call(verdict))).await?;
    // The leader has its answer, whether its thanks arrive or not.
    let _ = timeout(THANKS, session.next()).await;
    Ok(())
}

/// Helps until either side ends it.
async fn carry_out(session: Session, agreed: Agreed, helping: &Helping) -> Result<(), Ended> {
    let Agreed { who, leader, ask, request, source, secret, permit } = agreed;
    helping
        .tell(HelperEvent::Helping { leader: request.leader.clone(), host: request.host.clone() });
    let because = tokio::select! {
        because = work(session, &source, secret, &request, who, helping, &permit) => because,
        why = permit.supervise() => Because::stopped(&why),
    };
    permit.note_end(&because.text);
    let may_return = permit.note_return(because.broken || because.unwanted, because.done);
    helping.note_withdrawn(&permit, leader, ask);
    let again = match () {
        () if permit.was_withdrawn() => None,
        () if because.broken && permit.has_sent() => Some(Return::Reached),
        () if permit.was_interrupted() => Some(Return::Welcome),
        () => may_return.then_some(Return::Asked),
    };
    let bytes = permit.sent().load(Ordering::Relaxed);
    let leader = request.leader;
    helping.tell(HelperEvent::Ended { leader, bytes, because: because.text.clone() });
    let because = because.text;
    if again.is_some() { Err(Ended { because, again, farewell: None }) } else { Ok(()) }
}

impl Helping {
    /// Follows a leader's ask no more if the owner has ended the help that it led to.
    fn note_withdrawn(&self, permit: &Permit, leader: PeerId, ask: [u8; 16]) {
        if permit.was_withdrawn() {
            self.admission().end(self.gate.steady(), leader, ask);
        }
    }

    /// What a leader is told whose job was ended here before work began.
    fn stopped(&self, permit: &Permit, why: String, leader: PeerId, ask: [u8; 16]) -> Ended {
        self.note_withdrawn(permit, leader, ask);
        let again = permit.was_interrupted().then_some(Return::Welcome);
        Ended { again, ..Ended::with(permit.farewell(), why) }
    }

    /// Turns away a leader whose file this helper does not get, for whatever reason. All reasons
    /// look alike and take the same time, so that nobody can feel their way around this machine's
    /// network with them; the owner is told which it was.
    async fn refuse(
        &self,
        request: &Request,
        who: Party,
        began: Instant,
        because: String,
    ) -> Ended {
        self.note_refused(who, &request.host);
        let name = request.leader.clone();
        self.tell(HelperEvent::Ended { leader: name, bytes: 0, because: because.clone() });
        let after = refused::told_after(began.elapsed(), refused::delay());
        sleep_until(began + after).await;
        Ended::with(ByeReason::Unreachable, because)
    }

    /// Notes a host that a leader led to in vain; says whether it has named too many.
    pub(super) fn note_refused(&self, who: Party, host: &str) -> bool {
        locked(&self.refused).note(self.gate.steady(), who, host.to_owned());
        self.is_refused(&who)
    }

    /// Whether a leader, or others of its address or network, named too many hosts in vain.
    fn is_refused(&self, who: &Party) -> bool {
        locked(&self.refused).is_spent(self.gate.steady(), who)
    }
}

/// Lets the owner decide and tells the leader; a permit means yes, and all else is no yes.
async fn decide(
    request: &Request,
    who: Party,
    greeting: &mut Greeting,
    helping: &Helping,
) -> Result<Result<Permit, Decision>, Ended> {
    let Judged { decision, because, after, asked, permit, .. } = if request.host.is_empty() {
        Judged::new(Decision::No, MISLEADING)
    } else if helping.is_refused(&who) {
        Judged::new(Decision::No, refused::TOO_MANY)
    } else {
        judge(request, who, &mut greeting.session, helping).await?
    };
    let (said, answer) = match (decision, &permit) {
        (_, Some(permit)) => (WireAnswer::yes(permit.lanes(), permit.budget()), Answer::Yes),
        (Decision::Busy, None) => (WireAnswer::not_yet(Verdict::Busy, after), Answer::Busy),
        (Decision::Later, None) => (WireAnswer::not_yet(Verdict::Later, after), Answer::Later),
        (_, None) => (WireAnswer::NO, Answer::No),
    };
    greeting.session.send(&Frame::Answer(said)).await?;
    if let (Some(key), Decision::No, true) = (who.key, decision, asked) {
        helping.gate.name_refused(key, &request.leader, greeting.ask);
    }
    let leader = request.leader.clone();
    helping.tell(HelperEvent::Answered { leader, answer, because, asked });
    Ok(permit.ok_or(decision))
}

/// What the owner, or their policy, says of a request, for as long as its leader waits for it.
async fn judge(
    request: &Request,
    who: Party,
    session: &mut Session,
    helping: &Helping,
) -> Result<Judged, Ended> {
    let Some(_place) = helping.pools.enter(Stage::Deciding, who) else {
        return Ok(Judged::new(Decision::Busy, "too many others are being decided upon"));
    };
    helping.tell(asked_for(request, who));
    tokio::select! {
        biased;
        judged = helping.gate.decide(request, &who) => Ok(judged),
        left = left(session) => Err(left),
    }
}

/// Waits until a leader that is being decided upon leaves, or talks out of turn.
async fn left(session: &mut Session) -> Ended {
    loop {
        match session.next().await {
            Ok(Frame::Ping | Frame::Pong) => {}
            Ok(other) => return unexpected("an answer", &other),
            Err(error) => return error.into(),
        }
    }
}

fn asked_for(request: &Request, Party { address, .. }: Party) -> HelperEvent {
    let Request { leader, standing, code, host, size, .. } = request.clone();
    HelperEvent::Asked { leader, address, standing, code, host, size }
}

/// What to fetch, and a secret part of it that the leader must show it can read by itself before
/// any byte is sent; or why this helper does not get the file.
async fn prepare(
    session: &mut Session,
    job: &JobFacts,
    offer: &Offer,
    client: &Client,
) -> Result<Result<(Source, Secret), String>, Ended> {
    let Some(span) = first_challenge(job.length) else {
        return Err(Ended::with(ByeReason::Protocol, "an empty file needs no help"));
    };
    session.send(&Frame::Challenge { span }).await?;
    let source = match source_of(job, offer, client) {
        Ok(source) => source,
        Err(because) => return Ok(Err(because)),
    };
    match Secret::read(&source, span).await {
        Ok(secret) => {
            session.send(&Frame::Ready).await?;
            Ok(Ok((source, secret)))
        }
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// The source that the job names, which must be the one that was offered.
fn source_of(job: &JobFacts, offer: &Offer, client: &Client) -> Result<Source, String> {
    let url: Url = job.url.parse().map_err(|_| "the job names no URL")?;
    let same_host = url.host_str() == Some(offer.host.as_str());
    let same_port = url.port_or_known_default() == Some(offer.port);
    if url.scheme() != scheme_of(offer) || !same_host || !same_port || job.length != offer.size {
        return Err("the job is not what was offered".into());
    }
    let validator = job.validator.as_deref().map(str::parse::<Validator>).transpose();
    let validator = validator.map_err(|_| "the validator cannot be read")?;
    client.source(&url, job.length, validator.as_ref()).map_err(|error| error.to_string())
}

fn scheme_of(offer: &Offer) -> &'static str {
    if offer.scheme == Scheme::Https { "https" } else { "http" }
}

async fn within<T>(
    awaiting: &'static str,
    work: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    timeout(STEP, work).await.unwrap_or(Err(LinkError::Silent { awaiting, after: STEP }))
}

fn unexpected(awaiting: &'static str, frame: &Frame) -> Ended {
    match frame {
        Frame::Bye { reason } => {
            Ended { because: reason_text(*reason).into(), again: None, farewell: None }
        }
        other => LinkError::Unexpected { awaiting, kind: other.kind() }.into(),
    }
}

/// A host's name if it can be shown as it is, as a URL spells it; or else nothing, as what is left
/// of it would be the name of another.
fn safe_host(host: &str) -> String {
    let is_plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '.' | '_' | ':' | '[' | ']');
    let is_host = (1..=HOST_MOST).contains(&host.len())
        && host.chars().all(is_plain)
        && Url::parse(&format!("http://{host}/"))
            .is_ok_and(|url| url.host_str() == Some(host) && url.port().is_none());
    if is_host { host.to_owned() } else { String::new() }
}

/// The longest name that the DNS has (RFC 1035 §2.3.4), in bytes.
const HOST_MOST: usize = 253;

/// Why an offer is refused whose owner would be shown another host than the one that is meant.
const MISLEADING: &str = "its host cannot be shown as it is";

pub(crate) fn reason_text(reason: ByeReason) -> &'static str {
    match reason {
        ByeReason::Done => "the download is done",
        ByeReason::Cancelled => "the download was stopped",
        ByeReason::Released => "the leader thanks you and goes on without you",
        ByeReason::Spoiled => "the leader could not use what was delivered",
        ByeReason::NotWanted => "the leader needs no more help",
        _ => "the leader ended it",
    }
}
