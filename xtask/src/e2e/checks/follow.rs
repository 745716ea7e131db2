//! Follows a story: has the servers answer, and looks at Envoy and at our sessions after each answer.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mesh_lb::health::active::{CheckEvent, CheckResult, Due, HealthSession, Traffic, Transition};
use mesh_lb::health::status::{CoarseHealth, HealthFlag, HealthFlags, HostHealth};
use mesh_lb::load::{DataPlane, LevelHosts, PanicThreshold, PriorityLoad};
use serde_json::Value;

use super::server::{FAIL, Order, Server};
use super::story::{Step, Story};
use super::{SOON, cluster, listener};
use crate::e2e::envoy::Envoy;
use crate::e2e::http::{Connection, Request};
use crate::e2e::traffic;
use crate::problem::Problem;
use crate::process::{self, wait_for};

/// How many milliseconds later than due a check may come, and how many earlier: what a
/// busy machine takes.
const LATE: u64 = 800;
/// Nobody tells when exactly Envoy began to wait for an answer that does not come.
const EARLY_IN_SILENCE: u64 = 500;
const EARLY: u64 = 100;
/// Requests that show who is picked, and how far a share may be off: five standard deviations.
const REQUESTS: usize = 400;
const POINTS: f64 = 12.5;

/// What flags are called in Envoy's admin interface.
const FLAGS: [(HealthFlag, &str); 5] = [
    (HealthFlag::FailedActiveHc, "failed_active_health_check"),
    (HealthFlag::DegradedActiveHc, "failed_active_degraded_check"),
    (HealthFlag::PendingActiveHc, "pending_active_hc"),
    (HealthFlag::ExcludedViaImmediateHcFail, "excluded_via_immediate_hc_fail"),
    (HealthFlag::ActiveHcTimeout, "active_hc_timeout"),
];

/// A story on both sides.
#[derive(Debug)]
pub(super) struct Follower<'s> {
    number: usize,
    story: &'s Story,
    hosts: Vec<Followed>,
    begin: Instant,
    traffic: Traffic,
    /// Whether every host was checked.
    is_known: bool,
}

/// A host on both sides.
#[derive(Debug)]
struct Followed {
    server: Server,
    session: HealthSession,
    /// What it counted as when last something changed: only then are the hosts of a cluster sorted.
    sorted: HealthFlags,
    /// Whether a check is kept.
    is_asked: bool,
    /// Whether it was ever checked.
    is_known: bool,
    /// How much too early the next one may come.
    early: u64,
}

impl<'s> Follower<'s> {
    /// Starts the servers. The first check is due at once, that is when Envoy has started.
    pub(super) fn start(number: usize, story: &'s Story) -> Result<Self, Problem> {
        let new = if story.ignores_new {
            HealthFlags::of(&[HealthFlag::FailedActiveHc, HealthFlag::PendingActiveHc])
        } else {
            HealthFlags::of(&[HealthFlag::FailedActiveHc])
        };
        let host = |at| {
            let server = Server::start(cluster::address(number, at))?;
            let session = HealthSession::new(story.check.config, new, 0, || 0);
            Ok(Followed {
                server,
                session,
                sorted: new,
                is_asked: false,
                is_known: false,
                early: EARLY,
            })
        };
        let hosts = (0..story.hosts.len()).map(host).collect::<Result<_, Problem>>()?;
        Ok(Self {
            number,
            story,
            hosts,
            begin: process::now(),
            traffic: Traffic::Never,
            is_known: false,
        })
    }

    /// Plays all steps, then looks at who gets requests.
    pub(super) fn follow(&mut self, envoy: &Envoy) -> Result<(), Problem> {
        let steps = self.story.hosts.iter().map(|host| host.steps.len()).max().unwrap_or(0);
        for step in 0..steps {
            for at in 0..self.hosts.len() {
                self.step(envoy, at, step)
                    .map_err(|problem| self.place(at, &format!("step {step}"), &problem))?;
            }
        }
        for at in 0..self.hosts.len() {
            self.look(envoy, at).map_err(|problem| self.place(at, "the end", &problem))?;
        }
        let story = || self.story.hosts.iter().map(|host| &host.steps).collect::<Vec<_>>();
        let told = |problem: Problem| Problem(format!("{} after {:?}", problem.0, story()));
        self.count(envoy).and_then(|()| self.spread(envoy)).map_err(told)
    }

    fn place(&self, host: usize, when: &str, problem: &Problem) -> Problem {
        Problem(format!(
            "{} (cluster {}, host {host}, {when})",
            problem.0,
            cluster::name(self.number)
        ))
    }

