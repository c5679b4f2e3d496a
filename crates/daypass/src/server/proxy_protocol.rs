//! The PROXY protocol: what a balancer that passes TCP on says of a connection before its first byte, as a line of text
//! (version 1) or in binary (version 2). <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>
//!
//! Here is where such a header ends; what stands in it is read by a library, from exactly those bytes, so that it makes no
//! difference in which pieces they came.

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// How every header of version 1 begins (2.1).
const TEXT: &[u8] = b"PROXY ";
/// The longest header of version 1, its end of line included (2.1).
const LONGEST_TEXT: usize = 107;
/// How every header of version 2 begins (2.2). No request of HTTP and no handshake of TLS does.
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What a header of version 2 has before its addresses.
const FIXED: usize = 16;
/// The longest header of version 2 that is read, in bytes. It may name 64 kB; addresses take 216 at the most, and what balancers
/// put behind them some hundred. Attack: memory for each of many connections.
const LONGEST: usize = 4096;
/// Version 2, and a command: the connection is the balancer's own, such as a health check.
const LOCAL: u8 = 0x20;

/// How a connection begins that is the balancer's own: what health checks of ours say where a header must be.
pub(crate) const OWN: [u8; FIXED] = *b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The balancer's own, or of somebody of whom it does not say who.
    Its,
    /// Of somebody at this address.
    Of(SocketAddr),
}

/// Why a beginning is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    /// It is something else.
    #[error("it does not begin with a header of the PROXY protocol")]
    Missing,
    /// It says nothing that can be understood.
    #[error("its header of the PROXY protocol is malformed")]
    Malformed,
    /// It is longer than it may be.
    #[error("its header of the PROXY protocol is too long")]
    TooLong,
}

/// Reads the header with which these bytes begin, and how long it is; none while it is not all there.
pub(super) fn read(bytes: &[u8]) -> Result<Option<(Whose, usize)>, Flaw> {
    let Some(length) = length(bytes)? else { return Ok(None) };
    let Some(header) = bytes.get(..length) else { return Ok(None) };
    Ok(Some((whose(header)?, length)))
}

/// Whether a connection begins with a header, as far as its first bytes tell.
pub(super) fn is_one(first: &[u8]) -> bool {
    let texts = [&b"PROXY TCP4 "[..], b"PROXY TCP6 ", b"PROXY UNKNOWN"];
    first.starts_with(BINARY) || texts.iter().any(|text| first.starts_with(text))
}

/// Where the header ends; none while that cannot be said.
fn length(bytes: &[u8]) -> Result<Option<usize>, Flaw> {
    if agree(bytes, TEXT) {
        let line = bytes.get(..LONGEST_TEXT).unwrap_or(bytes);
        let end = line.windows(2).position(|two| two == b"\r\n");
        if end.is_none() && line.len() == LONGEST_TEXT {
            return Err(Flaw::TooLong);
        }
        return Ok(end.map(|end| end + 2));
    }
    if !agree(bytes, BINARY) {
        return Err(Flaw::Missing);
    }
    let Some([.., high, low]) = bytes.get(..FIXED) else { return Ok(None) };
    let length = FIXED + usize::from(u16::from_be_bytes([*high, *low]));
    if length > LONGEST { Err(Flaw::TooLong) } else { Ok(Some(length)) }
}

/// Whether the bytes can be the beginning of what begins so.
fn agree(bytes: &[u8], beginning: &[u8]) -> bool {
    bytes.iter().zip(beginning).all(|(one, other)| one == other)
}

/// Whose connection a whole header says that it is.
fn whose(header: &[u8]) -> Result<Whose, Flaw> {
    // The rest of it is to be passed over then, whatever family it names (2.2).
    if header.starts_with(BINARY) && header.get(BINARY.len()) == Some(&LOCAL) {
        return Ok(Whose::Its);
    }
    let config = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };
    let (read, length) = ProxyHeader::parse(header, config).map_err(|_| Flaw::Malformed)?;
    if length != header.len() {
        return Err(Flaw::Malformed);
    }
    match read.proxied_address() {
        Some(from) if nobodys(from.source.ip().to_canonical()) => Err(Flaw::Malformed),
        Some(from) if from.protocol == Protocol::Stream => Ok(Whose::Of(from.source)),
        // `UNKNOWN`, and families that are none of TCP's: as if there were no header (2.1, 2.2).
        _ => Ok(Whose::Its),
    }
}

