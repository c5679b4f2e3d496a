//! `daypass trust`: what clients of `daypass dev --tls` need to believe it.

use super::authority;
use super::output::{Failure, Output};
use super::place::DATA;
use anyhow::Context as _;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Show the certificate authority of a `daypass dev --tls`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The data folder of the `daypass dev`.
    #[arg(long, default_value = DATA, value_name = "DIR")]
    data: PathBuf,
    /// Write the certificate to this file in place of printing it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Prints the certificate in PEM, or writes it to a file. It is public; its key stays in the folder.
pub(super) fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let file = authority::certificate(&args.data);
    if !file.exists() {
        return Err(Failure::Usage(format!(
            "there is no certificate authority in `{}`; `daypass dev --tls` makes one",
            args.data.display()
        )));
    }
    let pem = std::fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let Some(out) = &args.out else {
        output.show(pem.trim_end(), || json!({ "certificate": pem }));
        return Ok(());
    };
    std::fs::write(out, &pem).with_context(|| format!("cannot write `{}`", out.display()))?;
    let out = std::path::absolute(out).map_err(anyhow::Error::from)?;
    let text = format!("wrote {}\n\nHow clients come to trust it:\n{}", out.display(), lines(&out));
    output.show(text, || json!({ "certificate": pem, "file": out, "trust": advice(&out) }));
    Ok(())
}

/// What each client needs to trust this file, as a line for a shell.
fn clients(file: &Path) -> [(&'static str, String); 5] {
    let file = super::quote(file);
    [
        ("curl", format!("curl --cacert {file}")),
        ("Python requests, MSAL, azure-identity", format!("export REQUESTS_CA_BUNDLE={file}")),
        ("Node.js", format!("export NODE_EXTRA_CA_CERTS={file}")),
        (
            "OpenSSL, Go, .NET, Ruby, Python ssl and httpx (instead of the system's)",
            format!("export SSL_CERT_FILE={file}"),
        ),
        (
            "Java",
            format!(
                "keytool -importcert -noprompt -alias daypass -file {file} -keystore daypass.p12 -storepass changeit \
                 && export JAVA_TOOL_OPTIONS='-Djavax.net.ssl.trustStore=daypass.p12 \
                 -Djavax.net.ssl.trustStorePassword=changeit'"
            ),
        ),
    ]
}

/// The same as text.
pub(super) fn lines(file: &Path) -> String {
    let lines = clients(file).map(|(client, line)| format!("    # {client}\n    {line}"));
    lines.join("\n")
}

/// The same as an object: client to line.
pub(super) fn advice(file: &Path) -> serde_json::Value {
    clients(file)
        .into_iter()
        .map(|(client, line)| (client.to_owned(), line.into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
