//! What a poll tells the person who asked for it: its requests, a few items, and the webhooks that go or would go.
//!
//! A poll that nobody asked for records nothing here but how its expressions failed, so that it costs nothing.

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::core::decide::{Decided, Phase};
use crate::core::delivery::NewDelivery;
use crate::core::extract::Item;
use crate::core::hold::Hold;
use crate::core::names::Key;
use crate::core::outcome::PollOutcome;
use crate::core::time::Timestamp;
use crate::core::view::{BodyView, ItemView, PollEventView, PollReport, RequestView};
use crate::source::{Body, Fetched, Recorder, Request};

/// Items that a report shows as examples.
const SAMPLE_ITEMS: usize = 3;

/// Events that a report shows in full.
const EVENTS_SHOWN_MAX: usize = 1_000;

/// Requests that a report shows.
const REQUESTS_SHOWN_MAX: usize = 1_000;

/// Failures of expressions that are told of one poll: an item more may fail in a way of its own.
const PROBLEMS_MAX: usize = 8;

/// Collects a report, or nothing.
#[derive(Debug, Default)]
pub(super) struct Trace {
    report: Option<Box<PollReport>>,
    recorder: Option<Box<Recorder>>,
    scope: Option<String>,
    /// A request was made.
    asked: bool,
    /// How its expressions failed, where some were tried.
    expressions: Option<BTreeSet<String>>,
}

/// Who asked for a poll.
pub(super) struct Asker {
    pub(super) reply: oneshot::Sender<PollReport>,
    /// To record it with.
    pub(super) recorder: Option<Box<Recorder>>,
}

impl Asker {
    /// Collects what this one wants to know.
    pub(super) fn trace(&mut self, job: &str, committed: bool) -> Trace {
        Trace { recorder: self.recorder.take(), ..Trace::on(job, committed) }
    }

    /// Tells how the poll went; whoever asked may have gone.
    pub(super) fn send(self, report: PollReport) {
        let _ = self.reply.send(report);
    }
}

/// A request that is on its way.
pub(super) struct OnItsWay {
    view: RequestView,
    /// The request, where it is recorded.
    request: Option<Request>,
    at: Timestamp,
}

impl Trace {
    /// Records nothing.
    pub(super) fn off() -> Self {
        Self::default()
    }

    /// Records a report of `job`'s poll.
    pub(super) fn on(job: &str, committed: bool) -> Self {
        let report = PollReport {
            job: job.to_owned(),
            committed,
            requests: Vec::new(),
            outcome: String::new(),
            reason: None,
            failure: None,
            baseline: false,
            items: 0,
            silent: 0,
            held: None,
            sample: Vec::new(),
            events: Vec::new(),
            events_total: 0,
            took_ms: 0,
            recording: None,
            unrecorded: None,
        };
        Self { report: Some(Box::new(report)), ..Self::default() }
    }

    /// What follows is of this scope.
    pub(super) fn enter(&mut self, scope: Option<String>) {
        self.scope = scope;
    }

    /// Notes a request before it is made.
    pub(super) fn asking(&self, request: &Request, at: Timestamp) -> Option<OnItsWay> {
        let view = RequestView {
            scope: self.scope.clone(),
            method: request.method.to_string(),
            url: request.url.shown().to_owned(),
            status: None,
            no_token: false,
            token_status: None,
            bytes: 0,
            took_ms: 0,
        };
        let request = self.recorder.as_ref().map(|_| request.clone());
        self.report.as_ref().map(|_| OnItsWay { view, request, at })
    }

    /// Does somebody wait for this request, as the first of a poll by hand?
    pub(super) fn insists(&mut self) -> bool {
        self.report.is_some() && !std::mem::replace(&mut self.asked, true)
    }

    /// Is all of it to be asked for, to be recorded?
    pub(super) fn records(&self) -> bool {
        self.recorder.is_some()
    }

    /// Notes how it went.
    pub(super) fn answered(&mut self, asked: Option<OnItsWay>, fetched: &Fetched) {
        let (Some(report), Some(asked)) = (&mut self.report, asked) else { return };
        if let (Some(recorder), Some(request)) = (&mut self.recorder, &asked.request) {
            recorder.note(request, asked.at, fetched);
        }
        let mut view = asked.view;
        view.took_ms = fetched.took.as_millis() as u64;
        match &fetched.result {
            Ok(answer) => {
                view.status = Some(answer.status);
                view.bytes = answer.body.as_ref().map_or(0, Body::len);
            }
            Err(failure) if failure.tokenless => (view.no_token, view.token_status) = (true, failure.status),
            Err(failure) => view.status = failure.status,
        }
        if report.requests.len() < REQUESTS_SHOWN_MAX {
            report.requests.push(view);
        }
    }

