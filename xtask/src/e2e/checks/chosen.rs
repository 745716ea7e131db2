//! The stories: those that everybody would ask for, and random ones.
use mesh_lb::health::active::HealthCheckConfig;
use mesh_lb::health::status::HealthStatus::{self, Degraded, Draining, Unhealthy, Unknown};

use super::story::{Answer, Check, Host, Step, Story, degraded, leaves, says};
use crate::e2e::random::Random;

const REQUEST: Step = Step::Request { fails: false };
const FAILING_REQUEST: Step = Step::Request { fails: true };

pub(super) fn all() -> Vec<Story> {
    [thresholds(), answers(), waits(), clusters()].into_iter().flatten().collect()
}

fn thresholds() -> Vec<Story> {
    let of = Story::of_one;
    let retriable = Check { retriable: Some((500, 504)), ..Check::quick(3, 2) };
    vec![
        of("a new host needs one success", Check::quick(2, 3), vec![says(200), says(200)]),
        of(
            "a host that failed at first needs its threshold",
            Check::quick(2, 3),
            vec![says(503), says(200), says(200), says(503), says(200), says(200), says(200)],
        ),
        of("an answer that says no fails a host at once", Check::quick(3, 1), {
            vec![says(200), says(503), says(200), says(204)]
        }),
        of(
            "connections that break count up to the threshold",
            Check::quick(3, 2),
            vec![
                says(200),
                Step::Break,
                Step::Break,
                says(200),
                Step::Break,
                Step::Break,
                Step::Break,
            ],
        ),
        of(
            "statuses that are worth another attempt count as broken connections do",
            retriable,
            vec![says(200), says(500), Step::Break, says(503), says(200), says(504), says(200)],
        ),
        of(
            "one failure is enough for a threshold of one",
            Check::quick(1, 1),
            vec![says(200), Step::Break, says(200), Step::Break],
        ),
    ]
}

fn answers() -> Vec<Story> {
    let of = Story::of_one;
    let lenient = Check { expected: Some((200, 400)), ..Check::quick(2, 2) };
    let mut hasty = Check::quick(2, 1);
    hasty.config = HealthCheckConfig { timeout_ms: 1_000, ..hasty.config };
    let counting = Check { retriable: Some((500, 504)), ..Check::quick(3, 2) };
    let mut ignored = of(
        "a new host is left out until its first check",
        Check::quick(2, 2),
        vec![says(503), says(200)],
    );
    ignored.ignores_new = true;
    vec![
        of(
            "statuses that are expected pass, all others fail",
            lenient,
            vec![says(302), says(399), says(400), says(204), says(200)],
        ),
        of(
            "a host says that it is degraded and takes it back",
            Check::quick(2, 2),
            vec![degraded(), says(200), degraded(), says(503), degraded(), degraded()],
        ),
        of(
            "a host that does not answer in time fails, and that is told",
            hasty,
            vec![says(200), Step::Silence, Step::Silence, Step::Break, Step::Silence, says(200)],
        ),
        of(
            "a failed host that asks for it is left out until it is well",
            Check::quick(2, 2),
            vec![says(200), leaves(503), says(200), says(200), leaves(200)],
        ),
        of(
            "a host that is about to fail may be left out before it has",
            counting,
            vec![says(200), leaves(503), REQUEST, leaves(503), says(200), leaves(503), says(500)],
        ),
        of(
            "an answer to a client fails a host at once",
            Check::quick(2, 2),
            vec![says(200), FAILING_REQUEST, says(200), says(200), REQUEST, says(200)],
        ),
        ignored,
    ]
}

