//! Settings of the mesh in several places, of which one counts, and those that cannot be understood: nobody can
//! tell which ones are meant.
use std::sync::Arc;

use super::broken::Broken;
use super::mesh::Parts;
use super::topology::Topology;
use super::{Origin, SYSTEM_NAMESPACE, Store, security};
use crate::manifest::{Diagnostic, Severity};
use crate::name::ClusterId;
use crate::resource::MeshConfig;

/// Settings that count for nobody and say something else of what security depends on than those that count.
pub(super) struct Contradiction {
    pub(super) counting: Origin,
    pub(super) origin: Origin,
    pub(super) field: &'static str,
}

impl Contradiction {
    /// What is said of it.
    pub(super) fn message(&self) -> String {
        let counting = match &self.counting {
            Origin::Cluster(id) => format!("the ConfigMap of `{id}`"),
            Origin::Config => "the ConfigMap of `config/`".to_owned(),
            Origin::MeshConfig
            | Origin::MeshNetworks
            | Origin::Proxies
            | Origin::Description(_)
            | Origin::Misplaced(_) => "`mesh.yaml`".to_owned(),
        };
        format!(
            "{counting} counts and says another `{}`; because nobody can tell which settings are meant, what \
             security policies might deny is denied",
            self.field
        )
    }
}

/// Returns where settings contradict those that count.
pub(super) fn contradictions(parts: &Parts) -> Vec<Contradiction> {
    let all = several(parts);
    let Some(((counting, first), others)) = all.split_first() else { return Vec::new() };
    let differing = |(origin, other): &(Origin, Arc<MeshConfig>)| {
        let field = security::differing_setting(first, other)?;
        Some(Contradiction { counting: counting.clone(), origin: origin.clone(), field })
    };
    others.iter().filter_map(differing).collect()
}

/// A control plane's own cluster that is described to be of another trust domain than the settings say. It is
/// no error: primaries of one `mesh.yaml` may be of several, each the other's alias.
pub(super) struct OtherDomain {
    pub(super) cluster: ClusterId,
    pub(super) described: Box<str>,
    pub(super) counting: Box<str>,
}

impl OtherDomain {
    /// What is said of it.
    pub(super) fn message(&self) -> String {
        format!(
            "the cluster is described to be of `{}`, and the settings that count say `{}`: its workloads \
             are of the first, and policies mean the second by the mesh's own",
            self.described, self.counting
        )
    }
}

/// Returns the control planes' clusters whose descriptions name another trust domain than the settings that
/// count, which are the same for all.
pub(super) fn other_domains(parts: &Parts) -> Vec<OtherDomain> {
    let config = parts.settings();
    let planes = Topology::of(parts).control_planes().into_iter();
    let differing = planes.filter_map(|cluster| {
        let part = parts.clusters.get(&cluster)?;
        let described = part.description.as_ref()?;
        if described.trust_domain.is_empty() || described.hides_trust_domain() {
            return None;
        }
        let (described, counting) = (described.trust_domain.clone(), config.trust_domain.clone());
        // Policies mean aliases as they mean the domain itself.
        let is_known = described == counting || config.trust_domain_aliases.contains(&described);
        (!is_known).then_some(OtherDomain { cluster, described, counting })
    });
    differing.collect()
}

/// Returns what stands for settings of ConfigMaps that nobody can tell the meaning of.
pub(super) fn broken(parts: &Parts) -> Arc<[Broken]> {
    let contradictions = contradictions(parts).into_iter();
    let contradictions =
        contradictions.map(|found| Broken::settings(&found.origin, found.message()));
    let of_clusters =
        parts.clusters.iter().map(|(id, part)| (Origin::Cluster(id.clone()), &part.store));
    let stores = of_clusters.chain([(Origin::Config, &parts.config)]);
    let refused = stores.flat_map(|(origin, store)| {
        let texts = store.mesh_config_maps.iter().filter_map(|map| map.mesh_config(&Arc::from("")));
        let reasons = texts.filter_map(|(_, found)| refused(&found));
        reasons.map(move |reason| Broken::settings(&origin, reason)).collect::<Vec<_>>()
    });
    contradictions.chain(refused).collect()
}

/// What is wrong with settings, if it is security's.
pub(super) fn refused(found: &[Diagnostic]) -> Option<String> {
    let finding = found.iter().find(|finding| is_refusal(finding))?;
    Some(format!("{}: {}", finding.field, finding.message))
}

/// Whether a finding about settings hides what security depends on.
pub(super) fn is_refusal(finding: &Diagnostic) -> bool {
    finding.severity == Severity::Error
        && (finding.code == "MC-WRAPPED" || security::is_setting(&finding.field))
}

/// The settings of every control plane that there may be, those that count first.
fn several(parts: &Parts) -> Vec<(Origin, Arc<MeshConfig>)> {
    let own = parts.mesh_config.clone().map(|config| (Origin::MeshConfig, config));
    let of_config = of_map(&parts.config).map(|config| (Origin::Config, config));
    let of_cluster = |id: ClusterId| {
        let config = of_map(&parts.clusters.get(&id)?.store)?;
        Some((Origin::Cluster(id), config))
    };
    let of_clusters = candidates(parts).into_iter().filter_map(of_cluster);
    own.into_iter().chain(of_config).chain(of_clusters).collect()
}

/// The control planes whose settings may count: also those of which any may be meant.
pub(super) fn candidates(parts: &Parts) -> Vec<ClusterId> {
    let topology = Topology::of(parts);
    let mut planes = topology.control_planes();
    if let Some(id) = parts.clusters.keys().find(|id| !topology.choice(id).is_empty()) {
        planes.extend(topology.choice(id).into_iter().cloned());
        planes.sort();
        planes.dedup();
    }
    planes
}

fn of_map(store: &Store) -> Option<Arc<MeshConfig>> {
    let map = store.mesh_config_maps.get((SYSTEM_NAMESPACE, "istio"))?;
    let (config, _) = map.mesh_config(&Arc::from(""))?;
    Some(Arc::new(config))
}