    /// Notes the items of one more page; the first of all are shown.
    pub(super) fn read(&mut self, items: &[Item]) {
        let Some(report) = &mut self.report else { return };
        report.items += items.len() as u64;
        let views = items.iter().take(SAMPLE_ITEMS - report.sample.len());
        report
            .sample
            .extend(views.filter_map(|item| Some(ItemView { key: item.key.to_string(), body: raw(&item.raw)? })));
    }

    /// Notes items that are what they were, and are not read.
    pub(super) fn passed(&mut self, items: u64) {
        if let Some(report) = &mut self.report {
            report.items += items;
        }
    }

    /// Is this item one of those that are shown?
    pub(super) fn shows(&self, key: &Key) -> bool {
        self.report.as_ref().is_some_and(|report| report.sample.iter().any(|item| item.key == key.as_str()))
    }

    /// Shows an item as its detail makes it, if it is shown.
    pub(super) fn detailed(&mut self, key: &Key, body: &[u8]) {
        let shown = self.report.iter_mut().flat_map(|report| &mut report.sample);
        let Some(shown) = shown.into_iter().find(|item| item.key == key.as_str()) else { return };
        if let Some(body) = raw(body) {
            shown.body = body;
        }
    }

    /// Notes what was decided, of all of the poll or of a part.
    pub(super) fn decided(&mut self, decided: &Decided, phase: Phase) {
        if !decided.events.is_empty() {
            let problems = self.expressions.get_or_insert_default();
            for problem in &decided.problems {
                if problems.len() < PROBLEMS_MAX && !problems.contains(problem) {
                    problems.insert(problem.clone());
                }
            }
        }
        let Some(report) = &mut self.report else { return };
        report.baseline = phase != Phase::Watching;
        report.silent += decided.silent;
        report.events_total += decided.events.len() as u64;
        let events = decided.events.iter().take(EVENTS_SHOWN_MAX - report.events.len());
        let views = events.filter_map(|(_, event)| {
            Some(PollEventView {
                id: event.id.to_string(),
                key: event.key.to_string(),
                change: event.change.as_str().to_owned(),
                sinks: event.deliveries.iter().map(|delivery| delivery.sink.to_string()).collect(),
                body: raw(&event.body)?,
                bodies: event.deliveries.iter().filter_map(other_body).collect(),
            })
        });
        report.events.extend(views);
    }

    /// How the expressions of the job failed; `None`: nothing was told, so that none of them was tried.
    pub(super) fn expressions(&self) -> Option<&BTreeSet<String>> {
        self.expressions.as_ref()
    }

    /// Notes what waits for a person.
    pub(super) fn held(&mut self, hold: Option<&Hold>) {
        if let Some(report) = &mut self.report {
            report.held = hold.cloned();
        }
    }

    /// The report, once the poll has ended.
    pub(super) fn finish(self, outcome: &PollOutcome, began: Timestamp, took_ms: u64) -> Option<PollReport> {
        let mut report = self.report?;
        match self.recorder.map(|recorder| recorder.finish(&report.job, began)) {
            Some(Ok(recording)) => report.recording = Some(recording),
            Some(Err(why)) => report.unrecorded = Some(why),
            None => {}
        }
        report.outcome = outcome.as_str().to_owned();
        report.reason = outcome.reason().map(str::to_owned);
        if let PollOutcome::Failed(failure) = outcome {
            report.failure = Some(failure.kind);
            report.committed = false;
        }
        report.took_ms = took_ms;
        Some(*report)
    }
}

/// What a delivery sends, where that is not the event's own body.
fn other_body(delivery: &NewDelivery) -> Option<BodyView> {
    let body = delivery.body.as_ref()?;
    Some(BodyView {
        delivery: None,
        sink: delivery.sink.to_string(),
        content_type: delivery.wire.content_type().to_owned(),
        body: raw(body),
        reason: delivery.dead.clone(),
    })
}

fn raw(bytes: &[u8]) -> Option<Box<RawValue>> {
    RawValue::from_string(String::from_utf8(bytes.to_vec()).ok()?).ok()
}
