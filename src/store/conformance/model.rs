//! The queue against a model: whatever happens in whatever order, a lane stays in order and nothing vanishes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::core::delivery::Verdict;
use crate::core::names::{JobName, Lane, Scope};
use crate::core::operate::ReplayFilter;
use crate::store::conformance::{
    Bench, adopt, at, attempt, changes, claim, complete, crm, event, room, run, settle_one, settlement,
};
use crate::store::{DeliveryTicket, SinkState, Store};

/// What can happen to a queue.
#[derive(Clone, Debug)]
enum Step {
    /// A poll commits an event of each of these items; the dispatcher has room for so many.
    Poll(Vec<u8>, usize),
    Claim(usize),
    /// One of the tickets in hand is answered so.
    Settle(usize, Answered),
    Release(usize),
    Crash,
    Enable,
    JobLeaves,
    JobReturns,
    Pause,
    Resume,
    /// All that has ended is sent again, so many in one transaction.
    Replay(usize),
}

#[derive(Clone, Copy, Debug)]
enum Answered {
    Well,
    Later,
    Never,
    Gone,
}

fn step() -> impl Strategy<Value = Step> {
    let answered = prop_oneof![
        4 => Just(Answered::Well), 2 => Just(Answered::Later), 1 => Just(Answered::Never), 1 => Just(Answered::Gone)
    ];
    prop_oneof![
        4 => (prop::collection::vec(0..4_u8, 0..6), 0..4_usize).prop_map(|(keys, room)| Step::Poll(keys, room)),
        3 => (0..4_usize).prop_map(Step::Claim),
        8 => (any::<usize>(), answered).prop_map(|(which, how)| Step::Settle(which, how)),
        1 => any::<usize>().prop_map(Step::Release),
        1 => Just(Step::Crash),
        2 => Just(Step::Enable),
        1 => Just(Step::JobLeaves),
        2 => Just(Step::JobReturns),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        1 => (1..5_usize).prop_map(Step::Replay),
    ]
}

/// What must be true of the store, beside the tickets that are out.
#[derive(Default)]
struct Model {
    /// Of each lane, the deliveries that have not ended, in order: their numbers and their events' sequences.
    open: BTreeMap<Lane, Vec<(u64, u64)>>,
    /// The lane of each event that has ended, by its sequence.
    ended: BTreeMap<u64, Lane>,
    deliveries: u64,
    dead: u64,
    sequence: u64,
    hand: Vec<DeliveryTicket>,
    /// Tickets may be handed out: the sink is enabled, and for claims the job is there.
    enabled: bool,
    paused: bool,
    here: bool,
    now: i64,
}

impl Model {
    /// A ticket must be that of the first of its lane, and the only one.
    fn take(&mut self, tickets: impl IntoIterator<Item = DeliveryTicket>) {
        for ticket in tickets {
            assert!(self.enabled && !self.paused, "a sink that is disabled or paused is not sent to");
            let lane = ticket.lane.expect("a lane");
            assert!(self.hand.iter().all(|other| other.lane != Some(lane)), "two of a lane are out");
            let first = self.open[&lane].first().map(|(_, sequence)| *sequence);
            assert_eq!(first, Some(ticket.parcel.sequence), "not the first of its lane");
            self.hand.push(ticket);
        }
    }

    fn pick(&mut self, which: usize) -> Option<DeliveryTicket> {
        (!self.hand.is_empty()).then(|| self.hand.swap_remove(which % self.hand.len()))
    }

    fn queue(&mut self, lane: Lane, sequence: u64) {
        self.deliveries += 1;
        self.open.entry(lane).or_default().push((self.deliveries, sequence));
    }

    fn end(&mut self, ticket: &DeliveryTicket) {
        let name = ticket.lane.expect("a lane");
        let lane = self.open.get_mut(&name).expect("an open lane");
        assert_eq!(lane.remove(0).1, ticket.parcel.sequence);
        self.ended.insert(ticket.parcel.sequence, name);
    }
}

/// Runs sequences of steps against the model, each on a new bench.
pub(in crate::store) fn holds<B: Bench>(bench: impl Fn() -> B) {
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    let steps = prop::collection::vec(step(), 1..50);
    let outcome = runner.run(&steps, |steps| {
        let mut bench = bench();
        run(live(&mut bench, steps));
        Ok(())
    });
    outcome.expect("the model holds");
}

async fn live(bench: &mut impl Bench, steps: Vec<Step>) {
    let mut model = Model { enabled: true, here: true, ..Model::default() };
    adopt(bench.store()).await;
    for step in steps {
        model.now += 1;
        take_step(bench, &mut model, step).await;
        check(bench.store(), &model).await;
    }
    // Once all is well again everything that is open ends, in order.
    take_step(bench, &mut model, Step::JobReturns).await;
    take_step(bench, &mut model, Step::Enable).await;
    take_step(bench, &mut model, Step::Resume).await;
    model.now += 1_000_000;
    loop {
        take_step(bench, &mut model, Step::Claim(3)).await;
        if model.hand.is_empty() {
            break;
        }
        take_step(bench, &mut model, Step::Settle(0, Answered::Well)).await;
    }
    assert!(model.open.values().all(Vec::is_empty), "left behind: {:?}", model.open);
    check(bench.store(), &model).await;
}

