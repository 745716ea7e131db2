//! What is compared: a cluster, the requests that are sent to it, and what becomes of them.
use std::collections::BTreeMap;

use mesh_lb::pick::hash_policy::HashInput;
use mesh_lb::{Balancer, InFlight, PickRequest};
use serde_json::{Value, json};

use super::site::{Settings, Site, SiteHost};
use crate::e2e::random::Random;

/// A cluster and what is asked of it.
#[derive(Debug)]
pub(super) struct Scenario {
    /// True if everything is as expected.
    pub(super) sentence: String,
    /// Envoy's cluster, without a name.
    pub(super) cluster: Value,
    pub(super) probes: Vec<Probe>,
}

/// Requests by one route.
#[derive(Debug)]
pub(super) struct Probe {
    /// What the route says besides its cluster.
    pub(super) route: Value,
    pub(super) expected: Expected,
}

/// What must become of requests.
#[derive(Debug)]
pub(super) enum Expected {
    /// Hosts share the requests so, in percent; what is missing to 100 finds no host.
    Shares { shares: BTreeMap<String, f64>, requests: usize },
    /// Equal hosts take turns, in any order of the list that begins anywhere.
    Turns(Vec<String>),
    /// Each request reaches its host, or none.
    Hosts(Vec<(Asked, Option<String>)>),
    /// The same for requests that stay open.
    Open(Vec<(Asked, Option<String>)>),
    /// So many requests stay open; hosts carry them so, give or take the number.
    OpenCounts { requests: usize, counts: BTreeMap<String, usize>, slack: usize },
    /// What only the addresses of each connection decide.
    Connections(Box<Balancer>),
}

/// What a request has of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// What follows in the path: `?a=b`.
    pub(super) query: String,
    pub(super) headers: Vec<(String, String)>,
}

impl Asked {
    pub(super) fn header(name: &str, value: &str) -> Self {
        Self { headers: vec![(name.to_owned(), value.to_owned())], ..Self::default() }
    }

    /// The caller's address, by the header that a proxy in front would set.
    fn source_ip(&self) -> &str {
        let found = self.headers.iter().find(|(name, _)| name == "x-forwarded-for");
        found.map_or("127.0.0.1", |(_, value)| value)
    }

    /// The host that we pick.
    fn pick<'b>(&self, balancer: &'b Balancer, random: &mut Random) -> Option<mesh_lb::Pick<'b>> {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let input = HashInput {
            headers: &headers,
            path: &self.query,
            source_ip: self.source_ip(),
            ..HashInput::default()
        };
        let hash = balancer.hash(&input).hash;
        balancer.pick(&PickRequest { hash, ..PickRequest::default() }, || random.next())
    }
}

/// How many picks of ours stand for the long run.
pub(super) const PICKS: u32 = 30_000;
/// How many requests are measured.
pub(super) const REQUESTS: usize = 2_000;

/// The shares that our balancer gives in the long run.
pub(super) fn shares(balancer: &Balancer) -> BTreeMap<String, f64> {
    let mut random = Random::new(7);
    let mut shares = BTreeMap::new();
    for _ in 0..PICKS {
        if let Some(pick) = balancer.pick(&PickRequest::default(), || random.next()) {
            *shares.entry(pick.host.address().to_owned()).or_insert(0.0) +=
                100.0 / f64::from(PICKS);
        }
    }
    shares
}

impl Scenario {
    /// Hosts share requests as ours do.
    pub(super) fn shares(sentence: &str, hosts: &[SiteHost], settings: &Settings) -> Self {
        let site = Site::new(hosts, settings);
        let shares = shares(&site.balancer);
        // Without a hash each request draws where it goes.
        let expected = Expected::Shares { shares, requests: REQUESTS };
        Self::of(sentence, site.cluster, json!({}), expected)
    }

    /// Equal hosts take turns.
    pub(super) fn turns(sentence: &str, hosts: &[SiteHost], settings: &Settings) -> Self {
        let site = Site::new(hosts, settings);
        let pick = |_| {
            let pick = site.balancer.pick(&PickRequest::default(), || 0)?;
            Some(pick.host.address().to_owned())
        };
        let turns = (0..hosts.len()).filter_map(pick).collect();
        Self::of(sentence, site.cluster, site.route, Expected::Turns(turns))
    }

    /// Each request goes to the host that ours would take.
    pub(super) fn hosts(
        sentence: &str,
        hosts: &[SiteHost],
        settings: &Settings,
        asked: Vec<Asked>,
    ) -> Self {
        let site = Site::new(hosts, settings);
        let mut random = Random::new(0);
        let pick = |asked: Asked| {
            let pick = asked.pick(&site.balancer, &mut random);
            let host = pick.map(|pick| pick.host.address().to_owned());
            (asked, host)
        };
        let expected = Expected::Hosts(asked.into_iter().map(pick).collect());
        Self::of(sentence, site.cluster, site.route, expected)
    }

    /// Requests that stay open go where ours would go.
    pub(super) fn open(
        sentence: &str,
        hosts: &[SiteHost],
        settings: &Settings,
        asked: Vec<Asked>,
    ) -> Self {
        let site = Site::new(hosts, settings);
        let mut random = Random::new(0);
        let mut in_flight: Vec<InFlight> = Vec::new();
        let pick = |asked: Asked| {
            let host = asked.pick(&site.balancer, &mut random).map(|pick| {
                in_flight.push(pick.start());
                pick.host.address().to_owned()
            });
            (asked, host)
        };
        let expected = Expected::Open(asked.into_iter().map(pick).collect());
        Self::of(sentence, site.cluster, site.route, expected)
    }

    /// Requests that stay open are carried as ours would be.
    pub(super) fn open_counts(
        sentence: &str,
        hosts: &[SiteHost],
        settings: &Settings,
        (requests, slack): (usize, usize),
    ) -> Self {
        let site = Site::new(hosts, settings);
        let mut random = Random::new(0);
        let mut in_flight: Vec<InFlight> = Vec::new();
        let mut counts = BTreeMap::new();
        for _ in 0..requests {
            if let Some(pick) = Asked::default().pick(&site.balancer, &mut random) {
                in_flight.push(pick.start());
                *counts.entry(pick.host.address().to_owned()).or_default() += 1;
            }
        }
        let expected = Expected::OpenCounts { requests, counts, slack };
        Self::of(sentence, site.cluster, site.route, expected)
    }

    /// The cookie of each connection is ours, and leads where ours would.
    pub(super) fn connections(sentence: &str, hosts: &[SiteHost], settings: &Settings) -> Self {
        let site = Site::new(hosts, settings);
        let expected = Expected::Connections(Box::new(site.balancer));
        Self::of(sentence, site.cluster, site.route, expected)
    }

    fn of(sentence: &str, cluster: Value, route: Value, expected: Expected) -> Self {
        Self { sentence: sentence.to_owned(), cluster, probes: vec![Probe { route, expected }] }
    }
}
