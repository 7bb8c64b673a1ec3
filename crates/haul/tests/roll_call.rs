//! A roll call tells of every machine whether it would help and why not, and disturbs nobody.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use haul::policy::{Mode, PolicySource};
use haul::roll_call::{Attendance, Called, Helps, RollCall};
use haul::{Decision, Helper, HelperBuilder, HelperEvent, Helpers, Home, Serving};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread")]
async fn each_helper_says_whether_it_would_help_and_no_owner_hears_of_it() {
    let folder = TempDir::new().unwrap();
    let mut serving = Vec::new();
    let mut asked = Vec::new();
    for (name, helper) in [
        ("asha", helper(&folder, "asha", 11).consent(Decision::Yes)),
        ("ben", helper(&folder, "ben", 12).consent(Decision::No)),
        ("chi", helper(&folder, "chi", 13).policy(PolicySource::default().mode(Mode::Never))),
        ("dev", helper(&folder, "dev", 14).policy(PolicySource::default().mode(Mode::Always))),
    ] {
        let (helper, at) = listening(helper).await;
        asked.push(at.to_string());
        serving.push((name, helper));
    }
    let (told, _) = call(&folder, Helpers::only(asked)).await;
    let helps = |name: &str| {
        let of = |machine: &&Attendance| machine.name.as_deref() == Some(name);
        told.iter().find(of).map(|machine| machine.helps)
    };
    assert_eq!((helps("asha"), helps("dev")), (Some(Helps::Yes), Some(Helps::Yes)), "{told:?}");
    assert_eq!((helps("ben"), helps("chi")), (Some(Helps::No), Some(Helps::No)), "{told:?}");
    assert_eq!(told.len(), 4, "{told:?}");
    for (name, helper) in &mut serving {
        while let Ok(Some(event)) = timeout(Duration::ZERO, helper.next_event()).await {
            let is_quiet = matches!(event, HelperEvent::Policy { .. } | HelperEvent::Note { .. });
            assert!(is_quiet, "{name} heard {event:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_a_helper_one_that_hangs_up_and_one_that_is_silent_are_told_apart() {
    let folder = TempDir::new().unwrap();
    let at = |last| Ipv4Addr::new(127, 0, 0, last);
    let rude = TcpListener::bind((at(31), 0)).await.unwrap();
    let silent = TcpListener::bind((at(32), 0)).await.unwrap();
    let asked = [
        format!("{}:{}", at(30), closed_port()),
        rude.local_addr().unwrap().to_string(),
        silent.local_addr().unwrap().to_string(),
    ];
    let hang_up = async {
        loop {
            drop(rude.accept().await);
        }
    };
    let told = tokio::select! {
        (told, _) = call(&folder, Helpers::only(asked)) => told,
        () = hang_up => unreachable!(),
    };
    let helps: Vec<_> = told.iter().map(|machine| (machine.address, machine.helps)).collect();
    let expected = [(30, Helps::Absent), (31, Helps::No), (32, Helps::Unreachable)];
    assert_eq!(helps, expected.map(|(last, helps)| (at(last).into(), helps)));
    assert!(told.iter().all(|machine| machine.because.is_some() && machine.how == "named"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_the_roster_that_cannot_be_read_is_told() {
    let folder = TempDir::new().unwrap();
    let home = folder.path().join("leader");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("roster"), "asha and ben\n").unwrap();
    let (_, notes) = call(&folder, Helpers::auto()).await;
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert!(note.contains("roster, line 1"), "{note}");
}

/// All that a roll call of these machines tells: of whom, and its notes.
async fn call(folder: &TempDir, machines: Helpers) -> (Vec<Attendance>, Vec<String>) {
    let home = Home::at(folder.path().join("leader"));
    // Nothing listens for asks to everybody at this port.
    let roll = RollCall::new().helpers(machines).home(home).no_scan().interface("lo").ask_port(9);
    let mut calling = roll.start().unwrap();
    let (mut told, mut notes) = (Vec::new(), Vec::new());
    while let Some(called) = calling.next().await {
        match called {
            Called::Machine(machine) => told.push(machine),
            Called::Note(text) => notes.push(text),
        }
    }
    (told, notes)
}

/// A helper at 127.0.0.`last`.
fn helper(folder: &TempDir, name: &str, last: u8) -> HelperBuilder {
    Helper::builder()
        .listen(SocketAddrV4::new([127, 0, 0, last].into(), 0))
        .home(Home::at(folder.path().join(name)))
        .ports(1..=u16::MAX)
        .name(name)
}

async fn listening(helper: HelperBuilder) -> (Serving, std::net::SocketAddr) {
    let mut serving = helper.build().unwrap().start();
    match serving.next_event().await {
        Some(HelperEvent::Listening { address }) => (serving, address),
        other => panic!("it does not listen: {other:?}"),
    }
}

/// A port on which nothing listens.
fn closed_port() -> u16 {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap().port()
}
