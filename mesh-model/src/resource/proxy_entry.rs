//! What `proxies.json` of a mesh folder says of proxies.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Json;
use super::mesh_config::InterceptionMode;
use crate::manifest::decode::{Cursor, Decode, choice, clip, message, text};
use crate::manifest::encode::Encode;
use crate::manifest::{Diagnostic, Node, Value};
use crate::name::{Labels, Locality};

message! {
    /// A proxy worth naming.
    ///
    /// `kind` and `metadata` count; everything else follows from the manifests, and an entry that
    /// contradicts them is a finding. A field that is not given contradicts nothing.
    pub struct ProxyEntry {
        /// Which proxy it is; an entry without it is refused.
        reference: Option<ProxyRef> = "ref",
        /// What the proxy is for.
        kind: Option<ProxyKind> = "type",
        /// The cluster.
        cluster: Option<Box<str>> = "cluster",
        /// The network, empty if unknown.
        network: Option<Box<str>> = "network",
        /// The namespace.
        namespace: Option<Box<str>> = "namespace",
        /// The pod's labels, without those that istiod adds.
        labels: Option<Labels> = "labels",
        /// The first address of the pod.
        ip: Option<IpAddr> = "ip",
        /// The locality.
        locality: Option<Locality> = "locality",
        /// The service account.
        service_account: Option<Box<str>> = "service_account",
        /// How traffic reaches the proxy.
        interception_mode: Option<InterceptionMode> = "interception_mode",
        /// Node metadata, laid over what follows from the manifests.
        metadata: BTreeMap<Box<str>, Json> = "metadata",
    }
}

choice! {
    /// What a proxy is for.
    pub enum ProxyKind default Sidecar {
        /// It stands beside a workload.
        Sidecar = "sidecar",
        /// It is a workload of its own.
        Gateway = "gateway",
        /// It is a gateway for the services of an ambient mesh.
        Waypoint = "waypoint",
        /// It carries the connections of a node of an ambient mesh.
        Ztunnel = "ztunnel",
    }
}

/// A proxy by the pod that it runs in: `CLUSTER/NAMESPACE/POD`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "a reference has these three parts")]
pub struct ProxyRef {
    /// The cluster.
    pub cluster: Box<str>,
    /// The namespace.
    pub namespace: Box<str>,
    /// The pod.
    pub pod: Box<str>,
}

/// The text is not `CLUSTER/NAMESPACE/POD`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a proxy is named `CLUSTER/NAMESPACE/POD`")]
pub struct InvalidProxyRef(());

impl std::str::FromStr for ProxyRef {
    type Err = InvalidProxyRef;

    fn from_str(text: &str) -> Result<Self, InvalidProxyRef> {
        let mut parts = text.split('/').filter(|part| !part.is_empty());
        match (parts.next(), parts.next(), parts.next(), text.matches('/').count()) {
            (Some(cluster), Some(namespace), Some(pod), 2) => {
                Ok(Self { cluster: cluster.into(), namespace: namespace.into(), pod: pod.into() })
            }
            _ => Err(InvalidProxyRef(())),
        }
    }
}

impl std::fmt::Display for ProxyRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.cluster, self.namespace, self.pod)
    }
}

impl Decode for ProxyRef {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let text = text(node, cursor)?;
        match text.parse() {
            Ok(reference) => Some(reference),
            Err(error) => {
                let message = format!("`{}`: {error}", clip(text));
                let help = "write `CLUSTER/NAMESPACE/POD`";
                cursor.error("PROXY-REF", node.place, message, help);
                None
            }
        }
    }
}

impl Encode for ProxyRef {
    fn value(&self) -> Value {
        Value::String(self.to_string().into())
    }
}

message! {
    /// A locality in three fields.
    struct Parts {
        /// The region.
        region: Box<str> = "region",
        /// The zone.
        zone: Box<str> = "zone",
        /// The sub-zone.
        sub_zone: Box<str> = "sub_zone",
    }
}

impl Decode for Locality {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let parts = Parts::decode(node, cursor)?;
        Some(Self::new(&parts.region, &parts.zone, &parts.sub_zone))
    }
}

