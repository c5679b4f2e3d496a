//! `daypass explain`: why something was given or refused, and what would be.

mod chain;
mod dry;
mod found;
mod layers;
mod question;
mod record;

pub(super) use dry::{Ask, run as rehearse};
pub(super) use found::asked_for;
pub(super) use layers::line;
pub(super) use question::{Question, Target, Words, client};
pub(super) use record::{Again, again};

use super::credential;
use super::output::{Failure, Output};
use super::place::{Place, PlaceArgs};
use daypass_core::client::{Client, Key};
use daypass_core::cutoff::Cutoff;
use daypass_core::directory::{Directory, Plan};
use daypass_core::freeze::Freeze;
use daypass_core::record::{Event, Record};
use daypass_core::ring::Ring;
use daypass_core::store::{RecordQuery, Store, Stored};
use daypass_dialects::alibaba;
use found::Found;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// Say why something was given or refused, or what would be.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// The id of an answer (`RequestId`, `x-ms-request-id`), of a credential, a ticket or a record.
    #[arg(conflicts_with_all = ["endpoint", "role", "scope"], required_unless_present_any = ["endpoint", "role", "scope"])]
    id: Option<String>,
    /// Ask at this path, and issue nothing.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["role", "scope"])]
    endpoint: Option<String>,
    /// Ask for this role, and issue nothing.
    #[arg(long, conflicts_with = "scope")]
    role: Option<String>,
    /// Ask for this OAuth scope, and issue nothing.
    #[arg(long)]
    scope: Option<String>,
    #[command(flatten)]
    ask: Ask,
}

/// How many records are read at a time.
const PAGE: usize = 1000;
/// How many records are shown of one id: the repeats of a client that does not stop have no end.
const MOST: usize = 20;

/// What the store holds, to judge by more than one configuration.
pub(super) struct Snapshot {
    pub(super) clients: Vec<Client>,
    pub(super) keys: Vec<Key>,
    cutoffs: Vec<Cutoff>,
    freezes: Vec<Freeze>,
    ring: Arc<Ring>,
}

impl Snapshot {
    /// Reads it.
    pub(super) async fn read(place: &Place) -> Result<Self, Failure> {
        let store = &place.opened.store;
        let (clients, keys, cutoffs) = (store.clients().await?, store.keys().await?, store.cutoffs().await?);
        let freezes = store.freezes().await?;
        Ok(Self { clients, keys, cutoffs, freezes, ring: place.opened.ring.clone() })
    }

    /// What a server with this configuration would judge by.
    pub(super) fn directory(&self, plan: Plan) -> Result<Directory, Failure> {
        let (clients, keys, cutoffs) = (self.clients.clone(), self.keys.clone(), self.cutoffs.clone());
        Directory::new(Arc::new(plan), self.ring.clone(), clients, keys, cutoffs)
            .map(|directory| directory.frozen(self.freezes.clone()))
            .map_err(|fault| Failure::Usage(fault.to_string()))
    }
}

/// What a configuration is judged by; its own address decides nothing.
pub(super) fn plan(config: &crate::config::Loaded) -> Plan {
    config.plan(config.public_url.as_deref().unwrap_or_default())
}

pub(super) async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    if args.id.is_some() && args.ask.says_who() {
        let text = "an id is of something that was decided; --as and its like belong to --endpoint, --role and --scope";
        return Err(Failure::Usage(text.to_owned()));
    }
    let place = args.place.open().await?;
    let result = explain(&place, &args, output).await;
    place.opened.store.close().await?;
    result
}

async fn explain(place: &Place, args: &Args, output: &Output) -> Result<(), Failure> {
    let snapshot = Snapshot::read(place).await?;
    let directory = snapshot.directory(plan(&place.config))?;
    let target = match (&args.endpoint, &args.role, &args.scope) {
        (Some(path), ..) => Target::Endpoint(path),
        (_, Some(role), _) => Target::Role(role),
        (.., Some(scope)) => Target::Scope(scope),
        (None, None, None) => return id(place, &directory, args, output).await,
    };
    dry::run(&snapshot, &directory, target, &args.ask, output)
}

