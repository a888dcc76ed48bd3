//! How SQLite goes about the statements that must not grow slower with what is kept.

use super::{SqliteBench, bench};
use crate::store::sqlite::{bells, outbox, settle};

/// How SQLite goes about a statement.
fn plan(bench: &SqliteBench, sql: &str) -> Vec<String> {
    let (store, sql) = (bench.store.as_ref().unwrap(), format!("EXPLAIN QUERY PLAN {sql}"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let plan = runtime.block_on(store.readers.read(move |db| {
        let mut statement = db.prepare(&sql)?;
        let blanks = vec![rusqlite::types::Null; statement.parameter_count()];
        let rows = statement.query_map(rusqlite::params_from_iter(blanks), |row| row.get("detail"))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }));
    plan.unwrap()
}

#[test]
fn a_claim_reads_no_more_of_the_queue_than_it_takes() {
    let bench = bench();
    for sql in [outbox::DUE, outbox::NEXT_ATTEMPTS, outbox::NEXT_DUE, outbox::BEHIND, settle::FIRST_OF_LANE] {
        let plan = plan(&bench, sql);
        let sought = plan.iter().all(|step| step.starts_with("SEARCH delivery USING"));
        assert!(sought && plan.len() == 1, "{sql}: {plan:?}");
    }
}

#[test]
fn deaths_that_were_not_told_are_found_without_a_look_at_the_rest() {
    assert_eq!(plan(&bench(), bells::UNTOLD), ["SCAN delivery USING INDEX delivery_unrung"]);
}
