//! `[[issuer]]`: who makes credentials. `local`, Daypass itself, always exists; the others are clouds behind it.

mod cloud;

use super::diagnostic::{Errors, Fault};
use super::duration;
use super::environment::variable;
use super::notes::Given;
use super::secret::{self, NOT_PRIVATE, SecretSource, read_file};
use super::section::{Section, find, refuse_twice};
use super::source::Spot;
use super::url;
use daypass_core::upstream::{Budget, Cloud, RootKey, RootSource, Upstream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &[
    "name",
    "kind",
    "url",
    "root_key",
    "timeout",
    "budget",
    "account",
    "ca",
    "region",
    "unsigned_payload",
    "tenant",
    "send",
    "id",
    "secret",
    "parameters",
    "one_live",
];
/// The issuer that needs no declaration.
pub(super) const LOCAL: &str = "local";
/// How long one question to a cloud may take, in milliseconds, where nothing is said: less than the asker's own patience.
const TIMEOUT: u32 = 5_000;
/// Calls a second and at once, where nothing is said: a fifth of what the vendors' consoles show for one account, so that other
/// programs on the same account can live as well.
const BUDGET: Budget = Budget { per_second: 20, burst: 40 };
/// More calls a second than any cloud takes from one account.
const MOST_CALLS: i64 = 10_000;
/// The longest file of certificates, in bytes.
const CA_FILE: u64 = 256 * 1024;

/// A declared issuer, and where its root key and its authorities are kept.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    upstream: Upstream,
    root: Option<(SecretSource, Spot)>,
    ca: Option<(PathBuf, Spot)>,
}

/// A declared issuer. It keeps its name even where something else in it is wrong.
pub(super) struct IssuerEntry<'a> {
    /// Its name as written.
    pub(super) name: Given<&'a str>,
    /// The issuer, if all of it was understood.
    pub(super) declared: Option<Declared>,
}

/// The declared issuers.
pub(super) struct Issuers<'a>(Vec<IssuerEntry<'a>>);

/// Reads every issuer. The root keys themselves are read only when calls are to be made.
pub(super) fn read<'a>(root: Section<'a>, base: &Path) -> Issuers<'a> {
    let sections = root.sections("issuer", KEYS);
    refuse_twice(root.notes(), "issuer", sections.iter().filter_map(|section| section.glance("name")));
    let entry = |section: Section<'a>| {
        let name = section
            .need_text("name")
            .filter(|name| section.parsed(*name, super::role::name_in_arn).is_some());
        let declared = one(section, name.map_or("", |name| name.value), base);
        if let Some(name) = name.filter(|name| name.value == LOCAL) {
            let fault = Fault::new("the issuer `local` is Daypass itself, and needs no declaration");
            section.notes().error(name.place, fault);
        }
        Some(IssuerEntry { name: name?, declared })
    };
    Issuers(sections.into_iter().filter_map(entry).collect())
}

fn one(section: Section<'_>, name: &str, base: &Path) -> Option<Declared> {
    let cloud = cloud::read(section);
    let standard = cloud.as_ref().and_then(cloud::standard_url);
    let url = match (section.glance("url"), standard) {
        (Some(_), _) => {
            section.text("url").and_then(|given| url::address(section, given)).map(|url| url.value)
        }
        (None, Some(standard)) => Some(standard.to_owned()),
        // What kind it is decides whether one is needed.
        (None, None) if cloud.is_none() => None,
        (None, None) => section.need_text("url").map(|given| given.value.to_owned()),
    };
    let url = url.filter(|text| plain(section, text));
    let root = match section.node("root_key") {
        None => Some(None),
        Some(node) => secret::source(section, "root_key", node, base)
            .map(|source| Some((source, section.notes().spot(node.place)))),
    };
    let timeout_ms = duration::milliseconds(section, "timeout", TIMEOUT, 100..=60_000);
    let budget = budget(section);
    let ca = section.text("ca").map(|given| (base.join(given.value), section.notes().spot(given.place)));
    if ca.is_none() && section.node("ca").is_some() {
        return None;
    }
    let account = section.text("account").map(|given| given.value.to_owned());
    let upstream = Upstream {
        name: name.to_owned(),
        cloud: cloud?,
        url: url?,
        ca: None,
        timeout_ms: timeout_ms?,
        budget: budget?,
        account,
        root: if root.as_ref()?.is_some() { RootSource::Unread } else { RootSource::Stored },
    };
    Some(Declared { upstream, root: root?, ca })
}

