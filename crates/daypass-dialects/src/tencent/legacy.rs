//! What a request with the older signature ("signature v1") must look like before anyone computes anything, and the
//! readings of it that may be right.
//!
//! Everything stands in the parameters, the proof among them: in the query of a GET or the form of a POST. What is
//! signed is the decoded parameters put together as one text, so that the text alone does not say where a value
//! ends. [`unambiguous`] closes that hole for the parameters that this API has.

use super::form::Form;
use super::parameters::{Parameters, invalid};
use super::proof::{near, no_secret_id, without_port};
use super::sign::v1::{Algorithm, StringToSign};
use super::sign::{hash, hex};
use super::wire::{FORM, essence, header, parameter, shown};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daypass_core::client::KeyKind;
use daypass_core::clock::Timestamp;
use daypass_core::dialect::{Call, Claim, Signed, Weak};
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::request::{Head, Request};
use daypass_core::secret::{SigningKey, Witness};
use http::Method;
use std::borrow::Cow;
use std::sync::Arc;

/// Hosts of the vendor that a client may sign although it came to us. The host is no header here: it is whatever the
/// client's own setting says, and the COS team's Python helper signs its `domain` option, by default the first of
/// these, wherever its `url` option sends the request. Only who holds a key of ours can have made such a signature.
const VENDOR_HOSTS: [&str; 3] =
    ["sts.tencentcloudapi.com", "sts.intl.tencentcloudapi.com", "sts.internal.tencentcloudapi.com"];

/// Names of parameters that actions of this API have, beside [`parameter::ALL`].
const OWN: [&str; 15] = [
    "DurationSeconds",
    "ExternalId",
    "Name",
    "Policy",
    "PrincipalArn",
    "ProviderId",
    "RoleArn",
    "RoleSessionName",
    "SAMLAssertion",
    "SerialNumber",
    "SourceIdentity",
    "Tags",
    "TargetUin",
    "TokenCode",
    "WebIdentityToken",
];

/// Whether a request without an `Authorization` header says that its proof stands in its parameters. Asked of bytes
/// as they came, before anything is parsed.
pub(super) fn is_meant(request: &Request) -> bool {
    let has = |bytes: &[u8]| {
        bytes.split(|c| *c == b'&').any(|pair| {
            let name = pair.split(|c| *c == b'=').next().unwrap_or_default();
            name == parameter::SECRET_ID.as_bytes() || name == parameter::SIGNATURE.as_bytes()
        })
    };
    let json = request
        .head
        .header(header::CONTENT_TYPE)
        .is_some_and(|value| essence(value).eq_ignore_ascii_case(super::wire::JSON));
    has(request.head.query.as_bytes()) || (!json && has(&request.body))
}

/// The parameters of such a request, in the one place that its method has for them.
pub(super) fn form(request: &Request) -> Result<Form, Refusal> {
    let head = &request.head;
    if head.method == Method::GET {
        if !request.body.is_empty() {
            return Err(Refusal::new(Reason::Malformed, "a GET must not have a body"));
        }
        return Form::parse(&head.query);
    }
    if !head.query.is_empty() {
        return Err(Refusal::new(Reason::Malformed, "the parameters of a POST belong in its body"));
    }
    let content_type = head.header(header::CONTENT_TYPE).unwrap_or_default();
    if !essence(content_type).eq_ignore_ascii_case(FORM) {
        let detail =
            format!("a body that is signed in its parameters must be {FORM}, and is {}", shown(content_type));
        return Err(Refusal::new(Reason::UnsupportedMediaType, detail));
    }
    let body = std::str::from_utf8(&request.body)
        .map_err(|_| Refusal::new(Reason::Malformed, "the body is not UTF-8"))?;
    Form::parse(body)
}

/// A common parameter that must be there.
pub(super) fn required<'a>(form: &'a Form, name: &'static str) -> Result<&'a str, Refusal> {
    form.get(name).filter(|value| !value.is_empty()).ok_or_else(|| Refusal::missing(name))
}

/// A proof that has the right form. Nothing about it is believed yet.
pub(super) struct Legacy {
    head: Arc<Head>,
    form: Form,
    key_id: String,
    token: Option<String>,
    algorithm: Algorithm,
    signature: Vec<u8>,
    made: Timestamp,
    to: Receiver,
}

/// Whose request it is. It decides which parameters there are to be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiver {
    /// This API, whose parameters are known.
    Sts,
    /// Another one, whose parameters are not.
    Other,
}

impl Legacy {
    /// Reads and checks the form.
    pub(super) fn read(head: Arc<Head>, form: Form, now: Timestamp) -> Result<Self, Refusal> {
        Self::read_for(head, form, now, Receiver::Sts)
    }

