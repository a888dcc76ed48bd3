//! Schedules against dates worked out by hand, against a second implementation, and against their own promises.

use super::fields::Fields;
use super::*;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Offset, TimeZone, Timelike};
use chrono_tz::Tz;
use croner::parser::CronParser;
use proptest::prelude::*;

fn cron(text: &str, zone: &str) -> Schedule {
    let zone: Tz = zone.parse().expect("a zone");
    Schedule::Cron(Cron::parse(text, zone).unwrap_or_else(|complaint| panic!("{text}: {complaint:?}")))
}

fn at(date: &str) -> Timestamp {
    Timestamp::parse(date).unwrap_or_else(|| panic!("{date} is a date"))
}

/// The next firings after `after`, as the clock on the wall of `zone` shows them.
fn firings(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = cron(text, zone);
    let zone: Tz = zone.parse().expect("a zone");
    let mut from = at(after);
    let show = |at: Timestamp| zone.from_utc_datetime(&at.to_utc().naive_utc()).format("%m-%d %H:%M%:z").to_string();
    (0..count)
        .map(|_| {
            from = schedule.next(from, 0).expect("it fires again");
            show(from)
        })
        .collect()
}

#[test]
fn a_cron_fires_when_crontab_says() {
    // 2026-11-01 is a Sunday.
    let after = "2026-11-01T00:00:00Z";
    for (text, expected) in [
        ("* * * * *", "11-01 00:01 11-01 00:02"),
        ("*/20 * * * *", "11-01 00:20 11-01 00:40"),
        ("5,50 3 * * *", "11-01 03:05 11-01 03:50"),
        ("0 0 * * 0", "11-08 00:00 11-15 00:00"),
        ("0 0 * * 7", "11-08 00:00 11-15 00:00"),
        ("0 0 * * 1", "11-02 00:00 11-09 00:00"),
        ("0 0 * * sun", "11-08 00:00 11-15 00:00"),
        ("0 0 * * 5-7", "11-06 00:00 11-07 00:00 11-08 00:00 11-13 00:00"),
        ("0 0 * * FRI-SUN", "11-06 00:00 11-07 00:00 11-08 00:00 11-13 00:00"),
        ("0 0 * * sat-mon", "11-02 00:00 11-07 00:00 11-08 00:00 11-09 00:00"),
        ("0 0 * * 7-2", "11-02 00:00 11-03 00:00 11-08 00:00"),
        ("0 22-2/2 * * *", "11-01 02:00 11-01 22:00 11-02 00:00"),
        ("0 0 28-2 * *", "11-02 00:00 11-28 00:00"),
        ("0 9 * nov-jan mon-fri", "11-02 09:00 11-03 09:00"),
        // Either day when both are restricted, both when one begins with a star.
        ("0 0 13 * 5", "11-06 00:00 11-13 00:00 11-20 00:00"),
        ("0 0 1-31 * 1", "11-02 00:00 11-03 00:00"),
        ("0 0 */2 * 1", "11-09 00:00 11-23 00:00"),
        ("0 0 30 2 1", "02-01 00:00 02-08 00:00"),
        ("0 0 29 2 *", "02-29 00:00 02-29 00:00"),
        ("@hourly", "11-01 01:00 11-01 02:00"),
        ("@Daily", "11-02 00:00 11-03 00:00"),
        ("@weekly", "11-08 00:00 11-15 00:00"),
        ("@monthly", "12-01 00:00 01-01 00:00"),
        ("@yearly", "01-01 00:00 01-01 00:00"),
    ] {
        let expected: Vec<&str> = expected.split(' ').collect();
        let expected: Vec<String> = expected.chunks(2).map(|pair| format!("{} {}+00:00", pair[0], pair[1])).collect();
        assert_eq!(firings(text, "UTC", after, expected.len()), expected, "{text}");
    }
}

