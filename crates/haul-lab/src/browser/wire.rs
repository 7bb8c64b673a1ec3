use crate::Error;
use serde_json::Value;
use std::io;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// How long a driver may take for one answer.
const PATIENCE: Duration = Duration::from_secs(90);

/// Sends one request to the driver and gives the value that it answers with (`WebDriver` §6.3).
pub(super) fn call(
    port: u16,
    method: &str,
    path: &str,
    value: Option<&Value>,
) -> Result<Value, Error> {
    let asked = format!("{method} {path}");
    let answer = exchange(port, &asked, value).map_err(Error::io(format!("ask for {asked}")))?;
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let value = answer["value"].clone();
    match value["error"].as_str() {
        None => Ok(value),
        Some(error) => {
            let said = value["message"].as_str().unwrap_or(error).to_owned();
            Err(Error::Browser { asked, said })
        }
    }
}

/// The body of the answer. The driver does not close the connection after it.
fn exchange(port: u16, asked: &str, value: Option<&Value>) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = value.map(Value::to_string).unwrap_or_default();
    let head = format!(
        "{asked} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes())?;
    let mut answer = BufReader::new(stream);
    let mut body = vec![0; length(&mut answer)?];
    answer.read_exact(&mut body)?;
    Ok(body)
}

/// Reads a head to its end; what it says of the length of the body.
fn length(answer: &mut impl BufRead) -> io::Result<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        answer.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            return Ok(length);
        }
        if let Some(told) = line.strip_prefix("content-length:") {
            length = told.trim().parse().map_err(io::Error::other)?;
        }
    }
}

/// Bytes in base 64 (RFC 4648 §4); what is none of its letters is passed over.
pub(super) fn from_base64(text: &str) -> Vec<u8> {
    let letter = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let letters: Vec<u8> = text.bytes().filter_map(letter).collect();
    let four = |four: &[u8]| {
        let bits = four.iter().fold(0, |bits, &letter| bits << 6 | u32::from(letter));
        let bits = bits << (6 * (4 - four.len()));
        bits.to_be_bytes()[1..four.len()].to_vec()
    };
    letters.chunks(4).flat_map(four).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_reads_as_its_standard_shows() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")]
        {
            assert_eq!(from_base64(text), bytes.as_bytes());
        }
    }
}
