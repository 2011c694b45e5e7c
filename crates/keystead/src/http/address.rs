//! Which addresses may be dialled: what an IP address is, whatever form it is written in.
//!
//! The tables follow the IANA special-purpose address registries (RFC 6890 and its updates).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AddressKind {
    /// On the public Internet.
    Global,
    /// This machine.
    Loopback,
    /// Private networks: RFC 1918, shared space (RFC 6598), benchmarking networks (RFC 2544) and
    /// unique local addresses (RFC 4193).
    Private,
    /// This link only. Clouds serve metadata, credentials among them, from here.
    LinkLocal,
    /// A cloud's metadata service outside the link-local range.
    CloudMetadata,
    /// Nothing that could serve a document: unspecified, multicast, documentation, reserved.
    Reserved,
}

impl AddressKind {
    /// What `address` is, after [`unwrapped`].
    pub(crate) fn of(address: IpAddr) -> Self {
        match unwrapped(address) {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => match isatap(v6).map_or(Self::Global, Self::of_v4) {
                // Neither the prefix nor the IPv4 address inside may be out of bounds: which of
                // the two decides where a packet goes depends on the machine.
                Self::Global => Self::of_v6(v6),
                inner => inner,
            },
        }
    }

    /// Whether plain http to this address stays off the public Internet.
    pub(crate) const fn is_near(self) -> bool {
        matches!(self, Self::Loopback | Self::Private | Self::LinkLocal)
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        first_match(V4, |(base, length, _)| {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            address.to_bits() & mask == base.to_bits()
        })
        .map_or(Self::Global, |(_, _, kind)| *kind)
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        first_match(V6, |(base, length, _)| in_v6(address, *base, *length))
            .map_or(Self::Reserved, |(_, _, kind)| *kind)
    }
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "a public address",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address",
            Self::CloudMetadata => "a cloud metadata address",
            Self::Reserved => "a reserved address",
        })
    }
}

/// The IPv4 address that an IPv6 address stands for, where it stands for one: v4-mapped and
/// v4-compatible (RFC 4291), translated (RFC 7915), NAT64 (RFC 6052 and RFC 8215), 6to4 (RFC 3056)
/// and Teredo (RFC 4380). Any other address is returned as it is.
pub(crate) fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    embedded_v4(v6).map_or(address, IpAddr::V4)
}

fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if address.is_loopback() || address.is_unspecified() {
        return None;
    }
    let bits = address.to_bits();
    if LAST_32_BITS.iter().any(|prefix| in_v6(address, *prefix, 96)) {
        Some(low_v4(bits))
    } else if in_v6(address, SIX_TO_FOUR, 16) {
        Some(low_v4(bits >> 80))
    } else if in_v6(address, TEREDO, 32) {
        // The client's address, with every bit inverted.
        Some(low_v4(!bits))
    } else {
        None
    }
}

/// The IPv4 address in an ISATAP interface identifier (RFC 5214 section 6.1).
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let identifier = (address.to_bits() >> 32) & 0xffff_ffff;
    matches!(identifier, 0x0000_5efe | 0x0200_5efe).then(|| low_v4(address.to_bits()))
}

fn low_v4(bits: u128) -> Ipv4Addr {
    let [.., a, b, c, d] = bits.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

fn in_v6(address: Ipv6Addr, base: Ipv6Addr, length: u32) -> bool {
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    address.to_bits() & mask == base.to_bits()
}

fn first_match<T>(table: &[T], matches: impl Fn(&T) -> bool) -> Option<&T> {
    table.iter().find(|entry| matches(entry))
}

/// Prefixes of 96 bits in front of an IPv4 address. Of the local NAT64 prefix `64:ff9b:1::/48` only
/// the form with the address at the end is unwrapped: where else a translator looks inside that
/// prefix cannot be known here, so every other address in it is out of bounds (it is not in [`V6`]).
const LAST_32_BITS: [Ipv6Addr; 5] = [
    Ipv6Addr::UNSPECIFIED,
    Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0),
    Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0),
    Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0),
    Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0),
];
const SIX_TO_FOUR: Ipv6Addr = v6(0x2002, 0);
const TEREDO: Ipv6Addr = v6(0x2001, 0);

const fn v6(first: u16, second: u16) -> Ipv6Addr {
    Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0)
}

