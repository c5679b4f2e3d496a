//! The file: making it, opening it, bringing it up to date, and refusing one that cannot be right.

use super::fault::{Fault, damaged};
use crate::Schema;
use crate::steps::{self, Step};
use daypass_core::store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `Dayp`: the file is ours and not some other program's SQLite database.
const APPLICATION: i64 = 0x4461_7970;

/// Every step forward, in order; the file's `user_version` counts those that were taken. There is none back. Programs of before the seventh
/// refuse whatever they do not know.
const MIGRATIONS: &[Step] = &[
    Step::breaking(include_str!("migrations/0001_first.sql")),
    Step::breaking(include_str!("migrations/0002_ring_since.sql")),
    Step::breaking(include_str!("migrations/0003_uses.sql")),
    Step::breaking(include_str!("migrations/0004_freezes.sql")),
    Step::breaking(include_str!("migrations/0005_brokered.sql")),
    Step::breaking(include_str!("migrations/0006_recuts.sql")),
    Step::additive(include_str!("migrations/0007_oldest.sql")),
    Step::additive(include_str!("migrations/0008_clock.sql")),
    Step::additive(include_str!("migrations/0009_seal.sql")),
    Step::additive(include_str!("migrations/0010_records.sql")),
    Step::additive(include_str!("migrations/0011_standing.sql")),
    Step::additive(include_str!("migrations/0012_counted.sql")),
    Step::additive(include_str!("migrations/0013_owners.sql")),
    Step::additive(include_str!("migrations/0014_edits.sql")),
];

/// How long one process waits for another's commit. Shorter than a request waits for its record, so that the
/// answer is "busy" and not silence.
const BUSY: Duration = Duration::from_millis(1500);

/// A file up to this size is checked whole when it is opened, in bytes: it costs about 0.1 s at most. In a larger
/// one, damage shows where it is read: contents by their sums, omissions by positions, digests and chains.
const CHECKED_WHOLE: i64 = 16 << 20;

/// A log that ever held a commit is at least as long as its header.
const LOG_HEADER: u64 = 32;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Write,
    Read,
}

/// The path behind `sqlite:`, made absolute, so that neither a later change of folder nor SQLite's special names
/// (`:memory:`, the empty one) can mean another file.
pub(super) fn path(text: &str) -> Result<PathBuf, StoreError> {
    if text.is_empty() {
        return Err(StoreError::BadUrl("`sqlite:` names no file".into()));
    }
    if let Some(rest) = text.strip_prefix("//") {
        let rest = rest.trim_start_matches('/');
        return Err(StoreError::BadUrl(format!(
            "`sqlite:` is followed by a path without a host: write `sqlite:/{rest}`"
        )));
    }
    let path = std::path::absolute(text).map_err(|e| StoreError::BadUrl(format!("`{text}`: {e}")))?;
    match path.parent() {
        Some(folder) if folder.is_dir() => Ok(path),
        Some(folder) => Err(StoreError::BadUrl(format!("the folder `{}` does not exist", folder.display()))),
        None => Err(StoreError::BadUrl(format!("`{text}` is no file"))),
    }
}

/// Makes the file if there is none, brings it up to date and checks it. Gives the writer's connection.
pub(super) fn prepare(path: &Path) -> Result<Connection, Fault> {
    match std::fs::metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            refuse_orphan(path)?;
            make(path)?;
        }
        // To SQLite an empty file is a new database; to us it is one that lost everything, since `make` leaves none.
        Ok(file) if file.len() == 0 => return Err(damaged(format_args!("`{}` is empty", path.display()))),
        _ => (),
    }
    let mut connection = connect(path, Use::Write)?;
    refuse_strangers(&connection)?;
    log_mode(&connection)?;
    migrate(&mut connection)?;
    check_log(&connection, path)?;
    check_whole(&connection)?;
    Ok(connection)
}

