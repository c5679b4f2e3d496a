//! `daypass token entra`: asks for an access token by client credentials, in the shape of Microsoft Entra.

use super::{From, post_form};
use crate::cli::demo::Entra;
use crate::cli::output::Failure;
use bytes::Bytes;
use http::Response;
use serde::Deserialize;

/// What this needs of a credentials file.
#[derive(Deserialize)]
struct File {
    url: String,
    entra: Entra,
}

/// What to ask for.
#[derive(clap::Args)]
pub(in crate::cli) struct Ask {
    #[command(flatten)]
    from: From,
    /// The scope [default: the one of the file].
    #[arg(long)]
    scope: Option<String>,
}

impl Ask {
    /// Everything that decides the answer: the server, the key, and what is asked.
    pub(in crate::cli) fn parts(&self) -> Result<Vec<String>, Failure> {
        let File { url, entra } = self.from.read()?;
        let scope = self.scope.clone().unwrap_or(entra.scope);
        Ok(vec![url, self.from.trusts(), entra.tenant, entra.client_id, entra.client_secret, scope])
    }

    /// The resource of the token: the scope without what every scope of client credentials ends with.
    pub(in crate::cli) fn resource(&self) -> Result<String, Failure> {
        let File { entra, .. } = self.from.read()?;
        let scope = self.scope.as_deref().unwrap_or(&entra.scope);
        Ok(scope.strip_suffix("/.default").unwrap_or(scope).to_owned())
    }

    /// The tenant whose token it is.
    pub(in crate::cli) fn tenant(&self) -> Result<String, Failure> {
        Ok(self.from.read::<File>()?.entra.tenant)
    }

    /// Asks.
    pub(in crate::cli) async fn send(&self) -> Result<Response<Bytes>, Failure> {
        ask(&self.from, self.scope.as_deref()).await
    }
}

/// Asks for a token of this scope, or of the file's.
pub(super) async fn ask(from: &From, scope: Option<&str>) -> Result<Response<Bytes>, Failure> {
    let File { url, entra: client } = from.read()?;
    let target = from.target(&url)?;
    let path = format!("/{}/oauth2/v2.0/token", client.tenant);
    let parameters = [
        ("grant_type", "client_credentials"),
        ("client_id", &client.client_id),
        ("client_secret", &client.client_secret),
        ("scope", scope.unwrap_or(&client.scope)),
    ];
    post_form(&target, &path, &parameters).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        ask: Ask,
    }

    /// A client of one's own has no more in its file than what it asks with.
    #[test]
    fn a_file_with_this_client_alone_is_enough() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.json");
        let text = r#"{"url":"http://127.0.0.1:1","entra":{"tenant":"t","client_id":"c","client_secret":"s","scope":"api/.default"}}"#;
        std::fs::write(&file, text).unwrap();
        let line = |more: &[&str]| {
            let all = [&["entra", "--from", file.to_str().unwrap()], more].concat();
            Line::try_parse_from(all).unwrap().ask
        };
        assert_eq!(line(&[]).parts().unwrap().join(" "), "http://127.0.0.1:1  t c s api/.default");
        assert_eq!((line(&[]).resource().unwrap(), line(&[]).tenant().unwrap()), ("api".into(), "t".into()));
        assert_eq!(line(&["--scope", "other/.default"]).resource().unwrap(), "other");
    }
}
