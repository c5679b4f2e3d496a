//! Where the socket is.

use crate::config::{Glimpse, LONGEST_SOCKET, variable};
use std::path::{Path, PathBuf};

/// What systemd calls the folder that it makes for a service (`RuntimeDirectory=`), several divided by colons.
const RUNTIME: &str = "RUNTIME_DIRECTORY";
/// The folder that the shipped unit has so.
const SHIPPED: &str = "/run/daypass";
/// Its name in such a folder.
const NAME: &str = "control.sock";

/// Where a service opens it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where the file says: that it cannot be there is a fault.
    Said(PathBuf),
    /// Where it is otherwise: the service goes on without one.
    Usual(PathBuf),
    /// Nowhere.
    None,
}

/// Where a service of this configuration opens it.
pub(super) fn of_service(configured: Option<&Path>, store_url: &str) -> Place {
    let database = store_url.strip_prefix("sqlite:").map(Path::new);
    of(configured, runtime().as_deref(), database)
}

fn of(configured: Option<&Path>, runtime: Option<&Path>, database: Option<&Path>) -> Place {
    if let Some(path) = configured {
        return Place::Said(path.to_owned());
    }
    let usual = runtime.map(|folder| folder.join(NAME)).or_else(|| database.map(beside));
    // A socket's path is short; a folder may be deep.
    usual.filter(|path| path.as_os_str().len() <= LONGEST_SOCKET).map_or(Place::None, Place::Usual)
}

/// Where a command looks for the service of a configuration: at the one place that it names, or at each of the usual ones.
pub(crate) fn candidates(glimpse: &Glimpse) -> Vec<PathBuf> {
    if let Some(configured) = &glimpse.control {
        return vec![configured.clone()];
    }
    let folder = runtime().map(|folder| folder.join(NAME));
    let beside = glimpse.database.as_deref().map(beside);
    folder.into_iter().chain(beside).chain([Path::new(SHIPPED).join(NAME)]).collect()
}

fn runtime() -> Option<PathBuf> {
    let folders = variable(RUNTIME)?;
    folders.to_str()?.split(':').next().filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// `daypass.sock` for `daypass.db`.
fn beside(database: &Path) -> PathBuf {
    database.with_extension("sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_says_comes_first_then_the_managers_folder_then_the_database() {
        let (said, runtime, database) =
            (Path::new("/x/c.sock"), Path::new("/run/daypass"), Path::new("/var/lib/daypass/daypass.db"));
        assert_eq!(of(Some(said), Some(runtime), Some(database)), Place::Said("/x/c.sock".into()));
        assert_eq!(of(None, Some(runtime), Some(database)), Place::Usual("/run/daypass/control.sock".into()));
        assert_eq!(of(None, None, Some(database)), Place::Usual("/var/lib/daypass/daypass.sock".into()));
        assert_eq!(of(None, None, None), Place::None);
        let deep = PathBuf::from(format!("/{}/d.db", "x".repeat(120)));
        assert_eq!(of(None, None, Some(&deep)), Place::None);
    }

    #[test]
    fn a_command_looks_where_a_service_may_have_it() {
        let named = Glimpse { control: Some("/x/c.sock".into()), ..Glimpse::default() };
        assert_eq!(candidates(&named), [PathBuf::from("/x/c.sock")]);
        let beside = Glimpse { database: Some("/v/d.db".into()), ..Glimpse::default() };
        let all = candidates(&beside);
        assert!(all.ends_with(&["/v/d.sock".into(), "/run/daypass/control.sock".into()]), "{all:?}");
    }
}
