//! How the client proves itself: with a secret in the body or by HTTP Basic, with an assertion, or with the certificate
//! of its TLS connection.

use super::form::Form;
use crate::basic::{self, Credentials, values};
use daypass_core::caller::How;
use daypass_core::client::Tenant;
use daypass_core::dialect::{Asserted, Certified, Claim, Presented};
use daypass_core::peer::Peer;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::secret::Secret;
use http::HeaderMap;
use std::sync::Arc;

/// The parameters that must never stand in a URL (RFC 6749 §2.3.1): URLs end up in the logs of proxies, in
/// browsers' histories and in error reports.
const NEVER_IN_THE_URL: [&str; 4] = ["client_secret", "client_assertion", "token", "subject_token"];

/// The one kind of assertion that there is (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a request shows. It is not believed yet.
pub(super) enum Shown {
    /// A client secret.
    Secret {
        /// The client id.
        client: String,
        /// The spellings that the secret may be meant in; any one may be right.
        secrets: Vec<Secret>,
        /// Where it stands.
        how: How,
    },
    /// A JWT.
    Assertion {
        /// The client id, where it is sent as well.
        client: Option<String>,
        /// The JWT.
        token: Secret,
    },
    /// The certificate of the connection.
    Certificate {
        /// The client id.
        client: String,
    },
}

impl Shown {
    /// What it says of its sender, to an endpoint that may be called any of these names.
    pub(super) fn claim<'a>(
        &'a self,
        tenant: &'a Arc<Tenant>,
        peer: Option<&'a Peer>,
        audiences: &'a [String],
    ) -> Claim<'a> {
        match (self, peer) {
            (Self::Secret { client, secrets, how }, _) => {
                Claim::Secret(Presented { tenant, client, secrets, how: *how })
            }
            (Self::Assertion { client, token }, _) => {
                Claim::Assertion(Asserted { tenant, client: client.as_deref(), token, audiences })
            }
            (Self::Certificate { client }, Some(peer)) => {
                Claim::Certificate(Certified { tenant, client, peer })
            }
            // Never read so: without a certificate there is nothing to show.
            (Self::Certificate { client }, None) => {
                Claim::Secret(Presented { tenant, client, secrets: &[], how: How::ClientSecretPost })
            }
        }
    }

    /// The client id, where it is sent beside the proof.
    pub(super) fn client(&self) -> Option<&str> {
        match self {
            Self::Secret { client, .. } | Self::Certificate { client } => Some(client),
            Self::Assertion { client, .. } => client.as_deref(),
        }
    }
}

/// Refuses a URL that carries a credential, before anything else is looked at.
pub(super) fn refuse_in_query(query: &str) -> Result<(), Refusal> {
    let found = form_urlencoded::parse(query.as_bytes())
        .find_map(|(name, _)| NEVER_IN_THE_URL.into_iter().find(|never| *never == name));
    match found {
        None => Ok(()),
        Some(name) => Err(Refusal::new(
            Reason::InvalidParameter,
            format!(
                "the parameter '{name}' stands in the URL, where it may be logged; send it in the body, and replace it"
            ),
        )
        .parameter(name)),
    }
}

/// Whether the client tries HTTP Basic, which decides how a failure is answered.
pub(super) fn is_basic(headers: &HeaderMap) -> bool {
    values(headers).next().is_some()
}

/// Takes the credentials out of a request that shows exactly one kind of them (RFC 6749 §2.3). A certificate is shown by
/// the connection, not by the request, so that it is no second kind beside another.
pub(super) fn credentials(
    headers: &HeaderMap,
    form: &mut Form,
    peer: Option<&Peer>,
) -> Result<Shown, Refusal> {
    let (secret, assertion) = (form.client_secret.take(), form.client_assertion.take());
    let methods = values(headers).count() + usize::from(secret.is_some()) + usize::from(assertion.is_some());
    if methods > 1 {
        return Err(Refusal::new(
            Reason::SeveralProofs,
            "the request authenticates in more than one way; use one of HTTP Basic, client_secret and client_assertion",
        ));
    }
    if let Some(token) = assertion {
        return from_assertion(token, form);
    }
    if let Some(value) = values(headers).next() {
        let Credentials { client, secrets } = from_basic(value, form.client_id.as_deref())?;
        return Ok(Shown::Secret { client, secrets, how: How::ClientSecretBasic });
    }
    let client = form.client_id.take().ok_or_else(|| super::missing("client_id"))?;
    match secret {
        Some(secret) => Ok(Shown::Secret { client, secrets: vec![secret], how: How::ClientSecretPost }),
        None if peer.is_some() => Ok(Shown::Certificate { client }),
        None => Err(Refusal::new(
            Reason::MissingProof,
            "the request carries no credential; send client_secret or client_assertion in the body, or use HTTP Basic",
        )
        .parameter("client_secret")),
    }
}

