//! `daypass credential`: what a credential that was handed out may do, and whether it still counts.

mod access_token;

use super::files::read_token;
use super::output::{Failure, Output, table};
use super::place::{Place, PlaceArgs};
use crate::app;
use daypass_core::clock::{Timestamp, rfc3339};
use daypass_core::credential::Brokered;
use daypass_core::cutoff::{Cutoff, Cutoffs, Scope};
use daypass_core::directory::Directory;
use daypass_core::inspect::OwnToken;
use daypass_core::policy::{Language, Policy};
use daypass_core::record::{Event, Record};
use daypass_core::standing::{Fallen, Grounds, key_print, standing, standing_of_token};
use daypass_core::store::{RecordQuery, Store};
use daypass_core::triple::{self, Claims, SessionKind};
use daypass_dialects::{alibaba, tencent};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// Credentials that were handed out.
#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Print what a credential may do and whether it still counts: from its token, or else from the record of its
    /// grant. Never its secret.
    Show(Show),
}

/// Which credential.
#[derive(clap::Args)]
pub(super) struct Show {
    #[command(flatten)]
    place: PlaceArgs,
    /// Its id: `TmpSecretId`, `AccessKeyId`, the `uti` or `jti` of an access token.
    id: String,
    /// Its token; other users of this machine can see an argument, so prefer --token-file.
    #[arg(long, conflicts_with = "token_file", allow_hyphen_values = true)]
    token: Option<String>,
    /// A file with nothing but its token; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// How many records are read at a time.
const PAGE: usize = 1000;

/// What is known of a credential: what it was made on, and what only its token or only its record says.
struct Known<'a> {
    grounds: Grounds<'a>,
    from: &'static str,
    kind: Option<SessionKind>,
    source_identity: Option<&'a str>,
    tags: &'a BTreeMap<String, String>,
    variables: Option<&'a BTreeMap<String, String>>,
    policy: Option<&'a Policy>,
    /// What an access token says, which is judged by that and not by the grounds.
    token: Option<&'a OwnToken>,
    /// What an access token is bound to.
    bound: Option<String>,
    /// Where it comes from, where a cloud made it.
    upstream: Option<&'a Brokered>,
}

/// The exchanges that a credential came from, the latest first.
#[derive(Default)]
struct Chain {
    /// The access tokens that were shown.
    origins: Vec<Uuid>,
    /// The clients that those had been issued to.
    clients: Vec<Uuid>,
    /// The prints of the keys that those had been asked for with.
    keys: Vec<String>,
}

pub(super) async fn run(verb: Verb, output: &Output) -> Result<(), Failure> {
    let Verb::Show(args) = verb;
    let token = args.token()?;
    let place = args.place.open().await?;
    let result = show(&place, &args.id, token.as_deref(), output).await;
    place.opened.store.close().await?;
    result
}

impl Show {
    fn token(&self) -> Result<Option<String>, Failure> {
        match &self.token_file {
            Some(path) => read_token(path).map(Some),
            None => Ok(self.token.clone()),
        }
    }
}

async fn show(place: &Place, id: &str, token: Option<&str>, output: &Output) -> Result<(), Failure> {
    let directory = directory(place, token).await?;
    if let Some(token) = token
        && access_token::is_one(token)
    {
        let said = access_token::read(&directory, id, token)?;
        let key = access_token::key(&directory, &said);
        return print(&directory, &access_token::known(id, &said, key.as_deref()), output);
    }
    if let Some(token) = token {
        // The secret is derived as well, and dropped here.
        let opened = triple::open(&place.opened.ring, id, token)
            .map_err(|refusal| Failure::Refused(refusal.detail.into_owned()))?;
        return print(&directory, &of_claims(id, &opened.claims), output);
    }
    let store = &*place.opened.store;
    let unknown = || Failure::Refused(format!("there is no record of a credential `{}`", id.escape_debug()));
    let record = find(store, id).await?.ok_or_else(unknown)?;
    let chain = chain(store, &record).await?;
    let token = access_token::of_record(&directory, id, &record, &chain);
    let known = of_record(id, &record, &chain, token.as_ref()).ok_or_else(unknown)?;
    print(&directory, &known, output)
}

