//! The delta protocol: requests change the subscription, responses hold what changed and what is
//! gone.
//!
//! ```text
//!           subscribe ──▶ sent, or told to be gone, even if the client has it
//! request ─ unsubscribe ▶ silent, unless a wildcard still covers the name
//!           nonce ──────▶ accepted, or with an error noted; never a reason to send
//! ```
//!
//! # Upstream
//!
//! envoyproxy/envoy `docs/root/api-docs/xds_protocol.rst`. Where servers depart from the document
//! this follows the document: subscriptions count in a request with a stale nonce or an error too
//! (istiod drops them), a name subscribed again is sent again (istiod and go-control-plane keep
//! silent), a name that does not exist is told to be removed (go-control-plane keeps silent),
//! unsubscribing from `*` counts at any time (istiod looks at the first request only), and a client
//! that reconnects is not sent what it has (istiod looks at the names only, not at the versions).
//!
//! That holds for endpoints and routes, too, where istiod itself is of two minds
//! (`pilot/pkg/xds/eds.go` `GenerateDeltas`): a request for endpoints of a service that does not exist
//! is answered with an assignment without endpoints, but a change by which it ceases to exist with a
//! removal. Here both are removals: unlike a state-of-the-world response, this one can say that a name
//! does not exist, and nothing has to be invented.
use std::sync::Arc;

use super::session::{Core, TypeState};
use super::subscription::{Composed, Need, Subscription, WILDCARD, warming};
use super::{EmptyList, ErrorDetail, InvalidRequest, Nonce, SessionConfig, TypeStatus};
use crate::snapshot::{Collection, Resource, Snapshot, TypeUrl, Version};

/// One `DeltaDiscoveryRequest`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// `node.id`; may be empty but in the first request of a stream.
    pub node: String,
    /// `type_url`.
    pub type_url: TypeUrl,
    /// `resource_names_subscribe`; `*` stands for everything.
    pub subscribe: Vec<String>,
    /// `resource_names_unsubscribe`; a name that is in both lists ends up unsubscribed.
    pub unsubscribe: Vec<String>,
    /// `initial_resource_versions`: what a client that reconnects holds, name and version; counts
    /// in the first request of a type only.
    pub initial_versions: Vec<(String, String)>,
    /// `response_nonce`, empty if the request answers no response.
    pub nonce: String,
    /// `error_detail`: why the response of that nonce was not accepted.
    pub error: Option<ErrorDetail>,
}

/// One `DeltaDiscoveryResponse`.
#[derive(Clone, Debug)]
pub struct Response {
    /// `type_url`.
    pub type_url: TypeUrl,
    /// `nonce`.
    pub nonce: Nonce,
    /// `resources`, sorted by name; their versions go with them.
    pub resources: Vec<Arc<Resource>>,
    /// Whether the aliases of the resources go with them: not to a client that asked for everything.
    pub tells_aliases: bool,
    /// `removed_resources`, sorted.
    pub removed: Vec<Arc<str>>,
    collection: Arc<Collection>,
}

/// One stream with one client.
///
/// # Examples
///
/// A client that comes back is sent nothing that it has, but an answer:
///
/// ```
/// # use std::sync::Arc;
/// # use mesh_xds_gen::delta::{SessionConfig, incremental::{Request, Session}};
/// # use mesh_xds_gen::snapshot::{Resource, Snapshot, TypeUrl};
/// let cart = Resource::new(TypeUrl::CLUSTER, "cart", "1");
/// let mut session = Session::new(SessionConfig::default(), 1);
/// session.handle_request(&Request {
///     node: "east/shop/web-0".to_owned(),
///     type_url: TypeUrl::CLUSTER,
///     subscribe: vec!["*".to_owned()],
///     unsubscribe: vec![],
///     initial_versions: vec![("cart".to_owned(), cart.version().to_string())],
///     nonce: String::new(),
///     error: None,
/// })?;
/// session.handle_snapshot(Arc::new(Snapshot::new([cart])));
/// let response = session.poll_response().expect("a wildcard is answered");
/// assert!(response.resources.is_empty() && response.removed.is_empty());
/// # Ok::<(), mesh_xds_gen::delta::InvalidRequest>(())
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    core: Core,
}