/// A query in the URL would be lost, or mixed up with what is signed.
fn plain(section: Section<'_>, url: &str) -> bool {
    if let Some(place) = section.key("url").filter(|_| url.contains('?')) {
        let message = "the URL of an issuer has no query; what belongs there is made for each question";
        section.notes().error(place, Fault::new(message));
        return false;
    }
    true
}

fn budget(section: Section<'_>) -> Option<Budget> {
    let Some(node) = section.node("budget") else { return Some(BUDGET) };
    let table = Section::of(section.notes(), node, "budget", &["per_second", "burst"])?;
    let number = |key: &str, standard: u32| {
        if table.key(key).is_none() {
            return Some(standard);
        }
        let given = table.whole(key)?;
        let number = u32::try_from(given.value).ok().filter(|_| (1..=MOST_CALLS).contains(&given.value));
        if number.is_none() {
            let message = format!("`{key}` is 1 to {MOST_CALLS} calls");
            table.notes().error(given.place, Fault::new(message));
        }
        number
    };
    let (per_second, burst) = (number("per_second", BUDGET.per_second), number("burst", BUDGET.burst));
    Some(Budget { per_second: per_second?, burst: burst? })
}

/// Certificates of a private authority.
fn read_ca(path: &Path) -> Result<String, Fault> {
    let secret = read_file(path, NOT_PRIVATE, CA_FILE)?;
    let text = secret.expose_str();
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{}` holds no certificate in PEM", path.display())))
}

impl Issuers<'_> {
    /// Which issuer a role names: `local`, or a declared one. None for one that was declared and not understood.
    pub(super) fn of_role(&self, role: Section<'_>) -> (String, Option<&Upstream>) {
        let Some(name) = role.text("issuer").filter(|name| name.value != LOCAL) else {
            return (LOCAL.to_owned(), None);
        };
        let entry = find(role.notes(), "issuer", name, &self.0, |issuer| issuer.name.value);
        let declared = entry.and_then(|entry| entry.declared.as_ref());
        (name.value.to_owned(), declared.map(|declared| &declared.upstream))
    }

    /// The declared issuer of this name, if it was understood.
    pub(super) fn named(&self, name: &str) -> Option<&Upstream> {
        let entry = self.0.iter().find(|entry| entry.name.value == name);
        entry.and_then(|entry| entry.declared.as_ref()).map(|declared| &declared.upstream)
    }

    /// Whether the issuer of this name has one live token for everyone.
    pub(super) fn has_one_live(&self, name: &str) -> bool {
        let declared = self.0.iter().filter_map(|entry| entry.declared.as_ref());
        let mut found = declared.map(|declared| &declared.upstream).filter(|upstream| upstream.name == name);
        found.any(|upstream| matches!(&upstream.cloud, Cloud::OAuth(call) if call.one_live))
    }

    /// Every issuer that was understood.
    pub(super) fn declared(self) -> Vec<Declared> {
        self.0.into_iter().filter_map(|entry| entry.declared).collect()
    }
}

impl Declared {
    /// Whether it has this name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.upstream.name == name
    }

    /// The issuer, without its root key: for whoever makes no calls.
    pub(super) fn unread(&self) -> Arc<Upstream> {
        Arc::new(self.upstream.clone())
    }

    /// The issuer with its root key and authorities, read now from wherever the configuration says that they are.
    pub(super) fn read(&self) -> Result<Arc<Upstream>, Errors> {
        let mut upstream = self.upstream.clone();
        if let Some((path, spot)) = &self.ca {
            let pem = read_ca(path).map_err(|fault| Errors(vec![fault.at(spot.clone())]))?;
            upstream.ca = Some(pem);
        }
        if let Some((source, spot)) = &self.root {
            let key = source
                .read(&variable)
                .and_then(|text| RootKey::parse(&text).map_err(|bad| Fault::new(bad.to_string())))
                .map_err(|fault| Errors(vec![fault.at(spot.clone())]))?;
            upstream.root = RootSource::Configured(Arc::new(key));
        }
        Ok(Arc::new(upstream))
    }
}
