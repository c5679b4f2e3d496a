//! Second places: where copies of checkpoints go, so that the store is not the only witness of itself.

use super::{file, syslog};
use daypass_core::record::checkpoint::Kept;
use daypass_issuers::fault::{Fault, FaultKind};
use daypass_issuers::http::{Address, Ask, Http};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a place may take for one checkpoint.
const LIMIT: Duration = Duration::from_secs(10);
/// What a checkpoint is, as a POST says it (RFC 7515 §9.2.1).
const JOSE: &str = "application/jose";

/// Where copies go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file, one checkpoint a line. It is read as well: at the start it is compared with the store.
    File(PathBuf),
    /// A syslog server or the machine's own log.
    Syslog(syslog::Way),
    /// An HTTP server that takes a POST.
    Http(String),
}

impl Place {
    /// By what the store remembers how far it is.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => format!("file:{}", path.display()),
            Self::Syslog(way) => format!("syslog:{way}"),
            Self::Http(url) => url.clone(),
        }
    }

    /// What kind it is.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Syslog(_) => "syslog",
            Self::Http(_) => "http",
        }
    }

    /// Whether each node has its own, so that none stands back for another.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Gives it these, in order.
    ///
    /// A file has it when it is on the disk, an HTTP server when it answers with 2xx. A syslog server does not answer: over
    /// TCP it is as good as there when the connection took it, over UDP nothing is known.
    pub(crate) async fn send(&self, all: &[Kept], http: &Http) -> Result<(), String> {
        match self {
            Self::File(path) => {
                let (path, all) = (path.clone(), Arc::<[Kept]>::from(all));
                let shown = path.display().to_string();
                let written = tokio::task::spawn_blocking(move || file::append(&path, &all)).await;
                written
                    .map_err(|_| "a write was broken off".to_owned())?
                    .map_err(|error| format!("{shown}: {error}"))
            }
            Self::Syslog(way) => match tokio::time::timeout(LIMIT, way.send(all)).await {
                Ok(sent) => sent.map_err(|error| error.to_string()),
                Err(_) => Err(format!("nothing was taken within {} s", LIMIT.as_secs())),
            },
            Self::Http(url) => {
                let address = Address::parse(url).map_err(|fault| fault.why)?;
                for kept in all {
                    post(&address, kept, http).await?;
                }
                Ok(())
            }
        }
    }
}

async fn post(address: &Address, kept: &Kept, http: &Http) -> Result<(), String> {
    let body = Some((JOSE, kept.jws.as_bytes()));
    let ask = Ask { address, body, headers: Vec::new(), accept: &[], limit: LIMIT, most: 0 };
    match http.ask(ask).await {
        Ok(answer) if answer.status.is_success() => Ok(()),
        Ok(answer) => Err(format!("it answers {}", answer.status.as_u16())),
        // What stands in the answer is of no interest: it is only judged where 200 was said.
        Err(Fault { kind: FaultKind::WrongType | FaultKind::TooLarge, .. }) => Ok(()),
        Err(fault) => Err(fault.why),
    }
}
