//! Tests of the whole: the crates together, and the binary from outside. One program, so that it links once.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_push_string,
    clippy::format_collect,
    clippy::disallowed_methods,
    reason = "a test ends where something is not as it should be, runs the real program, and need not be fast"
)]

mod architecture;
mod backup;
mod balancer;
mod brokered;
mod cli;
mod clients;
mod credential;
mod decisions;
mod deploy;
mod docs;
mod doctor;
mod exchange;
mod explain;
mod export;
mod forward_auth;
mod freeze;
mod grants;
mod held;
mod hostile;
mod invariants;
mod limits;
mod lints;
mod logs;
mod metrics;
mod mutual_tls;
mod nodes;
mod patience;
mod process;
mod records;
mod refusals;
mod reload;
mod replay;
mod revocation;
mod revoke;
mod ring;
mod root_key;
mod rotations;
mod seal_key;
mod serve;
mod tls;
#[cfg(feature = "otel")]
mod traces;
mod verify;
mod verify_api;
mod visitors;
