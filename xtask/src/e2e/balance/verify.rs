//! Sends the requests of a scenario to Envoy and compares.
use std::collections::BTreeMap;
use std::net::SocketAddr;

use mesh_lb::pick::hash_policy::HashInput;
use mesh_lb::{Balancer, PickRequest};

use super::scenario::{Asked, Expected, PICKS, Probe, Scenario};
use crate::e2e::http::{Connection, Request, Response};
use crate::e2e::traffic::{self, Answers};
use crate::e2e::upstream::{HOLD, WHO};
use crate::problem::Problem;

/// How far a share may be off: so many standard deviations, and as many points.
const DEVIATIONS: f64 = 5.0;
const POINTS: f64 = 0.5;
/// Connections by which generated cookies are compared.
const CONNECTIONS: usize = 20;
/// Turns that are watched.
const ROUNDS: usize = 20;

/// Where the requests of a probe go.
pub(super) fn path(scenario: usize, probe: usize) -> String {
    format!("/{scenario}/{probe}/")
}

/// Compares what Envoy does in a scenario.
pub(super) fn verify(
    listener: SocketAddr,
    number: usize,
    scenario: &Scenario,
) -> Result<(), Problem> {
    for (at, probe) in scenario.probes.iter().enumerate() {
        let caller = Caller { listener, path: path(number, at) };
        caller
            .verify(probe)
            .map_err(|problem| Problem(format!("{} (cluster s{number}, route {at})", problem.0)))?;
    }
    Ok(())
}

struct Caller {
    listener: SocketAddr,
    path: String,
}

impl Caller {
    fn verify(&self, probe: &Probe) -> Result<(), Problem> {
        match &probe.expected {
            Expected::Shares { shares, requests } => self.shares(shares, *requests),
            Expected::Turns(turns) => self.turns(turns),
            Expected::Hosts(hosts) => self.hosts(hosts),
            Expected::Open(hosts) => self.open(hosts),
            Expected::OpenCounts { requests, counts, slack } => {
                self.open_counts(*requests, counts, *slack)
            }
            Expected::Connections(balancer) => self.connections(balancer),
        }
    }

    fn request<'r>(&self, path: &'r str) -> Request<'r> {
        Request { method: "GET", host: "balance", path }
    }

    fn shares(&self, shares: &BTreeMap<String, f64>, requests: usize) -> Result<(), Problem> {
        let answers = traffic::send_in_turn(self.listener, &self.request(&self.path), requests)?;
        agree(&answers, shares)
    }

    fn turns(&self, turns: &[String]) -> Result<(), Problem> {
        let mut connection = Connection::open(self.listener)?;
        let mut hosts = Vec::new();
        for _ in 0..turns.len() * ROUNDS {
            hosts.push(who(&connection.send(&self.request(&self.path))?));
        }
        let first = turns.iter().position(|turn| hosts.first() == Some(&Some(turn.clone())));
        let first =
            first.ok_or_else(|| Problem(format!("{hosts:?} begin in none of {turns:?}")))?;
        let expected = turns.iter().cycle().skip(first).take(hosts.len());
        if expected.cloned().map(Some).eq(hosts.iter().cloned()) {
            return Ok(());
        }
        Err(Problem(format!("{hosts:?} are not the turns of {turns:?}")))
    }

    fn hosts(&self, hosts: &[(Asked, Option<String>)]) -> Result<(), Problem> {
        let mut connection = Connection::open(self.listener)?;
        for (asked, expected) in hosts {
            let path = format!("{}{}", self.path, asked.query);
            let got = connection.send_with(&self.request(&path), &asked.headers)?;
            same(asked, expected.as_ref(), &got)?;
        }
        Ok(())
    }

    /// Begins a request that stays open as long as its connection.
    fn begin(&self, asked: &Asked) -> Result<(Connection, Response), Problem> {
        let path = format!("{}{}", self.path, asked.query);
        let mut headers = asked.headers.clone();
        headers.push((HOLD.to_owned(), "yes".to_owned()));
        let mut connection = Connection::open(self.listener)?;
        let answer = connection.begin(&self.request(&path), &headers)?;
        Ok((connection, answer))
    }

    fn open(&self, hosts: &[(Asked, Option<String>)]) -> Result<(), Problem> {
        let mut open = Vec::new();
        for (asked, expected) in hosts {
            let (connection, got) = self.begin(asked)?;
            open.push(connection);
            same(asked, expected.as_ref(), &got)?;
        }
        Ok(())
    }

    fn open_counts(
        &self,
        requests: usize,
        counts: &BTreeMap<String, usize>,
        slack: usize,
    ) -> Result<(), Problem> {
        let mut open = Vec::new();
        let mut got: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..requests {
            let (connection, answer) = self.begin(&Asked::default())?;
            open.push(connection);
            if let Some(host) = who(&answer) {
                *got.entry(host).or_default() += 1;
            }
        }
        let of =
            |counts: &BTreeMap<String, usize>, host: &str| counts.get(host).copied().unwrap_or(0);
        let is_near = |host: &String| of(&got, host).abs_diff(of(counts, host)) <= slack;
        if got.keys().chain(counts.keys()).all(is_near) {
            return Ok(());
        }
        Err(Problem(format!("hosts carry {got:?}, expected {counts:?} within {slack}")))
    }

    fn connections(&self, balancer: &Balancer) -> Result<(), Problem> {
        for _ in 0..CONNECTIONS {
            let mut connection = Connection::open(self.listener)?;
            let remote = connection.local_address()?.to_string();
            let local = self.listener.to_string();
            let input = HashInput {
                remote_address: &remote,
                local_address: &local,
                ..HashInput::default()
            };
            let hash = balancer.hash(&input);
            let request = PickRequest { hash: hash.hash, ..PickRequest::default() };
            let expected = balancer.pick(&request, || 0).map(|pick| pick.host.address().to_owned());
            let got = connection.send(&self.request(&self.path))?;
            same(&Asked::default(), expected.as_ref(), &got)?;
            let cookie = got.header("set-cookie").unwrap_or_default();
            let is_set =
                |(name, value): &(&str, String)| cookie.starts_with(&format!("{name}=\"{value}\""));
            if !hash.cookies.iter().all(is_set) || hash.cookies.is_empty() {
                return Err(Problem(format!("the cookie is {cookie}, not {:?}", hash.cookies)));
            }
        }
        Ok(())
    }
}

