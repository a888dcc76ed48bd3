//! Which addresses may be dialled: what kind an address is, and which kinds a policy refuses.
//!
//! It looks nothing up. Names are judged by what they resolve to, in the resolver's hook, and the connector dials what
//! that lets through, so a name can't change its address in between.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use url::{Host, Url};

use crate::core::path::Complaint;

#[cfg(test)]
mod tests;

/// What kind of place an address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Anywhere on the internet.
    Public,
    /// A network of somebody's own: RFC 1918, RFC 6598 (carrier NAT), RFC 2544 (laboratories), RFC 4193 (unique local).
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// None.
    #[default]
    Open,
    /// Link-local and cloud metadata, and more.
    Guarded {
        /// May the address be private, this machine's own, or a special one?
        private: bool,
        /// Addresses that are let through all the same.
        allow: Arc<[Cidr]>,
    },
}

/// An address that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The address.
    pub ip: IpAddr,
    /// What it stands for, where that is another address.
    pub stands_for: Option<Ipv4Addr>,
    /// What it is.
    pub verdict: Verdict,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meant = self.stands_for.map_or(self.ip, IpAddr::V4);
        match self.stands_for {
            Some(_) => write!(f, "the address `{}` stands for `{meant}`, which", self.ip)?,
            None => write!(f, "the address `{meant}`")?,
        }
        let what = describe(self.verdict);
        match self.verdict {
            Verdict::LinkLocal | Verdict::Metadata => write!(f, " is {what}, and webhooks are never sent there")?,
            _ => write!(f, " is {what}, which `private = false` refuses")?,
        }
        write!(f, "; if it is meant, write `allow_cidr = [\"{}\"]`", Cidr::host(meant))
    }
}

impl std::error::Error for Refused {}

impl Policy {
    /// Lets an address through, or says why not. One that carries another is let through when both may be dialled, or
    /// when it is allowed as it stands.
    ///
    /// # Errors
    /// The refusal.
    pub fn admit(&self, ip: IpAddr) -> Result<(), Refused> {
        let Self::Guarded { private, allow } = self else { return Ok(()) };
        let refuses = |ip: IpAddr, verdict: Verdict| {
            let refused = match verdict {
                Verdict::Public => false,
                Verdict::Private | Verdict::Loopback | Verdict::Special => !private,
                Verdict::LinkLocal | Verdict::Metadata => true,
            };
            refused && !allow.iter().any(|cidr| cidr.contains(ip))
        };
        let own = match ip {
            IpAddr::V4(ip) => judge_v4(ip),
            IpAddr::V6(ip) => judge_v6(ip),
        };
        if refuses(ip, own) {
            return Err(Refused { ip, stands_for: None, verdict: own });
        }
        let IpAddr::V6(v6) = ip else { return Ok(()) };
        let carried = embedded(v6).find(|v4| refuses((*v4).into(), judge_v4(*v4)));
        match carried.filter(|_| !allow.iter().any(|cidr| cidr.contains(ip))) {
            Some(v4) => Err(Refused { ip, stands_for: Some(v4), verdict: judge_v4(v4) }),
            None => Ok(()),
        }
    }

