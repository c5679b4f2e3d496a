//! Clients that a change of the configuration has left without what they were granted. Nobody but them would notice, and
//! only as they are refused; so it is said at the start, which is when a configuration comes into force.

use crate::mend;
use daypass_core::client::Client;
use daypass_core::directory::Directory;
use daypass_core::policy::idle;

/// Says which enabled clients get nothing for a role that they have a grant on, and the command that mends it.
pub(super) fn point_out(directory: &Directory) {
    let plan = directory.plan();
    let enabled = directory.clients().filter(|client| client.enabled);
    // Of a million clients few are idle, and only those are kept.
    let some = enabled.filter(|client| !idle(plan, client).is_empty());
    let mut clients: Vec<Client> = some.collect();
    clients.sort_by(|a, b| (&a.tenant, &a.name).cmp(&(&b.tenant, &b.name)));
    for client in &clients {
        for idle in idle(plan, client) {
            let (tenant, name, mend) = (&*client.tenant, &*client.name, mend::command(plan, client, &idle));
            tracing::warn!(
                tenant,
                client = name,
                role = idle.role,
                mend,
                "a client gets nothing on a grant: {}",
                idle.why
            );
        }
    }
}
