//! What came to the fake cloud: counted, and listed without anything secret.

use super::fault::Harm;
use super::sight::Cloud;
use daypass_core::clock::{Timestamp, rfc3339};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// The most questions that are listed; older ones are still counted.
const KEPT: usize = 10_000;

/// One question and how it ended.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// When it came, by the emulated clock.
    pub(super) at: Timestamp,
    /// Who was asked.
    pub(super) cloud: Cloud,
    /// What was asked.
    pub(super) action: String,
    /// The id of the key, as it was shown.
    pub(super) key: Option<String>,
    /// `ok`, the cloud's code, or what became of the connection.
    pub(super) result: String,
    /// The fault that it got.
    pub(super) fault: Option<Harm>,
}

/// All questions since the start, or since they were forgotten.
#[derive(Default)]
pub(super) struct Log(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    total: u64,
    counts: BTreeMap<String, u64>,
    last: VecDeque<Asked>,
}

impl Log {
    /// Adds a question.
    pub(super) fn add(&self, asked: Asked) {
        let mut kept = self.0.lock();
        kept.total += 1;
        let name = format!("{} {} {}", asked.cloud.name(), asked.action, asked.result);
        // Whoever asks for ten thousand different actions is counted as one.
        let name = if kept.counts.len() < KEPT || kept.counts.contains_key(&name) {
            name
        } else {
            "other".to_owned()
        };
        *kept.counts.entry(name).or_default() += 1;
        if kept.last.len() == KEPT {
            kept.last.pop_front();
        }
        kept.last.push_back(asked);
    }

    /// Begins anew.
    pub(super) fn forget(&self) {
        *self.0.lock() = Kept::default();
    }

    /// Everything, oldest first.
    pub(super) fn shown(&self) -> Value {
        let kept = self.0.lock();
        let one = |asked: &Asked| {
            json!({
                "at": rfc3339(asked.at), "cloud": asked.cloud.name(), "action": asked.action, "key": asked.key,
                "result": asked.result, "fault": asked.fault.map(Harm::name),
            })
        };
        let requests: Vec<_> = kept.last.iter().map(one).collect();
        json!({ "total": kept.total, "counts": kept.counts, "requests": requests })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::START;

    fn asked(action: &str, result: &str) -> Asked {
        Asked {
            at: START,
            cloud: Cloud::Tencent,
            action: action.into(),
            key: Some("AKIDa".into()),
            result: result.into(),
            fault: Some(Harm::Busy),
        }
    }

    #[test]
    fn questions_are_counted_and_listed() {
        let log = Log::default();
        for result in ["ok", "ok", "RequestLimitExceeded"] {
            log.add(asked("AssumeRole", result));
        }
        let shown = log.shown();
        assert_eq!(shown["total"], 3);
        assert_eq!(
            shown["counts"],
            json!({"tencent AssumeRole RequestLimitExceeded": 1, "tencent AssumeRole ok": 2})
        );
        assert_eq!(
            shown["requests"][2],
            json!({"at": "2023-11-14T22:13:20Z", "cloud": "tencent", "action": "AssumeRole", "key": "AKIDa",
                   "result": "RequestLimitExceeded", "fault": "429"})
        );
        log.forget();
        assert_eq!(log.shown(), json!({"total": 0, "counts": {}, "requests": []}));
    }

    #[test]
    fn a_flood_of_questions_does_not_fill_the_memory() {
        let log = Log::default();
        for n in 0..KEPT + 10 {
            log.add(asked(&n.to_string(), "ok"));
        }
        let shown = log.shown();
        assert_eq!(shown["total"], KEPT + 10);
        assert_eq!(
            (shown["requests"].as_array().unwrap().len(), &shown["counts"]["other"]),
            (KEPT, &json!(10))
        );
    }
}
