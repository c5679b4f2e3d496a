//! The signature of a TOP call, for the server that checks it and for a client that makes it. Beside it the two of
//! Alibaba Cloud's APIs: [`rpc`], version 1, and [`acs3`].
//!
//! Source: Taobao Open Platform, "API call protocol" (docId 101617). All text parameters but `sign` are sorted by
//! name, names and values are joined with nothing between, and the UTF-8 bytes of that are digested:
//!
//! | method | digest |
//! |---|---|
//! | `md5` | MD5 of secret, base string, secret |
//! | `hmac` | HMAC-MD5 of the base string |
//! | `hmac-sha256` | HMAC-SHA256 of the base string |
//!
//! Empty values are signed like all others: the SDKs that leave them out of the signature leave them off the wire
//! too, and the others sign the bare name.

pub mod acs3;
pub mod rpc;

use aws_lc_rs::hmac as aws;
use daypass_core::dialect::Weak;
use daypass_core::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};

/// What a client of Alibaba Cloud's APIs signs with.
#[derive(Clone, Copy)]
pub struct ClientKey<'a> {
    /// `AccessKeyId`.
    pub id: &'a str,
    /// `AccessKeySecret`.
    pub secret: &'a [u8],
    /// `SecurityToken`, where the key is a temporary one.
    pub token: Option<&'a str>,
}

/// A way to sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignMethod {
    /// What a call without `sign_method` is signed with, and all that the older clients have.
    #[default]
    Md5,
    /// HMAC-MD5.
    Hmac,
    /// HMAC-SHA256, the default of the present official SDKs.
    HmacSha256,
}

impl SignMethod {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::Md5, Self::Hmac, Self::HmacSha256];

    /// The value of `sign_method`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Hmac => "hmac",
            Self::HmacSha256 => "hmac-sha256",
        }
    }

    /// The method of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// The weak mode that it is, if it is one. A client can have these switched off.
    pub fn weak(self) -> Option<Weak> {
        match self {
            Self::Md5 => Some(Weak::Md5),
            Self::Hmac => Some(Weak::HmacMd5),
            Self::HmacSha256 => None,
        }
    }

    /// How many characters its signatures have.
    pub fn length(self) -> usize {
        match self {
            Self::Md5 | Self::Hmac => 32,
            Self::HmacSha256 => 64,
        }
    }

    /// Whether this has the form of its signatures. Lower case is refused: every SDK sends upper case, and one
    /// spelling means that a signature cannot be sent a second time in another one.
    pub fn admits(self, sign: &str) -> bool {
        sign.len() == self.length() && sign.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'))
    }
}

/// The signature over these parameters, in any order; one named `sign` is left out.
///
/// ```
/// use daypass_dialects::alibaba::sign::{SignMethod, sign};
/// let params = [
///     ("method", "taobao.item.seller.get"), ("app_key", "12345678"), ("session", "test"),
///     ("timestamp", "2016-01-01 12:00:00"), ("format", "json"), ("v", "2.0"), ("sign_method", "md5"),
///     ("fields", "num_iid,title,nick,price,num"), ("num_iid", "11223344"),
/// ];
/// // The published example of the vendor's document.
/// assert_eq!(sign(SignMethod::Md5, b"helloworld", params), "66987CB115214E59E6EC978214934FB8");
/// ```
pub fn sign<'a>(
    method: SignMethod,
    secret: &[u8],
    params: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut params: Vec<_> = params.into_iter().filter(|(name, _)| *name != "sign").collect();
    params.sort_unstable();
    digest(method, secret, &base_string(params))
}

/// Names and values, one behind the other. The parameters must be sorted by the bytes of their names.
pub fn base_string<'a>(sorted: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut base = String::with_capacity(512);
    for (name, value) in sorted {
        base.push_str(name);
        base.push_str(value);
    }
    base
}

/// What is digested, in one piece. For md5 it holds the key.
pub fn string_digested(method: SignMethod, secret: &[u8], base: &str) -> Secret {
    Secret::new(pieces(method, secret, base).concat())
}

/// The signature over a base string: upper-case hex.
pub fn digest(method: SignMethod, secret: &[u8], base: &str) -> String {
    let pieces = pieces(method, secret, base);
    match method {
        SignMethod::Md5 => upper_hex(&pieces.iter().fold(Md5::new(), Md5::chain_update).finalize()),
        // HMAC takes a key of any length, so there is no error to speak of; no signature has no characters.
        SignMethod::Hmac => Hmac::<Md5>::new_from_slice(secret).map_or_else(
            |_| String::new(),
            |mac| upper_hex(&pieces.iter().fold(mac, Mac::chain_update).finalize().into_bytes()),
        ),
        SignMethod::HmacSha256 => {
            let mut context = aws::Context::with_key(&aws::Key::new(aws::HMAC_SHA256, secret));
            for piece in pieces {
                context.update(piece);
            }
            upper_hex(context.sign().as_ref())
        }
    }
}

/// The secret before an md5 text prefixes it, the one behind stops anyone from extending it.
fn pieces<'a>(method: SignMethod, secret: &'a [u8], base: &'a str) -> [&'a [u8]; 3] {
    match method {
        SignMethod::Md5 => [secret, base.as_bytes(), secret],
        SignMethod::Hmac | SignMethod::HmacSha256 => [b"", base.as_bytes(), b""],
    }
}

fn upper_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_signature_has_one_spelling() {
        for method in SignMethod::ALL {
            let good = sign(method, b"secret", [("a", "b")]);
            assert!(method.admits(&good), "{good}");
            assert!(!method.admits(&good.to_lowercase()) || good.bytes().all(|b| b.is_ascii_digit()));
            assert!(!method.admits(&format!("{good}0")));
            assert!(!method.admits(""));
            assert_eq!(SignMethod::named(method.name()), Some(method));
        }
        assert_eq!(SignMethod::named("MD5"), None);
    }

    #[test]
    fn the_order_given_and_a_sign_among_the_parameters_do_not_matter() {
        for method in SignMethod::ALL {
            let there = sign(method, b"k", [("b", "2"), ("a", "1"), ("sign", "X")]);
            assert_eq!(there, sign(method, b"k", [("a", "1"), ("b", "2")]));
        }
    }

    #[test]
    fn an_empty_secret_is_a_key_like_any_other() {
        // Test vectors of HMAC over nothing with no key, and of MD5 over nothing.
        assert_eq!(digest(SignMethod::Md5, b"", ""), "D41D8CD98F00B204E9800998ECF8427E");
        assert_eq!(digest(SignMethod::Hmac, b"", ""), "74E6F7298A9C2D168935F58C001BAD88");
        assert_eq!(
            digest(SignMethod::HmacSha256, b"", ""),
            "B613679A0814D9EC772F95D778C35FC5FF1697C493715653C6C712144292C5AD"
        );
    }

    proptest! {
        #[test]
        fn a_changed_value_changes_the_signature(
            secret in "[ -~]{1,80}", value in "\\PC{1,40}", other in "\\PC{1,40}", which in 0_usize..3,
        ) {
            prop_assume!(value != other);
            let method = SignMethod::ALL[which];
            let with = |value| sign(method, secret.as_bytes(), [("param", value), ("v", "2.0")]);
            prop_assert_ne!(with(&value), with(&other));
        }
    }
}
