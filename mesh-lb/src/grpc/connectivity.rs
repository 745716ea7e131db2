//! The states of connections, and what they make of the state of a level.

/// The state of an endpoint's connections, of a level, or of a channel.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "gRPC knows these four")]
pub enum Connectivity {
    /// A connection is being made: RPCs wait.
    #[default]
    Connecting,
    /// A connection stands: RPCs are sent.
    Ready,
    /// No connection, and none is tried until an RPC wants one.
    Idle,
    /// Connecting failed, or outlier detection ejected the endpoint. It lasts until the endpoint
    /// is ready again, attempts to connect in between notwithstanding.
    TransientFailure,
}

/// Returns the state of a list under round robin, least request, weighted round robin or weighted
/// localities: the best of its states, where connecting is better than idle. An empty list fails.
///
/// # Upstream
///
/// grpc-go `balancer/conn_state_evaluator.go`, `ConnectivityStateEvaluator.CurrentState`.
pub fn aggregate(states: impl IntoIterator<Item = Connectivity>) -> Connectivity {
    let rank = |state| match state {
        Connectivity::Ready => 3,
        Connectivity::Connecting => 2,
        Connectivity::Idle => 1,
        Connectivity::TransientFailure => 0,
    };
    states.into_iter().max_by_key(|state| rank(*state)).unwrap_or(Connectivity::TransientFailure)
}

/// Returns the state of a list under ring hash, which connects only to the endpoints that it needs:
/// two failures are a failure of the list, although others may be idle.
///
/// # Upstream
///
/// grpc-go `balancer/ringhash/ringhash.go`, `ringhashBalancer.aggregatedStateLocked` (gRFC A42).
pub fn aggregate_ring(states: impl IntoIterator<Item = Connectivity>) -> Connectivity {
    let [mut ready, mut connecting, mut idle, mut failing] = [0_usize; 4];
    for state in states {
        match state {
            Connectivity::Ready => ready += 1,
            Connectivity::Connecting => connecting += 1,
            Connectivity::Idle => idle += 1,
            Connectivity::TransientFailure => failing += 1,
        }
    }
    let several = ready + connecting + idle + failing > 1;
    if ready > 0 {
        Connectivity::Ready
    } else if failing >= 2 {
        Connectivity::TransientFailure
    } else if connecting > 0 || (failing == 1 && several) {
        Connectivity::Connecting
    } else if idle > 0 {
        Connectivity::Idle
    } else {
        Connectivity::TransientFailure
    }
}

#[cfg(test)]
mod tests {
    use super::Connectivity::{self, Connecting, Idle, Ready, TransientFailure};
    use super::*;

    fn check(states: &[Connectivity], flat: Connectivity, ring: Connectivity) {
        let states = || states.iter().copied();
        assert_eq!((aggregate(states()), aggregate_ring(states())), (flat, ring));
    }

    #[test]
    fn one_ready_endpoint_makes_a_level_ready() {
        check(&[TransientFailure, TransientFailure, Ready], Ready, Ready);
    }

    #[test]
    fn a_ring_fails_with_two_failures_and_connects_with_one() {
        check(&[TransientFailure, TransientFailure, Idle], Idle, TransientFailure);
        check(&[TransientFailure, Idle], Idle, Connecting);
        check(&[TransientFailure], TransientFailure, TransientFailure);
    }

    #[test]
    fn nothing_fails() {
        check(&[], TransientFailure, TransientFailure);
    }
}
