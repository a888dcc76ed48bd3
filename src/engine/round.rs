//! One round over one scope: page after page is asked for, recognised or read, and held against the ledger as it comes,
//! so that memory holds one page and 16 bytes for each key that was seen.
//!
//! It ends nothing itself: how the round ended goes back to [`crate::engine::poller`].

use std::sync::Arc;

use crate::core::blocks::Blocks;
use crate::core::cursor::{CursorState, Reach};
use crate::core::decide::{Decider, Phase, Start};
use crate::core::each::Combination;
use crate::core::hold::{Hold, Holding};
use crate::core::job::{Job, ListKind};
use crate::core::json::Json;
use crate::core::names::{Digest, Key, KeyDigest, Scope};
use crate::core::outcome::{Failure, PollOutcome};
use crate::core::page::{Ask, Leaf, Seen, Turn, Turner};
use crate::core::rules::Rules;
use crate::core::secret::Masked;
use crate::core::why::Observation;
use crate::engine::World;
use crate::engine::poller::{Mode, Poller};
use crate::engine::reading::{Reading, recognise};
use crate::engine::report::Trace;
use crate::engine::round::detail::Details;
use crate::source::{Answer, Gate, Request, first_page, next_page, page_fingerprint};
use crate::store::{PageSeal, PageSeals, PollChanges, PollTicket, ScopeState, Seal, StoreError};

mod commit;
mod compare;
mod cursor;
mod detail;
mod hold;
mod listed;

/// Keys that a scope's seals remember. Of a longer list, the pages beyond are read anew each time.
const SEALED_KEYS_MAX: usize = 100_000;

/// How a round ended.
pub(super) struct Ended {
    pub(super) outcome: PollOutcome,
    pub(super) tally: Tally,
    pub(super) act: Act,
    /// What waits for a person after it.
    pub(super) hold: Option<Box<Hold>>,
    /// What the list is recognised by once this is written.
    pub(super) blocks: Option<Blocks>,
}

/// What is to be written at its end.
pub(super) enum Act {
    /// Nothing: it was only a look.
    Nothing,
    /// How it ended, a seal whose validators were renewed, and what was seen and is not worth a transaction.
    Note(Option<(Scope, Seal)>, Option<(Scope, Vec<Observation>)>),
    /// The last transaction.
    Commit(Box<Last>),
}

/// What the last transaction writes.
pub(super) struct Last {
    pub(super) changes: PollChanges,
    pub(super) scope: ScopeState,
}

/// How much a poll read and said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) items: u64,
    pub(super) events: u64,
}

/// One poll of one scope.
pub(super) struct Round<'a> {
    poller: &'a Poller,
    world: &'a World,
    job: &'a Arc<Job>,
    place: &'a Combination,
    mode: Mode,
    /// All is asked for anew, whatever is known, so that a recording of it stands for itself.
    whole: bool,
    gate: Arc<dyn Gate>,
    start: Start,
    /// The scope as the poll found it.
    state: ScopeState,
    decider: Decider,
    turner: Option<Turner>,
    /// The cursor that this poll goes on from; none in a full poll.
    cursor: Option<Box<CursorState>>,
    reach: Reach,
    /// The cursor was tried, and is of no use.
    reads_anew: bool,
    seen: Seen,
    /// Items on the longest page so far.
    longest: u64,
    /// Of the keys that were seen, those whose rows were live before.
    live: u64,
    /// An item that stood on two pages and differed.
    twice: Option<Key>,
    /// A page was read that was not recognised.
    fresh: bool,
    /// What the pages will be recognised by.
    seals: PageSeals,
    sealed_keys: usize,
    /// There is a new one among those.
    sealed_anew: bool,
    /// The seal of the one answer of a list that has no pages.
    renewed: Option<Seal>,
    /// What parts of that answer will be recognised by.
    blocks: Option<Blocks>,
    /// A 304 stood for a page.
    relied: bool,
    /// Something was committed before the end.
    parts: bool,
    events: u64,
    /// What may not be said yet.
    holding: Holding,
    /// Of what is held, for who asks why.
    held: Vec<Observation>,
    /// What became of the details of its items.
    details: Details,
    /// The poll has more events than it may: it is only counted.
    over: bool,
}

/// A page that was read or recognised.
struct PageRead {
    leaf: Leaf,
    url: Masked,
    /// There was something on it that was not in the ledger as it is.
    news: bool,
    /// Why it can't be one more page of the list.
    circle: Option<String>,
}

/// What follows a page.
enum Next {
    Ask(Ask, Masked),
    /// The list was read to its end; or, when `early`, as far as there could be something new.
    End {
        early: bool,
    },
    Stop(String),
}

