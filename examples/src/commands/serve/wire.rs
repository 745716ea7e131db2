//! Between the messages on the wire and those of the sessions.
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::core::v3::Node;
use mesh_envoy_proto::envoy::service::discovery::v3 as wire;
use mesh_envoy_proto::google::rpc::Status as WireStatus;
use mesh_envoy_proto::prost_types::Any;
use mesh_xds_gen::delta::{
    ErrorDetail, InvalidRequest, Nonce, SessionConfig, TypeStatus, incremental, sotw,
};
use mesh_xds_gen::snapshot::{Resource, Snapshot, TypeUrl};

use super::event::Pushed;

/// What the two protocols share, as far as a stream needs it.
pub(super) trait Session: Send + Sync + Sized + 'static {
    /// The protocol's name in events.
    const PROTOCOL: &'static str;
    /// What the client sends.
    type Request: prost::Message + Default + 'static;
    /// What it is sent.
    type Response: prost::Message + Default + 'static;

    fn start(config: SessionConfig, stream: u64) -> Self;
    /// What both protocols' requests say.
    fn head(request: &Self::Request) -> Head<'_>;
    fn handle(
        &mut self,
        node: &str,
        type_url: TypeUrl,
        request: Self::Request,
    ) -> Result<(), InvalidRequest>;
    fn take(&mut self, snapshot: Arc<Snapshot>);
    fn poll(&mut self) -> Option<(Self::Response, Pushed)>;
    fn status(&self, type_url: &TypeUrl) -> Option<TypeStatus<'_>>;
}

/// What every request says, whatever its protocol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'r> {
    pub(super) node: Option<&'r Node>,
    pub(super) type_url: &'r str,
    pub(super) nonce: &'r str,
    pub(super) error: Option<&'r WireStatus>,
}

impl Session for sotw::Session {
    const PROTOCOL: &'static str = "sotw";
    type Request = wire::DiscoveryRequest;
    type Response = wire::DiscoveryResponse;

    fn start(config: SessionConfig, stream: u64) -> Self {
        Self::new(config, stream)
    }

    fn head(request: &Self::Request) -> Head<'_> {
        Head {
            node: request.node.as_ref(),
            type_url: &request.type_url,
            nonce: &request.response_nonce,
            error: request.error_detail.as_ref(),
        }
    }

    fn handle(
        &mut self,
        node: &str,
        type_url: TypeUrl,
        request: Self::Request,
    ) -> Result<(), InvalidRequest> {
        self.handle_request(&sotw::Request {
            node: node.to_owned(),
            type_url,
            names: request.resource_names,
            nonce: request.response_nonce,
            error: request.error_detail.map(error),
        })
    }

    fn take(&mut self, snapshot: Arc<Snapshot>) {
        self.handle_snapshot(snapshot);
    }

    fn poll(&mut self) -> Option<(Self::Response, Pushed)> {
        let response = self.poll_response()?;
        let version = response.version().to_string();
        let pushed = pushed(&response.type_url, response.resources.len(), 0, &version);
        let response = wire::DiscoveryResponse {
            version_info: version,
            resources: response.resources.iter().map(|resource| any(resource)).collect(),
            type_url: response.type_url.to_string(),
            nonce: nonce(response.nonce),
            ..wire::DiscoveryResponse::default()
        };
        Some((response, pushed))
    }

    fn status(&self, type_url: &TypeUrl) -> Option<TypeStatus<'_>> {
        self.status(type_url)
    }
}

impl Session for incremental::Session {
    const PROTOCOL: &'static str = "delta";
    type Request = wire::DeltaDiscoveryRequest;
    type Response = wire::DeltaDiscoveryResponse;

    fn start(config: SessionConfig, stream: u64) -> Self {
        Self::new(config, stream)
    }

    fn head(request: &Self::Request) -> Head<'_> {
        Head {
            node: request.node.as_ref(),
            type_url: &request.type_url,
            nonce: &request.response_nonce,
            error: request.error_detail.as_ref(),
        }
    }

    fn handle(
        &mut self,
        node: &str,
        type_url: TypeUrl,
        request: Self::Request,
    ) -> Result<(), InvalidRequest> {
        self.handle_request(&incremental::Request {
            node: node.to_owned(),
            type_url,
            subscribe: request.resource_names_subscribe,
            unsubscribe: request.resource_names_unsubscribe,
            initial_versions: request.initial_resource_versions.into_iter().collect(),
            nonce: request.response_nonce,
            error: request.error_detail.map(error),
        })
    }

    fn take(&mut self, snapshot: Arc<Snapshot>) {
        self.handle_snapshot(snapshot);
    }

    fn poll(&mut self) -> Option<(Self::Response, Pushed)> {
        let response = self.poll_response()?;
        let version = response.version().to_string();
        let (sent, removed) = (response.resources.len(), response.removed.len());
        let resources = response.resources.iter().map(|resource| {
            let aliases = if response.tells_aliases { resource.aliases() } else { &[] };
            let aliases = aliases.iter().map(ToString::to_string).collect();
            wire::Resource { aliases, ..versioned(resource) }
        });
        let pushed = pushed(&response.type_url, sent, removed, &version);
        let response = wire::DeltaDiscoveryResponse {
            system_version_info: version,
            resources: resources.collect(),
            type_url: response.type_url.to_string(),
            removed_resources: response.removed.iter().map(ToString::to_string).collect(),
            nonce: nonce(response.nonce),
            ..wire::DeltaDiscoveryResponse::default()
        };
        Some((response, pushed))
    }

    fn status(&self, type_url: &TypeUrl) -> Option<TypeStatus<'_>> {
        self.status(type_url)
    }
}

