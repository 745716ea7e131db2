//! Which endpoints carry too much after traffic has moved.
//!
//! ```text
//! before / capacity, the most of all ─▶ reference u      factor = (after / capacity) / u > limit?
//! ```
//!
//! No data plane predicts this. What the busiest unit carries today is taken as fine; capacities
//! are relative and come from one source for all endpoints.

/// The factor above which an endpoint is overloaded unless the caller says otherwise: what Envoy's
/// overprovisioning lets it carry.
pub const DEFAULT_LIMIT: f64 = 1.4;

/// An endpoint and its traffic.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data in")]
pub struct CarriedLoad {
    /// What it is called; the answer is sorted by it.
    pub address: Box<str>,
    /// Its traffic before, in any unit.
    pub before: f64,
    /// Its traffic afterwards, in the same unit.
    pub after: f64,
    /// Its weight; unset is 1.
    pub weight: Option<u32>,
    /// The CPU that its pod requests, in thousandths of a core.
    pub cpu_request: Option<u64>,
    /// How its deployment scales, if it does.
    pub scaling: Option<Scaling>,
}

/// How far a deployment can grow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data in")]
pub struct Scaling {
    /// The replicas that it has; 0 acts as 1.
    pub replicas: u32,
    /// The replicas that it may have; fewer than it has act as those.
    pub max_replicas: u32,
}

/// Where relative capacities come from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers print each")]
pub enum CapacitySource {
    /// Weights: they are not all equal.
    Weight,
    /// CPU requests: every endpoint has one.
    CpuRequest,
    /// Nothing tells the endpoints apart.
    Equal,
}

/// What is said of a set of endpoints.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data out")]
pub struct Overload {
    /// Where the capacities came from.
    pub source: CapacitySource,
    /// What a unit of capacity carried at most before; 0 if nothing was carried: then nothing can be
    /// said.
    pub reference: f64,
    /// The endpoints that carry too much, by address.
    pub overloaded: Vec<Overloaded>,
}

/// An endpoint that carries too much.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data out")]
pub struct Overloaded {
    /// Which one.
    pub address: Box<str>,
    /// Its load in terms of what the busiest unit of capacity carried before.
    pub factor: f64,
    /// The same once its deployment has grown as far as it may; minutes later, if at all.
    pub factor_scaled: Option<f64>,
    /// Whether that is within the limit.
    pub absorbed_by_scaling: Option<bool>,
}

/// Returns which endpoints carry more than `limit` times what is fine. Weights and requests of 0 act
/// as 1; traffic that is no number, or negative, acts as none.
///
/// # Examples
///
/// Two sites share the load; one fails, the other has twice as much to carry:
///
/// ```
/// use mesh_lb::capacity::{CarriedLoad, DEFAULT_LIMIT, overloaded};
///
/// let endpoint = |address: &str, before, after| CarriedLoad {
///     address: address.into(),
///     before,
///     after,
///     ..CarriedLoad::default()
/// };
/// let found = overloaded(&[endpoint("a", 50.0, 0.0), endpoint("b", 50.0, 100.0)], DEFAULT_LIMIT);
/// assert_eq!(found.overloaded[0].factor, 2.0);
/// ```
pub fn overloaded(endpoints: &[CarriedLoad], limit: f64) -> Overload {
    let named = |over: &Exceeding| {
        let address = endpoints.get(over.index).map(|endpoint| endpoint.address.clone());
        over.named(address.unwrap_or_default())
    };
    let (source, reference, exceeding) = exceeding(endpoints, limit);
    let mut overloaded: Vec<Overloaded> = exceeding.iter().map(named).collect();
    overloaded.sort_by(|a, b| a.address.cmp(&b.address));
    Overload { source, reference, overloaded }
}

/// An endpoint that carries too much, by its index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exceeding {
    pub(crate) index: usize,
    factor: f64,
    scaled: Option<(f64, bool)>,
}

impl Exceeding {
    pub(crate) fn named(&self, address: Box<str>) -> Overloaded {
        let (factor_scaled, absorbed_by_scaling) = self.scaled.unzip();
        Overloaded { address, factor: self.factor, factor_scaled, absorbed_by_scaling }
    }
}

