//! The token in a request's head (RFC 6750, section 2.1; RFC 9449, section 7.1).

use crate::rejected::Rejected;

/// Takes the token out of a request: hand it *all* values of the header `Authorization`.
///
/// Only this header is looked at. A token in the query is in every log on its way, and one in a form or a cookie comes
/// with requests that a foreign page has made.
///
/// # Errors
///
/// [`Rejected::Missing`] where there is no token under the scheme `Bearer`; [`Rejected::Request`] where there is more
/// than one header (two readers of a request may each take another one for the first) or what it holds is no token.
///
/// ```
/// # use daypass_verify::{Rejected, bearer};
/// assert_eq!(bearer(["Bearer abc.def.ghi"]), Ok("abc.def.ghi"));
/// assert_eq!(bearer(["Basic dXNlcjpwYXNz"]), Err(Rejected::Missing));
/// assert!(matches!(bearer(["Bearer a", "Bearer b"]), Err(Rejected::Request(_))));
/// ```
pub fn bearer<'a, V>(authorization: impl IntoIterator<Item = &'a V>) -> Result<&'a str, Rejected>
where
    V: AsRef<[u8]> + ?Sized + 'a,
{
    under("bearer", authorization)
}

/// The same for a token that is bound to a key, and its proof: all values of `Authorization`, whose scheme must be
/// `DPoP`, and all values of the header `DPoP`. Both are for [`Binding::Dpop`](crate::Binding::Dpop).
///
/// # Errors
///
/// Those of [`bearer`]; [`Rejected::Proof`] where there is not exactly one proof (RFC 9449, section 4.3).
pub fn dpop<'a, V, P>(
    authorization: impl IntoIterator<Item = &'a V>,
    proofs: impl IntoIterator<Item = &'a P>,
) -> Result<(&'a str, &'a str), Rejected>
where
    V: AsRef<[u8]> + ?Sized + 'a,
    P: AsRef<[u8]> + ?Sized + 'a,
{
    let token = under("dpop", authorization)?;
    let mut proofs = proofs.into_iter();
    let (Some(proof), None) = (proofs.next(), proofs.next()) else {
        return Err(Rejected::Proof("exactly one header DPoP was expected"));
    };
    let proof = std::str::from_utf8(proof.as_ref());
    Ok((token, proof.map_err(|_| Rejected::Proof("a JWT was expected in the header DPoP"))?.trim_ascii()))
}

fn under<'a, V>(scheme: &str, authorization: impl IntoIterator<Item = &'a V>) -> Result<&'a str, Rejected>
where
    V: AsRef<[u8]> + ?Sized + 'a,
{
    let mut values = authorization.into_iter();
    let Some(value) = values.next() else { return Err(Rejected::Missing) };
    if values.next().is_some() {
        return Err(Rejected::Request("one header Authorization was expected"));
    }
    let Ok(value) = std::str::from_utf8(value.as_ref()) else {
        return Err(Rejected::Request("a header Authorization of ASCII characters was expected"));
    };
    // Schemes are compared without case (RFC 9110, section 11.1).
    let (named, token) = value.trim_ascii().split_once(' ').unwrap_or((value.trim_ascii(), ""));
    let token = token.trim_ascii();
    if !named.eq_ignore_ascii_case(scheme) || token.is_empty() {
        return Err(Rejected::Missing);
    }
    if !is_b64token(token) {
        return Err(Rejected::Request("one token was expected behind the scheme"));
    }
    Ok(token)
}

/// `b64token` of RFC 6750, section 2.1.
fn is_b64token(text: &str) -> bool {
    let bare = text.trim_end_matches('=');
    !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONE: [&str; 0] = [];

    #[test]
    fn one_header_has_one_token() {
        for value in ["Bearer a.b-c_~+/=", "bearer  a.b-c_~+/=", "BEARER a.b-c_~+/= "] {
            assert_eq!(bearer([value]), Ok("a.b-c_~+/="), "{value}");
        }
        assert_eq!(bearer([&b"Bearer abc"[..]]), Ok("abc"), "bytes, as servers hold them");
    }

    #[test]
    fn what_is_no_token_is_missing_or_a_bad_request() {
        assert_eq!(bearer(NONE), Err(Rejected::Missing));
        for value in ["", "Bearer", "Bearer ", "Basic abc", "DPoP abc", "Bearerabc", "abc", "Bearer: abc"] {
            assert_eq!(bearer([value]), Err(Rejected::Missing), "{value:?}");
        }
        for value in
            ["Bearer a b", "Bearer a, Bearer b", "Bearer ü", "Bearer \"a\"", "Bearer =", "Bearer a=b"]
        {
            assert!(matches!(bearer([value]), Err(Rejected::Request(_))), "{value:?}");
        }
        assert!(matches!(bearer([&b"Bearer \xff"[..]]), Err(Rejected::Request(_))));
        assert!(
            matches!(bearer(["Bearer a", "Bearer a"]), Err(Rejected::Request(_))),
            "even if they are equal"
        );
        assert!(matches!(bearer(["Basic a", "Bearer a"]), Err(Rejected::Request(_))));
    }

    #[test]
    fn a_bound_token_comes_with_one_proof() {
        assert_eq!(dpop(["DPoP a.b.c"], ["d.e.f"]), Ok(("a.b.c", "d.e.f")));
        assert_eq!(
            dpop(["Bearer a.b.c"], ["d.e.f"]),
            Err(Rejected::Missing),
            "the scheme says that it is bound"
        );
        assert!(matches!(dpop(["DPoP a"], NONE), Err(Rejected::Proof(_))));
        assert!(matches!(dpop(["DPoP a"], ["b", "c"]), Err(Rejected::Proof(_))));
        assert!(matches!(dpop(["DPoP a"], [&b"\xff"[..]]), Err(Rejected::Proof(_))));
    }

    proptest! {
        #[test]
        fn arbitrary_values_never_panic(values: Vec<Vec<u8>>) {
            let _ = bearer(&values);
            let _ = dpop(&values, &values);
        }
    }
}
