//! What classes of proxies are called.
use mesh_model::view::Proxy;

/// Returns the name of the place of a proxy: its cluster, its locality and its network.
pub fn class_name(proxy: &Proxy) -> String {
    let parts = [proxy.cluster.to_string(), proxy.locality.to_string(), proxy.network.to_string()];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("/")
}
