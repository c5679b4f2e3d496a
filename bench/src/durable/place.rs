//! Where records go: a new file, or a new database of a PostgreSQL that the bench starts.

use anyhow::Context as _;
use daypass_faults::postgres::{Server, programs};
use std::path::Path;

/// The backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    Sqlite,
    Postgres,
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// A PostgreSQL with its own settings but for its memory: `fsync` and `synchronous_commit` are on.
pub(super) struct Postgres(Server);

impl Postgres {
    /// None where there is none to start.
    pub(super) fn start() -> anyhow::Result<Option<Self>> {
        programs().map(|programs| Server::make(programs, &["shared_buffers=128MB"]).map(Self)).transpose()
    }

    /// The address of an empty database.
    pub(super) fn database(&self) -> Database<'_> {
        Database { server: &self.0, name: self.0.database() }
    }
}

/// One database of it.
pub(super) struct Database<'s> {
    server: &'s Server,
    name: String,
}

impl Database<'_> {
    /// For us, as for whoever runs a service: by its socket.
    pub(super) fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// How large a table is with its indexes, in bytes.
    pub(super) fn size(&self, table: &str) -> anyhow::Result<u64> {
        let sql = format!("SELECT pg_total_relation_size('{table}')");
        self.server.psql(&self.name, &sql)?.trim().parse().context("no size")
    }
}

/// The address of a store in this folder, which is made.
pub(super) fn sqlite(folder: &Path) -> anyhow::Result<String> {
    std::fs::create_dir_all(folder)?;
    Ok(format!("sqlite:{}", folder.join("daypass.db").display()))
}
