//! Reloads in a loop, good and bad by turns, while clients ask without a pause.

use super::{Site, text, token, word};
use crate::patience::{PATIENCE, find};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long, where that is enough for a few turns.
const WHOLE: Duration = Duration::from_secs(6);
const CLIENTS: usize = 4;

#[test]
fn no_request_fails_and_none_is_answered_by_two_configurations() {
    let site = Site::start();
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let wrong = Arc::new(Mutex::new(Vec::new()));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (over, asked, wrong) = (over.clone(), asked.clone(), wrong.clone());
            let (host, client) = (site.serve.host.clone(), site.client.clone());
            std::thread::spawn(move || {
                let mut words = BTreeSet::new();
                while !over.load(Ordering::Relaxed) {
                    match word(&token(&host, &client)) {
                        Ok(word) => _ = words.insert(word),
                        Err(why) => wrong.lock().unwrap().push(why),
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
                words
            })
        })
        .collect();
    let begun = Instant::now();
    let mut turns = 0;
    let enough = |turns| turns >= 6 && asked.load(Ordering::Relaxed) > 200;
    while begun.elapsed() < WHOLE || (!enough(turns) && begun.elapsed() < PATIENCE) {
        turns += 1;
        let good = text(&format!("w{turns}"));
        // In place, as an editor may write it: a reload in the middle finds half a file.
        std::fs::write(site.file(), &good[..good.len() / 2]).unwrap();
        site.hangup();
        assert_eq!(site.refused()["reloaded"], false);
        site.write(&good);
        if turns % 2 == 0 {
            site.hangup();
            find("it", || (site.word() == format!("w{turns}")).then_some(()));
        } else {
            assert!(site.reload().status.success());
            assert_eq!(site.word(), format!("w{turns}"));
        }
    }
    over.store(true, Ordering::Relaxed);
    let words: BTreeSet<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    let (asked, wrong) = (asked.load(Ordering::Relaxed), wrong.lock().unwrap());
    assert!(wrong.is_empty(), "{} of {asked} failed, such as {}", wrong.len(), wrong[0]);
    assert!(
        turns >= 5 && asked > 10 * turns && words.len() > 3,
        "{turns} turns, {asked} requests, {words:?}"
    );
}