#[test]
fn a_sixth_field_in_front_is_the_second() {
    let schedule = cron("*/10 59 23 * * 1", "UTC");
    let first = schedule.next(at("2026-11-01T00:00:00Z"), 0).expect("it fires");
    assert_eq!(first, at("2026-11-02T23:59:00Z"));
    assert_eq!(schedule.next(first, 0), Some(at("2026-11-02T23:59:10Z")));
    assert_eq!(schedule.next(Timestamp(first.0 - 1), 0), Some(first));
    assert_eq!(schedule.next(Timestamp(first.0 + 1), 0), Some(at("2026-11-02T23:59:10Z")));
}

#[test]
fn fixed_hours_run_once_in_an_overlap() {
    // New York, 2026-11-01: 01:00 to 02:00 happens twice.
    let new_york = "America/New_York";
    assert_eq!(firings("30 1 * * *", new_york, "2026-11-01T04:00:00Z", 2), ["11-01 01:30-04:00", "11-02 01:30-05:00"]);
    // Asked in the second pass: not in the past.
    assert_eq!(firings("30 1 * * *", new_york, "2026-11-01T06:10:00Z", 1), ["11-02 01:30-05:00"]);
}

#[test]
fn fixed_hours_run_right_after_a_gap() {
    // New York, 2026-03-08: 02:00 to 03:00 does not happen.
    let new_york = "America/New_York";
    assert_eq!(firings("30 2 * * *", new_york, "2026-03-08T05:00:00Z", 2), ["03-08 03:00-04:00", "03-09 02:30-04:00"]);
    assert_eq!(
        firings("15,45 2 * * *", new_york, "2026-03-08T05:00:00Z", 2),
        ["03-08 03:00-04:00", "03-09 02:15-04:00"]
    );
    // Santiago 2026-09-06 and Cairo 2026-04-24 have no midnight.
    assert_eq!(
        firings("0 0 * * *", "America/Santiago", "2026-09-05T05:00:00Z", 2),
        ["09-06 01:00-03:00", "09-07 00:00-03:00"]
    );
    assert_eq!(
        firings("0 0 * * *", "Africa/Cairo", "2026-04-23T00:00:00Z", 2),
        ["04-24 01:00+03:00", "04-25 00:00+03:00"]
    );
    // Lord Howe moves by half an hour.
    assert_eq!(
        firings("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T14:00:00Z", 2),
        ["10-04 02:30+11:00", "10-05 02:15+11:00"]
    );
    // Samoa left out the whole 30th of December 2011.
    assert_eq!(
        firings("0 12 * * *", "Pacific/Apia", "2011-12-30T00:00:00Z", 2),
        ["12-31 00:00+14:00", "12-31 12:00+14:00"]
    );
}

#[test]
fn every_hour_follows_real_time() {
    let new_york = "America/New_York";
    assert_eq!(
        firings("*/20 * * * *", new_york, "2026-11-01T04:45:00Z", 8),
        [
            "11-01 01:00-04:00",
            "11-01 01:20-04:00",
            "11-01 01:40-04:00",
            "11-01 01:00-05:00",
            "11-01 01:20-05:00",
            "11-01 01:40-05:00",
            "11-01 02:00-05:00",
            "11-01 02:20-05:00",
        ]
    );
    assert_eq!(
        firings("30 */2 * * *", new_york, "2026-03-08T04:00:00Z", 3),
        ["03-08 00:30-05:00", "03-08 04:30-04:00", "03-08 06:30-04:00"]
    );
    // The second pass of the only hour it fires in.
    assert_eq!(
        firings("5 0-1/1 1 11 *", new_york, "2026-11-01T05:04:00Z", 3),
        ["11-01 01:05-04:00", "11-01 01:05-05:00", "11-01 00:05-04:00"]
    );
    // Lord Howe, 2026-04-05: 01:30 to 02:00 happens twice.
    assert_eq!(
        firings("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:40:00Z", 4),
        ["04-05 01:45+11:00", "04-05 01:30+10:30", "04-05 01:45+10:30", "04-05 02:00+10:30"]
    );
}

