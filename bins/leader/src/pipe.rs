//! `-o -`: the file in order to standard output, while it is being downloaded.

use crate::args::Get;
use crate::bars::Bars;
use crate::get::{follow, only, print_failed, verdict};
use haul::{Error, Event, Happening, Leader, Reader};
use std::io;
use std::path::Path;
use std::process::ExitCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

/// Whether standard output is where the file is to go.
pub(crate) fn is_wanted(get: &Get) -> bool {
    get.output.as_deref() == Some(Path::new("-"))
}

/// Downloads a file and writes it to standard output; events go to standard error.
///
/// Bytes are written before the file is checked as a whole, which can be done only at its end: a
/// pipe whose download fails has been given something that is not to be used.
pub(crate) async fn download(get: Get, verbose: u8) -> Result<ExitCode, Error> {
    refuse_others(&get)?;
    let mut bars = (!get.quiet).then(|| Bars::new(verbose > 0));
    let leader = only(&Get { output: None, ..get }).await?.spool();
    let mut transfer = leader.build().map(Leader::start)?;
    let (stop, mut stopped) = oneshot::channel();
    let written = tokio::spawn(write_all(transfer.reader(), stop));
    let mut end = None;
    let mut show = |event: &Event| {
        if let Some(bars) = &mut bars {
            bars.show(event);
        }
        if let Happening::Done(report) = &event.what {
            end = Some(verdict(report));
        }
    };
    let refused = tokio::select! {
        () = follow(&mut transfer, &mut show) => None,
        Ok(error) = &mut stopped => Some(error),
    };
    if let Some(error) = refused {
        transfer.cancel();
        // That it was stopped is no news; when it has ended, nothing of it is left.
        let _ = transfer.finish().await;
        return not_written(&error);
    }
    if let Some(bars) = &mut bars {
        bars.end();
    }
    transfer.finish().await?;
    let written = written.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    if let Err(error) = written {
        return not_written(&error);
    }
    bars.and(end).iter().for_each(|end| eprintln!("{end}"));
    Ok(ExitCode::SUCCESS)
}

fn refuse_others(get: &Get) -> Result<(), Error> {
    let why = if get.json {
        "with -o - the file goes to standard output, where --json would tell its events"
    } else if get.resume {
        "with -o - nothing is kept that -c could go on with"
    } else if get.dir.is_some() {
        "with -o - there is no file to be saved in a folder"
    } else if get.report.is_some() {
        "with -o - no report is written"
    } else {
        return Ok(());
    };
    let error = Error::usage(why);
    if get.json {
        print_failed(&error);
    }
    Err(error)
}

/// Copies the file to standard output; that it cannot be written there is told at once, and that
/// it cannot be read at the end: the download's own error then says more.
async fn write_all(mut file: Reader, stop: oneshot::Sender<io::Error>) -> io::Result<()> {
    let mut out = tokio::io::stdout();
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece).await?;
        if read == 0 {
            return out.flush().await;
        }
        if let Err(error) = out.write_all(&piece[..read]).await {
            let kind = error.kind();
            // If nobody hears of it, the download has ended and hears of it by the result.
            let _ = stop.send(error);
            return Err(kind.into());
        }
    }
}

/// Whoever closed the pipe has what they wanted: nothing is to be said about that.
fn not_written(error: &io::Error) -> Result<ExitCode, Error> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(ExitCode::from(CLOSED));
    }
    if let Some(unreadable) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return Err(unreadable.clone());
    }
    Err(Error::output(format!("standard output: {error}")))
}

/// What a shell says of a program that writes to a closed pipe: 128 and the number of `SIGPIPE`.
const CLOSED: u8 = 141;

const PIECE: usize = 256 << 10;
