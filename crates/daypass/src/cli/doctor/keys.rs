//! Keys: Daypass's own, its clients', and those that it has at clouds.

use super::finding::Finding;
use crate::config::Loaded;
use daypass_core::clock::Timestamp;
use daypass_core::directory::Directory;
use daypass_core::expiry::{URGENT, ends_within, root_ends_within};
use daypass_core::root::RootState;
use daypass_core::upstream::RootSource;

pub(super) fn look(config: &Loaded, directory: &Directory, now: Timestamp, found: &mut Vec<Finding>) {
    let ages = directory.rules().ages(directory.ring().stages(), now);
    let overdue: Vec<_> = ages.iter().filter(|age| age.overdue).map(|age| age.stage.name()).collect();
    found.push(if overdue.is_empty() {
        Finding::ok(
            "ring",
            format!("the seal key opens all {} keys, and none is overdue", directory.ring().stages().len()),
        )
    } else {
        let text = format!("keys that have worked for too long: {}", overdue.join(", "));
        Finding::warning(
            "ring",
            text,
            "a running service replaces them by itself: look at its log, and at `daypass ring list`",
        )
    });
    clients(directory, now, found);
    let frozen = directory.freezes().len();
    if frozen > 0 {
        let text = format!("an operator has stopped that anything is issued at {frozen} places");
        found.push(Finding::warning(
            "freezes",
            text,
            "`daypass freeze list` shows them, and `daypass thaw` goes on",
        ));
    }
    clouds(config, directory, now, found);
}

fn clients(directory: &Directory, now: Timestamp, found: &mut Vec<Finding>) {
    let ending: Vec<_> = directory
        .ending_keys()
        .filter(|(client, key)| ends_within(client, key, URGENT, now))
        .map(|(client, key)| format!("{} of {}", key.id, client.name))
        .collect();
    found.push(if ending.is_empty() {
        Finding::ok("client_keys", format!("no client's key ends within {URGENT} days"))
    } else {
        let text = format!("keys that end within {URGENT} days: {}", ending.join(", "));
        Finding::warning(
            "client_keys",
            text,
            "`daypass client rotate NAME` makes the next one; both work until the old one ends",
        )
    });
}

/// The root keys: those that the configuration names can be read, and those of the store are there and live.
fn clouds(config: &Loaded, directory: &Directory, now: Timestamp, found: &mut Vec<Finding>) {
    let check = "root_keys";
    let before = found.len();
    let plan = match config.calling_plan("") {
        Ok(plan) => plan,
        Err(errors) => {
            let todo = "put the root key where the issuer says, for its owner alone; or keep it in the store: `daypass root-key stage`";
            found.push(Finding::fault(check, errors.to_string(), todo));
            return;
        }
    };
    for upstream in &plan.upstreams {
        let stored = matches!(upstream.root, RootSource::Stored);
        let mut live = directory
            .roots()
            .iter()
            .filter(|row| row.issuer == upstream.name && row.state == RootState::Active);
        if stored && live.next().is_none() {
            let text = format!("the issuer `{}` has no root key", upstream.name);
            found.push(Finding::fault(
                check,
                text,
                format!("daypass root-key stage {} --from FILE", upstream.name),
            ));
        }
    }
    for row in directory.roots().iter().filter(|row| root_ends_within(row, URGENT, now)) {
        let text =
            format!("the root key {} of `{}` ends within {URGENT} days or has ended", row.id, row.issuer);
        let todo =
            format!("make another one at the cloud, and: daypass root-key stage {} --from FILE", row.issuer);
        found.push(Finding::warning(check, text, todo));
    }
    if found.len() == before && !plan.upstreams.is_empty() {
        let text = format!(
            "{} clouds have a root key; `daypass root-key prove` asks whether they take it",
            plan.upstreams.len()
        );
        found.push(Finding::ok(check, text));
    }
}
