//! Web servers of the test: zeros for whoever asks, and redirects to wherever the path says.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::corpus::LENGTH;

/// Serves until the process ends. No connection is kept, so that every request resolves anew.
pub(crate) fn serve(listener: TcpListener) {
    let asked: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let asked = Arc::clone(&asked);
            // Whoever leaves early wants no answer.
            thread::spawn(move || drop(answer(stream, &asked)));
        }
    });
}

fn answer(mut stream: TcpStream, asked: &Mutex<HashMap<String, usize>>) -> io::Result<()> {
    let (path, range) = read(&stream)?;
    let before = std::mem::replace(asked.lock().unwrap().entry(path.clone()).or_default(), 1);
    match path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
        ["go", code, to] => redirect(&mut stream, code, to),
        ["later", to] if before > 0 => redirect(&mut stream, "302", to),
        _ => zeros(&mut stream, range),
    }
}

/// The path and the first and last byte that are wanted.
fn read(stream: &TcpStream) -> io::Result<(String, (u64, u64))> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut range = (0, LENGTH - 1);
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some((start, end)) =
            line.strip_prefix("range: bytes=").and_then(|range| range.split_once('-'))
        {
            range = (start.parse().unwrap_or(0), end.parse().unwrap_or(LENGTH - 1));
        }
    }
    Ok((path, range))
}

fn redirect(stream: &mut TcpStream, code: &str, to: &str) -> io::Result<()> {
    let digits: Vec<u8> = to.bytes().collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let location: Vec<u8> = digits.chunks_exact(2).map(byte).collect();
    write!(stream, "HTTP/1.1 {code} Go\r\nConnection: close\r\nContent-Length: 0\r\nLocation: ")?;
    stream.write_all(&location)?;
    stream.write_all(b"\r\n\r\n")
}

fn zeros(stream: &mut TcpStream, (start, end): (u64, u64)) -> io::Result<()> {
    let len = end.min(LENGTH - 1) + 1 - start;
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: {len}\r\n\
         Content-Range: bytes {start}-{}/{LENGTH}\r\n\r\n",
        start + len - 1
    )?;
    stream.write_all(&vec![0; len as usize])
}
