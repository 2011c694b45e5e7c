//! What the fuzz targets found, as the shortest story that shows it.
#![allow(
    clippy::unwrap_used,
    reason = "a test may panic; clippy knows only functions marked as tests"
)]

use std::sync::Arc;
use std::time::Duration;

use keystead_core::{EcCurve, Jwk, KeySet, Lifecycle, Material, Schedule, SourceKind};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn key(n: u8) -> Jwk {
    let (x, y) = ([n; 32].into(), [n; 32].into());
    Jwk::new(None, None, Material::Ec { curve: EcCurve::P256, x, y }).unwrap()
}

/// Target `lifecycle`: a snapshot that holds an expired key as one on its way out was told as both
/// removing and adding it.
#[test]
fn an_expired_key_that_is_restored_on_its_way_out_neither_comes_nor_goes() {
    let schedule = Schedule::default().with_max_stale(Some(s(10))).with_removed_key_grace(s(100));
    let mut source = Lifecycle::new(SourceKind::Network, schedule, 0);
    source.on_fetched(s(0), KeySet::new([key(1), key(2)]), None);
    let leaving = [(Arc::new(key(2)), s(60)), (Arc::new(key(4)), s(60))];
    let change = source.restore(s(50), s(0), KeySet::new([key(3)]), leaving).unwrap();
    let all = |keys: &[Arc<Jwk>]| keys.iter().map(|key| Jwk::clone(key)).collect::<Vec<_>>();
    assert_eq!(all(source.keys().keys()), [key(3), key(2), key(4)]);
    assert_eq!(all(&change.removed), [key(1)]);
    assert_eq!(all(&change.added), [key(3), key(4)]);
    assert_eq!(all(&change.leaving), [key(2), key(4)]);
}
