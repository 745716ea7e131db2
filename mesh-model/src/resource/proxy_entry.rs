//! What `proxies.json` of a mesh folder says of proxies.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Json;
use super::mesh_config::InterceptionMode;
use crate::manifest::decode::{Cursor, Decode, choice, clip, message};
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
        let text = <Box<str>>::decode(node, cursor)?;
        match text.parse() {
            Ok(reference) => Some(reference),
            Err(error) => {
                let message = format!("`{}`: {error}", clip(&text));
                cursor.error("PROXY-REF", node.place, message, "");
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
    /// Reads a list of entries; one that cannot be read is reported and left out.
    pub fn decode_list(document: &Node, file: &Arc<str>) -> (Vec<Self>, Vec<Diagnostic>) {
        let mut cursor = Cursor::default();
        let mut entries = Vec::new();
        if let Value::List(items) = &document.value {
            for (index, item) in items.iter().enumerate() {
                entries.extend(cursor.index(index, |cursor| Self::read(item, cursor)));
            }
        } else {
            cursor.mismatch(document, "a list");
        }
        (entries, cursor.into_diagnostics(file, "ProxyEntry"))
    }

    /// Reads an entry that names its proxy.
    fn read(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let entry = Self::decode(node, cursor)?;
        if entry.reference.is_none() {
            let help = "write `\"ref\": \"CLUSTER/NAMESPACE/POD\"`";
            cursor.error("PROXY-REF", node.place, "the entry does not name its proxy", help);
            return None;
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::testing::node;

    fn check(json: &str, expected: &[(&str, &str)]) -> Vec<ProxyEntry> {
        let (entries, diagnostics) =
            ProxyEntry::decode_list(&node(json), &Arc::from("proxies.json"));
        let found: Vec<_> = diagnostics.iter().map(|d| (d.code, d.field.as_str())).collect();
        assert_eq!(found, expected);
        entries
    }

    #[test]
    fn every_field_is_read_and_metadata_keeps_its_types() {
        let entries = check(
            r#"[{"ref": "a/b/c", "type": "gateway", "cluster": "a", "network": "", "namespace": "b",
                 "labels": {"x": "y"}, "ip": "10.0.0.1", "service_account": "s",
                 "locality": {"region": "r", "zone": "z", "sub_zone": ""},
                 "interception_mode": "TPROXY", "metadata": {"PORT": 15021, "L": {"a": null}}}]"#,
            &[],
        );
        let [entry] = &*entries else { panic!("one entry") };
        assert_eq!(entry.reference.as_ref().unwrap().to_string(), "a/b/c");
        assert_eq!(entry.kind, Some(ProxyKind::Gateway));
        assert_eq!(entry.locality, Some(Locality::new("r", "z", "")));
        assert_eq!(entry.interception_mode, Some(InterceptionMode::Tproxy));
        assert_eq!(entry.metadata.get("PORT"), Some(&Json::Number(15021.0)));
    }

    #[test]
    fn a_broken_entry_does_not_hide_the_others() {
        let entries = check(
            r#"[{"ref": "a/b"}, {"type": "sidecar"}, {"ref": "a//c"}, {"ref": "a/b/c/d"}, 1,
                {"ref": "a/b/c", "typ": 1}]"#,
            &[
                ("PROXY-REF", "[1]"),
                ("FIELD-TYPE", "[4]"),
                ("FIELD-UNKNOWN", "[5].typ"),
                ("PROXY-REF", "[0].ref"),
                ("PROXY-REF", "[2].ref"),
                ("PROXY-REF", "[3].ref"),
            ],
        );
        assert_eq!(entries.len(), 1);
        check("{}", &[("FIELD-TYPE", "")]);
    }
}
