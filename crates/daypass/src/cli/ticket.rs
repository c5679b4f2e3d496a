//! `daypass ticket`: signs a one-time ticket offline, as an application's backend does.
//!
//! A ticket is a JWT, signed HS256 with a ticket key of `daypass client add --kind ticket`. No server is asked; any JWT
//! library of any language makes the same.

use super::output::{Failure, Output};
use super::token::pair;
use crate::system::{KeyEntropy, SystemClock};
use anyhow::Context as _;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daypass_core::clock::{Clock as _, Timestamp, after, rfc3339};
use daypass_core::id::{ALPHANUMERIC, Entropy, text};
use daypass_core::secret::Secret;
use daypass_core::ticket::FIRST_USE;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Characters of a ticket's id: 24 of 62 are 142 bits, so that no two tickets have the same.
const ID: usize = 24;

/// Sign a one-time ticket.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The ticket key, as `daypass client add --kind ticket --json` prints it.
    #[arg(long, value_name = "FILE", required_unless_present = "key_id", conflicts_with_all = ["key_id", "key_file"])]
    client_key: Option<PathBuf>,
    /// The id of the ticket key.
    #[arg(long, value_name = "ID", requires = "key_file")]
    key_id: Option<String>,
    /// A file that holds the secret of the ticket key and nothing else.
    #[arg(long, value_name = "FILE", requires = "key_id")]
    key_file: Option<PathBuf>,
    /// The whole address of the endpoint: the `public_url` of the server and the endpoint's path.
    #[arg(long, value_name = "URL")]
    endpoint: String,
    /// The origin of the page that will show the ticket.
    #[arg(long)]
    origin: String,
    /// Whom the ticket is for.
    #[arg(long)]
    subject: String,
    /// A variable of the endpoint's role; may be given several times.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    variables: Vec<(String, String)>,
    /// Seconds until it must have been used.
    #[arg(long, default_value_t = FIRST_USE, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=i64::from(FIRST_USE)))]
    seconds: u32,
}

/// A ticket key as a backend holds it.
struct TicketKey {
    id: String,
    secret: Secret,
}

/// Signs a ticket and prints it.
pub(super) fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let now = SystemClock.now();
    let key = key(args)?;
    let ticket = sign(&key, &claims(args, &KeyEntropy, now));
    let expires = rfc3339(after(now, args.seconds));
    output.show(&ticket, || json!({ "ticket": ticket, "expires": expires, "expires_in": args.seconds }));
    Ok(())
}

fn key(args: &Args) -> Result<TicketKey, Failure> {
    if let Some(file) = &args.client_key {
        let document = read(file)?;
        return in_document(document.expose()).ok_or_else(|| {
            Failure::Usage(format!("`{}` holds no ticket key of `daypass client add --json`", file.display()))
        });
    }
    let (Some(id), Some(file)) = (&args.key_id, &args.key_file) else {
        return Err(Failure::Usage("name the key by --client-key, or by --key-id and --key-file".to_owned()));
    };
    let secret = Secret::new(read(file)?.expose().trim_ascii());
    if secret.expose().is_empty() {
        return Err(Failure::Usage(format!("`{}` is empty", file.display())));
    }
    Ok(TicketKey { id: id.clone(), secret })
}

fn read(file: &Path) -> anyhow::Result<Secret> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Ok(Secret::new(bytes))
}

/// The ticket key in what `client add` and `client rotate` print.
fn in_document(document: &[u8]) -> Option<TicketKey> {
    let document: Value = serde_json::from_slice(document).ok()?;
    let keys = document.get("keys")?.as_array()?;
    let key = keys.iter().find(|key| key.get("kind").is_some_and(|kind| kind == "ticket"))?;
    let member = |name| key.get(name)?.as_str().map(str::to_owned);
    Some(TicketKey { id: member("key_id")?, secret: Secret::new(member("key_secret")?) })
}

