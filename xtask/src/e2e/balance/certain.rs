//! The scenarios that everybody would ask for, one a rule.
use mesh_lb::health::status::HealthStatus::{
    self, Degraded, Draining, Healthy, Timeout, Unhealthy, Unknown,
};
use mesh_lb::pick::hash::HashFunction;
use mesh_lb::pick::hash_policy::{AbsentCookie, HashMethod, HashPolicy};

use super::scenario::{Asked, Scenario};
use super::site::{Policy, Settings, SiteHost, ZONES};

/// Keys by which hash policies are compared.
const KEYS: usize = 300;

const RING: Policy =
    Policy::Ring { minimum: 1024, maximum: 8_388_608, function: HashFunction::XxHash };
const MAGLEV: Policy = Policy::Maglev { size: 65_537 };

pub(super) fn all() -> Vec<Scenario> {
    let groups = [policies(), priorities(), localities(), hashes(), tables(), in_flight()];
    groups.into_iter().flatten().collect()
}

/// Hosts of one priority in the client's zone, in these states of health.
fn of_health(priority: usize, health: &[HealthStatus]) -> Vec<SiteHost> {
    let host = |&health| SiteHost { health, ..SiteHost::healthy(priority, ZONES[0]) };
    health.iter().map(host).collect()
}

/// Priorities with so many healthy hosts of so many.
fn levels(levels: &[(usize, usize)]) -> Vec<SiteHost> {
    let of_level = |(priority, &(healthy, total)): (usize, &(usize, usize))| {
        let health: Vec<HealthStatus> =
            (0..total).map(|at| if at < healthy { Healthy } else { Unhealthy }).collect();
        of_health(priority, &health)
    };
    levels.iter().enumerate().flat_map(of_level).collect()
}

fn weighted(weights: &[u32]) -> Vec<SiteHost> {
    let host = |&weight| SiteHost { weight, ..SiteHost::healthy(0, ZONES[0]) };
    weights.iter().map(host).collect()
}

fn keys() -> Vec<Asked> {
    (0..KEYS).map(|key| Asked::header("x-key", &format!("key-{key}"))).collect()
}

fn policies() -> Vec<Scenario> {
    let of = Settings::of;
    let shares = Scenario::shares;
    vec![
        Scenario::turns(
            "equal hosts take turns",
            &weighted(&[3, 3, 3, 3, 3]),
            &of(Policy::RoundRobin),
        ),
        shares("turns go by weight", &weighted(&[1, 2, 5]), &of(Policy::RoundRobin)),
        shares(
            "weights far apart keep their proportion",
            &weighted(&[1, 100]),
            &of(Policy::RoundRobin),
        ),
        shares("least request goes by weight", &weighted(&[1, 2, 5]), &of(Policy::LeastOfTwo)),
        shares("idle equal hosts share alike", &weighted(&[1, 1, 1]), &of(Policy::LeastOfTwo)),
        shares("a full scan breaks ties alike", &weighted(&[1, 1, 1]), &of(Policy::LeastOfAll)),
        shares("random ignores weights", &weighted(&[1, 100, 1]), &of(Policy::Random)),
        shares("requests without hash spread over a ring", &weighted(&[1, 3]), &of(RING)),
        shares("requests without hash spread over a table", &weighted(&[1, 3]), &of(MAGLEV)),
        shares("one host takes everything", &weighted(&[7]), &of(Policy::LeastOfTwo)),
    ]
}