impl<'a> Round<'a> {
    /// Boxed: it is handed from step to step, and a future that holds it anew in each would be many times its size.
    pub(super) fn new(
        poller: &'a Poller,
        job: &'a Arc<Job>,
        place: &'a Combination,
        ticket: &PollTicket,
        mode: Mode,
        whole: bool,
        gate: Arc<dyn Gate>,
    ) -> Box<Self> {
        let scope = place.scope.clone();
        let state = ticket.scopes.get(&scope).cloned().unwrap_or_default();
        let kept = state.fingerprints.as_ref();
        let old_rules = kept.filter(|kept| kept.rules != job.fingerprints.rules);
        let start = Start {
            job: job.clone(),
            sinks: poller.sinks_of(job),
            uid: ticket.uid,
            sequence: state.sequence,
            phase: Phase::of(job, kept, state.baseline, state.mixed.is_some()),
            old_rules: old_rules.and_then(|kept| Rules::from_text(&kept.rules)),
            now: poller.world.clock.now(),
            settling: Arc::default(),
            dirty: Arc::default(),
            noted: (mode == Mode::Commit).then(|| poller.noted.clone()),
            scope,
        };
        Box::new(Self {
            poller,
            world: &poller.world,
            job,
            place,
            mode,
            whole,
            gate,
            decider: Decider::new(start.clone()),
            holding: Holding::new(job.hold_limits(), state.hold.clone(), state.items),
            held: Vec::new(),
            details: Details::default(),
            over: false,
            start,
            state,
            cursor: None,
            reach: Reach::default(),
            reads_anew: false,
            turner: job.pages.as_ref().map(|pages| Turner::new(pages, job.list)),
            seen: Seen::default(),
            longest: 0,
            live: 0,
            twice: None,
            fresh: false,
            seals: PageSeals::default(),
            sealed_keys: 0,
            sealed_anew: false,
            renewed: None,
            blocks: None,
            relied: false,
            parts: false,
            events: 0,
        })
    }

    /// Makes the round. An `Err` is our own failure: nothing was committed that is not whole.
    pub(super) async fn run(
        mut self: Box<Self>,
        ticket: &mut PollTicket,
        trace: &mut Trace,
    ) -> Result<Ended, StoreError> {
        if self.state.settling > 0 || self.state.dirty {
            self.recall_unfinished(ticket).await?;
        }
        self.cursor = self.kept_cursor();
        let job_name = Json::from(self.job.name.as_str());
        let cursor = match self.job.cursor.as_ref().map(|spec| spec.ask(self.cursor.as_deref())).transpose() {
            Ok(cursor) => cursor.unwrap_or_default(),
            Err(failure) => return self.without_cursor(failure, ticket, trace).await,
        };
        let place = self.place;
        let mut names = vec![("job", &job_name), ("cursor", &cursor)];
        names.extend(place.values.iter().map(|(name, value)| (name.as_str(), value)));
        let (spec, pages) = (&self.job.request, self.job.pages.as_ref());
        let first = match first_page(spec, pages, &names) {
            Ok(first) => first,
            Err(failure) => return self.without_cursor(failure, ticket, trace).await,
        };
        let mut request = first.clone();
        let outcome = loop {
            let number = self.turner.as_ref().map_or(1, |turner| turner.pages() + 1);
            let read = match self.page(ticket, request, trace).await? {
                Ok(read) => read,
                Err(failure) if number == 1 && failure.status == Some(cursor::GONE) => {
                    return self.without_cursor(failure, ticket, trace).await;
                }
                Err(failure) if number == 1 => return Ok(self.failed(failure)),
                Err(failure) => break PollOutcome::Partial(format!("page {number}: {failure}")),
            };
            if let Some(circle) = read.circle {
                break PollOutcome::Partial(circle);
            }
            let is_empty = read.leaf.items == 0;
            let (ask, from) = match self.turn(read) {
                Next::Ask(ask, from) => (ask, from),
                Next::Stop(reason) => break PollOutcome::Partial(reason),
                Next::End { early } => break self.whole(early),
            };
            self.relieve(ticket, trace).await?;
            let Some(pages) = pages else { break PollOutcome::Complete };
            request = match next_page(spec, pages, &names, &first, &ask, &from) {
                Ok(next) => next,
                Err(failure) => break PollOutcome::Partial(format!("after page {number}: {failure}")),
            };
            let print = page_fingerprint(&request, Some(pages));
            if self.turner.as_mut().is_some_and(|turner| !turner.asks(print)) {
                // Some vendors always name a next page: behind one that is empty, there is nothing more for now.
                if is_empty {
                    break self.whole(false);
                }
                let reason = format!("page {number} leads back to one that was read before: the list goes in a circle");
                break PollOutcome::Partial(reason);
            }
        };
        let outcome = match self.job.detail.is_some() || self.state.dirty {
            true => match Box::pin(self.finish_details(ticket, outcome, trace)).await? {
                Ok(outcome) => outcome,
                Err(failure) => return Ok(self.failed(failure)),
            },
            false => outcome,
        };
        self.hold_part(&outcome);
        match self.settle(ticket, &outcome, trace).await? {
            Ok(()) => self.end(ticket, outcome, trace).await,
            Err(failure) => Ok(self.failed(failure)),
        }
    }

