//! Histories that once failed, each as short as it can be.
//!
//! They are played as all others are: see [`crate::histories`].

use proptest::prelude::Just;

use crate::histories::play;
use crate::plan::{Edit, Fault, Manner, Order, Plan, Revision, Rules, Step, Style};

/// What a history that once failed did, and nothing else.
pub(crate) fn kept(style: Style, size: usize, emit: bool, manner: Manner, steps: Vec<Step>) -> Plan {
    Plan {
        style,
        order: Order::Id,
        size,
        etags: true,
        total: false,
        cursor: false,
        detail: false,
        emit,
        after: 1,
        ids: 7,
        rules: Rules::default(),
        manner,
        at_first: Vec::new(),
        steps,
    }
}

pub(crate) fn put(id: u8, value: u8) -> Step {
    Step::Edits(vec![Edit::Put { id, value, late: false }])
}

pub(crate) fn poll() -> Step {
    Step::Poll(Vec::new())
}

#[test]
fn no_id_is_used_twice_though_the_keys_are_edited_there_and_back() {
    let remove = Step::Edits(vec![Edit::Remove { id: 0 }]);
    let key = || Step::Revise(Revision::Key);
    let steps = vec![poll(), put(0, 0), poll(), key(), poll(), remove, poll(), key(), poll(), put(0, 0), poll()];
    play(1, Just(kept(Style::Single, 1, false, Manner::PLAIN, steps)));
}

#[test]
fn an_edit_that_was_read_in_part_and_taken_back_tells_nothing_that_nobody_had() {
    for (emit, by_key) in [(true, true), (true, false), (false, true)] {
        let detour = Step::Detour { by_key, faults: vec![(1, Fault::Refused)] };
        let steps = vec![put(0, 0), put(1, 0), put(2, 0), poll(), put(1, 3), detour, poll(), poll()];
        play(1, Just(kept(Style::Page, 2, emit, Manner::PLAIN, steps)));
    }
}

#[test]
fn what_a_poll_saw_in_part_is_not_forgotten_when_the_file_is_opened_again() {
    for dies in [false, true] {
        let part = Step::Poll(vec![(1, Fault::Refused)]);
        let steps = vec![put(0, 0), put(1, 0), poll(), put(0, 1), part, Step::Reopen { dies }, put(0, 0), poll()];
        play(1, Just(kept(Style::Page, 1, false, Manner::PLAIN, steps)));
    }
}

#[test]
fn the_report_of_a_poll_over_scopes_tells_what_each_of_them_holds() {
    let manner = Manner { accounts: 2, max_events: Some(1), ..Manner::PLAIN };
    play(1, Just(kept(Style::Single, 1, true, manner, vec![put(2, 0), put(0, 0), poll()])));
}

#[test]
fn a_part_of_what_is_held_that_has_no_event_of_its_own_counts_towards_what_has_to_persist() {
    let manner = Manner { settle: 2, max_events: Some(1), ..Manner::PLAIN };
    let part = Step::Poll(vec![(1, Fault::Refused)]);
    let steps = vec![put(0, 0), put(1, 0), poll(), poll(), put(0, 1), put(1, 1), part];
    play(1, Just(kept(Style::Page, 1, true, manner, steps)));
}

#[test]
fn what_a_person_has_let_go_is_told_as_far_as_a_poll_reads() {
    let manner = Manner { max_events: Some(1), ..Manner::PLAIN };
    let part = Step::Poll(vec![(1, Fault::Refused)]);
    let steps = vec![poll(), put(0, 0), put(1, 0), poll(), Step::Answer { approve: true }, part];
    play(1, Just(kept(Style::Page, 1, false, manner, steps)));
}