#[test]
fn real_time_is_evenly_spaced_over_two_years() {
    for zone in ["America/New_York", "Europe/Berlin", "America/Santiago", "Africa/Cairo", "Asia/Kolkata"] {
        let schedule = cron("7,37 * * * *", zone);
        let mut last = schedule.next(at("2026-01-01T00:00:00Z"), 0).expect("it fires");
        while last < at("2028-01-01T00:00:00Z") {
            let next = schedule.next(last, 0).expect("it fires");
            assert_eq!(next.0 - last.0, 30 * 60 * 1000, "{zone} after {last}");
            last = next;
        }
    }
}

#[test]
fn a_fixed_time_runs_once_on_each_day() {
    for zone in ["America/New_York", "Europe/Berlin", "America/Santiago", "Africa/Cairo", "Australia/Lord_Howe"] {
        for hour in 0..24 {
            let schedule = cron(&format!("30 {hour} * * *"), zone);
            let tz: Tz = zone.parse().expect("a zone");
            let mut day = NaiveDate::from_ymd_opt(2026, 1, 2).expect("a date");
            let mut last = at("2026-01-02T00:00:00Z");
            last = schedule.next(Timestamp(last.0 - 26 * 3_600_000), 0).expect("it fires");
            let mut days = Vec::new();
            while day < NaiveDate::from_ymd_opt(2027, 1, 2).expect("a date") {
                day = tz.from_utc_datetime(&last.to_utc().naive_utc()).date_naive();
                days.push(day);
                last = schedule.next(last, 0).expect("it fires");
            }
            for pair in days.windows(2) {
                assert_eq!(pair[0].succ_opt(), Some(pair[1]), "{zone} at {hour}:30");
            }
        }
    }
}

#[test]
fn an_expression_that_is_not_one_is_refused_with_what_to_type() {
    for (text, problem, hint, span) in [
        ("", "`` has 0 fields", "write minute, hour", None),
        ("* * * *", "`* * * *` has 4 fields", "write minute, hour", None),
        ("******", "`******` has 1 field,", "write minute, hour", None),
        ("0 0 0 1 1 * 2026", "has 7 fields", "years can't", None),
        ("TZ=UTC 0 0 * * * *", "has 7 fields", "`timezone = ", None),
        ("60 * * * *", "`60` is not a minute", "takes 0 to 59", Some(0..2)),
        ("* 24 * * *", "`24` is not an hour", "takes 0 to 23", Some(2..4)),
        ("* * 0 * *", "`0` is not a day of month", "takes 1 to 31", Some(4..5)),
        ("* * * 13 *", "`13` is not a month", "takes 1 to 12 or jan to dec", Some(6..8)),
        ("* * * * 8", "`8` is not a day of week", "takes 0 to 7 or sun to sat", Some(8..9)),
        ("* * * * 1MON", "`1MON` is not a day of week", "takes 0 to 7", Some(8..12)),
        ("1, 15 * * * *", "`1,` has an empty place", "without blanks", Some(0..2)),
        ("1-2-3 * * * *", "`2-3` is not a minute", "takes 0 to 59", Some(0..5)),
        ("-5 * * * *", "`-5` is not a minute", "takes 0 to 59", Some(0..2)),
        ("*/0 * * * *", "`*/0` has the step `0`", "from 1 to 59", Some(0..3)),
        ("*/90 * * * *", "`*/90` has the step `90`", "from 1 to 59", Some(0..4)),
        ("*/ * * * *", "`*/` has the step ``", "from 1 to 59", Some(0..2)),
        ("5/15 * * * *", "`5/15` has a step but no range", "write \"5-59/15\"", Some(0..4)),
        ("0 0 ? * 1", "`?` is not known", "write \"*\"", Some(4..5)),
        ("0 0 L * *", "`L` is not known", "28-31", Some(4..5)),
        ("0 0 15W * *", "`15W` is not known", "mon-fri", Some(4..7)),
        ("0 0 * * 5#2", "`5#2` is not known", "8-14", Some(8..11)),
        ("0 0 * * 5L", "`5L` is not known", "28-31", Some(8..10)),
        ("@reboot", "`@reboot` is not a schedule", "@hourly", None),
        ("@every 5m", "`@every 5m` is not a schedule", "every = \"5m\"", None),
        ("0 0 30 2 *", "never comes", "a day that the month has", None),
        ("0 0 31 4,6,9,11 *", "never comes", "a day that the month has", None),
    ] {
        let complaint = Cron::parse(text, Tz::UTC).expect_err(text);
        assert!(complaint.problem.contains(problem), "{text}: {complaint:?}");
        assert!(complaint.hint.as_deref().is_some_and(|got| got.contains(hint)), "{text}: {complaint:?}");
        if span.is_some() {
            assert_eq!(complaint.span, span, "{text}");
        }
    }
}

