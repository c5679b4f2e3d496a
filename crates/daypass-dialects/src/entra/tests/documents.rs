//! Discovery, keys and instance discovery.

use super::Bench;
use daypass_core::directory::Certificates;
use daypass_core::jose::algorithm_names;
use daypass_core::pipeline::Success;
use daypass_core::refusal::Reason;
use daypass_core::role::TokenVersion;
use daypass_core::testing::{self, ACME, request};
use serde_json::{Value, json};

#[test]
fn the_discovery_document_says_what_works() {
    let reply = Bench::new().get(&placements(TokenVersion::V2)[0]);
    let mut document = reply.json.clone();
    // What is verified is the same everywhere, and a long list.
    for member in ["token_endpoint_auth", "introspection_endpoint_auth", "revocation_endpoint_auth", "dpop"] {
        let listed =
            document.as_object_mut().unwrap().remove(&format!("{member}_signing_alg_values_supported"));
        assert_eq!(listed, Some(json!(algorithm_names())), "{member}");
    }
    let head = reply.whole();
    insta::assert_snapshot!(format!("{}\n\n{document:#}", head.split("\n\n").next().unwrap()), @r#"
    200 OK
    content-type: application/json; charset=utf-8
    x-content-type-options: nosniff
    cache-control: public, max-age=3600

    {
      "authorization_endpoint": "http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/oauth2/v2.0/authorize",
      "claims_supported": [
        "aud",
        "iss",
        "iat",
        "nbf",
        "exp",
        "azp",
        "azpacr",
        "client_id",
        "idtyp",
        "jti",
        "oid",
        "rh",
        "roles",
        "sub",
        "tid",
        "uti",
        "ver",
        "cnf",
        "act"
      ],
      "cloud_instance_name": "127.0.0.1:5050",
      "grant_types_supported": [
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:token-exchange"
      ],
      "id_token_signing_alg_values_supported": [
        "RS256",
        "ES256",
        "EdDSA"
      ],
      "introspection_endpoint": "http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/oauth2/v2.0/introspect",
      "introspection_endpoint_auth_methods_supported": [
        "client_secret_post",
        "client_secret_basic",
        "private_key_jwt"
      ],
      "issuer": "http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0",
      "jwks_uri": "http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/discovery/v2.0/keys",
      "response_types_supported": [],
      "revocation_endpoint": "http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/oauth2/v2.0/revoke",
      "revocation_endpoint_auth_methods_supported": [
        "client_secret_post",
        "client_secret_basic",
        "private_key_jwt"
      ],
      "subject_types_supported": [
        "public"
      ],
      "tenant_region_scope": "WW",
      "tls_client_certificate_bound_access_tokens": false,
      "token_endpoint": "http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/oauth2/v2.0/token",
      "token_endpoint_auth_methods_supported": [
        "client_secret_post",
        "client_secret_basic",
        "private_key_jwt"
      ]
    }
    "#);
}

#[test]
fn the_algorithms_that_are_verified_are_those_of_the_clients() {
    for name in ["RS256", "PS256", "ES256", "EdDSA"] {
        assert!(algorithm_names().contains(&name), "{name}");
    }
    assert!(algorithm_names().iter().all(|name| *name != "none" && !name.starts_with("HS")));
}

/// Every place of the document of one issuer, beginning with the one that OpenID Connect makes of it.
fn placements(version: TokenVersion) -> Vec<String> {
    let after = match version {
        TokenVersion::V1 => String::new(),
        TokenVersion::V2 => "/v2.0".to_owned(),
    };
    let mut targets = vec![
        format!("/{ACME}{after}/.well-known/openid-configuration"),
        format!("/{ACME}{after}/.well-known/oauth-authorization-server"),
        format!("/.well-known/oauth-authorization-server/{ACME}{after}"),
        format!("/.well-known/openid-configuration/{ACME}{after}"),
        format!("/{}{after}/.well-known/openid-configuration?appid=x", ACME.to_string().to_uppercase()),
    ];
    if version == TokenVersion::V1 {
        // RFC 8414 §3.1 takes a slash at the end of an issuer away; not every client does.
        targets.push(format!("/.well-known/oauth-authorization-server/{ACME}/"));
    }
    targets
}

#[test]
fn every_placement_gives_the_same_document_of_its_issuer() {
    let bench = Bench::new();
    let issuer = |version| crate::entra::wire::issuer(&bench.world.plan.public_url, ACME, version);
    assert_eq!(issuer(TokenVersion::V1), format!("http://127.0.0.1:5050/{ACME}/"));
    for version in TokenVersion::ALL {
        let targets = placements(*version);
        let first = bench.get(&targets[0]);
        assert_eq!(first.json["issuer"], issuer(*version), "to the byte");
        for target in targets {
            assert_eq!(bench.get(&target).text, first.text, "{target}");
            assert_eq!(bench.send(request("HEAD", &target, &[], b"")).result, Ok(Success::Open), "{target}");
        }
    }
}

/// The two documents of a tenant differ in nothing but whose tokens they speak of.
#[test]
fn the_first_version_has_an_issuer_and_claims_of_its_own() {
    let bench = Bench::new();
    let [mut v1, v2] =
        [TokenVersion::V1, TokenVersion::V2].map(|version| bench.get(&placements(version)[0]).json);
    let claims = v1["claims_supported"].as_array().unwrap();
    assert!(claims.contains(&"appid".into()) && !claims.contains(&"azp".into()), "{claims:?}");
    for member in ["issuer", "claims_supported"] {
        assert_ne!(v1[member], v2[member]);
        v1[member] = v2[member].clone();
    }
    assert_eq!(v1, v2);
}

#[test]
fn certificates_are_spoken_of_where_they_are_taken() {
    let document = |certificates, url: Option<&str>| {
        let mut bench = Bench::new();
        bench.world.plan.certificates = certificates;
        bench.world.plan.mutual_tls_url = url.map(str::to_owned);
        bench.get(&placements(TokenVersion::V2)[0]).json
    };
    let mutual = "https://mtls.pass.example";
    for (certificates, url, methods, aliases) in [
        (Certificates::Unseen, None, json!([]), Value::Null),
        (Certificates::Registered, None, json!(["self_signed_tls_client_auth"]), Value::Null),
        (
            Certificates::Vouched,
            Some(mutual),
            json!(["tls_client_auth", "self_signed_tls_client_auth"]),
            json!({
                "token_endpoint": format!("{mutual}/{ACME}/oauth2/v2.0/token"),
                "introspection_endpoint": format!("{mutual}/{ACME}/oauth2/v2.0/introspect"),
                "revocation_endpoint": format!("{mutual}/{ACME}/oauth2/v2.0/revoke"),
            }),
        ),
    ] {
        let document = document(certificates, url);
        for endpoint in ["token", "introspection", "revocation"] {
            let listed = document[format!("{endpoint}_endpoint_auth_methods_supported")].as_array().unwrap();
            assert_eq!(Value::from(&listed[3..]), methods, "{certificates:?}");
        }
        assert_eq!(document["mtls_endpoint_aliases"], aliases, "{certificates:?}");
        let bound = &document["tls_client_certificate_bound_access_tokens"];
        assert_eq!(*bound, certificates != Certificates::Unseen);
    }
}

#[test]
fn the_document_leads_to_endpoints_that_answer() {
    let bench = Bench::new();
    let document = bench.get(&format!("/{ACME}/v2.0/.well-known/openid-configuration")).json;
    let path = |member: &str| {
        let url = document[member].as_str().unwrap();
        url.strip_prefix(&bench.world.plan.public_url).unwrap().to_owned()
    };
    assert_eq!(
        format!("{}/.well-known/openid-configuration", path("issuer")),
        format!("/{ACME}/v2.0/.well-known/openid-configuration")
    );
    assert_eq!(bench.get(&path("jwks_uri")).result, Ok(Success::Open));
    let token = super::token_request(&path("token_endpoint"), &super::good_form(), &[]);
    assert_eq!(bench.send(token).result, Ok(Success::Granted));
    assert_eq!(bench.get(&path("authorization_endpoint")).gist(), (400, "unsupported_grant_type", 70_003));
    let secret = [("client_id", super::CLIENT), ("client_secret", super::SECRET), ("token", "unknown")];
    for (endpoint, body) in
        [("introspection_endpoint", "{\"active\":false}"), ("revocation_endpoint", "null")]
    {
        let reply = bench.send(super::token_request(&path(endpoint), &super::form(&secret), &[]));
        assert_eq!((reply.parts.status.as_u16(), reply.json.to_string().as_str()), (200, body), "{endpoint}");
    }
    for grant in document["grant_types_supported"].as_array().unwrap() {
        let form = super::form_with("grant_type", grant.as_str());
        let refused = bench.post(&form, &[]).result.err().map(|refusal| refusal.reason);
        assert_ne!(refused, Some(Reason::UnsupportedGrant), "{grant}");
    }
}

#[test]
fn the_host_header_names_nothing() {
    let bench = Bench::new();
    let target = format!("/{ACME}/v2.0/.well-known/openid-configuration");
    let reply = bench.send(request(
        "GET",
        &target,
        &[("host", "evil.example"), ("x-forwarded-host", "evil.example")],
        b"",
    ));
    assert_eq!(reply.text, bench.get(&target).text);
}

#[test]
fn the_keys_are_public_and_those_of_the_ring() {
    let bench = Bench::new();
    let reply = bench.get(&format!("/{ACME}/discovery/v2.0/keys"));
    // As long as nothing is planned, an hour, of which the request's id takes up to a quarter away.
    let max_age: u32 =
        reply.header("cache-control").strip_prefix("public, max-age=").unwrap().parse().unwrap();
    assert!((2700..=3600).contains(&max_age), "{max_age}");
    let keys = reply.json["keys"].as_array().unwrap();
    assert_eq!(keys.len(), testing::ring().published().count());
    for key in keys {
        let allowed = ["alg", "crv", "e", "kid", "kty", "n", "use", "x", "y"];
        assert!(key.as_object().unwrap().keys().all(|name| allowed.contains(&name.as_str())), "{key}");
    }
    let kids: std::collections::HashSet<&str> = keys.iter().filter_map(|key| key["kid"].as_str()).collect();
    assert_eq!(kids.len(), keys.len());
    for target in [format!("/{ACME}/discovery/keys"), "/common/discovery/v2.0/keys".to_owned()] {
        assert_eq!(bench.get(&target).text, reply.text, "{target}");
    }
}

#[test]
fn instance_discovery_sends_msal_to_the_tenants_document() {
    let bench = Bench::new();
    let page = format!("https%3A%2F%2Fanything.example%2F{ACME}%2Foauth2%2Fv2.0%2Fauthorize");
    let reply =
        bench.get(&format!("/common/discovery/instance?authorization_endpoint={page}&api-version=1.0"));
    insta::assert_snapshot!(format!("{:#}", reply.json), @r#"
    {
      "api-version": "1.1",
      "metadata": [
        {
          "aliases": [
            "127.0.0.1:5050"
          ],
          "preferred_cache": "127.0.0.1:5050",
          "preferred_network": "127.0.0.1:5050"
        }
      ],
      "tenant_discovery_endpoint": "http://127.0.0.1:5050/387c56a8-cf86-45de-b9f5-b4de88cac054/v2.0/.well-known/openid-configuration"
    }
    "#);
    let gist = |query: &str| {
        let reply = bench.get(&format!("/common/discovery/instance{query}"));
        let (status, error, code) = reply.gist();
        (status, error.to_owned(), code)
    };
    assert_eq!(gist(""), (400, "invalid_request".to_owned(), 900_144));
    assert_eq!(gist("?authorization_endpoint=nonsense"), (400, "invalid_request".to_owned(), 900_023));
    let unknown = page.replace(&ACME.to_string(), "11111111-2222-3333-4444-555555555555");
    assert_eq!(
        gist(&format!("?authorization_endpoint={unknown}")),
        (400, "invalid_tenant".to_owned(), 90_002)
    );
}

#[test]
fn a_refused_document_is_counted_and_not_cached() {
    let bench = Bench::new();
    for (target, expected) in [
        (
            "/11111111-2222-3333-4444-555555555555/v2.0/.well-known/openid-configuration",
            (400, "invalid_tenant", 90_002),
        ),
        ("/11111111-2222-3333-4444-555555555555/discovery/v2.0/keys", (400, "invalid_tenant", 90_002)),
        ("/acme/v2.0/.well-known/openid-configuration", (400, "invalid_request", 900_023)),
    ] {
        let reply = bench.get(target);
        assert_eq!(reply.gist(), expected, "{target}");
        assert!(reply.result.is_err(), "{target}");
        assert_eq!(reply.header("cache-control"), "no-store, no-cache");
    }
    let posted = request("POST", "/common/discovery/v2.0/keys", &[], b"");
    assert_eq!(bench.send(posted).gist(), (400, "invalid_request", 900_561));
}

#[test]
fn a_prepared_key_is_published_before_it_signs() {
    use daypass_core::ring::{Purpose, Ring, RingState};
    let mut rows = testing::ring_rows();
    let entropy = testing::SeededEntropy::new(9);
    rows.push(
        Ring::generate_one(
            &testing::kek(),
            &entropy,
            testing::START,
            Purpose::JwtEs256,
            2,
            RingState::Prepared,
        )
        .unwrap(),
    );
    let world = testing::World::new();
    let ring = std::sync::Arc::new(Ring::open(&rows, &testing::kek()).unwrap());
    let directory = daypass_core::directory::Directory::new(
        std::sync::Arc::new(world.plan),
        ring,
        vec![],
        vec![],
        vec![],
    )
    .unwrap();
    let head = request("GET", "/common/discovery/v2.0/keys", &[], b"").head;
    let context = daypass_core::dialect::Context { directory: &directory, now: testing::START };
    let response = daypass_core::dialect::Dialect::open(&super::Entra, context, &head).unwrap();
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(body["keys"].as_array().unwrap().len(), 4);
}