/// Accident: somebody removes the file and leaves its log. SQLite would write what the log holds of the old file over a new one,
/// which is neither of the two.
fn refuse_orphan(path: &Path) -> Result<(), Fault> {
    let log = log_path(path);
    // Looked at in this order: another process that has just made both is not mistaken for it.
    let orphaned = std::fs::metadata(&log).is_ok_and(|m| m.len() >= LOG_HEADER) && !path.exists();
    if !orphaned {
        return Ok(());
    }
    Err(damaged(format_args!(
        "`{}` is missing, and its log `{}` is there; put the file back, or, to begin anew or to restore a backup, take the log \
         away",
        path.display(),
        log.display()
    )))
}

/// Makes the file under another name first. It appears under its own complete or not at all, however the process
/// ends; and of several that start at once, the first one's is taken by all.
fn make(path: &Path) -> Result<(), Fault> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!("-new-{}-{:?}", std::process::id(), std::thread::current().id()));
    let draft = PathBuf::from(draft);
    let made = make_draft(&draft).and_then(|()| match std::fs::hard_link(&draft, path) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e.into()),
        _ => Ok(()),
    });
    let _ = std::fs::remove_file(&draft);
    made?;
    match path.parent() {
        Some(folder) => Ok(File::open(folder)?.sync_all()?),
        None => Ok(()),
    }
}

/// The file is made here and not by SQLite for its mode alone; SQLite gives the log and its index the same mode.
fn make_draft(draft: &Path) -> Result<(), Fault> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    let mut connection = connect(draft, Use::Write)?;
    log_mode(&connection)?;
    migrate(&mut connection)?;
    release(&connection, false)
}

fn log_mode(connection: &Connection) -> Result<(), Fault> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    match mode.as_str() {
        "wal" => Ok(()),
        _ => Err(StoreError::Unavailable("this file system does not support SQLite's log".into()).into()),
    }
}

/// Opens the file, which is there.
pub(super) fn connect(path: &Path, used: Use) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    settle(&connection, used)?;
    Ok(connection)
}

/// Opens the file for this process alone; none where another has it open.
///
/// What SQLite keeps in memory that processes share is kept in this process's, which needs the whole of SQLite's lock on the
/// file; every other connection holds a share of that for as long as it is open.
pub(super) fn connect_alone(path: &Path) -> Result<Option<Connection>, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
    match connection.execute("UPDATE meta SET closed = closed", []) {
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
            return Ok(None);
        }
        looked => looked?,
    };
    settle(&connection, Use::Write)?;
    Ok(Some(connection))
}

fn settle(connection: &Connection, used: Use) -> Result<(), Fault> {
    connection.set_prepared_statement_cache_capacity(48);
    // A file may have been handed to us: nothing in its schema runs code, and nothing but SQL can change it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    // The log goes away only after `closed` was written (`release`), so that a missing one means something.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "query_only", used == Use::Read)?;
    Ok(())
}

/// Before anything is written to it.
fn refuse_strangers(connection: &Connection) -> Result<(), Fault> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if tables > 0 && application != APPLICATION {
        return Err(damaged("the file is the database of another program, or its first page was changed"));
    }
    pending(connection).map(|_| ())
}

/// The steps that are still to be taken, or that this program must not write.
fn pending(connection: &Connection) -> Result<&'static [Step], Fault> {
    let found = version(connection)?;
    let oldest = if found > steps::known(MIGRATIONS) { Some(oldest(connection)?) } else { None };
    Ok(steps::pending(MIGRATIONS, found, oldest)?)
}

/// The number of steps that this program knows.
pub(super) fn known() -> i64 {
    steps::known(MIGRATIONS)
}

fn oldest(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.prepare_cached("SELECT oldest FROM meta")?.query_row([], |row| row.get(0))?)
}

/// Asked in every transaction that writes: while this process runs, another one of a newer version may change the tables.
pub(super) fn may_write(connection: &Connection) -> Result<(), Fault> {
    Ok(steps::may_write(MIGRATIONS, oldest(connection)?)?)
}

