//! The form body of a token request, read strictly.

use crate::basic::decode;
use daypass_core::limits;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::secret::Secret;

/// The parameters that mean something here. Everything else is ignored: a documented sample sends `Type=oauth2`, MSAL
/// sends `client_info` and its telemetry.
///
/// A parameter without a value counts as omitted, and a repeated one is refused even if both are equal (RFC 6749
/// §3.2): two programs that read one request must not believe different halves of it.
#[derive(Default)]
pub(super) struct Form {
    /// `grant_type`.
    pub(super) grant_type: Option<String>,
    /// `client_id`.
    pub(super) client_id: Option<String>,
    /// `client_secret`.
    pub(super) client_secret: Option<Secret>,
    /// `client_assertion_type`.
    pub(super) client_assertion_type: Option<String>,
    /// `client_assertion`.
    pub(super) client_assertion: Option<Secret>,
    /// `scope`.
    pub(super) scope: Option<String>,
    /// `token`: what is asked about, or taken back.
    pub(super) token: Option<Secret>,
    /// `subject_token`: what is exchanged.
    pub(super) subject_token: Option<Secret>,
    /// `subject_token_type`.
    pub(super) subject_token_type: Option<String>,
    /// Whether there is an `actor_token`.
    pub(super) actor_token: bool,
    /// `requested_token_type`.
    pub(super) requested_token_type: Option<String>,
    /// `audience`: for what an exchange is made.
    pub(super) audience: Option<String>,
    /// `resource`: the same as a URI.
    pub(super) resource: Option<String>,
    /// `refused_token_sha256`: the token that the client had and that an API refused. Daypass's own word: clients of
    /// services whose new token kills the old one say by it that this very one is dead.
    pub(super) refused_token_sha256: Option<String>,
    /// `client-request-id`: MSAL for Node sends it here.
    pub(super) correlation: Option<String>,
}

impl Form {
    /// Reads a body.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let mut form = Self::default();
        let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        for (number, pair) in pairs.enumerate() {
            if number == limits::PARAMETERS {
                return Err(Refusal::new(
                    Reason::TooLarge,
                    format!("the body has more than {} parameters", limits::PARAMETERS),
                ));
            }
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = text(halves.next().unwrap_or_default())?;
            form.take(&name, halves.next().unwrap_or_default())?;
        }
        Ok(form)
    }

    fn take(&mut self, name: &str, raw: &[u8]) -> Result<(), Refusal> {
        if raw.is_empty() {
            return Ok(());
        }
        match name {
            "grant_type" => fill(&mut self.grant_type, name, text(raw)?),
            "client_id" => fill(&mut self.client_id, name, text(raw)?),
            "client_secret" => fill(&mut self.client_secret, name, secret(raw)?),
            "client_assertion_type" => fill(&mut self.client_assertion_type, name, text(raw)?),
            "client_assertion" => fill(&mut self.client_assertion, name, secret(raw)?),
            "scope" => fill(&mut self.scope, name, text(raw)?),
            "token" => fill(&mut self.token, name, secret(raw)?),
            "subject_token" => fill(&mut self.subject_token, name, secret(raw)?),
            "subject_token_type" => fill(&mut self.subject_token_type, name, text(raw)?),
            "actor_token" => {
                self.actor_token = true;
                Ok(())
            }
            "requested_token_type" => fill(&mut self.requested_token_type, name, text(raw)?),
            "audience" => fill(&mut self.audience, name, text(raw)?),
            "resource" => fill(&mut self.resource, name, text(raw)?),
            "refused_token_sha256" => fill(&mut self.refused_token_sha256, name, fingerprint(text(raw)?)?),
            "client-request-id" => {
                self.correlation = self.correlation.take().or(text(raw).ok());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn fill<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(repeated(name)),
    }
}

fn repeated(name: &str) -> Refusal {
    Refusal::new(
        Reason::DuplicateParameter,
        format!("the request body contains the parameter '{name}' more than once"),
    )
    .parameter(name.to_owned())
}

fn malformed() -> Refusal {
    Refusal::new(
        Reason::Malformed,
        "the request body is not a valid form; each percent sign must begin a two-digit escape, and the text must be UTF-8",
    )
}

/// The base64url SHA-256 of a token, without padding. A hash and never the token itself: requests are logged by proxies.
fn fingerprint(text: String) -> Result<String, Refusal> {
    const LENGTH: usize = 43;
    // The last character carries four bits of the hash and two that must be zero: one hash has one spelling.
    let ends = text.ends_with(|c| "AEIMQUYcgkosw048".contains(c));
    if text.len() == LENGTH && ends && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        return Ok(text);
    }
    let detail = "refused_token_sha256 is the SHA-256 of the refused token in base64url without padding, 43 characters";
    Err(Refusal::new(Reason::InvalidParameter, detail).parameter("refused_token_sha256"))
}

