//! Two machines over a real socket: who is who, what both show, and what strangers can do.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use haul_link::{
    Greeting, Group, GroupKey, Identity, LinkError, Me, Secured, accept, answer, dial, greet,
};
use haul_span::Span;
use haul_wire::{ByeReason, Frame};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// A leader that listens and a helper that dials it.
async fn secured(leader: &Identity, helper: &Identity) -> (Secured, Secured) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let expected = Some(leader.id());
    let (taken, dialled) = tokio::join!(
        async { accept(leader, listener.accept().await.unwrap().0).await },
        dial(helper, address, expected)
    );
    (taken.unwrap(), dialled.unwrap())
}

async fn greeted() -> (Greeting, Greeting) {
    greeted_in(None, None).await
}

/// A leader and a helper that belong to these groups and have greeted each other.
async fn greeted_in(leaders: Option<&Group>, helpers: Option<&Group>) -> (Greeting, Greeting) {
    let (leader, helper) = (Identity::ephemeral(), Identity::ephemeral());
    let (at_leader, at_helper) = secured(&leader, &helper).await;
    assert_eq!((at_leader.peer, at_helper.peer), (helper.id(), leader.id()));
    let (greeting, answered) = tokio::join!(
        greet(at_leader, Me { id: leader.id(), name: "ward 3", group: leaders }, [7; 16]),
        answer(at_helper, Me { id: helper.id(), name: "asha\u{202e}", group: helpers })
    );
    (greeting.unwrap(), answered.unwrap())
}

#[tokio::test]
async fn both_sides_show_the_same_code_and_each_others_name() {
    let (leader, helper) = greeted().await;
    assert_eq!(leader.code, helper.code);
    assert_eq!((leader.name.as_str(), helper.name.as_str()), ("asha", "ward 3"));
    assert_eq!(helper.ask, [7; 16]);
}

#[tokio::test]
async fn only_machines_with_a_common_key_see_each_other_as_of_one_group() {
    let (one, other) = (GroupKey::fresh(), GroupKey::fresh());
    let only = |key: &GroupKey| Group { first: key.clone(), second: None };
    let both = Group { first: one.clone(), second: Some(other.clone()) };
    for (leaders, helpers, leader_sees, helper_sees) in [
        (Some(only(&one)), Some(only(&one)), true, true),
        (Some(both.clone()), Some(only(&one)), true, true),
        (Some(both.clone()), Some(only(&other)), true, false),
        (Some(only(&one)), Some(only(&other)), false, false),
        (Some(only(&one)), None, false, false),
        (None, Some(only(&one)), false, false),
    ] {
        let (leader, helper) = greeted_in(leaders.as_ref(), helpers.as_ref()).await;
        assert_eq!((leader.group, helper.group), (leader_sees, helper_sees));
        assert_eq!(leader.code, helper.code);
    }
}

#[tokio::test]
async fn codes_differ_from_one_connection_to_the_next() {
    let (first, _) = greeted().await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(greeted().await.0.code);
    }
    assert!(others.iter().any(|code| *code != first.code));
}

#[tokio::test]
async fn frames_travel_both_ways_once_granted() {
    let (leader, helper) = greeted().await;
    let (mut from_helper, mut to_helper) = leader.session.granted();
    let (mut from_leader, mut to_leader) = helper.session.granted();
    let grant = Frame::Grant { lease: 1, span: Span::new(0, 5).unwrap() };
    to_helper.send(&grant).await.unwrap();
    assert_eq!(from_leader.next().await.unwrap(), grant);
    let data = Frame::Data { lease: 1, offset: 0, bytes: b"bytes".as_slice().into() };
    to_leader.send(&data).await.unwrap();
    assert_eq!(from_helper.next_alive().await.unwrap(), data);
    to_leader.close().await;
    assert!(matches!(from_helper.next().await, Err(LinkError::Closed)));
}