    /// What polls before have left to this one: values that settle, and details that could not be had.
    async fn recall_unfinished(&mut self, ticket: &PollTicket) -> Result<(), StoreError> {
        let (store, scope) = (&self.world.store, &self.start.scope);
        let settling = store.settling(ticket, scope).await?.into_iter().collect();
        let dirty = store.dirty(ticket, scope).await?.into_iter().collect();
        (self.start.settling, self.start.dirty) = (Arc::new(settling), Arc::new(dirty));
        self.decider = Decider::new(self.start.clone());
        Ok(())
    }

    /// Ends the round without anything to read. What parts have committed stays; the next poll goes on from there.
    fn failed(self, failure: Failure) -> Ended {
        let act = if self.mode == Mode::Look { Act::Nothing } else { Act::Note(None, None) };
        let tally = Tally { items: self.seen.len(), events: self.events };
        Ended { outcome: PollOutcome::Failed(failure), tally, act, hold: self.state.hold, blocks: None }
    }

    /// Asks for one page, and takes in what it holds.
    async fn page(
        &mut self,
        ticket: &mut PollTicket,
        request: Request,
        trace: &mut Trace,
    ) -> Result<Result<PageRead, Failure>, StoreError> {
        let print = page_fingerprint(&request, self.job.pages.as_ref());
        if let Some(turner) = &mut self.turner {
            turner.asks(print);
        }
        let known = self.known(ticket, print).await?;
        // A header that leads on may be left out of a 304: one for a last page that is full may hide that it is the last
        // no more. One more item would change a page that is shorter than others.
        let leads_on = |known: &&PageSeal| match &self.job.pages {
            Some(pages) if pages.style.leads_by_header() => {
                known.leaf.next.is_some() || known.leaf.items < self.longest
            }
            _ => true,
        };
        let request = match known.as_ref().filter(|_| self.job.request.access.conditional).filter(leads_on) {
            Some(PageSeal { seal, .. }) => request.recalling(seal.etag.clone(), seal.last_modified.clone()),
            None => request,
        };
        let request = request.insisting(trace.insists());
        let asked = trace.asking(&request, self.world.clock.now());
        let fetched = self.world.fetcher.fetch(request.through(self.gate.clone())).await;
        trace.answered(asked, &fetched);
        if self.seen.is_empty() {
            // A change is seen when the answer is there, not when it was asked for.
            self.start.now = self.world.clock.now();
            self.decider.seen_at(self.start.now);
        }
        let answer = match fetched.result {
            Ok(answer) => answer,
            Err(failure) => return Ok(Err(failure)),
        };
        match recognise(&answer, known, print) {
            Reading::Unchanged(known, renewed) => Ok(Ok(self.pass(known, renewed, answer))),
            // Boxed, so that a poll that finds nothing new does not set the memory for it aside.
            Reading::Fresh(seal) => Box::pin(self.take_in(ticket, answer, seal, trace)).await,
        }
    }

    /// True when what is as it was in the last complete poll need not be read: unless everything has to be.
    fn recognises(&self) -> bool {
        let reads_all = self.whole
            || self.mode == Mode::Look
            || self.start.phase != Phase::Watching
            || self.start.old_rules.is_some();
        !(reads_all || self.state.gap || self.state.settling > 0 || self.state.dirty)
    }

    /// What this request's answer may be recognised by.
    async fn known(&self, ticket: &PollTicket, request: Digest) -> Result<Option<PageSeal>, StoreError> {
        if !self.recognises() {
            return Ok(None);
        }
        if self.turner.is_some() {
            return self.world.store.page(ticket, &self.start.scope, request).await;
        }
        let seal = self.state.seal.as_ref().filter(|seal| seal.request == request);
        Ok(seal.map(|seal| PageSeal { seal: seal.clone(), ..PageSeal::default() }))
    }

