//! The socket at which whoever runs a service speaks to it: one line of JSON asks, one line answers.
//!
//! It is for the user that the service runs as, and for root. Nobody else can open it, and whoever asks is looked at by its user
//! all the same.

mod ask;
mod door;
mod place;

pub(crate) use ask::{Trouble, ask};
pub(crate) use door::{Control, Listens};
pub(crate) use place::candidates;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The longest line, in bytes: an answer may tell of many faults.
const LINE: u64 = 1024 * 1024;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Read the configuration again.
    Reload {
        /// The file that the asker means. A service that runs on another one says so.
        #[serde(default)]
        file: Option<PathBuf>,
    },
    /// Say where the service listens and what it runs on.
    Status,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Another configuration is in force.
    Reloaded {
        /// The file.
        file: PathBuf,
        /// Its SHA-256.
        sha256: String,
        /// That of the one before.
        before: String,
        /// What deserves a look, each as people read it.
        warnings: Vec<String>,
    },
    /// Nothing has changed.
    Refused {
        /// Why, as people read it.
        message: String,
        /// The faults of the file, as `daypass check --json` tells them.
        errors: serde_json::Value,
    },
    /// How the service is.
    Status {
        /// The file that it runs on.
        file: PathBuf,
        /// The SHA-256 of what is in force.
        sha256: String,
        /// Where it listens, and how.
        #[serde(flatten)]
        listens: Listens,
    },
}
