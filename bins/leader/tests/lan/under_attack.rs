use crate::common::PATIENCE;
use crate::scene::{Scene, say};
use haul_lab::Payload;
use haul_lab::hostile::{Enticer, ask, forging};
use haul_lab::lan::{Host, Lan, Link, Process};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SIZE: u64 = 32 << 20;

/// What the links carry, in Mbit/s.
const RATE: u64 = 20;

/// How many connections and datagrams the attackers make.
const PEERS: usize = 1000;
const DATAGRAMS: u32 = 100_000;

/// How many strangers want the owner of a helper to be asked, and for how long each.
const STRANGERS: u8 = 20;
const PATIENT: Duration = Duration::from_secs(2);

/// The most questions that an owner is asked in an hour.
const QUESTIONS: usize = 6;

/// The least share of its speed that a download keeps.
const LEAST: f64 = 0.9;

/// The most that memory may grow, in bytes.
const GROWTH: u64 = 64 << 20;

/// The most bytes of UDP that go out for each that comes in.
const ECHO: f64 = 0.3;

#[test]
fn a_thousand_peers_and_a_flood_of_datagrams_slow_nothing_down() {
    let link = Link::mbit(RATE);
    let lan = Lan::builder().leader(link).helper("asha", link);
    let lan = lan.helper("ben", link).helper("mallory", Link::UNSHAPED);
    let Some(scene) = Scene::build(lan) else { return };
    let payload = Payload::new(31, SIZE);
    let origin = scene.serve(payload);
    let url = origin.url("/file.bin");
    let [asha, ben, mallory] = ["asha", "ben", "mallory"].map(|name| scene.lan.helper(name));
    let mut helps = scene.helper(asha, "always", &[]);
    let owner = scene.absent_owner(ben);
    let mut quiet = scene.get(&url, &[]);
    quiet.until_stored(SIZE / 10);
    let before = (quiet.process.usage().peak_memory, helps.usage().peak_memory);
    let alone = quiet.exact(payload).seconds;
    let counted = Udp::of(asha);
    let mut get = scene.get(&url, &[]);
    get.until_stored(SIZE / 10);
    let attack = [
        connections(mallory, scene.lan.leader()),
        connections(mallory, asha),
        datagrams(mallory, scene.lan.leader()),
        datagrams(mallory, asha),
        strangers(mallory, ben),
    ];
    get.until_stored(SIZE * 9 / 10);
    let after = (get.process.usage().peak_memory, helps.usage().peak_memory);
    let seconds = get.exact(payload).seconds;
    for attacker in attack {
        attacker.join().unwrap();
    }
    let asked = owner.shown().matches("wants to download").count();
    let echo = Udp::of(asha).since(counted);
    let speed = alone / seconds;
    let grown = [after.0.saturating_sub(before.0), after.1.saturating_sub(before.1)];
    say(&format!(
        "under attack: {speed:.3} of the speed, grown by {} and {} KiB, {asked} questions, \
         {echo:.4} datagrams out per datagram in",
        grown[0] >> 10,
        grown[1] >> 10
    ));
    assert!(speed >= LEAST, "{alone:.2} s before, {seconds:.2} s under attack");
    assert!(grown.iter().all(|&grown| grown <= GROWTH), "{grown:?}");
    assert!((1..=QUESTIONS).contains(&asked), "{}", owner.shown());
    assert!(echo <= ECHO, "{echo}");
}

/// How many asks a second are forged, and for how long.
const FORGED: u32 = 30;
const FORGING: Duration = Duration::from_secs(12);

/// How long a helper may take to join under them, in seconds.
const JOINED: f64 = 2.0;

#[test]
fn forged_asks_from_addresses_where_nobody_is_keep_no_helper_away() {
    let link = Link::mbit(RATE);
    let lan = Lan::builder().leader(link).helper("asha", link).helper("mallory", Link::UNSHAPED);
    let Some(scene) = Scene::build(lan) else { return };
    let payload = Payload::new(33, SIZE);
    let origin = scene.serve(payload);
    let [asha, mallory] = ["asha", "mallory"].map(|name| scene.lan.helper(name));
    let _helps = scene.helper(asha, "always", &[]);
    let forger = forged(mallory, asha);
    std::thread::sleep(FORGING / 4);
    let ran = scene.get(&origin.url("/file.bin"), &["--no-scan"]).exact(payload);
    let sent = forger.join().unwrap();
    let events = ran.events();
    let joined = events.iter().find(|event| event["event"] == "joined");
    let at = joined.map_or(f64::INFINITY, |event| event["at"].as_f64().unwrap());
    say(&format!("under {FORGED} forged asks a second, {sent} in all: joined after {at:.2} s"));
    assert!(sent >= FORGED * 10, "{sent}");
    assert!(at <= JOINED, "{at}: {events:?}");
}

