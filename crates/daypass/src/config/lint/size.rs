//! Policies that are, or can become, too long.

use super::Lint;
use crate::config::diagnostic::Fault;
use crate::config::issuer::LOCAL;
use crate::config::notes::{Notes, Place};
use daypass_core::limits;
use daypass_core::policy::{Language, Policy};
use daypass_core::role::Role;
use daypass_core::triple::token_bytes;
use daypass_dialects::{alibaba, tencent};

/// The longest `Policy` that Alibaba Cloud's `AssumeRole` takes, in characters (its page: 1 to 2,048).
const RAM: usize = 2048;

/// Points out a policy that does not fit into a credential, at the latest when its variables have their longest values.
pub(super) fn check(notes: &Notes<'_>, role: &Role, place: Place) {
    let Some(template) = &role.policy else { return };
    let measure = if role.issuer == LOCAL { in_token } else { in_request };
    let (longest, limit) = measure(role, &template.longest());
    if longest <= limit.most {
        return;
    }
    let (shortest, _) = measure(role, &template.written());
    let always = shortest > limit.most || role.variables.is_empty();
    let when = if always { "" } else { " when its variables have their longest values" };
    let message = format!(
        "the policy of `{}` comes to {longest} {} in {}{when}, and {} {} at most",
        role.name, limit.unit, limit.place, limit.whose, limit.most
    );
    let hint = if always { SHORTER } else { NARROWER };
    notes.warning(place, Fault::new(message).hint(hint).lint(Lint::LongPolicy));
}

const SHORTER: &str = "put what is alike into one statement, use wildcards, or make two roles of it";
const NARROWER: &str = "give the variables narrower types (a slug has 64 characters, a path 256, an enumeration its own), or use \
                        each in fewer places; a request with longer values is refused";

/// What a policy must fit into.
struct Limit {
    most: usize,
    unit: &'static str,
    place: &'static str,
    whose: &'static str,
}

/// A credential of our own carries its policy in its token.
fn in_token(role: &Role, policy: &Policy) -> (usize, Limit) {
    let limit =
        Limit { most: limits::TOKEN, unit: "bytes", place: "a token", whose: "the vendor's clients take" };
    (token_bytes(&role.tenant, &role.name, policy), limit)
}

/// One of a real cloud is asked for with the policy as a document.
fn in_request(_: &Role, policy: &Policy) -> (usize, Limit) {
    let limit = |most, whose| Limit { most, unit: "characters", place: "a request", whose };
    match policy.language {
        Language::Cam => {
            let document = tencent::policy::render(policy).unwrap_or_default();
            let limit = limit(limits::POLICY, "Tencent Cloud's GetFederationToken and AssumeRole take");
            (document.chars().filter(|c| !c.is_whitespace()).count(), limit)
        }
        Language::Ram => {
            let document = alibaba::policy::render(policy).unwrap_or_default();
            (document.chars().count(), limit(RAM, "Alibaba Cloud's AssumeRole takes"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::testing::{World, allow};

    fn characters(language: Language, resource: &str) -> (usize, usize) {
        let role = World::new().plan.roles.first().unwrap().clone();
        let (length, limit) = in_request(&role, &allow(language, "s:Put", resource));
        (length, limit.most)
    }

    #[test]
    fn a_document_for_a_real_cloud_is_measured_as_that_cloud_does() {
        let long = |c: &str| format!("acs:oss:*:*:b/{}", c.repeat(3000));
        let (ram, most) = characters(Language::Ram, &long("x"));
        assert!(ram > 3000 && most == 2048, "{ram} {most}");
        let (wide, _) = characters(Language::Ram, &long("图"));
        assert_eq!(wide, ram, "characters, and not bytes");
        let (cam, most) = characters(Language::Cam, &long("x"));
        let (blanks, _) = characters(Language::Cam, &long(" x"));
        assert_eq!((cam, most), (blanks, 6144), "blanks are not counted");
    }
}
