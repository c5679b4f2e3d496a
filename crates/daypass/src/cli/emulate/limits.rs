//! What a cloud refuses and Daypass, standing alone, does not. Everything else that a cloud refuses (lengths, alphabets,
//! lifetimes, sizes of policies, signatures, clocks) Daypass's own dialects refuse already, in the same words.
//!
//! Sources: Tencent Cloud, `GetFederationToken` ("7200 for a root account's key, 129600 for a sub-account's") and the frequency
//! limits on the pages of `GetFederationToken` (600 a second) and `GetCallerIdentity` (20 a second); Microsoft identity platform,
//! "OAuth 2.0 client credentials flow" (the scope ends in `/.default`) and its list of grants.

use super::answer::Complaint;
use super::sight::{Cloud, Sight};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;
use tokio::time::Instant;

/// The longest life that the key of a root account gives by `GetFederationToken`, in seconds.
const ROOT_LIFETIME: u64 = 7_200;
/// The vendor's own limits of calls a second for one account.
const PUBLISHED: [(Cloud, &str, u32); 2] =
    [(Cloud::Tencent, "GetFederationToken", 600), (Cloud::Tencent, "GetCallerIdentity", 20)];
/// Words that are dropped from a scope before it is judged: old libraries add them to every scope, and Entra lets them.
const DROPPED: [&str; 3] = ["openid", "profile", "offline_access"];

/// How many calls a second a cloud takes from one key: `tencent:5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    cloud: Cloud,
    per_second: u32,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "write CLOUD:CALLS, such as tencent:5 for five calls a second".to_owned();
        let (cloud, calls) = text.split_once(':').ok_or_else(bad)?;
        let cloud = Cloud::ALL.into_iter().find(|known| known.name() == cloud).ok_or_else(bad)?;
        let per_second = calls.parse().ok().filter(|calls| *calls > 0).ok_or_else(bad)?;
        Ok(Self { cloud, per_second })
    }
}

/// The limits of the fake cloud.
pub(super) struct Limits {
    /// Whether its keys are those of root accounts.
    root_account: bool,
    rates: Vec<Rate>,
    windows: Mutex<HashMap<(Cloud, String), Window>>,
}

struct Window {
    since: Instant,
    calls: u32,
}

impl Limits {
    /// With these rates, each in place of what the vendor publishes.
    pub(super) fn new(root_account: bool, rates: Vec<Rate>) -> Self {
        Self { root_account, rates, windows: Mutex::default() }
    }

    /// What is refused before anyone asks who is there. Entra judges the grant first.
    pub(super) fn before(cloud: Cloud, sight: &Sight) -> Option<Complaint> {
        let other = |grant: &str| !grant.is_empty() && grant != "client_credentials";
        let grant = cloud == Cloud::Entra && sight.get("grant_type").is_some_and(other);
        grant.then_some(Complaint::Grant)
    }

    /// What is refused of a call that would have been good.
    pub(super) fn after(&self, cloud: Cloud, sight: &Sight) -> Option<Complaint> {
        if self.too_often(cloud, sight) {
            return Some(Complaint::Busy);
        }
        match cloud {
            Cloud::Tencent => self.root_lifetime(sight),
            Cloud::Entra => scope(sight),
            Cloud::Alibaba | Cloud::Top | Cloud::OAuth => None,
        }
    }

    fn root_lifetime(&self, sight: &Sight) -> Option<Complaint> {
        let asked = || sight.get("DurationSeconds")?.parse::<u64>().ok();
        let too_long = self.root_account
            && sight.action == "GetFederationToken"
            && asked().is_some_and(|seconds| seconds > ROOT_LIFETIME);
        too_long.then_some(Complaint::RootLifetime)
    }

