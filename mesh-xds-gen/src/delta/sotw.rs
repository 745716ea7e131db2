//! The state-of-the-world protocol: each request lists all names wanted, cluster and listener
//! responses hold everything.
//!
//! ```text
//!               ┌─ error ───────────────────────────────▶ noted; nothing is sent until something changes
//! request ──────┼─ no names, no wildcard ───────────────▶ unsubscribed
//!               ├─ no nonce, or none sent yet ──────────▶ subscribed; all that exists is sent
//!               ├─ another nonce than the last ─────────▶ ignored
//!               └─ the last nonce ──────────────────────▶ accepted; only added names are sent
//! ```
//!
//! # Upstream
//!
//! istio/istio `pkg/xds/server.go` `ShouldRespond`; envoyproxy/envoy
//! `docs/root/api-docs/xds_protocol.rst`. Where they differ the document counts: a name list
//! without `*` ends a wildcard (istiod keeps it for clusters and listeners), and what does not
//! exist is not answered (istiod invents an empty route configuration or load assignment, and so
//! does a session with [`AbsentNames::Empty`]).
use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use mesh_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use prost::Message;

use super::session::{Core, TypeState};
use super::subscription::{Composed, Need, Subscription, WILDCARD, warming};
use super::{
    AbsentNames, AddedNames, EmptyList, ErrorDetail, InvalidRequest, Nonce, RejectedNames,
    SessionConfig, TypeStatus,
};
use crate::snapshot::{Collection, Resource, Snapshot, TypeUrl, Version};

/// One `DiscoveryRequest`, without what no decision depends on.
///
/// Its `version_info` is not among the fields: nonce and error alone tell acceptance from
/// rejection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// `node.id`; may be empty but in the first request of a stream.
    pub node: String,
    /// `type_url`.
    pub type_url: TypeUrl,
    /// `resource_names`: all that the client wants from now on; `*` stands for everything.
    pub names: Vec<String>,
    /// `response_nonce`, empty in a first request.
    pub nonce: String,
    /// `error_detail`: why the response of that nonce was not accepted.
    pub error: Option<ErrorDetail>,
}

/// One `DiscoveryResponse`.
#[derive(Clone, Debug)]
pub struct Response {
    /// `type_url`.
    pub type_url: TypeUrl,
    /// `nonce`.
    pub nonce: Nonce,
    /// `resources`, sorted by name.
    pub resources: Vec<Arc<Resource>>,
    collection: Arc<Collection>,
}

/// One stream with one client.
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use mesh_xds_gen::delta::{SessionConfig, sotw::{Request, Session}};
/// # use mesh_xds_gen::snapshot::{Resource, Snapshot, TypeUrl};
/// let mut session = Session::new(SessionConfig::default(), 1);
/// session.handle_snapshot(Arc::new(Snapshot::new([Resource::new(TypeUrl::CLUSTER, "cart", "1")])));
/// session.handle_request(&Request {
///     node: "sidecar~10.0.0.1~web-0.shop~shop.svc.cluster.local".to_owned(),
///     type_url: TypeUrl::CLUSTER,
///     names: vec![],
///     nonce: String::new(),
///     error: None,
/// })?;
/// let response = session.poll_response().expect("the cluster is sent");
/// assert_eq!(&**response.resources[0].name(), "cart");
/// assert!(session.poll_response().is_none());
/// # Ok::<(), mesh_xds_gen::delta::InvalidRequest>(())
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    core: Core,
}

impl Response {
    /// Returns `version_info`: the version of the whole type, computed when first asked for.
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
        let config = self.core.config;
        let type_url = &request.type_url;
        let state = self.core.admit(&request.node, type_url, request.names.len())?;
        // Even a request that is otherwise ignored has named something.
        state.named |= !request.names.is_empty();
        let wanted = Wanted::read(request, state, config.empty_list);