/// Each kind of wait has its own length.
fn waits() -> Vec<Story> {
    let check = Check {
        config: HealthCheckConfig {
            unhealthy_interval_ms: Some(500),
            unhealthy_edge_interval_ms: Some(950),
            healthy_edge_interval_ms: Some(1400),
            no_traffic_interval_ms: 20,
            ..HealthCheckConfig::new(20_000, 30, 2, 2)
        },
        expected: None,
        retriable: None,
    };
    let mut idle = check.clone();
    idle.config.no_traffic_interval_ms = 900;
    idle.config.no_traffic_healthy_interval_ms = Some(450);
    let hosts = |steps: &[Step]| steps.to_vec();
    vec![
        Story::of_one(
            "checks come as often as the last answer asks",
            check,
            hosts(&[
                says(200),
                REQUEST,
                says(200),
                Step::Break,
                Step::Break,
                Step::Break,
                says(200),
                says(200),
            ]),
        ),
        Story::of_one(
            "a cluster without traffic is checked at its own pace",
            idle,
            hosts(&[says(200), says(200), Step::Break, Step::Break, says(200), says(200)]),
        ),
    ]
}

fn host(priority: usize, assigned: HealthStatus, steps: &[Step]) -> Host {
    Host { priority, assigned, steps: steps.to_vec() }
}

fn clusters() -> Vec<Story> {
    let well: &[Step] = &[says(200), says(200), says(200)];
    let ill: &[Step] = &[says(200), says(503), says(503)];
    let back: &[Step] = &[says(503), says(200), says(200)];
    let gone: &[Step] = &[says(200), leaves(503), says(503)];
    let slow: &[Step] = &[degraded(), degraded(), degraded()];
    let of = |sentence: &str, panic, hosts: &[(usize, HealthStatus, &[Step])]| Story {
        hosts: hosts.iter().map(|&(level, assigned, steps)| host(level, assigned, steps)).collect(),
        panic,
        ..Story::of_one(sentence, Check::quick(2, 2), Vec::new())
    };
    let at = |priority, steps| (priority, Unknown, steps);
    vec![
        of(
            "hosts that pass share the requests",
            0,
            &[at(0, well), at(0, ill), at(0, back), at(0, well)],
        ),
        of(
            "what the failed ones cannot take spills over",
            0,
            &[at(0, well), at(0, ill), at(0, back), at(0, ill), at(1, well), at(1, ill)],
        ),
        of(
            "hosts that are left out count for nothing",
            0,
            &[at(0, well), at(0, gone), at(0, well), at(0, ill), at(1, well)],
        ),
        of(
            "degraded hosts take what is left over",
            0,
            &[at(0, well), at(0, slow), at(0, ill), at(0, well), at(0, ill)],
        ),
        of("too many failures are panic", 50, &[at(0, well), at(0, ill), at(0, ill), at(0, gone)]),
        of(
            "the control plane's word and the check's both count",
            0,
            &[
                (0, Unhealthy, well),
                (0, Draining, well),
                (0, Degraded, well),
                (0, Degraded, ill),
                at(0, back),
                at(1, well),
            ],
        ),
    ]
}

/// Stories nobody would think of.
pub(super) fn of_chance(random: &mut Random) -> Vec<Story> {
    (0..8)
        .map(|number| {
            let threshold = |random: &mut Random| u32::try_from(random.below(4)).unwrap_or(1);
            let mut check = Check::quick(threshold(random).max(1), threshold(random).max(1));
            check.retriable = random.once_in(2).then_some((500, 504));
            let steps = 6 + random.below(6);
            // Envoy opens no listener before the first answer.
            let first = random.of(&[says(200), says(503), degraded(), leaves(500)], Step::Break);
            let steps = std::iter::once(first).chain((0..steps).map(|_| step(random))).collect();
            Story {
                panic: if random.once_in(3) { 50 } else { 0 },
                ignores_new: random.once_in(2),
                ..Story::of_one(&format!("a story of chance {number}"), check, steps)
            }
        })
        .collect()
}

fn step(random: &mut Random) -> Step {
    match random.below(8) {
        0 => Step::Break,
        1 => Step::Request { fails: random.once_in(2) },
        2..=4 => says(200),
        _ => Step::Answer(Answer {
            status: random.of(&[200, 500, 503, 404], 200),
            degraded: random.once_in(3),
            fails: random.once_in(3),
        }),
    }
}