impl Response {
    /// Returns `system_version_info`, which informs people: the version of the whole type, computed
    /// when first asked for.
    pub fn version(&self) -> Version {
        self.collection.version()
    }
}

impl Session {
    /// Starts a session. `stream` tells apart streams that one client may confuse: a counter of the
    /// caller will do.
    pub fn new(config: SessionConfig, stream: u64) -> Self {
        Self { core: Core::new(config, stream) }
    }

    /// Returns the id of the client's node; `None` before the first request.
    pub fn node(&self) -> Option<&str> {
        self.core.node()
    }

    /// Takes in one request. Responses that it asks for come from [`Session::poll_response`].
    ///
    /// # Errors
    ///
    /// The request cannot be answered and the stream is to be closed: the first one names no node,
    /// the type is empty, or a limit of [`SessionConfig`] is exceeded.
    pub fn handle_request(&mut self, request: &Request) -> Result<(), InvalidRequest> {
        let empty_list = self.core.config.empty_list;
        let names = match self.core.subscription(&request.type_url) {
            Some(subscription) => {
                subscription.names.len() + subscription.count_new(&request.subscribe)
            }
            None => request.subscribe.len().max(request.initial_versions.len()),
        };
        let state = self.core.admit(&request.node, &request.type_url, names)?;
        answer(state, request);
        match &mut state.subscription {
            Some(subscription) => {
                let asks = change(subscription, request, Need::Answer);
                subscription.asked |= asks && !subscription.is_idle();
                if state.exchange.is_settled() {
                    subscription.settle();
                }
            }
            None => state.subscription = Some(start(request, empty_list)),
        }
        Ok(())
    }

    /// Takes in the newest snapshot; what it changes for this client comes from
    /// [`Session::poll_response`].
    ///
    /// Before the first one nothing is sent: that something does not exist is not known yet.
    pub fn handle_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        self.core.handle_snapshot(snapshot);
    }

    /// Returns the next response to send, in push order; `None` until another request or snapshot
    /// comes in.
    ///
    /// To be called whenever the transport can take a response: what is not fetched is not queued
    /// but made later, from the snapshot that is the newest then.
    pub fn poll_response(&mut self) -> Option<Response> {
        let outgoing = self.core.poll(compose)?;
        // Envoy may wait for endpoints of a cluster whose name it knew before, and does not ask for
        // them (istio/istio `pilot/pkg/xds/delta.go` `forceEDSPush`).
        if outgoing.type_url == TypeUrl::CLUSTER
            && outgoing.composed.asked
            && let Some(endpoints) = self.core.subscription(&TypeUrl::ENDPOINT)
        {
            endpoints.need_everything(Need::Resend);
        }
        Some(Response {
            type_url: outgoing.type_url,
            nonce: outgoing.nonce,
            resources: outgoing.composed.resources,
            tells_aliases: outgoing.composed.tells_aliases,
            removed: outgoing.composed.removed,
            collection: outgoing.collection,
        })
    }

    /// Returns where the stream stands with a type; `None` if the client never spoke of it.
    pub fn status(&self, type_url: &TypeUrl) -> Option<TypeStatus<'_>> {
        self.core.status(type_url)
    }

    /// Returns where the stream stands with every type that the client spoke of, in push order.
    pub fn statuses(&self) -> impl Iterator<Item = (&TypeUrl, TypeStatus<'_>)> {
        self.core.statuses()
    }
}

/// Notes what the client says of a response; a nonce that is not the last one sent says nothing.
fn answer(state: &mut TypeState, request: &Request) {
    if let Some(ErrorDetail { code, message }) = &request.error {
        state.exchange.reject(&request.nonce, *code, message);
    } else if state.exchange.is_last(&request.nonce) {
        state.exchange.acknowledge();
    }
}

