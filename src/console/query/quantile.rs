//! Quantiles from histogram buckets, explicit or exponential alike. Pure; called by `range`.

use crate::console::model::{Explicit, Exponential};

/// How many values fell within (lower, upper]; fractions arise where an interval is shared between steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    /// Lower bound; minus infinity for the first explicit bucket.
    pub(crate) lower: f64,
    /// Upper bound; infinity for the last explicit bucket.
    pub(crate) upper: f64,
    /// Values.
    pub(crate) count: f64,
}

/// The `q` quantile (0..=1), linear within a bucket. Like Prometheus: in the open last bucket its lower bound, in an
/// open first bucket from 0 when its bound is positive, else its upper bound. None without values.
pub(crate) fn quantile(q: f64, buckets: &[Bucket]) -> Option<f64> {
    let mut sorted: Vec<Bucket> = buckets.iter().copied().filter(|b| b.count > 0.0).collect();
    sorted.sort_by(|a, b| a.upper.total_cmp(&b.upper).then(a.lower.total_cmp(&b.lower)));
    let total: f64 = sorted.iter().map(|b| b.count).sum();
    let rank = q.clamp(0.0, 1.0) * total;
    let mut below = 0.0;
    for (index, bucket) in sorted.iter().enumerate() {
        let last = index + 1 == sorted.len();
        if below + bucket.count < rank && !last {
            below += bucket.count;
            continue;
        }
        if bucket.upper.is_infinite() {
            return bucket.lower.is_finite().then_some(bucket.lower);
        }
        if bucket.lower.is_infinite() && bucket.upper <= 0.0 {
            return Some(bucket.upper);
        }
        let lower = if bucket.lower.is_infinite() { 0.0 } else { bucket.lower };
        let share = ((rank - below) / bucket.count).clamp(0.0, 1.0);
        return Some(lower + (bucket.upper - lower) * share);
    }
    None
}

/// Increase of explicit buckets; `before` none for the whole. None when buckets cannot be compared or went down.
#[allow(clippy::cast_precision_loss, reason = "quantiles are estimates")]
pub(crate) fn explicit(now: &Explicit, before: Option<&Explicit>) -> Option<Vec<Bucket>> {
    if before.is_some_and(|b| b.bounds != now.bounds || b.counts.len() != now.counts.len()) {
        return None;
    }
    let mut buckets = Vec::with_capacity(now.counts.len());
    for (index, count) in now.counts.iter().enumerate() {
        let grown = count.checked_sub(before.map_or(0, |b| b.counts[index]))?;
        let lower = if index == 0 { f64::NEG_INFINITY } else { now.bounds[index - 1] };
        let upper = now.bounds.get(index).copied().unwrap_or(f64::INFINITY);
        if grown > 0 {
            buckets.push(Bucket { lower, upper, count: grown as f64 });
        }
    }
    Some(buckets)
}

/// Buckets by index at a coarser scale: each step down halves the resolution.
fn rescaled(offset: i32, counts: &[u64], shift: u32) -> std::collections::BTreeMap<i64, u64> {
    let mut map = std::collections::BTreeMap::new();
    for (index, count) in (i64::from(offset)..).zip(counts) {
        if *count > 0 {
            let slot: &mut u64 = map.entry(index >> shift).or_default();
            *slot = slot.saturating_add(*count);
        }
    }
    map
}

