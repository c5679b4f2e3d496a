//! `control` and `log` of `[server]`: where a running service is spoken to, and what it says.

use super::diagnostic::Fault;
use super::section::Section;
use crate::telemetry;
use std::path::{Path, PathBuf};

/// The most bytes of a socket's path (`sun_path` of Linux, without its end).
pub(crate) const LONGEST: usize = 107;

/// Reads where the control socket is to be. A relative path starts at `base`.
pub(super) fn read(server: Section<'_>, base: &Path) -> Option<PathBuf> {
    let given = server.text("control")?;
    let path = server.parsed(given, |text| {
        if text.is_empty() {
            return Err(Fault::new("`control` is empty").hint("control = \"/run/daypass/control.sock\""));
        }
        let path = base.join(text);
        match path.as_os_str().len() {
            length if length > LONGEST => Err(Fault::new(format!(
                "a socket's path has at most {LONGEST} bytes, and this one has {length}"
            ))),
            _ => Ok(path),
        }
    });
    path.map(|path| path.value)
}

/// Reads what is logged.
pub(super) fn log(server: Section<'_>) -> Option<String> {
    let given = server.text("log")?;
    let understood = |text: &str| telemetry::understand(text).map(|()| text.to_owned()).map_err(Fault::new);
    server.parsed(given, understood).map(|log| log.value)
}