    /// Counts a call, and says whether it is one too many.
    fn too_often(&self, cloud: Cloud, sight: &Sight) -> bool {
        let said = self.rates.iter().find(|rate| rate.cloud == cloud).map(|rate| rate.per_second);
        let published =
            || PUBLISHED.iter().find(|(c, a, _)| *c == cloud && *a == sight.action).map(|(.., n)| *n);
        let Some(most) = said.or_else(published) else { return false };
        // What is said is of a key; what the vendor publishes is of an action.
        let whose = if said.is_some() { sight.key.clone().unwrap_or_default() } else { sight.action.clone() };
        let now = Instant::now();
        let mut windows = self.windows.lock();
        windows.retain(|_, window| now.duration_since(window.since) < Duration::from_secs(1));
        let window = windows.entry((cloud, whose)).or_insert(Window { since: now, calls: 0 });
        window.calls = window.calls.saturating_add(1);
        window.calls > most
    }
}

/// One resource, and all of it.
fn scope(sight: &Sight) -> Option<Complaint> {
    let scope = sight.get("scope")?;
    let part = |word: &&str| !DROPPED.contains(word) && !word.ends_with("/.default");
    scope.split(' ').filter(|word| !word.is_empty()).any(|word| part(&word)).then_some(Complaint::Scope)
}

#[cfg(test)]
mod tests {
    use super::super::sight::tests::sight;
    use super::*;

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

    fn federation(seconds: &str) -> Sight {
        sight("/", &[("x-tc-action", "GetFederationToken")], &format!(r#"{{"DurationSeconds":{seconds}}}"#))
    }

    #[test]
    fn the_key_of_a_root_account_gives_two_hours() {
        let root = Limits::new(true, Vec::new());
        let after = |limits: &Limits, sight: &Sight| limits.after(Cloud::Tencent, sight);
        assert_eq!(after(&root, &federation("7200")), None);
        assert_eq!(after(&root, &federation("7201")), Some(Complaint::RootLifetime));
        assert_eq!(after(&root, &federation("\"7201\"")), Some(Complaint::RootLifetime), "v1 sends a text");
        assert_eq!(after(&Limits::new(false, Vec::new()), &federation("129600")), None);
        let assumed = sight("/", &[("x-tc-action", "AssumeRole")], r#"{"DurationSeconds":43200}"#);
        assert_eq!(after(&root, &assumed), None);
    }

    #[test]
    fn entra_takes_one_grant_and_whole_resources() {
        let token = |form: &str| sight("/t/oauth2/v2.0/token", &[FORM], form);
        let before = |form: &str| Limits::before(Cloud::Entra, &token(form));
        assert_eq!(before("grant_type=client_credentials"), None);
        assert_eq!(before("scope=a"), None, "Daypass says what is missing");
        let exchange = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
        assert_eq!(before(exchange), Some(Complaint::Grant));
        let after = |scope: &str| {
            Limits::new(false, Vec::new()).after(Cloud::Entra, &token(&format!("scope={scope}")))
        };
        for (scope, expected) in [
            ("api%3A%2F%2Fa%2F.default", None),
            ("openid+profile+offline_access+a%2F.default", None),
            ("a%2Forders.read", Some(Complaint::Scope)),
            ("a%2F.default+a%2Forders.read", Some(Complaint::Scope)),
        ] {
            assert_eq!(after(scope), expected, "{scope}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn published_rates_hold_for_an_action_and_said_ones_for_a_key() {
        let limits = Limits::new(false, Vec::new());
        let caller = sight("/", &[("x-tc-action", "GetCallerIdentity")], "{}");
        let refused = |n: usize| (0..n).filter(|_| limits.after(Cloud::Tencent, &caller).is_some()).count();
        assert_eq!((refused(20), refused(5)), (0, 5));
        assert_eq!(limits.after(Cloud::Tencent, &federation("900")), None, "another action");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(refused(20), 0);

        let limits = Limits::new(false, vec!["top:2".parse().unwrap()]);
        let call =
            |key: &str| limits.after(Cloud::Top, &sight(&format!("/router/rest?app_key={key}"), &[], ""));
        assert_eq!([call("1"), call("1"), call("1"), call("2")], [None, None, Some(Complaint::Busy), None]);
    }

    #[test]
    fn a_rate_is_of_a_cloud() {
        assert_eq!("alibaba:5".parse(), Ok(Rate { cloud: Cloud::Alibaba, per_second: 5 }));
        for bad in ["alibaba", "aws:5", "alibaba:0", "alibaba:-1", "alibaba:x"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }
}
