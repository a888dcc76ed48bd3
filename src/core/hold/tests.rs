//! What is held, what an answer lets go, and what is held anew, as sentences.

use super::*;

const LIMITS: HoldLimits = HoldLimits { share: Share::percent(20), events: 1000 };

fn at(second: i64) -> Timestamp {
    Timestamp(second * 1000)
}

fn none() -> [&'static str; 0] {
    []
}

/// A poll of a list of 100 items that finds so many gone.
fn misses(kept: Option<Box<Hold>>, count: u64, second: i64) -> (Leave, Option<Box<Hold>>) {
    let mut holding = Holding::new(LIMITS, kept, 100);
    let leave = holding.deletions(count);
    if leave == Leave::Wait {
        holding.hold_deletions(count, none());
    }
    (leave, holding.end(true, at(second)))
}

fn answered(hold: Option<Box<Hold>>, answer: Answer) -> Option<Box<Hold>> {
    hold.map(|hold| Box::new(Hold { answer: Some(answer), ..*hold }))
}

#[test]
fn more_than_the_share_and_more_than_ten_are_held() {
    let leave = |count, items| Holding::new(LIMITS, None, items).deletions(count);
    assert_eq!(leave(10, 10), Leave::Go, "ten are never a mass");
    assert_eq!(leave(20, 100), Leave::Go, "just the share");
    assert_eq!(leave(21, 100), Leave::Wait);
    assert_eq!(leave(11, 54), Leave::Wait);
    assert_eq!(leave(11, 55), Leave::Go);
}

#[test]
fn what_is_held_stays_so_since_its_first_poll_until_it_is_answered() {
    let (leave, hold) = misses(None, 30, 1);
    assert_eq!((leave, hold.as_ref().map(|hold| (hold.deletions, hold.since))), (Leave::Wait, Some((30, at(1)))));
    let (_, more) = misses(hold.clone(), 40, 2);
    assert_eq!(more.as_ref().map(|hold| (hold.deletions, hold.since)), Some((40, at(1))));
    let (leave, rest) = misses(hold.clone(), 8, 2);
    assert_eq!((leave, rest), (Leave::Go, None), "a few by now");
    let mut longer = Holding::new(LIMITS, hold, 1000);
    assert_eq!(longer.deletions(30), Leave::Wait, "new items don't make the share of those that were there smaller");
}

#[test]
fn an_approval_is_a_ceiling() {
    let approved = answered(misses(None, 30, 1).1, Answer::Approved);
    assert_eq!(misses(approved.clone(), 30, 2), (Leave::Go, None));
    let (leave, again) = misses(approved, 31, 2);
    let again = again.expect("held again");
    assert_eq!((leave, again.since, again.answer), (Leave::Wait, at(2), None));
    assert!(again.rings());
}

#[test]
fn what_is_rejected_counts_anew() {
    let rejected = answered(misses(None, 30, 1).1, Answer::Rejected);
    assert!(!rejected.as_ref().expect("held").rings());
    assert_eq!(misses(rejected, 30, 2), (Leave::Never, None));
}

#[test]
fn a_poll_that_was_not_read_whole_leaves_an_answer_for_the_next() {
    let approved = answered(misses(None, 30, 1).1, Answer::Approved);
    assert_eq!(Holding::new(LIMITS, approved.clone(), 100).end(false, at(2)), approved);
}

/// A poll that finds so many events.
fn finds(kept: Option<Box<Hold>>, count: u64, second: i64) -> Option<Box<Hold>> {
    let mut holding = Holding::new(LIMITS, kept, 100);
    if count > holding.events_max() {
        holding.hold_events(count, ["a"]);
    }
    holding.end(true, at(second))
}

#[test]
fn too_many_events_are_held_and_an_answer_is_a_ceiling_for_them_too() {
    assert_eq!(finds(None, 1000, 1), None);
    let hold = finds(None, 1001, 1);
    assert_eq!(hold.as_ref().map(|hold| (hold.events, hold.since)), Some((1001, at(1))));
    let approved = answered(hold.clone(), Answer::Approved);
    assert_eq!(finds(approved.clone(), 1001, 2), None);
    assert!(finds(approved, 1002, 2).is_some_and(|hold| hold.rings() && hold.since == at(2)));
    let rejected = answered(hold, Answer::Rejected);
    assert_eq!(finds(rejected.clone(), 1001, 2), rejected, "quiet");
    assert!(finds(rejected.clone(), 1002, 2).is_some_and(|hold| hold.rings()), "there is more");
    assert_eq!(finds(rejected, 3, 2), None);
}

#[test]
fn a_baseline_that_is_not_whole_is_accepted_once() {
    let mut first = Holding::new(LIMITS, None, 0);
    assert!(!first.accepts_baseline());
    let hold = first.end(false, at(1));
    assert!(hold.as_ref().is_some_and(|hold| hold.baseline && !hold.rings() && !hold.takes(Answer::Rejected)));
    let mut next = Holding::new(LIMITS, answered(hold, Answer::Approved), 10);
    assert!(next.accepts_baseline());
    assert_eq!(next.end(false, at(2)), None);
}

#[test]
fn what_is_held_is_said_with_what_to_type() {
    let keys = (1..=3).map(|key| key.to_string()).collect();
    let hold = Hold { deletions: 12, of: 20, keys, ..Hold::default() };
    let said = "held: 12 deletions of 20 items (`1`, `2`, `3`, …); `doorbell approve orders` releases it, \
                `doorbell reject orders` keeps it back";
    assert_eq!(hold.sentence("orders"), said);
    let mut holding = Holding::new(LIMITS, None, 0);
    holding.hold_events(2000, (0..2000).map(|_| "k".repeat(1000)));
    let hold = holding.end(true, at(0)).expect("held");
    assert_eq!((hold.keys.len(), hold.keys[0].len()), (10, 100), "what is shown is bounded");
}