async fn chain(store: &dyn Store, record: &Record) -> Result<Chain, Failure> {
    let mut chain = Chain::default();
    let mut next = origin(record);
    // It is short; one that leads back was written by nobody of ours.
    while let Some(id) = next.filter(|id| !chain.origins.contains(id)) {
        chain.origins.push(id);
        let shown = find(store, &id.to_string()).await?;
        chain.clients.extend(shown.as_ref().and_then(|record| record.client));
        chain.keys.extend(shown.as_ref().and_then(|record| record.key.as_deref()).map(key_print));
        next = shown.as_ref().and_then(origin);
    }
    Ok(chain)
}

fn origin(record: &Record) -> Option<Uuid> {
    match &record.event {
        Event::Grant { origin, .. } => *origin,
        _ => None,
    }
}

/// The client that a credential speaks for by an exchange, where that is another than the one it was issued to.
fn behalf(record: &Record) -> Option<Uuid> {
    origin(record)?;
    let subject = record.subject.as_deref().and_then(|subject| Uuid::try_parse(subject).ok());
    subject.filter(|subject| Some(*subject) != record.client)
}

/// What the server would judge it by, now.
async fn directory(place: &Place, token: Option<&str>) -> Result<Directory, Failure> {
    let store = &place.opened.store;
    let configured = place.config.public_url.clone();
    // Only `daypass dev` runs without one, at whatever port was free.
    let said = || token.and_then(|token| access_token::public_url(&place.opened.ring, token));
    let plan = place.config.plan(&configured.or_else(said).unwrap_or_default());
    let (clients, keys, cutoffs) = (store.clients().await?, store.keys().await?, store.cutoffs().await?);
    Directory::new(Arc::new(plan), place.opened.ring.clone(), clients, keys, cutoffs)
        .map_err(|fault| Failure::Usage(fault.to_string()))
}

/// The record of the grant, from the oldest on: of a client's retries, the first is when it was made.
pub(super) async fn find(store: &dyn Store, id: &str) -> Result<Option<Record>, Failure> {
    let mut query = RecordQuery { after: Some(0), limit: PAGE, ..RecordQuery::default() };
    loop {
        let page = store.records(query.clone()).await?;
        let Some(last) = page.last() else { return Ok(None) };
        query.after = Some(last.position);
        let wanted =
            |record: &Record| matches!(&record.event, Event::Grant { credential, .. } if credential == id);
        if let Some(found) = page.into_iter().map(|stored| stored.record).find(wanted) {
            return Ok(Some(found));
        }
    }
}

fn of_claims<'a>(id: &'a str, claims: &'a Claims) -> Known<'a> {
    Known {
        grounds: claims.grounds(id),
        from: "token",
        kind: Some(claims.kind),
        source_identity: claims.source_identity.as_deref(),
        tags: &claims.tags,
        variables: None,
        policy: Some(&claims.policy),
        token: None,
        bound: None,
        upstream: None,
    }
}

fn of_record<'a>(
    id: &'a str,
    record: &'a Record,
    chain: &'a Chain,
    token: Option<&'a OwnToken>,
) -> Option<Known<'a>> {
    let Event::Grant { expires, policy, variables, tags, source_identity, bound, upstream, .. } =
        &record.event
    else {
        return None;
    };
    let grounds = Grounds {
        id,
        tenant: record.tenant.as_deref()?,
        client: record.client,
        key: record.key.as_deref(),
        endpoint: None,
        role: record.role.as_deref()?,
        via: record.via.as_deref(),
        subject: record.subject.as_deref(),
        session: record.session.as_deref(),
        behalf: behalf(record),
        // Whom it speaks for is among them, and is looked at twice.
        actors: &chain.clients,
        origins: &chain.origins,
        origin_keys: &chain.keys,
        issued: record.at,
        expires: *expires,
    };
    Some(Known {
        grounds,
        from: "record",
        kind: None,
        source_identity: source_identity.as_deref(),
        tags,
        variables: Some(variables),
        policy: policy.as_deref(),
        token,
        bound: bound.clone(),
        upstream: upstream.as_deref(),
    })
}

