use super::*;
use crate::helper::policy::Moment;
use crate::helper::{Lasts, Request};
use crate::trust::Standing;
use proptest::prelude::*;

const NOON: i64 = 20_512 * DAY + 43_200;
const NONE: Cares = Cares(0);

fn at(unix: i64) -> Moment {
    Moment { unix, offset: 0 }
}

fn request(leader: &str, host: &str) -> Request {
    Request {
        leader: "asha of ward 3".into(),
        leader_id: leader.into(),
        standing: Standing::Stranger,
        code: "418 207".into(),
        scheme: "https",
        host: host.into(),
        size: 7,
    }
}

fn grant(leader: &str, lasts: Lasts, unix: i64) -> Grant {
    Grant::to(&request(leader, "a.test"), lasts, NONE, at(unix))
}

fn covered(book: &Book, now: i64, leader: &str, host: &str) -> bool {
    let file = Covers::file(&request(leader, host));
    book.covering(now, leader, Sought::File(&file), NONE).next().is_some()
}

#[test]
fn a_yes_lasts_two_hours_or_until_midnight_and_not_a_second_longer() {
    let day_ends = NOON + 12 * 3600;
    for (lasts, end) in
        [(Lasts::File, NOON + 7200), (Lasts::TwoHours, NOON + 7200), (Lasts::Today, day_ends)]
    {
        let mut book = Book::default();
        book.give(grant("01", lasts, NOON));
        assert!(covered(&book, NOON, "01", "a.test") && covered(&book, end - 1, "01", "a.test"));
        assert!(!covered(&book, end, "01", "a.test"), "{lasts:?}");
        assert!(!covered(&book, NOON, "02", "a.test"), "another leader");
        let all = lasts != Lasts::File;
        assert_eq!(covered(&book, NOON, "01", "b.test"), all, "{lasts:?}: another file");
        let covers = |sought| book.covering(NOON, "01", sought, NONE).next().is_some();
        assert_eq!(covers(Sought::NoFile), all, "no file is named");
        assert!(covers(Sought::SomeFile), "a file was named before");
    }
    let east = Moment { unix: NOON, offset: 10 * 3600 };
    let grant = Grant::to(&request("01", "a.test"), Lasts::Today, NONE, east);
    assert_eq!(grant.until, NOON + 2 * 3600, "midnight is local");
}

#[test]
fn a_clock_that_was_set_back_before_a_yes_ends_it() {
    let mut book = Book::default();
    book.give(grant("01", Lasts::TwoHours, NOON));
    for early in [NOON - 1, 0, i64::MIN] {
        assert!(!covered(&book, early, "01", "a.test"), "{early}");
    }
    let told = Book::parse(summed(format!("{HEAD}\nyes 01 0 {} 0 0 0 all a", DAY + 1)).as_bytes());
    assert_eq!(told, Book::default(), "no line makes a yes longer than a day");
}

#[test]
fn a_yes_holds_in_no_new_circumstance_that_calls_for_a_person() {
    let mut book = Book::default();
    book.give(Grant { cares: Cares(0b101), ..grant("01", Lasts::TwoHours, NOON) });
    let holds = |cares| book.covering(NOON, "01", Sought::NoFile, Cares(cares)).next().is_some();
    assert!(holds(0b101) && holds(0b001) && holds(0));
    assert!(!holds(0b010) && !holds(0b111));
}

#[test]
fn a_wider_yes_takes_the_place_of_narrower_ones_and_is_taken_back_for_good() {
    let mut book = Book::default();
    book.give(grant("01", Lasts::File, NOON));
    book.give(grant("02", Lasts::File, NOON));
    let all = grant("01", Lasts::Today, NOON + 1);
    book.give(all.clone());
    book.count(&all.key(), 0, 0, 40);
    book.count(&all.key(), 1, 40, 30);
    book.count(&all.key(), 0, 0, 12);
    let counted: Vec<_> = book.holding(NOON + 1).map(|grant| (grant.files, grant.bytes)).collect();
    assert_eq!(counted, [(0, 0), (1, 42)]);
    assert_eq!(book.take_back(|grant| grant.leader_id == "01").len(), 1);
    assert!(book.was_taken_back(NOON + 1, &all.key()) && !covered(&book, NOON + 1, "01", "a.test"));
    book.count(&all.key(), 1, 0, 1);
    assert_eq!(book.holding(NOON + 1).count(), 1);
}

#[test]
fn a_yes_that_ended_or_gave_way_to_a_wider_one_was_not_taken_back() {
    let mut book = Book::default();
    let file = grant("01", Lasts::File, NOON);
    book.give(file.clone());
    assert!(!book.was_taken_back(NOON, &file.key()));
    book.give(grant("01", Lasts::Today, NOON + 1));
    assert!(!book.was_taken_back(NOON + 1, &file.key()), "a wider one covers it");
    book.take_back(|_| true);
    assert!(book.was_taken_back(file.until - 1, &file.key()));
    assert!(!book.was_taken_back(file.until, &file.key()), "it has ended by itself");
}

