//! Sizes past which a request is refused before anyone looks at what it says.
//!
//! Parsers are attacked with size, depth and count: unbounded nesting and quadratic parsing are among the most
//! frequent advisories of servers of this kind. Every limit below applies before authentication, so that a
//! stranger cannot make us work. The last one is a time that others are measured by.

/// The largest body, in bytes. Real requests of all three dialects are under 16 KiB.
pub const BODY: usize = 256 * 1024;
/// The longest query string, in bytes; Tencent documents 32 KiB for a GET.
pub const QUERY: usize = 32 * 1024;
/// The longest path, in bytes.
pub const PATH: usize = 1024;
/// The most header fields of a request.
pub const HEADERS: usize = 64;
/// The most bytes of all header names and values together.
pub const HEADER_BYTES: usize = 32 * 1024;
/// The deepest nesting of a JSON document.
pub const JSON_DEPTH: usize = 24;
/// The most parameters of one form or query.
pub const PARAMETERS: usize = 64;
/// The longest policy document, blanks not counted: Tencent's published limit.
pub const POLICY: usize = 6144;
/// The longest security token, in bytes: Tencent's published limit of `Credentials.Token`.
pub const TOKEN: usize = 4096;
/// The longest that any credential lives, in seconds: 36 hours, Tencent's longest and the highest that a configuration
/// may say. What was taken back one by one is forgotten when nothing of it can live any more.
pub const LONGEST_LIFE: u32 = 36 * 3600;
