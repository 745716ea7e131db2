//! What `cluster.yaml` of a mesh folder says of a cluster.
use std::sync::Arc;

use crate::manifest::decode::{Cursor, Message, choice, message};
use crate::manifest::{Diagnostic, Node, Severity};
use crate::name::{Cidr, nearest_name};

use super::mesh_config::trust_domain;
use super::validate::Violations;

message! {
    /// `clusters/NAME/cluster.yaml`, where every field may be left out. It describes the cluster, and
    /// never decides the network of a pod: labels and [`MeshNetworks`](super::MeshNetworks) do.
    pub struct ClusterDescription with defaults {
        /// The name of the folder, empty if not said.
        name: Box<str> = "name",
        /// What the cluster is to the mesh.
        role: Option<ClusterRole> = "role",
        /// The cluster whose control plane serves this one's proxies, or `external`; empty: itself if
        /// it is a primary, else the only primary. Of several the first by name is taken, and loading
        /// asks which one is meant.
        control_plane: Box<str> = "controlPlane",
        /// The clusters whose services its control plane discovers; absent: all.
        reads: Option<Vec<Box<str>>> = "reads",
        /// The region, for readers: labels of nodes decide localities.
        region: Box<str> = "region",
        /// The zone, for readers.
        zone: Box<str> = "zone",
        /// The network that its pods are meant to be in, empty if not said.
        network: Box<str> = "network",
        /// The ranges of its pods.
        pod_cidrs: Vec<Cidr> = "podCidrs",
        /// The ranges of its services.
        service_cidrs: Vec<Cidr> = "serviceCidrs",
        /// The clusters whose pods it reaches directly; absent: every one of the same network.
        routable: Option<Vec<Box<str>>> = "routable",
        /// The trust domain of its workloads, empty for that of the mesh.
        trust_domain: Box<str> = "trustDomain",
        /// The fingerprint of the root that signs its workloads, empty if not said.
        root_ca_fingerprint: Box<str> = "rootCaFingerprint",
        /// Whether its API server answers; if not, the objects known last stay. True if not said.
        reachable: bool = "reachable",
        /// The version of its control plane, empty if not said.
        istio_version: Box<str> = "istioVersion",
    }
}

choice! {
    /// What a cluster is to the mesh.
    pub enum ClusterRole default Standalone {
        /// It has a control plane.
        Primary = "primary",
        /// Another cluster's control plane serves it.
        Remote = "remote",
        /// It holds configuration and runs no workloads of the mesh.
        Config = "config",
        /// It is a mesh by itself.
        Standalone = "standalone",
    }
}

impl Default for ClusterDescription {
    fn default() -> Self {
        Self {
            name: "".into(),
            role: None,
            control_plane: "".into(),
            reads: None,
            region: "".into(),
            zone: "".into(),
            network: "".into(),
            pod_cidrs: Vec::new(),
            service_cidrs: Vec::new(),
            routable: None,
            trust_domain: "".into(),
            root_ca_fingerprint: "".into(),
            reachable: true,
            istio_version: "".into(),
        }
    }
}

/// What stands for a name that could not be read: no cluster and no trust domain is called so.
pub(crate) const UNTOLD: &str = "unreadable.invalid";

/// The fields that security depends on: by which policies proxies are served, who its workloads are, and
/// who can verify that.
const OF_SECURITY: [&str; 4] = ["controlPlane", "role", "trustDomain", "rootCaFingerprint"];

impl ClusterDescription {
    /// The same where another document for the cluster cannot be read, or says something else: see
    /// [`decode`](Self::decode).
    #[must_use]
    pub fn closed(self) -> Self {
        Self {
            role: None,
            control_plane: UNTOLD.into(),
            trust_domain: UNTOLD.into(),
            root_ca_fingerprint: UNTOLD.into(),
            ..self
        }
    }

    /// Returns whether it cannot be told what the cluster is to the mesh.
    pub fn hides_role(&self) -> bool {
        self.role.is_none() && self.hides_control_plane()
    }

    /// Returns whether it cannot be told which control plane serves the cluster.
    pub fn hides_control_plane(&self) -> bool {
        *self.control_plane == *UNTOLD
    }

    /// Returns whether it cannot be told of which trust domain the cluster's workloads are.
    pub fn hides_trust_domain(&self) -> bool {
        *self.trust_domain == *UNTOLD
    }

    /// Returns whether it cannot be told which root signs the cluster's workloads.
    pub fn hides_root(&self) -> bool {
        *self.root_ca_fingerprint == *UNTOLD
    }

    /// Returns whether two fingerprints name one root: of hexadecimal ones the case and the colons between
    /// the bytes do not count, of others every letter does. False where one of them cannot be told.
    pub fn has_root_of(&self, other: &Self) -> bool {
        let (own, other) = (&self.root_ca_fingerprint, &other.root_ca_fingerprint);
        let is_told = |fingerprint: &str| !fingerprint.is_empty() && *fingerprint != *UNTOLD;
        is_told(own) && is_told(other) && canonical(own) == canonical(other)
    }

    /// Puts names that nothing has in the place of what an error hides: none is the mesh's own then.
    fn close(&mut self, found: &[Diagnostic]) {
        for finding in found.iter().filter(|finding| finding.severity == Severity::Error) {
            let name = finding.field.split(['.', '[']).next().unwrap_or_default();
            let meant = nearest_name(name, Self::FIELDS.into_iter());
            let hides = |field| meant.is_none_or(|meant| meant == field);
            let [control_plane, role, trust_domain, root] = OF_SECURITY;
            if hides(control_plane) || hides(role) {
                self.control_plane = UNTOLD.into();
            }
            if hides(trust_domain) {
                self.trust_domain = UNTOLD.into();
            }
            if hides(root) {
                self.root_ca_fingerprint = UNTOLD.into();
            }
        }
    }