/// Whether nobody comes from this address, which is canonical.
fn nobodys(ip: IpAddr) -> bool {
    ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn of(address: &str) -> Whose {
        Whose::Of(address.parse().unwrap())
    }

    /// A header of version 2.
    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [BINARY, &[command, family], &length, rest].concat()
    }

    /// The addresses of a header of version 2: 192.0.2.7:50000 to 10.0.0.1:443.
    const V4: &[u8] = &[192, 0, 2, 7, 10, 0, 0, 1, 0xc3, 0x50, 1, 0xbb];

    fn v6() -> Vec<u8> {
        let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
        [&address("2001:db8::7")[..], &address("fd00::1"), &[0xc3, 0x50, 1, 0xbb]].concat()
    }

    #[test]
    fn a_header_says_whose_a_connection_is() {
        let with_more = [V4, b"\x04\0\x03any\xea\0\0"].concat();
        for (header, expected) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 50000 443\r\n".to_vec(), of("192.0.2.7:50000")),
            (b"PROXY TCP6 2001:db8::7 fd00::1 50000 443\r\n".to_vec(), of("[2001:db8::7]:50000")),
            (b"PROXY UNKNOWN\r\n".to_vec(), Whose::Its),
            (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(), Whose::Its),
            (binary(0x21, 0x11, V4), of("192.0.2.7:50000")),
            (binary(0x21, 0x11, &with_more), of("192.0.2.7:50000")),
            (binary(0x21, 0x21, &v6()), of("[2001:db8::7]:50000")),
            (OWN.to_vec(), Whose::Its),
            (binary(0x20, 0x11, V4), Whose::Its),
            (binary(0x20, 0x11, b""), Whose::Its),
            (binary(0x20, 0xff, b"anything"), Whose::Its),
            // UDP, a socket of Unix, and nothing at all: no address of TCP's.
            (binary(0x21, 0x12, V4), Whose::Its),
            (binary(0x21, 0x31, &[b'/'; 216]), Whose::Its),
            (binary(0x21, 0x00, b""), Whose::Its),
        ] {
            let behind = [&header[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(read(&behind), Ok(Some((expected, header.len()))), "{}", header.escape_ascii());
            for end in 0..header.len() {
                assert_eq!(read(&header[..end]), Ok(None), "{end} of {}", header.escape_ascii());
            }
        }
    }

    #[test]
    fn what_is_no_header_is_named() {
        let long = format!("PROXY UNKNOWN {}\r\n", "a".repeat(LONGEST_TEXT));
        let longest = [BINARY, &[0x21, 0x11, 0xff, 0xff]].concat();
        for (bytes, flaw) in [
            (b"GET / HTTP/1.1\r\n".to_vec(), Flaw::Missing),
            (b"\x16\x03\x01".to_vec(), Flaw::Missing),
            (b"P\r".to_vec(), Flaw::Missing),
            (b"PROXYTCP4".to_vec(), Flaw::Missing),
            (b"proxy TCP4 ".to_vec(), Flaw::Missing),
            (b"\r\n\r\nGET".to_vec(), Flaw::Missing),
            (long.into_bytes(), Flaw::TooLong),
            (longest, Flaw::TooLong),
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 50000\r\n".to_vec(), Flaw::Malformed),
            (b"PROXY TCP4 192.0.2.256 10.0.0.1 50000 443\r\n".to_vec(), Flaw::Malformed),
            (b"PROXY TCP4 2001:db8::7 fd00::1 50000 443\r\n".to_vec(), Flaw::Malformed),
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 50000 443 1\r\n".to_vec(), Flaw::Malformed),
            (b"PROXY TCP4  192.0.2.7 10.0.0.1 50000 443\r\n".to_vec(), Flaw::Malformed),
            (b"PROXY UDP4 192.0.2.7 10.0.0.1 50000 443\r\n".to_vec(), Flaw::Malformed),
            (b"PROXY TCP4 0.0.0.0 10.0.0.1 50000 443\r\n".to_vec(), Flaw::Malformed),
            (b"PROXY TCP4 224.0.0.1 10.0.0.1 50000 443\r\n".to_vec(), Flaw::Malformed),
            (b"PROXY TCP4 255.255.255.255 10.0.0.1 50000 443\r\n".to_vec(), Flaw::Malformed),
            (b"PROXY TCP6 :: fd00::1 50000 443\r\n".to_vec(), Flaw::Malformed),
            (b"PROXY TCP6 ::ffff:0.0.0.0 fd00::1 50000 443\r\n".to_vec(), Flaw::Malformed),
            (b"PROXY TCP6 ::ffff:224.0.0.1 fd00::1 50000 443\r\n".to_vec(), Flaw::Malformed),
            (b"PROXY UNKNOWN\rX\r\n".to_vec(), Flaw::Malformed),
            (binary(0x21, 0x11, &V4[..11]), Flaw::Malformed),
            (binary(0x21, 0x41, V4), Flaw::Malformed),
            (binary(0x22, 0x11, V4), Flaw::Malformed),
            (binary(0x11, 0x11, V4), Flaw::Malformed),
        ] {
            assert_eq!(read(&bytes), Err(flaw), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_header_is_told_by_its_beginning_and_nothing_else_is() {
        for header in [&OWN[..], b"PROXY TCP4 1", b"PROXY TCP6 ::1", b"PROXY UNKNOWN\r\n"] {
            assert!(is_one(header), "{}", header.escape_ascii());
        }
        for other in
            [&b""[..], b"PROXY / HTTP/1.1\r\n", b"\r\n\r\nGET / HTTP/1.1", b"\x16\x03\x01", b"PRI * HTTP/2.0"]
        {
            assert!(!is_one(other), "{}", other.escape_ascii());
        }
    }

    /// Bytes that are often nearly a header.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let text = "(PROXY (TCP4|TCP6|UNKNOWN|UDP4)?( ?[0-9a-f.: ]{0,40}){0,4}(\r\n|\r|\n)?.{0,20}){1,2}";
        let fixed = (any::<u8>(), any::<u8>(), 0..300_u16, vec(any::<u8>(), 0..320));
        let fixed = fixed.prop_map(|(command, family, length, rest)| {
            let command = if command < 200 { 0x20 | (command & 1) } else { command };
            let family =
                if family < 200 { [0x11, 0x21, 0x31, 0x00][usize::from(family & 3)] } else { family };
            [BINARY, &[command, family], &length.to_be_bytes(), &rest].concat()
        });
        prop_oneof![vec(any::<u8>(), 0..200), text.prop_map(String::into_bytes), fixed]
    }

    proptest! {
        /// In whatever pieces it comes, the same is read, nothing of what stands behind it is looked at, and what was once seen
        /// to be none does not become one.
        #[test]
        fn the_pieces_make_no_difference(bytes in bytes()) {
            let whole = read(&bytes);
            for end in 0..bytes.len() {
                match read(&bytes[..end]) {
                    Ok(None) => {}
                    Ok(Some((whose, length))) => {
                        prop_assert!(length <= end && length <= LONGEST);
                        prop_assert_eq!(&whole, &Ok(Some((whose, length))));
                    }
                    Err(flaw) => prop_assert_eq!(&whole, &Err(flaw)),
                }
            }
        }

        #[test]
        fn every_address_comes_through(source: SocketAddr, binary_form: bool, behind in vec(any::<u8>(), 0..64)) {
            prop_assume!(!nobodys(source.ip().to_canonical()));
            let source = SocketAddr::new(source.ip(), source.port());
            let family = if source.is_ipv4() { ("TCP4", 0x11) } else { ("TCP6", 0x21) };
            let header = if binary_form {
                let mut addresses = match source.ip() {
                    std::net::IpAddr::V4(ip) => ip.octets().repeat(2),
                    std::net::IpAddr::V6(ip) => ip.octets().repeat(2),
                };
                addresses.extend(source.port().to_be_bytes());
                addresses.extend([0, 0]);
                binary(0x21, family.1, &addresses)
            } else {
                format!("PROXY {} {ip} {ip} {} 443\r\n", family.0, source.port(), ip = source.ip()).into_bytes()
            };
            let bytes = [&header[..], &behind].concat();
            prop_assert_eq!(read(&bytes), Ok(Some((Whose::Of(source), header.len()))));
        }
    }
}
