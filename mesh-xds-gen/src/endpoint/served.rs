//! Clusters of one service, which are computed one after the other.
use std::sync::Arc;

use mesh_lb::assign::{Assignment, ClusterForm, Layouts};
use mesh_model::endpoint::Shards;
use mesh_model::registry::{MergedRule, Service};
use mesh_model::view::{Destination, ProxyView};

use crate::name::SubsetKey;

/// A cluster that is asked for by its name.
pub(super) struct Asked<'n> {
    /// Its place among the names.
    pub(super) place: usize,
    pub(super) name: &'n str,
    pub(super) key: SubsetKey<'n>,
}

impl Asked<'_> {
    /// Whether it is of a whole service.
    pub(super) const fn is_whole(&self) -> bool {
        self.key.subset.is_empty()
    }

    /// Whether it is a cluster that gateways reach by server names.
    fn is_sni_dnat(&self) -> bool {
        self.name.starts_with("outbound_")
    }
}

/// Hands out the clusters of each service with it, those of one subset by their ports.
pub(super) fn for_services<'n>(
    view: &ProxyView<'_>,
    names: impl IntoIterator<Item = &'n str>,
    mut with: impl FnMut(Option<&Served<'_, '_>>, &[Asked<'n>]),
) {
    let names = names.into_iter().enumerate();
    let mut asked: Vec<Asked<'_>> =
        names.map(|(place, name)| Asked { place, name, key: SubsetKey::parse(name) }).collect();
    asked.sort_by(|a, b| {
        let order = |of: &Asked<'n>| (of.key.host, of.is_sni_dnat(), of.key.subset, of.key.port);
        order(a).cmp(&order(b))
    });
    for of_host in asked.chunk_by(|a, b| a.key.host == b.key.host) {
        let served = of_host.first().and_then(|first| Served::new(view, first.key.host));
        with(served.as_ref(), of_host);
    }
}

/// A service as a proxy sees it, and its endpoints.
pub(super) struct Served<'v, 'm> {
    pub(super) view: &'v ProxyView<'m>,
    service: Arc<Service>,
    rule: Option<&'m MergedRule>,
    pub(super) shards: Option<&'m Arc<Shards>>,
}

/// What the name of a cluster means.
pub(super) struct Meant<'m> {
    pub(super) form: ClusterForm,
    pub(super) destination: Destination<'m>,
}

impl<'v, 'm> Served<'v, 'm> {
    /// The service of a host; `None` if the proxy sees none.
    pub(super) fn new(view: &'v ProxyView<'m>, host: &str) -> Option<Self> {
        let service = view.scope().service(host)?.clone();
        let (rule, shards) = (view.rule(&service), view.shards(&service));
        Some(Self { view, service, rule, shards })
    }

    /// What the endpoints of one of its clusters are computed from.
    pub(super) fn assignment(&self, name: &str, key: SubsetKey<'_>) -> Option<Assignment> {
        self.meant(name, key).map(|meant| self.compute(&meant))
    }

    /// What one of its clusters is, by its name.
    pub(super) fn meant(&self, name: &str, key: SubsetKey<'_>) -> Option<Meant<'m>> {
        let Self { view, service, rule, .. } = self;
        let form = match key.direction {
            "outbound" if name.starts_with("outbound_") => ClusterForm::SniDnat,
            "outbound" => ClusterForm::Outbound,
            _ => return None,
        };
        let port = service.port(u16::try_from(key.port).ok()?)?.clone();
        let destination = view.destination_by(*rule, (service.clone(), port), key.subset.into());
        Some(Meant { form, destination })
    }

    fn compute(&self, Meant { form, destination }: &Meant<'m>) -> Assignment {
        Assignment::of_form(self.view, destination, *form)
    }

    /// The same, one of many.
    pub(super) fn compute_with(
        &self,
        Meant { form, destination }: &Meant<'m>,
        layouts: &mut Layouts<'_, '_>,
    ) -> Assignment {
        match self.shards {
            Some(shards) => layouts.assignment(destination, *form, shards),
            None => layouts.assignment(destination, *form, &Shards::default()),
        }
    }
}
