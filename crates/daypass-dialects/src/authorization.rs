//! The form of `Authorization` that Tencent's and Alibaba Cloud's newer signatures share: an algorithm, a blank, and
//! `Credential=…, SignedHeaders=…, Signature=…` in any order.

use daypass_core::refusal::{Reason, Refusal};

/// The parts of such a header, each at most once. Nothing about them is believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// Who it says it is; what else stands in it is the vendor's own.
    pub(crate) credential: Option<&'a str>,
    /// The names of the signed headers.
    pub(crate) signed_headers: &'a str,
    /// The signature as it was written; none where there is none.
    pub(crate) signature: Option<&'a str>,
}

/// Takes a header apart. What is not of the form is [`Reason::MalformedProof`].
pub(crate) fn parts<'a>(authorization: &'a str, algorithm: &str) -> Result<Parts<'a>, Refusal> {
    let rest = authorization
        .strip_prefix(algorithm)
        .filter(|rest| rest.starts_with(' '))
        .ok_or_else(|| malformed(&format!("it must begin with {algorithm}")))?;
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for field in rest.split(',') {
        let (name, value) =
            field.trim().split_once('=').ok_or_else(|| malformed("a part of it is not name=value"))?;
        let slot = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            _ => return Err(malformed("it holds Credential, SignedHeaders and Signature, nothing else")),
        };
        if slot.replace(value).is_some() {
            return Err(malformed("a part of it stands twice"));
        }
    }
    let signed_headers = signed_headers.ok_or_else(|| malformed("it has no SignedHeaders"))?;
    Ok(Parts { credential, signed_headers, signature })
}

/// A header that is not of the form.
pub(crate) fn malformed(what: &str) -> Refusal {
    Refusal::new(
        Reason::MalformedProof,
        format!("the Authorization header is not of the vendor's form: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_its_parts_in_any_order_and_each_once() {
        let whole = Parts { credential: Some("a/b"), signed_headers: "host", signature: Some("00") };
        for good in [
            "X Credential=a/b, SignedHeaders=host, Signature=00",
            "X Signature=00,SignedHeaders=host,Credential=a/b",
        ] {
            assert_eq!(parts(good, "X"), Ok(whole), "{good}");
        }
        for bad in [
            "",
            "X",
            "XCredential=a, SignedHeaders=host, Signature=00",
            "Y Credential=a, SignedHeaders=host, Signature=00",
            "X Credential=a, SignedHeaders=host, Signature",
            "X Credential=a, SignedHeaders=host, Signature=00, Else=1",
            "X Credential=a, Credential=b, SignedHeaders=host, Signature=00",
            "X Credential=a, Signature=00",
        ] {
            assert_eq!(parts(bad, "X").err().map(|r| r.reason), Some(Reason::MalformedProof), "{bad}");
        }
    }
}