/// How far the tables are, without bringing them any further.
pub(super) fn look(path: &Path) -> Result<Schema, Fault> {
    let found = if path.exists() {
        let connection = connect(path, Use::Read)?;
        let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        if application != APPLICATION {
            return Err(damaged(
                "the file is the database of another program, or its first page was changed",
            ));
        }
        version(&connection)?
    } else {
        0
    };
    Ok(Schema { found, known: steps::known(MIGRATIONS) })
}

fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    if pending(connection)?.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again, now that nobody else can be taking the same steps.
    let pending = pending(&transaction)?;
    for step in pending {
        transaction.execute_batch(step.sql())?;
    }
    if !pending.is_empty() {
        transaction.execute("UPDATE meta SET oldest = max(oldest, ?)", [steps::oldest(MIGRATIONS)])?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", steps::known(MIGRATIONS))?;
    }
    transaction.commit()?;
    Ok(())
}

fn version(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Attack or accident: the log holds every commit since it was last merged into the file. Whoever deletes it, or
/// copies the file without it, rolls the store back to an older state that looks whole: with revoked keys alive
/// and records gone. The file says whether it needs its log.
///
/// The order makes it safe against other processes: a state that says "open" was read, so whoever wrote it had
/// made the log before, and while this connection is open nobody deletes it.
fn check_log(connection: &Connection, path: &Path) -> Result<(), Fault> {
    let closed: bool = connection.query_row("SELECT closed FROM meta", [], |row| row.get(0))?;
    let log = log_path(path);
    if closed || std::fs::metadata(&log).is_ok_and(|m| m.len() >= LOG_HEADER) {
        return Ok(());
    }
    let (log, file) = (log.display(), path.display());
    Err(damaged(format_args!(
        "`{log}` is missing, and the store was not closed: what was written last is lost without it. Put it back; \
         if another program has merged it into the file (the sqlite3 shell does), say so by \
         `sqlite3 {file} \"UPDATE meta SET closed = 1\"`"
    )))
}

/// Where SQLite keeps the log of this file.
pub(super) fn log_path(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

fn check_whole(connection: &Connection) -> Result<(), Fault> {
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let size: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    if pages.saturating_mul(size) > CHECKED_WHOLE {
        return Ok(());
    }
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(damaged(found)) }
}

/// Writes that nobody has the store open, and lets SQLite merge and remove the log if that is so. A process that
/// still has it open takes `closed` back with its next record.
pub(super) fn release(connection: &Connection, wrote: bool) -> Result<(), Fault> {
    if wrote {
        connection.execute("UPDATE meta SET closed = 1", [])?;
    }
    let closed: bool = connection.query_row("SELECT closed FROM meta", [], |row| row.get(0))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !closed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn error(path: &Path) -> StoreError {
        prepare(path).err().unwrap().error
    }

    #[test]
    fn the_files_are_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = prepare(&path).unwrap();
        connection.execute("UPDATE meta SET changes = 1", []).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
                entry.file_name().into_string().unwrap()
            })
            .collect();
        names.sort();
        assert_eq!(names, ["a.db", "a.db-shm", "a.db-wal"]);
    }

    #[test]
    fn a_newer_file_is_refused_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = prepare(&path).unwrap();
        let known = steps::known(MIGRATIONS);
        connection.pragma_update(None, "user_version", known + 2).unwrap();
        connection.execute("UPDATE meta SET oldest = ?", [known + 1]).unwrap();
        release(&connection, false).unwrap();
        drop(connection);
        let before = std::fs::read(&path).unwrap();
        assert_eq!(error(&path), StoreError::Newer { found: known + 2, known });
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    /// One version back: what the newer program added stays, and so does the number of its steps.
    #[test]
    fn a_newer_file_that_was_only_added_to_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = prepare(&path).unwrap();
        let newer = steps::known(MIGRATIONS) + 1;
        connection.execute_batch("ALTER TABLE clients ADD COLUMN note TEXT NOT NULL DEFAULT ''").unwrap();
        connection.pragma_update(None, "user_version", newer).unwrap();
        drop(connection);
        for _ in 0..2 {
            let connection = prepare(&path).unwrap();
            may_write(&connection).unwrap();
            assert_eq!(version(&connection).unwrap(), newer);
        }
    }

    #[test]
    fn a_file_of_another_kind_is_refused_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        std::fs::write(&path, "root:x:0:0:root:/root:/bin/bash\n".repeat(100)).unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(error(&path), StoreError::Damaged(text) if text.contains("not a database")));
        assert_eq!(std::fs::read(&path).unwrap(), before);

        let other = folder.path().join("b.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE photos (name TEXT)").unwrap();
        assert!(matches!(error(&other), StoreError::Damaged(text) if text.contains("another program")));
    }

    #[test]
    fn an_emptied_file_is_not_taken_for_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        drop(prepare(&path).unwrap());
        let left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().contains("new")), "{left:?}");
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(error(&path), StoreError::Damaged(text) if text.contains("is empty")));
    }

    #[test]
    fn a_log_without_its_file_is_not_written_over_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        drop(prepare(&path).unwrap());
        let kept = std::fs::read(log_path(&path)).unwrap_or_default();
        std::fs::write(log_path(&path), if kept.is_empty() { vec![7; 64] } else { kept }).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(error(&path), StoreError::Damaged(text) if text.contains("take the log away")));
        assert!(!path.exists(), "and nothing was made");
        std::fs::remove_file(log_path(&path)).unwrap();
        assert!(prepare(&path).is_ok());
    }

    #[test]
    fn many_may_start_on_a_new_file_at_once() {
        for _ in 0..5 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.db");
            std::thread::scope(|scope| {
                let all: Vec<_> = (0..6).map(|_| scope.spawn(|| prepare(&path).map(drop))).collect();
                for one in all {
                    one.join().unwrap().unwrap();
                }
            });
        }
    }

    #[test]
    fn settings_are_what_durability_needs() {
        let folder = tempfile::tempdir().unwrap();
        let connection = prepare(&folder.path().join("a.db")).unwrap();
        let ask =
            |name: &str| -> i64 { connection.pragma_query_value(None, name, |row| row.get(0)).unwrap() };
        assert_eq!(ask("synchronous"), 2);
        assert_eq!(ask("foreign_keys"), 1);
        assert_eq!(ask("wal_autocheckpoint"), 0);
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }

    /// A ring key of a store that was made before keys took turns: without the time its state began.
    #[test]
    fn a_ring_of_the_first_schema_reads_and_swaps() {
        use crate::sqlite::{change, read, sums};
        use daypass_core::ring::{RingRow, RingState};
        use daypass_core::store::Change;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let row = daypass_core::testing::ring_rows().remove(0);
        let created = row.created.to_string();
        {
            File::create(&path).unwrap();
            let connection = connect(&path, Use::Write).unwrap();
            log_mode(&connection).unwrap();
            connection.execute_batch(MIGRATIONS[0].sql()).unwrap();
            connection.pragma_update(None, "application_id", APPLICATION).unwrap();
            connection.pragma_update(None, "user_version", 1).unwrap();
            let columns = (row.purpose.name(), row.version, "active", &created, &row.sealed);
            let insert = "INSERT INTO ring (purpose, version, state, created, sealed) VALUES (?, ?, ?, ?, ?)";
            connection.execute(insert, columns).unwrap();
            let (name, version) = (row.purpose.name().as_bytes(), row.version.to_be_bytes());
            let digest = sums::digest(&[name, &version, b"active", created.as_bytes(), &row.sealed]);
            connection.execute("UPDATE meta SET ring = ?", [digest]).unwrap();
        }
        let connection = prepare(&path).unwrap();
        assert_eq!(read::ring(&connection).unwrap(), std::slice::from_ref(&row), "as it was made");
        let gone = RingRow { state: RingState::Gone, sealed: vec![], ..row.clone() };
        let swap = Change::SwapRing { old: vec![row], new: vec![gone.clone()] };
        change::apply(&connection, &[swap]).unwrap();
        assert_eq!(read::ring(&connection).unwrap(), [gone]);
    }
}
