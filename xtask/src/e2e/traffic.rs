//! Many requests, and who answered them.
use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::e2e::http::{Connection, Request};
use crate::e2e::upstream::WHO;
use crate::problem::Problem;

/// Who answered how often.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answers {
    pub(super) total: usize,
    pub(super) by_status: BTreeMap<u16, usize>,
    /// By the upstream's `ADDRESS:PORT`; answers of Envoy itself are in no upstream.
    pub(super) by_upstream: BTreeMap<String, usize>,
}

/// Connections that send at the same time.
const CONNECTIONS: usize = 4;

/// Sends requests and counts the answers.
pub(super) fn send(
    target: SocketAddr,
    request: &Request<'_>,
    count: usize,
) -> Result<Answers, Problem> {
    let mut all = Answers::default();
    let shares: Vec<Result<Answers, Problem>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|at| {
                let share = count / CONNECTIONS + usize::from(at < count % CONNECTIONS);
                scope.spawn(move || send_in_turn(target, request, share))
            })
            .collect();
        let ended = |_| Problem::new("a thread that sends requests ended");
        threads.into_iter().map(|thread| thread.join().map_err(ended)?).collect()
    });
    for share in shares {
        all.add(share?);
    }
    Ok(all)
}

/// Sends requests one after the other on one connection, and counts the answers.
pub(super) fn send_in_turn(
    target: SocketAddr,
    request: &Request<'_>,
    count: usize,
) -> Result<Answers, Problem> {
    let mut answers = Answers::default();
    let mut connection = Connection::open(target)?;
    for _ in 0..count {
        let response = connection.send(request)?;
        answers.total += 1;
        *answers.by_status.entry(response.status).or_default() += 1;
        if let Some(who) = response.header(WHO) {
            *answers.by_upstream.entry(who.to_owned()).or_default() += 1;
        }
        if response.header("connection") == Some("close") {
            connection = Connection::open(target)?;
        }
    }
    Ok(answers)
}

impl Answers {
    fn add(&mut self, other: Self) {
        self.total += other.total;
        for (status, count) in other.by_status {
            *self.by_status.entry(status).or_default() += count;
        }
        for (upstream, count) in other.by_upstream {
            *self.by_upstream.entry(upstream).or_default() += count;
        }
    }

    /// Compares with the percentages that are expected; every upstream that is not named has 0.
    pub(super) fn matches(
        &self,
        expected: &BTreeMap<String, f64>,
        points: f64,
    ) -> Result<(), Problem> {
        let names = expected.keys().chain(self.by_upstream.keys());
        for name in names {
            let expected = expected.get(name).copied().unwrap_or(0.0);
            let got = self.share(name);
            if (got - expected).abs() > points {
                return Err(Problem(format!(
                    "{name} got {got:.1} %, expected {expected:.1} % within {points}: {self:?}"
                )));
            }
        }
        Ok(())
    }

    /// Percent of all requests that an upstream answered.
    pub(super) fn share(&self, upstream: &str) -> f64 {
        let count = self.by_upstream.get(upstream).copied().unwrap_or(0);
        percent(count, self.total)
    }
}

/// Counts of requests are far below where a double loses whole numbers.
fn percent(count: usize, total: usize) -> f64 {
    let double = |count| u32::try_from(count).map_or(f64::NAN, f64::from);
    if total == 0 { 0.0 } else { 100.0 * double(count) / double(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_compared_with_every_upstream_that_answered() {
        let by_upstream = [("a".to_owned(), 70), ("b".to_owned(), 30)].into();
        let answers = Answers { total: 100, by_status: BTreeMap::new(), by_upstream };
        let expect = |list: &[(&str, f64)]| {
            let expected = list.iter().map(|&(name, share)| (name.to_owned(), share)).collect();
            answers.matches(&expected, 2.0).is_ok()
        };
        assert!(expect(&[("a", 71.0), ("b", 29.0), ("c", 0.0)]));
        assert!(!expect(&[("a", 75.0), ("b", 25.0)]));
        assert!(!expect(&[("a", 70.0)]));
        assert!(!expect(&[("a", 70.0), ("b", 30.0), ("c", 10.0)]));
    }
}
