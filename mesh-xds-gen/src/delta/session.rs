//! What the two protocols share: types, limits, snapshots, the order of responses, status.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::diff::pairs;
use super::nonce::{Exchange, Nonce, Nonces, Rejection};
use super::rollout::Rollout;
use super::subscription::{Composed, Need, Subscription};
use crate::snapshot::{Collection, Snapshot, TypeUrl, Version};

/// How a session treats its client.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SessionConfig {
    /// What a first request without names means; default [`EmptyList::Wildcard`].
    pub empty_list: EmptyList,
    /// What becomes of names that come with a rejection in the state-of-the-world protocol; default
    /// [`RejectedNames::Ignored`].
    pub rejected_names: RejectedNames,
    /// What is answered of a name that does not exist, in the state-of-the-world protocol; default
    /// [`AbsentNames::Silent`].
    pub absent_names: AbsentNames,
    /// What is answered when names are added, in the state-of-the-world protocol; default
    /// [`AddedNames::Alone`].
    pub added_names: AddedNames,
    /// When resources that a new snapshot lacks go away; default [`Retirement::AtOnce`].
    pub retirement: Retirement,
    /// How many types one stream may speak of; default 32.
    pub max_types: usize,
    /// How many names one stream may subscribe to in each type; default 100 000.
    pub max_names: usize,
}

/// What a client means that has never named a resource of a type and asks without names.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "clients read it in these ways")]
pub enum EmptyList {
    /// Everything, as Envoy does.
    #[default]
    Wildcard,
    /// Every listener, and nothing of any other type: so istiod answers gRPC clients, which it gives
    /// every service's listeners and no cluster (`pilot/pkg/networking/grpcgen` `newListenerNameFilter`,
    /// `newClusterFilter`).
    Listeners,
    /// Nothing, as gRPC clients do.
    Nothing,
}

impl EmptyList {
    /// Whether it means everything of a type that can be asked for so.
    pub(crate) fn is_everything(self, type_url: &TypeUrl) -> bool {
        match self {
            Self::Wildcard => true,
            Self::Listeners => *type_url == TypeUrl::LISTENER,
            Self::Nothing => false,
        }
    }
}

/// What becomes of the names in a state-of-the-world request that rejects a response.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "they count or they do not")]
pub enum RejectedNames {
    /// They are ignored, as istiod does (`pkg/xds/server.go` `ShouldRespond`): a name that the
    /// client added meanwhile waits for the next response of the type.
    #[default]
    Ignored,
    /// They count, as Envoy's protocol document has it ("Resource updates"): names that are new are
    /// answered.
    Adopted,
}

/// What is answered of endpoints and routes that a client names and that do not exist, in the
/// state-of-the-world protocol; in the delta protocol they are told to be removed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "something is said or nothing is")]
pub enum AbsentNames {
    /// Nothing, as the protocol document has it: what waits for them goes on waiting until they
    /// exist, or until its own time is out (in Envoy 15 seconds).
    #[default]
    Silent,
    /// A load assignment without endpoints and a route configuration without hosts, as istiod does
    /// (`pilot/pkg/xds/endpoints/endpoint_builder.go` `buildEmptyClusterLoadAssignment`,
    /// `pilot/pkg/networking/core/httproute.go` `BuildHTTPRoutes`): requests fail at once. They are
    /// sent too when a name ceases to exist.
    Empty,
}

/// What is answered of endpoints and routes when a client adds names to those it subscribed to, in the
/// state-of-the-world protocol; of clusters and listeners everything is, always.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the others are sent or they are not")]
pub enum AddedNames {
    /// The added names, as Envoys are answered.
    #[default]
    Alone,
    /// All that the client names, as istiod answers gRPC clients (`pilot/pkg/xds/xdsgen.go` `pushXds`).
    WithAll,
}

/// When resources go away that a new snapshot lacks.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is one phase or there are two")]
pub enum Retirement {
    /// With the first response cut from the new snapshot, as upstream does. A route that still
    /// points to a removed cluster fails until the new routes arrive.
    #[default]
    AtOnce,
    /// When the client has accepted all that is new ([`Snapshot::retaining`], then the snapshot
    /// itself). A client that rejects something keeps the old resources until it accepts a later
    /// snapshot.
    MakeBeforeBreak,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            empty_list: EmptyList::default(),
            rejected_names: RejectedNames::default(),
            absent_names: AbsentNames::default(),
            added_names: AddedNames::default(),
            retirement: Retirement::default(),
            max_types: 32,
            max_names: 100_000,
        }
    }
}

