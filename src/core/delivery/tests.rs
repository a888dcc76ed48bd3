//! What answers mean, and what `Retry-After` asks for.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_123);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn status(status: u16) -> Answer {
    Answer::Status { status, retry_after: None, excerpt: String::new() }
}

fn asks(status: u16, seconds: u64) -> Answer {
    Answer::Status { status, retry_after: Some(Duration::from_secs(seconds)), excerpt: String::new() }
}

fn unreachable_by(kind: FailureKind) -> Answer {
    Answer::Unreachable(Failure::new(kind, "no route"))
}

fn first(answer: &Answer) -> Verdict {
    judge(&Ladder::default(), 1, answer, NOW, 0.0)
}

#[test]
fn every_2xx_is_delivered() {
    for code in 200..300 {
        assert_eq!(first(&status(code)), Verdict::Delivered);
    }
}

#[test]
fn every_other_status_is_retried_but_410_413_and_415() {
    for code in (100..200).chain(300..600) {
        let verdict = first(&status(code));
        match code {
            410 => assert!(matches!(verdict, Verdict::SinkGone(_)), "{code}: {verdict:?}"),
            413 | 415 => assert!(matches!(verdict, Verdict::Dead(_)), "{code}: {verdict:?}"),
            _ => assert_eq!(verdict, Verdict::RetryAt(NOW.plus(Duration::from_secs(5))), "{code}"),
        }
    }
}

#[test]
fn no_answer_is_retried_and_a_refused_address_is_dead() {
    for kind in [FailureKind::Dns, FailureKind::Connect, FailureKind::Tls, FailureKind::Timeout] {
        assert_eq!(first(&unreachable_by(kind)), Verdict::RetryAt(NOW.plus(Duration::from_secs(5))));
    }
    assert!(matches!(first(&unreachable_by(FailureKind::Address)), Verdict::Dead(_)));
    let forbidden = first(&Answer::Forbidden("`169.254.169.254` is refused".to_owned()));
    assert_eq!(forbidden, Verdict::Dead("`169.254.169.254` is refused; trying again can't help".to_owned()));
}

#[test]
fn the_default_ladder_is_that_of_standard_webhooks() {
    let seconds: Vec<u64> = Ladder::default().0.iter().map(Duration::as_secs).collect();
    assert_eq!(seconds, [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]);
}

#[test]
fn a_spent_ladder_is_death() {
    let ladder = Ladder(vec![Duration::from_secs(1)]);
    assert_eq!(judge(&ladder, 1, &status(500), NOW, 0.0), Verdict::RetryAt(NOW.plus(Duration::from_secs(1))));
    assert_eq!(
        judge(&ladder, 2, &status(500), NOW, 0.0),
        Verdict::Dead("attempt 2 was the last: the receiver answered 500".to_owned())
    );
    assert!(matches!(judge(&Ladder(Vec::new()), 1, &asks(503, 9), NOW, 0.0), Verdict::Dead(_)));
}

#[test]
fn jitter_adds_a_fifth_at_most() {
    let full = judge(&Ladder::default(), 2, &status(500), NOW, 1.0);
    assert_eq!(full, Verdict::RetryAt(NOW.plus(Duration::from_secs(360))));
}

#[test]
fn any_answer_can_hold_its_sink() {
    assert_eq!(hold_sink(&asks(200, 7), NOW), Some(NOW.plus(Duration::from_secs(7))));
    assert_eq!(hold_sink(&asks(500, 1_000_000), NOW), Some(NOW.plus(DAY)));
    assert_eq!(hold_sink(&status(503), NOW), None);
    assert_eq!(hold_sink(&unreachable_by(FailureKind::Dns), NOW), None);
}

#[test]
fn retry_after_in_seconds() {
    for (value, expected) in [
        ("120", Some(120)),
        (" 120 ", Some(120)),
        ("1.2", Some(2)),
        ("86401", Some(86_400)),
        ("99999999999999999999999", Some(86_400)),
        ("0", None),
        ("-1", None),
        ("+5", None),
        ("1e3", None),
        ("5s", None),
        (".5", None),
        ("", None),
        ("soon", None),
    ] {
        assert_eq!(parse_retry_after(value, None, NOW), expected.map(Duration::from_secs), "{value}");
    }
}

