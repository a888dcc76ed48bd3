//! Sealed secrets.

use crate::store::conformance::{Bench, adopt};

pub(in crate::store) async fn a_sealed_secret_survives_a_crash(bench: &mut impl Bench) {
    let (ours, other) = ([1; 16], [2; 16]);
    assert_eq!(bench.store().sealed(ours).await.unwrap(), None);
    bench.store().keep_sealed(ours, vec![1, 2, 3]).await.unwrap();
    bench.store().keep_sealed(other, vec![4]).await.unwrap();
    bench.store().keep_sealed(ours, vec![0, 255]).await.unwrap();
    bench.restart();
    adopt(bench.store()).await;
    assert_eq!(bench.store().sealed(ours).await.unwrap(), Some(vec![0, 255]), "the last one counts");
    assert_eq!(bench.store().sealed(other).await.unwrap(), Some(vec![4]));
}
