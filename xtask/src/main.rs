//! Everything this repository automates.

fn main() {}
