//! What vendors say of their limits, in all the ways they are known to say it, and in ways that nobody should.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

/// 2023-11-14T22:13:20Z
const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn headers(lines: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').expect("a header");
        let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.append(name, HeaderValue::from_str(value.trim()).expect("a value"));
    }
    headers
}

/// The wait in seconds.
fn wait(status: u16, lines: &str) -> Option<f64> {
    read(status, &headers(lines), NOW).wait.map(|wait| wait.as_secs_f64())
}

/// The time between two requests in seconds.
fn pace(lines: &str) -> Option<f64> {
    read(200, &headers(lines), NOW).pace.map(|pace| pace.every.as_secs_f64())
}

#[test]
fn a_retry_after_counts_where_it_says_that_too_much_was_asked() {
    let after = "Retry-After: 60";
    for (status, expected) in [(429, Some(60.0)), (503, Some(60.0)), (403, Some(60.0)), (200, None), (404, None)] {
        assert_eq!(wait(status, after), expected, "{status}");
    }
    let date = "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\nDate: Fri, 31 Dec 1999 23:59:00 GMT";
    assert_eq!(wait(429, date), Some(59.0), "against the answer's own date");
    assert_eq!(wait(429, "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"), None, "past");
    for absurd in ["-5", "0", "soon", ""] {
        assert_eq!(wait(429, &format!("Retry-After: {absurd}")), None, "{absurd}");
    }
    assert_eq!(wait(429, "Retry-After: 315360000"), Some(86_400.0), "ten years are a day");
}

#[test]
fn a_quota_that_is_used_up_waits_for_its_reset() {
    let cases = [
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 30", Some(30.0)),
        ("X-Rate-Limit-Remaining: 0\nX-Rate-Limit-Reset: 30", Some(30.0)),
        ("RateLimit-Remaining: 0\nRateLimit-Reset: 30", Some(30.0)),
        ("RateLimit: \"default\";r=0;t=30", Some(30.0)),
        ("RateLimit: \"a\";r=5;t=90, \"b;,\\\"\";r=0;t=30", Some(30.0)),
        ("RateLimit: \"a\";r=0;t=90\nRateLimit: \"b\";r=0;t=30", Some(90.0)),
        ("RateLimit: limit=100, remaining=0, reset=30", Some(30.0)),
        ("RateLimit: \"default\";r=0\nRateLimit-Policy: \"default\";q=100;w=60", Some(60.0)),
        ("RateLimit: \"default\";r=0", None),
        ("X-RateLimit-Remaining: 0", None),
        ("X-RateLimit-Remaining: 1\nX-RateLimit-Reset: 30", None),
        ("X-RateLimit-Remaining: -1\nX-RateLimit-Reset: 30", Some(30.0)),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1700000030", Some(30.0)),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1700000030123", Some(30.123)),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1470173023.123", None),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset-After: 0.25", Some(0.25)),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 2023-11-14T22:13:50Z", Some(30.0)),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: Tue, 14 Nov 2023 22:13:50 GMT", Some(30.0)),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 6m0s", Some(360.0)),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 20ms", Some(0.02)),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: -30", None),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: NaN", None),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: inf", None),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 315360000", Some(86_400.0)),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1e300", Some(86_400.0)),
        ("RateLimit: \"default\";r=0;t=99999999999999999999", Some(86_400.0)),
        ("RateLimit: r=0;t=30;;=,\";;", Some(30.0)),
        ("RateLimit: \"a\";r=;t=30, ;, =", None),
    ];
    for (lines, expected) in cases {
        assert_eq!(wait(200, lines), expected, "{lines}");
    }
}

#[test]
fn a_reset_of_a_vendor_whose_clock_is_wrong_is_read_against_its_own_date() {
    let lines = "Date: Tue, 14 Nov 2023 21:13:20 GMT\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1699996430";
    assert_eq!(wait(200, lines), Some(30.0));
}

#[test]
fn a_403_with_nothing_left_is_githubs_way_to_say_429() {
    let lines = "X-RateLimit-Limit: 5000\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1700000100";
    let advice = read(403, &headers(lines), NOW);
    assert!(advice.limited && advice.wait == Some(Duration::from_secs(100)));
    assert!(!read(403, &headers("X-RateLimit-Remaining: 12\nX-RateLimit-Reset: 1700000100"), NOW).limited);
    assert!(read(403, &headers("Retry-After: 60"), NOW).limited, "a secondary limit");
    assert!(!read(403, &HeaderMap::new(), NOW).limited);
}

