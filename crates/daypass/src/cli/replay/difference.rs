//! What becomes of one ask: by the present configuration, and by the proposed one.

use crate::cli::explain::{Again, again};
use daypass_core::client::Tenant;
use daypass_core::dialect::Weak;
use daypass_core::directory::Directory;
use daypass_core::endpoint::DialectName;
use daypass_core::policy::{Change, Rehearsal, compare};
use daypass_core::record::Record;
use daypass_core::refusal::Reason;
use daypass_core::role::Role;
use std::cmp::Ordering;
use std::sync::Arc;

/// What the proposed configuration changes for an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// It is granted, and would be refused.
    Close,
    /// It is refused, and would be granted.
    Open,
    /// It would be granted with less.
    Narrower,
    /// It would be granted with more.
    Wider,
    /// It would be granted with something else, with more and less, or it cannot be told.
    Different,
}

impl Kind {
    /// Every kind, the gravest first.
    pub(super) const ALL: [Self; 5] = [Self::Close, Self::Open, Self::Narrower, Self::Wider, Self::Different];

    /// The name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Open => "open",
            Self::Narrower => "narrower",
            Self::Wider => "wider",
            Self::Different => "different",
        }
    }
}

/// One ask by both configurations.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It comes to the same.
    Same {
        /// Whether it is granted.
        granted: bool,
    },
    /// It does not, and in which respects.
    Differs(Kind, String),
    /// It cannot be asked again, and why not.
    Unknown(&'static str),
}

/// What came of an ask.
enum Answer {
    Granted(Box<Rehearsal>),
    Refused(String),
}

/// Puts the ask behind a record to both.
pub(super) fn outcome(present: &Directory, proposed: &Directory, record: &Record) -> Outcome {
    let (now, mut then) = match (answer(present, record), answer(proposed, record)) {
        (Ok(now), Ok(then)) => (now, then),
        (Err(why), _) | (_, Err(why)) => return Outcome::Unknown(why),
    };
    if has_moved(present, proposed, record) {
        then = Answer::Refused(
            "because the tenant has another guid, and the address it was asked at is gone".to_owned(),
        );
    }
    match (now, then) {
        (Answer::Refused(_), Answer::Refused(_)) => Outcome::Same { granted: false },
        (Answer::Granted(_), Answer::Refused(why)) => Outcome::Differs(Kind::Close, format!("refused {why}")),
        (Answer::Refused(why), Answer::Granted(_)) => {
            Outcome::Differs(Kind::Open, format!("no longer refused {why}"))
        }
        (Answer::Granted(now), Answer::Granted(then)) => {
            let mut found = Found::default();
            found.given(&now, &then);
            found.names(present, proposed, record, now.policy().is_some());
            let tenant = record.tenant.as_deref().unwrap_or_default();
            let role =
                |directory: &Directory, given: &Rehearsal| directory.role(tenant, given.role()).cloned();
            if let (Some(now), Some(then)) = (role(present, &now), role(proposed, &then)) {
                found.role(&now, &then);
            }
            found.outcome()
        }
    }
}

/// Access tokens are asked for at an address with the tenant's guid.
fn has_moved(present: &Directory, proposed: &Directory, record: &Record) -> bool {
    let guid = |directory: &Directory| tenant(directory, record).map(|tenant| tenant.guid);
    let places = guid(present).zip(guid(proposed));
    record.dialect.as_deref() == Some(DialectName::Entra.name())
        && places.is_some_and(|(now, then)| now != then)
}

fn tenant<'a>(directory: &'a Directory, record: &Record) -> Option<&'a Arc<Tenant>> {
    directory.tenant(record.tenant.as_deref()?)
}

/// Whether the mode in which an ask was signed is not taken.
fn is_too_weak(directory: &Directory, record: &Record) -> bool {
    let client = tenant(directory, record).and_then(|tenant| directory.client(tenant, record.client?));
    let refuses = client.map(|client| client.refuses.or(directory.plan().refuses));
    let weak = record.weak.as_deref().and_then(Weak::named);
    refuses.zip(weak).is_some_and(|(refuses, weak)| refuses.refuses(weak))
}

