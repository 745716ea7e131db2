//! What runs.
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};

use super::Meta;
use super::service::Transport;
use crate::manifest::decode::{self, Cursor, Decode, Message, choice, message};
use crate::manifest::{Node, Value};
use crate::name::{Text, share_text};

message! {
    /// Kubernetes `v1` `Pod`: what the mesh reads of it.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/kube/controller/pod.go`.
    pub struct Pod ignoring unknown {
        /// Name, namespace, labels, annotations, owner.
        meta: Meta = (elsewhere),
        /// What is asked for.
        spec: PodSpec = "spec",
        /// What the cluster made of it.
        status: PodStatus = "status",
    }
}

/// The fields of a [`Pod`] that the mesh reads: what is its own, and what it has in common with its neighbours.
///
/// As with [`Meta`], what the pods of one owner say alike is behind one pointer, which the registry shares between
/// them, and is read and written as if it stood here (`spec.containers`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build objects by hand")]
pub struct PodSpec {
    /// The node that it runs on, empty before it is scheduled.
    pub node_name: Text,
    /// Its own name in DNS, empty for the pod's name.
    pub hostname: Text,
    /// What other pods may say, too.
    pub common: Arc<CommonPodSpec>,
}

message! {
    /// What the pods of one owner mostly have in common of what is asked for.
    #[derive(Eq)]
    pub struct CommonPodSpec ignoring unknown {
        /// The service account, empty for `default`.
        service_account_name: Arc<str> = "serviceAccountName" | "serviceAccount",
        /// Whether it uses the network of its node.
        host_network: bool = "hostNetwork",
        /// The headless service below which it has a name in DNS.
        subdomain: Box<str> = "subdomain",
        /// The containers.
        containers: Arc<[Container]> = "containers",
        /// How the containers run unless they say otherwise.
        security_context: SecurityContext = "securityContext",
        /// The containers that run before the others, or beside them if they restart always.
        init_containers: Arc<[Container]> = "initContainers",
    }
}

impl PodSpec {
    /// Takes the allocations of another pod's for what is equal to it.
    pub(crate) fn share(&mut self, near: &Self) {
        if self.node_name == near.node_name {
            self.node_name.clone_from(&near.node_name);
        }
        if self.common == near.common {
            self.common.clone_from(&near.common);
        } else if let Some(common) = Arc::get_mut(&mut self.common) {
            share_text(&mut common.service_account_name, &near.service_account_name);
            if common.containers == near.containers {
                common.containers.clone_from(&near.containers);
            }
            if common.init_containers == near.init_containers {
                common.init_containers.clone_from(&near.init_containers);
            }
        }
    }
}

impl Default for PodSpec {
    fn default() -> Self {
        static NONE: LazyLock<Arc<CommonPodSpec>> = LazyLock::new(<_>::default);
        let common = Arc::clone(&NONE);
        Self { node_name: Text::default(), hostname: Text::default(), common }
    }
}

impl Deref for PodSpec {
    type Target = CommonPodSpec;

    #[inline]
    fn deref(&self) -> &CommonPodSpec {
        &self.common
    }
}

impl DerefMut for PodSpec {
    fn deref_mut(&mut self) -> &mut CommonPodSpec {
        Arc::make_mut(&mut self.common)
    }
}

impl Message for PodSpec {
    fn overlay(&mut self, node: &Node, cursor: &mut Cursor) {
        decode::field(node, cursor, ("nodeName", "nodeName"), &mut self.node_name);
        decode::field(node, cursor, ("hostname", "hostname"), &mut self.hostname);
        Arc::make_mut(&mut self.common).overlay(node, cursor);
    }
}

impl Decode for PodSpec {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        decode::message(node, cursor)
    }
}