#[test]
fn an_every_fires_on_its_grid() {
    let schedule = Schedule::Every(Duration::from_secs(30));
    assert_eq!(schedule.next(Timestamp(0), 7), Some(Timestamp(7)));
    assert_eq!(schedule.next(Timestamp(7), 7), Some(Timestamp(30_007)));
    assert_eq!(schedule.next(Timestamp(30_006), 30_007), Some(Timestamp(30_007)));
    assert_eq!(schedule.next(Timestamp(-1), 0), Some(Timestamp(0)));
    assert_eq!(schedule.next(Timestamp(-30_001), 0), Some(Timestamp(-30_000)));
    assert_eq!(schedule.next(Timestamp(i64::MAX), 0), None);
    assert_eq!(schedule.interval(Timestamp(5)), Duration::from_secs(30));
}

#[test]
fn a_downtime_is_seen() {
    let schedule = Schedule::Every(Duration::from_secs(30));
    assert!(!schedule.missed(Timestamp(7), Timestamp(30_006), 7));
    assert!(schedule.missed(Timestamp(7), Timestamp(30_007), 7));
    assert!(schedule.missed(Timestamp(7), Timestamp(900_000), 7));
    let nightly = cron("0 3 * * *", "Europe/Berlin");
    assert!(!nightly.missed(at("2026-11-20T02:00:00Z"), at("2026-11-21T01:59:59Z"), 7));
    assert!(nightly.missed(at("2026-11-20T02:00:00Z"), at("2026-11-21T02:00:00Z"), 7));
}

#[test]
fn the_interval_of_a_cron_is_the_gap_between_its_next_two_firings() {
    let schedule = cron("0 9 * * mon-fri", "Europe/Berlin");
    let friday_night = at("2026-11-20T20:00:00Z");
    assert_eq!(schedule.interval(friday_night), Duration::from_secs(24 * 3600));
    let friday_morning = at("2026-11-20T05:00:00Z");
    assert_eq!(schedule.interval(friday_morning), Duration::from_secs(72 * 3600));
    assert_eq!(schedule.interval(at("2200-01-01T00:00:00Z")), LAST_INTERVAL);
}

#[test]
fn a_schedule_is_shown_as_a_person_says_it() {
    assert_eq!(Schedule::Every(Duration::from_secs(5400)).to_string(), "every 1h30m");
    let shown = cron(" */5 8-18 * * mon-fri", "Europe/Berlin").to_string();
    assert_eq!(shown, "cron `*/5 8-18 * * mon-fri` in Europe/Berlin");
}

#[test]
fn the_spread_of_a_name_never_changes() {
    assert_eq!(spread_of("orders"), spread_of("orders"));
    assert_ne!(spread_of("orders"), spread_of("order"));
    let hash = blake3::hash(b"orders");
    assert_eq!(spread_of("orders"), u64::from_be_bytes(hash.as_bytes()[..8].try_into().expect("8 bytes")));
}