/// Why a client did not accept a response (`google.rpc.Status`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ErrorDetail {
    /// The gRPC status code, as a number.
    pub code: i32,
    /// The client's words.
    pub message: String,
}

/// A request that no session can answer: the stream is to be closed with [`InvalidRequest::code`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidRequest {
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Node,
    TypeUrl,
    Types,
    Names,
}

/// The gRPC status that a stream is closed with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers map every status")]
pub enum StatusCode {
    /// `INVALID_ARGUMENT`.
    InvalidArgument,
    /// `RESOURCE_EXHAUSTED`.
    ResourceExhausted,
}

impl InvalidRequest {
    /// Returns the status to close the stream with.
    pub fn code(self) -> StatusCode {
        match self.kind {
            Kind::Node | Kind::TypeUrl => StatusCode::InvalidArgument,
            Kind::Types | Kind::Names => StatusCode::ResourceExhausted,
        }
    }
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Node => "missing node information",
            Kind::TypeUrl => "type URL is required for ADS",
            Kind::Types => "stream asks for too many types",
            Kind::Names => "stream subscribes to too many names",
        })
    }
}

impl std::error::Error for InvalidRequest {}

/// Where a stream stands with one type.
#[derive(Clone, Copy, Debug)]
pub struct TypeStatus<'a> {
    state: &'a TypeState,
}

impl<'a> TypeStatus<'a> {
    /// Whether the client wants everything of the type.
    pub fn is_wildcard(self) -> bool {
        self.state.subscription.as_ref().is_some_and(|it| it.wildcard)
    }

    /// Returns the names subscribed to, in order.
    pub fn names(self) -> impl Iterator<Item = &'a str> {
        self.state.subscription.iter().flat_map(|it| it.names.iter().map(|name| &**name))
    }

    /// Returns what the client was sent last of each name, or said that it holds; the version is
    /// `None` if the client named one that is not ours.
    pub fn held(self) -> impl Iterator<Item = (&'a str, Option<Version>)> {
        let held = self.state.subscription.iter().flat_map(|it| it.held.iter());
        held.map(|(name, version)| (&**name, *version))
    }

    /// Returns the last response sent.
    pub fn sent(self) -> Option<Nonce> {
        Some(self.state.exchange.sent.as_ref()?.nonce)
    }

    /// Returns the version of the type when the last response was sent.
    pub fn sent_version(self) -> Option<Version> {
        Some(self.state.exchange.sent.as_ref()?.collection.version())
    }

    /// Returns the newest response that the client accepted.
    pub fn acked(self) -> Option<Nonce> {
        Some(self.state.exchange.acked.as_ref()?.nonce)
    }

    /// Returns the version of the type when the newest response was sent that the client accepted:
    /// the last good one.
    pub fn acked_version(self) -> Option<Version> {
        Some(self.state.exchange.acked.as_ref()?.collection.version())
    }

    /// Returns what the client last rejected, until it accepts a later response.
    pub fn rejection(self) -> Option<&'a Rejection> {
        self.state.exchange.rejection.as_ref()
    }
}

/// What is remembered of one type on one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct TypeState {
    /// `None`: the client wants nothing of the type, or has not said yet.
    pub(crate) subscription: Option<Subscription>,
    /// The client has named a resource of the type on this stream.
    pub(crate) named: bool,
    /// The next request is answered in full, whatever it says.
    pub(crate) always_respond: bool,
    pub(crate) exchange: Exchange,
}

/// What both protocols do alike.
#[derive(Clone, Debug)]
pub(crate) struct Core {
    pub(crate) config: SessionConfig,
    node: Option<Box<str>>,
    nonces: Nonces,
    rollout: Rollout,
    pub(crate) types: BTreeMap<TypeUrl, TypeState>,
}

/// A response before it gets its protocol's shape.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) type_url: TypeUrl,
    pub(crate) nonce: Nonce,
    pub(crate) collection: Arc<Collection>,
    pub(crate) composed: Composed,
}

