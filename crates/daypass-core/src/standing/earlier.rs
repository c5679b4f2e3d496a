//! Whether what was made for an earlier request may be handed out for this one.

use super::{Grounds, taken_back};
use crate::clock::Timestamp;
use crate::directory::Directory;
use crate::policy::Authorized;

/// Whether something that was made for an earlier request like this one was taken back since. `key` and `endpoint` are
/// that request's.
pub fn recalled(directory: &Directory, authorized: &Authorized, earlier: &Earlier<'_>) -> bool {
    let behalf = authorized.behalf();
    let origins: Vec<_> = behalf.iter().flat_map(|b| b.earlier.iter().chain([&b.origin])).copied().collect();
    let grounds = Grounds {
        id: earlier.id,
        tenant: &authorized.tenant().name,
        client: authorized.client(),
        key: earlier.key,
        endpoint: Some(earlier.endpoint),
        role: authorized.role(),
        via: authorized.via(),
        subject: authorized.subject(),
        session: authorized.session(),
        behalf: authorized.behalf().map(|behalf| behalf.client),
        actors: &[],
        origins: &origins,
        origin_keys: &[],
        issued: earlier.issued,
        expires: earlier.issued,
    };
    taken_back(directory.cutoffs(), &grounds).is_some()
}

/// What is known of a credential that was made for an earlier request.
#[derive(Clone, Copy, Debug)]
pub struct Earlier<'a> {
    /// Its id.
    pub id: &'a str,
    /// The key that was asked with.
    pub key: Option<&'a str>,
    /// The path that was asked at.
    pub endpoint: &'a str,
    /// When it was made.
    pub issued: Timestamp,
}
