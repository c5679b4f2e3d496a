//! The configuration and the files that it names.

use super::finding::Finding;
use crate::app;
use crate::config::{self, Diagnostic, Loaded, SealKeys};
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// The bits by which others than the owner can change something.
const CHANGED_BY_OTHERS: u32 = 0o022;
/// Those by which others than the owner and the group can.
const CHANGED_BY_ALL: u32 = 0o002;
/// Those by which others than the owner can read or change something.
const OPEN_TO_OTHERS: u32 = 0o077;
/// How many days before a certificate ends somebody must act now.
const DAYS: i64 = 14;
const DAY: i64 = 86_400;

/// Reads the file; without it hardly anything can be looked at.
pub(super) fn look(file: &Path, found: &mut Vec<Finding>) -> Option<Loaded> {
    let check = "configuration";
    match config::load(file) {
        Ok(config) => {
            let name = file.display();
            found.push(match config.warnings.len() {
                0 => Finding::ok(check, format!("`{name}` has no errors")),
                n => Finding::ok(
                    check,
                    format!("`{name}` has no errors, and {n} warnings: `daypass check` shows them"),
                ),
            });
            Some(config)
        }
        Err(errors) => {
            let todo = "mend the file; `daypass check` says whether it is right, and a running server goes on with what it has";
            found.push(Finding::fault(check, errors.to_string(), todo));
            None
        }
    }
}

/// Reads the seal keys.
pub(super) fn seal(config: &Loaded, found: &mut Vec<Finding>) -> Option<SealKeys> {
    match config.seal.read() {
        Ok(keys) => {
            found.push(Finding::ok("seal", "the seal key is there and nobody else's to read"));
            Some(keys)
        }
        Err(errors) => {
            let todo = "put the seal key of this store where `[seal]` says, for its owner alone; without it the store cannot be \
                        read, and a new one does not open what is there";
            found.push(Finding::fault("seal", errors.to_string(), todo));
            None
        }
    }
}

/// The certificate of the listener, and the authorities for those of clients.
pub(super) fn certificates(config: &Loaded, found: &mut Vec<Finding>) {
    let now = app::now();
    if let Some(tls) = &config.tls {
        let todo = "a new pair in the same files is taken up within seconds, without a restart";
        match tls.read(now) {
            Ok((pair, concerns)) => {
                let days = pair.expires.saturating_sub(now.as_second()) / DAY;
                found.push(if days < DAYS {
                    Finding::warning("certificate", format!("the certificate ends in {days} days"), todo)
                } else {
                    Finding::ok("certificate", format!("the certificate is good for {days} days"))
                });
                // That it ends is said above, once.
                let others =
                    concerns.iter().map(Diagnostic::to_string).filter(|text| !text.contains("expires"));
                found.extend(others.map(|text| Finding::warning("certificate", text, todo)));
            }
            Err(errors) => found.push(Finding::fault("certificate", errors.to_string(), todo)),
        }
    }
    if let Some(ca) = config.mutual_tls.as_ref().and_then(|tls| tls.ca.as_ref()) {
        let todo = "put the authorities that vouch for clients into the file that `mutual_tls` names, in PEM";
        match ca.read(now) {
            Ok((_, concerns)) => {
                found.push(Finding::ok("authorities", "the authorities for clients are read"));
                found.extend(
                    concerns.iter().map(|concern| Finding::warning("authorities", concern.to_string(), todo)),
                );
            }
            Err(errors) => found.push(Finding::fault("authorities", errors.to_string(), todo)),
        }
    }
}

/// Who can change the configuration and the database behind the service's back, or read what is in it.
pub(super) fn places(config: &Loaded, file: &Path, found: &mut Vec<Finding>) {
    let before = found.len();
    if let Ok(meta) = std::fs::metadata(file) {
        found.extend(by_others("configuration file", file, &meta, CHANGED_BY_ALL));
    }
    if let Some(database) = config.store_url.strip_prefix("sqlite:").map(Path::new) {
        if let Some(folder) = database.parent() {
            match std::fs::metadata(folder) {
                Ok(meta) => {
                    found.extend(by_others("folder of the database", folder, &meta, CHANGED_BY_OTHERS));
                }
                Err(error) => {
                    let text = format!("the folder of the database, `{}`: {error}", folder.display());
                    found.push(Finding::fault("files", text, "make it, for the user of the service alone"));
                }
            }
        }
        if let Ok(meta) = std::fs::metadata(database) {
            found.extend(database_is_ours(database, &meta));
        }
    }
    if found.len() == before {
        found.push(Finding::ok("files", "nobody else can change the configuration or the database"));
    }
}

fn by_others(what: &str, path: &Path, meta: &Metadata, refused: u32) -> Option<Finding> {
    let mode = meta.permissions().mode() & 0o1777;
    // In a folder like /tmp nobody can take another one's file away.
    let sticky = meta.is_dir() && mode & 0o1000 != 0;
    if mode & refused == 0 || sticky {
        return None;
    }
    let text = format!(
        "the {what}, `{}`, can be changed by others than its owner (mode {mode:04o})",
        path.display()
    );
    Some(Finding::fault("files", text, format!("chmod go-w {}", path.display())))
}

fn database_is_ours(path: &Path, meta: &Metadata) -> Option<Finding> {
    let (mode, shown) = (meta.permissions().mode() & 0o777, path.display());
    if mode & OPEN_TO_OTHERS != 0 {
        let text = format!("the database, `{shown}`, is open to others than its owner (mode {mode:04o})");
        return Some(Finding::fault("files", text, format!("chmod 600 {shown}")));
    }
    let me = rustix::process::geteuid();
    if meta.uid() != me.as_raw() && !me.is_root() {
        let text = format!("the database, `{shown}`, belongs to another user ({})", meta.uid());
        return Some(Finding::fault("files", text, "run this, and the service, as that user"));
    }
    None
}
