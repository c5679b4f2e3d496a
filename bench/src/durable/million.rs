//! One among a million records: found, proved, exported, checked; and what memory that takes.

use super::place::sqlite;
use super::records::GRANT;
use super::site::Site;
use super::size::append;
use super::{Plan, Section};
use crate::clock;
use crate::process::peak_of;
use crate::statistics::number;
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// How many there are.
const RECORDS: usize = 1_000_000;
/// How often a command that runs is looked at.
const LOOK: Duration = Duration::from_millis(5);

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Section>> {
    let count = plan.scaled(RECORDS);
    let site = Site::prepare(plan, "million", sqlite(&plan.folder.join("million"))?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let (store, _) = site.open().await?;
        append(&*store, GRANT, count).await?;
        Ok::<_, anyhow::Error>(store.close().await?)
    })?;
    let newest = said(site.command(&["audit", "search", "--event", "grant", "-n", "1", "--json"]))?;
    let request = newest.get("request").and_then(Value::as_str).context("no request in a record")?.to_owned();
    let whole = site.folder.join("whole.jsonl").display().to_string();
    let part = site.folder.join("part.jsonl").display().to_string();
    let keys = site.folder.join("keys").display().to_string();
    fs::write(&keys, site.command(&["audit", "key"]).output()?.stdout)?;

    let mut section = Section::new("Commands on a file of so many records", ["command", "s", "peak MB"]);
    let title = format!("with {count} records");
    section.row([title, String::new(), String::new()]);
    for (what, args) in [
        ("search: one request", vec!["audit", "search", "--request", &request]),
        ("search: the newest hundred of a tenant", vec!["audit", "search", "--tenant", "demo"]),
        ("search: a credential that is not there", vec!["audit", "search", "--credential", "AKIDnobody"]),
        ("search: a span of time without any", vec!["audit", "search", "--until", "2020-01-01"]),
        ("verify", vec!["audit", "verify"]),
        ("export of all", vec!["audit", "export", "--out", &whole]),
        ("export of one request", vec!["audit", "export", "--request", &request, "--out", &part]),
    ] {
        let (took, peak) = run(site.command(&args)).with_context(|| what)?;
        section.row([what.to_owned(), took, peak]);
    }
    for (what, file) in [("check of all", &whole), ("check of one request", &part)] {
        let mut command = Command::new(&plan.daypass);
        command.args(["audit", "check", file, "--key", &keys]);
        let (took, peak) = run(command).with_context(|| what)?;
        section.row([what.to_owned(), took, peak]);
    }
    let (all, few) = (fs::metadata(&whole)?.len(), fs::metadata(&part)?.len());
    let each = number(all) / number(count as u64);
    section.notes.push(format!(
        "The whole export has {each:.0} bytes for each record; that of one request {few} in all."
    ));
    Ok(vec![section])
}

fn said(mut command: Command) -> anyhow::Result<Value> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Runs a command to its end; how many seconds it took, and how much memory it had at most.
fn run(mut command: Command) -> anyhow::Result<(String, String)> {
    let begin = clock::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut peak = 0;
    let status = loop {
        peak = peak.max(peak_of(child.id()).unwrap_or(0));
        match child.try_wait()? {
            Some(status) => break status,
            None => sleep(LOOK),
        }
    };
    ensure!(status.success(), "it ended with {status}");
    let took = begin.elapsed().as_secs_f64();
    Ok((format!("{took:.2}"), format!("{:.0}", number(peak) / 1024.0)))
}
