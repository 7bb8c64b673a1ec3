//! Download a file over the links of many machines.

fn main() {}