fn who(answer: &Response) -> Option<String> {
    answer.header(WHO).map(str::to_owned)
}

fn same(asked: &Asked, expected: Option<&String>, got: &Response) -> Result<(), Problem> {
    let host = who(got);
    let is_refused = expected.is_none() && got.status == 503;
    if host.as_ref() == expected && (host.is_some() || is_refused) {
        return Ok(());
    }
    Err(Problem(format!("{asked:?} went to {host:?} ({}), not to {expected:?}", got.status)))
}

/// Every host's share is what is expected, as far as chance allows.
fn agree(answers: &Answers, shares: &BTreeMap<String, f64>) -> Result<(), Problem> {
    let total = u32::try_from(answers.total).map_or(f64::NAN, f64::from);
    for host in shares.keys().chain(answers.by_upstream.keys()) {
        let (expected, got) = (shares.get(host).copied().unwrap_or(0.0), answers.share(host));
        // Both sides are drawn, each so many times.
        let draws = 1.0 / total + 1.0 / f64::from(PICKS);
        let deviation = (expected * (100.0 - expected).max(0.0) * draws).sqrt();
        let near = DEVIATIONS * deviation + POINTS;
        if (got - expected).abs() > near {
            return Err(Problem(format!(
                "{host} got {got:.1} %, expected {expected:.1} % within {near:.1}: {answers:?}"
            )));
        }
    }
    let unanswered = answers.total - answers.by_upstream.values().sum::<usize>();
    match answers.by_status.iter().find(|(status, _)| ![200, 503].contains(*status)) {
        Some((status, count)) => Err(Problem(format!("{count} answers are {status}"))),
        None if unanswered != answers.by_status.get(&503).copied().unwrap_or(0) => {
            Err(Problem(format!("{unanswered} requests were answered by nobody: {answers:?}")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(by_upstream: &[(&str, usize)], total: usize, shares: &[(&str, f64)], good: bool) {
        let by_upstream: BTreeMap<String, usize> =
            by_upstream.iter().map(|&(host, count)| (host.to_owned(), count)).collect();
        let answered = by_upstream.values().sum();
        let by_status = [(200, answered), (503, total - answered)].into();
        let answers = Answers { total, by_status, by_upstream };
        let shares = shares.iter().map(|&(host, share)| (host.to_owned(), share)).collect();
        assert_eq!(agree(&answers, &shares).is_ok(), good);
    }

    #[test]
    fn chance_is_allowed_for_and_no_more() {
        check(&[("a", 720), ("b", 280)], 1000, &[("a", 70.0), ("b", 30.0)], true);
        check(&[("a", 800), ("b", 200)], 1000, &[("a", 70.0), ("b", 30.0)], false);
        check(&[("a", 1000)], 1000, &[("a", 100.0)], true);
        check(&[("a", 990)], 1000, &[("a", 100.0)], false);
        check(&[], 1000, &[], true);
    }
}