const fn v4(a: u8, b: u8, c: u8, d: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

/// First match wins; what is not here is global.
const V4: &[(Ipv4Addr, u32, AddressKind)] = &[
    (v4(100, 100, 100, 200), 32, AddressKind::CloudMetadata), // Alibaba Cloud
    (v4(168, 63, 129, 16), 32, AddressKind::CloudMetadata),   // Azure's wire server
    (v4(192, 0, 0, 192), 32, AddressKind::CloudMetadata),     // Oracle Cloud Classic
    (v4(0, 0, 0, 0), 8, AddressKind::Reserved),
    (v4(10, 0, 0, 0), 8, AddressKind::Private),
    (v4(100, 64, 0, 0), 10, AddressKind::Private),
    (v4(127, 0, 0, 0), 8, AddressKind::Loopback),
    (v4(169, 254, 0, 0), 16, AddressKind::LinkLocal),
    (v4(172, 16, 0, 0), 12, AddressKind::Private),
    (v4(192, 0, 0, 0), 24, AddressKind::Reserved),
    (v4(192, 0, 2, 0), 24, AddressKind::Reserved),
    (v4(192, 88, 99, 0), 24, AddressKind::Reserved),
    (v4(192, 168, 0, 0), 16, AddressKind::Private),
    (v4(198, 18, 0, 0), 15, AddressKind::Private),
    (v4(198, 51, 100, 0), 24, AddressKind::Reserved),
    (v4(203, 0, 113, 0), 24, AddressKind::Reserved),
    (v4(224, 0, 0, 0), 3, AddressKind::Reserved), // multicast, class E, broadcast
];

/// First match wins; what is not here is reserved: of all IPv6 only `2000::/3` is handed out.
const V6: &[(Ipv6Addr, u32, AddressKind)] = &[
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23), 128, AddressKind::CloudMetadata), // EKS
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128, AddressKind::CloudMetadata), // EC2
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128, AddressKind::CloudMetadata), // Scaleway
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128, AddressKind::CloudMetadata), // GCE
    (Ipv6Addr::LOCALHOST, 128, AddressKind::Loopback),
    (v6(0xfc00, 0), 7, AddressKind::Private),
    (v6(0xfec0, 0), 10, AddressKind::Private), // site-local, deprecated by RFC 3879 but routed
    (v6(0xfe80, 0), 10, AddressKind::LinkLocal),
    (v6(0x2001, 0), 23, AddressKind::Reserved), // protocol assignments: ORCHID, benchmarking, ...
    (v6(0x2001, 0xdb8), 32, AddressKind::Reserved), // documentation
    (v6(0x3fff, 0), 20, AddressKind::Reserved), // documentation
    (v6(0x2000, 0), 3, AddressKind::Global),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(address: &str) -> AddressKind {
        AddressKind::of(address.parse().unwrap())
    }

    #[test]
    fn every_special_range_has_its_kind_up_to_its_edges() {
        for (wanted, addresses) in [
            (
                AddressKind::Global,
                "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 \
                 128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 \
                 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 203.0.114.0 \
                 223.255.255.255 2001:200::1 2606:4700::1111 2a00::1",
            ),
            (AddressKind::Loopback, "127.0.0.1 127.255.255.255 ::1"),
            (
                AddressKind::Private,
                "10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 172.16.0.0 172.31.255.255 \
                 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 fc00:: fdff:ffff::1 fec0::1",
            ),
            (
                AddressKind::LinkLocal,
                "169.254.0.0 169.254.169.254 169.254.170.2 169.254.170.23 169.254.255.255 \
                 fe80::1 febf::1",
            ),
            (
                AddressKind::CloudMetadata,
                "100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254 fd00:ec2::23 \
                 fd20:ce::254 fd00:42::42",
            ),
            (
                AddressKind::Reserved,
                "0.0.0.0 0.255.255.255 192.0.0.1 192.0.2.1 192.88.99.1 198.51.100.1 203.0.113.1 \
                 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: 100::1 2001:2::1 \
                 2001:10::1 2001:20::1 2001:db8::1 3fff::1 5f00::1 ff02::1 4000::1 fe00::1 \
                 64:ff9b:1:1::1",
            ),
        ] {
            for address in addresses.split_whitespace() {
                assert_eq!(kind(address), wanted, "{address}");
            }
        }
    }

    /// T23
    #[test]
    fn an_address_in_disguise_is_judged_by_what_it_stands_for() {
        for (form, inner) in [
            ("::ffff:169.254.169.254", "169.254.169.254"),
            ("::169.254.169.254", "169.254.169.254"),
            ("::ffff:0:a9fe:a9fe", "169.254.169.254"),
            ("64:ff9b::a9fe:a9fe", "169.254.169.254"),
            ("64:ff9b:1::a9fe:a9fe", "169.254.169.254"),
            ("2002:a9fe:a9fe::1", "169.254.169.254"),
            ("2001:0:1:2:3:4:5601:5601", "169.254.169.254"),
            ("::ffff:10.0.0.5", "10.0.0.5"),
            ("64:ff9b::8.8.8.8", "8.8.8.8"),
        ] {
            let form: IpAddr = form.parse().unwrap();
            assert_eq!(unwrapped(form), inner.parse::<IpAddr>().unwrap(), "{form}");
            assert_eq!(AddressKind::of(form), kind(inner), "{form}");
        }
    }

    #[test]
    fn isatap_needs_both_its_prefix_and_its_inner_address_to_be_global() {
        assert_eq!(kind("2a00::5efe:8.8.8.8"), AddressKind::Global);
        assert_eq!(kind("2a00::200:5efe:10.0.0.5"), AddressKind::Private);
        assert_eq!(kind("fd00::5efe:8.8.8.8"), AddressKind::Private);
    }

    proptest! {
        #[test]
        fn any_address_has_a_kind_and_is_unwrapped_once(bits: u128, v4_bits: u32, form in 0_u8..6) {
            let low = u128::from(v4_bits);
            let address = match form {
                0 => bits,
                1 => 0xffff_0000_0000 | low,
                2 => (0x64_ff9b_u128 << 96) | low,
                3 => (0x2002_u128 << 112) | (low << 80) | (bits >> 48),
                4 => (0x2001_u128 << 112) | (bits >> 32),
                _ => low,
            };
            let address = IpAddr::V6(Ipv6Addr::from_bits(address));
            let once = unwrapped(address);
            prop_assert_eq!(unwrapped(once), once);
            prop_assert_eq!(AddressKind::of(once), AddressKind::of(address));
        }

        #[test]
        fn a_mapped_address_is_what_it_maps(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(
                AddressKind::of(IpAddr::V6(address.to_ipv6_mapped())),
                AddressKind::of(IpAddr::V4(address))
            );
        }
    }
}
