//! What is read, what is refused, and what the refusal says to type.

use super::*;
use proptest::prelude::*;

fn hint<T: fmt::Debug>(result: Result<T, Complaint>) -> String {
    result.expect_err("it is refused").hint.expect("it has a hint")
}

#[test]
fn durations_are_read() {
    for (text, millis) in [
        ("250ms", 250),
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("7d", 604_800_000),
        ("2w", 1_209_600_000),
        ("1d1h1m1s1ms", 90_061_001),
        ("0s", 0),
        ("36525d", DURATION_MAX),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
}

#[test]
fn other_spellings_of_a_duration_are_refused_with_the_right_one() {
    for (text, right) in [
        ("5 minutes", "write \"5m\""),
        ("5min", "write \"5m\""),
        ("5 m", "write \"5m\""),
        ("1.5h", "write \"1h30m\""),
        ("1 hour, 30 minutes", "write \"1h30m\""),
        ("1 hour and 30 minutes", "write \"1h30m\""),
        ("10S", "write \"10s\""),
        (" 5m", "write \"5m\""),
        ("5", "write \"5s\" for seconds or \"5m\" for minutes; the units are ms, s, m, h, d and w"),
    ] {
        assert_eq!(hint(parse_duration(text)), right, "{text}");
    }
}

#[test]
fn what_is_no_duration_is_refused() {
    let bounds = ["36526d", "99999999999999999999w", "18446744073709551615w1d"];
    for text in ["", "m", "-5m", "5x", "1y", "1mo", "5m5m", "1m1h", "٣s", "5m!", "1..5h", "+5s"].iter().chain(&bounds)
    {
        let complaint = parse_duration(text).expect_err(text);
        assert!(complaint.problem.contains(&format!("`{text}`")), "{complaint:?}");
        assert!(complaint.hint.is_some(), "{complaint:?}");
    }
}

#[test]
fn rates_are_read_and_refused() {
    for (text, count, per) in [
        ("5/s", 5, Per::Second),
        ("600/m", 600, Per::Minute),
        ("3/h", 3, Per::Hour),
        ("10000/d", 10_000, Per::Day),
        ("50000/mo", 50_000, Per::Month),
    ] {
        assert_eq!(parse_rate(text), Ok(Rate { count, per }));
        assert_eq!(Rate { count, per }.to_string(), text);
    }
    assert_eq!(hint(parse_rate("5/sec")), "write \"5/s\"");
    assert_eq!(hint(parse_rate("5 / minute")), "write \"5/m\"");
    assert_eq!(hint(parse_rate("0/s")), "write at least \"1/s\"");
    for text in ["", "5", "/s", "5/", "-1/s", "1.5/s", "5/y", "99999999999/s", "5/s/s", "+5/s"] {
        assert!(parse_rate(text).is_err(), "{text}");
    }
}

#[test]
fn sizes_are_read_and_refused() {
    for (text, bytes) in [
        ("0 B", 0),
        ("512 B", 512),
        ("32 MiB", 32 << 20),
        ("32MiB", 32 << 20),
        ("64 KiB", 65_536),
        ("1 GiB", 1 << 30),
        ("1 kB", 1000),
        ("2 MB", 2_000_000),
        ("3 GB", 3_000_000_000),
    ] {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
    assert_eq!(hint(parse_size("32 mb")), "write \"32 MiB\"");
    assert_eq!(hint(parse_size("32M")), "write \"32 MiB\"");
    for text in
        ["", "32", "MiB", "-1 B", "1.5 MiB", "1  MiB", "9007199254740993 B", "99999999999999999999 GiB", "1 TiB"]
    {
        assert!(parse_size(text).is_err(), "{text}");
    }
}

#[test]
fn shares_are_read_and_refused() {
    for (text, millionths) in [("20%", 200_000), ("0.5%", 5000), ("100%", 1_000_000), ("0%", 0), ("0.0001%", 1)] {
        let share = parse_share(text).expect(text);
        assert_eq!(share.millionths(), millionths);
        assert_eq!(share.to_string(), text);
    }
    assert_eq!(hint(parse_share("0.2")), "write \"20%\"");
    assert_eq!(hint(parse_share("20")), "write \"20%\"");
    for text in ["", "%", "-1%", "100.1%", "1.%", ".5%", "0.00001%", "20 %", "99999999999%"] {
        assert!(parse_share(text).is_err(), "{text}");
    }
}

#[test]
fn a_share_is_compared_exactly() {
    let fifth = parse_share("20%").expect("a share");
    assert!(!fifth.is_exceeded(20, 100));
    assert!(fifth.is_exceeded(21, 100));
    assert!(!fifth.is_exceeded(0, 0));
    assert!(fifth.is_exceeded(u64::MAX, u64::MAX));
}

proptest! {
    #[test]
    fn a_shown_duration_reads_back(millis in 0..=DURATION_MAX) {
        let duration = Duration::from_millis(millis);
        prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,20}|[0-9.a-z %/]{0,24}") {
        let _ = (parse_duration(&text), parse_rate(&text), parse_size(&text), parse_share(&text));
    }
}
