//! Every way of signing × everything that can be wrong with a credential.

use super::*;
use daypass_core::cutoff::{Cutoff, Scope as Cut};
use daypass_core::policy::Effect;
use daypass_core::testing::{before, later};

#[test]
fn a_request_of_every_kind_is_recognised_and_allowed() {
    for scheme in Scheme::ALL {
        let service = Service::new();
        let told = service.valid(&usual_question(&service, scheme));
        assert_eq!((&told["tenant"], &told["account"]), (&json!("acme"), &json!("100000000001")), "{told}");
        assert_eq!(told["scheme"], scheme.name());
        assert_eq!(told["client"], json!(service.world.client.guid));
        let expected = match scheme {
            Scheme::Top => json!({"allowed": false, "why": "permanent_key"}),
            Scheme::Bearer => json!({"allowed": true, "why": "app_role"}),
            _ => json!({"allowed": true, "statement": 0, "why": "statement_allows"}),
        };
        assert_eq!(told["decision"], expected, "{scheme:?}");
        if triple_kind(scheme).is_some() {
            assert_eq!((&told["kind"], &told["session"]), (&json!("federated"), &json!("ann")));
            assert_eq!(told["expires"], START.as_second() + 1800);
        }
        assert!(service.store.all().is_empty(), "questions are counted, not recorded");
    }
}