#[test]
fn retry_after_as_a_date_is_read_against_the_answers_own_date() {
    let date = Some("Fri, 31 Dec 1999 23:59:00 GMT");
    for (value, expected) in [
        ("Fri, 31 Dec 1999 23:59:59 GMT", Some(59)),
        ("Friday, 31-Dec-99 23:59:59 GMT", Some(59)),
        ("Fri Dec 31 23:59:59 1999", Some(59)),
        ("Fri, 31 Dec 1999 23:59:00 GMT", None),
        ("Fri, 31 Dec 1999 22:00:00 GMT", None),
        ("Tue, 04 Jan 2000 00:00:00 GMT", Some(86_400)),
        ("Fri, 32 Dec 1999 23:59:59 GMT", None),
        ("Fri, 31 Dec 1999 23:59:59 CET", None),
    ] {
        assert_eq!(parse_retry_after(value, date, NOW), expected.map(Duration::from_secs), "{value}");
    }
}

#[test]
fn without_a_date_of_its_own_an_answer_is_read_against_now() {
    // NOW is 2023-11-14T22:13:20.123Z.
    let value = "Tue, 14 Nov 2023 22:13:30 GMT";
    let expected = Some(Duration::from_millis(9_877));
    assert_eq!(parse_retry_after(value, None, NOW), expected);
    assert_eq!(parse_retry_after(value, Some("yesterday"), NOW), expected);
}

#[test]
fn the_three_forms_of_a_date_are_one_moment() {
    let expected = Timestamp::parse("1994-11-06T08:49:37Z");
    for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
        assert_eq!(parse_http_date(text, NOW), expected, "{text}");
    }
    assert_eq!(parse_http_date("Monday, 06-Nov-73 00:00:00 GMT", NOW), Timestamp::parse("2073-11-06T00:00:00Z"));
    assert_eq!(parse_http_date("Tuesday, 06-Nov-74 00:00:00 GMT", NOW), Timestamp::parse("1974-11-06T00:00:00Z"));
    assert_eq!(parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT", NOW), Timestamp::parse("2016-12-31T23:59:59Z"));
}

proptest! {
    #[test]
    fn a_retry_is_never_earlier_than_ladder_and_receiver_ask(
        attempt in 1u32..10, code in 400u16..600, wait in prop::option::of(0u64..200_000_000), jitter in -1.0f64..2.0, now in 0i64..4_000_000_000_000
    ) {
        let retry_after = wait.map(Duration::from_millis);
        let answer = Answer::Status { status: code, retry_after, excerpt: String::new() };
        let now = Timestamp(now);
        if let Verdict::RetryAt(at) = judge(&Ladder::default(), attempt, &answer, now, jitter) {
            let rung = Ladder::default().0[attempt as usize - 1];
            let asked = retry_after.unwrap_or_default().min(DAY);
            prop_assert!(at.since(now) >= rung);
            prop_assert!(at.since(now) >= asked);
            prop_assert!(at.since(now) <= rung.mul_f64(1.2).max(asked) + Duration::from_millis(1));
        } else {
            prop_assert!([410, 413, 415].contains(&code));
        }
        prop_assert_eq!(hold_sink(&answer, now), retry_after.map(|wait| now.plus(wait.min(DAY))));
    }

    #[test]
    fn no_header_breaks_the_reader(value in "\\PC{0,40}", date in prop::option::of("\\PC{0,40}"), now in any::<i64>()) {
        let wait = parse_retry_after(&value, date.as_deref(), Timestamp(now));
        prop_assert!(wait.is_none_or(|wait| wait <= DAY && !wait.is_zero()));
    }

    #[test]
    fn a_date_that_chrono_writes_is_read_back(seconds in 0i64..253_402_300_799) {
        let moment = Timestamp(seconds * 1000);
        let text = moment.to_utc().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        prop_assert_eq!(parse_http_date(&text, NOW), Some(moment));
    }
}