message! {
    /// A container of a [`Pod`].
    #[derive(Eq)]
    pub struct Container ignoring unknown {
        /// The name; `istio-proxy` is the proxy.
        name: Box<str> = "name",
        /// The image, whose tag is the version of a proxy.
        image: Box<str> = "image",
        /// The arguments, of which a proxy's say its role.
        args: Box<[Box<str>]> = "args",
        /// The declared ports, which named target ports refer to.
        ports: Box<[ContainerPort]> = "ports",
        /// The environment, which holds a proxy's node metadata.
        env: Box<[EnvVar]> = "env",
        /// `Always` makes an init container run beside the others; empty otherwise.
        restart_policy: Box<str> = "restartPolicy",
        /// How it runs.
        security_context: SecurityContext = "securityContext",
        /// What it asks of its node.
        resources: ContainerResources = "resources",
    }
}

message! {
    /// How the containers of a [`Pod`] run.
    #[derive(Eq)]
    pub struct SecurityContext ignoring unknown {
        /// The user; absent: that of the pod, or of the image.
        run_as_user: Option<u32> = "runAsUser",
    }
}

message! {
    /// What a container asks of its node.
    #[derive(Eq)]
    pub struct ContainerResources ignoring unknown {
        /// What is kept for it.
        requests: ResourceRequests = "requests",
    }
}

message! {
    /// What is kept for a container.
    #[derive(Eq)]
    pub struct ResourceRequests ignoring unknown {
        /// The CPU, in cores.
        cpu: Quantity = "cpu",
    }
}

/// An amount as Kubernetes writes it, such as `500m` or `2`; empty where none is given.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Quantity(Box<str>);

impl Quantity {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Decode for Quantity {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        match &node.value {
            Value::Integer(number) => Some(Self(number.to_string().into())),
            Value::Float(number) => Some(Self(number.to_string().into())),
            Value::String(_) | Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                <Box<str>>::decode(node, cursor).map(Self)
            }
        }
    }
}

message! {
    /// A declared port of a [`Container`].
    #[derive(Eq)]
    pub struct ContainerPort ignoring unknown {
        /// The name, empty if none.
        name: Box<str> = "name",
        /// The number.
        container_port: u32 = "containerPort",
        /// The transport.
        protocol: Transport = "protocol",
    }
}

message! {
    /// A variable of a container's environment.
    #[derive(Eq)]
    pub struct EnvVar ignoring unknown {
        /// The name.
        name: Box<str> = "name",
        /// The text; absent where it comes from elsewhere (`valueFrom`), and unknown here.
        value: Option<Box<str>> = "value",
    }
}

/// The status of a [`Pod`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build objects by hand")]
pub struct PodStatus {
    /// Where it is in its life.
    pub phase: PodPhase,
    /// The condition `Ready`.
    pub readiness: Readiness,
    /// The address; the first of `pod_ips` where both are given.
    pub pod_ip: Option<IpAddr>,
    /// The addresses, one a family; none where `pod_ip` is the only one.
    pub pod_ips: PodIps,
}

impl PodStatus {
    /// Returns the addresses, the primary one first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let more = self.pod_ips.iter().filter(|ip| self.pod_ip != Some(*ip));
        self.pod_ip.into_iter().chain(more)
    }
}

/// The addresses of a [`Pod`], in one word: most have one, which `podIP` says already.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PodIps(
    // INVARIANT: none where there is no address.
    Option<Box<Box<[IpAddr]>>>,
);

impl PodIps {
    /// Returns the addresses in their order.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().flat_map(|ips| ips.iter().copied())
    }
}

impl FromIterator<IpAddr> for PodIps {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(ips: I) -> Self {
        let ips: Box<[IpAddr]> = ips.into_iter().collect();
        Self((!ips.is_empty()).then(|| Box::new(ips)))
    }
}

message! {
    /// `status` as it is written.
    struct WrittenStatus ignoring unknown {
        /// Where it is in its life.
        phase: PodPhase = "phase",
        /// The address.
        pod_ip: Option<IpAddr> = "podIP",
        /// The addresses.
        pod_ips: Vec<WrittenIp> = "podIPs",
        /// The condition `Ready`.
        readiness: Readiness = "conditions",
    }
}

message! {
    /// An entry of `podIPs`.
    struct WrittenIp ignoring unknown {
        /// The address.
        ip: Option<IpAddr> = "ip",
    }
}

