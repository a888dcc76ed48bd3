//! Listing and following, over a served API.

use std::io::Write;
use std::sync::{Arc, Mutex};

use clap::Parser;

use super::*;
use crate::admin::fake::{Fake, NOW, Served, event, loopback, start};
use crate::cli::client::Client;
use crate::core::config::Listen;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: EventsArgs,
}

fn args(words: &[&str]) -> EventsArgs {
    Line::parse_from(["events"].iter().chain(words)).args
}

async fn serve(events: std::ops::RangeInclusive<i64>) -> (Served, Source) {
    let events = Mutex::new(events.map(|number| event(number, "orders")).collect());
    let served = start(&loopback(), Arc::new(Fake { events, ..Fake::default() }), None).await;
    let listen = Listen::Tcp(served.address.unwrap());
    let source = Source::Api(Client::new(&Reach::default(), &listen, None).unwrap());
    (served, source)
}

async fn listed(words: &[&str]) -> String {
    let (_served, source) = serve(1..=3).await;
    let mut out = Vec::new();
    run(&args(words), &source, &mut Screen::plain(&mut out), NOW).await.unwrap();
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn the_newest_events_are_listed() {
    let expected = "\
TIME                      JOB     CHANGE   KEY  SEQ  DELIVERIES  ID
2026-11-20T15:03:05.000Z  orders  updated  3    3    delivered   evt_3
2026-11-20T15:03:05.000Z  orders  updated  2    2    delivered   evt_2
";
    assert_eq!(listed(&["-n", "2"]).await, expected);
    assert_eq!(listed(&["--job", "doorbell"]).await, "No events.\n");
}

#[tokio::test]
async fn a_list_as_json_is_one_array() {
    let rows: Vec<EventView> = serde_json::from_str(&listed(&["--json"]).await).unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(listed(&["--json", "--job", "doorbell"]).await, "[]\n");
}

#[tokio::test]
async fn more_than_a_page_is_listed_when_asked_for() {
    let (_served, source) = serve(1..=2100).await;
    let mut out = Vec::new();
    run(&args(&["--json", "-n", "2050"]), &source, &mut Screen::plain(&mut out), NOW).await.unwrap();
    let rows: Vec<EventView> = serde_json::from_slice(&out).unwrap();
    assert_eq!((rows.len(), &*rows[0].id, &*rows[2049].id), (2050, "evt_2100", "evt_51"));
}

/// Hands each line that is printed to the test, and is closed when the test has seen enough.
struct Lines(tokio::sync::mpsc::UnboundedSender<String>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        self.0.send(text).map_err(|_| std::io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Follows from `old` events on while `new` ones arrive in batches, until all have been printed.
async fn followed(limit: &str, old: i64, batches: &[i64]) -> Vec<i64> {
    let (served, source) = serve(1..=old).await;
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
    let args = args(&["-f", "--json", "-n", limit]);
    let shown = old.min(limit.parse().unwrap());
    let mut lines = Lines(send);
    let mut screen = Screen::plain(&mut lines);
    let reader = async {
        let (mut text, mut last, mut wanted) = (String::new(), old, shown);
        let mut batches = batches.iter();
        loop {
            let printed = i64::try_from(text.lines().count()).unwrap();
            if printed == wanted && text.ends_with('\n') {
                let Some(batch) = batches.next() else { return text };
                let mut events = served.fake.events.lock().unwrap();
                events.extend((last + 1..=last + batch).map(|number| event(number, "orders")));
                (last, wanted) = (last + batch, wanted + batch);
            }
            text.push_str(&receive.recv().await.unwrap());
        }
    };
    let text = tokio::select! {
        ended = run(&args, &source, &mut screen, NOW) => panic!("{ended:?}"),
        text = reader => text,
    };
    let number = |line: &str| serde_json::from_str::<EventView>(line).unwrap().sequence.cast_signed();
    text.lines().map(number).collect()
}

#[tokio::test]
async fn a_follower_sees_every_event_once_and_in_order() {
    assert_eq!(followed("2", 3, &[1, 2]).await, (2..=6).collect::<Vec<_>>());
    assert_eq!(followed("20", 1, &[1]).await, (1..=2).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_follower_turns_pages_without_loss() {
    assert_eq!(followed("5", 10, &[2500, 1]).await, (6..=2511).collect::<Vec<_>>());
}

#[tokio::test]
async fn following_needs_a_daemon() {
    let config = crate::core::config::Config {
        daemon: crate::core::config::Daemon {
            state: "x".into(),
            listen: Listen::Off,
            token: None,
            concurrency: 1,
            reload: Default::default(),
            retention: Duration::from_secs(1),
        },
        jobs: Vec::new(),
        vendors: Vec::new(),
        sinks: Vec::new(),
        alerts: crate::core::alert::Alerts::default(),
        secrets: Vec::new(),
    };
    let source = Source::State { archive: Fake::usual(), config: Arc::new(config), now: NOW };
    let mut out = Vec::new();
    let error = run(&args(&["-f"]), &source, &mut Screen::plain(&mut out), NOW).await.unwrap_err();
    assert!(error.to_string().starts_with("no daemon runs"), "{error}");
    run(&args(&[]), &source, &mut Screen::plain(&mut out), NOW).await.unwrap();
    assert_eq!(String::from_utf8(out).unwrap().lines().count(), 4);
}

#[test]
fn since_is_a_time_ago_or_a_date() {
    let seconds = |text: &str| match parse_since(text).unwrap() {
        Since::Ago(ago) => ago.as_secs(),
        Since::At(_) => panic!(),
    };
    assert_eq!((seconds("90s"), seconds("1h30m"), seconds("7d"), seconds("2w")), (90, 5400, 604_800, 1_209_600));
    let date = parse_since("2026-11-20T15:04:05Z").unwrap();
    assert_eq!(date.moment(NOW), NOW);
    assert_eq!(Since::Ago(Duration::from_secs(60)).moment(NOW).to_string(), "2026-11-20T15:03:05.000Z");
    for bad in ["", "1", "h", "1x", "1h30", "-1h", "1 h", "99999999999999999999d", "yesterday", "ü"] {
        assert!(parse_since(bad).is_err(), "{bad}");
    }
}

#[test]
fn deliveries_are_summed_up_with_the_worst_in_colour() {
    let views = |states: &[&str]| {
        let mut views = Vec::new();
        for state in states {
            views.push(DeliveryView { state: (*state).to_owned(), ..event(1, "a").event.deliveries[0].clone() });
        }
        deliveries(&views)
    };
    assert_eq!(views(&[]), ("none".to_owned(), Tone::Dim));
    assert_eq!(views(&["delivered"]), ("delivered".to_owned(), Tone::Good));
    assert_eq!(views(&["delivered", "dead", "delivered"]), ("2 delivered, 1 dead".to_owned(), Tone::Bad));
}
