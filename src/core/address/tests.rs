//! Addresses in every disguise, and what they are.

use proptest::prelude::*;

use super::*;

fn is(verdict: Verdict, addresses: &[&str]) {
    for text in addresses {
        let ip: IpAddr = text.parse().expect("an address");
        assert_eq!(judge(ip), verdict, "{text}");
    }
}

fn guarded(private: bool, allow: &[&str]) -> Policy {
    let allow = allow.iter().map(|text| Cidr::parse(text).expect("a range")).collect();
    Policy::Guarded { private, allow }
}

#[test]
fn addresses_are_judged_by_where_they_lead() {
    is(
        Verdict::Public,
        &["93.184.215.14", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2606:4700::1111"],
    );
    is(
        Verdict::Private,
        &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd12::1", "fec0::1", "198.18.0.1"],
    );
    is(Verdict::Loopback, &["127.0.0.1", "127.255.0.3", "::1"]);
    is(
        Verdict::Special,
        &[
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.2.1",
            "::",
            "ff02::1",
            "192.0.0.8",
            "2001:db8::1",
        ],
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
        assert!(guarded(true, &[]).admit_url(&url).is_err(), "{text}");
        assert_eq!(Policy::Open.admit_url(&url), Ok(()), "{text}");
    }
    for text in ["http://127.0.0.1/", "http://10.1.2.3/", "http://[::1]/", "https://crm.example/"] {
        assert_eq!(guarded(true, &[]).admit_url(&Url::parse(text).expect("a URL")), Ok(()), "{text}");
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

fn refusal(policy: &Policy, ip: &str) -> Option<String> {
    policy.admit(ip.parse().expect("an address")).err().map(|refused| refused.to_string())
}

#[test]
fn private_addresses_are_refused_where_the_sink_says_so() {
    let strict = guarded(false, &[]);
    for ip in ["10.0.0.1", "127.0.0.1", "::1", "0.0.0.0", "::ffff:192.168.1.1", "64:ff9b::a00:1", "fd00::1", "fe80::1"]
    {
        assert!(refusal(&strict, ip).is_some(), "{ip}");
    }
    for ip in ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"] {
        assert_eq!(refusal(&strict, ip), None, "{ip}");
    }
    assert_eq!(
        refusal(&strict, "10.0.0.1").as_deref(),
        Some(
            "the address `10.0.0.1` is private, which `private = false` refuses; \
             if it is meant, write `allow_cidr = [\"10.0.0.1/32\"]`"
        )
    );
    let carried = refusal(&strict, "64:ff9b::a00:1").expect("a refusal");
    assert!(carried.starts_with("the address `64:ff9b::a00:1` stands for `10.0.0.1`, which is private"), "{carried}");
}

#[test]
fn a_range_that_is_allowed_is_let_through_and_nothing_beside_it() {
    let policy = guarded(false, &["10.1.0.0/16", "169.254.169.254", "fd00:1::/32", "64:ff9b::/96"]);
    for ip in ["10.1.2.3", "::ffff:10.1.2.3", "169.254.169.254", "fd00:1::5", "64:ff9b::a00:1"] {
        assert_eq!(refusal(&policy, ip), None, "{ip}");
    }
    for ip in ["10.2.0.1", "169.254.169.253", "fd00:2::5", "2002:a00:1::"] {
        assert!(refusal(&policy, ip).is_some(), "{ip}");
    }
}

#[test]
fn a_range_is_read_as_it_is_written_or_refused_with_a_hint() {
    for (text, shown) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("192.168.1.7", "192.168.1.7/32"),
        ("fd00::/8", "fd00::/8"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ] {
        assert_eq!(Cidr::parse(text).expect("a range").to_string(), shown, "{text}");
    }
    for (text, hint) in [
        ("10.1.2.3/8", "write `10.0.0.0/8`"),
        ("10.0.0.0/33", "it is a number from 0 to 32"),
        ("10.0.0.0/+8", "it is a number from 0 to 32"),
        ("fd00::/", "it is a number from 0 to 128"),
        ("10.0.0/8", "write it as in `10.0.0.0/8`, `fd00::/8` or `192.168.1.7`"),
        ("", "write it as in `10.0.0.0/8`, `fd00::/8` or `192.168.1.7`"),
    ] {
        let complaint = Cidr::parse(text).expect_err("a complaint");
        assert_eq!(complaint.hint.as_deref(), Some(hint), "{text}");
    }
}

#[test]
fn this_machine_is_known_by_name() {
    for (text, verdict) in [
        ("http://localhost:1/", Some(Verdict::Loopback)),
        ("http://api.LOCALHOST./", Some(Verdict::Loopback)),
        ("http://0x7f.1/", Some(Verdict::Loopback)),
        ("http://notlocalhost/", None),
    ] {
        assert_eq!(judge_url(&Url::parse(text).expect("a URL")), verdict, "{text}");
    }
}