    /// Judges a URL whose host is an address. One whose host is a name passes: it is judged when it is resolved.
    ///
    /// # Errors
    /// The refusal.
    pub fn admit_url(&self, url: &Url) -> Result<(), Refused> {
        match url.host() {
            Some(Host::Ipv4(ip)) => self.admit(ip.into()),
            Some(Host::Ipv6(ip)) => self.admit(ip.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }

    /// True when private addresses are refused.
    pub fn is_strict(&self) -> bool {
        matches!(self, Self::Guarded { private: false, .. })
    }

    /// The policy for a proxy, which the config names itself: it may be private, and no more than that.
    #[must_use]
    pub fn for_proxy(&self) -> Self {
        match self {
            Self::Open => Self::Open,
            Self::Guarded { allow, .. } => Self::Guarded { private: true, allow: Arc::clone(allow) },
        }
    }
}

/// Addresses that share their first bits (RFC 4632, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    first: IpAddr,
    bits: u8,
}

impl Cidr {
    /// Reads `10.0.0.0/8`, `fd00::/8` or a single address. IPv4 that is written inside IPv6 (`::ffff:10.0.0.0/104`) is
    /// IPv4.
    ///
    /// # Errors
    /// What is wrong with the text, and what to type.
    pub fn parse(text: &str) -> Result<Self, Complaint> {
        let complain = |problem: String, hint: &str| Complaint { problem, hint: Some(hint.to_owned()), span: None };
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let Ok(ip) = address.parse::<IpAddr>() else {
            let problem = format!("`{text}` is not a range of addresses");
            return Err(complain(problem, "write it as in `10.0.0.0/8`, `fd00::/8` or `192.168.1.7`"));
        };
        let width = width(ip);
        let bits = match bits {
            None => Some(width),
            Some(bits) => bits.parse().ok().filter(|count| *count <= width && bits.bytes().all(|b| b.is_ascii_digit())),
        };
        let Some(bits) = bits else {
            let problem = format!("what follows the `/` of `{text}` is not a number of bits");
            return Err(complain(problem, &format!("it is a number from 0 to {width}")));
        };
        let cidr = Self { first: masked(ip, bits), bits };
        if cidr.first != ip {
            let problem = format!("`{text}` has bits behind its first {bits}");
            return Err(complain(problem, &format!("write `{cidr}`")));
        }
        Ok(cidr.canonical())
    }

    /// This address alone.
    pub fn host(ip: IpAddr) -> Self {
        Self { first: ip, bits: width(ip) }
    }

    /// Is this address one of them?
    pub fn contains(&self, ip: IpAddr) -> bool {
        width(ip) == width(self.first) && masked(ip, self.bits) == self.first
    }

    fn canonical(self) -> Self {
        match (self.first, self.bits.checked_sub(96)) {
            (IpAddr::V6(ip), Some(bits)) => match ip.to_ipv4_mapped() {
                Some(v4) => Self { first: v4.into(), bits },
                None => self,
            },
            _ => self,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// An address with all but its first bits zero.
fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Ipv4Addr::from(u32::from(ip) & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Ipv6Addr::from(u128::from(ip) & mask).into()
        }
    }
}

/// What a kind of place is called in a sentence.
pub fn describe(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Public => "public",
        Verdict::Private => "private",
        Verdict::Loopback => "this machine",
        Verdict::Special => "not one to connect to",
        Verdict::LinkLocal => "link-local",
        Verdict::Metadata => "that of a cloud's metadata service",
    }
}

/// The kind of place that a URL's host leads to, as far as it tells without being looked up: an address in whatever
/// spelling, or a name for this machine (RFC 6761, section 6.3).
pub fn judge_url(url: &Url) -> Option<Verdict> {
    match url.host()? {
        Host::Ipv4(ip) => Some(judge(ip.into())),
        Host::Ipv6(ip) => Some(judge(ip.into())),
        Host::Domain(name) => is_localhost(name).then_some(Verdict::Loopback),
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
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
    } else if ip.is_private() || (a == 100 && (64..128).contains(&b)) || (a == 198 && (18..20).contains(&b)) {
        Verdict::Private
    } else if a == 0 || a >= 224 || ip.is_documentation() || matches!(ip.octets(), [192, 0, 0, _]) {
        // "This network" (RFC 1122), multicast (RFC 5771), reserved (RFC 1112, section 4), broadcast, and what RFC 6890
        // sets aside for protocols.
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
    } else if ip.is_unspecified() || ip.is_multicast() || is_set_aside(ip) {
        Verdict::Special
    } else {
        Verdict::Public
    }
}

/// For documentation (RFC 3849, RFC 9637), and to be thrown away (RFC 6666).
fn is_set_aside(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    matches!(s, [0x2001, 0xdb8, ..] | [0x100, 0, 0, 0, ..]) || (s[0] == 0x3fff && s[1] < 0x1000)
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