async fn take_step(bench: &mut impl Bench, model: &mut Model, step: Step) {
    let now = at(model.now);
    match step {
        Step::Poll(keys, rooms) => poll(bench.store(), model, &keys, rooms).await,
        Step::Claim(limit) => {
            let tickets = bench.store().claim_deliveries(&crm(), now, limit).await.expect("claimed");
            assert!(tickets.is_empty() || model.here, "a job that left is not sent for");
            assert!(tickets.len() <= limit);
            model.take(tickets);
        }
        Step::Settle(which, how) => settle(bench.store(), model, which, how).await,
        Step::Release(which) => {
            let ticket = model.pick(which);
            bench.store().release(ticket.into_iter().collect()).await.expect("released");
        }
        Step::Crash => {
            model.hand.clear();
            bench.restart();
            if model.here {
                adopt(bench.store()).await;
            }
        }
        Step::Enable => {
            bench.store().enable_sink(&crm(), now).await.expect("enabled");
            model.enabled = true;
        }
        Step::Pause | Step::Resume => {
            model.paused = matches!(step, Step::Pause);
            bench.store().pause_sink(&crm(), model.paused.then_some(now)).await.expect("paused");
        }
        Step::Replay(limit) => replay(bench.store(), model, limit).await,
        Step::JobLeaves => {
            bench.store().adopt(&[JobName::from("other")], &[crm()], now).await.expect("adopted");
            model.here = false;
        }
        Step::JobReturns => {
            adopt(bench.store()).await;
            model.here = true;
        }
    }
}

async fn poll(store: &dyn Store, model: &mut Model, keys: &[u8], rooms: usize) {
    if !model.here {
        return;
    }
    let ticket = claim(store).await;
    assert_eq!(ticket.scopes.get(&Scope::default()).map_or(0, |scope| scope.sequence), model.sequence);
    let mut events = Vec::new();
    for key in keys {
        model.sequence += 1;
        let event = event(&key.to_string(), model.sequence, &["crm"]);
        model.queue(event.deliveries[0].lane.expect("a lane"), model.sequence);
        events.push(event);
    }
    let ending = complete(model.sequence);
    let tickets = store.commit_poll(ticket, changes(vec![], events), ending, &room(rooms)).await.expect("committed");
    assert!(tickets.len() <= rooms);
    model.take(tickets);
}

/// What has ended is sent again in the order of its events, and nothing is dead then.
async fn replay(store: &dyn Store, model: &mut Model, limit: usize) {
    let filter = ReplayFilter { job: Some("orders".to_owned()), ..ReplayFilter::default() };
    let found = store.replayable(&filter).await.expect("counted");
    assert_eq!(found.report.deliveries, model.ended.len() as u64);
    let mut next = Some(found.from);
    while let Some(from) = next {
        next = store.replay(&filter, from, limit, at(model.now)).await.expect("replayed").1;
    }
    for (sequence, lane) in std::mem::take(&mut model.ended) {
        model.queue(lane, sequence);
    }
    model.dead = 0;
}

async fn settle(store: &dyn Store, model: &mut Model, which: usize, how: Answered) {
    let Some(ticket) = model.pick(which) else { return };
    let now = at(model.now);
    let attempt = attempt(ticket.attempts + 1, now, if matches!(how, Answered::Well) { 200 } else { 500 });
    let verdict = match how {
        Answered::Well => Verdict::Delivered,
        Answered::Later => Verdict::RetryAt(at(model.now + 3)),
        Answered::Never => Verdict::Dead("never".into()),
        Answered::Gone => Verdict::SinkGone("gone".into()),
    };
    match how {
        Answered::Well => model.end(&ticket),
        Answered::Never => {
            model.end(&ticket);
            model.dead += 1;
        }
        Answered::Gone => model.enabled = false,
        Answered::Later => {}
    }
    model.take(settle_one(store, settlement(ticket, attempt, verdict, SinkState::default())).await.expect("settled"));
}

/// Nothing vanishes: what has not ended stands in the queue or is held, and what is dead is counted.
async fn check(store: &dyn Store, model: &Model) {
    let sinks = store.sinks().await.expect("sinks");
    let queue = &sinks.iter().find(|(name, _, _)| *name == crm()).expect("crm").2;
    let open: usize = model.open.values().map(Vec::len).sum();
    assert_eq!((queue.backlog + queue.held, queue.dead), (open as u64, model.dead));
    let open_sink = model.enabled && !model.paused;
    assert!(queue.held == 0 || !open_sink || !model.here, "held without a reason");
    assert!(queue.backlog == 0 || open_sink, "a sink that is disabled or paused has a backlog");
    if queue.backlog > 0 && queue.held == 0 {
        let oldest = model.open.values().filter_map(|lane| lane.first()).min().copied();
        assert_eq!(queue.oldest, oldest.map(|(_, sequence)| at(i64::try_from(sequence).expect("small"))));
    }
}
