//! Gates over a clock of our own and a real store: what is used is shared, in line, and stays used.

use tokio::sync::watch;

use super::*;
use crate::core::alert::Alerts;
use crate::core::config::{Daemon, Listen};
use crate::core::limits::Pace;
use crate::core::names::VendorName;
use crate::core::polite::Vendor;
use crate::core::units::parse_rate;
use crate::source::Gate;
use crate::store::sqlite::{Options, SqliteStore};

/// Noon.
const NOON: Timestamp = Timestamp(20_500 * 86_400_000 + 43_200_000);

struct Hand(watch::Sender<Timestamp>);

#[async_trait::async_trait]
impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        // The clock outlives who sleeps by it.
        let _ = self.0.subscribe().wait_for(|now| *now >= moment).await;
    }
}

struct Bench {
    folder: tempfile::TempDir,
    hand: Arc<Hand>,
    config: Config,
}

fn courtesy(rate: &str, budget: &str, concurrency: u32) -> Courtesy {
    let parse = |text: &str| parse_rate(text).ok();
    Courtesy { rate: parse(rate), budget: parse(budget), concurrency: (concurrency > 0).then_some(concurrency) }
}

/// A job of the vendor `shop`.
fn job(name: &str, courtesy: Courtesy) -> Arc<Job> {
    let job = crate::core::job::plain(name);
    Arc::new(Job { vendor: Some(VendorName::from("shop")), courtesy, ..job })
}

impl Bench {
    fn new(shop: Courtesy, jobs: Vec<Arc<Job>>) -> Self {
        let daemon = Daemon {
            state: "unused".into(),
            listen: Listen::Off,
            token: None,
            reload: Default::default(),
            concurrency: 4,
            retention: Duration::from_secs(86_400),
        };
        let vendors = vec![Vendor { name: VendorName::from("shop"), courtesy: shop }];
        let config =
            Config { daemon, jobs, vendors, sinks: Vec::new(), alerts: Alerts::default(), secrets: Vec::new() };
        Self { folder: tempfile::tempdir().unwrap(), hand: Arc::new(Hand(watch::channel(NOON).0)), config }
    }

    async fn open(&self) -> (Arc<Gates>, Arc<dyn Store>) {
        let path = self.folder.path().join("doorbell.db");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&Options { path, uid_seed: 7, now: NOON }).unwrap());
        (Gates::open(self.hand.clone(), store.clone(), &self.config).await.unwrap(), store)
    }

    fn later(&self, wait: Duration) {
        self.hand.0.send_modify(|now| *now = now.plus(wait));
    }
}

/// Begins polls of one request each, one after the other, as long as they can begin at once.
async fn polls(gates: &Arc<Gates>, job: &str) -> usize {
    let way = gates.way(&JobName::from(job));
    let mut begun = 0;
    while let Some(turn) = gates.admit(&way) {
        let _ = turn.enter().await.unwrap();
        begun += 1;
    }
    begun
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test]
async fn jobs_of_a_vendor_share_its_rate_and_a_job_with_its_own_does_not() {
    let own = job("own", courtesy("2/s", "", 0));
    let bench =
        Bench::new(courtesy("4/s", "", 0), vec![job("a", Courtesy::default()), job("b", Courtesy::default()), own]);
    let (gates, _store) = bench.open().await;
    assert_eq!((polls(&gates, "a").await, polls(&gates, "b").await, polls(&gates, "own").await), (4, 0, 2));
    bench.later(Duration::from_millis(500));
    assert_eq!((polls(&gates, "b").await, polls(&gates, "a").await, polls(&gates, "own").await), (2, 0, 1));
}

#[tokio::test]
async fn a_job_with_a_rate_of_its_own_uses_its_vendors_budget() {
    let bench = Bench::new(courtesy("1/h", "100/d", 0), vec![job("own", courtesy("50/s", "", 0))]);
    let (gates, _store) = bench.open().await;
    assert_eq!(polls(&gates, "own").await, 10, "a tenth of the budget, not one in an hour");
    let left: Vec<_> = gates.views().into_iter().map(|view| (view.name, view.budget_left)).collect();
    assert_eq!(left, [("job.own".to_owned(), None), ("shop".to_owned(), Some(90))]);
}

#[tokio::test]
async fn a_poll_that_has_begun_and_is_not_at_the_gate_yet_counts() {
    let bench = Bench::new(courtesy("2/s", "", 0), vec![job("a", Courtesy::default())]);
    let (gates, _store) = bench.open().await;
    let way = gates.way(&JobName::from("a"));
    let (one, two) = (gates.admit(&way).unwrap(), gates.admit(&way).unwrap());
    assert!(gates.blocked(&way) == Some(Blocked::Busy) && gates.admit(&way).is_none());
    drop(one);
    gates.moved().await;
    let three = gates.admit(&way).expect("one gave up before it asked");
    let _ = two.enter().await.unwrap();
    let _ = three.enter().await.unwrap();
    let ready = Ready { at: NOON.plus(Duration::from_millis(500)), why: Why::Rate };
    assert_eq!(gates.blocked(&way), Some(Blocked::Until(ready)));
}

