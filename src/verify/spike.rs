//! Finds the spike in request rates. Called by `traffic`; pure arithmetic, so nothing here may ask a backend.

use super::backends::Sample;

/// How many times the base the peak must be.
pub(crate) const LEAST_RATIO: f64 = 3.0;
/// Fewest rates of one second that say anything.
const LEAST_SAMPLES: usize = 8;
/// Steps at the edge of a phase that belong to both neighbours (rates lag by one export interval).
const EDGE_MS: f64 = 1500.0;

/// Request rates outside and at the top of the spike, per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spike {
    /// Median rate of the base.
    pub(crate) base: f64,
    /// Highest rate.
    pub(crate) peak: f64,
}

impl Spike {
    /// Whether the peak stands out.
    pub(crate) fn stands_out(&self) -> bool {
        self.peak > 0.0 && self.peak >= LEAST_RATIO * self.base
    }
}

/// Base and peak of rates by second (oldest first); `None` with too few rates. `phases` are the names of the load's
/// phases and when each began (Unix milliseconds, oldest first).
///
/// The base is the median over phases named `base`; without such a phase the 20th percentile of all rates above 0.
pub(crate) fn find(rates: &[Sample], phases: &[(f64, String)]) -> Option<Spike> {
    let smooth = smoothed(rates);
    let named = smooth.iter().filter(|(time, _)| in_base(*time, phases)).map(|(_, rate)| *rate).collect::<Vec<_>>();
    let busy = smooth.iter().map(|(_, rate)| *rate).filter(|rate| *rate > 0.0).collect::<Vec<_>>();
    if busy.len() < LEAST_SAMPLES {
        return None;
    }
    let base = if named.len() >= 2 { quantile(named, 0.5) } else { quantile(busy.clone(), 0.2) };
    Some(Spike { base, peak: quantile(busy, 1.0) })
}

/// Mean of each rate and its neighbours: an export that slips over a second's edge makes a 0 and then a double.
fn smoothed(rates: &[Sample]) -> Vec<Sample> {
    let mean = |part: &[Sample]| part.iter().map(|(_, rate)| rate).sum::<f64>() / part.len() as f64;
    (0..rates.len()).map(|i| (rates[i].0, mean(&rates[i.saturating_sub(1)..rates.len().min(i + 2)]))).collect()
}

fn in_base(time: f64, phases: &[(f64, String)]) -> bool {
    let Some(current) = phases.iter().rposition(|(began, _)| *began <= time) else { return false };
    let far_from_begin = time - phases[current].0 >= EDGE_MS;
    let far_from_end = phases.get(current + 1).is_none_or(|(next, _)| next - time >= EDGE_MS);
    phases[current].1.contains("base") && far_from_begin && far_from_end
}

fn quantile(mut values: Vec<f64>, q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((q * last as f64).round() as usize).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(rates: &[f64]) -> Vec<Sample> {
        rates.iter().enumerate().map(|(i, rate)| (i as f64 * 1000.0, *rate)).collect()
    }

    fn spiky() -> Vec<Sample> {
        seconds(&[50.0, 52.0, 49.0, 51.0, 50.0, 50.0, 300.0, 400.0, 410.0, 405.0, 55.0, 50.0, 51.0, 50.0, 49.0])
    }

    #[test]
    fn a_spike_stands_out_with_named_phases() {
        let phases = [(0.0, "base"), (5500.0, "spike"), (9500.0, "base")].map(|(t, n)| (t, n.to_owned()));
        let spike = find(&spiky(), &phases).unwrap();
        assert!(spike.stands_out(), "{spike:?}");
        assert!((48.0..53.0).contains(&spike.base), "{spike:?}");
    }

    #[test]
    fn a_spike_stands_out_without_phases() {
        assert!(find(&spiky(), &[]).unwrap().stands_out());
    }

    #[test]
    fn steady_traffic_has_no_spike_even_when_exports_slip_over_a_second() {
        let spike = find(&seconds(&[50.0, 0.0, 100.0, 50.0, 50.0, 0.0, 100.0, 50.0, 50.0, 50.0, 50.0]), &[]).unwrap();
        assert!(!spike.stands_out(), "{spike:?}");
    }

    #[test]
    fn a_few_seconds_say_nothing() {
        assert_eq!(find(&seconds(&[1.0, 100.0]), &[]), None);
    }
}
