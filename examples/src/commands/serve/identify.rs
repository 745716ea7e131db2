//! Who connects: from Envoy's node to a pod of the mesh and the program beside it.
//!
//! A node only names a pod. What the proxy is (labels, locality, service account, interception)
//! follows from the folder, as in every other command; of its metadata count the cluster it says
//! that it is in, and what tells the data planes apart.
use std::net::IpAddr;

use mesh_envoy_proto::envoy::config::core::v3::Node;
use mesh_envoy_proto::prost_types::value::Kind;
use mesh_model::compat::DataPlane;
use mesh_model::registry::Mesh;
use mesh_model::view::ProxyKind;
use tonic::Status;

/// Longer than any id: a pod's name and a namespace have at most 253 bytes each.
const MAX_ID: usize = 1_024;
/// As much of an id that is too long is told.
const TOLD: usize = 64;
/// The metadata with the ports of bootstrap and agent: numbers, or istiod cannot read the node.
const RESERVED: [&str; 4] = [
    "ENVOY_STATUS_PORT",
    "ENVOY_PROMETHEUS_PORT",
    "ENVOY_SECURE_METRICS_PORT",
    "ENVOY_SECURE_MERGED_METRICS_PORT",
];

/// The types that nodes are of.
const KINDS: [ProxyKind; 4] =
    [ProxyKind::Sidecar, ProxyKind::Router, ProxyKind::Waypoint, ProxyKind::Ztunnel];

/// Why a node is nobody, in a sentence.
#[derive(Debug)]
pub(super) enum Stranger {
    /// It does not say who it is.
    Malformed(String),
    /// There is no such pod.
    Unknown(String),
}

impl From<Stranger> for Status {
    fn from(stranger: Stranger) -> Self {
        match stranger {
            Stranger::Malformed(sentence) => Self::invalid_argument(sentence),
            Stranger::Unknown(sentence) => Self::not_found(sentence),
        }
    }
}

/// The pod that a node id names, as `CLUSTER/NAMESPACE/POD`. A node that does not say its cluster is in the only one that has its pod.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/context.go` `ParseMetadata`, `ParseServiceNodeWithMetadata`;
/// `pilot/pkg/serviceregistry/aggregate/controller.go` `skipSearchingRegistryForProxy`.
pub(super) fn reference(node: &Node, mesh: &Mesh) -> Result<String, Stranger> {
    let malformed = |sentence| Err(Stranger::Malformed(sentence));
    let id = node.id.as_str();
    if id.len() > MAX_ID {
        let begin: String = id.chars().take(TOLD).collect();
        let bytes = id.len();
        return malformed(format!("node id `{begin}…` has {bytes} bytes, more than {MAX_ID}"));
    }
    if let Some(key) = RESERVED.into_iter().find(|key| !is_whole_number(node, key)) {
        return malformed(format!("node metadata `{key}` is not a whole number"));
    }
    if id.contains('~') {
        return service_node(node, mesh);
    }
    match id.split('/').collect::<Vec<_>>().as_slice() {
        [cluster, namespace, pod] if ![cluster, namespace, pod].iter().any(|it| it.is_empty()) => {
            Ok(id.to_owned())
        }
        _ => malformed(format!(
            "node id `{id}` is neither `TYPE~IP~POD.NAMESPACE~DOMAIN` nor `CLUSTER/NAMESPACE/POD`"
        )),
    }
}

/// The type that a node says it is of, `TYPE~IP~POD.NAMESPACE~DOMAIN`; another form says none.
pub(super) fn kind(node: &Node) -> Option<ProxyKind> {
    let (kind, _) = node.id.split_once('~')?;
    KINDS.into_iter().find(|known| known.as_str() == kind)
}