        if let Some(ErrorDetail { code, message }) = &request.error {
            let adopt = config.rejected_names == RejectedNames::Adopted;
            let is_last = state.exchange.is_last(&request.nonce);
            state.exchange.reject(&request.nonce, *code, message);
            match (wanted, &mut state.subscription) {
                (Some(wanted), Some(subscription)) if adopt && is_last => {
                    wanted.replace(subscription, type_url, config.added_names);
                }
                (Some(wanted), Some(subscription)) if adopt => wanted.pass_by(subscription),
                _ => {}
            }
            return Ok(());
        }
        // Whatever becomes of the names, to name the last response without an error is to accept
        // it.
        let is_last = state.exchange.is_last(&request.nonce);
        if is_last {
            state.exchange.acknowledge();
        }
        let Some(wanted) = wanted else {
            state.subscription = None;
            state.always_respond = false;
            return Ok(());
        };
        match &mut state.subscription {
            // A nonce of which nothing was sent on this stream is one of the stream before: it
            // cannot be stale here. (istiod ignores it if the type is known, and the client waits
            // for ever.)
            Some(subscription) if !request.nonce.is_empty() && state.exchange.sent.is_some() => {
                if !is_last {
                    wanted.pass_by(subscription);
                    return Ok(());
                }
                wanted.replace(subscription, type_url, config.added_names);
                if std::mem::take(&mut state.always_respond) {
                    subscription.need_everything(Need::Resend);
                }
            }
            _ => {
                state.subscription = Some(wanted.start(type_url));
                state.always_respond = false;
                self.mark_endpoints(type_url);
            }
        }
        Ok(())
    }

    /// Takes in the newest snapshot; what it changes for this client comes from
    /// [`Session::poll_response`].
    ///
    /// Before the first one nothing is sent: an empty response would delete what a reconnecting
    /// client still has.
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
        Some(Response {
            type_url: outgoing.type_url,
            nonce: outgoing.nonce,
            resources: outgoing.composed.resources,
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

    /// Has the next request for endpoints answered in full if clusters start anew: Envoy warms them
    /// until endpoints arrive, and its request for them looks like an acknowledgement (istiod's
    /// `AlwaysRespond`).
    fn mark_endpoints(&mut self, type_url: &TypeUrl) {
        if *type_url == TypeUrl::CLUSTER
            && let Some(endpoints) = self.core.types.get_mut(&TypeUrl::ENDPOINT)
        {
            endpoints.always_respond = endpoints.subscription.is_some();
        }
    }
}

/// What a request asks for, read by the rules for wildcards.
struct Wanted {
    wildcard: bool,
    names: BTreeSet<Arc<str>>,
}

impl Wanted {
    /// Returns `None` if the client wants nothing (any more).
    fn read(request: &Request, state: &TypeState, empty_list: EmptyList) -> Option<Self> {
        if request.names.is_empty() {
            let everything = empty_list.is_everything(&request.type_url)
                && request.type_url.is_wildcard()
                && !state.named;
            return everything.then(|| Self { wildcard: true, names: BTreeSet::new() });
        }
        let (stars, names): (Vec<&String>, _) =
            request.names.iter().partition(|name| *name == WILDCARD);
        let names = names.into_iter().map(|name| name.as_str().into()).collect();
        Some(Self { wildcard: !stars.is_empty(), names })
    }

    /// Begins a subscription: all that exists is sent. If nothing does, only a type that can be
    /// wildcard is answered.
    fn start(self, type_url: &TypeUrl) -> Subscription {
        let answer = self.wildcard || type_url.is_full_state();
        let mut subscription = Subscription::default();
        subscription.answer = answer;
        subscription.wildcard = self.wildcard;
        subscription.names = self.names;
        subscription.need_everything(Need::Resend);
        subscription
    }

    /// Goes on with a subscription: added names are sent, of clusters and listeners everything if
    /// any name changed.
    fn replace(self, subscription: &mut Subscription, type_url: &TypeUrl, added_names: AddedNames) {
        let given_up = std::mem::take(&mut subscription.given_up);
        let same = subscription.wildcard == self.wildcard && subscription.names == self.names;
        if same && given_up.is_empty() {
            return;
        }
        subscription.answer |= type_url.is_full_state();
        if self.wildcard && given_up.contains(WILDCARD) {
            subscription.need_everything(Need::Resend);
        } else if self.wildcard && !subscription.wildcard {
            subscription.need_everything(Need::IfChanged);
        }
        let old = std::mem::replace(&mut subscription.names, self.names);
        let is_new = |name: &&Arc<str>| !old.contains(*name) || given_up.contains(*name);
        let added: Vec<Arc<str>> = subscription.names.iter().filter(is_new).cloned().collect();
        if added_names == AddedNames::WithAll && !added.is_empty() && !subscription.wildcard {
            subscription.need_everything(Need::Resend);
        }
        for name in added {
            subscription.need(name, Need::Resend);
        }
        subscription.wildcard = self.wildcard;
        subscription.bring_anew();
        subscription.forget_uncovered();
    }

    /// Remembers what a request gives up that came too late to count.
    ///
    /// It is not answered and changes nothing. But a client that wants the same names in its next
    /// request has dropped the resources in between, and would wait for them for ever if that
    /// request were taken for one that changes nothing (as upstream takes it).
    fn pass_by(&self, subscription: &mut Subscription) {
        let star = (subscription.wildcard && !self.wildcard).then(|| Arc::from(WILDCARD));
        let names = subscription.names.difference(&self.names).cloned();
        subscription.given_up.extend(names.chain(star));
    }
}

fn compose(
    type_url: &TypeUrl,
    subscription: &mut Subscription,
    collection: &Collection,
    config: SessionConfig,
) -> Option<Composed> {
    let refreshing = subscription.is_refreshing();
    let answer = std::mem::take(&mut subscription.answer);
    if type_url.has_aliases() {
        subscription.bring(collection);
    }
    let work = subscription.take_work(collection);
    let mut changed: Vec<Arc<Resource>> = Vec::new();
    let mut gone: Vec<Arc<str>> = Vec::new();
    for (name, need) in work {
        let is_named = subscription.names.contains(&name);
        let made = || empty(type_url, &name).filter(|_| is_named).map(Arc::new);
        let found = match (collection.find(&name), config.absent_names) {
            (Some(resource), _) => Some(resource.clone()),
            (None, AbsentNames::Empty) => made(),
            (None, AbsentNames::Silent) => None,
        };
        match found {
            Some(found) if need > Need::IfChanged || subscription.differs(&name, Some(&found)) => {
                changed.push(found);
            }
            None if subscription.held.contains_key(&name) => gone.push(name),
            Some(_) | None => {}
        }
    }
    // Whoever starts anew asks for the endpoints too, and is answered then.
    let warming = if refreshing { Vec::new() } else { warming(changed.iter()) };

    if type_url.is_full_state() {
        if changed.is_empty() && gone.is_empty() && !answer {
            return None;
        }
        let resources = subscription.covered(collection);
        let sent = resources.iter().map(|it| (it.name().clone(), Some(it.version())));
        subscription.held = sent.collect();
        return Some(Composed { resources, warming, ..Composed::default() });
    }
    for name in &gone {
        // Absence means nothing here: a client keeps what it named, and its parent decides (but of
        // a wildcard no more is remembered than exists).
        if !subscription.names.contains(name) {
            subscription.forget(name);
        }
    }
    let sent = changed.iter().map(|it| (it.name().clone(), Some(it.version())));
    subscription.held.extend(sent);
    let due = answer || !changed.is_empty();
    due.then(|| Composed { resources: changed, warming, ..Composed::default() })
}

/// What stands for endpoints or routes that do not exist.
fn empty(type_url: &TypeUrl, name: &Arc<str>) -> Option<Resource> {
    let named = name.to_string();
    let bytes = if *type_url == TypeUrl::ENDPOINT {
        ClusterLoadAssignment { cluster_name: named, ..Default::default() }.encode_to_vec()
    } else if *type_url == TypeUrl::ROUTE {
        let validate_clusters = Some(false);
        RouteConfiguration { name: named, validate_clusters, ..Default::default() }.encode_to_vec()
    } else {
        return None;
    };
    Some(Resource::new(type_url.clone(), name.clone(), bytes))
}