fn claims(args: &Args, entropy: &dyn Entropy, now: Timestamp) -> Value {
    let mut claims = json!({
        "sub": args.subject,
        "origin": args.origin,
        "aud": args.endpoint,
        "iat": now.as_second(),
        "exp": now.as_second() + i64::from(args.seconds),
        "jti": text(entropy, ALPHANUMERIC, ID),
    });
    if let (false, Some(members)) = (args.variables.is_empty(), claims.as_object_mut()) {
        let variables: Map<_, _> =
            args.variables.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        members.insert("vars".to_owned(), variables.into());
    }
    claims
}

/// A JWT of these claims, HS256.
fn sign(key: &TicketKey, claims: &Value) -> String {
    let header = json!({ "alg": "HS256", "kid": key.id, "typ": "JWT" });
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encode(&header), encode(claims));
    let signature = hs256(key.secret.expose(), &signed);
    format!("{signed}.{signature}")
}

fn hs256(secret: &[u8], signed: &str) -> String {
    URL_SAFE_NO_PAD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use daypass_core::testing::{START, SeededEntropy};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    const ASK: [&str; 7] =
        ["ticket", "--endpoint", "https://p.example/g", "--origin", "https://a.example", "--subject", "ann"];

    fn line(more: &[&str]) -> Result<Args, clap::Error> {
        Line::try_parse_from([&ASK, more].concat()).map(|line| line.args)
    }

    #[test]
    fn a_signature_is_the_one_of_the_standard() {
        // RFC 7515, appendix A.1.
        let key = URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let text = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        assert_eq!(hs256(&key, text), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    #[test]
    fn a_ticket_says_what_the_contract_wants_and_no_more() {
        let args =
            line(&["--key-id", "TK1", "--key-file", "k", "--var", "class=7b", "--seconds", "60"]).unwrap();
        let claims = claims(&args, &SeededEntropy::new(1), START);
        let token = sign(&TicketKey { id: "TK1".into(), secret: Secret::new("k") }, &claims);
        let parts: Vec<_> = token.split('.').collect();
        let part =
            |n: usize| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(parts[n]).unwrap()).unwrap();
        assert_eq!(part(0), json!({ "alg": "HS256", "kid": "TK1", "typ": "JWT" }));
        let said = part(1);
        let at = START.as_second();
        assert_eq!((&said["iat"], &said["exp"]), (&json!(at), &json!(at + 60)));
        assert_eq!(
            (&said["sub"], &said["origin"], &said["aud"]),
            (&json!("ann"), &json!("https://a.example"), &json!("https://p.example/g"))
        );
        assert_eq!(said["vars"], json!({ "class": "7b" }));
        assert!(said["jti"].as_str().is_some_and(|id| (16..=64).contains(&id.len())));
        assert_eq!(said.as_object().unwrap().len(), 7);
        assert_eq!(parts.len(), 3);
    }

    #[test]
    fn a_key_is_named_in_one_of_two_ways() {
        assert!(line(&["--client-key", "f"]).is_ok());
        for bad in [
            &[][..],
            &["--key-id", "TK1"],
            &["--key-file", "f"],
            &["--client-key", "f", "--key-id", "TK1", "--key-file", "f"],
            &["--client-key", "f", "--seconds", "121"],
            &["--client-key", "f", "--seconds", "0"],
            &["--client-key", "f", "--var", "class"],
        ] {
            assert!(line(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_document_without_a_ticket_key_is_none() {
        let key = json!({ "kind": "ticket", "key_id": "TK1", "key_secret": "k" });
        let found =
            in_document(json!({ "keys": [{ "kind": "tencent" }, key] }).to_string().as_bytes()).unwrap();
        assert_eq!((found.id.as_str(), found.secret.expose_str()), ("TK1", "k"));
        for bad in
            ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kind":"tencent","key_id":"a","key_secret":"b"}]}"#]
        {
            assert!(in_document(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
