//! Addresses in every disguise, and what they are.

use proptest::prelude::*;

use super::*;

fn is(verdict: Verdict, addresses: &[&str]) {
    for text in addresses {
        let ip: IpAddr = text.parse().expect("an address");
        assert_eq!(judge(ip), verdict, "{text}");
    }
}

#[test]
fn addresses_are_judged_by_where_they_lead() {
    is(
        Verdict::Public,
        &["93.184.215.14", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2606:4700::1111"],
    );
    is(
        Verdict::Private,
        &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd12::1", "fec0::1"],
    );
    is(Verdict::Loopback, &["127.0.0.1", "127.255.0.3", "::1"]);
    is(
        Verdict::Special,
        &["0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "::", "ff02::1"],
    );
    is(Verdict::LinkLocal, &["169.254.1.1", "169.254.169.253", "fe80::1", "febf::1"]);
    is(
        Verdict::Metadata,
        &[
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd20:ce::254",
        ],
    );
}

#[test]
fn an_address_inside_another_is_found() {
    is(
        Verdict::Metadata,
        &[
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "2002:a9fe:a9fe::1",
            "2001:0:a9fe:a9fe::1",
            "2001:0:808:808::5601:5601",
            "fe80::5efe:169.254.169.254",
            "2001:db8::200:5efe:a9fe:a9fe",
        ],
    );
    is(Verdict::Loopback, &["::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]);
    is(Verdict::Private, &["::ffff:10.0.0.1", "2002:c0a8:101::"]);
    is(Verdict::Public, &["::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]);
}

#[test]
fn a_url_is_judged_in_whatever_way_its_address_is_written() {
    for text in [
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "https://[::ffff:a9fe:a9fe]/",
        "http://[fe80::1]:8080/",
    ] {
        let url = Url::parse(text).expect("a URL");
        assert!(Policy::NoMetadata.admit_url(&url).is_err(), "{text}");
        assert_eq!(Policy::Open.admit_url(&url), Ok(()), "{text}");
    }
    for text in ["http://127.0.0.1/", "http://10.1.2.3/", "http://[::1]/", "https://crm.example/"] {
        assert_eq!(Policy::NoMetadata.admit_url(&Url::parse(text).expect("a URL")), Ok(()), "{text}");
    }
}

proptest! {
    #[test]
    fn no_disguise_makes_an_address_better(bits in any::<u32>()) {
        let plain = Ipv4Addr::from(bits);
        let worst = judge(plain.into());
        let disguises = [
            plain.to_ipv6_mapped(),
            Ipv6Addr::from(u128::from(0x64_ff9b_u32) << 96 | u128::from(bits)),
            Ipv6Addr::from(0x2002_u128 << 112 | u128::from(bits) << 80),
            Ipv6Addr::from(0x2001_u128 << 112 | u128::from(!bits)),
        ];
        for disguise in disguises {
            prop_assert!(judge(disguise.into()) >= worst, "{plain} as {disguise}");
        }
    }
}