fn service_node(node: &Node, mesh: &Mesh) -> Result<String, Stranger> {
    let malformed = |sentence| Err(Stranger::Malformed(sentence));
    let id = node.id.as_str();
    let parts: Vec<&str> = id.split('~').collect();
    let [kind, address, name, _domain] = parts.as_slice() else {
        return malformed(format!("node id `{id}` has {} parts between `~`, not 4", parts.len()));
    };
    if !KINDS.iter().any(|known| known.as_str() == *kind) {
        return malformed(format!("node id `{id}` is of the unknown type `{kind}`"));
    }
    let ips = text(node, "INSTANCE_IPS").unwrap_or_default();
    let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
    if !is_address(address) && !ips.split(',').all(is_address) {
        return malformed(format!("node id `{id}` has the address `{address}`, which is none"));
    }
    let Some((pod, namespace)) =
        name.rsplit_once('.').filter(|(pod, ns)| !pod.is_empty() && !ns.is_empty())
    else {
        return malformed(format!("node id `{id}` names `{name}`, which is not `POD.NAMESPACE`"));
    };
    let told = text(node, "CLUSTER_ID").filter(|cluster| !cluster.is_empty());
    if let Some(cluster) = told.filter(|cluster| cluster.len() <= MAX_ID) {
        return Ok(format!("{cluster}/{namespace}/{pod}"));
    }
    let pods = mesh.clusters().map(|cluster| format!("{cluster}/{namespace}/{pod}"));
    let mut known = pods.filter(|reference| mesh.proxy(reference).is_ok());
    match (known.next(), known.next()) {
        (Some(only), None) => Ok(only),
        (found, _) => {
            let who = if found.is_none() { "no cluster has" } else { "several clusters have" };
            let sentence = format!(
                "node `{id}` does not say its cluster: metadata `CLUSTER_ID` is absent, and {who} such \
                 a pod"
            );
            Err(match found {
                None => Stranger::Unknown(sentence),
                Some(_) => Stranger::Malformed(sentence),
            })
        }
    }
}

/// The program that a node is.
pub(super) fn data_plane(node: &Node) -> DataPlane {
    if text(node, "GENERATOR") == Some("grpc") {
        DataPlane::Grpc
    } else if text(node, "ISTIO_VERSION").is_some_and(|version| !version.is_empty()) {
        DataPlane::IstioProxy
    } else {
        DataPlane::Envoy
    }
}

/// Whether metadata, if it is there, is a number without a fraction. As in Go nothing is as good as absent.
fn is_whole_number(node: &Node, key: &str) -> bool {
    let value = node.metadata.as_ref().and_then(|metadata| metadata.fields.get(key));
    match value.and_then(|value| value.kind.as_ref()) {
        Some(Kind::NumberValue(number)) => number.fract() == 0.0,
        Some(
            Kind::StringValue(_) | Kind::BoolValue(_) | Kind::StructValue(_) | Kind::ListValue(_),
        ) => false,
        Some(Kind::NullValue(_)) | None => true,
    }
}

