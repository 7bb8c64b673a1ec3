//! A leader that may have few files open, and a crowd of silent connections at its door.

use crate::scene::{Scene, say};
use haul_lab::Payload;
use haul_lab::lan::{Host, Lan, Link};
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// How many files the leader may have open, as macOS lets programs have by default.
const FILES: u64 = 256;

/// The addresses from which silent connections come, and how many from each: more than there is
/// room for.
const ADDRESSES: u8 = 40;
const OF_EACH: usize = 16;

/// How soon another comes for one that was closed.
const PAUSE: Duration = Duration::from_millis(5);

/// How long the crowd stays.
const STAYS: Duration = Duration::from_secs(12);

#[test]
fn a_helper_gets_in_past_a_crowd_of_silent_peers_where_the_leader_may_open_few_files() {
    let link = Link::mbit(20);
    let lan = Lan::builder().leader(link).helper("asha", link).helper("mallory", Link::UNSHAPED);
    let Some(scene) = Scene::build(lan) else { return };
    let payload = Payload::new(41, 32 << 20);
    let nginx = scene.serve(payload);
    let [asha, mallory] = ["asha", "mallory"].map(|name| scene.lan.helper(name));
    let mut get = scene.get_with_files(&nginx.url("/file.bin"), FILES);
    get.until_stored(1 << 20);
    let crowd = crowd(mallory, scene.lan.leader());
    get.until_stored(4 << 20);
    let _helper = scene.helper(asha, "always", &[]);
    let ran = get.exact(payload);
    let silent = crowd.join().unwrap();
    let workers = ran.done()["workers"].as_array().unwrap().clone();
    let brought: u64 = workers.iter().skip(1).map(|it| it["bytes"].as_u64().unwrap()).sum();
    say(&format!(
        "{FILES} files, {silent} silent peers: a helper that came later brought {brought}"
    ));
    assert!(silent > FILES as usize && brought > payload.len() / 5, "{workers:?}");
}

/// Opens connections that say nothing, and keeps opening those that are closed; returns how many
/// there were.
fn crowd(from: &Host, to: &Host) -> JoinHandle<usize> {
    let door = SocketAddr::from((to.address(), 4285));
    let addresses: Vec<Ipv4Addr> =
        (0..ADDRESSES).map(|at| Ipv4Addr::new(10, 77, 0, 200 + at)).collect();
    for address in &addresses {
        from.ip(&format!("addr add {address}/24 dev lan0")).unwrap();
    }
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (began, mut held, mut opened) = (Instant::now(), Vec::new(), 0);
            while began.elapsed() < STAYS {
                for &address in &addresses {
                    held.extend(silent(address, door).await);
                    opened += 1;
                    sleep(PAUSE).await;
                }
                let surplus = held.len().saturating_sub(usize::from(ADDRESSES) * OF_EACH);
                held.drain(..surplus);
            }
            opened
        })
    };
    from.enter(work).unwrap()
}

async fn silent(from: Ipv4Addr, to: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).ok()?;
    timeout(Duration::from_millis(50), socket.connect(to)).await.ok()?.ok()
}
