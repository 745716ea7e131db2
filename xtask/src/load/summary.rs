//! Latencies in a line.
use std::time::Duration;

/// Median, 99th percentile and the greatest.
pub(super) fn of(mut latencies: Vec<Duration>) -> String {
    latencies.sort_unstable();
    let at = |percent: usize| {
        let rank = (latencies.len() * percent).div_ceil(100).saturating_sub(1);
        latencies.get(rank).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
    };
    let (median, most, greatest) = (at(50), at(99), at(100));
    let count = latencies.len();
    format!("{count} pushes: p50 {median:.0} ms, p99 {most:.0} ms, max {greatest:.0} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let latencies: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(of(latencies), "200 pushes: p50 100 ms, p99 198 ms, max 200 ms");
        assert_eq!(of(Vec::new()), "0 pushes: p50 NaN ms, p99 NaN ms, max NaN ms");
    }
}
