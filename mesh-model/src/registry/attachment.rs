//! By what services are behind waypoints, and so policies attached to them in force.
use crate::name::Labels;

/// The label that says which waypoint something is behind.
pub const USE_WAYPOINT: &str = "istio.io/use-waypoint";

/// The label with the namespace of that waypoint.
pub const USE_WAYPOINT_NAMESPACE: &str = "istio.io/use-waypoint-namespace";

/// The label that says whether a ztunnel carries the pods of a namespace.
pub(super) const DATAPLANE_MODE: &str = "istio.io/dataplane-mode";

/// Whether labels say which waypoint something is behind: the one that they name, or none.
pub(super) fn says_waypoint(labels: &Labels) -> bool {
    !labels.value(USE_WAYPOINT).is_empty()
}

/// Whether labels say that something is behind a waypoint.
pub(super) fn is_behind_waypoint(labels: &Labels) -> bool {
    says_waypoint(labels) && labels.value(USE_WAYPOINT) != "none"
}

/// The waypoint that labels name, and its namespace.
pub(super) fn waypoint(labels: &Labels) -> [Box<str>; 2] {
    [USE_WAYPOINT, USE_WAYPOINT_NAMESPACE].map(|label| labels.value(label).into())
}

/// Whether two states of a service are behind the same waypoint: both are there, or neither is.
pub(super) fn is_same_waypoint(before: Option<Labels>, after: Option<Labels>) -> bool {
    let of = |labels: Option<Labels>| labels.map(|labels| waypoint(&labels));
    of(before) == of(after)
}
