//! What classes of proxies are called.
//!
//! ```text
//! c1/eu/a/n1                   the place, where no other class of the destination is there
//! c1/eu/a/n1 namespace=demo    and what tells it from those that are
//! ```
use std::collections::BTreeSet;

use mesh_model::compat::DataPlane;
use mesh_model::registry::ControlPlane;
use mesh_model::view::Proxy;

use super::crowd::Crowd;
use super::survey::{Read, Survey, Surveyed, SurveyedClass};

/// Returns the name of the place of a proxy: its cluster, its locality and its network.
pub fn class_name(proxy: &Proxy) -> String {
    let parts = [proxy.cluster.to_string(), proxy.locality.to_string(), proxy.network.to_string()];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

impl<'m> Survey<'m> {
    /// Returns what the classes are called, those of each destination in turn as
    /// [`impact`](Self::impact) has them: by the place of the first member. Of several at one place each
    /// name adds what tells them apart, so that no two classes of a host, port and subset have one name.
    pub fn names(&self) -> Vec<String> {
        let mut labels = LabelsRead::default();
        self.crowds().iter().flat_map(|crowd| self.names_of(crowd, &mut labels)).collect()
    }

    fn names_of(&self, crowd: &Crowd<'m>, labels: &mut LabelsRead<'m>) -> Vec<String> {
        let members = crowd.members(self.destinations()).enumerate();
        let mut named: Vec<Named<'_, 'm>> = members
            .flat_map(|(destination, (surveyed, _))| {
                surveyed.classes.iter().map(move |class| {
                    let proxies = Vec::new();
                    let name = class_name(class.view.proxy());
                    Named { destination, surveyed, class, proxies, name }
                })
            })
            .collect();
        let mut order: Vec<usize> = (0..named.len()).collect();
        let name = |index: &usize| named.get(*index).map(|one| one.name.as_str());
        order.sort_by(|one, other| name(one).cmp(&name(other)));
        let places = order.chunk_by(|one, other| name(one) == name(other));
        let places: Vec<&[usize]> = places.filter(|same| same.len() > 1).collect();
        for same in places {
            for index in same {
                if let Some(one) = named.get_mut(*index) {
                    one.proxies = self.proxies(one.class);
                }
            }
            let first = same.first().and_then(|index| named.get(*index));
            let Some(plane) = first.map(|one| one.class.view.plane()) else { continue };
            tell_apart(same, &mut named, labels.by(plane));
        }
        named.into_iter().map(|one| one.name).collect()
    }
}

/// The labels that rules of control planes read, found once for each; there are few.
#[derive(Default)]
struct LabelsRead<'m>(Vec<(&'m ControlPlane, Vec<Trait>)>);

impl<'m> LabelsRead<'m> {
    fn by(&mut self, plane: &'m ControlPlane) -> &[Trait] {
        let known = self.0.iter().position(|(known, _)| std::ptr::eq(*known, plane));
        let at = known.unwrap_or_else(|| {
            let labels = Read::by(plane);
            let labels = labels.labels().map(|name| Trait::Label(name.into())).collect();
            self.0.push((plane, labels));
            self.0.len() - 1
        });
        self.0.get(at).map(|(_, labels)| labels.as_slice()).unwrap_or_default()
    }
}

/// A class and its name so far.
struct Named<'s, 'm> {
    destination: usize,
    surveyed: &'s Surveyed<'m>,
    class: &'s SurveyedClass<'m>,
    proxies: Vec<&'m Proxy>,
    name: String,
}

/// What proxies at one place can differ in.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Trait {
    Kind,
    DataPlane,
    Label(Box<str>),
    Namespace,
    Node,
    Families,
}

impl Trait {
    fn word(&self) -> &str {
        match self {
            Self::Kind => "kind",
            Self::DataPlane => "data_plane",
            Self::Label(name) => name,
            Self::Namespace => "namespace",
            Self::Node => "node",
            Self::Families => "addresses",
        }
    }

    fn of<'p>(&self, proxy: &'p Proxy) -> &'p str {
        match self {
            Self::Kind => proxy.kind.as_str(),
            Self::DataPlane => match proxy.data_plane {
                DataPlane::IstioProxy => "istio-proxy",
                DataPlane::Envoy => "envoy",
                DataPlane::Grpc => "grpc",
                DataPlane::Ztunnel => "ztunnel",
            },
            Self::Label(name) => proxy.labels.value(name),
            Self::Namespace => proxy.namespace.as_str(),
            Self::Node => &proxy.node,
            Self::Families => proxy.ip_families().as_str(),
        }
    }

    /// All values that members of a class have.
    fn values<'m>(&self, named: &Named<'_, 'm>) -> BTreeSet<&'m str> {
        named.proxies.iter().map(|proxy| self.of(proxy)).collect()
    }
}

/// So many values are told; of more their number.
const TOLD: usize = 2;

fn told(values: &BTreeSet<&str>) -> String {
    let first: Vec<&str> = values.iter().take(TOLD).copied().collect();
    match values.len().saturating_sub(TOLD) {
        0 => first.join(","),
        more => format!("{}+{more}", first.join(",")),
    }
}

/// Adds to names that are the same what tells the classes apart: first what is one value in each of them,
/// then what at least differs; in the end a number.
fn tell_apart(same: &[usize], named: &mut [Named<'_, '_>], labels: &[Trait]) {
    let traits = traits(same, named, labels);
    for is_one_value in [true, false] {
        for differing in &traits {
            let all: Vec<(usize, BTreeSet<&str>)> = { same.iter() }
                .filter_map(|index| Some((*index, differing.values(named.get(*index)?))))
                .collect();
            let first = all.first().map(|(_, values)| values);
            let differs = all.iter().any(|(_, values)| Some(values) != first);
            if !differs || (is_one_value && all.iter().any(|(_, values)| values.len() > 1)) {
                continue;
            }
            let mut texts: Vec<(String, usize)> =
                all.iter().map(|(index, values)| (told(values), *index)).collect();
            texts.sort();
            if texts.iter().all(|(text, _)| texts.first().is_some_and(|(first, _)| first == text)) {
                continue;
            }
            for (text, index) in &texts {
                if let Some(one) = named.get_mut(*index) {
                    one.name = format!("{} {}={text}", one.name, differing.word());
                }
            }
            for same in texts.chunk_by(|(one, _), (other, _)| one == other) {
                let same: Vec<usize> = same.iter().map(|(_, index)| *index).collect();
                if same.len() > 1 {
                    tell_apart(&same, named, labels);
                }
            }
            return;
        }
    }
    for (number, index) in (1..).zip(same) {
        let number: u32 = number;
        if let Some(one) = named.get_mut(*index) {
            one.name = format!("{} #{number}", one.name);
        }
    }
}

/// What can tell them apart, the likeliest first: the namespace where rules or services differ, and what
/// rules read of labels.
fn traits(same: &[usize], named: &[Named<'_, '_>], labels: &[Trait]) -> Vec<Trait> {
    let members: Vec<&Named<'_, '_>> = same.iter().filter_map(|index| named.get(*index)).collect();
    let Some(first) = members.first() else { return Vec::new() };
    let is_one = members.iter().all(|one| one.destination == first.destination);
    let mut traits: Vec<Trait> = if is_one { Vec::new() } else { vec![Trait::Namespace] };
    traits.extend([Trait::Kind, Trait::DataPlane]);
    let is_on_node = first.surveyed.destination.service.node_local;
    traits.extend(is_on_node.then_some(Trait::Node));
    traits.extend_from_slice(labels);
    traits.extend([Trait::Families, Trait::Namespace, Trait::Node]);
    traits
}
