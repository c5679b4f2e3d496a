//! `daypass credential-process`: prints a credential as a program that starts another one for it wants to read it.

use super::answer::Credential;
use super::env::ends;
use super::obtain::{Keep, credential};
use super::question::Wanted;
use crate::cli::output::{Failure, Output};
use daypass_core::clock::{Timestamp, rfc3339, unix};
use serde_json::{Value, json};

/// Nothing but the credential: whoever starts this knows what he reads.
#[derive(clap::Args)]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    keep: Keep,
}

/// Prints one JSON document, with --json and without.
pub(in crate::cli) async fn run(wanted: Wanted<Options>, output: &Output) -> Result<(), Failure> {
    let (question, options) = wanted.parts();
    let (credential, found) = credential(&question, &options.keep, output).await?;
    let tenant = question.resource()?.map(|(tenant, _)| tenant);
    output.line(document(&credential, ends(&found), tenant.as_deref()));
    Ok(())
}

/// The document of each vendor:
///
/// - Alibaba: what a profile of mode `External` reads from its `process_command`, in the CLI and the credentials
///   libraries (`alibabacloud_credentials/provider/external.py`, `@alicloud/credentials` `providers/external.js`);
///   `expiration` has no fraction, or the former refuses it.
/// - Entra: what `az account get-access-token` prints, which is what Microsoft's libraries read of a process
///   (`azure/identity/_credentials/azure_cli.py`); `expires_on` in seconds is what they prefer.
/// - Tencent: neither the CLI nor an SDK starts a program for a credential. The names are those of tccli's own
///   `NAME.credential` file (cloud.tencent.com/document/product/440/96291), so that the output can be one.
fn document(credential: &Credential, ends: Option<Timestamp>, tenant: Option<&str>) -> Value {
    let mut document = match credential {
        Credential::Alibaba(key) => json!({
            "mode": "StsToken",
            "access_key_id": key.id,
            "access_key_secret": key.secret.expose_str(),
            "sts_token": key.token.expose_str(),
            "expiration": ends.map(rfc3339),
        }),
        Credential::Entra(token) => json!({
            "accessToken": token.expose_str(),
            "expiresOn": ends.map(local),
            "expires_on": ends.map(unix),
            "tenant": tenant,
            "tokenType": "Bearer",
        }),
        Credential::Tencent(key) => json!({
            "secretId": key.id,
            "secretKey": key.secret.expose_str(),
            "token": key.token.expose_str(),
            "expiration": ends.map(rfc3339),
        }),
    };
    // What is not known is not there: readers take a null for a text or a number.
    if let Some(members) = document.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    document
}

/// `2026-11-22 10:22:47.000000`, as the tool writes it, in UTC: readers that know `expires_on` do not look at it.
fn local(ends: Timestamp) -> String {
    format!("{}.000000", rfc3339(ends).trim_end_matches('Z').replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::super::answer::Vendor;
    use super::super::answer::tests::{STS, TENCENT, TOKEN};
    use super::*;

    #[test]
    fn each_vendors_reader_finds_what_it_looks_for() {
        let ends = "2026-11-22T10:22:47.5Z".parse().ok();
        let shown = |vendor: Vendor, body: &str| {
            document(&vendor.credential(body.as_bytes()).unwrap(), ends, Some("t")).to_string()
        };
        assert_eq!(
            shown(Vendor::Alibaba, STS),
            r#"{"access_key_id":"STS.x","access_key_secret":"key","expiration":"2026-11-22T10:22:47Z","mode":"StsToken","sts_token":"tok"}"#
        );
        assert_eq!(
            shown(Vendor::Entra, TOKEN),
            r#"{"accessToken":"a.b.c","expiresOn":"2026-11-22 10:22:47.000000","expires_on":1795342967,"tenant":"t","tokenType":"Bearer"}"#
        );
        assert_eq!(
            shown(Vendor::Tencent, TENCENT),
            r#"{"expiration":"2026-11-22T10:22:47Z","secretId":"AKIDx","secretKey":"key","token":"tok"}"#
        );
        let unknown = document(&Vendor::Entra.credential(TOKEN.as_bytes()).unwrap(), None, None).to_string();
        assert_eq!(unknown, r#"{"accessToken":"a.b.c","tokenType":"Bearer"}"#);
    }
}