impl Encode for Locality {
    fn value(&self) -> Value {
        let [region, zone, sub_zone] = [self.region(), self.zone(), self.sub_zone()].map(Box::from);
        Parts { region, zone, sub_zone }.value()
    }
}

impl ProxyEntry {
    /// Reads one entry of the list; [`read`](crate::manifest::read) gives each as a document.
    ///
    /// An entry that cannot be read, or does not name its proxy, is reported and left out.
    pub fn decode(entry: &Node, file: &Arc<str>) -> (Option<Self>, Vec<Diagnostic>) {
        let mut cursor = Cursor::default();
        let decoded: Option<Self> = Decode::decode(entry, &mut cursor);
        if decoded.as_ref().is_some_and(|entry| entry.reference.is_none()) {
            let help = "write `\"ref\": \"CLUSTER/NAMESPACE/POD\"`";
            cursor.error("PROXY-REF", entry.place, "the entry does not name its proxy", help);
        }
        let decoded = decoded.filter(|entry| entry.reference.is_some());
        let metadata = decoded.iter().flat_map(|entry| &entry.metadata);
        for (name, expected) in metadata.filter_map(|(name, value)| ill_typed(name, value)) {
            let field = format!("metadata.{name}");
            let message =
                format!("`{name}` is not {expected}: the control plane refuses the proxy");
            let place = entry.locate(&field);
            cursor.field(&field, |cursor| {
                cursor.error("PROXY-METADATA", place, message, "write a value of that kind");
            });
        }
        (decoded, cursor.into_diagnostics(file, "ProxyEntry"))
    }
}

/// Metadata of nodes that are texts, some of them lists separated by commas.
const TEXTS: [&str; 29] = [
    "CLUSTER_ID",
    "NAMESPACE",
    "NETWORK",
    "NODE_NAME",
    "NAME",
    "OWNER",
    "SERVICE_ACCOUNT",
    "MESH_ID",
    "ISTIO_VERSION",
    "ISTIO_REVISION",
    "ISTIO_PROXY_SHA",
    "INTERCEPTION_MODE",
    "WORKLOAD_NAME",
    "WORKLOAD_ENTRY",
    "AUTO_REGISTER_GROUP",
    "GENERATOR",
    "REQUESTED_NETWORK_VIEW",
    "INSTANCE_IPS",
    "HTTP_PROXY_PORT",
    "HTTP10",
    "IDLE_TIMEOUT",
    "UNPRIVILEGED_POD",
    "STS_PORT",
    "TLS_SERVER_CERT_CHAIN",
    "TLS_SERVER_KEY",
    "TLS_SERVER_ROOT_CERT",
    "TLS_CLIENT_CERT_CHAIN",
    "TLS_CLIENT_KEY",
    "TLS_CLIENT_ROOT_CERT",
];

/// Metadata of nodes that are booleans, written as texts.
const BOOLEANS: [&str; 9] = [
    "DNS_CAPTURE",
    "DNS_AUTO_ALLOCATE",
    "ENABLE_HBONE",
    "DISABLE_HBONE_SEND",
    "EXIT_ON_ZERO_ACTIVE_CONNECTIONS",
    "INBOUND_LISTENER_EXACT_BALANCE",
    "OUTBOUND_LISTENER_EXACT_BALANCE",
    "METADATA_DISCOVERY",
    "ENVOY_SKIP_DEPRECATED_LOGS",
];

/// Returns the name of metadata whose value is of another kind than the control plane reads, and that kind.
///
/// # Upstream
///
/// istio/istio `pkg/model/proxy.go` `NodeMetadata`, `BootstrapNodeMetadata`, `StringList`, `StringBool`.
fn ill_typed<'m>(name: &'m str, value: &Json) -> Option<(&'m str, &'static str)> {
    let is_text = matches!(value, Json::String(_) | Json::Null);
    let (is_legal, expected) = match name {
        "LABELS" | "STATIC_LABELS" | "ANNOTATIONS" | "PLATFORM_METADATA" => {
            let is_legal = match value {
                Json::Map(map) => map.values().all(|value| matches!(value, Json::String(_))),
                Json::Null => true,
                Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::List(_) => false,
            };
            (is_legal, "a map of texts")
        }
        _ if BOOLEANS.contains(&name) => {
            let is_legal = matches!(value, Json::String(text) if is_go_bool(text));
            (is_legal, "the text `true` or `false`")
        }
        _ => (is_text || !TEXTS.contains(&name), "a text"),
    };
    (!is_legal).then_some((name, expected))
}