    /// Goes past a page that is what it was: what was stored of it stands for it.
    fn pass(&mut self, mut known: PageSeal, renewed: Option<Seal>, answer: Answer) -> PageRead {
        let is_304 = answer.body.is_none();
        self.reach.skip();
        self.relied |= is_304;
        let keys = known.keys.iter().filter(|key| !self.seen.contains(**key));
        self.live += keys.count() as u64;
        let circle = self.note_keys(&known.keys);
        self.sealed_keys += known.keys.len();
        let Some(pages) = &self.job.pages else {
            self.renewed = renewed;
            return PageRead { leaf: known.leaf, url: answer.url, news: false, circle: None };
        };
        let leaf = known.leaf.renewed(pages, &answer.headers, is_304);
        // A list that became longer or shorter behind a page that is what it was is not what it was.
        let turned = leaf.next.is_some() != known.leaf.next.is_some();
        self.fresh |= turned;
        self.sealed_anew |= turned;
        if renewed.is_none() && leaf == known.leaf {
            self.seals.keep.push(known.seal.request);
        } else {
            known.seal = renewed.unwrap_or(known.seal);
            known.leaf = leaf.clone();
            self.seals.put.push(known);
        }
        PageRead { leaf, url: answer.url, news: false, circle }
    }

    /// Notes the keys of a page; why it can't be one more page of the list.
    fn note_keys(&mut self, keys: &[KeyDigest]) -> Option<String> {
        self.seen.add(keys.iter().copied());
        self.turner.as_mut().and_then(|turner| turner.holds(keys).err())
    }

    /// Keeps what a page that was read will be recognised by.
    fn seal(&mut self, page: PageSeal) {
        if self.turner.is_none() {
            self.renewed = Some(page.seal);
        } else if self.sealed_keys + page.keys.len() <= SEALED_KEYS_MAX {
            self.sealed_keys += page.keys.len();
            self.sealed_anew = true;
            self.seals.put.push(page);
        }
    }

    /// What follows a page.
    fn turn(&mut self, read: PageRead) -> Next {
        let Some(turner) = &mut self.turner else { return Next::End { early: true } };
        let turn = turner.turn(&read.leaf);
        self.longest = self.longest.max(read.leaf.items);
        let until_known = self.job.pages.as_ref().is_some_and(|pages| pages.until_known);
        // After a gap what is known says nothing of what comes behind it.
        let stops = until_known
            && !self.whole
            && !read.news
            && !self.state.gap
            && self.state.settling == 0
            && self.start.phase == Phase::Watching;
        match turn {
            _ if stops => Next::End { early: true },
            Turn::On(ask) => Next::Ask(ask, read.url),
            Turn::End => Next::End { early: false },
            Turn::Stop(reason) => Next::Stop(reason),
        }
    }

    /// The outcome of a list that was read to its end.
    fn whole(&self, early: bool) -> PollOutcome {
        if let Some(key) = &self.twice {
            return PollOutcome::Partial(format!(
                "the item `{key}` stood on two pages and differed: the list changed while it was read, and the later \
                 one counts"
            ));
        }
        let total = self.turner.as_ref().filter(|_| !early).map(|turner| turner.check_total(self.seen.len()));
        match (total, self.lacks_cursor()) {
            (Some(Err(reason)), _) | (_, Some(reason)) => PollOutcome::Partial(reason),
            _ if self.fresh => PollOutcome::Complete,
            _ => PollOutcome::Unchanged,
        }
    }

    /// Decides what is missing, as far as the outcome lets it be said.
    async fn settle(
        &mut self,
        ticket: &PollTicket,
        outcome: &PollOutcome,
        trace: &mut Trace,
    ) -> Result<Result<(), Failure>, StoreError> {
        let scope = &self.start.scope;
        let tells_absence = self.job.list == ListKind::Complete || self.start.phase != Phase::Watching;
        if *outcome == PollOutcome::Complete && self.cursor.is_none() && tells_absence {
            self.decider.unsettle_unseen(|key| self.seen.contains(key));
        }
        // What a poll from a cursor did not bring is not gone.
        let rows = match outcome {
            _ if self.cursor.is_some() => return Ok(Ok(())),
            PollOutcome::Unchanged if self.state.missing > 0 => self.world.store.still_missing(ticket, scope).await?,
            PollOutcome::Complete if self.job.list == ListKind::Complete && self.live != self.state.items => {
                let seen = self.seen.take_sorted();
                self.world.store.missing(ticket, scope, seen).await?
            }
            PollOutcome::Complete | PollOutcome::Unchanged => {
                self.holding.deletions(0);
                return Ok(Ok(()));
            }
            _ => return Ok(Ok(())),
        };
        self.miss(ticket, rows, trace).await
    }
}
