//! Download one file over the links of many machines.
//!
//! A [`Leader`] wants a file from an HTTP(S) origin. It starts on its own link at once, asks the
//! machines around it for help, and puts together what they fetch. A [`Helper`] is a machine whose
//! owner lends their link: it fetches spans of the file and keeps nothing.
//!
//! ```no_run
//! # async fn example() -> Result<(), haul::Error> {
//! let report = haul::Leader::builder("https://example.org/image.iso".parse().unwrap())
//!     .save_as("image.iso")
//!     .build()?
//!     .run()
//!     .await?;
//! println!("{} bytes, {:.1} times as fast as alone", report.bytes, report.speedup);
//! # Ok(())
//! # }
//! ```
//!
//! The hard limits of a helper, such as which addresses it may ever connect to, are no part of its
//! [`ConsentPolicy`] and cannot be switched off by one. Nothing is printed and no log subscriber
//! is installed; all that happens is told by [`Event`]s.

mod backpressure;
mod checksum;
mod disk;
pub mod doctor;
mod error;
mod event;
mod helper;
mod helpers;
mod home;
mod lanes;
mod leader;
mod limits;
mod place;
mod reader;
mod register;
mod report;
mod roster;
#[cfg(feature = "scan")]
mod scan;
mod size;
mod stops;
pub mod trust;

pub use error::{Error, ErrorKind, Retry};
pub use event::{Answer, Cause, Deliverer, Event, Failed, Happening, Stretch, WorkerProgress};
pub use haul_fetch::Cidr;
#[cfg(feature = "scan")]
pub use haul_scan::{Linger as ScanLinger, Pace as ScanPace, Policy as ScanPolicy};
pub use helper::{
    ConsentPolicy, Decision, Helper, HelperBuilder, HelperEvent, Lasts, Request, Serving,
};
pub use helper::{control, doors, policy};
pub use helpers::Helpers;
pub use home::Home;
pub use leader::roll_call;
pub use leader::{Leader, LeaderBuilder, Probed, Snapshot, Transfer};
pub use reader::Reader;
pub use register::LeftJob;
pub use report::{Checks, Report, Verified, WorkerReport};
#[cfg(feature = "scan")]
pub use scan::{Finding, Host, HostScan};
pub use size::ByteRate;
pub use stops::Stops;
pub use url::Url;