fn text(raw: &[u8]) -> Result<String, Refusal> {
    decode(raw).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(malformed)
}

fn secret(raw: &[u8]) -> Result<Secret, Refusal> {
    decode(raw).map(Secret::new).ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(body: &str) -> Option<Reason> {
        Form::read(body.as_bytes()).err().map(|refusal| refusal.reason)
    }

    #[test]
    fn known_parameters_are_read_and_others_ignored() {
        let body = "grant_type=client_credentials&client_id=a&client_secret=s%2Bx+y%26&Type=oauth2&Type=twice\
                    &scope=r%2F.default&client-request-id=c&%74ype=x&&=&bare";
        let form = Form::read(body.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!(form.grant_type.as_deref(), Some("client_credentials"));
        assert_eq!(form.client_id.as_deref(), Some("a"));
        assert_eq!(form.client_secret.unwrap().expose(), b"s+x y&");
        assert_eq!(form.scope.as_deref(), Some("r/.default"));
        assert_eq!(form.correlation.as_deref(), Some("c"));
        assert!(form.client_assertion.is_none());
    }

    #[test]
    fn a_parameter_without_a_value_counts_as_omitted() {
        let form =
            Form::read(b"scope=&scope=x&client_id&client_assertion=").unwrap_or_else(|r| panic!("{r:?}"));
        assert_eq!((form.scope.as_deref(), form.client_id), (Some("x"), None));
        assert!(form.client_assertion.is_none());
    }

    #[test]
    fn a_known_parameter_may_not_come_twice() {
        for name in ["grant_type", "client_id", "client_secret", "client_assertion", "scope"] {
            assert_eq!(reason(&format!("{name}=a&x=y&{name}=a")), Some(Reason::DuplicateParameter), "{name}");
        }
        assert_eq!(reason("scope=a&sc%6Fpe=a"), Some(Reason::DuplicateParameter), "names are decoded first");
    }

    #[test]
    fn a_refused_token_is_named_by_its_hash() {
        const HASH: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
        let named = |hash: &str| Form::read(format!("refused_token_sha256={hash}").as_bytes());
        assert_eq!(
            named(HASH).unwrap_or_else(|r| panic!("{r:?}")).refused_token_sha256.as_deref(),
            Some(HASH)
        );
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let token = "eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl";
        for other in [
            hex,
            token,
            &HASH[1..],
            &format!("{HASH}%3D"),
            &HASH.replace('-', "%2B"),
            &HASH.replace("uFU", "uFV"),
        ] {
            assert_eq!(
                named(other).err().map(|refusal| refusal.reason),
                Some(Reason::InvalidParameter),
                "{other}"
            );
        }
        let twice = format!("refused_token_sha256={HASH}&refused_token_sha256={HASH}");
        assert_eq!(reason(&twice), Some(Reason::DuplicateParameter));
    }

    #[test]
    fn broken_encodings_are_refused() {
        for body in ["scope=%", "scope=%1", "scope=%zz", "scope=%+1", "scope=%ff", "scope=%c0%af", "%ff=1"] {
            assert_eq!(reason(body), Some(Reason::Malformed), "{body}");
        }
        assert_eq!(reason("client_secret=100%"), Some(Reason::Malformed), "not passed on as a wrong secret");
    }

    #[test]
    fn the_number_of_parameters_is_limited() {
        let body = |count: usize| vec!["a=b"; count].join("&");
        assert_eq!(reason(&body(limits::PARAMETERS)), None);
        assert_eq!(reason(&body(limits::PARAMETERS + 1)), Some(Reason::TooLarge));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(body: Vec<u8>) {
            let _ = Form::read(&body);
        }
    }
}
