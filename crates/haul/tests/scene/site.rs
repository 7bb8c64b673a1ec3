//! A web server of one file that is here, or elsewhere.

use haul::Url;
use haul_lab::Payload;
use haul_span::Span;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

/// The length of the file.
pub(crate) const SIZE: u64 = 2 << 20;

/// The file.
pub(crate) fn payload() -> Payload {
    Payload::new(7, SIZE)
}

/// A web server that has the file, or says where it is.
pub(crate) struct Site(TcpListener);

impl Site {
    pub(crate) fn bind(last: u8) -> Self {
        Self(TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), 0)).unwrap())
    }

    pub(crate) fn url(&self) -> Url {
        format!("http://{}/file.bin", self.0.local_addr().unwrap()).parse().unwrap()
    }

    /// Serves until the process ends; from the answer of each number on it leads there.
    pub(crate) fn serve(self, leads: Vec<(usize, String)>) {
        thread::spawn(move || {
            for (nth, stream) in self.0.incoming().map_while(Result::ok).enumerate() {
                let to = leads.iter().rev().find(|(from, _)| *from <= nth);
                // Whoever leaves early wants no answer.
                let _ = answer(stream, to.map(|(_, to)| to.as_str()));
            }
        });
    }
}

fn answer(mut stream: TcpStream, leads: Option<&str>) -> io::Result<()> {
    let span = wanted(&stream)?;
    if let Some(to) = leads {
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\n\
             Location: {to}\r\n\r\n"
        );
    }
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Range: bytes {}-{}/{SIZE}\r\n\r\n",
        span.len(),
        span.start(),
        span.last()
    )?;
    stream.write_all(&payload().bytes(span))
}

/// The part that is asked for.
fn wanted(stream: &TcpStream) -> io::Result<Span> {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let range = lines.iter().find_map(|line| {
        let line = line.to_ascii_lowercase();
        let (start, last) = line.strip_prefix("range: bytes=")?.split_once('-')?;
        Span::new(start.parse().ok()?, last.parse::<u64>().ok()? + 1)
    });
    range.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
