//! Which addresses may be dialled: what kind an address is, and which kinds a policy refuses.
//!
//! Pure; it looks nothing up. Names are judged by what they resolve to, in the resolver's hook, and the connector
//! dials what that lets through, so a name can't change its address in between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

#[cfg(test)]
mod tests;

/// What kind of place an address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Anywhere on the internet.
    Public,
    /// A network of somebody's own: RFC 1918, RFC 6598 (carrier NAT), RFC 4193 (unique local).
    Private,
    /// This machine (RFC 1122, section 3.2.1.3).
    Loopback,
    /// No address to connect to: unspecified, multicast, broadcast, reserved, documentation.
    Special,
    /// The link this machine is on (RFC 3927, RFC 4291 section 2.5.6).
    LinkLocal,
    /// The metadata service of a cloud, which hands out credentials to whoever asks.
    Metadata,
}

/// Which addresses a connection refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// None: the address was chosen by the person who wrote the config.
    #[default]
    Open,
    /// Link-local and cloud metadata.
    NoMetadata,
}

/// An address that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address `{ip}` is {}, and webhooks are never sent there", describe(*verdict))]
pub struct Refused {
    /// The address.
    pub ip: IpAddr,
    /// What it is.
    pub verdict: Verdict,
}

impl Policy {
    /// Lets an address through, or says why not.
    ///
    /// # Errors
    /// The refusal.
    pub fn admit(self, ip: IpAddr) -> Result<(), Refused> {
        let verdict = judge(ip);
        let refused = match self {
            Self::Open => false,
            Self::NoMetadata => matches!(verdict, Verdict::LinkLocal | Verdict::Metadata),
        };
        if refused { Err(Refused { ip, verdict }) } else { Ok(()) }
    }

    /// Judges a URL whose host is an address. One whose host is a name passes: it is judged when it is resolved.
    ///
    /// # Errors
    /// The refusal.
    pub fn admit_url(self, url: &Url) -> Result<(), Refused> {
        match url.host() {
            Some(Host::Ipv4(ip)) => self.admit(ip.into()),
            Some(Host::Ipv6(ip)) => self.admit(ip.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }
}

fn describe(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Public => "public",
        Verdict::Private => "private",
        Verdict::Loopback => "this machine",
        Verdict::Special => "not one to connect to",
        Verdict::LinkLocal => "link-local",
        Verdict::Metadata => "that of a cloud's metadata service",
    }
}

/// What kind of place an address leads to. An IPv6 address that carries an IPv4 one is judged by the worse of the two.
pub fn judge(ip: IpAddr) -> Verdict {
    match ip {
        IpAddr::V4(ip) => judge_v4(ip),
        IpAddr::V6(ip) => embedded(ip).map(judge_v4).fold(judge_v6(ip), Verdict::max),
    }
}

/// Metadata services at addresses that are not link-local, or are known by name: AWS, Azure, GCP and others on
/// 169.254.169.254, AWS ECS tasks, Azure's wire server, Alibaba, Oracle classic.
const METADATA_V4: [Ipv4Addr; 5] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// The same over IPv6: AWS, AWS EKS pods, GCP.
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

fn judge_v4(ip: Ipv4Addr) -> Verdict {
    let [a, b, ..] = ip.octets();
    if METADATA_V4.contains(&ip) {
        Verdict::Metadata
    } else if ip.is_link_local() {
        Verdict::LinkLocal
    } else if ip.is_loopback() {
        Verdict::Loopback
    } else if ip.is_private() || (a == 100 && (64..128).contains(&b)) {
        Verdict::Private
    } else if a == 0 || a >= 224 || ip.is_documentation() {
        // "This network" (RFC 1122), multicast (RFC 5771), reserved (RFC 1112, section 4), broadcast.
        Verdict::Special
    } else {
        Verdict::Public
    }
}

fn judge_v6(ip: Ipv6Addr) -> Verdict {
    if METADATA_V6.contains(&ip) {
        Verdict::Metadata
    } else if ip.is_unicast_link_local() {
        Verdict::LinkLocal
    } else if ip.is_loopback() {
        Verdict::Loopback
    } else if ip.is_unique_local() || ip.segments()[0] & 0xffc0 == 0xfec0 {
        // fec0::/10 is site-local, which RFC 3879 retired.
        Verdict::Private
    } else if ip.is_unspecified() || ip.is_multicast() {
        Verdict::Special
    } else {
        Verdict::Public
    }
}

/// The IPv4 addresses that an IPv6 address may be translated or tunnelled to.
fn embedded(ip: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let s = ip.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    let last = v4(s[6], s[7]);
    // Loopback and unspecified are no compatible addresses (RFC 4291, section 2.5.5.1).
    let own = matches!(s, [0, 0, 0, 0, 0, 0, 0, 0 | 1]);
    // Compatible and mapped (RFC 4291, section 2.5.5), translated (RFC 7915).
    let dual = !own && matches!(s, [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..]);
    // NAT64 (RFC 6052, section 2.1), and that of a network's own (RFC 8215), as a /96 or as a /48 (section 2.2).
    let nat64 = matches!(s, [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..]);
    let short_nat64 = matches!(s, [0x64, 0xff9b, 1, ..]);
    // ISATAP (RFC 5214, section 6.1).
    let isatap = matches!(s, [_, _, _, _, 0 | 0x200, 0x5efe, ..]);
    // 6to4 (RFC 3056).
    let six_to_four = s[0] == 0x2002;
    // Teredo (RFC 4380, section 4): its server, and its client with all bits turned.
    let teredo = matches!(s, [0x2001, 0, ..]);
    let found = [
        (dual || nat64 || isatap, last),
        (short_nat64, v4(s[3], (s[4] & 0xff) << 8 | s[5] >> 8)),
        (six_to_four, v4(s[1], s[2])),
        (teredo, v4(s[2], s[3])),
        (teredo, v4(!s[6], !s[7])),
    ];
    found.into_iter().filter_map(|(is, ip)| is.then_some(ip))
}