/// Asks in the names of addresses of the network that are nobody's.
fn forged(from: &Host, to: &Host) -> JoinHandle<u32> {
    let target = SocketAddr::from((to.address(), 4285));
    let work = move || {
        let began = Instant::now();
        for at in 0_u32.. {
            if began.elapsed() > FORGING {
                return at;
            }
            let mut id = [0xfe; 16];
            id[..4].copy_from_slice(&at.to_be_bytes());
            let source = Ipv4Addr::new(10, 77, 0, 100 + (at % 150) as u8);
            let forged = forging(source).unwrap();
            forged.send_to(&ask(id, [7; 32], 4290).to_bytes(), target).unwrap();
            std::thread::sleep(Duration::from_secs(1) / FORGED);
        }
        0
    };
    from.enter(work).unwrap()
}

/// A thousand connections to a machine's door, which are silent, talk garbage, or begin TLS.
fn connections(from: &Host, to: &Host) -> JoinHandle<()> {
    let door = SocketAddr::from((to.address(), 4285));
    let work = move || {
        let words: [&[u8]; 3] = [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00"];
        let connect = |at: usize| {
            let mut stream = TcpStream::connect_timeout(&door, Duration::from_secs(5)).ok()?;
            // A door that is shut has done what it should.
            let _ = stream.write_all(words[at % words.len()]);
            Some(stream)
        };
        let held: Vec<TcpStream> = (0..PEERS).filter_map(connect).collect();
        std::thread::sleep(Duration::from_secs(2));
        drop(held);
    };
    from.enter(work).unwrap()
}

/// Garbage, and every tenth an ask that looks right and names nobody.
fn datagrams(from: &Host, to: &Host) -> JoinHandle<()> {
    let target = SocketAddr::from((to.address(), 4285));
    let work = move || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        for at in 0..DATAGRAMS {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&at.to_be_bytes());
            let ask = ask(id, [7; 32], 4290).to_bytes();
            let garbage = [at as u8; 512];
            let datagram = if at % 10 == 0 { ask } else { garbage };
            // A full queue, or a word that nobody listens, is none of the sender's business.
            let _ = socket.send_to(&datagram, target);
        }
    };
    from.enter(work).unwrap()
}

/// Leaders with a new key each that want the helper's owner to be asked.
fn strangers(from: &Host, to: &Host) -> JoinHandle<()> {
    let helper = SocketAddr::from((to.address(), 4285));
    for at in 0..STRANGERS {
        from.ip(&format!("addr add 10.77.0.{}/24 dev lan0", 200 + at)).unwrap();
    }
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for at in 0..STRANGERS {
                let from = Ipv4Addr::new(10, 77, 0, 200 + at);
                let enticer = Enticer { from, helper, length: 1 << 20 };
                // What the helper says to it is counted at the helper.
                let _ = enticer.entice("http://203.0.113.10/zeros", PATIENT).await;
            }
        });
    };
    from.enter(work).unwrap()
}

/// Datagrams that a machine has received and sent.
#[derive(Clone, Copy)]
struct Udp {
    received: f64,
    sent: f64,
}

impl Udp {
    /// As the kernel counts them, with those that nobody wanted.
    fn of(host: &Host) -> Self {
        let mut command: Command = host.command("cat");
        let mut cat = Process::spawn(command.arg("/proc/net/snmp")).unwrap();
        cat.wait_within(PATIENCE).unwrap();
        let text = cat.stdout();
        let mut lines = text.lines().filter(|line| line.starts_with("Udp:"));
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        let value = |wanted: &str| {
            let at = names.split(' ').position(|name| name == wanted).unwrap();
            values.split(' ').nth(at).unwrap().parse::<f64>().unwrap()
        };
        Self { received: value("InDatagrams") + value("InErrors"), sent: value("OutDatagrams") }
    }

    fn since(self, before: Self) -> f64 {
        (self.sent - before.sent) / (self.received - before.received)
    }
}