#[test]
fn a_refusal_without_retry_after_waits_for_the_reset() {
    assert_eq!(wait(429, "X-RateLimit-Reset: 30"), Some(30.0));
    assert_eq!(wait(429, "X-RateLimit-Remaining: 7\nX-RateLimit-Reset: 30"), Some(30.0), "whatever it says is left");
    assert_eq!(wait(429, "Retry-After: 5\nX-RateLimit-Remaining: 7\nX-RateLimit-Reset: 30"), Some(5.0));
    assert_eq!(read_limited(&headers("X-RateLimit-Reset: 30"), NOW).wait, Some(Duration::from_secs(30)));
}

#[test]
fn what_is_short_is_spread_over_the_time_until_there_is_more() {
    let lines =
        |remaining: u32| format!("X-RateLimit-Limit: 100\nX-RateLimit-Remaining: {remaining}\nX-RateLimit-Reset: 60");
    assert_eq!(pace(&lines(50)), None);
    assert_eq!(pace(&lines(11)), None);
    assert_eq!(pace(&lines(9)), Some(6.0));
    assert_eq!(pace(&lines(1)), Some(30.0));
    assert_eq!(pace("RateLimit: \"d\";r=1;t=60\nRateLimit-Policy: \"d\";q=100;w=60"), Some(30.0));
    assert_eq!(pace("RateLimit-Limit: 100, 100;w=60\nRateLimit-Remaining: 1\nRateLimit-Reset: 60"), Some(30.0));
    assert_eq!(pace("X-RateLimit-Limit: 1\nX-RateLimit-Remaining: 1\nX-RateLimit-Reset: 60"), None);
}

#[test]
fn shopifys_bucket_is_not_let_run_over() {
    let said = |value: &str| read(200, &headers(&format!("X-Shopify-Shop-Api-Call-Limit: {value}")), NOW);
    assert_eq!(said("32/40"), Advice::default());
    let half = Duration::from_millis(500);
    assert_eq!(said("36/40").pace.map(|pace| pace.every), Some(half));
    assert_eq!((said("40/40").wait, said("36/40").wait), (Some(half), None));
    assert_eq!(said("80/80").wait, Some(half / 2), "a larger shop leaks faster");
    for absurd in ["", "1", "/", "40/0", "-1/40", "99999999999/1", "x/y"] {
        assert_eq!(said(absurd), Advice::default(), "{absurd}");
    }
}

#[test]
fn an_answer_says_how_long_it_stays_fresh() {
    let date = "Date: Tue, 14 Nov 2023 22:13:20 GMT";
    for (lines, seconds) in [
        ("", 0),
        ("Cache-Control: public, Max-Age=60", 60),
        ("Cache-Control: max-age=60\nAge: 45", 15),
        ("Cache-Control: max-age=60\nAge: 90", 0),
        ("Cache-Control: max-age=60, no-cache", 0),
        ("Cache-Control: no-store", 0),
        ("Cache-Control: max-age=-5", 0),
        ("Cache-Control: max-age=99999999999999999999", 0),
        ("Cache-Control: max-age=9999999999", 365 * 86_400),
        ("Expires: Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Expires: 0", 0),
        ("Cache-Control: max-age=5\nExpires: Tue, 14 Nov 2023 22:14:20 GMT", 5),
    ] {
        assert_eq!(freshness(&headers(lines), NOW), Duration::from_secs(seconds), "{lines}");
    }
    let skewed = format!("{date}\nExpires: Tue, 14 Nov 2023 22:14:20 GMT");
    assert_eq!(freshness(&headers(&skewed), Timestamp(0)), Duration::from_secs(60), "by the vendor's own clock");
}

proptest! {
    #[test]
    fn whatever_a_vendor_says_is_read_without_a_panic_and_within_a_day(
        status in 100..600_u16,
        limit in "[ -~]{0,40}", policy in "[ -~]{0,40}", reset in "[-+0-9.:eEa-zT ]{0,24}", after in "[ -~]{0,24}",
        remaining in "[-0-9,;.]{0,12}",
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("ratelimit", &limit), ("ratelimit-policy", &policy), ("x-ratelimit-reset", &reset),
            ("x-ratelimit-remaining", &remaining), ("x-ratelimit-limit", &remaining), ("retry-after", &after),
            ("ratelimit-reset-after", &after), ("x-shopify-shop-api-call-limit", &after),
        ] {
            headers.insert(name, HeaderValue::from_str(value).expect("printable"));
        }
        let advice = read(status, &headers, NOW);
        prop_assert!(advice.wait.is_none_or(|wait| !wait.is_zero() && wait <= WAIT_MAX));
        prop_assert!(advice.pace.is_none_or(|pace| pace.lasting <= WAIT_MAX && pace.every <= WAIT_MAX));
    }
}
