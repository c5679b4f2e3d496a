//! Some thousands of cases; the fuzz target runs millions.

use super::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 100..260)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_issued_policy_allows_what_a_link_denies(bytes in bytes()) {
        prop_assert_eq!(check(&bytes).err(), None);
    }
}

/// A boundary of the endpoint that is left out, or a rule that is tried and counts all the same, would be seen.
#[test]
fn a_link_that_was_forgotten_is_noticed() {
    let allow = |resource: &str| daypass_core::testing::allow(Language::Ram, "s:a", resource);
    let (role, boundary) = (allow("acs:oss:*:1:a*"), allow("acs:oss:*:1:a/1"));
    let request = |name: &str| Request {
        action: "s:a".into(),
        resource: format!("acs:oss:r:1:{name}"),
        context: Context::new(),
    };
    let links = [role.clone(), boundary.clone()];
    assert!(check_issued(&role, &links, &request("a/10")).unwrap_err().contains("what a link denies"));
    assert_eq!(check_issued(&boundary, &links, &request("a/1")), Ok(true));
    assert!(
        check_issued(&allow("acs:oss:*:1:b"), &links, &request("a/1")).unwrap_err().contains("every link")
    );
}

/// The property says nothing where nothing is allowed, denied or covered.
#[test]
fn the_property_is_not_empty() {
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let mut draw = || bytes().new_tree(&mut runner).expect("bytes").current();
    let (mut told, mut allowed, mut denied, mut covered) = (0, 0, 0, 0);
    let (mut granted, mut warned, mut silent) = (0, 0, 0);
    for _ in 0..900 {
        let seen = check(&draw()).unwrap();
        told += u32::from(seen.told);
        allowed += u32::from(seen.allowed > 0);
        denied += u32::from(seen.denied > 0);
        covered += u32::from(seen.covered);
        granted += u32::from(seen.granted);
        warned += seen.warned;
        silent += seen.silent;
    }
    assert!(
        told > 300 && allowed > 100 && denied > 100 && covered > 200,
        "{told} {allowed} {denied} {covered}"
    );
    assert!(granted > 100 && warned > 60 && silent > 60, "{granted} {warned} {silent}");
}

#[test]
fn few_bytes_are_a_case_too() {
    assert!(check(&[]).is_ok());
    for byte in 0..=u8::MAX {
        assert_eq!(check(&[byte; 200]).err(), None);
    }
}