#[test]
fn what_a_job_has_used_up_in_all_its_sessions_is_known_for_a_day_unless_it_is_done() {
    let mut book = Book::default();
    let job = JobId::of("01", "https://a.test/x", 7);
    for other in [JobId::of("02", "https://a.test/x", 7), JobId::of("01", "https://a.test/y", 7)] {
        assert_ne!(job, other);
    }
    book.use_up(NOON, &job, 0, 40);
    book.use_up(NOON, &job, 0, 30);
    book.use_up(NOON, &job, 40, 20);
    assert_eq!((book.used(NOON - 9, &job), book.used(NOON + DAY - 1, &job)), (50, 50));
    assert_eq!(book.used(NOON + DAY, &job), 0);
    book.forget(&job);
    assert_eq!(book.used(NOON, &job), 0);
}

#[test]
fn yeses_and_jobs_of_many_do_not_grow_the_file_and_the_newest_stay() {
    let mut book = Book::default();
    for n in 0..1000 {
        book.give(grant(&n.to_string(), Lasts::Today, NOON));
        book.use_up(NOON, &JobId::of("01", &n.to_string(), 7), 0, 1);
    }
    assert_eq!((book.grants.len(), book.used.len()), (MOST, MOST));
    assert!(covered(&book, NOON, "999", "a.test") && !covered(&book, NOON, "0", "a.test"));
    assert_eq!(book.used(NOON, &JobId::of("01", "999", 7)), 1);
}

#[test]
fn the_file_is_written_as_its_format_says() {
    let mut book = Book::default();
    book.give(Grant { files: 2, bytes: 9, ..grant("ab", Lasts::TwoHours, 100) });
    book.give(Grant { cares: Cares(5), ..grant("cd", Lasts::File, 100) });
    book.use_up(100, &JobId("0f".into()), 0, 42);
    let expected = "haul grants 1\n\
        yes ab 100 7300 0 2 9 all asha of ward 3 SUM\n\
        yes cd 100 7300 5 0 0 file https a.test 7 asha of ward 3 SUM\n\
        job 0f 100 42 SUM\n";
    let text = book.to_string();
    let bare: Vec<_> = text.lines().map(|line| line.rsplit_once(' ').unwrap()).collect();
    let bare: String = bare
        .iter()
        .enumerate()
        .map(
            |(at, (line, sum))| {
                if at == 0 { format!("{line} {sum}\n") } else { format!("{line} SUM\n") }
            },
        )
        .collect();
    assert_eq!(bare, expected);
    assert_eq!(Book::parse(text.as_bytes()), book);
}

/// A book of some yeses and jobs.
fn some_book() -> impl Strategy<Value = Book> {
    let name = "[a-z .é-]{0,12}";
    let yes = (any::<u8>(), name, any::<bool>(), 0..DAY, any::<(u8, u64, u64)>());
    let job = (any::<u8>(), any::<u64>());
    (prop::collection::vec(yes, 0..6), prop::collection::vec(job, 0..6)).prop_map(
        |(yeses, jobs)| {
            let mut book = Book::default();
            for (id, leader, file, ago, (cares, files, bytes)) in yeses {
                let lasts = if file { Lasts::File } else { Lasts::Today };
                let grant = grant(&id.to_string(), lasts, NOON - ago);
                book.give(Grant { leader, files, bytes, cares: Cares(cares), ..grant });
            }
            for (id, bytes) in jobs {
                book.use_up(NOON, &JobId::of("01", &id.to_string(), 7), 0, bytes);
            }
            book
        },
    )
}

/// Whether all that the book says stands in whole lines of the file.
fn is_said_by(book: &Book, file: &[u8]) -> bool {
    let lines: Vec<&[u8]> = file.split(|&byte| byte == b'\n').collect();
    book.to_string().lines().skip(1).all(|line| lines.contains(&line.as_bytes()))
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(book in some_book()) {
        prop_assert_eq!(Book::parse(book.to_string().as_bytes()), book);
    }

    #[test]
    fn no_bytes_make_it_panic_or_grant_what_no_whole_line_says(bytes: Vec<u8>) {
        let with_head = [HEAD.as_bytes(), b"\n", &bytes].concat();
        for file in [bytes, with_head] {
            let book = Book::parse(&file);
            prop_assert!(is_said_by(&book, &file));
            prop_assert!(book.grants.is_empty(), "a sum is not hit by chance");
        }
    }

    #[test]
    fn a_file_that_was_torn_or_changed_anywhere_says_nothing_new(
        book in some_book(), cut in any::<prop::sample::Index>(),
        changed in any::<prop::sample::Index>(), byte: u8
    ) {
        let whole = book.to_string().into_bytes();
        let torn = &whole[cut.index(whole.len())..];
        let mut other = whole.clone();
        let place = changed.index(other.len());
        other[place] = byte;
        for file in [torn, &whole[..cut.index(whole.len())], &other] {
            let read = Book::parse(file);
            prop_assert!(is_said_by(&read, &whole), "{:?}", String::from_utf8_lossy(file));
        }
    }
}
