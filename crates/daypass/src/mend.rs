//! The command that mends a grant which gives nothing any more.

use daypass_core::client::Client;
use daypass_core::directory::Plan;
use daypass_core::policy::{Idle, Why};

/// The command, to be completed with the values that are meant.
pub(crate) fn command(plan: &Plan, client: &Client, idle: &Idle<'_>) -> String {
    let mut words = vec!["daypass client".to_owned()];
    let gone = idle.why == Why::Gone;
    words.push(if gone { "ungrant" } else { "grant" }.to_owned());
    words.push(named(plan, client));
    words.extend(idle.together.iter().map(|role| format!("--role {role}")));
    words.extend(idle.variables.iter().map(|name| format!("--bind {name}=VALUE[,VALUE…]")));
    if gone && client.default_role.as_deref() == Some(idle.role) {
        words.push("--no-default".to_owned());
    }
    words.join(" ")
}

/// The client as a command names it: with its tenant, where there are several.
pub(crate) fn named(plan: &Plan, client: &Client) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let plain =
        client.name.starts_with(|c: char| c.is_ascii_alphanumeric()) && client.name.chars().all(plain);
    // A name may hold anything, and this is pasted into a shell.
    let mut words = if plain { client.name.clone() } else { client.guid.to_string() };
    if plan.tenants.len() > 1 {
        words.push_str(" --tenant ");
        words.push_str(&client.tenant);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::policy::idle;
    use daypass_core::testing::World;

    fn commands(world: &World) -> Vec<String> {
        let all = idle(&world.plan, &world.client);
        all.iter().map(|idle| command(&world.plan, &world.client, idle)).collect()
    }

    #[test]
    fn it_names_what_must_be_said() {
        let mut world = World::new();
        world.client.grants[1].bind.clear();
        world.plan.roles.retain(|role| role.name != "soe");
        assert_eq!(
            commands(&world),
            [
                "daypass client ungrant app --tenant acme --role soe --no-default",
                "daypass client grant app --tenant acme --role store-upload --bind poi_id=VALUE[,VALUE…] --bind \
                 tenant_code=VALUE[,VALUE…]",
            ]
        );
        world.plan.tenants.truncate(1);
        world.client.default_role = None;
        assert_eq!(commands(&world)[0], "daypass client ungrant app --role soe");
        for name in ["a b", "a;b", "-a", "$(a)"] {
            world.client.name = name.into();
            let guid = world.client.guid;
            assert_eq!(commands(&world)[0], format!("daypass client ungrant {guid} --role soe"));
        }
    }
}
