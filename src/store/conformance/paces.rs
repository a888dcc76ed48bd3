//! How far vendors' limits are used up.

use crate::core::polite::{Kept, Owner, Spent};
use crate::store::conformance::{Bench, adopt, at};

fn shop() -> Owner {
    Owner::Vendor("shop".into())
}

fn orders() -> Owner {
    Owner::Job("shop".into())
}

fn kept(used: u64) -> Kept {
    let budget = Spent { start: at(0), used, credit: -3_000_000, at: at(5) };
    Kept { rate: Some((-7, at(4))), budget: Some(budget), not_before: Some(at(9)) }
}

pub(in crate::store) async fn what_was_used_survives_a_crash(bench: &mut impl Bench) {
    assert_eq!(bench.store().paces().await.unwrap(), []);
    bench.store().keep_paces(vec![(shop(), kept(1)), (orders(), Kept::default())]).await.unwrap();
    bench.store().keep_paces(vec![(shop(), kept(2))]).await.unwrap();
    bench.restart();
    adopt(bench.store()).await;
    let mut found = bench.store().paces().await.unwrap();
    found.sort_by_key(|(owner, _)| owner.clone());
    assert_eq!(found, [(shop(), kept(2)), (orders(), Kept::default())], "a vendor and a job may have one name");
}

pub(in crate::store) async fn a_limit_that_is_gone_is_not_kept(bench: &mut impl Bench) {
    let store = bench.store();
    store.keep_paces(vec![(shop(), kept(1))]).await.unwrap();
    let rate = Kept { rate: Some((1_000_000, at(1))), ..Kept::default() };
    store.keep_paces(vec![(shop(), rate)]).await.unwrap();
    assert_eq!(store.paces().await.unwrap(), [(shop(), rate)]);
}
