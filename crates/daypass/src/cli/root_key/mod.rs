//! `daypass root-key`: the keys that Daypass itself has at the clouds behind it.

mod list;
mod source;

use super::client::{When, parse_when};
use super::output::{Failure, Output};
use super::place::{Place, PlaceArgs};
use crate::app::{Ambient, now};
use crate::roots::{self, Desk, NotTaken, Taken};
use daypass_core::clock::rfc3339;
use daypass_core::root::{RootRow, Slot};
use daypass_core::upstream::{RootSource, Upstream};
use daypass_issuers::cloud;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// The root keys in the store.
#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// List the issuers of the configuration, and the keys that the store has for them: never a secret.
    List {
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Seal a new key into the free slot. The first key of an issuer is promoted at once.
    Stage(Stage),
    /// Ask the cloud with a key, and note that it answered.
    Prove(Prove),
    /// Prove the staged key, let it make the calls, and ask once more: it is rolled back if that fails.
    Promote {
        /// The issuer.
        issuer: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Let the key before this one make the calls again.
    Rollback(Rollback),
    /// Empty a slot: the staged key or the one that stands by.
    Drop(Drop),
}

/// A new key.
#[derive(clap::Args)]
pub(super) struct Stage {
    /// The issuer.
    issuer: String,
    /// A file of mode 0600, or `-` for standard input. It has `ID:SECRET` on one line, or JSON: `{"id", "secret"}`, or `{"id",
    /// "private_key", "thumbprint"}` for a certificate.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// When the cloud stops taking it: 180d, 2027-01-31 or 2027-01-31T12:00:00Z. It is announced ahead, and does nothing else.
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    expires: Option<When>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Which key to ask with.
#[derive(clap::Args)]
pub(super) struct Prove {
    /// The issuer.
    issuer: String,
    /// Which key [default: the staged one, or else the one that makes the calls].
    #[arg(long, value_parser = slot)]
    slot: Option<Slot>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// How to go back.
#[derive(clap::Args)]
pub(super) struct Rollback {
    /// The issuer.
    issuer: String,
    /// Do it without asking the cloud whether it still takes the key before.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Which key goes.
#[derive(clap::Args)]
pub(super) struct Drop {
    /// The issuer. It need not be in the configuration any more.
    issuer: String,
    /// Which slot [default: the one whose key makes no calls].
    #[arg(long, value_parser = slot)]
    slot: Option<Slot>,
    /// Drop even the key that makes the calls.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

fn slot(name: &str) -> Result<Slot, String> {
    Slot::ALL.into_iter().find(|slot| slot.name() == name).ok_or_else(|| "the slots are a and b".to_owned())
}

pub(super) async fn run(verb: Verb, output: &Output) -> Result<(), Failure> {
    match verb {
        Verb::List { place } => list::run(&place, output).await,
        Verb::Stage(args) => {
            // Read before anything is opened: whoever pipes a key in is not to wait for a lock.
            let key = source::read(&args.from)?;
            let site = Site::open(&args.place, &args.issuer).await?;
            let result = stage(&site, &key, args.expires, output).await;
            site.close(result).await
        }
        Verb::Prove(args) => {
            let site = Site::open_any(&args.place, &args.issuer).await?;
            let result = prove(&site, args.slot, output).await;
            site.close(result).await
        }
        Verb::Promote { issuer, place } => {
            let site = Site::open(&place, &issuer).await?;
            let result = promote(&site, output).await;
            site.close(result).await
        }
        Verb::Rollback(args) => {
            let site = Site::open(&args.place, &args.issuer).await?;
            let result = rollback(&site, args.force, output).await;
            site.close(result).await
        }
        Verb::Drop(args) => discard(args, output).await,
    }
}

/// An issuer with the store that its keys are in.
struct Site {
    place: Place,
    upstream: Arc<Upstream>,
    ambient: Ambient,
}

impl Site {
    /// Opens it, for an issuer whose keys the store keeps.
    async fn open(place: &PlaceArgs, issuer: &str) -> Result<Self, Failure> {
        let site = Self::open_any(place, issuer).await?;
        if matches!(site.upstream.root, RootSource::Stored) {
            return Ok(site);
        }
        site.place.opened.store.close().await?;
        Err(Failure::Usage(format!(
            "the configuration says where the root key of `{issuer}` is, so one in the store would make no calls; take \
             `root_key` out of the issuer first: a server that runs goes on with what it has read"
        )))
    }

    /// Opens it, wherever its key is.
    async fn open_any(place: &PlaceArgs, issuer: &str) -> Result<Self, Failure> {
        let place = place.open().await?;
        let upstream = match place.config.upstream(issuer) {
            Ok(upstream) => upstream.ok_or_else(|| unknown(&place, issuer)),
            Err(faults) => Err(Failure::Usage(faults.to_string())),
        };
        let begun = match upstream {
            Ok(upstream) => place.opened.begin().await.map(|()| upstream).map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        match begun {
            Ok(upstream) => Ok(Self { place, upstream, ambient: Ambient::system() }),
            Err(failure) => {
                place.opened.store.close().await?;
                Err(failure)
            }
        }
    }

    fn desk(&self) -> Result<Desk<'_>, Failure> {
        let cloud = cloud::build(&self.upstream).map_err(|bad| Failure::Usage(bad.to_string()))?;
        Ok(Desk { opened: &self.place.opened, cloud, ambient: &self.ambient })
    }

    async fn close(self, result: Result<(), Failure>) -> Result<(), Failure> {
        self.place.opened.store.close().await?;
        result
    }
}

fn unknown(place: &Place, issuer: &str) -> Failure {
    let plan = place.config.plan("");
    let names: Vec<_> = plan.upstreams.iter().map(|upstream| format!("`{}`", upstream.name)).collect();
    let there = if names.is_empty() {
        "it has none but `local`, which needs no root key".to_owned()
    } else {
        format!("it has {}", names.join(", "))
    };
    Failure::Usage(format!("the configuration has no issuer `{}`; {there}", issuer.escape_debug()))
}

async fn stage(
    site: &Site,
    key: &daypass_core::upstream::RootKey,
    expires: Option<When>,
    output: &Output,
) -> Result<(), Failure> {
    let desk = site.desk()?;
    let first = desk.is_first().await?;
    let row = desk.stage(key, expires.map(|when| when.at(now()))).await.map_err(failure)?;
    if !first {
        let issuer = &row.issuer;
        let next = format!("staged: {}; next: daypass root-key promote {issuer}", named(&row));
        output.show(next, || document(&row));
        return Ok(());
    }
    let taken = desk.promote().await.map_err(|fault| {
        let said = failure(fault);
        let text = format!("the key `{}` is staged, and was not promoted: {}", row.id, said.text());
        match said {
            Failure::Unreachable(_) => Failure::Unreachable(text),
            Failure::Usage(_) => Failure::Usage(text),
            Failure::Refused(_) | Failure::Said(_) => Failure::Refused(text),
        }
    })?;
    show(site, &taken, "staged and promoted, as the first of its issuer", output);
    Ok(())
}

async fn prove(site: &Site, slot: Option<Slot>, output: &Output) -> Result<(), Failure> {
    let desk = site.desk()?;
    if !roots::provable(&site.upstream) {
        return Err(Failure::Refused(format!(
            "`{}` has one live token, which a canary would end; the first use of a key proves it",
            site.upstream.name
        )));
    }
    if let RootSource::Configured(key) = &site.upstream.root {
        let answer = desk.canary(key).await;
        let account =
            answer.map_err(|fault| failure(NotTaken::Cloud("the cloud does not answer this key", fault)))?;
        let of = account.as_ref().map(|account| format!(", of account {account}")).unwrap_or_default();
        let text = format!("proved: {} of `{}`{of}", key.id, site.upstream.name);
        output.show(text, || {
            json!({ "issuer": site.upstream.name, "key": key.id, "state": "configured", "account": account })
        });
        return Ok(());
    }
    let taken = desk.prove(slot).await.map_err(failure)?;
    show(site, &taken, "proved", output);
    Ok(())
}

async fn promote(site: &Site, output: &Output) -> Result<(), Failure> {
    let taken = site.desk()?.promote().await.map_err(failure)?;
    show(site, &taken, "promoted", output);
    Ok(())
}

async fn rollback(site: &Site, force: bool, output: &Output) -> Result<(), Failure> {
    let taken = site.desk()?.rollback(force).await.map_err(failure)?;
    show(site, &taken, "rolled back", output);
    Ok(())
}

async fn discard(args: Drop, output: &Output) -> Result<(), Failure> {
    let Place { opened, .. } = args.place.open().await?;
    let dropped = match opened.begin().await {
        Ok(()) => roots::drop_key(&*opened.store, &args.issuer, args.slot, args.force, now()).await,
        Err(error) => {
            opened.store.close().await?;
            return Err(error.into());
        }
    };
    opened.store.close().await?;
    let row = dropped.map_err(failure)?;
    let text = format!("dropped: {}; disable it at the cloud as well", named(&row));
    output.show(text, || document(&row));
    Ok(())
}

fn show(site: &Site, taken: &Taken, done: &str, output: &Output) {
    let mut lines = vec![format!("{done}: {}", named(&taken.row))];
    if let Some(account) = &taken.account {
        lines.push(format!("the cloud says that it is of account {account}"));
    } else if !roots::provable(&site.upstream) {
        lines.push("not asked: this cloud has one live token, which asking would end".to_owned());
    }
    if let Some(before) = &taken.before {
        lines.push(format!("before it: {}", named(before)));
    }
    output.show(lines.join("\n"), || {
        let mut document = document(&taken.row);
        if let Value::Object(members) = &mut document {
            members.insert("account".to_owned(), json!(taken.account));
            members.insert("before".to_owned(), taken.before.as_ref().map(self::document).into());
        }
        document
    });
}

/// The exit code tells whether the cloud said no (1) or could not be asked (3).
fn failure(fault: NotTaken) -> Failure {
    let text = fault.to_string();
    match fault {
        NotTaken::Refused(_) | NotTaken::RolledBack(_) => Failure::Refused(text),
        NotTaken::Cloud(_, fault) if roots::says_no(&fault) => Failure::Refused(text),
        NotTaken::Cloud(..) => Failure::Unreachable(text),
        NotTaken::Store(fault) => fault.into(),
        NotTaken::Sealed(_) => Failure::Usage(text),
    }
}

/// A key in a line of text.
fn named(row: &RootRow) -> String {
    format!("{} of `{}` in slot {}, {}", row.id, row.issuer, row.slot.name(), row.state.name())
}

/// A key as scripts read it.
fn document(row: &RootRow) -> Value {
    json!({
        "issuer": row.issuer,
        "slot": row.slot.name(),
        "state": row.state.name(),
        "key": row.id,
        "created": rfc3339(row.created),
        "since": rfc3339(row.since),
        "expires": row.expires.map(rfc3339),
        "proved": row.proved.map(rfc3339),
    })
}
