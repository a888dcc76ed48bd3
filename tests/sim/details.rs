//! Histories of lists that hold summaries: the vendor answers for each item by itself, with all its bad days in between.
//!
//! They are played as all others are: see [`crate::histories`].

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::Just;

use crate::histories::{MINUTE, play};
use crate::house::{House, Shelf};
use crate::kept::{kept, poll, put};
use crate::plan::{Edit, Fault, Kind, Manner, Plan, Step, Style, plan};
use crate::vendor::Vendor;
use crate::written::{Wording, written};

const HOUR: Duration = Duration::from_secs(3600);

/// Of lists in these styles.
fn detailed(styles: &'static [Style]) -> Kind {
    Kind { detail: true, ..Kind::of(styles) }
}

#[test]
fn s8_a_fold_of_the_events_is_the_vendors_state_over_details() {
    play(450, plan(detailed(&[Style::Single, Style::Page, Style::Token, Style::LastKey])));
}

#[test]
fn s8_a_fold_of_the_events_is_the_vendors_state_over_details_with_a_cursor() {
    play(450, plan(Kind { cursor: true, ..detailed(&[Style::Single, Style::Page, Style::Link]) }));
}

#[test]
fn s8_a_fold_of_the_events_is_the_vendors_state_over_details_and_edits_of_the_config() {
    play(450, plan(Kind { revised: true, ..detailed(&[Style::Single, Style::Page, Style::Token]) }));
}

#[test]
fn s2_what_lacks_its_detail_is_told_though_the_cursor_has_gone_past_it() {
    for fault in [Fault::Garbage, Fault::Refused] {
        let lacking = Step::Poll(vec![(1, fault)]);
        let steps = vec![put(0, 0), poll(), put(1, 0), put(2, 0), put(3, 0), lacking];
        let plain = kept(Style::Single, 1, true, Manner::PLAIN, steps);
        play(1, Just(Plan { cursor: true, detail: true, after: 2, ..plain }));
    }
}

#[test]
fn what_lacks_its_detail_and_is_gone_is_given_up_after_an_hour() {
    let plain = kept(Style::Single, 1, false, Manner::PLAIN, Vec::new());
    let at_first = vec![Edit::Put { id: 0, value: 0, late: false }];
    let plan = Plan { cursor: true, detail: true, after: 2, at_first, ..plain };
    let vendor = Arc::new(Vendor::new(&plan));
    vendor.edit(&plan.at_first);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let config = written(&plan, "orders", &Wording::first(&plan));
        let mut house = House::new(Rc::new(Shelf::new()), vendor.clone(), "orders", config).await;
        let put = Edit::Put { id: 1, value: 0, late: false };
        let history = [
            (None, MINUTE, vec![], "complete"),
            (Some(put), MINUTE, vec![(1, Fault::Refused)], "partial"),
            (Some(Edit::Remove { id: 1 }), MINUTE, vec![], "partial"),
            (None, HOUR - 2 * MINUTE, vec![], "partial"),
            (None, MINUTE, vec![], "complete"),
            (None, MINUTE, vec![], "unchanged"),
        ];
        for (edit, time, faults, outcome) in history {
            vendor.edit(edit.as_slice());
            house.wait(time);
            vendor.prepare(&faults);
            let report = house.poll(true).await.expect("nobody died");
            assert_eq!((report.outcome.as_str(), report.events.len()), (outcome, 0), "{:?}", report.reason);
        }
        house.stop().await;
    });
}
