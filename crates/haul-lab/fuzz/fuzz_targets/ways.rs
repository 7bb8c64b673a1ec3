//! No text of a user or an environment makes its reader panic.

#![no_main]

use haul_fetch::ways::{Cookies, Links, Netrc, NoProxy, Proxy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let base = "https://origin.example/file".parse().expect("it is a URL");
    drop((Netrc::parse(text), Cookies::parse(text), Links::parse(text, &base)));
    drop(text.parse::<Proxy>());
    NoProxy::parse(text).covers(&base);
});
