//! Whose rules a VirtualService follows.
use super::VirtualService;

/// Whose rules a VirtualService follows: istiod marks those that it makes of other kinds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators act on each")]
pub enum Semantics {
    /// Istio's.
    Istio,
    /// Those of Ingress: path prefixes are whole segments, and no routes are left to other objects.
    Ingress,
    /// Those of the Gateway API: beside those of Ingress, names are full ones, a Sidecar imports only hosts
    /// that its own cover, and rules of the client's namespace come first.
    Gateway,
}

impl VirtualService {
    /// Whose rules the object follows, by its annotation.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/virtualservice.go` `UseIngressSemantics`, `UseGatewaySemantics`.
    pub fn semantics(&self) -> Semantics {
        match self.meta.annotations.value("internal.istio.io/route-semantics") {
            "ingress" => Semantics::Ingress,
            "gateway" => Semantics::Gateway,
            _ => Semantics::Istio,
        }
    }
}
