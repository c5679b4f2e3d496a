//! Tests of the whole: the crates together, and the binary from outside. One program, so that it links once.

mod architecture;
mod cli;
mod hostile;
mod invariants;
mod process;
mod refusals;
