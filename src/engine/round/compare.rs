//! One page against the ledger: its items, their rows, and what became of those that are missing.
//!
//! What a difference means is decided in [`crate::core::decide`].

use std::collections::{BTreeMap, HashSet};

use crate::core::blocks::Blocks;
use crate::core::decide::{Decider, Differing};
use crate::core::extract::Item;
use crate::core::ledger::{Remembered, Row};
use crate::core::names::{Digest, KeyDigest};
use crate::core::outcome::Failure;
use crate::engine::poller::Mode;
use crate::engine::report::Trace;
use crate::engine::round::listed::{COMPARED_MAX, Items, Listed};
use crate::engine::round::{PageRead, Round};
use crate::source::Answer;
use crate::store::{Found, PageSeal, PollTicket, Seal, StoreError};

/// Rows that are read at once: some 80 bytes each.
const ROWS_MAX: usize = 100_000;

impl Round<'_> {
    /// A page that is not the last one known: items, differences, events.
    pub(super) async fn take_in(
        &mut self,
        ticket: &mut PollTicket,
        answer: Answer,
        seal: Seal,
        trace: &mut Trace,
    ) -> Result<Result<PageRead, Failure>, StoreError> {
        self.fresh = true;
        let url = answer.url.clone();
        let known = self.known_blocks();
        let Listed { keys, leaf, reach, mut items, passed, blocks } = match self.list(answer, known).await {
            Ok(listed) => listed,
            Err(failure) => return Ok(Err(failure)),
        };
        let mut news = false;
        let mut rows = self.rows_of_page(ticket, &items).await?.map(Vec::into_iter);
        loop {
            let (some, weight) = match items.next(self.job, &self.world.tasks).await {
                Ok(some) if some.is_empty() => break,
                Ok(some) => {
                    let weight = some.iter().map(|item| item.raw.len()).sum();
                    (some, weight)
                }
                Err(failure) => return Ok(Err(failure)),
            };
            trace.read(&some);
            let known = rows.as_mut().map(|rows| rows.by_ref().take(some.len()).collect());
            let compared = match self.job.detail.is_some() {
                true => self.compare_detailed(ticket, some, weight, trace).await?,
                false => self.compare(ticket, some, known, weight).await?,
            };
            match compared {
                Ok(new) => news |= new,
                Err(failure) => return Ok(Err(failure)),
            }
            self.relieve(ticket, trace).await?;
        }
        (self.reach, self.blocks) = (reach, blocks);
        self.live += passed;
        trace.passed(passed);
        let circle = self.note_keys(&keys);
        self.seal(PageSeal { seal, leaf: leaf.clone(), keys });
        Ok(Ok(PageRead { leaf, url, news, circle }))
    }

    /// The blocks by which parts of a list may be recognised; `None`: it is not read in blocks, for it has pages, which are
    /// recognised themselves, or details, or it is what came since a cursor.
    fn known_blocks(&self) -> Option<Blocks> {
        if self.mode == Mode::Look || self.turner.is_some() || self.job.detail.is_some() || self.job.cursor.is_some() {
            return None;
        }
        let known = self.poller.blocks.take(self.start.uid, &self.start.scope);
        Some(known.filter(|_| self.recognises()).unwrap_or_default())
    }

    /// The rows of a whole page that is held, in one read: keys are digests, so that the rows of any part of it are spread
    /// over all of the scope. `None` where parts are read by themselves: there is but one of them, or too much of it, or
    /// what was read may have become old.
    async fn rows_of_page(&self, ticket: &PollTicket, items: &Items) -> Result<Option<Vec<Option<Row>>>, StoreError> {
        let Items::Held(held) = items else { return Ok(None) };
        let held = held.as_slice();
        let is_one_read = (COMPARED_MAX + 1..=ROWS_MAX).contains(&held.len()) && self.seen.is_empty();
        if !is_one_read || self.job.detail.is_some() {
            return Ok(None);
        }
        Ok(Some(self.rows(ticket, held, &HashSet::new()).await?.rows))
    }

    /// Holds items of a page against the ledger, whose `rows` may have been read; true when one of them is not what it
    /// was.
    pub(super) async fn compare(
        &mut self,
        ticket: &PollTicket,
        mut items: Vec<Item>,
        rows: Option<Vec<Option<Row>>>,
        weight: usize,
    ) -> Result<Result<bool, Failure>, StoreError> {
        if self.over && !self.details.last {
            // What was decided of an item that comes again is forgotten, and it was counted.
            items.retain(|item| !self.seen.contains(item.key_digest));
        }
        let again = self.again(items.iter().map(|item| item.key_digest));
        let Found { rows, remembered: along } = match rows {
            Some(rows) => Found { rows, ..Found::default() },
            None => self.rows(ticket, &items, &again).await?,
        };
        let first = |row: &&Row| row.is_live() && !again.contains(&row.key);
        self.live += rows.iter().flatten().filter(first).count() as u64;

        let mut decider = self.lend();
        let examined = self.world.tasks.compute(weight, move || {
            let differing = decider.examine(&items, &rows);
            (decider, differing)
        });
        let (decider, differing) = examined.await;
        self.decider = decider;
        let mut differing = match differing {
            Ok(differing) => differing,
            Err(failure) => return Ok(Err(failure)),
        };
        if let Some(item) = differing.iter().find(|item| {
            item.is_news() && again.contains(&item.key.digest()) && !self.decider.has_counted(item.key.digest())
        }) {
            self.twice.get_or_insert_with(|| item.key.clone());
        }

        let news = differing.iter().any(Differing::is_news);
        self.recall(ticket, &mut differing).await?;
        let rows: Vec<Option<KeyDigest>> = differing.iter().map(|item| item.row.map(|row| row.key)).collect();
        let remembered = self.remembered(ticket, &rows, &again, along).await?;
        let mut decider = self.lend();
        let decided = self.world.tasks.compute(weight, move || {
            let verdict = decider.decide(differing, remembered);
            (decider, verdict)
        });
        let (decider, verdict) = decided.await;
        self.decider = decider;
        Ok(verdict.map(|()| news))
    }

    /// Which of these came before in this poll.
    pub(super) fn again(&self, keys: impl Iterator<Item = KeyDigest>) -> HashSet<KeyDigest> {
        keys.filter(|key| !self.details.last && self.seen.contains(*key)).collect()
    }

    /// What the ledger has of items: of one that comes again, as this poll has it.
    pub(super) async fn rows(
        &self,
        ticket: &PollTicket,
        items: &[Item],
        again: &HashSet<KeyDigest>,
    ) -> Result<Found, StoreError> {
        let asked: Vec<(KeyDigest, Digest)> = items.iter().map(|item| (item.key_digest, item.raw_digest)).collect();
        let mut found = self.world.store.rows(ticket, &self.start.scope, &asked).await?;
        if !again.is_empty() {
            let pending = self.decider.pending(again);
            for ((key, _), row) in asked.iter().zip(&mut found.rows) {
                *row = pending.get(key).map(|write| write.row).or(*row);
            }
        }
        Ok(found)
    }

    /// Gives items the new values that they had in the poll before, where those have to persist.
    async fn recall(&self, ticket: &PollTicket, differing: &mut [Differing]) -> Result<(), StoreError> {
        let settling = &self.start.settling;
        let mut items: Vec<&mut Differing> =
            differing.iter_mut().filter(|item| settling.contains_key(&item.key.digest())).collect();
        let keys: Vec<KeyDigest> = items.iter().map(|item| item.key.digest()).collect();
        let pending = self.world.store.pending(ticket, &self.start.scope, &keys).await?;
        items.iter_mut().zip(pending).for_each(|(item, pending)| item.pending = pending);
        Ok(())
    }

    /// The bodies last reported: of an item that comes again, by this poll. Those that came `along` with the rows are not
    /// asked for once more.
    pub(super) async fn remembered(
        &self,
        ticket: &PollTicket,
        rows: &[Option<KeyDigest>],
        again: &HashSet<KeyDigest>,
        mut along: BTreeMap<KeyDigest, Remembered>,
    ) -> Result<Vec<Option<Remembered>>, StoreError> {
        let keys: Vec<KeyDigest> = rows.iter().flatten().filter(|key| !along.contains_key(key)).copied().collect();
        let bodies = self.world.store.remembered(ticket, &self.start.scope, &keys).await?;
        along.extend(keys.into_iter().zip(bodies).filter_map(|(key, body)| Some((key, body?))));
        let pending = if again.is_empty() { Default::default() } else { self.decider.pending(again) };
        let body = |key: &Option<KeyDigest>| {
            let key = (*key)?;
            pending.get(&key).and_then(|write| write.remembered.clone()).or_else(|| along.get(&key).cloned())
        };
        Ok(rows.iter().map(body).collect())
    }

    /// The decider, for work that goes on elsewhere; it has to be put back.
    fn lend(&mut self) -> Decider {
        std::mem::replace(&mut self.decider, Decider::new(self.start.clone()))
    }
}