/// The same whatever the endpoints are called: where capacities come from, the reference, and what
/// exceeds it.
pub(crate) fn exceeding(
    endpoints: &[CarriedLoad],
    limit: f64,
) -> (CapacitySource, f64, Vec<Exceeding>) {
    let source = source(endpoints);
    let amount = |traffic: f64| if traffic > 0.0 { traffic } else { 0.0 };
    let unit = |endpoint: &CarriedLoad, traffic| amount(traffic) / capacity(source, endpoint);
    let reference =
        endpoints.iter().map(|endpoint| unit(endpoint, endpoint.before)).fold(0.0, f64::max);
    if reference == 0.0 {
        return (source, reference, Vec::new());
    }
    let exceeds = |factor: f64| factor > limit * (1.0 + 1e-9);
    let over = endpoints.iter().enumerate().filter_map(|(index, endpoint)| {
        let factor = unit(endpoint, endpoint.after) / reference;
        let scaled = endpoint.scaling.map(|scaling| factor * scaling.shrinks_to());
        let scaled = scaled.map(|scaled| (scaled, !exceeds(scaled)));
        exceeds(factor).then_some(Exceeding { index, factor, scaled })
    });
    (source, reference, over.collect())
}

impl Scaling {
    fn shrinks_to(self) -> f64 {
        let replicas = self.replicas.max(1);
        f64::from(replicas) / f64::from(self.max_replicas.max(replicas))
    }
}

fn source(endpoints: &[CarriedLoad]) -> CapacitySource {
    let mut weights = endpoints.iter().map(|endpoint| endpoint.weight.unwrap_or(1));
    let first = weights.next();
    if weights.any(|weight| Some(weight) != first) {
        CapacitySource::Weight
    } else if !endpoints.is_empty() && endpoints.iter().all(|e| e.cpu_request.is_some()) {
        CapacitySource::CpuRequest
    } else {
        CapacitySource::Equal
    }
}

fn capacity(source: CapacitySource, endpoint: &CarriedLoad) -> f64 {
    match source {
        CapacitySource::Weight => f64::from(endpoint.weight.unwrap_or(1).max(1)),
        CapacitySource::CpuRequest => {
            crate::number::double(endpoint.cpu_request.unwrap_or(1).max(1))
        }
        CapacitySource::Equal => 1.0,
    }
}

/// Reads an amount of CPU as Kubernetes writes it (`2`, `500m`, `0.5`), in thousandths of a core,
/// rounded up; none if it is no such amount.
///
/// # Upstream
///
/// kubernetes/apimachinery `pkg/api/resource/quantity.go`, `ParseQuantity` and `MilliValue`.
pub fn milli_cpu(text: &str) -> Option<u64> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    // Tens by which the value is to be multiplied to make it thousandths.
    let mut exponent: i32 = match text.strip_prefix(number)? {
        "n" => -6,
        "u" => -3,
        "m" => 0,
        "" => 3,
        "k" => 6,
        "M" => 9,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    exponent -= i32::try_from(fraction.len()).ok()?;
    let value: u128 = digits.parse().ok()?;
    let tens = 10_u128.checked_pow(exponent.unsigned_abs());
    let milli = if exponent >= 0 { value.checked_mul(tens?) } else { Some(value.div_ceil(tens?)) };
    u64::try_from(milli?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(endpoints: &[(f64, f64, Option<u32>)], expected: (CapacitySource, &[&str])) {
        let endpoints: Vec<CarriedLoad> = (0..)
            .zip(endpoints)
            .map(|(index, &(before, after, weight)): (u32, _)| CarriedLoad {
                address: index.to_string().into(),
                before,
                after,
                weight,
                ..CarriedLoad::default()
            })
            .collect();
        let found = overloaded(&endpoints, DEFAULT_LIMIT);
        let addresses: Vec<&str> = found.overloaded.iter().map(|o| &*o.address).collect();
        assert_eq!((found.source, &*addresses), expected);
    }

    #[test]
    fn the_limit_itself_is_no_overload() {
        check(&[(10.0, 14.0, None), (10.0, 14.1, None)], (CapacitySource::Equal, &["1"]));
    }

    #[test]
    fn weights_are_capacities_if_they_differ() {
        check(&[(10.0, 0.0, Some(1)), (20.0, 28.0, Some(2))], (CapacitySource::Weight, &[]));
        check(&[(10.0, 0.0, Some(2)), (20.0, 30.0, Some(2))], (CapacitySource::Equal, &["1"]));
    }

    #[test]
    fn traffic_that_makes_no_sense_is_none() {
        check(&[(f64::NAN, 5.0, None), (-1.0, 5.0, None)], (CapacitySource::Equal, &[]));
        check(&[], (CapacitySource::Equal, &[]));
    }

    #[test]
    fn cpu_is_read_as_kubernetes_writes_it() {
        for (text, expected) in [
            ("2", Some(2000)),
            ("500m", Some(500)),
            ("0.5", Some(500)),
            (".1", Some(100)),
            ("1u", Some(1)),
            ("1.5k", Some(1_500_000)),
            ("", None),
            ("m", None),
            ("-1", None),
            ("1x", None),
            ("1.2.3", None),
        ] {
            assert_eq!(milli_cpu(text), expected, "{text}");
        }
    }
}