fn pushed(type_url: &TypeUrl, sent: usize, removed: usize, version: &str) -> Pushed {
    Pushed { type_url: type_url.to_string(), sent, removed, version: version.to_owned() }
}

fn error(status: WireStatus) -> ErrorDetail {
    ErrorDetail { code: status.code, message: status.message }
}

fn nonce(nonce: Nonce) -> String {
    nonce.to_string()
}

fn any(resource: &Resource) -> Any {
    Any { type_url: resource.type_url().to_string(), value: resource.bytes().to_vec() }
}

fn versioned(resource: &Resource) -> wire::Resource {
    wire::Resource {
        name: resource.name().to_string(),
        version: resource.version().to_string(),
        resource: Some(any(resource)),
        ..wire::Resource::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cart() -> Arc<Snapshot> {
        Arc::new(Snapshot::new([Resource::new(TypeUrl::CLUSTER, "cart", "1")]))
    }

    fn answer<S: Session>(request: S::Request) -> Option<(S::Response, Pushed)> {
        let mut session = S::start(SessionConfig::default(), 7);
        session.take(cart());
        session.handle("a/b/c", TypeUrl::CLUSTER, request).unwrap();
        session.poll()
    }

    #[test]
    fn the_state_of_the_world_is_wrapped_with_its_type() {
        let (response, pushed) =
            answer::<sotw::Session>(wire::DiscoveryRequest::default()).unwrap();
        let cluster = TypeUrl::CLUSTER.to_string();
        assert_eq!(response.resources, [Any { type_url: cluster.clone(), value: b"1".to_vec() }]);
        assert_eq!((response.type_url, response.nonce), (cluster, "7.1".to_owned()));
        assert_eq!((pushed.sent, pushed.removed), (1, 0));
        assert_eq!(pushed.version, response.version_info);
    }

    #[test]
    fn a_change_has_the_name_and_version_of_each_resource() {
        let request = wire::DeltaDiscoveryRequest::default();
        let (response, _) = answer::<incremental::Session>(request).unwrap();
        let [resource] = response.resources.as_slice() else { panic!("{response:?}") };
        let version = cart().resource(&TypeUrl::CLUSTER, "cart").unwrap().version().to_string();
        assert_eq!((resource.name.as_str(), &resource.version), ("cart", &version));
        assert_eq!(resource.resource.as_ref().unwrap().value, b"1");
    }

    #[test]
    fn who_asks_by_an_alias_is_told_it() {
        let resource = Resource::new(TypeUrl::ADDRESS, "c1//Pod/shop/web-0", "1");
        let alias = || [Arc::from("/10.0.0.1")];
        let resource = resource.with_aliases(alias()).with_brought_by(alias());
        let found = |name: &str| {
            let mut session = incremental::Session::start(SessionConfig::default(), 7);
            session.take(Arc::new(Snapshot::new([resource.clone()])));
            let request = wire::DeltaDiscoveryRequest {
                resource_names_subscribe: vec![name.to_owned()],
                ..wire::DeltaDiscoveryRequest::default()
            };
            session.handle("a/b/c", TypeUrl::ADDRESS, request).unwrap();
            let (response, _) = session.poll().unwrap();
            let [resource] = response.resources.as_slice() else { panic!("{response:?}") };
            (resource.name.clone(), resource.aliases.clone())
        };
        let name = "c1//Pod/shop/web-0".to_owned();
        assert_eq!(found("/10.0.0.1"), (name.clone(), vec!["/10.0.0.1".to_owned()]));
        assert_eq!(found("*"), (name, vec![]));
    }

    #[test]
    fn what_is_not_there_is_told_to_be_removed() {
        let request = wire::DeltaDiscoveryRequest {
            resource_names_subscribe: vec!["shop".to_owned()],
            ..wire::DeltaDiscoveryRequest::default()
        };
        let (response, pushed) = answer::<incremental::Session>(request).unwrap();
        assert_eq!(response.removed_resources, ["shop"]);
        assert_eq!((pushed.sent, pushed.removed), (0, 1));
    }

    #[test]
    fn a_client_that_has_the_version_is_sent_nothing() {
        let version = cart().resource(&TypeUrl::CLUSTER, "cart").unwrap().version().to_string();
        let request = wire::DeltaDiscoveryRequest {
            initial_resource_versions: [("cart".to_owned(), version)].into(),
            ..wire::DeltaDiscoveryRequest::default()
        };
        let (response, _) = answer::<incremental::Session>(request).unwrap();
        assert_eq!((response.resources.len(), response.removed_resources.len()), (0, 0));
    }
}
