//! What `proxies.json` of a mesh folder says of proxies.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Json;
use super::mesh_config::InterceptionMode;
use crate::manifest::decode::{Cursor, Decode, choice, clip, message};
use crate::manifest::{Diagnostic, Node};
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
        let text = <Box<str>>::decode(node, cursor)?;
        match text.parse() {
            Ok(reference) => Some(reference),
            Err(error) => {
                let message = format!("`{}`: {error}", clip(&text));
                let help = "write `CLUSTER/NAMESPACE/POD`";
                cursor.error("PROXY-REF", node.place, message, help);
                None
            }
        }
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
        (decoded, cursor.into_diagnostics(file, "ProxyEntry"))
    }
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
}
