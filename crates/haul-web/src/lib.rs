//! The pages of the leader and the helper, served on loopback.
//!
//! A [`LeaderPage`] is a small web server on 127.0.0.1 through which a browser on this machine
//! starts a download and watches it. A [`HelperPage`] is one on which a helper's owner is asked,
//! sees what is lent, and sets the rules. The pages, their style and their scripts are part of the
//! program.
//!
//! ```no_run
//! # async fn example() -> Result<(), haul_web::Error> {
//! let page = haul_web::LeaderPage::builder("/home/asha/Downloads").open().await?;
//! println!("open {}", page.link());
//! page.serve(std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! Other programs, other users of the machine and other pages in the same browser can reach the
//! port too, so that being on loopback proves nothing:
//!
//! * the link holds a one-time token of 256 random bits in its fragment, which browsers never
//!   send; the page exchanges it for an `HttpOnly`, `SameSite=Strict` cookie and for a key;
//! * every request but for the page's own files needs both: the cookie, which no script can read,
//!   and the key as a header, which other ports of this machine never get to see;
//! * every request must name this server as its host, which a rebound name does not;
//! * every change must come from the page itself, as JSON, which no form can send;
//! * files land in one folder, under names that cannot lead out of it;
//! * nothing is run or shown that is not part of the program, and what others named is only ever
//!   shown as text.

mod asset;
mod board;
mod body;
mod error;
mod face;
mod gate;
mod helper;
mod jobs;
mod leading;
mod left;
mod lending;
mod name;
mod page;
mod past;
mod queue;
mod record;
mod reply;
mod secret;
mod server;
mod site;
mod stream;

pub use error::Error;
pub use helper::{HelperPage, HelperPageBuilder};
pub use page::{Begun, LeaderPage, LeaderPageBuilder};
pub use past::{Moment, Past};
pub use server::Links;