    /// Reads and checks the form of a request to one API or another.
    pub(super) fn read_for(
        head: Arc<Head>,
        form: Form,
        now: Timestamp,
        to: Receiver,
    ) -> Result<Self, Refusal> {
        let made = near(required(&form, parameter::TIMESTAMP)?, now)?;
        check_nonce(required(&form, parameter::NONCE)?)?;
        let key_id = form.get(parameter::SECRET_ID).unwrap_or_default().to_owned();
        if no_secret_id(&key_id) {
            let detail = "there is no SecretId in the parameters: the client's own setting is empty";
            return Err(Refusal::new(Reason::MalformedProof, detail));
        }
        let algorithm = algorithm(form.get(parameter::SIGNATURE_METHOD))?;
        let signature = signature(required(&form, parameter::SIGNATURE)?, algorithm)?;
        if head.headers.contains_key(header::TOKEN) {
            let detail =
                "the token of a temporary key stands in the parameters here, and in no header beside them";
            return Err(Refusal::new(Reason::SeveralProofs, detail));
        }
        unambiguous(&form, host(&head), to)?;
        let token = form.get(parameter::TOKEN).filter(|token| !token.is_empty()).map(str::to_owned);
        Ok(Self { head, form, key_id, token, algorithm, signature, made, to })
    }

    /// How it is marked in records. Even with SHA-256 it signs a text that could have been put together otherwise.
    fn weak(&self) -> Weak {
        match self.algorithm {
            Algorithm::HmacSha1 => Weak::LegacyHmacSha1,
            Algorithm::HmacSha256 => Weak::LegacyHmacSha256,
        }
    }

    /// The action's own parameters.
    pub(super) fn parameters(&self) -> Parameters {
        let own = self.form.iter().filter(|(name, _)| !parameter::ALL.contains(name));
        Parameters::of_form(own.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    /// What its sender can compare with its own steps where the signature is wrong: a hash of what arrived. The text
    /// itself is not shown, because a token may stand in it.
    pub(super) fn seen(&self) -> String {
        let (as_sent, _) = self.signed();
        let host = host(&self.head);
        let text = StringToSign { method: self.head.method.as_str(), host, parameters: &as_sent }.text();
        format!(
            "here the string to sign begins with {}{}/? and has, with its {} bytes, the SHA-256 {}",
            self.head.method,
            shown(host),
            text.len(),
            String::from_utf8_lossy(&hex(&hash(text.as_bytes())))
        )
    }

    /// Every host that may have been signed, the commonest first. Every SDK signs the port that it sends, the Node SDK
    /// included, which leaves it out of its newer signature.
    fn hosts(&self) -> Vec<Cow<'_, str>> {
        let sent = host(&self.head);
        let bare = without_port(sent.as_bytes()).and_then(|bare| std::str::from_utf8(bare).ok());
        let mut hosts: Vec<_> = [Some(sent), bare].into_iter().flatten().map(Cow::Borrowed).collect();
        if self.to == Receiver::Other {
            return hosts;
        }
        hosts.extend(VENDOR_HOSTS.map(Cow::Borrowed));
        // The vendor has one host for each region as well.
        let region = self.form.get(parameter::REGION).filter(|region| is_region(region));
        hosts.extend(region.map(|region| Cow::Owned(format!("sts.{region}.tencentcloudapi.com"))));
        hosts
    }

    /// What is signed: the names as they came and, where that is another text, as the Python SDK signs them, with dots
    /// for underscores.
    fn signed(&self) -> (Vec<Pair<'_>>, Option<Vec<Pair<'_>>>) {
        let all = || self.form.iter().filter(|(name, _)| *name != parameter::SIGNATURE);
        let as_sent = all().map(|(name, value)| (Cow::Borrowed(name), value)).collect();
        let sts = self.to == Receiver::Sts;
        let dotted = (sts && all().any(|(name, _)| name.contains('_'))).then(|| {
            let mut pairs: Vec<Pair<'_>> =
                all().map(|(name, value)| (Cow::Owned(name.replace('_', ".")), value)).collect();
            pairs.sort_unstable();
            pairs
        });
        (as_sent, dotted)
    }
}

impl Call for Legacy {
    fn claim(&self) -> Claim<'_> {
        Claim::Signed(Signed {
            key_id: &self.key_id,
            kind: KeyKind::Tencent,
            token: self.token.as_deref(),
            // Decoded: one signature has one spelling, also for the replay rule.
            signature: &self.signature,
            once: None,
            made: self.made,
            weak: Some(self.weak()),
        })
    }

