//! What clients were told, written down on their side, and compared with the records afterwards.

use crate::ask::text_at;
use crate::installation::Installation;
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::process::Stdio;
use std::sync::Mutex;

/// Everything that was acknowledged to somebody.
#[derive(Default)]
pub struct Ledger(Mutex<Page>);

#[derive(Default)]
struct Page {
    credentials: Vec<String>,
    clients: Vec<String>,
    refused: HashMap<String, u64>,
    broken: Vec<String>,
    cut_off: u64,
    slowest: std::time::Duration,
}

/// What stands in a ledger.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// Credentials that clients received.
    pub credentials: usize,
    /// Changes that an operator was told are made.
    pub changes: usize,
    /// Refusals by their codes.
    pub refused: HashMap<String, u64>,
    /// Requests whose connection ended, or which nobody answered.
    pub cut_off: u64,
    /// The longest that an answer took.
    pub slowest: std::time::Duration,
}

impl Ledger {
    fn page(&self) -> std::sync::MutexGuard<'_, Page> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A client received this credential.
    pub fn credential(&self, id: String) {
        self.page().credentials.push(id);
    }

    /// An operator was told that this client is there.
    pub fn client(&self, name: String) {
        self.page().clients.push(name);
    }

    /// A client was refused with this code.
    pub fn refused(&self, code: &str) {
        *self.page().refused.entry(code.to_owned()).or_default() += 1;
    }

    /// A client got what its SDK cannot read.
    pub fn broken(&self, what: String) {
        self.page().broken.push(what);
    }

    /// A connection ended without an answer.
    pub fn cut_off(&self) {
        self.page().cut_off += 1;
    }

    /// An answer took this long.
    pub fn took(&self, time: std::time::Duration) {
        let mut page = self.page();
        page.slowest = page.slowest.max(time);
    }

    /// What stands in it now.
    pub fn sum(&self) -> Sum {
        let page = self.page();
        Sum {
            credentials: page.credentials.len(),
            changes: page.clients.len(),
            refused: page.refused.clone(),
            cut_off: page.cut_off,
            slowest: page.slowest,
        }
    }

    /// Compares with what the store holds: every credential that somebody has is recorded once, every acknowledged change is
    /// there, all answers could be read, and every chain is whole.
    pub fn settle(&self, installation: &Installation) -> anyhow::Result<Sum> {
        let recorded = recorded(installation)?;
        let listed = installation.done(&["client", "list", "--json"])?;
        let page = self.page();
        ensure!(
            page.broken.is_empty(),
            "{} answers could not be read: {:?}",
            page.broken.len(),
            page.broken.first()
        );
        let unrecorded: Vec<_> = page.credentials.iter().filter(|id| !recorded.contains_key(*id)).collect();
        ensure!(
            unrecorded.is_empty(),
            "{} credentials have no record: {:?}",
            unrecorded.len(),
            unrecorded.first()
        );
        let distinct: HashSet<_> = page.credentials.iter().collect();
        ensure!(distinct.len() == page.credentials.len(), "one credential was handed out for two requests");
        let twice: Vec<_> = recorded.iter().filter(|(_, times)| **times > 1).take(3).collect();
        ensure!(twice.is_empty(), "one credential has two records: {twice:?}");
        let lost: Vec<_> =
            page.clients.iter().filter(|name| !listed.contains(&format!("\"{name}\""))).collect();
        ensure!(lost.is_empty(), "{} acknowledged changes are gone: {:?}", lost.len(), lost.first());
        drop(page);
        installation.done(&["audit", "verify"]).context("the chains of records are not whole")?;
        Ok(self.sum())
    }
}

/// The credentials in the records, with how often each stands there as made (and not as handed out again).
fn recorded(installation: &Installation) -> anyhow::Result<HashMap<String, u64>> {
    let mut command = installation.command();
    command.args(["audit", "tail", "--json", "-n", "100000000", "--config"]).arg(installation.config());
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "`audit tail` failed: {}", String::from_utf8_lossy(&output.stderr));
    let mut found = HashMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let record: Value = serde_json::from_str(line)?;
        let text = |path| text_at(&record, path);
        let repeat = record.pointer("/event/repeat") == Some(&Value::Bool(true));
        if text("/event/event").as_deref() == Some("grant")
            && !repeat
            && let Some(id) = text("/event/credential")
        {
            *found.entry(id).or_default() += 1;
        }
    }
    Ok(found)
}