fn priorities() -> Vec<Scenario> {
    let turns = |panic| Settings { panic, ..Settings::of(Policy::RoundRobin) };
    let factor = |factor| Settings { factor, ..turns(50) };
    let shares = Scenario::shares;
    let exact = |sentence: &str, hosts: &[SiteHost], panic| {
        Scenario::hosts(sentence, hosts, &Settings { panic, ..Settings::of(MAGLEV) }, keys())
    };
    let mixed =
        [of_health(0, &[Healthy, Degraded, Degraded, Unhealthy]), levels(&[(0, 0), (1, 4)])];
    vec![
        shares("half a priority keeps 70 %", &levels(&[(2, 4), (2, 2)]), &turns(50)),
        exact("the same, key by key", &levels(&[(2, 4), (2, 2)]), 50),
        shares("two thin priorities spill twice", &levels(&[(1, 4), (1, 4), (4, 4)]), &turns(50)),
        exact("the remainder goes to the first", &levels(&[(1, 4), (1, 4), (1, 5)]), 0),
        exact("total panic goes by hosts", &levels(&[(1, 4), (1, 5), (1, 3)]), 50),
        shares("nobody is healthy: all are used", &levels(&[(0, 2), (0, 4)]), &turns(50)),
        shares("without panic nobody is", &levels(&[(0, 2), (0, 4)]), &turns(0)),
        shares("one priority panics alone", &levels(&[(1, 8), (5, 8)]), &turns(50)),
        exact("panic and health on one table", &levels(&[(1, 8), (5, 8)]), 50),
        shares("at the threshold there is no panic", &levels(&[(2, 4)]), &turns(50)),
        shares("a factor of 100 spills at once", &levels(&[(3, 4), (2, 2)]), &factor(100)),
        shares("a factor of 300 hardly spills", &levels(&[(1, 4), (2, 2)]), &factor(300)),
        shares("a factor below 100 never suffices", &levels(&[(4, 4), (2, 2)]), &factor(60)),
        shares(
            "degraded hosts take what is left",
            &of_health(0, &[Healthy, Degraded, Unhealthy, Unhealthy]),
            &turns(0),
        ),
        shares("healthy hosts of all priorities go first", &mixed.concat(), &turns(50)),
        exact(
            "a table has no degraded hosts",
            &of_health(0, &[Healthy, Degraded, Degraded, Degraded]),
            50,
        ),
        shares(
            "draining hosts do not count",
            &of_health(0, &[Healthy, Healthy, Draining, Draining]),
            &turns(50),
        ),
        shares(
            "draining hosts are used in panic",
            &of_health(0, &[Healthy, Unhealthy, Unhealthy, Draining]),
            &turns(50),
        ),
        shares(
            "a timeout is unhealthy, the unknown healthy",
            &of_health(0, &[Unknown, Timeout, Healthy]),
            &turns(50),
        ),
    ]
}

fn localities() -> Vec<Scenario> {
    let zone = |at: usize, health: &[HealthStatus]| -> Vec<SiteHost> {
        let zone = ZONES.get(at).copied().unwrap_or_default();
        let host = |&health| SiteHost { health, ..SiteHost::healthy(0, zone) };
        health.iter().map(host).collect()
    };
    let even = [zone(0, &[Healthy; 3]), zone(1, &[Healthy; 2]), zone(2, &[Healthy])].concat();
    let sick = [zone(0, &[Healthy, Unhealthy]), zone(1, &[Healthy; 2])].concat();
    let panicking = [zone(0, &[Healthy, Unhealthy, Unhealthy]), zone(1, &[Unhealthy; 2])].concat();
    let to = |policy, weights: [u32; 3]| Settings {
        locality_weighted: true,
        distribute: ZONES.into_iter().zip(weights).filter(|(_, weight)| *weight > 0).collect(),
        ..Settings::of(policy)
    };
    let turns = |weights| to(Policy::RoundRobin, weights);
    vec![
        Scenario::shares("localities share by weight", &even, &turns([70, 20, 10])),
        Scenario::shares("also for random", &even, &to(Policy::Random, [70, 20, 10])),
        Scenario::shares("also for least request", &even, &to(Policy::LeastOfAll, [50, 30, 20])),
        Scenario::shares("a sick locality loses weight", &sick, &turns([33, 67, 0])),
        Scenario::shares(
            "panic wins over weights of localities",
            &panicking,
            &Settings { panic: 50, ..turns([10, 90, 0]) },
        ),
        Scenario::hosts("a table knows localities", &even, &to(MAGLEV, [70, 20, 10]), keys()),
        Scenario::hosts("health does not thin a ring", &sick, &to(RING, [33, 67, 0]), keys()),
        Scenario::shares(
            "localities without weights share by hosts",
            &even,
            &Settings { locality_weighted: false, ..turns([70, 20, 10]) },
        ),
    ]
}

fn one(method: HashMethod) -> HashPolicy {
    HashPolicy { method, terminal: false }
}