#[test]
fn the_answers_members_are_a_contract() {
    let service = Service::new();
    let mut told = service.valid(&usual_question(&service, Scheme::Tc3));
    assert!(told["key"].as_str().unwrap().starts_with("AKID"));
    told["key"] = json!("AKID…");
    insta::assert_snapshot!(serde_json::to_string_pretty(&told).unwrap(), @r#"
    {
      "account": "100000000001",
      "client": "0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11",
      "covers": [
        "method",
        "host",
        "path",
        "query",
        "body"
      ],
      "decision": {
        "allowed": true,
        "statement": 0,
        "why": "statement_allows"
      },
      "expires": 1700001800,
      "key": "AKID…",
      "kind": "federated",
      "role": "soe",
      "scheme": "tencent.tc3",
      "session": "ann",
      "tenant": "acme",
      "valid": true
    }
    "#);
    insta::assert_snapshot!(serde_json::to_string_pretty(&service.valid(&usual_question(&service, Scheme::Bearer))).unwrap(), @r#"
    {
      "account": "100000000001",
      "client": "0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11",
      "covers": [],
      "decision": {
        "allowed": true,
        "why": "app_role"
      },
      "expires": 1700001800,
      "key": "00000000-0000-0000-0000-000000000007",
      "kind": "access_token",
      "roles": [
        "orders.read"
      ],
      "scheme": "bearer",
      "tenant": "acme",
      "valid": true
    }
    "#);
}

#[test]
fn asking_twice_is_no_replay() {
    for scheme in Scheme::ALL {
        let service = Service::new();
        let question = usual_question(&service, scheme);
        let first = service.valid(&question);
        service.clock.advance(60_000);
        assert_eq!(service.valid(&question), first, "{scheme:?}");
    }
}

#[test]
fn a_wrong_signature() {
    for scheme in Scheme::ALL {
        let service = Service::new();
        let mut by = usual(&service.world, scheme);
        by.secret.push('x');
        if let (Scheme::Bearer, Some(token)) = (scheme, &mut by.token) {
            let other = if token.pop() == Some('A') { 'Q' } else { 'A' };
            token.push(other);
        }
        let reason = if scheme == Scheme::Bearer { "token_invalid" } else { "wrong_signature" };
        service.invalid(&question(&signed(scheme, &by, START)), reason);
    }
}

#[test]
fn a_key_that_does_not_exist() {
    for scheme in Scheme::ALL {
        let service = Service::new();
        let by = match scheme {
            Scheme::Bearer => continue,
            Scheme::Top => Credential::permanent("87654321"),
            Scheme::Acs3 | Scheme::Rpc => Credential::permanent("LTAInobody"),
            _ => Credential::permanent("AKIDnobody"),
        };
        service.invalid(&question(&signed(scheme, &by, START)), "unknown_key");
    }
}

#[test]
fn a_credential_that_has_run_out() {
    for scheme in Scheme::ALL {
        let mut service = Service::new();
        let by = usual(&service.world, scheme);
        if scheme == Scheme::Top {
            // Its keys have an end as well, after which they are none.
            for key in &mut service.world.keys {
                key.expires = Some(later(100)).filter(|_| key.kind == KeyKind::Top);
            }
        }
        service.clock.set(later(1800));
        let reason = if scheme == Scheme::Top { "unknown_key" } else { "token_expired" };
        service.invalid(&question(&signed(scheme, &by, later(1800))), reason);
    }
}

#[test]
fn a_request_from_another_time() {
    for scheme in Scheme::ALL {
        let service = Service::new();
        if scheme != Scheme::Bearer {
            let by = usual(&service.world, scheme);
            service.invalid(&question(&signed(scheme, &by, before(START, 1000))), "clock_skew");
            service.invalid(&question(&signed(scheme, &by, later(1000))), "clock_skew");
        }
    }
}

#[test]
fn a_credential_that_was_taken_back() {
    for scheme in Scheme::ALL {
        let mut service = Service::new();
        let question = usual_question(&service, scheme);
        let id = service.valid(&question)["key"].as_str().unwrap().to_owned();
        let cut = |scope| Cutoff { scope, before: START };
        let reason = if scheme == Scheme::Top { None } else { Some("token_revoked") };
        for scope in [Cut::Credential(id), Cut::Client(service.world.client.guid), Cut::Tenant("acme".into())]
        {
            service.world.cutoffs = vec![cut(scope)];
            if let Some(reason) = reason {
                service.invalid(&question, reason);
            }
        }
        service.world.cutoffs.clear();
        service.valid(&question);
        service.world.client.enabled = false;
        service.invalid(&question, reason.unwrap_or("client_disabled"));
    }
}

#[test]
fn a_credential_falls_with_its_key_and_its_grant() {
    for scheme in Scheme::ALL {
        let mut service = Service::new();
        let question = usual_question(&service, scheme);
        if scheme != Scheme::Top {
            let grants = std::mem::take(&mut service.world.client.grants);
            service.invalid(&question, "token_revoked");
            service.world.client.grants = grants;
            service.valid(&question);
        }
        for key in service.world.keys.iter_mut().filter(|key| key.client != API) {
            key.enabled = false;
        }
        service.invalid(&question, if scheme == Scheme::Top { "unknown_key" } else { "token_revoked" });
    }
}

/// With the right secret, the wrong one, and no such key: another tenant's API cannot tell them apart.
#[test]
fn a_credential_of_another_tenant_does_not_exist() {
    for scheme in Scheme::ALL {
        let service = Service::of(&["cam:soe", "ram:oss", RESOURCE], "other");
        let right = usual(&service.world, scheme);
        let (status, told) = service.ask(&question(&signed(scheme, &right, START)));
        let reason = if scheme == Scheme::Top { "unknown_key" } else { "token_invalid" };
        assert_eq!((status, told["reason"].as_str()), (200, Some(reason)), "{told}");
        if scheme == Scheme::Bearer {
            continue;
        }
        let wrong = Credential { secret: "wrong".into(), ..right.clone() };
        assert_eq!(service.ask(&question(&signed(scheme, &wrong, START))), (200, told.clone()), "{scheme:?}");
        let none = Credential { id: right.id.replace(|c: char| c.is_ascii_digit(), "3"), ..right };
        assert_eq!(service.ask(&question(&signed(scheme, &none, START))), (200, told), "{scheme:?}");
    }
}

#[test]
fn a_permanent_key_says_who_and_opens_nothing() {
    let service = Service::new();
    for (scheme, id) in [
        (Scheme::Tc3, "AKIDworld"),
        (Scheme::V1, "AKIDworld"),
        (Scheme::Soe, "AKIDworld"),
        (Scheme::Acs3, "LTAIworld"),
        (Scheme::Rpc, "LTAIworld"),
    ] {
        let mut asked = question(&signed(scheme, &Credential::permanent(id), START));
        let told = service.valid(&asked);
        assert_eq!((&told["kind"], &told["key"]), (&json!("permanent"), &json!(id)));
        assert!(told.get("decision").is_none() && told.get("expires").is_none(), "{told}");
        let (action, resource) = wanted(scheme);
        (asked["action"], asked["resource"]) = (json!(action), json!(resource));
        assert_eq!(service.valid(&asked)["decision"], json!({"allowed": false, "why": "permanent_key"}));
        // Whoever asks an API with it uses it, so that it is not taken for one that nobody needs.
        let used = service.pipeline.uses().due();
        assert!(used.iter().any(|(key, _)| key == id), "{used:?}");
    }
}

#[test]
fn a_key_of_one_vendor_signs_nothing_of_the_other() {
    let service = Service::new();
    let tencent = usual(&service.world, Scheme::Tc3);
    let alibaba = usual(&service.world, Scheme::Acs3);
    service.invalid(&question(&signed(Scheme::Acs3, &tencent, START)), "unknown_key");
    service.invalid(&question(&signed(Scheme::Tc3, &alibaba, START)), "unknown_key");
    service
        .invalid(&question(&signed(Scheme::Tc3, &Credential::permanent("LTAIworld"), START)), "unknown_key");
}

#[test]
fn a_denying_statement_wins() {
    for scheme in Scheme::ALL {
        let Some(kind) = triple_kind(scheme) else { continue };
        let service = Service::new();
        let mut policy = usual_policy(scheme);
        let mut deny = policy.statements[0].clone();
        deny.effect = Effect::Deny;
        policy.statements.push(deny);
        let by = Credential::temporary(kind, &claims(&service.world, kind, policy));
        let mut asked = question(&signed(scheme, &by, START));
        let (action, resource) = wanted(scheme);
        (asked["action"], asked["resource"]) = (json!(action), json!(resource));
        let told = service.valid(&asked);
        assert_eq!(told["decision"], json!({"allowed": false, "statement": 1, "why": "statement_denies"}));
    }
}

#[test]
fn what_no_statement_or_role_gives_is_not_allowed() {
    for scheme in Scheme::ALL {
        let service = Service::new();
        let mut asked = usual_question(&service, scheme);
        let (action, why) = match scheme {
            Scheme::Top => ("oss:DeleteObject", "permanent_key"),
            Scheme::Bearer => ("orders.write", "no_app_role"),
            Scheme::Acs3 | Scheme::Rpc => ("oss:DeleteObject", "no_statement"),
            _ => ("soe:Other", "no_statement"),
        };
        asked["action"] = json!(action);
        assert_eq!(service.valid(&asked)["decision"], json!({"allowed": false, "why": why}), "{scheme:?}");
    }
    let service = Service::new();
    let mut asked = usual_question(&service, Scheme::Acs3);
    asked["resource"] = json!("acs:oss:cn:1:bucket/hema/80050/x");
    assert_eq!(service.valid(&asked)["decision"]["allowed"], false, "8005 is not 80050");
}

#[test]
fn a_boundary_of_today_bounds_a_credential_of_yesterday() {
    let mut service = Service::new();
    let asked = usual_question(&service, Scheme::Tc3);
    service.world.client.boundary = Some(allow(Language::Cam, "cos:*", "*"));
    assert_eq!(service.valid(&asked)["decision"], json!({"allowed": false, "why": "boundary"}));
    service.world.client.boundary = None;
    Arc::make_mut(&mut service.world.plan.tenants[0]).boundary = Some(allow(Language::Cam, "cos:*", "*"));
    assert_eq!(service.valid(&asked)["decision"], json!({"allowed": false, "why": "boundary"}));
}

#[test]
fn so_does_that_of_the_endpoint_that_it_came_from() {
    let mut service = Service::new();
    let came_from = |path: &str| Claims {
        endpoint: path.into(),
        ..claims(&service.world, TripleKind::Tencent, usual_policy(Scheme::Tc3))
    };
    let [here, elsewhere] = ["/getAuthorization", "/"].map(|path| {
        let by = Credential::temporary(TripleKind::Tencent, &came_from(path));
        let mut asked = question(&signed(Scheme::Tc3, &by, START));
        (asked["action"], asked["resource"]) = (json!("soe:TransmitOralProcessWithInit"), json!("*"));
        asked
    });
    for (boundary, why) in [("soe:*", "statement_allows"), ("cos:*", "boundary")] {
        let endpoint = Arc::make_mut(&mut service.world.plan.endpoints[0]);
        assert_eq!(endpoint.path, "/getAuthorization");
        endpoint.boundary = Some(allow(Language::Cam, boundary, "*"));
        assert_eq!(service.valid(&here)["decision"]["why"], why);
        assert_eq!(service.valid(&elsewhere)["decision"]["why"], "statement_allows");
    }
    // Another tenant's at the same path is none of its business.
    let mut other = (*service.world.plan.endpoints[0]).clone();
    Arc::make_mut(&mut service.world.plan.endpoints[0]).boundary = None;
    other.tenant = "other".into();
    service.world.plan.endpoints.insert(0, Arc::new(other));
    assert_eq!(service.valid(&here)["decision"]["why"], "statement_allows");
}

#[test]
fn an_api_asks_about_its_own_audience_alone() {
    for scheme in Scheme::ALL {
        for audiences in [&[][..], &["api://other"], &["cam:cos", "ram:ecs", "api://other"]] {
            let service = Service::of(audiences, "acme");
            let (status, told) = service.ask(&usual_question(&service, scheme));
            if scheme == Scheme::Bearer && !audiences.is_empty() {
                assert_eq!((status, &told["reason"]), (200, &json!("wrong_audience")), "{told}");
            } else {
                assert_eq!((status, &told["error"]), (403, &json!("access_denied")), "{scheme:?} {told}");
                assert!(told.get("valid").is_none());
            }
        }
    }
    // Nor without naming what is wanted: who it is, is an answer too.
    let service = Service::of(&["ram:ecs", "api://other"], "acme");
    let mut asked = usual_question(&service, Scheme::Tc3);
    asked.as_object_mut().unwrap().retain(|name, _| name != "action" && name != "resource");
    assert_eq!(service.ask(&asked).0, 403);
    // Whatever it shows.
    let (status, told) = Service::of(&[], "acme").ask(&json!({"method": "GET", "path": "/"}));
    assert_eq!((status, &told["error"]), (403, &json!("access_denied")), "{told}");
    // Of services alone, it is the API of no token.
    let service = Service::of(&["cam:soe", "ram:oss"], "acme");
    let (status, told) = service.ask(&usual_question(&service, Scheme::Bearer));
    assert_eq!((status, &told["error"]), (403, &json!("access_denied")), "{told}");
    // The language counts as well as the service.
    let service = Service::of(&["ram:soe", "cam:oss"], "acme");
    assert_eq!(service.ask(&usual_question(&service, Scheme::Tc3)).0, 403);
    assert_eq!(service.ask(&usual_question(&service, Scheme::Acs3)).0, 403);
}

/// A question that may not be asked is refused whatever it shows, so that the refusal says nothing of the request.
#[test]
fn a_refused_question_says_nothing_of_what_it_shows() {
    let service = Service::of(&["cam:cos"], "acme");
    let good = usual_question(&service, Scheme::V1);
    let mut bad = good.clone();
    let by = Credential::permanent("AKIDnobody");
    bad["query"] = json!(signed(Scheme::V1, &by, START).head.query);
    assert_eq!(service.ask(&good), service.ask(&bad));
}

#[test]
fn a_weak_mode_is_told_and_can_be_switched_off() {
    let mut service = Service::new();
    let (v1, soe) = (usual_question(&service, Scheme::V1), usual_question(&service, Scheme::Soe));
    assert_eq!(service.valid(&v1)["weak"], "v1-hmacsha256");
    assert_eq!(service.valid(&soe)["weak"], "soe-hmacsha1");
    service.world.plan.refuses.v1 = true;
    service.invalid(&v1, "weak_proof_refused");
    service.invalid(&soe, "weak_proof_refused");
    service.valid(&usual_question(&service, Scheme::Tc3));
}