pub(crate) type Compose =
    fn(&TypeUrl, &mut Subscription, &Collection, SessionConfig) -> Option<Composed>;

impl Core {
    pub(crate) fn new(config: SessionConfig, stream: u64) -> Self {
        Self {
            config,
            node: None,
            nonces: Nonces::new(stream),
            rollout: Rollout::default(),
            types: BTreeMap::new(),
        }
    }

    pub(crate) fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// Checks what every request must have, and returns the state of its type.
    pub(crate) fn admit(
        &mut self,
        node: &str,
        type_url: &TypeUrl,
        names: usize,
    ) -> Result<&mut TypeState, InvalidRequest> {
        if self.node.is_none() && node.is_empty() {
            return Err(InvalidRequest { kind: Kind::Node });
        }
        if type_url.as_str().is_empty() {
            return Err(InvalidRequest { kind: Kind::TypeUrl });
        }
        if !self.types.contains_key(type_url) && self.types.len() >= self.config.max_types {
            return Err(InvalidRequest { kind: Kind::Types });
        }
        if names > self.config.max_names {
            return Err(InvalidRequest { kind: Kind::Names });
        }
        self.node.get_or_insert_with(|| node.into());
        Ok(self.types.entry(type_url.clone()).or_default())
    }

    pub(crate) fn subscription(&mut self, type_url: &TypeUrl) -> Option<&mut Subscription> {
        self.types.get_mut(type_url)?.subscription.as_mut()
    }

    pub(crate) fn handle_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        let retirement = self.config.retirement;
        self.switch(|rollout| rollout.begin(snapshot, retirement));
    }

    pub(crate) fn poll(&mut self, compose: Compose) -> Option<Outgoing> {
        if let Some(outgoing) = self.poll_serving(compose) {
            return Some(outgoing);
        }
        let settled =
            |state: &TypeState| state.subscription.is_none() || state.exchange.is_settled();
        if !self.types.values().all(settled) {
            return None;
        }
        self.switch(Rollout::advance);
        self.poll_serving(compose)
    }

    pub(crate) fn status(&self, type_url: &TypeUrl) -> Option<TypeStatus<'_>> {
        self.types.get(type_url).map(|state| TypeStatus { state })
    }

    pub(crate) fn statuses(&self) -> impl Iterator<Item = (&TypeUrl, TypeStatus<'_>)> {
        self.types.iter().map(|(type_url, state)| (type_url, TypeStatus { state }))
    }

    /// Lets the rollout go on, and notes what that changes for whom.
    fn switch(&mut self, step: impl FnOnce(&mut Rollout)) {
        let before = self.rollout.serving().cloned().unwrap_or_default();
        step(&mut self.rollout);
        let after = self.rollout.serving().cloned().unwrap_or_default();
        if Arc::ptr_eq(&before, &after) {
            return;
        }
        for (type_url, before, after) in pairs(&before, &after) {
            if let Some(subscription) = self.subscription(&type_url) {
                subscription.note_differences(&before, &after);
            }
        }
    }

    /// Makes the next response from the snapshot being served. Without one there is nothing to say:
    /// an empty answer would delete what the client has.
    fn poll_serving(&mut self, compose: Compose) -> Option<Outgoing> {
        let serving = self.rollout.serving()?;
        let (nonces, config) = (&mut self.nonces, self.config);
        let outgoing = self.types.iter_mut().find_map(|(type_url, state)| {
            let subscription = state.subscription.as_mut().filter(|it| !it.is_idle())?;
            let collection = serving.collection(type_url).cloned().unwrap_or_default();
            let composed = compose(type_url, subscription, &collection, config)?;
            let nonce = nonces.next();
            state.exchange.send(nonce, collection.clone());
            Some(Outgoing { type_url: type_url.clone(), nonce, collection, composed })
        })?;
        self.warm(&outgoing.composed);
        Some(outgoing)
    }

    /// Sends endpoints after the clusters that wait for them; only clusters refer to endpoints.
    fn warm(&mut self, composed: &Composed) {
        let Some(endpoints) = self.subscription(&TypeUrl::ENDPOINT) else { return };
        for name in &composed.warming {
            if endpoints.covers(name) {
                endpoints.need(name.clone(), Need::Resend);
            }
        }
    }
}