    fn step(&mut self, envoy: &Envoy, at: usize, step: usize) -> Result<(), Problem> {
        let steps = self.story.hosts.get(at).map(|host| &host.steps);
        let Some(step) = steps.and_then(|steps| steps.get(step)) else { return Ok(()) };
        self.look(envoy, at)?;
        let check = self.story.check.http();
        let (order, result) = match step {
            Step::Request { fails } => return self.request(envoy, at, *fails),
            Step::Answer(answer) => (Order::Answer(*answer), check.result(&answer.response())),
            Step::Break => (Order::Break, CheckResult::Network),
            Step::Silence => (Order::Silence, CheckResult::Timeout),
        };
        let (now, traffic) = (self.milliseconds(process::now()), self.traffic);
        let Some(host) = self.hosts.get_mut(at) else { return Ok(()) };
        host.server.order(order)?;
        (host.is_asked, host.is_known) = (false, true);
        host.early = if result == CheckResult::Timeout { EARLY_IN_SILENCE } else { EARLY };
        if let Step::Answer(answer) = step
            && check.excludes(&answer.response())
        {
            host.session.handle_immediate_fail_header();
        }
        let event = if result == CheckResult::Timeout {
            let deadline = host.session.poll_timeout();
            match host.session.handle_timeout(deadline, traffic, || 0) {
                Due::TimedOut(event) => Some(event),
                Due::Nothing | Due::Check => None,
            }
        } else {
            host.session.handle_result(result, now, traffic, || 0)
        };
        self.sort(&event.ok_or_else(|| Problem::new("ours has no check to end"))?);
        Ok(())
    }

    /// A change sorts all hosts anew, and so does the first check of the last one of a new cluster.
    fn sort(&mut self, event: &CheckEvent) {
        let is_new =
            !std::mem::replace(&mut self.is_known, self.hosts.iter().all(|host| host.is_known));
        if event.transition == Transition::Changed || (is_new && self.is_known) {
            self.hosts.iter_mut().for_each(|host| host.sorted = host.session.flags());
        }
    }

    fn milliseconds(&self, time: Instant) -> u64 {
        u64::try_from(time.duration_since(self.begin).as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for the next check, which must come when it is due, and compares flags while it is kept.
    fn look(&mut self, envoy: &Envoy, at: usize) -> Result<(), Problem> {
        let (begin, traffic) = (self.begin, self.traffic);
        let Some(host) = self.hosts.get_mut(at) else { return Ok(()) };
        if host.is_asked {
            return Ok(());
        }
        let due = host.session.poll_timeout();
        let arrival = host.server.wait(SOON + Duration::from_millis(due))?;
        let now = u64::try_from(arrival.duration_since(begin).as_millis()).unwrap_or(u64::MAX);
        if due > 0 && (now + host.early < due || now > due + LATE) {
            return Err(Problem(format!("it is checked at {now} ms instead of {due} ms")));
        }
        if host.session.handle_timeout(now.max(due), traffic, || 0) != Due::Check {
            return Err(Problem::new("ours does not begin to check"));
        }
        host.is_asked = true;
        let (got, expected) = (self.flags(envoy, at)?, self.expected_flags(at));
        if got == expected { Ok(()) } else { Err(Problem(format!("{got:?} are not {expected:?}"))) }
    }

    fn expected_flags(&self, at: usize) -> Vec<&'static str> {
        let flags = self.hosts.get(at).map_or(HealthFlags::NONE, |host| host.session.flags());
        let set = FLAGS.into_iter().filter(|(flag, _)| flags.contains(*flag));
        set.map(|(_, name)| name).collect()
    }

    /// The flags that Envoy tells of a host.
    fn flags(&self, envoy: &Envoy, at: usize) -> Result<Vec<&'static str>, Problem> {
        let name = cluster::name(self.number);
        let address = cluster::address(self.number, at).to_string();
        let all = envoy.host_statuses(&name)?;
        let status = all.get(&address).ok_or_else(|| Problem(format!("{address} is not there")))?;
        let is_set = |name: &str| status.get(name).and_then(Value::as_bool).unwrap_or(false);
        Ok(FLAGS.into_iter().map(|(_, name)| name).filter(|name| is_set(name)).collect())
    }

