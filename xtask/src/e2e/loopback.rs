//! The mesh folder `examples/meshes/loopback`, copied and changed while Envoys run on it.
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::problem::{Attempt, Problem};
use crate::workspace;

/// An endpoint of the service `cart`, as its EndpointSlice has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint {
    pub(super) pod: &'static str,
    pub(super) ip: &'static str,
    pub(super) node: &'static str,
    pub(super) ready: bool,
}

const fn ready(pod: &'static str, ip: &'static str, node: &'static str) -> Endpoint {
    Endpoint { pod, ip, node, ready: true }
}

/// Four beside the client (zone eu/a), two in the next zone, two in the next region.
pub(super) const CART: [Endpoint; 8] = [
    ready("cart-a-0", "127.2.1.1", "eu-a"),
    ready("cart-a-1", "127.2.1.2", "eu-a"),
    ready("cart-a-2", "127.2.1.3", "eu-a"),
    ready("cart-a-3", "127.2.1.4", "eu-a"),
    ready("cart-b-0", "127.2.2.1", "eu-b"),
    ready("cart-b-1", "127.2.2.2", "eu-b"),
    ready("cart-us-0", "127.2.3.1", "us-a"),
    ready("cart-us-1", "127.2.3.2", "us-a"),
];

/// The port that every endpoint of `cart` listens on.
const PORT: u16 = 18080;

impl Endpoint {
    /// `ADDRESS:PORT`.
    pub(super) fn name(&self) -> String {
        format!("{}:{PORT}", self.ip)
    }

    pub(super) fn address(&self) -> Result<SocketAddr, Problem> {
        self.name().parse().attempt(format!("read `{}`", self.name()))
    }

    pub(super) fn is_local(&self) -> bool {
        self.node == "eu-a"
    }
}

/// `CART` with so many of the endpoints beside the client not ready.
pub(super) fn cart_with_unready(count: usize) -> Vec<Endpoint> {
    let mut endpoints = CART.to_vec();
    endpoints.iter_mut().take(count).for_each(|endpoint| endpoint.ready = false);
    endpoints
}

/// Copies the folder of the repository.
pub(super) fn copy(to: &Path) -> Result<PathBuf, Problem> {
    let folder = to.join("mesh");
    workspace::copy_directory(&workspace::repository().join("examples/meshes/loopback"), &folder)?;
    Ok(folder)
}

/// Replaces the endpoints of `cart`, all at once: the new file takes the place of the old one.
pub(super) fn set_cart(folder: &Path, endpoints: &[Endpoint]) -> Result<(), Problem> {
    let new = folder.with_extension("cart-endpoints");
    let file = folder.join("clusters/loop/shop/cart-endpoints.yaml");
    std::fs::write(&new, slice(endpoints)).attempt(format!("write `{}`", new.display()))?;
    std::fs::rename(&new, &file).attempt(format!("replace `{}`", file.display()))
}

fn slice(endpoints: &[Endpoint]) -> String {
    let mut text = format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: cart-0
  namespace: shop
  creationTimestamp: '2026-05-04T08:02:00Z'
  labels:
    kubernetes.io/service-name: cart
    endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
addressType: IPv4
ports:
- {{name: http, port: {PORT}, protocol: TCP}}
endpoints:
"
    );
    for Endpoint { pod, ip, node, ready } in endpoints {
        // Writing into a string cannot fail.
        let _written = write!(
            text,
            "- addresses: [{ip}]
  conditions: {{ready: {ready}, serving: {ready}, terminating: false}}
  nodeName: {node}
  targetRef: {{kind: Pod, name: {pod}, namespace: shop}}
"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_begins_with_every_endpoint_ready() {
        let file = "examples/meshes/loopback/clusters/loop/shop/cart-endpoints.yaml";
        let text = std::fs::read_to_string(workspace::repository().join(file)).unwrap();
        assert_eq!(text, slice(&CART));
    }
}
