//! Workloads met so far, so that equal ones are one allocation, and what they have in common is too.
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::endpoint::{Endpoints, Place, Template, Workload};
use crate::name::{Layers, Texts};

/// How many workloads of endpoints before are looked at: a service has one a node at most.
const LOOKED_AT: usize = 64;

/// What the workloads of a cluster have in common, each once. It stays from one change to the next, so that pods that
/// come one by one share what those share that were read together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Common {
    templates: FxHashSet<Arc<Template>>,
    places: FxHashSet<Arc<Place>>,
    /// What places add to labels: those on one node have it in common.
    layers: Layers,
    /// How many there were when what nobody has any more was last dropped.
    kept: usize,
}

impl Common {
    fn add(&mut self, workload: &Workload) {
        self.templates.insert(Arc::clone(&workload.template));
        self.places.insert(Arc::clone(&workload.place));
        self.layers.add(&workload.labels);
        let len = self.templates.len() + self.places.len() + self.layers.len();
        if len > 2 * self.kept + LOOKED_AT {
            self.templates.retain(|template| Arc::strong_count(template) > 1);
            self.places.retain(|place| Arc::strong_count(place) > 1);
            self.layers.drop_unused();
            self.kept = self.templates.len() + self.places.len() + self.layers.len();
        }
    }

    fn share(&self, workload: &mut Workload, texts: &mut Texts) {
        self.layers.share(&mut workload.labels, texts);
        match self.templates.get(&workload.template) {
            Some(known) => workload.template = Arc::clone(known),
            None => Arc::make_mut(&mut workload.template).share_texts(texts),
        }
        match self.places.get(&workload.place) {
            Some(known) => workload.place = Arc::clone(known),
            None => Arc::make_mut(&mut workload.place).share_texts(texts),
        }
    }
}

/// Workloads, and of what they are made.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) common: Common,
    workloads: FxHashSet<Arc<Workload>>,
    texts: Texts,
}

impl Known {
    /// Takes note of the workloads of endpoints before, if there is none yet.
    pub(super) fn begin_with(&mut self, before: &Endpoints) {
        if !self.workloads.is_empty() {
            return;
        }
        let mut last: Option<&Arc<Workload>> = None;
        for endpoint in before.iter() {
            let workload = &endpoint.workload;
            if self.workloads.len() == LOOKED_AT {
                break;
            }
            if !last.is_some_and(|last| Arc::ptr_eq(last, workload)) {
                self.workloads.insert(Arc::clone(workload));
                last = Some(workload);
            }
        }
    }

    /// Returns the allocation of a workload; of what it is made, too, if it is new.
    pub(super) fn share(&mut self, mut workload: Workload) -> Arc<Workload> {
        if let Some(known) = self.workloads.get(&workload) {
            return Arc::clone(known);
        }
        self.common.share(&mut workload, &mut self.texts);
        self.common.add(&workload);
        let workload = Arc::new(workload);
        self.workloads.insert(Arc::clone(&workload));
        workload
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Address, Endpoint, HealthStatus, MoreAddresses};
    use crate::name::Text;

    fn workload(name: &str, node: &str) -> Workload {
        let mut workload =
            Workload { labels: [("app", name)].into_iter().collect(), ..<_>::default() };
        workload.name = Some(name.into());
        workload.place_mut().node = node.into();
        workload
    }

    #[test]
    fn what_workloads_have_in_common_is_one_allocation() {
        let mut known = Known::default();
        let first = known.share(workload("web", "n1"));
        assert!(Arc::ptr_eq(&first, &known.share(workload("web", "n1"))));
        let (there, other) =
            (known.share(workload("web", "n2")), known.share(workload("db", "n1")));
        assert!(Arc::ptr_eq(&first.template, &there.template));
        assert!(
            Arc::ptr_eq(&first.place, &other.place) && !Arc::ptr_eq(&first.place, &there.place)
        );
        assert_eq!((&*there, &*other), (&workload("web", "n2"), &workload("db", "n1")));
    }

    #[test]
    fn workloads_of_endpoints_before_are_known() {
        let before = Arc::new(workload("web", "n1"));
        let endpoint = Endpoint {
            address: Address::Unknown,
            more_addresses: MoreAddresses::default(),
            port: 80,
            port_name: Text::default(),
            service_port: 0,
            weight: 0,
            health: HealthStatus::Healthy,
            instance: "web-1".into(),
            workload: Arc::clone(&before),
        };
        let mut known = Known::default();
        known.begin_with(&[endpoint].into());
        assert!(Arc::ptr_eq(&before, &known.share(workload("web", "n1"))));
        assert!(!Arc::ptr_eq(&before, &known.share(workload("db", "n1"))));
    }

    #[test]
    fn what_nobody_has_any_more_is_dropped() {
        let mut known = Known::default();
        let kept = known.share(workload("web", "kept"));
        for index in 0..1_000 {
            let mut next = Known { common: std::mem::take(&mut known.common), ..Known::default() };
            next.share(workload("web", &format!("n{index}")));
            known.common = next.common;
        }
        assert!(known.common.places.len() < 200, "{}", known.common.places.len());
        assert!(Arc::ptr_eq(&kept.place, &known.share(workload("db", "kept")).place));
    }
}
