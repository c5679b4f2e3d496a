//! The client's side: credentials that a server gave, held until shortly before they end.
//!
//! A server is asked once for the whole life of a credential, by however many programs of one user. Between programs the
//! credential is a file of that user's alone (`cache`); in an agent it is in memory and nowhere else.

mod agent;
mod answer;
mod cache;
mod credential_process;
mod env;
mod exec;
mod folder;
mod moment;
mod obtain;
mod question;
mod shell;
mod surroundings;
mod variables;

pub(super) use agent::run as agent;
pub(super) use credential_process::run as credential_process;
pub(super) use env::run as env;
pub(super) use exec::run as exec;
pub(super) use obtain::{Keep, Trouble, obtain};
pub(super) use question::{Question, Wanted};

pub(super) use agent::Options as AgentOptions;
pub(super) use credential_process::Options as ProcessOptions;
pub(super) use env::Options as EnvOptions;
pub(super) use exec::Options as ExecOptions;
