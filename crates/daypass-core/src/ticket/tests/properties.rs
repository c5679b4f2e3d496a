//! What holds for every ticket, however it was changed, made up or used.

use super::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_changed_character_is_refused(
        at: prop::sample::Index, to in "[A-Za-z0-9_.=-]", sealed: bool, cut: bool,
    ) {
        let world = world();
        let right = if sealed { online(&world) } else { offline(&claims()) };
        let mut text = right.expose_str().to_owned();
        let at = at.index(text.len());
        prop_assume!(cut || &text[at..=at] != to.as_str());
        text.replace_range(at..=at, if cut { "" } else { &to });
        let refusal = show(&world, &Secret::new(text), START).err();
        prop_assert_eq!(refusal.map(|r| r.detail), Some(forged().detail));
    }

    #[test]
    fn arbitrary_text_never_panics(bytes: Vec<u8>, text: String, header: String, claims: String) {
        let world = world();
        for shown in [
            Secret::new(bytes),
            Secret::new(format!("dpt_{text}")),
            sign("secret of TKworld", &header, &claims),
            sign("secret of TKworld", &super::header(), &claims),
        ] {
            prop_assert!(show(&world, &shown, START).is_err());
        }
    }

    /// However long the rule lets a ticket carry, and whenever its page comes: never more often, never longer.
    #[test]
    fn a_chain_is_bounded_in_number_and_time(
        refreshes in 0_u32..12, refresh_for in 0_u32..2000, waits in prop::collection::vec(0_u32..400, 1..20),
    ) {
        let rule = TicketRule { refreshes, refresh_for };
        let mut world = world();
        Arc::make_mut(&mut world.plan.endpoints[0]).callers = vec![CallerRule::Ticket(rule)];
        let (entropy, mut ticket, mut uses, mut now, mut marks) =
            (SeededEntropy::new(3), online(&world), 0, START, HashSet::new());
        for wait in waits {
            let shown = show(&world, &ticket, now).ok().unwrap();
            if shown.objection.is_some() {
                break;
            }
            uses += 1;
            prop_assert!(marks.insert(mark(&shown.pass).unwrap()));
            prop_assert!(uses == 1 || now < later(refresh_for));
            let Some(following) = next(&ring(), &rule, &shown.pass, now, &entropy).unwrap() else { break };
            ticket = following;
            now = after(now, wait);
        }
        prop_assert!(uses <= refreshes + 1);
    }
}
