//! What every store must do, whatever it is made of: cases over `dyn Store`, each run for each kind of store.
//!
//! A kind of store brings a [`Bench`] and the line `conformance!(its_bench)`; it can't leave a case out.

pub(in crate::store) mod batches;
pub(in crate::store) mod bells;
pub(in crate::store) mod holds;
pub(in crate::store) mod model;
pub(in crate::store) mod operations;
pub(in crate::store) mod outbox;
pub(in crate::store) mod paces;
pub(in crate::store) mod polls;
pub(in crate::store) mod secrets;
pub(in crate::store) mod upkeep;
pub(in crate::store) mod whys;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::core::delivery::{Answer, Attempt, NewDelivery, Verdict};
use crate::core::diff::Change;
use crate::core::event::NewEvent;
use crate::core::formats::Wire;
use crate::core::job::Fingerprints;
use crate::core::ledger::{Remembered, Row, RowWrite};
use crate::core::names::{Digest, EventId, JobName, Key, KeyDigest, Lane, Scope, SinkName};
use crate::core::outcome::PollOutcome;
use crate::core::time::Timestamp;
use crate::core::trace::{Phases, SentHeaders, Trace};
use crate::store::{
    DeliveryTicket, PollChanges, PollEnding, PollTicket, Room, ScopeState, Seal, Settled, Settlement, SinkState, Store,
};

/// A store under test, and what a test does to it from outside.
pub(in crate::store) trait Bench: Send {
    /// The store.
    fn store(&self) -> &dyn Store;
    /// Ends it as a crash would, and opens it again.
    fn restart(&mut self);
    /// Lets the lease on a job run out.
    fn expire(&self, job: &JobName);
}

/// An attempt that has ended, and the sink after it.
pub(in crate::store) fn settlement(
    ticket: DeliveryTicket,
    attempt: Attempt,
    verdict: Verdict,
    sink: SinkState,
) -> (Settlement, SinkState) {
    (Settlement { ticket, attempt, verdict }, sink)
}

/// Settles one attempt.
pub(in crate::store) async fn settle_one(store: &dyn Store, (settlement, sink): (Settlement, SinkState)) -> Settled {
    store.settle(Arc::new(vec![settlement]), sink).await?.remove(0)
}

/// Runs a case to its end.
pub(in crate::store) fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(case);
}

