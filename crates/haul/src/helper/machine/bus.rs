//! The one question to D-Bus: what NetworkManager thinks of the connection.
//!
//! One call of `org.freedesktop.DBus.Properties.Get` is all that haul needs of D-Bus, which is why
//! it is written out here (D-Bus Specification 0.43) and no library is taken in for it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long the bus may take for anything.
const PATIENCE: Duration = Duration::from_millis(500);

/// No answer that is waited for is longer, in bytes.
const LONGEST: usize = 64 << 10;

/// `NMMetered` of the primary connection; `None` where there is no bus or no NetworkManager.
pub(super) fn metered(bus: &Path) -> Option<u32> {
    let mut bus = UnixStream::connect(bus).ok()?;
    bus.set_read_timeout(Some(PATIENCE)).ok()?;
    bus.set_write_timeout(Some(PATIENCE)).ok()?;
    greet(&mut bus).ok()?;
    bus.write_all(&hello()).ok()?;
    bus.write_all(&question()).ok()?;
    // The answer to the greeting and signals may come first.
    (0..8).find_map(|_| answered(&mut bus).transpose())?.ok()
}

/// Says who is there: the user that the socket belongs to, in hexadecimal digits of its decimal ones.
fn greet(bus: &mut UnixStream) -> io::Result<()> {
    let user = rustix::process::geteuid().as_raw().to_string();
    // Every decimal digit is 0x30 and its own value.
    let user: String = user.chars().flat_map(|digit| ['3', digit]).collect();
    bus.write_all(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes())?;
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        bus.read_exact(&mut byte)?;
        line.push(byte[0]);
        if line.len() > 512 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    if !line.starts_with(b"OK ") {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    bus.write_all(b"BEGIN\r\n")
}

/// The first call of every connection.
fn hello() -> Vec<u8> {
    let bus = "org.freedesktop.DBus";
    call(1, "/org/freedesktop/DBus", bus, bus, "Hello", &[])
}

fn question() -> Vec<u8> {
    let manager = "org.freedesktop.NetworkManager";
    let path = "/org/freedesktop/NetworkManager";
    let properties = "org.freedesktop.DBus.Properties";
    call(QUESTION, path, manager, properties, "Get", &[manager, "Metered"])
}

/// A method call whose arguments are strings.
fn call(
    serial: u32,
    path: &str,
    destination: &str,
    interface: &str,
    member: &str,
    arguments: &[&str],
) -> Vec<u8> {
    let mut fields = Vec::new();
    for (code, kind, value) in
        [(1, "o", path), (2, "s", interface), (3, "s", member), (6, "s", destination)]
    {
        field(&mut fields, code, kind, |fields| string(fields, value));
    }
    if !arguments.is_empty() {
        let signature = "s".repeat(arguments.len());
        field(&mut fields, 8, "g", |fields| short_string(fields, &signature));
    }
    let mut body = Vec::new();
    for argument in arguments {
        string(&mut body, argument);
    }
    let mut message = vec![b'l', METHOD_CALL, 0, 1];
    for number in [body.len(), serial as usize, fields.len()] {
        message.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    }
    message.extend(fields);
    pad(&mut message, 8);
    message.extend(body);
    message
}

/// A field of the header. The header's fields begin at a multiple of 8, so that their own offsets
/// tell their alignment.
fn field(fields: &mut Vec<u8>, code: u8, kind: &str, value: impl FnOnce(&mut Vec<u8>)) {
    pad(fields, 8);
    fields.push(code);
    short_string(fields, kind);
    value(fields);
}

fn string(into: &mut Vec<u8>, text: &str) {
    pad(into, 4);
    into.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    into.extend(text.bytes().chain([0]));
}

fn short_string(into: &mut Vec<u8>, text: &str) {
    into.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    into.extend(text.bytes().chain([0]));
}

fn pad(into: &mut Vec<u8>, to: usize) {
    into.resize(into.len().next_multiple_of(to), 0);
}

/// Reads one message: the number if it is the answer, `None` if it is another message.
fn answered(bus: &mut impl Read) -> io::Result<Option<u32>> {
    let mut head = [0; 16];
    bus.read_exact(&mut head)?;
    let number = |at: usize| {
        let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
        if head[0] == b'l' { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
    };
    let (body, fields) = (number(4) as usize, number(12) as usize);
    if body > LONGEST || fields > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut rest = vec![0; fields.next_multiple_of(8) + body];
    bus.read_exact(&mut rest)?;
    // A variant of one u32: its signature in three bytes, one of padding, the number.
    let value = rest.get(rest.len() - body..).filter(|body| body.starts_with(b"\x01u\0"));
    let is_answer = head[1] == METHOD_RETURN && is_reply_to(&rest[..fields], head[0] == b'l');
    let failed = head[1] == ERROR && is_reply_to(&rest[..fields], head[0] == b'l');
    match value.and_then(|body| body.get(4..8)?.try_into().ok()) {
        Some(bytes) if is_answer => Ok(Some(if head[0] == b'l' {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })),
        _ if is_answer || failed => Err(io::ErrorKind::InvalidData.into()),
        _ => Ok(None),
    }
}

/// Whether the fields of a header say that the message answers the question: field 5, a u32.
fn is_reply_to(fields: &[u8], little: bool) -> bool {
    let serial = if little { QUESTION.to_le_bytes() } else { QUESTION.to_be_bytes() };
    let wanted: Vec<u8> = [5, 1, b'u', 0].into_iter().chain(serial).collect();
    fields.chunks(8).any(|aligned| aligned == wanted)
}

const QUESTION: u32 = 2;

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

#[cfg(test)]
mod tests;
