//! Time on the processor instead of time on the wall: what other programs do meanwhile does not count.
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};

/// The time that the main thread has run, as Linux counts it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuTime;

fn now() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()).unwrap_or_default()
}

impl Measurement for CpuTime {
    type Intermediate = u64;
    type Value = Duration;

    fn start(&self) -> u64 {
        now()
    }

    fn end(&self, start: u64) -> Duration {
        Duration::from_nanos(now().saturating_sub(start))
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}