/// Increase of exponential buckets; `before` none for the whole. None when a bucket went down.
#[allow(clippy::cast_precision_loss, reason = "quantiles are estimates")]
pub(crate) fn exponential(now: &Exponential, before: Option<&Exponential>) -> Option<Vec<Bucket>> {
    let scale = before.map_or(now.scale, |b| b.scale.min(now.scale));
    let shift = |h: &Exponential| h.scale.abs_diff(scale).min(62);
    let grown = |now: std::collections::BTreeMap<i64, u64>, before: std::collections::BTreeMap<i64, u64>| {
        before.keys().all(|index| now.contains_key(index)).then_some(())?;
        let less =
            |(index, count): (i64, u64)| Some((index, count.checked_sub(before.get(&index).copied().unwrap_or(0))?));
        now.into_iter().map(less).collect::<Option<Vec<_>>>()
    };
    let positive = |h: &Exponential| rescaled(h.positive_offset, &h.positive, shift(h));
    let negative = |h: &Exponential| rescaled(h.negative_offset, &h.negative, shift(h));
    let up = grown(positive(now), before.map(positive).unwrap_or_default())?;
    let down = grown(negative(now), before.map(negative).unwrap_or_default())?;
    let zero = now.zero_count.checked_sub(before.map_or(0, |b| b.zero_count))?;
    let bound = |index: i64| (index as f64 * (-f64::from(scale)).exp2()).exp2();
    let up = up.into_iter().map(|(i, n)| Bucket { lower: bound(i), upper: bound(i + 1), count: n as f64 });
    let down = down.into_iter().map(|(i, n)| Bucket { lower: -bound(i + 1), upper: -bound(i), count: n as f64 });
    let zero = Bucket { lower: -now.zero_threshold, upper: now.zero_threshold, count: zero as f64 };
    Some(up.chain(down).chain([zero]).filter(|b| b.count > 0.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: Option<f64>, b: f64) -> bool {
        a.is_some_and(|a| (a - b).abs() < 1e-9)
    }

    #[test]
    fn a_quantile_is_linear_within_its_bucket_and_stops_at_the_last_bound() {
        let h = Explicit { count: 100, sum: None, bounds: [1.0, 2.0, 4.0].into(), counts: [50, 30, 10, 10].into() };
        let buckets = explicit(&h, None).unwrap();
        assert!(close(quantile(0.25, &buckets), 0.5));
        assert!(close(quantile(0.5, &buckets), 1.0));
        assert!(close(quantile(0.65, &buckets), 1.5));
        assert!(close(quantile(0.9, &buckets), 4.0));
        assert!(close(quantile(0.99, &buckets), 4.0));
        assert_eq!(quantile(0.5, &[]), None);
    }

    #[test]
    fn exponential_buckets_of_different_scales_are_compared_at_the_coarser() {
        let hist = |scale, positive_offset, positive: &[u64]| Exponential {
            count: 0,
            sum: None,
            scale,
            zero_count: 0,
            zero_threshold: 0.0,
            positive_offset,
            positive: positive.into(),
            negative_offset: 0,
            negative: Box::default(),
        };
        // Scale 0: (1, 2], (2, 4]. Scale 1: (1, 1.41], (1.41, 2], (2, 2.83], (2.83, 4].
        let before = hist(1, 0, &[1, 1, 2, 2]);
        let now = hist(0, 0, &[3, 10]);
        let buckets = exponential(&now, Some(&before)).unwrap();
        assert_eq!(buckets[0], Bucket { lower: 1.0, upper: 2.0, count: 1.0 });
        assert_eq!(buckets[1], Bucket { lower: 2.0, upper: 4.0, count: 6.0 });
        assert_eq!(exponential(&before, Some(&now)), None, "going down is a reset");
        let far = hist(20, i32::MAX, &[u64::MAX, u64::MAX]);
        assert!(exponential(&far, None).is_some(), "extreme input is no panic");
    }

    #[test]
    fn negative_and_zero_values_have_their_place() {
        let h = Exponential {
            count: 4,
            sum: None,
            scale: 0,
            zero_count: 2,
            zero_threshold: 0.0,
            positive_offset: 0,
            positive: [1].into(),
            negative_offset: 0,
            negative: [1].into(),
        };
        let buckets = exponential(&h, None).unwrap();
        assert!(close(quantile(0.0, &buckets), -2.0));
        assert!(close(quantile(0.5, &buckets), 0.0));
        assert!(close(quantile(1.0, &buckets), 2.0));
    }
}
