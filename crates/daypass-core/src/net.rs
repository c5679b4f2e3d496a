//! A network in CIDR form.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network such as `10.0.0.0/8` or `fd00::/8`; a bare address is the network of that one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNet {
    address: IpAddr,
    prefix: u32,
}

/// The networks that the Internet does not route (RFC 1122, 1918, 3927, 6598, 4193, 4291).
const PRIVATE: [(IpAddr, u32); 9] = [
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadNet {
    /// Not an address with an optional prefix length.
    Syntax,
    /// Bits beyond the prefix are set. Which network was meant is a guess, so it is only offered.
    HostBits(IpNet),
}

impl IpNet {
    /// Whether an address belongs to it. An IPv4 address that came in IPv6 clothes counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(one)) => {
                masked(u128::from(net.to_bits()), 32, self.prefix)
                    == masked(u128::from(one.to_bits()), 32, self.prefix)
            }
            (IpAddr::V6(net), IpAddr::V6(one)) => {
                masked(net.to_bits(), 128, self.prefix) == masked(one.to_bits(), 128, self.prefix)
            }
            _ => false,
        }
    }

    /// Whether every address of it is one that the Internet does not route: loopback, private, link-local, or shared
    /// between a provider and its customers.
    pub fn is_private(&self) -> bool {
        PRIVATE.iter().any(|(address, prefix)| {
            *prefix <= self.prefix && Self { address: *address, prefix: *prefix }.contains(self.address)
        })
    }

    /// Whether an address belongs to both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// Whether it is all of IPv4 or of IPv6.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    fn network(self) -> Self {
        let address = match self.address {
            IpAddr::V4(a) => {
                let bits = masked(u128::from(a.to_bits()), 32, self.prefix);
                IpAddr::V4(u32::try_from(bits).unwrap_or_default().into())
            }
            IpAddr::V6(a) => IpAddr::V6(masked(a.to_bits(), 128, self.prefix).into()),
        };
        Self { address, ..self }
    }
}

/// The first `prefix` of `width` bits; the others become zero.
fn masked(bits: u128, width: u32, prefix: u32) -> u128 {
    let host = width.saturating_sub(prefix);
    bits.checked_shr(host).and_then(|bits| bits.checked_shl(host)).unwrap_or(0)
}

impl From<IpAddr> for IpNet {
    /// The network of this one address. An IPv4 address that came in IPv6 clothes counts as what it is.
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl FromStr for IpNet {
    type Err = BadNet;

    fn from_str(text: &str) -> Result<Self, BadNet> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| BadNet::Syntax)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() <= 3 => {
                digits.parse().ok().filter(|prefix| *prefix <= width).ok_or(BadNet::Syntax)?
            }
            Some(_) => return Err(BadNet::Syntax),
        };
        let net = Self { address, prefix };
        if net.network() == net { Ok(net) } else { Err(BadNet::HostBits(net.network())) }
    }
}

impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contains(net: &str, address: &str) -> bool {
        net.parse::<IpNet>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn an_address_is_in_its_network_and_not_in_another() {
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(contains("0.0.0.0/0", "203.0.113.9") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("fd00::/8", "fdff::1") && !contains("fd00::/8", "fe00::1"));
        assert!(contains("::/0", "2001:db8::1"));
        assert!(contains("192.0.2.7", "192.0.2.7") && !contains("192.0.2.7", "192.0.2.8"));
        assert!(contains("::1", "::1") && !contains("::1", "::2"));
    }

    #[test]
    fn one_address_is_a_network_of_its_own() {
        for (address, network) in
            [("192.0.2.7", "192.0.2.7/32"), ("::ffff:192.0.2.7", "192.0.2.7/32"), ("fd00::1", "fd00::1/128")]
        {
            assert_eq!(IpNet::from(address.parse::<IpAddr>().unwrap()), network.parse().unwrap());
        }
    }

    #[test]
    fn of_two_networks_that_meet_one_holds_the_other() {
        let overlap = |one: &str, other: &str| {
            let (one, other): (IpNet, IpNet) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(one.overlaps(&other), other.overlaps(&one));
            one.overlaps(&other)
        };
        for (one, other) in [("10.0.0.0/8", "10.1.0.0/16"), ("::1", "::/0"), ("127.0.0.1", "127.0.0.1")] {
            assert!(overlap(one, other), "{one} {other}");
        }
        for (one, other) in [("10.0.0.0/16", "10.1.0.0/16"), ("::/0", "0.0.0.0/0"), ("::1", "::2")] {
            assert!(!overlap(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_private_network_holds_no_address_of_the_internet() {
        for private in [
            "127.0.0.1",
            "127.0.0.0/8",
            "10.1.0.0/16",
            "172.31.0.0/16",
            "192.168.1.0/24",
            "100.127.0.0/16",
            "::1",
            "fd00::/8",
            "fe80::/64",
        ] {
            assert!(private.parse::<IpNet>().unwrap().is_private(), "{private}");
        }
        for public in [
            "0.0.0.0/0",
            "10.0.0.0/7",
            "172.0.0.0/8",
            "172.32.0.0/16",
            "100.0.0.0/8",
            "8.8.8.8",
            "::/0",
            "2001:db8::/32",
        ] {
            assert!(!public.parse::<IpNet>().unwrap().is_private(), "{public}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in
            ["", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/8/8", "::/129", "10.0.0/8", "a/8"]
        {
            assert_eq!(bad.parse::<IpNet>(), Err(BadNet::Syntax), "{bad}");
        }
        let meant = "10.0.0.0/8".parse().unwrap();
        assert_eq!("10.1.2.3/8".parse::<IpNet>(), Err(BadNet::HostBits(meant)));
    }

    proptest! {
        #[test]
        fn a_network_holds_its_own_addresses_and_survives_being_written(bits: u32, prefix in 0_u32..=32, low: u32) {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            let net: IpNet = format!("{}/{prefix}", std::net::Ipv4Addr::from(bits & mask)).parse().unwrap();
            prop_assert_eq!(net.to_string().parse(), Ok(net));
            let inside = std::net::Ipv4Addr::from((bits & mask) | (low & !mask));
            prop_assert!(net.contains(inside.into()));
            if prefix > 0 {
                let outside = std::net::Ipv4Addr::from(bits ^ (1 << (32 - prefix)));
                prop_assert!(!net.contains(outside.into()));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9a-f.:/]{0,24}") {
            if let Ok(net) = text.parse::<IpNet>() {
                prop_assert_eq!(net.to_string().parse(), Ok(net));
            }
        }
    }
}
