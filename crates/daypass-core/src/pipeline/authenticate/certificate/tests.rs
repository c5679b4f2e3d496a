use super::*;
use crate::client::KeyKind;
use crate::clock::Timestamp;
use crate::testing::{START, World, before, later, oauth_key};

const PRINT: &str = "HZwdnWBltntXFwF-4rxjKaBKKlUx248b75jC4YNUaq4";
const DN: &str = "CN=reports,O=Acme,C=CN";

fn peer(chained: bool) -> Peer {
    Peer {
        x5t_s256: PRINT.into(),
        chained,
        subject_dn: DN.into(),
        names: vec![
            PeerName::Dns("reports.example.com".into()),
            PeerName::Uri("spiffe://example.com/reports".into()),
            PeerName::Ip("2001:db8::1".parse().unwrap()),
            PeerName::Email("reports@example.com".into()),
        ],
        not_before: before(START, 60),
        not_after: later(60),
    }
}

/// The world, whose client is known by a certificate of this rule.
fn world(rule: CertificateRule) -> World {
    let mut world = World::new();
    let key = oauth_key(
        Uuid::from_u128(0xce),
        KeyKind::Certificate,
        world.client.guid,
        Material::Certificate(rule),
    );
    world.keys.push(key);
    world
}

fn pinned() -> CertificateRule {
    CertificateRule::Pinned { x5t_s256: PRINT.into() }
}

fn show_at(world: &World, peer: &Peer, now: Timestamp) -> Result<Proved, Refusal> {
    let directory = world.directory();
    let client = world.client.guid.to_string();
    let tenant = directory.tenant("acme").unwrap();
    certified(Context { directory: &directory, now }, &Certified { tenant, client: &client, peer })
}

fn show(world: &World, peer: &Peer) -> Result<Proved, Refusal> {
    show_at(world, peer, START)
}

#[track_caller]
fn refused(shown: Result<Proved, Refusal>) -> Refusal {
    shown.err().expect("it must be refused")
}

#[test]
fn a_certificate_that_is_known_itself_needs_no_authority() {
    for chained in [false, true] {
        let proved = show(&world(pinned()), &peer(chained)).unwrap_or_else(|refusal| panic!("{refusal}"));
        assert_eq!(proved.caller.how(), Some(How::SelfSignedTlsClientAuth));
        assert_eq!(proved.caller.key(), Some(Uuid::from_u128(0xce).to_string().as_str()));
        assert_eq!(proved.caller.confirmation(), Some(&Confirmation::Certificate(PRINT.into())));
        assert!(proved.objection.is_none());
    }
    let other = Peer { x5t_s256: PRINT.replace('H', "I"), ..peer(true) };
    let refusal = refused(show(&world(pinned()), &other));
    assert_eq!(refusal.reason, Reason::UnknownKey);
    assert!(!refusal.detail.contains(PRINT), "{refusal}");
}

#[test]
fn a_name_counts_only_with_an_authority_behind_it() {
    for rule in [
        NameRule::SubjectDn(DN.into()),
        NameRule::SanDns("reports.example.com".into()),
        NameRule::SanUri("spiffe://example.com/reports".into()),
        NameRule::SanIp("2001:0db8:0::1".into()),
        NameRule::SanEmail("reports@example.com".into()),
    ] {
        let world = world(CertificateRule::Named(rule.clone()));
        let proved = show(&world, &peer(true)).unwrap_or_else(|refusal| panic!("{rule:?}: {refusal}"));
        assert_eq!(proved.caller.how(), Some(How::TlsClientAuth));
        assert_eq!(proved.caller.confirmation(), Some(&Confirmation::Certificate(PRINT.into())));
        let refusal = refused(show(&world, &peer(false)));
        assert!(refusal.detail.contains("no authority"), "{rule:?}: {refusal}");
    }
}

#[test]
fn a_name_of_another_kind_or_spelling_is_another_name() {
    for rule in [
        NameRule::SubjectDn("CN=reports, O=Acme, C=CN".into()),
        NameRule::SubjectDn("CN=reports".into()),
        NameRule::SubjectDn(String::new()),
        NameRule::SanDns("REPORTS.example.com".into()),
        NameRule::SanDns("*.example.com".into()),
        NameRule::SanDns("spiffe://example.com/reports".into()),
        NameRule::SanUri("reports.example.com".into()),
        NameRule::SanUri("spiffe://example.com/".into()),
        NameRule::SanIp("192.0.2.1".into()),
        NameRule::SanIp("reports.example.com".into()),
        NameRule::SanEmail("reports.example.com".into()),
    ] {
        let refusal = refused(show(&world(CertificateRule::Named(rule.clone())), &peer(true)));
        assert_eq!(refusal.reason, Reason::UnknownKey, "{rule:?}");
    }
    let mut nameless = peer(true);
    nameless.subject_dn.clear();
    let empty = CertificateRule::Named(NameRule::SubjectDn(String::new()));
    refused(show(&world(empty), &nameless));
}

#[test]
fn its_dates_are_judged_by_the_clock_of_the_request() {
    let named = CertificateRule::Named(NameRule::SubjectDn(DN.into()));
    for world in [world(pinned()), world(named)] {
        for (at, live) in
            [(before(START, 61), false), (before(START, 60), true), (later(60), true), (later(61), false)]
        {
            let shown = show_at(&world, &peer(true), at);
            assert_eq!(shown.is_ok(), live, "{at}");
            if !live {
                let refusal = refused(shown);
                assert_eq!(refusal.reason, Reason::ExpiredSecret);
                assert!(refusal.detail.contains("2023-11-14T22:14:20Z"), "{refusal}");
            }
        }
    }
}

#[test]
fn a_key_counts_while_it_is_live() {
    let mut world = world(pinned());
    let change = |world: &mut World, change: fn(&mut Key)| change(world.keys.last_mut().unwrap());
    change(&mut world, |key| key.expires = Some(START));
    assert_eq!(refused(show(&world, &peer(false))).reason, Reason::ExpiredSecret);
    change(&mut world, |key| (key.expires, key.starts) = (None, Some(later(1))));
    assert_eq!(refused(show(&world, &peer(false))).reason, Reason::ExpiredSecret);
    change(&mut world, |key| (key.starts, key.enabled) = (None, false));
    assert_eq!(refused(show(&world, &peer(false))).reason, Reason::UnknownKey, "a retired one");
}

#[test]
fn of_two_keys_for_one_certificate_the_live_one_counts() {
    let mut world = world(pinned());
    let old = world.keys.last().unwrap().clone();
    world.keys.last_mut().unwrap().expires = Some(START);
    world.keys.push(Key { id: Uuid::from_u128(0xcf).to_string(), ..old });
    let proved = show(&world, &peer(false)).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(proved.caller.key(), Some(Uuid::from_u128(0xcf).to_string().as_str()));
}

#[test]
fn it_is_one_clients_certificate_and_of_no_other() {
    let mut world = world(pinned());
    world.keys.last_mut().unwrap().client = Uuid::from_u128(7);
    assert_eq!(refused(show(&world, &peer(false))).reason, Reason::UnknownKey);
    world.client.enabled = false;
    world.keys.last_mut().unwrap().client = world.client.guid;
    let proved = show(&world, &peer(false)).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(proved.objection.map(|refusal| refusal.reason), Some(Reason::ClientDisabled));
    world.client.tenant = "other".into();
    assert_eq!(refused(show(&world, &peer(false))).reason, Reason::UnknownClient, "of another tenant");
}