fn answer(directory: &Directory, record: &Record) -> Result<Answer, &'static str> {
    Ok(match again(directory, record) {
        Again::Question(_) if is_too_weak(directory, record) => {
            Answer::Refused(Reason::WeakProofRefused.label().to_owned())
        }
        Again::Unknown(why) => return Err(why),
        Again::Gone(why) => Answer::Refused(format!("because {why}")),
        Again::Question(question) => match question.ask(directory) {
            Ok(given) => Answer::Granted(Box::new(given)),
            Err(refusal) => Answer::Refused(refusal.reason.label().to_owned()),
        },
    })
}

/// In which respects two grants differ.
#[derive(Default)]
struct Found {
    less: Vec<String>,
    more: Vec<String>,
    other: Vec<String>,
}

impl Found {
    fn given(&mut self, now: &Rehearsal, then: &Rehearsal) {
        match (now.policy(), then.policy()) {
            (None, None) => {}
            (Some(now), Some(then)) => match compare(now, then) {
                Change::Same => {}
                Change::Narrower => self.less.push("its policy is narrower".to_owned()),
                Change::Wider => self.more.push("its policy is wider".to_owned()),
                Change::Other => self.other.push("its policy is another one".to_owned()),
            },
            _ => self.other.push("it is another kind of credential".to_owned()),
        }
        let lifetimes = format!("it lives {} seconds, not {}", then.lifetime(), now.lifetime());
        match then.lifetime().cmp(&now.lifetime()) {
            Ordering::Less => self.less.push(lifetimes),
            Ordering::Greater => self.more.push(lifetimes),
            Ordering::Equal => {}
        }
        let missing = |from: &Rehearsal, of: &Rehearsal| {
            let gone = of.app_roles().iter().filter(|one| !from.app_roles().contains(one));
            gone.map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        let (gone, new) = (missing(then, now), missing(now, then));
        if !gone.is_empty() {
            self.less.push(format!("without the app roles {gone}"));
        }
        if !new.is_empty() {
            self.more.push(format!("with the app roles {new} as well"));
        }
        if now.role() != then.role() {
            self.other.push(format!("of the role {}, not {}", then.role(), now.role()));
        }
        if now.audience() != then.audience() {
            self.other.push("for another resource".to_owned());
        }
        if now.variables() != then.variables() {
            self.other.push("with other values of its variables".to_owned());
        }
    }

    /// What credentials say of where they come from.
    fn names(&mut self, now: &Directory, then: &Directory, record: &Record, signs: bool) {
        let account = |directory| tenant(directory, record).map(|tenant| &tenant.account);
        if signs && account(now) != account(then) {
            self.other.push("of another account".to_owned());
        }
        if !signs && now.plan().public_url != then.plan().public_url {
            self.other.push("with another `iss`, which whoever verifies it must know".to_owned());
        }
    }

    /// What a role says of its credentials beside what they may do.
    fn role(&mut self, now: &Role, then: &Role) {
        for (what, same) in [
            ("made by another issuer", now.issuer == then.issuer),
            ("asked of its cloud otherwise", now.brokering == then.brokering),
            ("with other fields in the answer", now.answer == then.answer),
            ("signed with another algorithm", now.algorithm == then.algorithm),
            ("with other claims", {
                (now.version, now.profile, &now.claims) == (then.version, then.profile, &then.claims)
            }),
        ] {
            if !same {
                self.other.push(what.to_owned());
            }
        }
    }

    fn outcome(self) -> Outcome {
        let kind = match (self.less.is_empty(), self.more.is_empty(), self.other.is_empty()) {
            (true, true, true) => return Outcome::Same { granted: true },
            (false, true, true) => Kind::Narrower,
            (true, false, true) => Kind::Wider,
            _ => Kind::Different,
        };
        Outcome::Differs(kind, [self.less, self.more, self.other].concat().join("; "))
    }
}

#[cfg(test)]
pub(super) mod tests;
