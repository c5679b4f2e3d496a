//! Two versions of the program on one store.

use crate::case::{Case, Means, Outcome};
use anyhow::{Context as _, ensure};
use daypass_faults::ask::{Asker, Dialect};
use daypass_faults::installation::{CHEAP, Installation};
use daypass_faults::ledger::Ledger;
use daypass_faults::load::{DEADLINE, Load};
use daypass_faults::node::Node;
use daypass_faults::proxy::Proxy;
use std::sync::Arc;

pub(crate) const CASES: &[Case] = &[Case {
    name: "upgrade",
    fault: "two nodes of an older version behind a balancer are replaced one by one by this version, and one of them goes back",
    must: "both versions serve side by side, no request is refused or cut off but by a connection that its node closes, and \
           every credential has its record",
    work: upgrade,
}];

fn upgrade(means: &Means) -> anyhow::Result<Outcome> {
    let Some(older) = &means.older else {
        return Ok(Outcome::Skipped("no older version was given (--older)".into()));
    };
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    std::fs::create_dir(&data)?;
    // Set up by the older version, as it would be in life.
    let old = Installation::new(older, folder.path(), &data)?;
    let (second_config, second_address) = old.another("second")?;
    let log = folder.path().join("node.log");
    let clients = old.clients()?;
    let first = old.start()?;
    let second = Node::start(old.serve_with(&second_config), second_address, &log)?;
    let proxy = Proxy::start(&[first.address, second.address])?;
    let asker = Asker::new(proxy.address, clients).of(CHEAP);
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(proxy.address, &asker, &Dialect::ALL, 8, &ledger);
    let served = |step: &str| {
        load.goes_on(100, DEADLINE).then_some(()).with_context(|| format!("nothing is granted {step}"))
    };
    served("by the older version")?;

    // The same folder, in this version's hands.
    let (first_address, mut new) = (first.address, old.command_of(&means.daypass));
    proxy.aim(&[second.address]);
    first.stop()?;
    new.args(["serve", "--log", "warn", "--config"]).arg(old.config());
    let first =
        Node::start(new, first_address, &log).context("this version does not start beside the older one")?;
    proxy.aim(&[first.address, second.address]);
    served("by both versions side by side")?;

    proxy.aim(&[first.address]);
    second.stop()?;
    let second = Node::start(old.serve_with(&second_config), second_address, &log).context(
        "the older version does not start again on the store that the newer one has brought up to date",
    )?;
    proxy.aim(&[first.address, second.address]);
    served("after one node went back")?;
    load.stop();
    let new = Installation::new(&means.daypass, folder.path(), &data)?;
    let sum = ledger.settle(&new)?;
    first.stop()?;
    second.stop()?;
    ensure!(sum.refused.is_empty(), "requests were refused: {:?}", sum.refused);
    Ok(Outcome::Held(format!(
        "{} credentials by both versions, all there; {} requests cut off",
        sum.credentials, sum.cut_off
    )))
}
