use super::*;
use std::io::BufRead;
use std::io::BufReader;
use std::os::unix::net::UnixListener;
use std::thread;
use tempfile::TempDir;

/// A bus that answers the question with these bytes after the greeting.
fn bus(answers: Vec<u8>) -> Option<u32> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("bus");
    let listener = UnixListener::bind(&path).unwrap();
    let served = thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert!(line.starts_with("\0AUTH EXTERNAL 3"), "{line:?}");
        stream.get_mut().write_all(b"OK 1234deadbeef\r\n").unwrap();
        line.clear();
        stream.read_line(&mut line).unwrap();
        assert_eq!(line, "BEGIN\r\n");
        let mut calls = vec![0; hello().len() + question().len()];
        stream.read_exact(&mut calls).unwrap();
        stream.get_mut().write_all(&answers).unwrap();
    });
    let told = metered(&path);
    served.join().unwrap();
    told
}

fn message(kind: u8, reply_to: u32, body: &[u8]) -> Vec<u8> {
    let mut message = vec![b'l', kind, 0, 1];
    for number in [u32::try_from(body.len()).unwrap(), 9, 8] {
        message.extend(number.to_le_bytes());
    }
    message.extend([5, 1, b'u', 0]);
    message.extend(reply_to.to_le_bytes());
    message.extend(body);
    message
}

fn variant(number: u32) -> Vec<u8> {
    [&b"\x01u\0\0"[..], &number.to_le_bytes()].concat()
}

#[test]
fn the_answer_to_the_question_is_found_behind_that_to_the_greeting() {
    let name = b"\x06\0\0\0:1.234\0";
    let answers = [message(METHOD_RETURN, 1, name), message(METHOD_RETURN, 2, &variant(4))];
    assert_eq!(bus(answers.concat()), Some(4));
}

#[test]
fn without_networkmanager_a_bus_or_sense_there_is_no_answer() {
    assert_eq!(bus(message(ERROR, 2, b"\x03\0\0\0no!\0")), None);
    assert_eq!(bus(message(METHOD_RETURN, 2, b"\x01s\0\0")), None);
    assert_eq!(bus(vec![b'l'; 7]), None);
    assert_eq!(bus(vec![0xff; 400]), None);
    assert_eq!(metered(Path::new("/nowhere/at/all")), None);
}

#[test]
fn a_call_is_written_as_the_specification_lays_it_out() {
    let call = hello();
    assert_eq!(&call[..16], b"l\x01\0\x01\0\0\0\0\x01\0\0\0\x6d\0\0\0");
    assert_eq!(&call[16..24], b"\x01\x01o\0\x15\0\0\0");
    assert!(call.len().is_multiple_of(8));
    let text = String::from_utf8_lossy(&question()).into_owned();
    assert!(text.contains("Metered") && text.contains("\u{8}\u{1}g\0\u{2}ss\0"), "{text:?}");
}