/// Whether it still counts, and why not. Introspection says the same of an access token; whoever checks one without
/// asking takes it until it runs out.
fn judged(directory: &Directory, known: &Known<'_>) -> (&'static str, Option<String>) {
    let now = app::now();
    let standing = match known.token {
        Some(token) => standing_of_token(directory, token, now),
        None => standing(directory, &known.grounds, now),
    };
    match standing {
        Ok(()) => ("live", None),
        Err(fallen @ Fallen::Expired) => ("expired", Some(fallen.to_string())),
        Err(fallen) => ("fallen", Some(fallen.to_string())),
    }
}

/// Whether what a record gave still counts, and why not; none where it gave nothing.
pub(super) async fn standing_of(
    store: &dyn Store,
    directory: &Directory,
    record: &Record,
) -> Result<Option<(&'static str, Option<String>)>, Failure> {
    let Event::Grant { credential, .. } = &record.event else { return Ok(None) };
    let chain = chain(store, record).await?;
    let token = access_token::of_record(directory, credential, record, &chain);
    Ok(of_record(credential, record, &chain, token.as_ref()).map(|known| judged(directory, &known)))
}

/// The policy as its vendor writes it.
fn document(policy: &Policy) -> Result<String, Failure> {
    match policy.language {
        Language::Cam => tencent::policy::render(policy).map_err(|fault| fault.to_string()),
        Language::Ram => alibaba::policy::render(policy).map_err(|fault| fault.to_string()),
    }
    .map_err(|fault| Failure::Refused(format!("the policy cannot be written: {fault}")))
}

fn print(directory: &Directory, known: &Known<'_>, output: &Output) -> Result<(), Failure> {
    let policy = known.policy.map(document).transpose()?;
    let said = said(directory, known);
    let rows: Vec<_> = said.iter().map(|(name, value)| vec![name.replace('_', " "), cell(value)]).collect();
    let mut text = table(&rows);
    if let Some(policy) = &policy {
        text.push_str("\n\n");
        text.push_str(policy);
    }
    output.show(text, || {
        let mut members: Map<_, _> = said.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if let Some(policy) = policy {
            members.insert("policy".to_owned(), serde_json::from_str(&policy).unwrap_or_default());
        }
        Value::Object(members)
    });
    Ok(())
}

/// Everything but the policy, by name and in order; without what there is nothing to say of.
fn said(directory: &Directory, known: &Known<'_>) -> Vec<(&'static str, Value)> {
    let grounds = &known.grounds;
    let (standing, why) = judged(directory, known);
    let client = directory.tenant(grounds.tenant).zip(grounds.client);
    let client = client.and_then(|(tenant, guid)| directory.client(tenant, guid));
    let said = [
        ("id", json!(grounds.id)),
        ("from", json!(known.from)),
        ("standing", json!(standing)),
        ("why", json!(why)),
        ("tenant", json!(grounds.tenant)),
        ("client", json!(grounds.client)),
        ("client_name", json!(client.as_ref().map(|client| &client.name))),
        ("key", json!(grounds.key)),
        ("endpoint", json!(grounds.endpoint)),
        ("role", json!(grounds.role)),
        ("kind", json!(known.kind)),
        ("via", json!(grounds.via)),
        ("subject", json!(grounds.subject)),
        ("session", json!(grounds.session)),
        ("speaks_for", json!(grounds.behalf)),
        ("exchanged_for", json!(exchanged_for(known))),
        ("source_identity", json!(known.source_identity)),
        ("tags", json!(known.tags)),
        ("variables", json!(known.variables)),
        ("audience", json!(known.token.map(|token| &token.audience))),
        ("app_roles", json!(known.token.map(|token| &token.app_roles))),
        ("bound_to", json!(known.bound)),
        ("made_by", json!(known.upstream.map(made_by))),
        ("issued", json!(rfc3339(grounds.issued))),
        ("expires", json!(rfc3339(grounds.expires))),
    ];
    said.into_iter().filter(|(_, value)| !cell(value).is_empty()).collect()
}