#[test]
fn dates_beyond_the_calendar_do_not_fire() {
    let schedule = cron("* * * * *", "Europe/Berlin");
    for after in [i64::MAX, i64::MAX / 2, 253_402_300_800_000, 4_133_980_800_000] {
        assert_eq!(schedule.next(Timestamp(after), 0), None, "{after}");
    }
    assert!(schedule.next(Timestamp(i64::MIN), 0).is_some());
}

const ZONES: [&str; 8] = [
    "UTC",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Santiago",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Pacific/Chatham",
];

fn field(min: u32, max: u32) -> impl Strategy<Value = String> {
    let list = prop::collection::btree_set(min..=max, 1..4)
        .prop_map(|numbers| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(","));
    let range = (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
    prop_oneof![3 => Just("*".to_owned()), 2 => list, 1 => range, 1 => (2u32..=5).prop_map(|step| format!("*/{step}"))]
}

fn expression() -> impl Strategy<Value = String> {
    (field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6))
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

/// A moment around a change of a clock, in seconds.
fn turn() -> impl Strategy<Value = i64> {
    let turns = vec![
        1_793_512_800_i64, // New York 2026-11-01
        1_772_953_200,     // New York 2026-03-08
        1_774_746_000,     // Berlin 2026-03-29
        1_792_890_000,     // Berlin 2026-10-25
        1_788_667_200,     // Santiago 2026-09-06
        1_776_981_600,     // Cairo 2026-04-24
        1_775_314_800,     // Lord Howe 2026-04-05
        1_791_041_400,     // Lord Howe 2026-10-04
    ];
    (prop::sample::select(turns), -40_000_i64..10_000).prop_map(|(turn, off)| turn + off)
}

/// 2010 to 2040, in seconds.
fn moment() -> impl Strategy<Value = i64> {
    prop_oneof![1_262_304_000_i64..2_208_988_800, turn()]
}

/// Is the clock of `zone` left alone for a day before and after `at`?
fn is_steady(zone: Tz, at: Timestamp) -> bool {
    let offset = |hours: i64| wall(zone, Timestamp(at.0 + hours * 3_600_000)).offset().fix();
    (-26..=26).all(|hours| offset(hours) == offset(0))
}

fn wall(zone: Tz, at: Timestamp) -> DateTime<Tz> {
    zone.from_utc_datetime(&at.to_utc().naive_utc())
}

/// Does a wall-clock minute meet an expression? Crontab(5), in its own words.
fn meets(fields: &Fields, minute: &NaiveDateTime) -> bool {
    let has = |field: usize, number: u32| fields.sets[field] >> number & 1 == 1;
    let (day, weekday) = (has(3, minute.day()), has(5, minute.weekday().num_days_from_sunday()));
    let days = if fields.either_day { day || weekday } else { day && weekday };
    has(1, minute.minute()) && has(2, minute.hour()) && has(4, minute.month()) && days
}

/// The firings in `(from, to]`, found by looking at every minute.
fn every_minute(text: &str, zone: Tz, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    const MINUTE: i64 = 60_000;
    let fields = Fields::parse(text).expect("an expression");
    let minutes =
        |from: i64, to: i64| (from.div_euclid(MINUTE)..=to.div_euclid(MINUTE)).map(|at| Timestamp(at * MINUTE));
    let mut found: Vec<Timestamp> = if fields.every_hour {
        minutes(from.0, to.0).filter(|at| meets(&fields, &wall(zone, *at).naive_local())).collect()
    } else {
        let walls = minutes(from.0 - 2000 * MINUTE, to.0 + 2000 * MINUTE).map(|at| at.to_utc().naive_utc());
        walls
            .filter(|minute| meets(&fields, minute))
            .map(|minute| match zone.from_local_datetime(&minute).earliest() {
                Some(date) => Timestamp(date.timestamp_millis()),
                None => minutes(minute.and_utc().timestamp_millis() - 2000 * MINUTE, i64::MAX)
                    .find(|at| wall(zone, *at).naive_local() > minute)
                    .expect("the clock goes on"),
            })
            .collect()
    };
    found.retain(|at| *at > from && *at <= to);
    found.sort_unstable();
    found.dedup();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn looking_at_every_minute_finds_the_same(text in expression(), from in turn(), zone in prop::sample::select(&ZONES[..])) {
        let tz: Tz = zone.parse().expect("a zone");
        let (from, to) = (Timestamp(from * 1000), Timestamp((from + 100_000) * 1000));
        let schedule = cron(&text, zone);
        let mut found = Vec::new();
        let mut last = from;
        while let Some(next) = schedule.next(last, 0).filter(|next| *next <= to) {
            found.push(next);
            last = next;
        }
        prop_assert_eq!(found, every_minute(&text, tz, from, to), "{} in {} from {}", text, zone, from);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_next_moment_is_strictly_later(text in expression(), zone in prop::sample::select(&ZONES[..]),
                                         from in moment(), millis in 0_i64..1000) {
        let schedule = cron(&text, zone);
        let mut last = Timestamp(from * 1000 + millis);
        for _ in 0..20 {
            let Some(next) = schedule.next(last, 0) else { break };
            prop_assert!(next > last, "{text} in {zone}: {next} after {last}");
            last = next;
        }
    }

    /// Whoever asks from in between gets the same moment: nothing is skipped.
    #[test]
    fn the_next_moment_does_not_depend_on_when_it_is_asked(text in expression(), from in moment(),
                                                           zone in prop::sample::select(&ZONES[..]), part in 0.0..1.0) {
        let schedule = cron(&text, zone);
        let from = Timestamp(from * 1000);
        if let Some(next) = schedule.next(from, 0) {
            let between = Timestamp(from.0 + ((next.0 - from.0 - 1) as f64 * part) as i64);
            prop_assert_eq!(schedule.next(between, 0), Some(next), "{} in {} from {} and {}", text, zone, from, between);
        }
    }

    /// A second implementation agrees, where its rules are ours: away from changes of the clock, and without a star
    /// with a step in a day field, which it takes for a restriction.
    #[test]
    fn croner_agrees(text in expression(), zone in prop::sample::select(&ZONES[..]), from in moment()) {
        let days: Vec<&str> = text.split(' ').skip(2).collect();
        if days[0].starts_with("*/") || days[2].starts_with("*/") {
            return Ok(());
        }
        let theirs = CronParser::new().parse(&text).expect("croner reads it");
        let schedule = cron(&text, zone);
        let tz: Tz = zone.parse().expect("a zone");
        let mut last = Timestamp(from * 1000);
        for _ in 0..5 {
            let start: DateTime<Tz> = last.to_utc().with_timezone(&tz);
            let (Ok(expected), Some(next)) = (theirs.find_next_occurrence(&start, false), schedule.next(last, 0)) else {
                break;
            };
            if !is_steady(tz, last) || !is_steady(tz, next) {
                break;
            }
            prop_assert_eq!(next, Timestamp(expected.timestamp_millis()), "{} in {} after {}", text, zone, last);
            last = next;
        }
    }

    #[test]
    fn an_every_is_strictly_later_and_on_its_grid(every in 1_u64..10_000_000, spread: u64,
                                                  after in -1_000_000_000_000_i64..10_000_000_000_000) {
        let schedule = Schedule::Every(Duration::from_millis(every));
        let next = schedule.next(Timestamp(after), spread).expect("it fires");
        prop_assert!(next.0 > after && next.0 - after <= i64::try_from(every).expect("small"));
        prop_assert_eq!(i128::from(next.0).rem_euclid(i128::from(every)), i128::from(spread % every));
    }

    #[test]
    fn no_expression_panics(text in "\\PC{0,30}|[-0-9*/,a-z#?@LW ]{0,30}") {
        let _ = Cron::parse(&text, Tz::Europe__Berlin);
        let _ = Fields::parse(&text);
    }
}
