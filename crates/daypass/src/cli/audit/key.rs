//! `daypass audit key`: by which public keys strangers check.

use crate::cli::output::{Failure, Output};
use crate::cli::place::PlaceArgs;
use anyhow::Context as _;
use daypass_core::jose::PublishedKey;
use serde_json::{Value, json};
use std::path::Path;

/// Which installation.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Prints the public half of every key that may have signed checkpoints, the oldest first, each in a line of its own; as JSON,
/// a key set.
pub(super) async fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let place = args.place.open().await?;
    let keys = place.opened.ring.checkpoint_keys();
    let text: Vec<_> = keys.filter_map(PublishedKey::ed25519_text).collect();
    output.show(text.join("\n"), || json!({ "keys": jwks(place.opened.ring.checkpoint_keys()) }));
    Ok(place.opened.store.close().await?)
}

fn jwks<'k>(keys: impl Iterator<Item = &'k PublishedKey>) -> Vec<Value> {
    keys.map(|key| key.jwk().clone()).collect()
}

/// Public keys as they are given: one itself, or a file with some: each in a line of its own, a JWK, or a key set.
pub(super) fn read(given: &str) -> Result<Vec<PublishedKey>, Failure> {
    if let Ok(key) = PublishedKey::ed25519(given) {
        return Ok(vec![key]);
    }
    let read = || std::fs::read_to_string(Path::new(given)).with_context(|| format!("cannot read `{given}`"));
    let usage = |error| Failure::Usage(format!("{error:#}; it is neither a public key nor a file with some"));
    let keys = parse(&read().map_err(usage)?);
    keys.ok_or_else(|| {
        Failure::Usage(format!("`{given}` holds something else than public keys for checkpoints"))
    })
}

/// None where there is none, or something else.
fn parse(text: &str) -> Option<Vec<PublishedKey>> {
    let texts: Vec<String> = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(document)) => {
            let set = document.get("keys").and_then(Value::as_array);
            let keys: Vec<_> = set.map_or_else(
                || document.get("x").into_iter().collect(),
                |keys| keys.iter().filter_map(|key| key.get("x")).collect(),
            );
            keys.into_iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect(),
    };
    let keys: Option<Vec<_>> = texts.iter().map(|text| PublishedKey::ed25519(text).ok()).collect();
    keys.filter(|keys| !keys.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const B: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";

    fn texts(keys: Option<Vec<PublishedKey>>) -> Option<Vec<String>> {
        keys.map(|keys| keys.iter().map(|key| key.ed25519_text().unwrap().to_owned()).collect())
    }

    #[test]
    fn keys_are_read_in_every_form_that_they_are_printed_in() {
        let jwk = |x: &str| format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"any"}}"#);
        for (text, expected) in [
            (format!("{A}\n"), vec![A]),
            (format!("{A}\n\n  {B}\r\n"), vec![A, B]),
            (jwk(A), vec![A]),
            (format!(r#"{{"keys":[{},{}]}}"#, jwk(A), jwk(B)), vec![A, B]),
        ] {
            assert_eq!(texts(parse(&text)).unwrap(), expected, "{text}");
        }
        for bad in [
            "",
            "{}",
            r#"{"keys":[]}"#,
            r#"{"keys":[{"kty":"RSA","n":"AQAB"}]}"#,
            "no key",
            &format!("{A}\nno key"),
        ] {
            assert_eq!(texts(parse(bad)), None, "{bad}");
        }
    }

    #[test]
    fn a_file_or_the_key_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        std::fs::write(&file, format!("{A}\n{B}\n")).unwrap();
        assert_eq!(read(file.to_str().unwrap()).unwrap().len(), 2);
        assert_eq!(read(A).unwrap().len(), 1);
        assert!(read("/nowhere").unwrap_err().text().contains("neither a public key nor a file"));
    }
}