fn text<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    match node.metadata.as_ref()?.fields.get(key)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(text),
        Kind::NullValue(_)
        | Kind::NumberValue(_)
        | Kind::BoolValue(_)
        | Kind::StructValue(_)
        | Kind::ListValue(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mesh_envoy_proto::prost_types::{Struct, Value};
    use mesh_model::registry::{Origin, Registry, Source};

    use super::*;

    fn node(id: &str, metadata: &[(&str, &str)]) -> Node {
        let fields = metadata.iter().map(|(key, text)| {
            ((*key).to_owned(), Value { kind: Some(Kind::StringValue((*text).to_owned())) })
        });
        let metadata = Some(Struct { fields: fields.collect() });
        Node { id: id.to_owned(), metadata, ..Node::default() }
    }

    /// A pod that is in one cluster, and one that is in two.
    fn mesh() -> Arc<Mesh> {
        let pod = |name: &str| {
            format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop}}\nstatus: \
                 {{phase: Running, podIP: 10.0.0.1}}\n"
            )
        };
        let source = |cluster: &str, text: String| Source {
            origin: Origin::Cluster(cluster.into()),
            name: "pods.yaml".into(),
            text: text.into_bytes(),
        };
        let mut registry = Registry::default();
        registry.load([source("east", pod("one") + &pod("two")), source("west", pod("two"))]);
        registry.mesh()
    }

    fn check(id: &str, metadata: &[(&str, &str)], expected: Result<&str, &str>) {
        match (reference(&node(id, metadata), &mesh()), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(Stranger::Malformed(sentence) | Stranger::Unknown(sentence)), Err(part)) => {
                assert!(sentence.contains(part), "{sentence}");
            }
            (found, _) => panic!("{found:?} for {id}"),
        }
    }

    const EAST: &[(&str, &str)] = &[("CLUSTER_ID", "east")];

    #[test]
    fn a_pod_is_named_by_its_id_and_the_cluster_of_its_metadata() {
        let id = "sidecar~10.0.0.1~web-0.shop~shop.svc.cluster.local";
        check(id, EAST, Ok("east/shop/web-0"));
        check(id, &[], Err("`CLUSTER_ID` is absent, and no cluster has"));
        check("sidecar~10.0.0.1~one.shop~d", &[], Ok("east/shop/one"));
        check("sidecar~10.0.0.1~two.shop~d", &[], Err("several clusters have"));
        check("router~fd00::1~in.gress.shop~shop.svc", EAST, Ok("east/shop/in.gress"));
    }

    #[test]
    fn a_pod_is_named_as_everywhere_in_this_program() {
        check("east/shop/web-0", &[], Ok("east/shop/web-0"));
        for id in ["", "web-0", "shop/web-0", "east//web-0", "east/shop/web-0/x"] {
            check(id, EAST, Err("is neither"));
        }
    }

    #[test]
    fn a_broken_id_is_told_what_is_wrong_with_it() {
        check("sidecar~10.0.0.1~web-0.shop", EAST, Err("has 3 parts"));
        check("car~10.0.0.1~web-0.shop~d", EAST, Err("unknown type `car`"));
        check("sidecar~here~web-0.shop~d", EAST, Err("address `here`"));
        check("sidecar~10.0.0.1~web-0~d", EAST, Err("not `POD.NAMESPACE`"));
        check("sidecar~10.0.0.1~.shop~d", EAST, Err("not `POD.NAMESPACE`"));
    }

    #[test]
    fn an_id_that_no_pod_can_have_is_not_told_whole() {
        let id = format!("east/shop/{}", "é".repeat(100_000));
        let Err(Stranger::Malformed(sentence)) = reference(&node(&id, &[]), &mesh()) else {
            panic!("such a pod there is not")
        };
        assert!(sentence.len() < 300 && sentence.contains("200010 bytes"), "{sentence}");
    }

    #[test]
    fn addresses_of_the_metadata_stand_in_for_that_of_the_id() {
        let metadata = [EAST[0], ("INSTANCE_IPS", "10.0.0.1,fd00::1")];
        check("sidecar~~web-0.shop~d", &metadata, Ok("east/shop/web-0"));
        let metadata = [EAST[0], ("INSTANCE_IPS", "10.0.0.1,x")];
        check("sidecar~~web-0.shop~d", &metadata, Err("address ``"));
    }

    #[test]
    fn a_node_may_say_what_it_is() {
        let of = |id: &str| kind(&node(id, &[])).map(ProxyKind::as_str);
        assert_eq!(of("ztunnel~10.0.0.1~web-0.shop~d"), Some("ztunnel"));
        assert_eq!(of("router~10.0.0.1~web-0.shop~d"), Some("router"));
        assert_eq!((of("east/shop/web-0"), of("car~10.0.0.1~web-0.shop~d")), (None, None));
    }

    #[test]
    fn a_reserved_port_is_a_number() {
        let id = "sidecar~10.0.0.1~web-0.shop~d";
        for key in RESERVED {
            let sentence = format!("`{key}` is not a whole number");
            check(id, &[EAST[0], (key, "15021")], Err(&sentence));
            check("east/shop/web-0", &[(key, "")], Err(&sentence));
            let of = |kind| {
                let mut node = node(id, EAST);
                let fields = &mut node.metadata.as_mut().unwrap().fields;
                fields.insert(key.to_owned(), Value { kind: Some(kind) });
                reference(&node, &mesh()).is_ok()
            };
            assert!(of(Kind::NumberValue(15021.0)) && of(Kind::NullValue(0)));
            assert!(!of(Kind::NumberValue(0.5)) && !of(Kind::NumberValue(f64::NAN)));
            assert!(!of(Kind::BoolValue(true)));
        }
    }

    #[test]
    fn metadata_tell_the_data_planes_apart() {
        let of = |metadata: &[(&str, &str)]| data_plane(&node("a/b/c", metadata));
        assert_eq!(of(&[]), DataPlane::Envoy);
        assert_eq!(of(&[("ISTIO_VERSION", "1.32.0")]), DataPlane::IstioProxy);
        assert_eq!(of(&[("ISTIO_VERSION", "1.32.0"), ("GENERATOR", "grpc")]), DataPlane::Grpc);
        assert_eq!(of(&[("GENERATOR", "api")]), DataPlane::Envoy);
    }
}