/// Makes one test of each case, with a new bench from the function that it is given.
macro_rules! conformance {
    ($bench:path) => {
        $crate::store::conformance::conformance! { $bench;
            polls:
                a_claimed_job_is_not_claimed_twice, a_lost_lease_cannot_commit, a_lost_lease_cannot_note,
                an_unknown_job_is_refused, a_commit_is_read_back, a_commit_survives_a_crash,
                rows_come_in_the_order_asked, the_bodies_of_a_few_that_differ_come_along, a_value_that_settles_survives_a_crash_and_is_forgotten, a_dirty_item_survives_a_crash_and_is_forgotten, sequences_have_no_gap, a_commit_is_all_or_nothing,
                what_is_missing_is_found, a_body_is_kept_where_only_digests_change, a_removed_row_leaves_nothing,
                a_part_leaves_the_baseline_open, a_part_of_a_rebaseline_voids_the_baseline,
                a_new_baseline_that_is_closed_forgets_what_it_did_not_read,
                a_scope_ends_by_itself, live_items_are_those_of_complete_baselines, notes_count_failures,
                a_flushed_note_survives_a_crash, a_uid_outlives_removal,
                pages_are_what_the_last_complete_poll_says, a_part_leaves_a_gap_until_a_poll_is_complete,
                a_cursor_survives_a_crash_and_stays_where_a_part_found_it;
            outbox:
                a_commit_hands_over_as_many_tickets_as_there_is_room, a_lane_goes_one_after_the_other, large_bodies_are_claimed_a_few_at_once,
                the_order_of_a_lane_survives_a_crash, a_crash_voids_claims, fewest_attempts_go_first,
                a_retry_waits_for_its_moment, a_gone_sink_holds_everything_until_it_is_enabled,
                an_attempt_in_flight_does_not_enable_a_sink, a_delivery_can_be_born_dead,
                a_sink_that_left_the_config_is_held, a_job_that_left_the_config_is_held_in_order,
                a_released_claim_can_be_claimed_again, attempts_are_kept, settlements_of_a_group_stand_each_for_itself,
                a_410_in_a_group_holds_what_comes_behind_the_others, queues_are_counted,
                without_a_lane_nothing_waits, a_sink_of_its_own_body_gets_it, retries_can_be_claimed_by_themselves,
                the_oldest_are_dropped_and_the_next_of_their_lanes_go, what_is_claimed_is_not_dropped,
                only_what_is_old_is_dropped, the_dead_of_a_lane_are_told_once, an_open_breaker_survives_a_crash;
            batches:
                a_batch_takes_what_waits_behind_its_members, a_batch_is_the_same_after_a_crash_and_after_a_failure,
                a_batch_that_is_split_goes_again_in_the_order_of_its_lanes, a_batch_keeps_within_its_room,
                a_job_that_leaves_takes_nothing_out_of_a_batch, a_member_that_is_dropped_leaves_the_others,
                a_batch_is_retried_whole_and_forgotten_with_its_events, what_is_held_is_not_dropped_by_a_limit,
                a_settlement_in_flight_does_not_open_a_breaker_that_was_closed;
            bells:
                system_events_are_numbered_by_themselves, a_system_event_is_told_once,
                a_bell_is_remembered_until_it_is_silent, a_poll_tells_of_itself_or_is_not_made,
                a_death_is_told_once_and_again_after_the_next, the_job_of_system_events_is_nobodys;
            paces:
                what_was_used_survives_a_crash, a_limit_that_is_gone_is_not_kept;
            secrets:
                a_sealed_secret_survives_a_crash;
            operations:
                a_replay_is_a_new_delivery_of_the_same_bytes, a_replay_stands_behind_its_lane_in_the_order_of_events,
                a_replay_of_what_is_dead_leaves_none_dead, what_can_not_be_replayed_is_left_out,
                a_replay_is_filtered, a_long_replay_goes_in_parts_and_finds_nothing_of_its_own,
                a_replay_for_a_job_that_left_is_held, a_retry_is_due_now_or_a_replay,
                a_paused_sink_is_held_over_restarts, an_attempt_in_flight_does_not_resume_a_sink,
                a_paused_job_stays_paused_over_polls_and_restarts, deliveries_are_listed_by_state,
                deliveries_are_paged_and_filtered, what_was_replayed_is_not_skipped, a_resume_closes_the_breaker,
                what_was_dropped_can_be_replayed, what_was_born_dead_goes_with_a_body_that_was_rendered_anew,
                what_is_held_is_dropped_by_a_persons_word, what_a_job_that_left_has_held_can_be_dropped;
            holds:
                an_answer_to_what_is_held_survives_a_crash, an_answer_outlives_the_poll_that_was_under_way,
                what_holds_nothing_can_not_be_answered;
            upkeep:
                a_renamed_job_takes_over_its_state_once, a_poll_under_way_can_not_commit_under_the_former_name,
                a_job_with_a_past_takes_over_no_other,
                pruning_keeps_what_has_not_ended, pruning_keeps_what_ended_lately,
                pruning_forgets_items_that_are_gone, a_number_is_not_given_twice_after_a_prune,
                pruning_forgets_the_ledger_of_a_job_that_left,
                a_poll_that_ends_after_its_job_left_is_held, a_closed_store_says_so, events_are_paged_both_ways, events_are_filtered,
                an_event_is_found_by_the_beginning_of_its_id;
            whys:
                what_was_seen_and_not_said_is_read_back, at_most_twenty_observations_of_an_item_are_kept,
                what_may_be_so_in_every_poll_has_one_row,
                what_was_only_noted_is_shown_and_survives_once_it_is_flushed, events_stand_beside_what_was_not_said,
                the_poll_that_took_all_over_is_remembered, an_item_that_is_missing_or_gone_is_shown_as_such,
                old_observations_are_pruned;
        }

        #[test]
        fn lanes_stay_in_order_and_nothing_vanishes_whatever_happens() {
            $crate::store::conformance::model::holds($bench);
        }
    };
    ($bench:path; $($room:ident: $($case:ident),+;)+) => {
        $($(
            #[test]
            fn $case() {
                let mut bench = $bench();
                $crate::store::conformance::run($crate::store::conformance::$room::$case(&mut bench));
            }
        )+)+
    };
}
pub(in crate::store) use conformance;

/// Noon, and `seconds` after it.
fn at(seconds: i64) -> Timestamp {
    Timestamp(1_795_000_000_000 + seconds * 1000)
}

fn job() -> JobName {
    JobName::from("orders")
}

fn crm() -> SinkName {
    SinkName::from("crm")
}