/// Begins a subscription with the first request of a type.
fn start(request: &Request, empty_list: EmptyList) -> Subscription {
    let mut subscription = Subscription::default();
    subscription.begins = true;
    for (name, version) in &request.initial_versions {
        subscription.held.insert(name.as_str().into(), version.parse().ok());
    }
    if request.subscribe.is_empty() && empty_list.is_everything(&request.type_url) {
        subscribe_to_all(&mut subscription);
    }
    change(&mut subscription, request, Need::IfChanged);
    if !subscription.wildcard {
        // The client still has what it no longer wants.
        for name in subscription.held.keys().cloned().collect::<Vec<_>>() {
            if !subscription.names.contains(&name) {
                subscription.need(name, Need::IfChanged);
            }
        }
    }
    subscription.asked = !subscription.is_idle();
    subscription
}

/// Subscribes, then unsubscribes; of names that the client holds, `held` says how much they are
/// needed. Returns whether the request asks for an answer.
fn change(subscription: &mut Subscription, request: &Request, held: Need) -> bool {
    let mut asks = false;
    for name in &request.subscribe {
        if name == WILDCARD {
            asks |= !subscription.wildcard;
            subscribe_to_all(subscription);
            continue;
        }
        let name: Arc<str> = name.as_str().into();
        let need = if subscription.held.contains_key(&name) { held } else { Need::Answer };
        subscription.names.insert(name.clone());
        subscription.need(name, need);
        asks = true;
    }
    for name in &request.unsubscribe {
        if name == WILDCARD {
            unsubscribe_from_all(subscription);
        } else if subscription.brought.remove(name.as_str())
            | subscription.names.remove(name.as_str())
        {
            if subscription.wildcard {
                // The client cannot know whether the wildcard still gives it the resource.
                subscription.need(name.as_str().into(), Need::Answer);
                asks = true;
            } else {
                subscription.doubt_uncovered();
                subscription.forget(name);
            }
        }
    }
    asks
}

fn subscribe_to_all(subscription: &mut Subscription) {
    if !subscription.wildcard {
        subscription.wildcard = true;
        subscription.answer = true;
        subscription.hold_doubtful();
        subscription.need_everything(Need::IfChanged);
    }
}

fn unsubscribe_from_all(subscription: &mut Subscription) {
    if subscription.wildcard {
        subscription.wildcard = false;
        subscription.answer = false;
        subscription.doubt_uncovered();
        subscription.forget_uncovered();
    }
}

fn compose(
    type_url: &TypeUrl,
    subscription: &mut Subscription,
    collection: &Collection,
    _: SessionConfig,
) -> Option<Composed> {
    let answer = std::mem::take(&mut subscription.answer);
    let is_alias = |name: &Arc<str>, subscription: &Subscription| {
        subscription.names.contains(name) && !collection.brought_by(name).is_empty()
    };
    let mut composed =
        Composed { asked: std::mem::take(&mut subscription.asked), ..Composed::default() };
    if type_url.has_aliases() {
        subscription.bring(collection);
        composed.tells_aliases = !subscription.wildcard;
    }
    for (name, need) in subscription.take_work(collection) {
        let resource = collection.find(&name).filter(|_| subscription.covers(&name));
        match resource {
            Some(resource) => {
                if need > Need::IfChanged || subscription.differs(&name, Some(resource)) {
                    subscription.held.insert(name, Some(resource.version()));
                    composed.resources.push(resource.clone());
                }
            }
            None if type_url.is_never_removed() => {}
            // An alias is no resource, and is none that is gone.
            None if type_url.has_aliases() && is_alias(&name, subscription) => {}
            None => {
                subscription.brought.remove(&name);
                let held = subscription.held.remove(&name).is_some();
                if held || need == Need::Answer {
                    composed.removed.push(name);
                }
            }
        }
    }
    composed.warming = warming(composed.resources.iter());
    let due = answer || !composed.resources.is_empty() || !composed.removed.is_empty();
    due.then_some(composed)
}
