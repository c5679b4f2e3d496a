//! The answer of a policy to one request.

use super::Policy;

/// One request, as a policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The action, such as `oss:PutObject`.
    pub action: &'a str,
    /// The resource, in the language's own form.
    pub resource: &'a str,
}

/// A policy's answer, with the statement that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed by this statement (its index), and no deny matches.
    Allowed(usize),
    /// Forbidden by this statement (its index).
    Denied(usize),
    /// Nothing matches: denied by default.
    NoMatch,
}

/// Decides one request. `holds` answers whether a condition is true for it.
pub fn decide(_policy: &Policy, _access: Access<'_>, _holds: &dyn Fn(&super::Condition) -> bool) -> Decision {
    Decision::NoMatch
}