fn key(name: &str) -> KeyDigest {
    Key::from(name).digest()
}

/// The rows for `keys`, whatever their bytes are now.
async fn rows(store: &dyn Store, ticket: &PollTicket, scope: &Scope, keys: &[KeyDigest]) -> Vec<Option<Row>> {
    let items: Vec<_> = keys.iter().map(|key| (*key, Digest::default())).collect();
    store.rows(ticket, scope, &items).await.expect("rows").rows
}

fn prints() -> Fingerprints {
    Fingerprints {
        request: Digest::of(b"request"),
        selection: Digest::of(b"selection"),
        identity: Digest::of(b"identity"),
        rules: "ignore = []".into(),
    }
}

fn seal() -> Seal {
    let (request, body) = (Digest::of(b"request"), Digest::of(b"body"));
    Seal { request, etag: Some("\"1\"".into()), last_modified: None, body }
}

fn narrow(name: &str, version: u64) -> Row {
    let raw = Digest::of(format!("{name} {version}").as_bytes());
    Row { key: key(name), raw, canonical: raw, revision: version, missed: 0, gone: None }
}

fn row(name: &str, version: u64) -> RowWrite {
    let body = Bytes::from(format!("{{\"id\":\"{name}\",\"v\":{version}}}"));
    RowWrite { row: narrow(name, version), remembered: Some(Remembered { key: Key::from(name), body }) }
}

/// An event of the item `name`, in the lane of that item, to the sinks `to`.
fn event(name: &str, sequence: u64, to: &[&str]) -> NewEvent {
    let lane = Lane(key(name).0);
    let deliver = |sink: &&str| NewDelivery {
        sink: SinkName::from(*sink),
        lane: Some(lane),
        body: None,
        wire: Wire::Json,
        dead: None,
    };
    NewEvent {
        id: EventId::from(format!("evt_{name}_{sequence}").as_str()),
        key: Key::from(name),
        change: Change::Updated,
        sequence,
        at: at(i64::try_from(sequence).expect("small")),
        kind: "orders.updated".into(),
        body: Bytes::from(format!("{{\"key\":\"{name}\",\"sequence\":{sequence}}}")),
        deliveries: to.iter().map(deliver).collect(),
    }
}

fn changes(rows: Vec<RowWrite>, events: Vec<NewEvent>) -> PollChanges {
    PollChanges { rows, events, ..PollChanges::default() }
}

/// A complete poll that ends at `sequence`.
fn complete(sequence: u64) -> PollEnding {
    let scope = ScopeState {
        sequence,
        baseline: true,
        seal: Some(seal()),
        fingerprints: Some(prints()),
        ..ScopeState::default()
    };
    PollEnding { outcome: PollOutcome::Complete, at: at(0), scope }
}

fn room(count: usize) -> Room {
    Room::from([(crm(), count)])
}

async fn adopt(store: &dyn Store) {
    store.adopt(&[job()], &[crm(), SinkName::from("erp")], at(0)).await.expect("adopted");
}

async fn claim(store: &dyn Store) -> PollTicket {
    store.claim_poll(&job(), at(0)).await.expect("no error").expect("not claimed")
}

/// Commits one complete poll; the tickets that it hands over.
async fn commit(store: &dyn Store, rows: Vec<RowWrite>, events: Vec<NewEvent>, rooms: usize) -> Vec<DeliveryTicket> {
    let ticket = claim(store).await;
    let before = ticket.scopes.get(&Scope::default()).map_or(0, |scope| scope.sequence);
    let ending = complete(before + events.len() as u64);
    store.commit_poll(ticket, changes(rows, events), ending, &room(rooms)).await.expect("committed")
}

fn trace() -> Trace {
    let phases = Phases { dns: Some(1500), first_byte: Some(12_000), total: 20_000, ..Phases::default() };
    let headers = [("webhook-id", "evt_1"), ("x", "a"), ("x", "b")];
    Trace { phases, headers: SentHeaders::new(headers.map(|(name, value)| (name, value.into()))) }
}

fn attempt(number: u32, at: Timestamp, status: u16) -> Attempt {
    let answer = Answer::Status { status, retry_after: None, excerpt: format!("answer {status}") };
    Attempt { number, at, took: Duration::from_millis(20), answer, trace: trace() }
}

fn sent(tickets: &[DeliveryTicket]) -> Vec<String> {
    tickets.iter().map(|ticket| ticket.parcel.event.to_string()).collect()
}
