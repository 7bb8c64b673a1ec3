//! The signals that end a program.

use std::future::pending;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak as Terminate, CtrlC as Interrupt, ctrl_break, ctrl_c};

#[cfg(unix)]
type Interrupt = Signal;
#[cfg(unix)]
type Terminate = Signal;

/// Hears a user's interrupt (Ctrl-C) and the system's request to end, of which none gets lost from
/// when this is made.
#[derive(Debug)]
pub struct Stops {
    interrupt: Option<Interrupt>,
    terminate: Option<Terminate>,
}

impl Stops {
    /// Listens from now on. A signal that cannot be listened for does what the system has it do.
    /// Must be called within a tokio runtime.
    pub fn listen() -> Self {
        #[cfg(unix)]
        let (interrupt, terminate) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        #[cfg(windows)]
        let (interrupt, terminate) = (ctrl_c(), ctrl_break());
        Self { interrupt: interrupt.ok(), terminate: terminate.ok() }
    }

    /// Ready when the program is to end, each time that is said. Cancel safe.
    pub async fn next(&mut self) {
        let Self { interrupt, terminate } = self;
        let interrupted = async {
            match interrupt {
                Some(signal) => signal.recv().await,
                None => pending().await,
            }
        };
        let terminated = async {
            match terminate {
                Some(signal) => signal.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            Some(()) = interrupted => {}
            Some(()) = terminated => {}
            else => pending().await,
        }
    }
}
