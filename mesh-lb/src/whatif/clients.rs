//! Which proxies are sent the same, so that one answer holds for all of them.
use mesh_model::view::{Destination, Proxy, ProxyView};

use super::Outcome;

/// Proxies whose assignment of a destination is the same.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a value that later stages read")]
pub struct Class<'m> {
    /// The first of them, as the mesh looks to it.
    pub view: ProxyView<'m>,
    /// The destination as the first of them sees it.
    pub destination: Destination<'m>,
    /// Where their traffic goes at present.
    pub before: Outcome,
    /// All of them, in the order given.
    pub proxies: Vec<&'m Proxy>,
}

impl<'m> Class<'m> {
    /// Divides proxies that see a destination into classes, in the order of their first members.
    ///
    /// Two proxies are of one class if their assignments and the way in which their clusters spread
    /// traffic are equal: then so are their shares, whatever fails.
    pub fn of(clients: impl IntoIterator<Item = (ProxyView<'m>, Destination<'m>)>) -> Vec<Self> {
        let mut classes: Vec<Self> = Vec::new();
        for (view, destination) in clients {
            let before = Outcome::now(&view, &destination);
            let proxy = view.proxy();
            let is_same = |class: &&mut Self| {
                class.before == before
                    && class.view.proxy().network == proxy.network
                    && class.view.plane().id == view.plane().id
            };
            match classes.iter_mut().find(is_same) {
                Some(class) => class.proxies.push(proxy),
                None => {
                    let proxies = vec![proxy];
                    classes.push(Self { view, destination, before, proxies });
                }
            }
        }
        classes
    }

    /// Returns the name, that of the first member's place.
    pub fn name(&self) -> String {
        class_name(self.view.proxy())
    }
}

/// Returns the name of the place of a proxy: its cluster, its locality and its network.
pub fn class_name(proxy: &Proxy) -> String {
    let parts = [proxy.cluster.to_string(), proxy.locality.to_string(), proxy.network.to_string()];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("/")
}
