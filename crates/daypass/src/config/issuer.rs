//! `[[issuer]]`: who makes credentials. `local`, Daypass itself, always exists.

use super::diagnostic::Fault;
use super::notes::Given;
use super::secret;
use super::section::{Section, find, no_such, refuse_twice};
use std::path::Path;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &["name", "kind", "root_key", "region"];
/// The issuer that needs no declaration.
pub(super) const LOCAL: &str = "local";
/// The clouds that can stand behind Daypass. They are known here so that a file written for them is understood.
const KINDS: &[&str] = &["tencent", "alibaba", "entra"];

/// The declared issuers.
pub(super) struct Issuers<'a>(Vec<Given<&'a str>>);

/// Reads every issuer.
pub(super) fn read<'a>(root: Section<'a>, base: &Path) -> Issuers<'a> {
    let names: Vec<_> =
        root.sections("issuer", KEYS).into_iter().filter_map(|section| one(section, base)).collect();
    refuse_twice(root.notes(), "issuer", names.iter().copied());
    Issuers(names)
}

fn one<'a>(section: Section<'a>, base: &Path) -> Option<Given<&'a str>> {
    section.need_parsed("kind", |kind| {
        if KINDS.contains(&kind) { Ok(()) } else { Err(no_such("kind of issuer", kind, KINDS)) }
    });
    section.text("region");
    if let Some(node) = section.need("root_key") {
        secret::source(section, "root_key", node, base);
    }
    let name = section.need_text("name")?;
    if name.value == LOCAL {
        section
            .notes()
            .error(name.place, Fault::new("the issuer `local` is Daypass itself, and needs no declaration"));
    }
    Some(name)
}

impl Issuers<'_> {
    /// Which issuer a role names. Upstream issuers are refused where they are used, and only there.
    pub(super) fn of_role(&self, role: Section<'_>) -> String {
        let named = role.text("issuer").filter(|name| name.value != LOCAL);
        let declared = |name| find(role.notes(), "issuer", name, &self.0, |issuer| issuer.value);
        if let Some(name) = named.filter(|name| declared(*name).is_some()) {
            let message =
                format!("credentials of an upstream cloud, as `{}` is, are not in this version", name.value);
            role.notes().error(name.place, Fault::new(message).hint("issuer = \"local\""));
        }
        LOCAL.to_owned()
    }
}
