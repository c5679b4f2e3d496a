//! The signature of an access token.

use super::wire::AccessToken;
use daypass_core::refusal::{Reason, Refusal};
use daypass_core::ring::Ring;
use daypass_core::role::{Algorithm, TOKEN_BYTES};
use daypass_core::secret::Secret;

/// Signs the claims with the ring's active key of this algorithm. RS256 takes half a millisecond of CPU; the
/// other two take some twenty microseconds.
pub fn access_token(ring: &Ring, algorithm: Algorithm, claims: &AccessToken) -> Result<Secret, Refusal> {
    let signer = ring
        .signer(algorithm)
        .ok_or_else(|| Refusal::internal(format!("the ring has no {} key", algorithm.name())))?;
    let token = signer.sign(claims.typ(), claims).map_err(Refusal::internal)?;
    if token.len() > TOKEN_BYTES {
        // Configuration and grants are checked so that this cannot happen; a server in front of an API would refuse the
        // header, and nobody would see why.
        return Err(Refusal::new(
            Reason::CredentialTooLarge,
            format!(
                "the token would have {} bytes, and at most {TOKEN_BYTES} are good; give the client fewer roles or values",
                token.len()
            ),
        ));
    }
    Ok(Secret::new(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use daypass_core::caller::{Caller, How, Proof};
    use daypass_core::dialect::{Form, Issue, RoleChoice};
    use daypass_core::policy::authorize;
    use daypass_core::role::{Profile, Role};
    use daypass_core::testing::{self, RESOURCE, START, World};
    use serde_json::Value;
    use std::sync::Arc;
    use uuid::Uuid;

    /// The claims of the test world's OAuth role after this change.
    fn claims(change: impl FnOnce(&mut Role)) -> AccessToken {
        let mut world = World::new();
        change(Arc::make_mut(&mut world.plan.roles[2]));
        let client = Arc::new(world.client.clone());
        let proof = Proof::Key { client, key: "key".into(), weak: None, how: How::ClientSecretPost };
        let caller = Caller::for_test(world.plan.tenants[0].clone(), proof);
        let issue = Issue::new(RoleChoice::Resource(RESOURCE.into()), Form::Bearer);
        let authorized =
            authorize(&world.directory(), &caller, "/", &issue).unwrap_or_else(|r| panic!("{r:?}"));
        AccessToken::new("https://pass.example", &authorized, START, Uuid::nil())
            .unwrap_or_else(|r| panic!("{r:?}"))
    }

    #[test]
    fn the_header_names_type_algorithm_and_key() {
        let ring = testing::ring();
        for (profile, typ) in [(Profile::Entra, "JWT"), (Profile::Rfc9068, "at+jwt")] {
            let claims = claims(|role| role.profile = profile);
            for algorithm in Algorithm::ALL {
                let token = access_token(&ring, *algorithm, &claims).unwrap_or_else(|r| panic!("{r:?}"));
                let parts: Vec<&str> = token.expose_str().split('.').collect();
                assert_eq!(parts.len(), 3);
                let json = |part: &str| {
                    serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
                };
                let header = json(parts[0]);
                assert_eq!(header["typ"], typ);
                assert_eq!(header["alg"], algorithm.name());
                assert_eq!(header["kid"], ring.signer(*algorithm).unwrap().kid());
                assert_eq!(json(parts[1]), serde_json::to_value(&claims).unwrap());
            }
        }
    }

    #[test]
    fn a_token_that_no_server_would_take_is_not_made() {
        let token = |count: usize| {
            let app_roles = (0..count).map(|n| format!("{n:0100}")).collect();
            access_token(&testing::ring(), Algorithm::Es256, &claims(|role| role.app_roles = app_roles))
        };
        let largest = (0..100).take_while(|count| token(*count).is_ok()).last().unwrap();
        assert!(token(largest).unwrap().expose().len() > TOKEN_BYTES - 150, "one more role does not fit");
        let refusal = token(largest + 1).err().unwrap();
        assert_eq!(refusal.reason, Reason::CredentialTooLarge);
        assert!(refusal.detail.contains("at most 6144 are good"), "{}", refusal.detail);
    }
}
