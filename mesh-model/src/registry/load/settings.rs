//! Settings of the mesh in several places, of which one counts.
use std::sync::Arc;

use crate::manifest::{Diagnostic, Place, Severity};
use crate::name::ClusterId;
use crate::registry::topology::Topology;
use crate::registry::{Origin, Registry, SYSTEM_NAMESPACE, Store};
use crate::resource::{MeshConfig, ObjectKey};

impl Registry {
    /// `SETTINGS-DIFFER`: settings that count for nobody and say something else of what security depends on
    /// than those that count. Nobody can tell which ones are meant, so they are remembered as broken.
    pub(super) fn check_several_settings(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let settings = self.settings();
        let Some(((counting, first), others)) = settings.split_first() else { return };
        for (origin, other) in others {
            let Some(field) = differing(first, other) else { continue };
            let found = self.differ(counting, origin, field);
            self.remember_settings(origin, found.message.clone());
            diagnostics.push(found);
        }
    }

    /// The settings of every control plane that there may be, those that count first.
    fn settings(&self) -> Vec<(Origin, Arc<MeshConfig>)> {
        let own = self.parts.mesh_config.clone().map(|config| (Origin::MeshConfig, config));
        let of_config = of_map(&self.parts.config).map(|config| (Origin::Config, config));
        let topology = Topology::of(&self.parts);
        let mut planes = topology.control_planes();
        if let Some(id) = self.parts.clusters.keys().find(|id| !topology.choice(id).is_empty()) {
            planes.extend(topology.choice(id).into_iter().cloned());
            planes.sort();
            planes.dedup();
        }
        let of_cluster = |id: ClusterId| {
            let config = of_map(&self.parts.clusters.get(&id)?.store)?;
            Some((Origin::Cluster(id), config))
        };
        let of_clusters = planes.into_iter().filter_map(of_cluster);
        own.into_iter().chain(of_config).chain(of_clusters).collect()
    }

    fn differ(&self, counting: &Origin, origin: &Origin, field: &str) -> Diagnostic {
        let namespace = SYSTEM_NAMESPACE.into();
        let key = ObjectKey { kind: "ConfigMap", namespace, name: "istio".into() };
        let (file, place): (Arc<str>, Place) =
            self.parts.places.get(&(origin.clone(), key.clone())).cloned().unwrap_or_default();
        let counting = match counting {
            Origin::Cluster(id) => format!("the ConfigMap of `{id}`"),
            Origin::Config => "the ConfigMap of `config/`".to_owned(),
            Origin::MeshConfig
            | Origin::MeshNetworks
            | Origin::Proxies
            | Origin::Description(_)
            | Origin::Misplaced(_) => "`mesh.yaml`".to_owned(),
        };
        Diagnostic {
            code: "SETTINGS-DIFFER",
            severity: Severity::Error,
            file,
            place,
            object: key.to_string(),
            field: format!("data.mesh.{field}"),
            message: format!(
                "{counting} counts and says another `{field}`; because nobody can tell which settings are \
                 meant, what security policies might deny is denied"
            ),
            help: "say the same in both, or remove one of them".to_owned(),
        }
    }
}

fn of_map(store: &Store) -> Option<Arc<MeshConfig>> {
    let map = store.mesh_config_maps.get((SYSTEM_NAMESPACE, "istio"))?;
    let (config, _) = map.mesh_config(&Arc::from(""))?;
    Some(Arc::new(config))
}

/// The first field of those that security depends on that is not the same.
fn differing(a: &MeshConfig, b: &MeshConfig) -> Option<&'static str> {
    let same = [
        ("rootNamespace", a.root_namespace == b.root_namespace),
        ("trustDomain", a.trust_domain == b.trust_domain),
        ("trustDomainAliases", a.trust_domain_aliases == b.trust_domain_aliases),
        ("pathNormalization", a.path_normalization == b.path_normalization),
        ("extensionProviders", a.extension_providers == b.extension_providers),
        ("discoverySelectors", a.discovery_selectors == b.discovery_selectors),
    ];
    same.into_iter().find(|(_, is_same)| !is_same).map(|(field, _)| field)
}
