//! Random histories, played: ten thousand in the normal suite. What fails is kept as a seed beside this file.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use doorbell::core::config::Config;
use doorbell::core::view::PollReport;
use doorbell::store::Store;
use proptest::prelude::*;
use proptest::test_runner::{Config as Settings, FileFailurePersistence, TestCaseError, TestRunner};

use crate::fold::{Checked, Fold, TOLERANCE};
use crate::house::{House, config, folder, open};
use crate::plan::{Edit, Fault, Order, Plan, Revision, Rules, Step, Style, plan};
use crate::vendor::Vendor;

/// Histories that share a state: a new file costs more than one of them.
const SHARED: u32 = 50;

const MINUTE: Duration = Duration::from_secs(60);
/// After so long the next poll asks past its cursor.
const LONG: Duration = Duration::from_secs(25 * 3600);

/// A state, and how many histories were played over it.
struct Shared {
    store: Arc<dyn Store>,
    played: u32,
    _folder: tempfile::TempDir,
}

impl Shared {
    fn new() -> Self {
        let folder = folder();
        Self { store: open(folder.path()), played: 0, _folder: folder }
    }
}

/// Plays as many histories of these kinds.
fn play(cases: u32, plans: impl Strategy<Value = Plan>) {
    let settings = Settings {
        cases,
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("seeds"))),
        max_shrink_iters: 2_000,
        ..Settings::default()
    };
    let shared = RefCell::new(Shared::new());
    let outcome = TestRunner::new(settings).run(&plans, |plan| {
        let mut shared = shared.borrow_mut();
        if shared.played == SHARED {
            *shared = Shared::new();
        }
        shared.played += 1;
        let name = format!("orders_{}", shared.played);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(live(shared.store.clone(), name, plan))
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
    fold: Fold,
    rules: Rules,
    every: u32,
    by_name: bool,
    asked_anew: u32,
    /// A part of a silent baseline was read.
    begun: bool,
    /// The selection of the last silent baseline that was read whole.
    baseline: Option<(bool, u32)>,
}

async fn live(store: Arc<dyn Store>, name: String, plan: Plan) -> Checked {
    let vendor = Arc::new(Vendor::new(&plan));
    vendor.edit(&plan.at_first);
    let first = written(&plan, &name, plan.rules, 30, false, 0);
    let house = House::new(store, vendor.clone(), &name, first).await;
    let (rules, steps) = (plan.rules, plan.steps.clone());
    let fold = Fold::default();
    let mut game = Game {
        plan,
        name,
        vendor,
        house,
        fold,
        rules,
        every: 30,
        by_name: false,
        asked_anew: 0,
        begun: false,
        baseline: None,
    };
    game.fold.begin(&Default::default(), rules, true);
    for step in steps {
        game.step(step).await?;
    }
    game.catch_up().await?;
    game.settle().await?;
    game.fold.check(&game.vendor.holds(game.key()))?;
    game.vendor.edit_all();
    game.settle().await?;
    game.fold.check_all(&game.vendor.holds(game.key()))?;
    let stored = game.house.events().await;
    prop_assert_eq!(stored.len(), game.fold.events());
    prop_assert!(stored.iter().zip(1..).all(|((sequence, _), number)| *sequence == number), "{:?}", stored);
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
            Step::Revise(revision) => self.revise(&revision).await,
        }
        Ok(())
    }

    /// Nothing happens any more, and all is read often enough to be seen.
    async fn settle(&mut self) -> Checked {
        for round in 0..4 {
            self.house.wait(LONG);
            let report = self.poll(&[]).await?.expect("nobody died");
            let is_whole = matches!(report.outcome.as_str(), "complete" | "unchanged");
            prop_assert!(is_whole, "{}: {:?}", report.outcome, report.reason);
            prop_assert!(round < 3 || report.events.is_empty(), "still news: {:?}", report.events);
        }
        Ok(())
    }

    async fn poll(&mut self, faults: &[(usize, Fault)]) -> Result<Option<PollReport>, TestCaseError> {
        self.house.wait(MINUTE);
        self.vendor.prepare(faults);
        let report = self.house.poll(true).await;
        if let Some(report) = &report {
            self.take(report)?;
            self.check_deleted(report, faults)?;
        }
        Ok(report)
    }

    /// What is said to be gone is gone, unless the list was another while it was read.
    fn check_deleted(&self, report: &PollReport, faults: &[(usize, Fault)]) -> Checked {
        let holds = self.vendor.holds(self.key());
        let there = |key: &String| !moves(faults) && holds.contains_key(key);
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
        self.fold.check_there(&self.vendor.holds(self.key()))
    }

    fn take(&mut self, report: &PollReport) -> Checked {
        let served = self.vendor.served(self.key());
        if !self.is_silent(report) {
            return self.fold.take(report, &served);
        }
        prop_assert!(report.events.is_empty(), "a baseline is silent: {:?}", report.events);
        self.begun |= report.outcome == "partial";
        if report.outcome == "complete" {
            self.fold.begin(&served, self.rules, !self.begun);
            (self.begun, self.baseline) = (false, Some(self.selection()));
        }
        Ok(())
    }

    /// A new selection begins with a silent baseline. One that was edited and edited back goes on as if nothing had been,
    /// unless a part of the other's baseline was read meanwhile: then it may have to begin anew, too.
    fn is_silent(&self, report: &PollReport) -> bool {
        !self.plan.emit && (self.baseline != Some(self.selection()) || (self.begun && report.baseline))
    }

    fn selection(&self) -> (bool, u32) {
        (self.by_name, self.asked_anew)
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
        self.take(&real)
    }

    async fn revise(&mut self, revision: &Revision) {
        // A first poll that speaks is silent when it is a new one: which it is, is another test's business.
        let anew = !self.plan.emit;
        match revision {
            Revision::Rules(rules) => {
                self.rules = *rules;
                self.fold.revise(*rules);
            }
            Revision::Schedule => self.every += 1,
            Revision::Key if anew => self.by_name = !self.by_name,
            Revision::Request if anew => self.asked_anew += 1,
            Revision::Key | Revision::Request => return,
        }
        let text = written(&self.plan, &self.name, self.rules, self.every, self.by_name, self.asked_anew);
        self.house.revise(text).await;
    }

    fn key(&self) -> &'static str {
        if self.by_name { "name" } else { "id" }
    }
}

