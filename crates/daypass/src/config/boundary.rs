//! `boundary` and `boundary_warn`, of a tenant or of an endpoint.

use super::diagnostic::Fault;
use super::notes::{Given, Notes, Place};
use super::policy;
use super::section::Section;
use daypass_core::policy::{Language, Policy, Template};
use std::collections::BTreeMap;

/// The keys of both.
pub(super) const KEYS: [&str; 2] = ["boundary", "boundary_warn"];

/// What bounds everything below, and what is tried before it does.
pub(super) struct Boundaries {
    counts: Option<Given<Policy>>,
    tried: Option<Given<Policy>>,
    /// Whether all that is written was understood.
    pub(super) whole: bool,
}

impl Boundaries {
    /// Reads both keys of a section of the tenant with this account.
    pub(super) fn read(section: Section<'_>, account: Option<&str>) -> Self {
        let [counts, tried] = KEYS.map(|key| one(section, key, account));
        let found = [counts.is_some(), tried.is_some()];
        let whole = KEYS.iter().zip(found).all(|(key, found)| found || section.node(key).is_none());
        if let Some(tried) = &tried {
            point_out(section.notes(), tried.place, "boundary_warn", "boundary");
        }
        Self { counts, tried, whole }
    }

    /// Each that is there, with its key.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'static str, &Given<Policy>)> {
        KEYS.into_iter()
            .zip([&self.counts, &self.tried])
            .filter_map(|(key, given)| Some((key, given.as_ref()?)))
    }

    /// Makes sure that they are in the language of the roles below, for this reason.
    pub(super) fn check_language(&self, notes: &Notes<'_>, (language, key): (Language, &str), because: &str) {
        for (name, given) in self.each().filter(|(_, given)| given.value.language != language) {
            let message = format!("{because}, and `{name}` is in the other language: it would leave nothing");
            notes.error(given.place, Fault::new(message).hint(format!("{name} = {{ {key} = '…' }}")));
        }
    }

    /// The one that counts and the one that is tried.
    pub(super) fn policies(self) -> (Option<Policy>, Option<Policy>) {
        (self.counts.map(|given| given.value), self.tried.map(|given| given.value))
    }
}

fn one(section: Section<'_>, key: &'static str, account: Option<&str>) -> Option<Given<Policy>> {
    let boundary = policy::read(section, key, account)?;
    // A boundary is never bound to values: `{name}` in it would match those very characters and nothing else.
    match Template::new(boundary.value.clone(), &BTreeMap::new()) {
        Ok(_) => Some(boundary),
        Err(bad) => {
            section.notes().error(boundary.place, Fault::new(format!("a boundary has no variables: {bad}")));
            None
        }
    }
}

/// Says of a rule that is only tried that it does nothing: whoever forgets it would believe that it bounds something.
pub(super) fn point_out(notes: &Notes<'_>, place: Place, key: &str, real: &str) {
    let message = format!("`{key}` is tried, and cuts nothing: records and metrics say what it would cut");
    notes.warning(place, Fault::new(message).hint(format!("call it `{real}` once it is right")));
}

/// Refuses boundaries at an endpoint of a dialect in which they could bound nothing.
pub(super) fn refuse_at(section: Section<'_>, dialect: &str) {
    let (why, instead) = match dialect {
        "entra" => (
            "an access token carries no policy, and a boundary would bound nothing",
            "grant fewer roles to its clients: daypass client ungrant",
        ),
        "tencent.sts" | "alibaba.sts" => (
            "the STS of every tenant is at `/`, and no endpoint is configured there",
            "a boundary of the tenant, or of one client: daypass client boundary",
        ),
        "verify" | "forward-auth" => ("nothing is issued here", "a boundary of the tenant or of a client"),
        _ => return,
    };
    for key in KEYS {
        if let Some(place) = section.key(key) {
            section.notes().error(place, Fault::new(format!("`{key}`: {why}")).hint(instead));
        }
    }
}
