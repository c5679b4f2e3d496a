//! The signature of an access token.

use super::wire::AccessToken;
use daypass_core::refusal::Refusal;
use daypass_core::ring::Ring;
use daypass_core::role::Algorithm;
use daypass_core::secret::Secret;

/// `typ` of the header. Entra writes `JWT`, and there are verifiers that know nothing else; RFC 9068 would have
/// `at+jwt`.
const TYPE: &str = "JWT";

/// Signs the claims with the ring's active key of this algorithm. RS256 takes half a millisecond of CPU; the
/// other two take some twenty microseconds.
pub fn access_token(ring: &Ring, algorithm: Algorithm, claims: &AccessToken) -> Result<Secret, Refusal> {
    let signer = ring
        .signer(algorithm)
        .ok_or_else(|| Refusal::internal(format!("the ring has no {} key", algorithm.name())))?;
    signer.sign(TYPE, claims).map(Secret::new).map_err(Refusal::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use daypass_core::testing;
    use serde_json::Value;
    use uuid::Uuid;

    #[test]
    fn the_header_names_type_algorithm_and_key() {
        let claims = AccessToken {
            aud: "api://orders".into(),
            iss: "https://pass.example/x/v2.0".into(),
            iat: 1,
            nbf: 1,
            exp: 2,
            azp: Uuid::nil(),
            azpacr: "1",
            idtyp: "app",
            oid: Uuid::nil(),
            roles: vec![],
            sub: Uuid::nil(),
            tid: Uuid::nil(),
            uti: Uuid::nil(),
            ver: "2.0",
        };
        let ring = testing::ring();
        for algorithm in Algorithm::ALL {
            let token = access_token(&ring, *algorithm, &claims).unwrap_or_else(|r| panic!("{r:?}"));
            let parts: Vec<&str> = token.expose_str().split('.').collect();
            assert_eq!(parts.len(), 3);
            let json =
                |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
            let header = json(parts[0]);
            assert_eq!(header["typ"], "JWT");
            assert_eq!(header["alg"], algorithm.name());
            assert_eq!(header["kid"], ring.signer(*algorithm).unwrap().kid());
            assert_eq!(json(parts[1]), serde_json::to_value(&claims).unwrap());
        }
    }
}