    /// Checks the signature, in every reading of host and names that a client of the vendor may have signed.
    fn verify(&self, key: &SigningKey<'_>) -> Option<Witness> {
        let (as_sent, dotted) = self.signed();
        let hosts = self.hosts();
        key.matches(&self.signature, |secret, right| {
            for parameters in [Some(&as_sent), dotted.as_ref()].into_iter().flatten() {
                for host in &hosts {
                    let text = StringToSign { method: self.head.method.as_str(), host, parameters };
                    if right(&text.sign(self.algorithm, secret)) {
                        return;
                    }
                }
            }
        })
    }
}

/// A name as it is signed, and its value.
type Pair<'a> = (Cow<'a, str>, &'a str);

fn host(head: &Head) -> &str {
    head.header(header::HOST).unwrap_or_default()
}

fn is_region(text: &str) -> bool {
    const LONGEST: usize = 32;
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
}

/// A whole number: the SDKs send up to 2^63, and Node's may be 0. It makes two requests of one second differ and
/// proves nothing; the core remembers signatures.
fn check_nonce(nonce: &str) -> Result<(), Refusal> {
    const LONGEST: usize = 20;
    if nonce.len() <= LONGEST && nonce.bytes().all(|c| c.is_ascii_digit()) {
        return Ok(());
    }
    Err(invalid(parameter::NONCE, "must be a whole number"))
}

/// HMAC-SHA1 where none is named: the COS team's helpers never name one.
fn algorithm(method: Option<&str>) -> Result<Algorithm, Refusal> {
    match method {
        None => Ok(Algorithm::HmacSha1),
        Some(name) => Algorithm::named(name).ok_or_else(|| {
            let rule = format!(
                "must be HmacSHA256 or HmacSHA1, and is {}; TC3-HMAC-SHA256 is no method of the parameters but signs in headers",
                shown(name)
            );
            invalid(parameter::SIGNATURE_METHOD, &rule)
        }),
    }
}

/// Another length is a wrong signature and no wrong form: it is what becomes of one whose method was changed.
fn signature(text: &str, algorithm: Algorithm) -> Result<Vec<u8>, Refusal> {
    STANDARD.decode(text).ok().filter(|bytes| bytes.len() == algorithm.bytes()).ok_or_else(|| {
        let detail = format!(
            "the parameter Signature must be the Base64 of {} bytes for {}, percent-encoded once on its way",
            algorithm.bytes(),
            algorithm.name()
        );
        Refusal::new(Reason::WrongSignature, detail).parameter(parameter::SIGNATURE)
    })
}

/// Makes sure that the text that was signed can be taken apart in one way only.
///
/// Attack: values are joined without being encoded, so `Name=soe` and `Policy=…` sign the same text as a `Name` whose
/// value is `soe&Policy=…`. Whoever sees a request could send it again with its policy hidden in another value. No
/// value may hold `&` and then a name of this API with its `=`; then each of these in the text begins a parameter,
/// and since other names are refused, nothing else does. Two names that the Python SDK would sign alike are refused
/// too, and so is a host that could hold the text's first parameters.
///
/// Of another API no names are known, so that there no value may hold `&` and then any text with a `=`, and no name
/// either of the two.
fn unambiguous(form: &Form, host: &str, to: Receiver) -> Result<(), Refusal> {
    if host.is_empty() || host.contains('?') {
        let detail = "the Host header must be there exactly once, without a question mark in it";
        return Err(Refusal::new(Reason::MalformedProof, detail));
    }
    let begins = match to {
        Receiver::Sts => begins_parameter,
        Receiver::Other => |text: &str| text.contains('='),
    };
    for (name, value) in form.iter() {
        let joins = to == Receiver::Other && name.contains(['=', '&']);
        if joins || value.split('&').skip(1).any(begins) {
            let detail = format!(
                "the value of {} has another parameter of this API in it, and a signature in the parameters cannot tell the two apart; sign with TC3-HMAC-SHA256",
                shown(name)
            );
            return Err(Refusal::new(Reason::DuplicateParameter, detail).parameter(name.to_owned()));
        }
        if name.contains('_') && form.get(&name.replace('_', ".")).is_some() {
            let detail = format!("the parameter {} stands twice, once with dots", shown(name));
            return Err(Refusal::new(Reason::DuplicateParameter, detail).parameter(name.to_owned()));
        }
    }
    Ok(())
}

/// Whether a text begins like `Policy=` or `Tags.0.Key=`.
fn begins_parameter(text: &str) -> bool {
    let name = text.split_once('=').map(|(name, _)| name.split(['.', '_']).next().unwrap_or_default());
    name.is_some_and(|name| parameter::ALL.contains(&name) || OWN.contains(&name))
}