fn from_assertion(token: Secret, form: &mut Form) -> Result<Shown, Refusal> {
    match form.client_assertion_type.as_deref() {
        Some(JWT_BEARER) => Ok(Shown::Assertion { client: form.client_id.take(), token }),
        Some(_) => Err(Refusal::new(
            Reason::InvalidParameter,
            format!("the only client_assertion_type here is {JWT_BEARER}"),
        )
        .parameter("client_assertion_type")),
        None => Err(super::missing("client_assertion_type")),
    }
}

/// The credentials of HTTP Basic, which the body may name again and not contradict.
fn from_basic(value: &[u8], in_body: Option<&str>) -> Result<Credentials, Refusal> {
    let credentials = basic::read(value)?;
    if in_body.is_some_and(|other| !other.eq_ignore_ascii_case(&credentials.client)) {
        return Err(Refusal::new(
            Reason::DuplicateParameter,
            "the client_id of the body is not the one of the HTTP Basic credentials",
        )
        .parameter("client_id"));
    }
    Ok(credentials)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use daypass_core::testing::START;
    use http::header::AUTHORIZATION;

    const ID: &str = "0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11";

    fn read(authorization: &[&str], body: &str) -> Result<Credentials, Refusal> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        match credentials(&headers, &mut Form::read(body.as_bytes())?, None)? {
            Shown::Secret { client, secrets, .. } => Ok(Credentials { client, secrets }),
            Shown::Assertion { .. } | Shown::Certificate { .. } => panic!("no secret"),
        }
    }

    fn basic_header(pair: &str) -> String {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    }

    fn spelled(credentials: Result<Credentials, Refusal>) -> (String, Vec<String>) {
        let Credentials { client, secrets } = credentials.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        (client, secrets.iter().map(|secret| secret.expose_str().to_owned()).collect())
    }

    fn reason(result: Result<Credentials, Refusal>) -> Option<Reason> {
        result.err().map(|refusal| refusal.reason)
    }

    #[test]
    fn the_three_encodings_of_basic_all_hold_the_secret() {
        let secret = "s3cr3t~Value.With+odd/chars=&%";
        let form_encoded = "s3cr3t%7EValue.With%2Bodd%2Fchars%3D%26%25";
        let over_encoded = crate::entra::tests::escape_all(secret);
        for (id, spelling) in [
            (ID.to_owned(), secret),
            (ID.to_owned(), form_encoded),
            (ID.replace('-', "%2D"), over_encoded.as_str()),
        ] {
            let (client, secrets) = spelled(read(&[&basic_header(&format!("{id}:{spelling}"))], ""));
            assert_eq!(client, ID);
            assert!(secrets.iter().any(|one| one == secret), "{spelling}");
        }
    }

    #[test]
    fn a_plain_secret_has_one_spelling_and_may_hold_colons() {
        let (_, secrets) = spelled(read(&[&basic_header(&format!("{ID}:a:b~c"))], ""));
        assert_eq!(secrets, ["a:b~c"]);
        let (_, secrets) = spelled(read(&[&basic_header(&format!("{ID}:a%2Bb"))], ""));
        assert_eq!(secrets, ["a+b", "a%2Bb"]);
    }

    #[test]
    fn basic_is_read_in_any_case_and_without_padding() {
        let header = basic_header(&format!("{ID}:ab"));
        let unpadded = header.trim_end_matches('=').replacen("Basic ", "bASIC  ", 1);
        assert_eq!(spelled(read(&[&unpadded], "")), (ID.to_owned(), vec!["ab".to_owned()]));
        let same_id = format!("client_id={}", ID.to_uppercase());
        assert!(read(&[&header], &same_id).is_ok(), "the same id in the body is no contradiction");
        assert_eq!(reason(read(&[&header], "client_id=other")), Some(Reason::DuplicateParameter));
    }

    #[test]
    fn broken_basic_is_refused() {
        for value in ["Basic", "Basic ?", "Basic YQ", "Basic %%%", "Basic JTp4"] {
            assert_eq!(reason(read(&[value], "")), Some(Reason::MalformedProof), "{value}");
        }
        for pair in [":secret", "id:", ":"] {
            assert_eq!(reason(read(&[&basic_header(pair)], "")), Some(Reason::MissingProof), "{pair}");
        }
    }

    #[test]
    fn one_method_a_request() {
        let header = basic_header("a:b");
        for (headers, body) in [
            (vec![header.as_str()], "client_id=a&client_secret=b"),
            (vec![header.as_str()], "client_assertion=x"),
            (vec![header.as_str(), header.as_str()], ""),
            (vec![], "client_id=a&client_secret=b&client_assertion=x"),
        ] {
            assert_eq!(reason(read(&headers, body)), Some(Reason::SeveralProofs), "{body}");
        }
        let (client, _) = spelled(read(&["Bearer x"], "client_id=a&client_secret=b"));
        assert_eq!(client, "a", "a scheme that authenticates nobody here is ignored like any header");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(reason(read(&[], "client_secret=b")), Some(Reason::MissingParameter));
        assert_eq!(reason(read(&[], "client_id=a")), Some(Reason::MissingProof));
        let assertion = read(&[], "client_id=a&client_assertion=x").err().unwrap();
        assert_eq!(assertion.parameter.as_deref(), Some("client_assertion_type"));
    }

    #[test]
    fn an_assertion_is_taken_as_it_is_and_its_type_is_the_one_there_is() {
        let shown =
            |body: &str, peer| credentials(&HeaderMap::new(), &mut Form::read(body.as_bytes())?, peer);
        let jwt = "client_assertion=a.b.c&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        for (body, id) in [(jwt.to_owned(), None), (format!("client_id={ID}&{jwt}"), Some(ID))] {
            let Ok(Shown::Assertion { client, token }) = shown(&body, None) else { panic!("{body}") };
            assert_eq!((client.as_deref(), token.expose()), (id, &b"a.b.c"[..]));
        }
        let saml = "client_assertion=a&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Asaml2-bearer";
        assert_eq!(shown(saml, None).err().map(|r| r.reason), Some(Reason::InvalidParameter));
    }

    #[test]
    fn the_connections_certificate_is_a_proof_only_where_there_is_no_other() {
        let peer = Peer {
            x5t_s256: String::new(),
            chained: true,
            subject_dn: String::new(),
            names: vec![],
            not_before: START,
            not_after: START,
        };
        let shown = |headers: &HeaderMap, body: &str| {
            credentials(headers, &mut Form::read(body.as_bytes()).unwrap_or_default(), Some(&peer))
        };
        let none = HeaderMap::new();
        let Ok(Shown::Certificate { client }) = shown(&none, "client_id=a") else { panic!("a certificate") };
        assert_eq!(client, "a");
        assert!(matches!(shown(&none, "client_id=a&client_secret=b"), Ok(Shown::Secret { .. })));
        let mut basic = HeaderMap::new();
        basic.insert(AUTHORIZATION, basic_header("a:b").parse().unwrap());
        assert!(matches!(shown(&basic, "client_id=a"), Ok(Shown::Secret { .. })));
        let refused = shown(&none, "").err().map(|refusal| refusal.reason);
        assert_eq!(refused, Some(Reason::MissingParameter), "which client is not in the certificate");
    }

    #[test]
    fn a_credential_in_the_url_is_refused() {
        for query in ["client_secret=x", "a=b&client%5Fsecret=x", "client_assertion="] {
            assert_eq!(
                refuse_in_query(query).err().map(|r| r.reason),
                Some(Reason::InvalidParameter),
                "{query}"
            );
        }
        assert_eq!(refuse_in_query("client-request-id=x&client_id=y&client_secrets=z"), Ok(()));
    }
}
