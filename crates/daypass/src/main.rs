//! Daypass: a security token service that speaks the wire formats of the SDKs people already use.

mod app;
mod cli;
mod config;
mod control;
mod identity;
mod mend;
mod metrics;
mod records;
mod reload;
mod roots;
mod rotation;
mod server;
mod system;
mod telemetry;
mod traces;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
