//! `daypass backup`: all of a store in one encrypted file, while it is served from.

mod draft;
pub(super) mod key;

use super::moving::{self, Despite};
use super::output::{Failure, Output};
use super::place::{Place, PlaceArgs};
use crate::app;
use crate::system::KeyEntropy;
use async_trait::async_trait;
use daypass_core::age::Identity;
use daypass_core::backup::{BackupFault, FORMAT, Header, Manifest, Reader, Writer};
use daypass_core::id::random_uuid;
use daypass_core::record::{Entry, Record};
use daypass_core::store::StoreError;
use daypass_core::transfer::{Damage, Opens, Pages, Part, Row, SOUND, Unproved, VERSION};
use draft::Draft;
use key::{LockArgs, OpenerArgs};
use serde_json::json;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// What to make, or `verify` or `key`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    order: Order,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Prove that a backup is whole; with --config, that its ring opens, who made it, and every chain of its records.
    Verify(Verify),
    /// Make a key to encrypt backups for, and print its recipient. Keep the key away from the machines that make backups.
    Key {
        /// The file for the key. It must not exist.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// A backup to make.
#[derive(clap::Args)]
struct Order {
    /// The file to write. It must not exist.
    #[arg(long, value_name = "FILE", required = true)]
    out: Option<PathBuf>,
    #[command(flatten)]
    lock: LockArgs,
    #[command(flatten)]
    despite: Despite,
    #[command(flatten)]
    place: PlaceArgs,
}

/// A backup to prove.
#[derive(clap::Args)]
struct Verify {
    /// The backup.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    opener: OpenerArgs,
    #[command(flatten)]
    despite: Despite,
    /// A configuration with the seal key of the store that the backup is of.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn run(args: Args, output: &Output) -> Result<(), Failure> {
    match args.verb {
        None => make(args.order, output).await,
        Some(Verb::Verify(verify)) => verify.run(output).await,
        Some(Verb::Key { out }) => new_key(&out, output),
    }
}

fn new_key(out: &Path, output: &Output) -> Result<(), Failure> {
    let identity = Identity::generate(&KeyEntropy).map_err(anyhow::Error::from)?;
    let recipient = identity.recipient().to_string();
    let mut text = format!("# made by daypass backup key\n# public key: {recipient}\n").into_bytes();
    let line = identity.line();
    text.extend_from_slice(line.expose());
    text.push(b'\n');
    let text = daypass_core::secret::Secret::new(text);
    super::files::create_private(out, text.expose())?;
    output.show(
        format!(
            "wrote {} (mode 0600; without it no backup can be restored)\nencrypt for: {recipient}",
            out.display()
        ),
        || json!({ "file": out, "recipient": recipient }),
    );
    Ok(())
}

async fn make(order: Order, output: &Output) -> Result<(), Failure> {
    let out = order.out.unwrap_or_default();
    let lock = order.lock.read()?;
    // Before anything is read: hours later is too late to be told.
    let draft = Draft::begin(&out)?;
    let keys = order.place.seal_keys()?;
    let opens = moving::opens(&keys);
    let place = order.place.open().await?;
    let made = write(&place, draft, &lock, &out, order.despite, &opens).await;
    place.opened.store.close().await?;
    let Made { header, manifest, bytes } = made?;
    moving::tell(output, manifest.damage.as_ref().unwrap_or(&Damage::default()));
    let text = format!(
        "wrote {} ({bytes} bytes, backup {})\n{}",
        out.display(),
        header.id,
        moving::table_of(&manifest.parts)
    );
    output.show(text, || {
        json!({ "file": out, "id": header.id, "made": header.made, "bytes": bytes, "parts": manifest.parts,
            "damage": manifest.damage })
    });
    Ok(())
}

/// A file that was written.
struct Made {
    header: Header,
    manifest: Manifest,
    bytes: u64,
}

async fn write(
    place: &Place,
    draft: Draft,
    lock: &daypass_core::age::Lock,
    out: &Path,
    despite: Despite,
    opens: Opens<'_>,
) -> Result<Made, Failure> {
    let opened = &place.opened;
    let now = app::now();
    let header = Header {
        format: FORMAT.to_owned(),
        // What older programs may read as well, they shall.
        version: if despite.is_wanted() { VERSION } else { SOUND },
        program: concat!("daypass ", env!("CARGO_PKG_VERSION")).to_owned(),
        id: random_uuid(&KeyEntropy),
        made: daypass_core::clock::rfc3339(now),
    };
    let writer = Writer::new(draft.file()?, lock, &KeyEntropy, &header).map_err(cannot)?;
    let mut filing = Filing { from: opened.store.snapshot().await?, to: writer, fault: None };
    // Proved as it is read: at a restore it would be too late to be told.
    let proved = match despite.prove(&mut filing, Some(opens)).await {
        Ok(proved) => proved,
        Err(fault) => {
            return Err(match (filing.fault, fault) {
                (Some(fault), _) => cannot(fault),
                (None, Unproved::Read(error)) => error.into(),
                (None, fault) => Failure::Refused(format!(
                    "no backup was made: {}",
                    moving::unproved(&fault, "daypass backup")
                )),
            });
        }
    };
    let damage = proved.damage;
    let mut writer = filing.to;
    if !damage.is_none() {
        writer.damaged(damage.clone());
    }
    let (file, manifest) = writer.finish(&opened.ring).map_err(cannot)?;
    let bytes = draft.end(file)?;
    // Whoever takes all of it away is written down before he has it.
    opened.begin().await?;
    let record = Record {
        why: Some(format!("to {}", out.display())),
        ..app::change_at(now, None, "store.backup", &header.id.to_string())
    };
    for record in std::iter::once(record).chain(moving::warning(&header.id.to_string(), &damage)) {
        opened.store.append(Entry { record, mark: None }).await?;
    }
    draft.publish()?;
    Ok(Made { header, manifest, bytes })
}

/// Rows that are put into a file as they are read.
struct Filing<W: std::io::Write + Send> {
    from: Box<dyn Pages>,
    to: Writer<W>,
    /// Why the file cannot be written, for which a store has no word.
    fault: Option<BackupFault>,
}

#[async_trait]
impl<W: std::io::Write + Send> Pages for Filing<W> {
    async fn next(&mut self) -> Result<Option<Vec<Row>>, StoreError> {
        loop {
            let Some(rows) = self.from.next().await? else { return Ok(None) };
            // What clouds gave nodes to hold is of use to a thief and, later, to nobody else.
            if rows.first().map(Row::part) != Some(Part::Held) {
                return match self.to.put(&rows) {
                    Ok(()) => Ok(Some(rows)),
                    Err(fault) => {
                        let told = StoreError::Unavailable(fault.to_string());
                        self.fault = Some(fault);
                        Err(told)
                    }
                };
            }
        }
    }
}

fn cannot(fault: impl Into<BackupFault>) -> Failure {
    let fault = fault.into();
    Failure::Usage(format!("the backup cannot be written: {fault}"))
}

/// Opens a backup.
pub(super) fn open(
    file: &Path,
    opener: &daypass_core::age::Opener,
) -> Result<Reader<BufReader<File>>, Failure> {
    let opened = File::open(file)
        .map_err(|error| Failure::Usage(format!("cannot read `{}`: {error}", file.display())))?;
    Reader::new(BufReader::with_capacity(1 << 18, opened), opener).map_err(|fault| refused(file, &fault))
}

/// Something is wrong with it.
pub(super) fn refused(file: &Path, fault: &dyn std::fmt::Display) -> Failure {
    Failure::Refused(format!("`{}` is not restored from: {fault}", file.display()))
}

impl Verify {
    async fn run(self, output: &Output) -> Result<(), Failure> {
        let opener = self.opener.read()?;
        let keys = match &self.config {
            Some(config) => Some(super::place::seal_keys(config)?),
            None => None,
        };
        let opens = keys.as_ref().map(moving::opens);
        let mut reader = open(&self.file, &opener)?;
        let opens = opens.as_ref().map(|opens| opens as Opens<'_>);
        let proved = self.despite.prove(&mut reader, opens).await;
        let proved = proved
            .map_err(|fault| refused(&self.file, &moving::unproved(&fault, "daypass backup verify")))?;
        let damage =
            damage(&self.file, reader.manifest(), &proved.damage, self.despite, "daypass backup verify")?;
        moving::tell(output, &damage);
        let header = reader.header().clone();
        let mut text = vec![
            format!(
                "{} is whole: backup {} of {}, by {}",
                self.file.display(),
                header.id,
                header.made,
                header.program
            ),
            moving::table_of(&proved.census),
        ];
        if let Some(ring) = &proved.ring {
            if !reader.is_proved(ring) {
                return Err(refused(&self.file, &FORGED));
            }
            text.push(format!(
                "the seal key opens its ring, the ring proves the file, and {} chains of records {}",
                proved.writers.len(),
                if damage.is_none() { "verify" } else { "are as damaged as they were" }
            ));
        } else {
            text.push(
                "neither its ring nor its records were checked; --config with the seal key does that"
                    .to_owned(),
            );
        }
        output.show(text.join("\n"), || {
            json!({ "id": header.id, "made": header.made, "program": header.program, "parts": proved.census,
                "checkpoint": proved.checkpoint, "proved": proved.ring.is_some(),
                "damage": Some(&damage).filter(|damage| !damage.is_none()) })
        });
        Ok(())
    }
}

/// What is wrong with the records of a file, as it was said when it was made: there it may have been told by what is not in the
/// file. Refused unless it is wanted all the same.
pub(super) fn damage(
    file: &Path,
    manifest: Option<&Manifest>,
    found: &Damage,
    despite: Despite,
    what: &str,
) -> Result<Damage, Failure> {
    let said = manifest.and_then(|manifest| manifest.damage.as_ref());
    let damage = said.filter(|said| said.faults >= found.faults).unwrap_or(found).clone();
    if damage.is_none() || despite.is_wanted() {
        return Ok(damage);
    }
    Err(refused(file, &moving::unproved(&Unproved::Chains(damage), what)))
}

/// Why a file is not believed that only its recipient's key fits.
pub(super) const FORGED: &str =
    "it was put together by somebody who did not have the ring of the store it is said to be of";
