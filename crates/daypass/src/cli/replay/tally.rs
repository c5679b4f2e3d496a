//! The asks that a proposed configuration answers otherwise, in groups.

use super::difference::{Kind, Outcome, outcome};
use crate::cli::explain::asked_for;
use crate::cli::output::table;
use daypass_core::asked::AskedRole;
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::directory::Directory;
use daypass_core::endpoint::DialectName;
use daypass_core::record::{Event, Record};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The dialects in which nobody asks for a credential.
const QUESTIONS: [DialectName; 3] = [DialectName::Verify, DialectName::ForwardAuth, DialectName::Explain];

/// What is the same about the asks of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    kind: Kind,
    tenant: String,
    client: Option<Uuid>,
    /// The client's name, or how whoever asked was known.
    who: String,
    asked_for: String,
    what: String,
}

/// How many asks a group has, with the last of them.
struct Asks {
    count: u64,
    last: Timestamp,
    /// The id of its answer, or of its record where the answer had none.
    example: Uuid,
}

/// Everything that was found.
pub(super) struct Tally {
    since: Timestamp,
    groups: BTreeMap<Group, Asks>,
    same: u64,
    /// Asks whose recorded answer is another one than that of the present configuration.
    drifted: u64,
    unknown: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new(since: Timestamp) -> Self {
        Self { since, groups: BTreeMap::new(), same: 0, drifted: 0, unknown: BTreeMap::new() }
    }

    /// Looks at a record. Only those of grants and refusals are asks; the copy for a retry is none of its own.
    pub(super) fn take(&mut self, present: &Directory, proposed: &Directory, record: &Record) {
        // A question that was refused asked for nothing that could close.
        if QUESTIONS.iter().any(|dialect| record.dialect.as_deref() == Some(dialect.name())) {
            return;
        }
        let (asked, was_granted) = match &record.event {
            Event::Grant { repeat: true, .. } => return,
            Event::Grant { asked, .. } => (asked, true),
            Event::Refusal { asked, .. } => (asked, false),
            _ => return,
        };
        let is_granted = match outcome(present, proposed, record) {
            Outcome::Unknown(why) => {
                *self.unknown.entry(why).or_default() += 1;
                return;
            }
            Outcome::Same { granted } => {
                self.same += 1;
                granted
            }
            Outcome::Differs(kind, what) => {
                let role = asked.as_ref().map(|asked| &asked.role);
                self.note(Group::of(present, record, role, kind, what), record);
                kind != Kind::Open
            }
        };
        self.drifted += u64::from(is_granted != was_granted);
    }

    fn note(&mut self, group: Group, record: &Record) {
        let example = record.request.unwrap_or(record.id);
        let asks = self.groups.entry(group).or_insert(Asks { count: 0, last: record.at, example });
        asks.count += 1;
        if record.at >= asks.last {
            (asks.last, asks.example) = (record.at, example);
        }
    }

    /// Whether no ask could be put to both.
    pub(super) fn is_empty(&self) -> bool {
        self.asks() == 0
    }

    /// Whether something would be refused that is granted now.
    pub(super) fn closes(&self) -> bool {
        self.count(Kind::Close) > 0
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = (&Group, &Asks)> {
        self.groups.iter().filter(move |(group, _)| group.kind == kind)
    }

    fn count(&self, kind: Kind) -> u64 {
        self.of(kind).map(|(_, asks)| asks.count).sum()
    }

    fn asks(&self) -> u64 {
        self.same + Kind::ALL.into_iter().map(|kind| self.count(kind)).sum::<u64>()
    }

    /// As text.
    pub(super) fn text(&self) -> String {
        let mut lines = Vec::new();
        for kind in Kind::ALL {
            let mut rows: Vec<_> = self.of(kind).map(|(group, asks)| group.cells(asks)).collect();
            if rows.is_empty() {
                continue;
            }
            let heading = ["COUNT", "TENANT", "WHO", "ASKED FOR", "WOULD BE", "LAST", "EXAMPLE"];
            rows.insert(0, heading.map(str::to_owned).to_vec());
            lines.extend([format!("{}:", kind.name()), table(&rows), String::new()]);
        }
        let counts = Kind::ALL.map(|kind| format!("{} {}", self.count(kind), kind.name())).join(", ");
        lines.push(format!("{} asks: {counts}, {} the same", self.asks(), self.same));
        lines.push(format!("looked back to {}", rfc3339(self.since)));
        if self.drifted > 0 {
            lines.push(format!(
                "{} asks were decided otherwise then than they would be now, whatever the proposed configuration says",
                self.drifted
            ));
        }
        lines.extend(
            self.unknown.iter().map(|(why, count)| format!("{count} asks cannot be asked again: {why}")),
        );
        lines.join("\n")
    }

    /// As a document.
    pub(super) fn document(&self) -> Value {
        let changes: Vec<_> = self.groups.iter().map(|(group, asks)| group.document(asks)).collect();
        let counts: serde_json::Map<_, _> =
            Kind::ALL.into_iter().map(|kind| (kind.name().to_owned(), json!(self.count(kind)))).collect();
        json!({
            "since": rfc3339(self.since),
            "asks": self.asks(),
            "same": self.same,
            "counts": counts,
            "changes": changes,
            "decided_otherwise_then": self.drifted,
            "not_asked_again": self.unknown,
        })
    }
}

impl Group {
    fn of(
        directory: &Directory,
        record: &Record,
        role: Option<&AskedRole>,
        kind: Kind,
        what: String,
    ) -> Self {
        let tenant = record.tenant.clone().unwrap_or_default();
        let client = record.client.and_then(|guid| directory.client(directory.tenant(&tenant)?, guid));
        let who = match (client, &record.via) {
            (Some(client), None) => client.name.clone(),
            (Some(client), Some(via)) => format!("{via} of {}", client.name),
            (None, Some(via)) => via.clone(),
            (None, None) => String::new(),
        };
        let asked_for = role.map(asked_for).unwrap_or_default();
        Self { kind, tenant, client: record.client, who, asked_for, what }
    }

    fn cells(&self, asks: &Asks) -> Vec<String> {
        vec![
            asks.count.to_string(),
            self.tenant.clone(),
            self.who.clone(),
            self.asked_for.escape_debug().to_string(),
            self.what.clone(),
            rfc3339(asks.last),
            asks.example.to_string(),
        ]
    }

    fn document(&self, asks: &Asks) -> Value {
        json!({
            "change": self.kind.name(),
            "count": asks.count,
            "tenant": self.tenant,
            "client": self.client,
            "who": self.who,
            "asked_for": self.asked_for,
            "what": self.what,
            "last": rfc3339(asks.last),
            "example": asks.example,
        })
    }
}

#[cfg(test)]
mod tests;