    /// A client asks for something. It is answered if anybody is picked, and may fail the host then.
    fn request(&mut self, envoy: &Envoy, at: usize, fails: bool) -> Result<(), Problem> {
        let mut connection = Connection::open(listener(envoy)?)?;
        let path = cluster::path(self.number);
        let request = Request { method: "GET", host: "any", path: &path };
        let headers: &[(String, String)] =
            if fails { &[(FAIL.to_owned(), "yes".to_owned())] } else { &[] };
        let answer = connection.send_with(&request, headers)?;
        let expected = if self.shares().is_empty() { 503 } else { 200 };
        if answer.status != expected {
            return Err(Problem(format!("the answer is {}, not {expected}", answer.status)));
        }
        if answer.status == 503 {
            return Ok(());
        }
        self.traffic = Traffic::Seen;
        if fails && let Some(host) = self.hosts.get_mut(at) {
            let event = host.session.handle_passive_failure();
            self.sort(&event);
        }
        // Another thread of Envoy carries the news to where flags are kept.
        let expected = self.expected_flags(at);
        let same = || self.flags(envoy, at).is_ok_and(|flags| flags == expected).then_some(());
        let became = wait_for(SOON, same);
        became.ok_or_else(|| Problem(format!("the flags never are {expected:?}")))
    }

    fn health(&self) -> Vec<HostHealth> {
        let hosts = self.hosts.iter().zip(&self.story.hosts);
        hosts.map(|(host, of)| HostHealth::new(of.assigned, host.sorted)).collect()
    }

    /// Compares how many hosts are of each kind.
    fn count(&self, envoy: &Envoy) -> Result<(), Problem> {
        let health = self.health();
        let number =
            |is: &dyn Fn(&HostHealth) -> bool| health.iter().filter(|host| is(host)).count();
        let expected = [
            ("excluded", number(&|host| host.is_excluded())),
            ("healthy", number(&|host| host.coarse() == CoarseHealth::Healthy)),
            ("degraded", number(&|host| host.coarse() == CoarseHealth::Degraded)),
        ];
        let prefix = format!("cluster.{}.membership_", cluster::name(self.number));
        let gauges = envoy.counters(&prefix)?;
        for (kind, count) in expected {
            let got = gauges.get(&format!("{prefix}{kind}")).copied();
            if got != u64::try_from(count).ok() {
                return Err(Problem(format!("{got:?} hosts are {kind}, not {count}")));
            }
        }
        Ok(())
    }

    /// Who is picked, in percent, by the flags of our sessions.
    fn shares(&self) -> BTreeMap<String, f64> {
        let health = self.health();
        let levels = self.story.hosts.iter().map(|host| host.priority + 1).max().unwrap_or(0);
        let of = |level: usize, is: &dyn Fn(&HostHealth) -> bool| -> Vec<usize> {
            let here = self.story.hosts.iter().zip(&health).enumerate();
            let fits = here.filter(|(_, (host, health))| host.priority == level && is(health));
            fits.map(|(at, _)| at).collect()
        };
        let of_class = |level, class| of(level, &|host: &HostHealth| host.coarse() == class);
        let narrow = |hosts: &[usize]| u32::try_from(hosts.len()).unwrap_or(u32::MAX);
        let counted: Vec<LevelHosts> = (0..levels)
            .map(|level| LevelHosts {
                degraded: narrow(&of_class(level, CoarseHealth::Degraded)),
                excluded: narrow(&of(level, &|host| host.is_excluded())),
                ..LevelHosts::healthy_of(
                    narrow(&of_class(level, CoarseHealth::Healthy)),
                    narrow(&of(level, &|_| true)),
                )
            })
            .collect();
        let mut load = PriorityLoad::default();
        load.spill(DataPlane::Envoy, &counted, PanicThreshold::new(self.story.panic));
        let mut shares = BTreeMap::new();
        for (level, load) in load.levels().iter().enumerate() {
            let lists = [
                (CoarseHealth::Healthy, load.healthy_load),
                (CoarseHealth::Degraded, load.degraded_load),
            ];
            for (class, share) in lists.into_iter().filter(|(_, share)| share.get() > 0) {
                let all = || of(level, &|_| true);
                let hosts = if load.panic { all() } else { of_class(level, class) };
                let each = f64::from(share.get()) / f64::from(narrow(&hosts).max(1));
                for at in hosts {
                    let name = cluster::address(self.number, at).to_string();
                    *shares.entry(name).or_insert(0.0) += each;
                }
            }
        }
        shares
    }

    fn spread(&self, envoy: &Envoy) -> Result<(), Problem> {
        let path = cluster::path(self.number);
        let request = Request { method: "GET", host: "any", path: &path };
        // Where there is one host at most there is no chance.
        let requests = if self.hosts.len() > 1 { REQUESTS } else { 10 };
        let answers = traffic::send_in_turn(listener(envoy)?, &request, requests)?;
        answers.matches(&self.shares(), POINTS)
    }
}