async fn id(place: &Place, directory: &Directory, args: &Args, output: &Output) -> Result<(), Failure> {
    let (store, id) = (&*place.opened.store, args.id.as_deref().unwrap_or_default());
    let records = find(store, id).await?;
    if records.is_empty() {
        return Err(Failure::Refused(format!(
            "no record has the id `{}`; refusals of strangers are counted and not kept, and so are answers to questions and a credential that was handed out a second time",
            id.escape_debug()
        )));
    }
    let ids: Vec<_> = records.iter().map(|stored| stored.record.id).collect();
    let places = chain::places(store, &place.opened.ring, &ids).await?;
    let (mut texts, mut documents): (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
    let probe = args.ask.probe();
    for stored in &records {
        let standing = credential::standing_of(store, directory, &stored.record).await?;
        let found = Found { directory, stored, place: places.get(&stored.record.id), standing };
        texts.push(found.text(probe.as_ref()));
        documents.push(found.document(probe.as_ref()));
    }
    output.show(texts.join("\n\n"), || json!({ "records": documents }));
    Ok(())
}

/// Every record that this id is of, oldest first.
async fn find(store: &dyn Store, id: &str) -> Result<Vec<Stored>, Failure> {
    let uuid = Uuid::try_parse(id).ok();
    let mut query = RecordQuery { after: Some(0), limit: PAGE, ..RecordQuery::default() };
    let mut found = Vec::new();
    while found.len() < MOST {
        let page = store.records(query.clone()).await?;
        let Some(last) = page.last() else { break };
        query.after = Some(last.position);
        found.extend(page.into_iter().filter(|stored| is_of(&stored.record, id, uuid)));
    }
    found.truncate(MOST);
    Ok(found)
}

/// Whether an id leads to a record. Those of answers are written in several ways, with hyphens and capitals or without.
fn is_of(record: &Record, id: &str, uuid: Option<Uuid>) -> bool {
    if uuid.is_some() && (record.request == uuid || record.id == uuid.unwrap_or_default()) {
        return true;
    }
    // TOP's gateway writes a short form of its own.
    if record.request.is_some_and(|request| alibaba::wire::request_id(request) == id) {
        return true;
    }
    match &record.event {
        Event::Grant { credential, .. } => credential == id,
        Event::Ticket { ticket, .. } => ticket == id,
        Event::Change { object, .. } => object.split(' ').any(|word| word == id),
        _ => false,
    }
}

/// What a refusal for this reason would have needed, for those who run the service.
fn needed(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "role_not_granted" => "a grant of the client on this role, and boundaries that leave something of it",
        "unknown_resource" | "invalid_scope" => {
            "a grant of the client on a role of this resource that has the app role"
        }
        "no_role" => "a default role of the client",
        "no_trust" => "an entry in the role's `trust` that names the provider and the subject",
        "external_id_mismatch" => "the `external_id` of the role",
        "variable_refused" => {
            "a value of the variable's type that a grant of the client binds, together with the others"
        }
        "missing_parameter" => "the parameter, or a value for the variable from whoever says who it is for",
        "policy_too_wide" => "a narrower policy, or a role that gives all that it asks for",
        "policy_invalid" => "a policy in the role's language that allows something",
        "lifetime_too_long" => "a shorter lifetime, or a longer `lifetime.max` of the role and of the grant",
        "invalid_target" => "a grant that every client behind the token has",
        "not_yours" => "the client that the token was issued to",
        "client_disabled" => "the client to be enabled: daypass client enable",
        "frozen" => "the freeze to be undone",
        "temporary_not_allowed" => "a key of the client's own",
        "weak_proof_refused" => "a better signature, or a change of `refuse`",
        "missing_proof" => "a proof of one of the kinds that the endpoint takes",
        "origin_not_allowed" => "the origin in the `origins` of the endpoint",
        "rate_limited" => {
            "fewer requests, or a higher limit: daypass client limit, or `limits` of the configuration"
        }
        "replayed" => "a new signature with the present time",
        "clock_skew" => "a clock that is right",
        "ticket_spent" => "a new ticket",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::refusal::Reason;
    use daypass_core::testing::START;

    #[test]
    fn an_id_is_known_in_every_way_that_a_vendor_writes_it() {
        let request = Uuid::from_u128(0x59a5_e07e_4147_4d2e_a808_dca7_6ac5_b3fd);
        let mut record = Record::change(Uuid::from_u128(1), START, None, "token.revoke", "app abc");
        record.request = Some(request);
        let is = |id: &str| is_of(&record, id, Uuid::try_parse(id).ok());
        let text = request.to_string();
        assert!(is(&text) && is(&text.to_uppercase()) && is(&request.simple().to_string()));
        assert!(is(&alibaba::wire::request_id(request)), "TOP's own form");
        assert!(is("00000000-0000-0000-0000-000000000001") && is("abc") && is("app"));
        assert!(!is("ab") && !is("") && !is(&Uuid::from_u128(2).to_string()));
        record.request = None;
        assert!(!is_of(&record, "nonsense", None), "no id is not the id of everything without one");
    }

    #[test]
    fn what_would_be_needed_is_said_of_reasons_that_there_are() {
        let known: Vec<_> = Reason::ALL.iter().filter(|reason| needed(reason.label()).is_some()).collect();
        assert_eq!(known.len(), 23, "one of them was renamed");
        assert_eq!(needed("internal"), None);
    }
}