#[tokio::test]
async fn a_helper_talks_only_to_the_leader_that_asked() {
    let (leader, helper, other) =
        (Identity::ephemeral(), Identity::ephemeral(), Identity::ephemeral());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_, dialled) = tokio::join!(
        async { accept(&other, listener.accept().await.unwrap().0).await },
        dial(&helper, address, Some(leader.id()))
    );
    let error = dialled.unwrap_err();
    assert!(
        matches!(error, LinkError::OtherPeer { expected } if expected == leader.id()),
        "{error}"
    );
}

#[tokio::test]
async fn garbage_in_place_of_a_handshake_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stranger = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let taken = accept(&Identity::ephemeral(), listener.accept().await.unwrap().0).await;
    assert!(matches!(taken, Err(LinkError::Broken { .. })));
}

#[tokio::test]
async fn data_before_a_yes_ends_the_session() {
    let (mut leader, mut helper) = greeted().await;
    let data = Frame::Data { lease: 1, offset: 0, bytes: b"early".as_slice().into() };
    helper.session.send(&data).await.unwrap();
    assert!(matches!(leader.session.next().await, Err(LinkError::Wire(_))));
}

#[tokio::test]
async fn a_flood_of_control_frames_or_of_data_in_crumbs_ends_the_session() {
    let crumb = Frame::Data { lease: 1, offset: 0, bytes: b"x".as_slice().into() };
    for frame in [Frame::Ping, crumb] {
        let error = flooded(&frame, 100_000).await.unwrap_err();
        assert!(matches!(error, LinkError::Flood), "{error}");
    }
}

#[tokio::test]
async fn data_is_no_flood_however_much_there_is_of_it() {
    let data = Frame::Data { lease: 1, offset: 0, bytes: vec![7; 1024].into() };
    flooded(&data, 20_000).await.unwrap();
}

/// What a leader makes of so many frames.
async fn flooded(frame: &Frame, count: usize) -> Result<(), LinkError> {
    let (leader, helper) = greeted().await;
    let (mut reader, _leaders) = leader.session.granted();
    let (_helpers, mut writer) = helper.session.granted();
    let flood = async {
        for _ in 0..count {
            // The leader may leave before it has read everything.
            let _ = writer.send(frame).await;
        }
        std::future::pending::<()>().await;
    };
    let heard = async {
        for _ in 0..count {
            reader.next().await?;
        }
        Ok(())
    };
    tokio::select! {
        heard = heard => heard,
        () = flood => Ok(()),
    }
}

#[tokio::test]
async fn who_says_nothing_for_eight_seconds_is_taken_for_dead() {
    let (leader, helper) = greeted().await;
    let (mut from_helper, _) = leader.session.granted();
    tokio::time::pause();
    let began = Instant::now();
    let error = from_helper.next_alive().await.unwrap_err();
    assert!(matches!(error, LinkError::Silent { .. }), "{error}");
    assert_eq!(began.elapsed().as_secs(), 8);
    assert_eq!(error.farewell(), Some(ByeReason::Timeout));
    drop(helper);
}

#[tokio::test]
async fn a_stranger_that_never_begins_is_left_after_five_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stranger = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let taken = listener.accept().await.unwrap().0;
    tokio::time::pause();
    let began = Instant::now();
    let error = accept(&Identity::ephemeral(), taken).await.unwrap_err();
    assert!(matches!(error, LinkError::Silent { awaiting: "TLS handshake", .. }), "{error}");
    assert_eq!(began.elapsed().as_secs(), 5);
    drop(stranger);
}

#[tokio::test]
async fn who_does_not_greet_is_left_after_five_seconds() {
    let (leader, helper) = (Identity::ephemeral(), Identity::ephemeral());
    let (at_leader, at_helper) = secured(&leader, &helper).await;
    tokio::time::pause();
    let began = Instant::now();
    let me = Me { id: leader.id(), name: "leader", group: None };
    let error = greet(at_leader, me, [0; 16]).await.unwrap_err();
    assert!(matches!(error, LinkError::Silent { awaiting: "greeting", .. }), "{error}");
    assert_eq!(began.elapsed().as_secs(), 5);
    drop(at_helper);
}
