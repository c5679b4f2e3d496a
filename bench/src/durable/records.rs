//! Records as they come to be: of each kind, as long as in life, and all different.

use crate::clock;
use anyhow::Context as _;
use daypass_core::id::{Entropy, uuid_v7};
use daypass_core::record::{Chain, Entry, Event, Record};
use daypass_core::ring::{Kek, Ring};
use uuid::Uuid;

/// The kinds, each with one record as `daypass dev` has written it.
pub(super) const KINDS: [(&str, &str); 6] = [
    ("grant, TC3 with a policy", GRANT),
    (
        "grant, access token",
        r#"{"id":"01a2035c-5ec8-70f8-b85d-59a447328985","at":"2026-11-22T13:05:14.952Z","event":{"event":"grant","credential":"50bcc21f-bae7-6c7c-8cfd-023e986948d0","expires":"2026-11-22T14:05:14.952Z","app_roles":["orders.read"],"audience":"d6b7c858-55fa-4d04-85a6-131af690abd4","kid":"2Iy-H28Azh7DBQzj8kP8IvwauogFGOiGcTUxd3rnF9s","asked":{"role":{"resource":"d6b7c858-55fa-4d04-85a6-131af690abd4"}}},"tenant":"demo","dialect":"entra","request":"01a2035c-5ec8-7ee4-b88c-05f9be733356","client":"685aea5a-6de6-497f-ae33-c2a88ff099ca","key":"bb11be34-a95f-4a10-b070-a0668a3cf6af","role":"devcenter","source":"127.0.0.1","proof":"client_secret_post"}"#,
    ),
    (
        "refusal",
        r#"{"id":"01a2035c-5ec8-70f8-b85d-59a447328985","at":"2026-11-22T13:05:14.952Z","event":{"event":"refusal","reason":"role_not_granted","detail":"the client may not ask for this role","asked":{"role":"default","form":"tencent"}},"tenant":"demo","dialect":"tencent.sts","request":"01a2035c-5ec8-7ee4-b88c-05f9be733356","client":"685aea5a-6de6-497f-ae33-c2a88ff099ca","key":"AKIDJRmMvSO8zjQkloptw1RtFNjceAt7gaB1","role":"soe","source":"127.0.0.1"}"#,
    ),
    (
        "ticket",
        r#"{"id":"01a2035c-5ec8-70f8-b85d-59a447328985","at":"2026-11-22T13:05:14.952Z","event":{"event":"ticket","ticket":"01a2035c-5ec8-7ee4-b88c-05f9be733356","origin":"https://lesson.example.com","expires":"2026-11-22T13:10:14.952Z"},"tenant":"demo","dialect":"tencent.getAuthorization","request":"01a2035c-5ec8-7ee4-b88c-05f9be733356","client":"685aea5a-6de6-497f-ae33-c2a88ff099ca","key":"TKTJRmMvSO8zjQkloptw1RtFNjceAt7gaB1","subject":"ann","source":"127.0.0.1"}"#,
    ),
    (
        "strangers of one second",
        r#"{"id":"01a2035c-5ec8-70f8-b85d-59a447328985","at":"2026-11-22T13:05:14.952Z","event":{"event":"strangers","reason":"signature_mismatch","network":"203.0.113.0/24","count":17}}"#,
    ),
    (
        "change",
        r#"{"id":"01a2035c-53a5-7236-a3ef-8502de7cb8e8","at":"2026-11-22T13:05:12.101Z","event":{"event":"change","action":"client.add","object":"devcenter-app"},"tenant":"demo"}"#,
    ),
];

/// What most of them are.
pub(super) const GRANT: &str = r#"{"id":"01a2035c-5e7c-7524-bab7-11eecc3ee6c1","at":"2026-11-22T13:05:14.876Z","event":{"event":"grant","credential":"AKIDAQAAAAGVGFpGRl3rxiKnh7UmNh_K","expires":"2026-11-22T13:35:14.876Z","policy":{"language":"cam","statements":[{"effect":"allow","actions":["soe:TransmitOralProcessWithInit"],"resources":["*"],"conditions":[]}]},"asked":{"role":"default","form":"tencent","policy":"issued"}},"tenant":"demo","dialect":"tencent.sts","request":"01a2035c-5e7b-732e-afc5-a8aa7ee80d08","client":"0770652a-7ff1-4986-9385-e9f270e81797","key":"AKIDJRmMvSO8zjQkloptw1RtFNjceAt7gaB1","role":"soe","session":"soe","source":"127.0.0.1"}"#;

/// The system's randomness.
pub(super) struct Random;

impl Entropy for Random {
    fn fill(&self, out: &mut [u8]) {
        rand::fill(out);
    }
}

/// Makes records of one kind.
pub(super) struct Maker(Record);

impl Maker {
    pub(super) fn of(document: &str) -> anyhow::Result<Self> {
        Ok(Self(serde_json::from_str(document).context("a record that this version does not read")?))
    }

    /// A new one, with ids of its own. Requests that are signed have a mark.
    pub(super) fn entry(&self) -> Entry {
        let now = clock::wall();
        let mut record = self.0.clone();
        record.at = now;
        record.id = uuid_v7(now, rand::random());
        if record.request.is_some() {
            record.request = Some(uuid_v7(now, rand::random()));
        }
        let signed = matches!(record.event, Event::Grant { .. });
        Entry { record, mark: signed.then(rand::random) }
    }
}

/// A chain of records under a ring of its own.
pub(super) fn chain() -> anyhow::Result<Chain> {
    let kek = Kek::new(&rand::random())?;
    let ring = Ring::open(&Ring::generate(&kek, &Random, clock::wall())?, &kek)?;
    Chain::begin(&ring, Uuid::from_u128(rand::random())).context("no record key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn records_of_every_kind_are_read_and_stay_as_long() {
        for (kind, document) in KINDS {
            let maker = Maker::of(document).unwrap();
            let length = |entry: &Entry| serde_json::to_vec(&entry.record).unwrap().len();
            let entries: Vec<_> = (0..50).map(|_| maker.entry()).collect();
            assert!(entries.iter().all(|entry| length(entry).abs_diff(document.len()) <= 8), "{kind}");
            let ids: HashSet<_> = entries.iter().map(|entry| entry.record.id).collect();
            assert_eq!(ids.len(), entries.len());
        }
    }
}
