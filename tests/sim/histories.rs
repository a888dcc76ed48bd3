//! Random histories, played: ten thousand in the normal suite. What fails is kept as a seed beside this file.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use doorbell::core::hold::{Answer, Hold};
use doorbell::core::view::PollReport;
use proptest::prelude::*;
use proptest::test_runner::{Config as Settings, FileFailurePersistence, TestCaseError, TestRunner};

use crate::fold::{Checked, Fold, Served};
use crate::house::{House, Shelf};
use crate::plan::{Fault, Kind, Plan, Revision, Step, Style, holding, plan, reserved, scoped};
use crate::vendor::Vendor;
use crate::written::{Wording, written};

/// Histories that share a state: a new file costs more than one of them.
const SHARED: u32 = 50;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// After so long the next poll asks past its cursor, and the vendor is asked again for what it did not list.
const LONG: Duration = Duration::from_secs(25 * 3600);

/// Polls after which everything has been said at the latest.
const ROUNDS_MAX: u32 = 20;

/// Polls that say nothing, after which none will: one more than it takes a new value to persist.
const QUIET: u32 = 3;

/// So many deletions at once are never held.
const FREE: u64 = 10;

/// Plays as many histories of these kinds.
pub(crate) fn play(cases: u32, plans: impl Strategy<Value = Plan>) {
    let settings = Settings {
        cases,
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("seeds"))),
        max_shrink_iters: 2_000,
        ..Settings::default()
    };
    let shared = RefCell::new((Rc::new(Shelf::new()), 0));
    let outcome = TestRunner::new(settings).run(&plans, |plan| {
        let mut shared = shared.borrow_mut();
        if shared.1 == SHARED {
            *shared = (Rc::new(Shelf::new()), 0);
        }
        shared.1 += 1;
        let name = format!("orders_{}", shared.1);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(live(shared.0.clone(), name, plan))
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// A history that is played.
struct Game {
    plan: Plan,
    name: String,
    vendor: Arc<Vendor>,
    house: House,
    /// One for each scope.
    folds: Vec<Fold>,
    wording: Wording,
    /// A part of a silent baseline was read.
    begun: bool,
    /// The selection of the last baseline that was read whole, or is told.
    baseline: Option<(bool, u32)>,
    /// What the last poll held.
    held: Option<Hold>,
    /// What a person has let go, until a poll has made use of it.
    approved: Option<Hold>,
    /// What was read of a baseline that is not whole, of each scope, and of which selection.
    parts: Vec<Served>,
    parts_of: (bool, u32),
    /// The last poll was a part that a person had accepted as the baseline.
    accepted: bool,
}

async fn live(shelf: Rc<Shelf>, name: String, plan: Plan) -> Checked {
    let vendor = Arc::new(Vendor::new(&plan));
    vendor.edit(&plan.at_first);
    let wording = Wording::first(&plan);
    let first = written(&plan, &name, &wording);
    let house = House::new(shelf, vendor.clone(), &name, first).await;
    let (rules, steps) = (plan.rules, plan.steps.clone());
    let accounts = plan.manner.accounts;
    let folds = (0..accounts).map(|account| Fold::new(account, plan.manner, rules)).collect();
    let mut game = Game {
        plan,
        name,
        vendor,
        house,
        folds,
        wording,
        begun: false,
        baseline: None,
        held: None,
        approved: None,
        parts: vec![Served::default(); usize::from(accounts)],
        parts_of: (false, 0),
        accepted: false,
    };
    for step in steps {
        game.step(step).await?;
    }
    game.list(vec![true; game.folds.len()]).await;
    game.catch_up().await?;
    game.settle().await?;
    game.check(Fold::check)?;
    game.vendor.edit_all();
    game.settle().await?;
    game.check(Fold::check_all)?;
    game.check_stored().await?;
    game.house.stop().await;
    Ok(())
}

impl Game {
    async fn step(&mut self, step: Step) -> Checked {
        match step {
            Step::Edits(edits) => self.vendor.edit(&edits),
            Step::Poll(faults) => drop(self.poll(&faults).await?),
            Step::Look => self.look().await?,
            Step::Restart => self.house.restart().await,
            Step::Reopen { dies } => self.house.reopen(dies).await,
            Step::Revise(revision) => self.revise(&revision).await,
            Step::Detour { by_key, faults } => {
                let (was, is) = (self.wording.asked_anew, if by_key { Revision::Key } else { Revision::Request });
                self.revise(&is).await;
                self.poll(&faults).await?;
                if by_key {
                    self.revise(&Revision::Key).await;
                } else {
                    self.wording.asked_anew = was;
                    self.revise(&Revision::Schedule).await;
                }
            }
            Step::Accept { by_key, failing } => {
                self.revise(&if by_key { Revision::Key } else { Revision::Request }).await;
                self.poll(&[(failing[0], Fault::Refused)]).await?;
                self.answer(true).await?;
                self.poll(&[(failing[1], Fault::Refused)]).await?;
            }
            Step::Scopes(listed) => self.list(listed).await,
            Step::Answer { approve } => self.answer(approve).await?,
        }
        Ok(())
    }

    /// Holds every scope's receiver against the vendor.
    fn check(
        &self,
        check: impl Fn(&Fold, &std::collections::BTreeMap<String, serde_json::Value>) -> Checked,
    ) -> Checked {
        self.folds.iter().zip(0..).try_for_each(|(fold, account)| check(fold, &self.vendor.holds(account, self.key())))
    }

    /// The state holds the events that were told, and no other.
    async fn check_stored(&self) -> Checked {
        for (fold, account) in self.folds.iter().zip(0..) {
            let stored = self.house.events(account).await;
            prop_assert_eq!(stored.len(), fold.events());
            prop_assert!(stored.iter().zip(1..).all(|(event, number)| event.sequence == number), "{:?}", stored);
        }
        Ok(())
    }

    /// Nothing happens any more, all is read often enough to be seen, and all that is held is let go.
    async fn settle(&mut self) -> Checked {
        let mut quiet = 0;
        for _ in 0..ROUNDS_MAX {
            self.house.wait(LONG);
            let report = self.poll(&[]).await?.expect("nobody died");
            let is_whole = matches!(report.outcome.as_str(), "complete" | "unchanged");
            prop_assert!(is_whole, "{}: {:?}", report.outcome, report.reason);
            quiet = if report.events.is_empty() && report.held.is_none() { quiet + 1 } else { 0 };
            if quiet == QUIET {
                return Ok(());
            }
            if report.held.is_some() {
                self.answer(true).await?;
            }
        }
        prop_assert!(false, "it never comes to rest");
        Ok(())
    }

    async fn poll(&mut self, faults: &[(usize, Fault)]) -> Result<Option<PollReport>, TestCaseError> {
        self.house.wait(MINUTE);
        self.vendor.prepare(faults);
        let report = self.house.poll(true).await;
        match &report {
            Some(report) => {
                self.check_held(report)?;
                self.take(report)?;
                self.check_deleted(report, faults)?;
            }
            None => self.recover().await?,
        }
        Ok(report)
    }

    /// Scopes that had ended before the daemon died have told what they found.
    async fn recover(&mut self) -> Checked {
        let died = self.vendor.last_asked();
        for (fold, account) in self.folds.iter_mut().zip(0..).filter(|(_, account)| *account != died) {
            let mut missed = Vec::new();
            for event in self.house.events(account).await.into_iter().skip(fold.events()) {
                missed.push(self.house.event(&event.id).await);
            }
            let key = if self.wording.by_name { "name" } else { "id" };
            let served = self.vendor.served(account, key);
            fold.sight(&served, false);
            fold.take_all(&missed, &served)?;
        }
        Ok(())
    }

    /// A person answers what is held, if anything is.
    async fn answer(&mut self, approve: bool) -> Checked {
        let answer = if approve { Answer::Approved } else { Answer::Rejected };
        let answered = self.house.answer(answer).await;
        let waits = self.held.as_ref().is_some_and(|held| held.takes(answer));
        // Of a scope that ended before the daemon died there was no report.
        let is_known = self.folds.len() == 1;
        prop_assert!(!is_known || answered.is_some() == waits, "{:?} of {:?}", answered, self.held);
        if answered.is_some() {
            self.approved = answered.filter(|_| approve);
        }
        Ok(())
    }

    /// A poll says no more than it may, and of what is held nothing.
    fn check_held(&mut self, report: &PollReport) -> Checked {
        let told = report.events.len() as u64;
        let deletions = report.events.iter().filter(|event| event.change == "deleted").count() as u64;
        let approved = self.approved.clone().unwrap_or_default();
        let one_scope = self.folds.len() == 1;
        if let Some(max) = self.plan.manner.max_events.filter(|_| one_scope && !report.baseline) {
            prop_assert!(told <= max.max(approved.events) + approved.deletions, "{} are too many", told);
        }
        let is_mass = deletions > FREE && deletions * 5 > self.folds[0].items();
        if one_scope && is_mass {
            prop_assert!(deletions <= approved.deletions.max(approved.events), "{} deletions at once", deletions);
        }
        self.accepted = approved.baseline && report.outcome == "partial";
        self.approved = self.approved.take().filter(|_| {
            let stays = |held: &Hold| held.answer == Some(Answer::Approved);
            report.held.as_ref().is_some_and(stays)
        });
        let before = std::mem::replace(&mut self.held, report.held.clone());
        if report.outcome == "failed" && one_scope {
            let what = |held: Option<Hold>| held.map(|held| Hold { answer: None, ..held });
            prop_assert_eq!(what(before), what(report.held.clone()), "a poll that fails changes nothing of it");
        }
        Ok(())
    }

    /// What is said to be gone is gone, unless the list was another while it was read; who asks the vendor for each is
    /// not taken in by a list.
    fn check_deleted(&self, report: &PollReport, faults: &[(usize, Fault)]) -> Checked {
        let edited = faults.iter().any(|(_, fault)| matches!(fault, Fault::Edited(_)));
        if edited || (moves(faults) && !self.plan.manner.confirm) || self.folds.len() > 1 {
            return Ok(());
        }
        let holds = self.vendor.holds(0, self.key());
        let there = |key: &String| holds.contains_key(key);
        let lost = report.events.iter().find(|event| event.change == "deleted" && there(&event.key));
        prop_assert!(lost.is_none(), "it is there: {:?}", lost);
        Ok(())
    }

    /// Nothing happens any more: polls from the cursor alone find all that is there.
    async fn catch_up(&mut self) -> Checked {
        let moved = |step: &Step| matches!(step, Step::Poll(faults) if moves(faults));
        if !self.plan.cursor || self.plan.steps.iter().any(moved) {
            return Ok(());
        }
        for _ in 0..2 {
            self.poll(&[]).await?;
        }
        self.check(Fold::check_there)
    }

    fn take(&mut self, report: &PollReport) -> Checked {
        let is_silent = self.is_silent(report);
        if self.parts_of != self.selection() && report.items > 0 {
            self.parts.fill(Served::default());
            self.parts_of = self.selection();
        }
        for (fold, account) in self.folds.iter_mut().zip(0_u8..) {
            let key = if self.wording.by_name { "name" } else { "id" };
            let served = self.vendor.served(account, key);
            if !is_silent {
                let told = fold.events();
                fold.take(report, &served)?;
                let is_asked_for = self.wording.listed[usize::from(account)];
                prop_assert!(is_asked_for || fold.events() == told, "{} is no scope: {:?}", account, report.events);
                continue;
            }
            prop_assert!(report.events.is_empty(), "a baseline is silent: {:?}", report.events);
            let part = &mut self.parts[usize::from(account)];
            if report.outcome == "complete" {
                // A detail that is good still is not asked for again: what it is now shows only where that counts.
                fold.begin(&served, self.wording.rules, !self.begun && !self.plan.detail);
            } else {
                part.extend(served);
            }
            if self.accepted {
                fold.begin(part, self.wording.rules, false);
            }
        }
        let is_part = report.outcome == "partial" && report.items > 0;
        if is_silent && (report.outcome == "complete" || self.accepted) {
            (self.begun, self.baseline) = (false, Some(self.selection()));
        } else if is_silent {
            self.begun |= is_part;
        } else if report.outcome == "complete" || is_part {
            self.baseline = self.baseline.or(Some(self.selection()));
        }
        Ok(())
    }

    /// A new selection begins with a silent baseline. One that was edited and edited back goes on as if nothing had been,
    /// unless a part of the other's baseline was read meanwhile: then it has to begin anew, too. With `first = "emit"` the
    /// very first is told.
    fn is_silent(&self, report: &PollReport) -> bool {
        let is_first = self.plan.emit && self.baseline.is_none();
        !is_first && (self.baseline != Some(self.selection()) || (self.begun && report.baseline))
    }

    fn selection(&self) -> (bool, u32) {
        (self.wording.by_name, self.wording.asked_anew)
    }

    /// Polls that find the same give the same ids, and one that is only a look keeps nothing.
    async fn look(&mut self) -> Checked {
        self.vendor.prepare(&[]);
        let one = self.house.poll(false).await.expect("nobody died");
        self.vendor.prepare(&[]);
        let two = self.house.poll(false).await.expect("nobody died");
        self.vendor.prepare(&[]);
        let real = self.house.poll(true).await.expect("nobody died");
        let found = |report: &PollReport| {
            report.events.iter().map(|event| (event.id.clone(), event.body.get().to_owned())).collect::<Vec<_>>()
        };
        prop_assert_eq!(found(&one), found(&two));
        prop_assert_eq!(found(&one), found(&real));
        self.check_held(&real)?;
        self.take(&real)
    }

    async fn revise(&mut self, revision: &Revision) {
        match revision {
            Revision::Rules(rules) => {
                self.wording.rules = *rules;
                self.folds.iter_mut().for_each(|fold| fold.revise(*rules));
            }
            Revision::Schedule => self.wording.every += 1,
            Revision::Key => self.wording.by_name = !self.wording.by_name,
            Revision::Request => self.wording.asked_anew += 1,
        }
        self.rewrite().await;
    }

    /// These accounts are the scopes from now on.
    async fn list(&mut self, listed: Vec<bool>) {
        if self.wording.listed != listed {
            self.wording.listed = listed;
            self.rewrite().await;
        }
    }

    async fn rewrite(&mut self) {
        self.house.revise(written(&self.plan, &self.name, &self.wording)).await;
    }

    fn key(&self) -> &'static str {
        if self.wording.by_name { "name" } else { "id" }
    }
}

/// A list that is edited while it is read, says for once that it is empty, or is counted with items that repeat, may
/// hide what is there.
fn moves(faults: &[(usize, Fault)]) -> bool {
    faults.iter().any(|(_, fault)| matches!(fault, Fault::Edited(_) | Fault::Empty | Fault::Again { .. }))
}

#[test]
fn s8_a_fold_of_the_events_is_the_vendors_state_over_lists_that_are_counted() {
    play(1_300, plan(Kind::of(&[Style::Single, Style::Page, Style::Offset])));
}

#[test]
fn s8_a_fold_of_the_events_is_the_vendors_state_over_lists_that_lead_on() {
    play(1_300, plan(Kind::of(&[Style::Token, Style::NextUrl, Style::Link, Style::LastKey])));
}

#[test]
fn s8_a_fold_of_the_events_is_the_vendors_state_with_a_cursor() {
    play(1_300, plan(Kind { cursor: true, ..Kind::of(&[Style::Single, Style::Page, Style::Token, Style::Link]) }));
}

#[test]
fn s8_a_fold_of_the_events_is_the_vendors_state_over_edits_of_the_config() {
    let styles = &[Style::Single, Style::Page, Style::Token, Style::Link, Style::LastKey];
    play(1_400, plan(Kind { revised: true, ..Kind::of(styles) }));
}

#[test]
fn s8_a_fold_of_the_events_is_the_vendors_state_once_a_person_has_let_go_what_was_held() {
    let styles = &[Style::Single, Style::Page, Style::Token, Style::Link];
    play(900, plan(Kind { ids: 24, manners: holding, ..Kind::of(styles) }));
}

#[test]
fn s8_a_fold_of_the_events_is_the_vendors_state_but_for_what_a_job_keeps_back() {
    let styles = &[Style::Single, Style::Page, Style::Token, Style::Link];
    play(1_300, plan(Kind { manners: reserved, ..Kind::of(styles) }));
}

#[test]
fn s8_a_fold_of_the_events_of_each_scope_is_the_vendors_state_of_that_scope() {
    let styles = &[Style::Single, Style::Page, Style::Token, Style::Link];
    play(1_200, plan(Kind { ids: 5, manners: scoped, ..Kind::of(styles) }));
}