fn hashes() -> Vec<Scenario> {
    let hosts = weighted(&[1, 2, 1, 4, 1]);
    let cookie = |absent| HashMethod::Cookie { name: "session".into(), absent };
    let header = |name: &str| HashMethod::Header(name.into());
    let with = |hash: Vec<HashPolicy>| Settings { hash, ..Settings::of(MAGLEV) };
    let each = |of: &dyn Fn(usize) -> Asked| (0..KEYS).map(of).collect::<Vec<Asked>>();
    let query = |at: usize| Asked { query: format!("?a=1&key=v%20{at}&key=x"), headers: vec![] };
    let two = |at: usize| {
        let values = [("x-key", format!("b{at}")), ("x-key", format!("a{}", at % 7))];
        let headers = values.map(|(name, value)| (name.to_owned(), value)).into();
        Asked { query: String::new(), headers }
    };
    let several = |at: usize| {
        let mut asked = query(at);
        asked.headers.push(("cookie".to_owned(), format!("a=b; session=s{}", at % 5)));
        if at.is_multiple_of(2) {
            asked.headers.push(("x-first".to_owned(), format!("f{}", at % 9)));
        }
        asked
    };
    let ended = HashPolicy { method: header("x-first"), terminal: true };
    let more = [one(HashMethod::QueryParameter("key".into())), one(cookie(AbsentCookie::Ignore))];
    let chain = [vec![ended], more.into()].concat();
    vec![
        Scenario::hosts("a header leads to its host", &hosts, &Settings::of(MAGLEV), keys()),
        Scenario::hosts("values of a header are sorted", &hosts, &Settings::of(MAGLEV), each(&two)),
        Scenario::hosts(
            "a cookie leads to its host",
            &hosts,
            &with(vec![one(cookie(AbsentCookie::Ignore))]),
            each(&|at| Asked::header("cookie", &format!("x=y; session=\"s{at}\"; session=z"))),
        ),
        Scenario::connections(
            "a cookie is made of a connection",
            &hosts,
            &with(vec![one(cookie(AbsentCookie::Generate))]),
        ),
        Scenario::hosts(
            "a query parameter leads to its host",
            &hosts,
            &with(vec![one(HashMethod::QueryParameter("key".into()))]),
            each(&query),
        ),
        Scenario::hosts(
            "the caller's address leads to its host",
            &hosts,
            &with(vec![one(HashMethod::SourceIp)]),
            each(&|at| Asked::header("x-forwarded-for", &format!("10.{}.0.{}", at % 3, at % 250))),
        ),
        Scenario::hosts("several policies add up, one ends", &hosts, &with(chain), each(&several)),
    ]
}

fn tables() -> Vec<Scenario> {
    let hosts = weighted(&[1, 2, 1, 4, 1, 9]);
    let ring =
        |minimum, maximum, function| Settings::of(Policy::Ring { minimum, maximum, function });
    vec![
        Scenario::hosts("a ring of xxHash", &hosts, &Settings::of(RING), keys()),
        Scenario::hosts(
            "a ring of murmur",
            &hosts,
            &ring(500, 8_388_608, HashFunction::MurmurHash2),
            keys(),
        ),
        Scenario::hosts(
            "a ring too small for its weights",
            &hosts,
            &ring(3, 7, HashFunction::XxHash),
            keys(),
        ),
        Scenario::hosts(
            "a table of 101",
            &hosts,
            &Settings::of(Policy::Maglev { size: 101 }),
            keys(),
        ),
        Scenario::hosts(
            "a ring over two priorities",
            &levels(&[(3, 6), (5, 6)]),
            &Settings::of(RING),
            keys(),
        ),
    ]
}

fn in_flight() -> Vec<Scenario> {
    let bounded = |policy| Settings { bound: Some(120), ..Settings::of(policy) };
    let same = |count: usize| vec![Asked::header("x-key", "always"); count];
    let few = (0..60).map(|at| Asked::header("x-key", &format!("k{}", at % 3))).collect();
    vec![
        Scenario::open_counts(
            "a full scan finds the idle",
            &weighted(&[1, 1, 1, 1]),
            &Settings::of(Policy::LeastOfAll),
            (24, 0),
        ),
        Scenario::open_counts(
            "busy hosts weigh less",
            &weighted(&[1, 2, 4]),
            &Settings::of(Policy::LeastOfTwo),
            (42, 2),
        ),
        Scenario::open(
            "a full table overflows in order",
            &weighted(&[1, 2, 1, 1, 3]),
            &bounded(MAGLEV),
            same(40),
        ),
        Scenario::open(
            "a full ring overflows in order",
            &weighted(&[1, 1, 1, 1, 1, 1]),
            &bounded(RING),
            few,
        ),
    ]
}