#[tokio::test]
async fn no_more_requests_are_in_flight_than_may_be() {
    let bench = Bench::new(courtesy("", "", 2), vec![job("a", Courtesy::default())]);
    let (gates, _store) = bench.open().await;
    let way = gates.way(&JobName::from("a"));
    let turns = [gates.turn(&way), gates.turn(&way), gates.turn(&way)];
    let one = turns[0].enter().await.unwrap();
    let two = turns[1].enter().await.unwrap();
    assert_eq!(gates.blocked(&way), Some(Blocked::Busy));
    let mut third = Box::pin(turns[2].enter());
    assert!(futures_poll(&mut third).is_none(), "it waits for a place");
    drop(one);
    let three = third.await.unwrap();
    drop((two, three));
    assert_eq!(gates.blocked(&way), None);
}

/// Polls once.
fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn a_budget_stays_used_over_a_crash_and_a_clean_end_loses_nothing() {
    let bench = Bench::new(courtesy("", "1000/d", 0), vec![job("a", Courtesy::default())]);
    let left = |gates: &Arc<Gates>| gates.views()[0].budget_left.unwrap();
    let (gates, store) = bench.open().await;
    assert_eq!((polls(&gates, "a").await, left(&gates)), (100, 900));
    drop((gates, store));
    let (gates, store) = bench.open().await;
    assert_eq!((left(&gates), polls(&gates, "a").await), (900, 0), "the last block was used up");
    bench.later(seconds(240));
    let begun = polls(&gates, "a").await as u64;
    assert!((4..=6).contains(&begun), "900 in 12 hours: {begun}");
    drop((gates, store));
    let (gates, store) = bench.open().await;
    assert_eq!(left(&gates), 890, "a crash loses the rest of its block");
    bench.later(seconds(240));
    let begun = polls(&gates, "a").await as u64;
    gates.close().await.unwrap();
    drop((gates, store));
    let (gates, _store) = bench.open().await;
    assert_eq!(left(&gates), 890 - begun, "a clean end loses nothing");
}

#[tokio::test]
async fn what_a_vendor_asks_for_holds_for_all_its_jobs_and_over_a_restart() {
    let own = job("own", courtesy("50/s", "9/m", 1));
    let bench = Bench::new(courtesy("100/s", "", 0), vec![job("a", Courtesy::default()), own]);
    let (gates, store) = bench.open().await;
    let turn = gates.turn(&gates.way(&JobName::from("a")));
    turn.heed(Advice { wait: Some(seconds(60)), pace: None, limited: true }).await;
    assert_eq!((polls(&gates, "a").await, polls(&gates, "own").await), (0, 0));
    let refused = gates.turn(&gates.way(&JobName::from("own"))).enter().await.unwrap_err();
    assert_eq!((refused.kind, refused.retry_after), (FailureKind::Limited, Some(seconds(60))));
    assert!(refused.sentence.contains("vendor `shop` asked to be left alone until "), "{refused}");
    drop((turn, gates, store));
    let (gates, _store) = bench.open().await;
    assert_eq!(polls(&gates, "own").await, 0);
    bench.later(seconds(60));
    assert_eq!(polls(&gates, "own").await, 1);
    let slow = Advice { pace: Some(Pace { every: seconds(10), lasting: seconds(15) }), ..Advice::default() };
    gates.turn(&gates.way(&JobName::from("a"))).heed(slow).await;
    let mut begun = Vec::new();
    for _ in 0..4 {
        begun.push(polls(&gates, "a").await.min(2));
        bench.later(seconds(5));
    }
    assert_eq!(begun, [0, 0, 1, 2], "every ten seconds for fifteen, then freely");
}

#[tokio::test]
async fn a_poll_goes_on_while_anything_is_left_and_then_says_until_when() {
    let bench = Bench::new(courtesy("", "5/d", 0), vec![job("a", Courtesy::default())]);
    let (gates, _store) = bench.open().await;
    let turn = gates.turn(&gates.way(&JobName::from("a")));
    for _ in 0..5 {
        let _ = turn.enter().await.unwrap();
    }
    let refused = turn.enter().await.unwrap_err();
    assert_eq!(refused.retry_after, Some(seconds(43_200)), "the window ends at midnight");
    assert!(refused.sentence.contains("waits for the budget of vendor `shop` (5/d) until "), "{refused}");
}

#[tokio::test]
async fn a_reload_keeps_what_was_used() {
    let mut bench = Bench::new(courtesy("4/s", "100/d", 0), vec![job("a", Courtesy::default())]);
    let (gates, _store) = bench.open().await;
    assert_eq!(polls(&gates, "a").await, 4);
    bench.config.vendors[0].courtesy = courtesy("8/s", "50/d", 3);
    gates.apply(&bench.config);
    assert_eq!(polls(&gates, "a").await, 0);
    assert_eq!(gates.views()[0].budget_left, Some(46));
    bench.later(Duration::from_millis(250));
    assert_eq!(polls(&gates, "a").await, 2, "at the new rate");
}