/// A list that is edited while it is read, says for once that it is empty, or is counted with items that repeat, may
/// hide what is there.
fn moves(faults: &[(usize, Fault)]) -> bool {
    faults.iter().any(|(_, fault)| matches!(fault, Fault::Edited(_) | Fault::Empty | Fault::Again { .. }))
}

/// The config of a history.
fn written(plan: &Plan, name: &str, rules: Rules, every: u32, by_name: bool, asked_anew: u32) -> Arc<Config> {
    let mut text = format!(
        "[job.{name}]\nurl = 'http://shop.example/orders'\nevery = '{every}d'\nitems = '$.data[*]'\nkey = '$.{}'\n\
         deletes = {{ after = {} }}\nsend_to = []\n",
        if by_name { "name" } else { "id" },
        plan.after
    );
    let (size, total) = (plan.size, if plan.total { ", total = '$.total'" } else { "" });
    let style = match plan.style {
        Style::Single => None,
        Style::Page => Some(format!("style = 'page', param = 'page', start = 1, size = {size}")),
        Style::Offset => Some(format!("style = 'offset', param = 'from', size = {size}")),
        Style::Token => Some("style = 'token', at = '$.next', param = 'from'".to_owned()),
        Style::NextUrl => Some("style = 'next_url', at = '$.next'".to_owned()),
        Style::Link => Some("style = 'link'".to_owned()),
        Style::LastKey => Some(format!("style = 'last_key', at = '$.id', param = 'after', size = {size}")),
    };
    text.extend(style.map(|style| format!("pages = {{ {style}{total} }}\n")));
    let mut query = vec![format!("v = '{asked_anew}'")];
    if plan.cursor {
        let full = if plan.after == 1 { "5m" } else { "1d" };
        text.push_str(&format!("cursor = {{ at = '$.at', start = '0', overlap = 8, full_every = '{full}' }}\n"));
        query.push("since = '{{ cursor }}'".to_owned());
    }
    text.push_str(&format!("query = {{ {} }}\n", query.join(", ")));
    let tolerance = format!("tolerance = {{ '$.price' = {TOLERANCE} }}\n");
    let lines = [
        (plan.emit, "first = 'emit'\n"),
        (rules.ignore, "ignore = ['$.noise']\n"),
        (rules.watch, "watch = ['$.id', '$.name', '$.v', '$.price', '$.tags', '$.lines']\n"),
        (rules.tolerance, &tolerance),
        (rules.unordered, "unordered = ['$.tags']\n"),
        (rules.arrays, "arrays = { '$.lines' = '$.sku' }\n"),
    ];
    text.extend(lines.iter().filter(|(is_on, _)| *is_on).map(|(_, line)| *line));
    config(&text)
}

#[test]
fn s8_a_fold_of_the_events_is_the_vendors_state_over_lists_that_are_counted() {
    play(2_500, plan(&[Style::Single, Style::Page, Style::Offset], false, false));
}

#[test]
fn s8_a_fold_of_the_events_is_the_vendors_state_over_lists_that_lead_on() {
    play(2_500, plan(&[Style::Token, Style::NextUrl, Style::Link, Style::LastKey], false, false));
}

#[test]
fn s8_a_fold_of_the_events_is_the_vendors_state_with_a_cursor() {
    play(2_500, plan(&[Style::Single, Style::Page, Style::Token, Style::Link], true, false));
}

#[test]
fn s8_a_fold_of_the_events_is_the_vendors_state_over_edits_of_the_config() {
    let styles = &[Style::Single, Style::Page, Style::Token, Style::Link, Style::LastKey];
    play(2_500, plan(styles, false, true));
}

#[test]
fn no_id_is_used_twice_though_the_keys_are_edited_there_and_back() {
    let put = || Step::Edits(vec![Edit::Put { id: 0, value: 0, late: false }]);
    let remove = Step::Edits(vec![Edit::Remove { id: 0 }]);
    let poll = || Step::Poll(Vec::new());
    let key = || Step::Revise(Revision::Key);
    let steps = vec![poll(), put(), poll(), key(), poll(), remove, poll(), key(), poll(), put(), poll()];
    let plan = Plan {
        style: Style::Single,
        order: Order::Id,
        size: 1,
        etags: false,
        total: false,
        cursor: false,
        emit: false,
        after: 1,
        rules: Rules::default(),
        at_first: Vec::new(),
        steps,
    };
    play(1, Just(plan));
}