/// Where a cloud's credential comes from, in words that do not depend on what a record leaves out.
pub(super) fn made_by(brokered: &Brokered) -> Value {
    json!({
        "issuer": brokered.issuer,
        "root_key": brokered.key,
        "cloud_request": brokered.request,
        "obtained": rfc3339(brokered.obtained),
        "kept": brokered.kept,
        "shared": brokered.shared,
        "recallable": false,
    })
}

/// Whether a cut-off of this scope takes back what a record gave, at whatever time it is made.
pub(super) async fn is_of(store: &dyn Store, scope: &Scope, record: &Record) -> Result<bool, Failure> {
    let Event::Grant { credential, .. } = &record.event else { return Ok(false) };
    let chain = chain(store, record).await?;
    if let Scope::Key(id) = scope
        && chain.keys.contains(&key_print(id))
    {
        return Ok(true);
    }
    let cutoffs = Cutoffs::new([Cutoff { scope: scope.clone(), before: Timestamp::MAX }]);
    let known = of_record(credential, record, &chain, None);
    Ok(known.is_some_and(|known| known.grounds.taken_back(&cutoffs).is_some()))
}

fn exchanged_for<'a>(known: &Known<'a>) -> Vec<&'a Uuid> {
    match known.token {
        Some(token) => token.origin.iter().chain(&token.earlier).collect(),
        None => known.grounds.origins.iter().collect(),
    }
}

/// A value as one line, whatever a caller wrote into it.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        // A quote does no harm in a terminal, and "the client's boundary" is to be read.
        Value::String(text) => text.escape_debug().to_string().replace("\\'", "'"),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(" "),
        Value::Object(members) => {
            let pair = |(name, value): (&String, &Value)| format!("{}={}", name.escape_debug(), cell(value));
            members.iter().map(pair).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::clock::after;
    use daypass_core::testing::World;

    #[test]
    fn a_cut_off_is_named_by_its_scope() {
        let mut world = World::new();
        let issued = app::now();
        let grounds = Grounds {
            id: "AKIDAQAAAAEAAAAAAAAAAAAAAAAAAAAA",
            tenant: "acme",
            client: Some(world.client.guid),
            key: Some("AKIDworld"),
            endpoint: None,
            role: "soe",
            via: None,
            subject: None,
            session: None,
            behalf: None,
            actors: &[],
            origins: &[],
            origin_keys: &[],
            issued,
            expires: after(issued, 3600),
        };
        let tags = BTreeMap::new();
        let known = Known {
            grounds,
            from: "token",
            kind: None,
            source_identity: None,
            tags: &tags,
            variables: None,
            policy: None,
            token: None,
            bound: None,
            upstream: None,
        };
        assert_eq!(judged(&world.directory(), &known), ("live", None));
        world.cutoffs = vec![Cutoff { scope: Scope::Key("AKIDworld".into()), before: issued }];
        let (standing, why) = judged(&world.directory(), &known);
        assert_eq!(standing, "fallen");
        assert_eq!(why.as_deref(), Some("it was taken back by a cut-off of key AKIDworld"));
    }

    #[test]
    fn what_a_caller_wrote_stays_on_one_line() {
        assert_eq!(cell(&json!("a\nb")), "a\\nb");
        assert_eq!(cell(&json!({"team\n": "red\t", "unit": ""})), "team\\n=red\\t unit=");
        assert_eq!(cell(&json!(["a", "b"])), "a b");
        assert_eq!([json!(null), json!({}), json!([])].map(|value| cell(&value)), ["", "", ""]);
    }
}