impl Decode for PodStatus {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let WrittenStatus { phase, pod_ip, pod_ips, readiness } = Decode::decode(node, cursor)?;
        let ips = || pod_ips.iter().filter_map(|written| written.ip);
        let pod_ips = if ips().eq(pod_ip) { PodIps::default() } else { ips().collect() };
        Some(Self { phase, readiness, pod_ip, pod_ips })
    }
}

choice! {
    /// Where a pod is in its life.
    pub enum PodPhase default Unknown {
        /// Not told, or the node is lost.
        Unknown = "Unknown",
        /// Not all of its containers have started.
        Pending = "Pending",
        /// It runs.
        Running = "Running",
        /// It has ended well.
        Succeeded = "Succeeded",
        /// It has ended badly.
        Failed = "Failed",
    }
}

/// The condition `Ready` of a pod.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a condition has three values")]
pub enum Readiness {
    /// Not told.
    #[default]
    Unknown,
    /// It must not be sent traffic.
    NotReady,
    /// It may be sent traffic.
    Ready,
}

message! {
    /// An entry of `status.conditions`.
    struct Condition ignoring unknown {
        /// What is told.
        kind: Box<str> = "type",
        /// `True`, `False` or `Unknown`.
        status: Box<str> = "status",
    }
}

impl Decode for Readiness {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let conditions = Vec::<Condition>::decode(node, cursor)?;
        let ready = conditions.iter().find(|condition| *condition.kind == *"Ready");
        Some(ready.map_or(Self::Unknown, |ready| match &*ready.status {
            "True" => Self::Ready,
            "False" => Self::NotReady,
            _ => Self::Unknown,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::testing::node;

    fn spec(node: &str, account: &str) -> PodSpec {
        let mut spec = PodSpec { node_name: node.into(), ..PodSpec::default() };
        spec.service_account_name = account.into();
        spec.containers = [Container { name: "app".into(), ..Container::default() }].into();
        spec
    }

    #[test]
    fn pods_of_one_owner_share_what_is_not_their_own() {
        let (near, mut equal) = (spec("node-1", "cart"), spec("node-2", "cart"));
        equal.share(&near);
        assert!(Arc::ptr_eq(&equal.common, &near.common));
        assert_eq!(equal, spec("node-2", "cart"));
        equal.host_network = true;
        assert!(equal.host_network && !near.host_network);
    }

    #[test]
    fn pods_of_different_owners_share_what_is_equal() {
        let (near, mut other) = (spec("node-1", "cart"), spec("node-1", "news"));
        other.share(&near);
        assert_eq!(other, spec("node-1", "news"));
        assert!(other.node_name.is_same(&near.node_name));
        assert!(Arc::ptr_eq(&other.containers, &near.containers));
    }

    #[test]
    fn an_address_that_is_said_twice_is_kept_once() {
        let check = |ip: Option<&str>, ips: &[&str], kept: usize, expected: &[&str]| {
            let parse = |ip: &&str| ip.parse::<IpAddr>().unwrap();
            let list: Vec<String> = ips.iter().map(|ip| format!("{{\"ip\":\"{ip}\"}}")).collect();
            let ip = ip.map(|ip| format!("\"podIP\":\"{ip}\",")).unwrap_or_default();
            let text = format!("{{{ip}\"podIPs\":[{}]}}", list.join(","));
            let status = PodStatus::decode(&node(&text), &mut Cursor::default()).unwrap();
            assert_eq!(status.pod_ips.iter().count(), kept, "{text}");
            assert!(status.addresses().eq(expected.iter().map(parse)), "{text}");
        };
        check(Some("10.0.0.1"), &[], 0, &["10.0.0.1"]);
        check(Some("10.0.0.1"), &["10.0.0.1"], 0, &["10.0.0.1"]);
        check(Some("10.0.0.1"), &["10.0.0.1", "fd00::1"], 2, &["10.0.0.1", "fd00::1"]);
        check(Some("10.0.0.1"), &["fd00::1"], 1, &["10.0.0.1", "fd00::1"]);
        check(None, &["10.0.0.1"], 1, &["10.0.0.1"]);
        check(None, &[], 0, &[]);
    }

    #[test]
    fn a_pod_is_small() {
        assert!(size_of::<Pod>() <= 104);
    }
}
