//! Why an address behind a service is no endpoint of it.
use std::fmt;

use crate::name::ClusterId;

/// Why an address is no endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AbsentReason {
    /// It has other ports than the service's.
    OtherPorts {
        /// What the port is asked for by: its name, or its number in clusters that DNS resolves.
        wanted: Box<str>,
        /// What it has instead.
        has: Vec<Box<str>>,
    },
    /// The pod that its slice names is not in the cluster.
    PodMissing(Box<str>),
    /// The pod that its slice names has failed.
    PodFailed(Box<str>),
    /// The pod is not ready, and a ServiceEntry selects none but ready ones.
    PodNotReady(Box<str>),
    /// Its WorkloadEntry asks for health checks and was not found healthy.
    MachineUnhealthy(Box<str>),
    /// The address is a host name, which the service cannot use.
    HostName,
    /// The address is a Unix socket, which the service cannot use.
    UnixSocket,
    /// Its slice is of host names, which the mesh ignores.
    SliceOfHostNames,
    /// The control plane does not read its cluster.
    ClusterNotRead(ClusterId),
    /// `discoverySelectors` leave its namespace out in its cluster.
    NamespaceNotDiscovered,
    /// Of the endpoints of a DNS_ROUND_ROBIN service one counts: the first.
    NotFirst,
}

impl AbsentReason {
    /// Returns the stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OtherPorts { .. } => "other_ports",
            Self::PodMissing(_) => "pod_missing",
            Self::PodFailed(_) => "pod_failed",
            Self::PodNotReady(_) => "pod_not_ready",
            Self::MachineUnhealthy(_) => "machine_unhealthy",
            Self::HostName => "host_name",
            Self::UnixSocket => "unix_socket",
            Self::SliceOfHostNames => "slice_of_host_names",
            Self::ClusterNotRead(_) => "cluster_not_read",
            Self::NamespaceNotDiscovered => "namespace_not_discovered",
            Self::NotFirst => "not_first",
        }
    }
}

impl fmt::Display for AbsentReason {
    /// Prints a sentence, in lower case and without a final period.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherPorts { wanted, has } => {
                match &**wanted {
                    "" => write!(f, "the service's port has no name")?,
                    wanted => write!(f, "the service's port is `{wanted}`")?,
                }
                match has.as_slice() {
                    [] => write!(f, " and this endpoint has no port at all"),
                    has => write!(f, " and this endpoint has no such port, only {}", listed(has)),
                }
            }
            Self::PodMissing(pod) => {
                write!(f, "its slice names the pod `{pod}`, which is not in the cluster")
            }
            Self::PodFailed(pod) => {
                write!(f, "its slice names the pod `{pod}`, which has failed")
            }
            Self::PodNotReady(pod) => {
                write!(
                    f,
                    "the pod `{pod}` is not ready, and a ServiceEntry selects ready ones only"
                )
            }
            Self::MachineUnhealthy(machine) => write!(
                f,
                "the WorkloadEntry `{machine}` asks for health checks and is not known as healthy"
            ),
            Self::HostName => {
                write!(f, "the address is a host name, which only DNS clusters can use")
            }
            Self::UnixSocket => {
                write!(f, "the address is a Unix socket, which only DNS clusters can use")
            }
            Self::SliceOfHostNames => {
                write!(f, "its slice is of type FQDN, and such slices are ignored")
            }
            Self::ClusterNotRead(plane) => {
                write!(f, "the control plane `{plane}` does not read this cluster")
            }
            Self::NamespaceNotDiscovered => {
                write!(f, "discoverySelectors leave its namespace out in this cluster")
            }
            Self::NotFirst => {
                write!(f, "a DNS_ROUND_ROBIN service keeps the first endpoint alone")
            }
        }
    }
}

fn listed(names: &[Box<str>]) -> String {
    let name = |name: &str| match name {
        "" => "one without a name".to_owned(),
        name => format!("`{name}`"),
    };
    names.iter().map(|one| name(one)).collect::<Vec<_>>().join(", ")
}
