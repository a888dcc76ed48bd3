//! An outlet keeps to the rate that its receiver has consented to, where that is less than the sink's own.

use crate::core::bucket::Bucket;
use crate::core::units::{Per, Rate};
use crate::engine::outlet::Outlet;

impl Outlet {
    /// Takes over what the receiver allows, once its consent has come or is another. The attempts that are on their way
    /// by then count against it: it begins without a burst.
    pub(super) fn heed_allowed_rate(&mut self) {
        if !self.sink.handshake {
            return;
        }
        let allowed = self.world.sender.allowed_rate(&self.sink);
        if allowed == self.allowed {
            return;
        }
        self.allowed = allowed;
        let now = self.world.clock.now();
        let rate = lower(self.sink.rate, allowed);
        self.bucket = rate.map(|rate| Bucket::full(rate, now));
        if let Some(bucket) = self.bucket.as_mut().filter(|_| rate != self.sink.rate) {
            while bucket.take(now) {}
            tracing::info!(sink = %self.sink.name, per_minute = allowed, "the receiver's rate is kept");
        }
    }
}

/// The lower of the sink's rate and so many a minute.
fn lower(own: Option<Rate>, per_minute: Option<u32>) -> Option<Rate> {
    const MINUTE_MS: u128 = 60_000;
    let Some(allowed) = per_minute.map(|count| Rate { count, per: Per::Minute }) else { return own };
    let Some(own) = own else { return Some(allowed) };
    // A month has no length of its own, and is longer than anything that is compared with it here.
    let window = own.per.length().map_or(u128::MAX, |length| length.as_millis());
    let is_lower = window.saturating_mul(u128::from(allowed.count)) < MINUTE_MS.saturating_mul(u128::from(own.count));
    Some(if is_lower { allowed } else { own })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::units::parse_rate;

    #[test]
    fn the_lower_of_two_rates_counts() {
        let rate = |text: &str| Some(parse_rate(text).expect("a rate"));
        for (own, allowed, expected) in [
            (None, None, None),
            (rate("5/s"), None, rate("5/s")),
            (None, Some(120), rate("120/m")),
            (rate("5/s"), Some(120), rate("120/m")),
            (rate("1/s"), Some(120), rate("1/s")),
            (rate("2/s"), Some(120), rate("2/s")),
            (rate("1000/mo"), Some(1), rate("1000/mo")),
        ] {
            assert_eq!(lower(own, allowed), expected, "{own:?} {allowed:?}");
        }
    }
}