    const FIELDS: [&str; 14] = [
        "name",
        "role",
        "controlPlane",
        "reads",
        "region",
        "zone",
        "network",
        "podCidrs",
        "serviceCidrs",
        "routable",
        "trustDomain",
        "rootCaFingerprint",
        "reachable",
        "istioVersion",
    ];

    /// Reads a document; an unknown field is an error. What cannot be read keeps its default, but for the
    /// control plane, the trust domain and the root, which are no known ones then: security fails closed.
    pub fn decode(document: &Node, file: &Arc<str>) -> (Self, Vec<Diagnostic>) {
        let mut cursor = Cursor::default();
        let mut description = Self::default();
        // Null: an empty document.
        if !document.is_null() && cursor.expect_map(document) {
            description.overlay(document, &mut cursor);
        }
        cursor.refuse_unknown("");
        let mut found = cursor.into_diagnostics(file, "ClusterDescription");
        let mut violations = Violations::default();
        if !description.trust_domain.is_empty() {
            violations.take_at("trustDomain", trust_domain(&description.trust_domain));
        }
        let broken = violations.into_found().into_iter();
        found.extend(broken.map(|it| it.diagnose(document, file, "ClusterDescription")));
        description.close(&found);
        (description, found)
    }
}

/// A fingerprint `ALGORITHM:DIGITS` or `DIGITS` in one spelling; what is no such thing as it stands.
fn canonical(fingerprint: &str) -> String {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let named = fingerprint.split_once(':').filter(|(name, _)| !is_hex(name));
    let (algorithm, digits) = named.unwrap_or(("", fingerprint));
    let digits = digits.replace(':', "");
    if digits.is_empty() || !is_hex(&digits) {
        return fingerprint.to_owned();
    }
    format!("{algorithm}:{digits}").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::testing::node;

    fn check(json: &str, expected: &[(&str, &str)]) -> ClusterDescription {
        let (description, diagnostics) =
            ClusterDescription::decode(&node(json), &Arc::from("cluster.yaml"));
        let found: Vec<_> = diagnostics.iter().map(|d| (d.code, d.field.as_str())).collect();
        assert_eq!(found, expected);
        description
    }

    #[test]
    fn an_empty_document_is_a_reachable_cluster() {
        assert_eq!(check("null", &[]), ClusterDescription::default());
        assert!(check("{}", &[]).reachable);
    }

    #[test]
    fn every_field_is_read() {
        let description = check(
            r#"{"name": "a", "role": "remote", "controlPlane": "b", "reads": [], "region": "r",
                "zone": "z", "network": "n", "podCidrs": ["10.0.0.0/8"], "serviceCidrs": ["fd00::/8"],
                "routable": ["c"], "trustDomain": "t", "rootCaFingerprint": "f", "reachable": false,
                "istioVersion": "1.32"}"#,
            &[],
        );
        assert_eq!(description.role, Some(ClusterRole::Remote));
        assert_eq!(description.reads, Some(Vec::new()));
        assert!(!description.reachable);
    }

    #[test]
    fn unknown_fields_and_ranges_are_errors() {
        check(
            r#"{"podCidr": [], "podCidrs": ["10.0.0.0/33"], "istioVersion": 1.32}"#,
            &[
                ("FIELD-UNKNOWN", "podCidr"),
                ("FIELD-TYPE", "istioVersion"),
                ("CIDR", "podCidrs[0]"),
            ],
        );
    }

    #[test]
    fn what_security_depends_on_falls_back_to_nothing_known() {
        let check = |json: &str, hidden: [bool; 3]| {
            let (description, _) =
                ClusterDescription::decode(&node(json), &Arc::from("cluster.yaml"));
            let found = [
                &description.control_plane,
                &description.trust_domain,
                &description.root_ca_fingerprint,
            ];
            assert_eq!(found.map(|name| **name == *UNTOLD), hidden, "{json}");
        };
        check(r#"{"trustDomain": ["t"]}"#, [false, true, false]);
        check(r#"{"trustDomian": "t"}"#, [false, true, false]);
        check(r#"{"controlPlane": 1}"#, [true, false, false]);
        check(r#"{"controlplan": "c1"}"#, [true, false, false]);
        check(r#"{"role": "primry"}"#, [true, false, false]);
        check(r#"{"podCidr": [], "reachable": 1}"#, [false, false, false]);
        check(r#"{"rootCaFingerprint": 5}"#, [false, false, true]);
        check(r#"{"rootCaFingerprnt": "f"}"#, [false, false, true]);
        check(r#"{"whatever": 1}"#, [true, true, true]);
        check("5", [true, true, true]);
    }

    #[test]
    fn a_fingerprint_has_several_spellings() {
        let of = |fingerprint: &str| ClusterDescription {
            root_ca_fingerprint: fingerprint.into(),
            ..ClusterDescription::default()
        };
        let check = |a: &str, b: &str, expected: bool| {
            assert_eq!(of(a).has_root_of(&of(b)), expected, "{a} {b}");
            assert_eq!(of(b).has_root_of(&of(a)), expected, "{b} {a}");
        };
        check("sha256:aa", "SHA256:AA", true);
        check("sha256:aabb", "sha256:AA:BB", true);
        check("AA:BB", "aabb", true);
        check("sha256:aa", "sha256:ab", false);
        check("sha256:aa", "sha1:aa", false);
        check("SHA256:c3Rv", "SHA256:C3RV", false);
        check("my root", "my root", true);
        check("", "", false);
        check(UNTOLD, UNTOLD, false);
    }
}
