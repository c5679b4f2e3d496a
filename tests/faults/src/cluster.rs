//! Several nodes on one PostgreSQL behind a plain TCP balancer, and between each node and the database a wall that can be made
//! to misbehave.

use crate::ask::{Asker, Dialect};
use crate::installation::{CHEAP, Clients, Installation};
use crate::ledger::Ledger;
use crate::load::Load;
use crate::node::Node;
use crate::port::free_address;
use crate::postgres::Server;
use crate::proxy::Proxy;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// By what name all nodes know themselves.
pub const NAME: &str = "http://pass.test";

/// The nodes and what is around them.
pub struct Cluster {
    seats: Vec<Seat>,
    /// What clients ask.
    pub balancer: Proxy,
    /// The operator's own place: its commands reach the database past all walls.
    pub installation: Installation,
    /// The clients that ask in each dialect.
    pub clients: Clients,
    /// The database server.
    pub server: Server,
    /// The database in it.
    pub database: String,
    _folder: TempDir,
}

/// A node's place: it keeps its address and its wall when the node is another one.
struct Seat {
    node: Option<Node>,
    program: PathBuf,
    config: PathBuf,
    address: SocketAddr,
    wall: Proxy,
}

impl Cluster {
    /// Starts so many nodes of this program, with the usual rules as `change` makes them.
    pub fn start(
        daypass: &Path,
        server: Server,
        count: usize,
        change: impl Fn(&str) -> String,
    ) -> anyhow::Result<Self> {
        let (folder, database) = (tempfile::tempdir()?, server.database());
        let store = server.url(&database);
        let installation = Installation::on_store(daypass, folder.path(), folder.path(), store.clone())?;
        let text = std::fs::read_to_string(installation.config())?;
        let text = text.replacen("[server]\n", &format!("[server]\npublic_url = \"{NAME}\"\n"), 1);
        let text = change(&text);
        std::fs::write(installation.config(), &text)?;
        let clients = installation.clients()?;
        let seats = (0..count)
            .map(|number| {
                let (address, wall) = (free_address()?, Proxy::start(&[server.address()])?);
                let config = folder.path().join(format!("node{number}.toml"));
                let own = text.replace(&store, &Server::through(wall.address, &database));
                let own = own.replace(
                    &format!("listen = \"{}\"", installation.address),
                    &format!("listen = \"{address}\""),
                );
                std::fs::write(&config, own)?;
                Ok(Seat { node: None, program: daypass.to_owned(), config, address, wall })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let addresses: Vec<_> = seats.iter().map(|seat| seat.address).collect();
        let balancer = Proxy::start(&addresses)?;
        let mut cluster = Self { seats, balancer, installation, clients, server, database, _folder: folder };
        (0..count).try_for_each(|number| cluster.begin(number))?;
        Ok(cluster)
    }

    fn seat(&self, number: usize) -> anyhow::Result<&Seat> {
        self.seats.get(number).context("there is no such node")
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.seats.len()
    }

    /// Where each node listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.seats.iter().map(|seat| seat.address).collect()
    }

    /// A node that runs.
    pub fn node(&self, number: usize) -> anyhow::Result<&Node> {
        self.seat(number)?.node.as_ref().context("this node does not run")
    }

    /// What stands between a node and the database.
    pub fn wall(&self, number: usize) -> anyhow::Result<&Proxy> {
        Ok(&self.seat(number)?.wall)
    }

    /// Starts a node, and waits until it is ready.
    pub fn begin(&mut self, number: usize) -> anyhow::Result<()> {
        let log = self.installation.folder().join(format!("node{number}.log"));
        let seat = self.seats.get_mut(number).context("there is no such node")?;
        let mut command = self.installation.command_of(&seat.program);
        command.args(["serve", "--log", "info", "--config"]).arg(&seat.config);
        seat.node = Some(Node::start(command, seat.address, &log)?);
        Ok(())
    }

    /// From the next start on, this program sits there.
    pub fn seat_program(&mut self, number: usize, daypass: &Path) -> anyhow::Result<()> {
        daypass.clone_into(&mut self.seats.get_mut(number).context("there is no such node")?.program);
        Ok(())
    }

    /// Ends a node as a power cut would.
    pub fn kill(&mut self, number: usize) -> anyhow::Result<()> {
        let seat = self.seats.get_mut(number).context("there is no such node")?;
        seat.node.take().context("this node does not run")?.kill()
    }

    /// Asks a node to stop, and waits until it has.
    pub fn stop(&mut self, number: usize) -> anyhow::Result<()> {
        let seat = self.seats.get_mut(number).context("there is no such node")?;
        seat.node.take().context("this node does not run")?.stop()?;
        Ok(())
    }

    /// Changes the configuration, everywhere. Nobody is told.
    pub fn configure(&self, change: impl Fn(&str) -> String) -> anyhow::Result<()> {
        let own = self.installation.config();
        let all = self.seats.iter().map(|seat| &seat.config).chain([&own]);
        for file in all {
            let text = std::fs::read_to_string(file)?;
            std::fs::write(file, change(&text))?;
        }
        Ok(())
    }

    /// Makes requests as its clients do.
    pub fn asker(&self) -> Asker {
        Asker::new(self.balancer.address, self.clients.clone()).of(CHEAP)
    }

    /// So many clients that ask through the balancer until they are told to stop.
    pub fn load(&self, clients: usize) -> (Load, Arc<Ledger>) {
        let ledger = Arc::new(Ledger::default());
        let load = Load::start(self.balancer.address, &self.asker(), &Dialect::ALL, clients, &ledger);
        (load, ledger)
    }

    /// From now on every node finds the database there.
    pub fn move_database(&self, to: SocketAddr) {
        for seat in &self.seats {
            seat.wall.aim(&[to]);
            seat.wall.cut();
        }
    }
}
