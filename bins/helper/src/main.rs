//! Lend this machine's link to somebody's download.

fn main() {}