/// What Go reads as a boolean.
fn is_go_bool(text: &str) -> bool {
    matches!(
        text,
        "" | "1"
            | "t"
            | "T"
            | "TRUE"
            | "true"
            | "True"
            | "0"
            | "f"
            | "F"
            | "FALSE"
            | "false"
            | "False"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::testing::node;

    fn check(json: &str, expected: &[(&str, &str)]) -> Option<ProxyEntry> {
        let (entry, diagnostics) = ProxyEntry::decode(&node(json), &Arc::from("proxies.json"));
        let found: Vec<_> = diagnostics.iter().map(|d| (d.code, d.field.as_str())).collect();
        assert_eq!(found, expected, "{json}");
        entry
    }

    #[test]
    fn every_field_is_read_and_metadata_keeps_its_types() {
        let entry = check(
            r#"{"ref": "a/b/c", "type": "gateway", "cluster": "a", "network": "", "namespace": "b",
                "labels": {"x": "y"}, "ip": "10.0.0.1", "service_account": "s",
                "locality": {"region": "r", "zone": "z", "sub_zone": ""},
                "interception_mode": "TPROXY", "metadata": {"PORT": 15021, "L": {"a": null}}}"#,
            &[],
        )
        .unwrap();
        assert_eq!(entry.reference.as_ref().unwrap().to_string(), "a/b/c");
        assert_eq!(entry.kind, Some(ProxyKind::Gateway));
        assert_eq!(entry.locality, Some(Locality::new("r", "z", "")));
        assert_eq!(entry.interception_mode, Some(InterceptionMode::Tproxy));
        assert_eq!(entry.metadata.get("PORT"), Some(&Json::Number(15021.0)));
    }

    #[test]
    fn an_entry_that_does_not_name_its_proxy_is_left_out() {
        for reference in ["a/b", "a//c", "a/b/c/d", ""] {
            let json = format!(r#"{{"ref": "{reference}"}}"#);
            assert_eq!(check(&json, &[("PROXY-REF", "ref")]), None);
        }
        assert_eq!(check(r#"{"type": "sidecar"}"#, &[("PROXY-REF", "")]), None);
        assert_eq!(check("1", &[("FIELD-TYPE", "")]), None);
        assert!(check(r#"{"ref": "a/b/c", "typ": 1}"#, &[("FIELD-UNKNOWN", "typ")]).is_some());
    }

    #[test]
    fn metadata_is_of_the_kind_that_the_control_plane_reads() {
        let json = r#"{"ref": "a/b/c", "metadata": {"CLUSTER_ID": 5, "LABELS": "x",
            "ANNOTATIONS": {"a": 1}, "INSTANCE_IPS": ["a"], "DNS_CAPTURE": true, "ENABLE_HBONE": "maybe", "OWN": [1]}}"#;
        let told =
            ["ANNOTATIONS", "CLUSTER_ID", "DNS_CAPTURE", "ENABLE_HBONE", "INSTANCE_IPS", "LABELS"];
        let told = told.map(|name| format!("metadata.{name}"));
        let (entry, found) = ProxyEntry::decode(&node(json), &Arc::from("proxies.json"));
        let mut fields: Vec<_> = found.iter().map(|found| found.field.clone()).collect();
        fields.sort();
        assert_eq!(fields, told);
        assert!(entry.is_some() && found.iter().all(|found| found.code == "PROXY-METADATA"));
        let json = r#"{"ref": "a/b/c", "metadata": {"CLUSTER_ID": "a", "LABELS": {"a": "b"},
            "INSTANCE_IPS": "10.0.0.1,::1", "DNS_CAPTURE": "true", "ENABLE_HBONE": "0"}}"#;
        check(json, &[]);
    }
}
