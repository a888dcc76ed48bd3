//! How far vendors' limits are used up, a row for each vendor, and for each job that has limits of its own.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};

use crate::core::polite::{Kept, Owner, Spent};
use crate::core::time::Timestamp;
use crate::store::Paces;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::error::{Result, count, int};

#[async_trait]
impl Paces for SqliteStore {
    async fn paces(&self) -> Result<Vec<(Owner, Kept)>> {
        self.readers.read(paces).await
    }

    async fn keep_paces(&self, paces: Vec<(Owner, Kept)>) -> Result<()> {
        self.writer.write(0, move |db| paces.iter().try_for_each(|(owner, kept)| keep(db, owner, kept)), |_| {}).await
    }
}

fn paces(db: &Connection) -> Result<Vec<(Owner, Kept)>> {
    let mut select = db.prepare_cached(
        "SELECT kind, name, not_before, rate_credit, rate_at, budget_start, budget_used, budget_credit, budget_at \
         FROM pace ORDER BY kind, name",
    )?;
    let mut rows = select.query([])?;
    let mut paces = Vec::new();
    while let Some(row) = rows.next()? {
        let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
        if let Some(owner) = Owner::of(&kind, &name) {
            paces.push((owner, read(row)?));
        }
    }
    Ok(paces)
}

fn read(row: &Row<'_>) -> Result<Kept> {
    let moment = |index: usize| -> Result<Option<Timestamp>> { Ok(row.get::<_, Option<i64>>(index)?.map(Timestamp)) };
    let rate = match (row.get::<_, Option<i64>>(3)?, moment(4)?) {
        (Some(credit), Some(at)) => Some((credit, at)),
        _ => None,
    };
    let budget = match (moment(5)?, row.get::<_, Option<i64>>(6)?, row.get::<_, Option<i64>>(7)?, moment(8)?) {
        (Some(start), Some(used), Some(credit), Some(at)) => Some(Spent { start, used: count(used), credit, at }),
        _ => None,
    };
    Ok(Kept { rate, budget, not_before: moment(2)? })
}

fn keep(db: &Connection, owner: &Owner, kept: &Kept) -> Result<()> {
    let (rate, budget) = (kept.rate.unzip(), kept.budget);
    db.prepare_cached(
        "INSERT OR REPLACE INTO pace (kind, name, not_before, rate_credit, rate_at, budget_start, budget_used, \
         budget_credit, budget_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        owner.kind(),
        owner.name(),
        kept.not_before.map(|moment| moment.0),
        rate.0,
        rate.1.map(|moment| moment.0),
        budget.map(|spent| spent.start.0),
        budget.map(|spent| int(spent.used)),
        budget.map(|spent| spent.credit),
        budget.map(|spent| spent.at.0),
    ])?;
    Ok(())
}
