//! One stream with one proxy: what comes in goes to the session, what the session has to say goes
//! out whenever there is room.
//!
//! Nothing queues up here. While a slow proxy does not take its response, requests and new meshes
//! only change what the session will say next.
use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_model::compat::DataPlane;
use mesh_xds_gen::delta::{
    AbsentNames, AddedNames, EmptyList, InvalidRequest, Nonce, RejectedNames, Retirement,
    SessionConfig, StatusCode, TypeStatus,
};
use mesh_xds_gen::snapshot::{Snapshot, TypeUrl};
use tokio::sync::{mpsc, watch};
use tonic::{Code, Status, Streaming};

use super::event::Event;
use super::hub::{Client, Held, Hub, Published, Surface};
use super::wire::Session;
use crate::data_plane;

type Sender<S> = mpsc::Sender<Result<<S as Session>::Response, Status>>;

/// A stream before the client has said who it is.
pub(super) struct Stream<S: Session> {
    hub: Arc<Hub>,
    surface: Surface,
    inbound: Streaming<S::Request>,
    outbound: Sender<S>,
}

/// A stream whose client is known.
struct Conversation<S: Session> {
    stream: Stream<S>,
    client: Client,
    session: S,
    snapshot: Arc<Snapshot>,
    /// `None` until the client was part of a mesh.
    held: Option<Held>,
    meshes: watch::Receiver<Arc<Published>>,
    /// Why the next response goes out.
    reason: &'static str,
    /// The listeners that a gRPC client asked for.
    listeners: BTreeSet<String>,
    /// The session may have something to say.
    is_due: bool,
}

impl<S: Session> Stream<S> {
    pub(super) fn new(
        hub: Arc<Hub>,
        surface: Surface,
        inbound: Streaming<S::Request>,
        outbound: Sender<S>,
    ) -> Self {
        Self { hub, surface, inbound, outbound }
    }

    /// Talks until one of the two ends.
    pub(super) async fn run(mut self) {
        let first = tokio::select! {
            first = self.inbound.message() => first,
            () = self.hub.closed() => return,
        };
        let outbound = self.outbound.clone();
        let ended = match first {
            Ok(Some(first)) => self.talk(first).await,
            Ok(None) => return,
            Err(status) => unreadable(&status).map_or(Ok(()), Err),
        };
        if let Err(status) = ended {
            // A client that does not listen any more does not hear why, either.
            let _heard = outbound.send(Err(status)).await;
        }
    }

    async fn talk(self, first: S::Request) -> Result<(), Status> {
        let missing = || Status::invalid_argument("missing node information");
        let node = S::head(&first).node.ok_or_else(missing)?;
        let client = self.hub.client(node);
        let client = match client {
            Ok(client) => client,
            Err(status) => {
                Event::Disconnect { node: &node.id, reason: status.message() }.tell();
                return Err(status);
            }
        };
        Event::Connect {
            node: &client.node,
            proxy: &client.reference,
            service: self.surface.name(),
            protocol: S::PROTOCOL,
            plane: data_plane::name(client.plane),
        }
        .tell();
        let mut conversation = Conversation::new(self, client);
        let ended = conversation.run(first).await;
        let reason = match &ended {
            Ok(reason) => reason,
            Err(status) => status.message(),
        };
        Event::Disconnect { node: &conversation.client.node, reason }.tell();
        ended.map(|_| ())
    }
}

impl<S: Session> Conversation<S> {
    fn new(stream: Stream<S>, client: Client) -> Self {
        // An empty route configuration is not among the answers that istiod has for gRPC.
        let (empty_list, absent_names, added_names) = match client.plane {
            DataPlane::Grpc => (EmptyList::Listeners, AbsentNames::Silent, AddedNames::WithAll),
            DataPlane::IstioProxy | DataPlane::Envoy | DataPlane::Ztunnel => {
                (EmptyList::Wildcard, AbsentNames::Empty, AddedNames::Alone)
            }
        };
        let config = SessionConfig {
            empty_list,
            rejected_names: RejectedNames::Adopted,
            absent_names,
            added_names,
            retirement: Retirement::MakeBeforeBreak,
            ..SessionConfig::default()
        };
        let session = S::start(config, stream.hub.stream());
        let meshes = stream.hub.subscribe();
        Self {
            stream,
            client,
            session,
            snapshot: Arc::default(),
            held: None,
            meshes,
            reason: "subscribe",
            listeners: BTreeSet::new(),
            is_due: false,
        }
    }

    /// Talks until one of the two ends, and says why.
    async fn run(&mut self, first: S::Request) -> Result<&'static str, Status> {
        self.renew().await?;
        self.listen(first).await?;
        let (hub, outbound) = (self.stream.hub.clone(), self.stream.outbound.clone());
        loop {
            tokio::select! {
                request = self.stream.inbound.message() => match request {
                    Ok(Some(request)) => self.listen(request).await?,
                    Ok(None) => return Ok("the client ended the stream"),
                    Err(status) => match unreadable(&status) {
                        Some(status) => return Err(status),
                        None => return Ok("the connection broke"),
                    },
                },
                changed = self.meshes.changed() => {
                    if changed.is_ok() && self.renew().await? {
                        self.reason = "change";
                    }
                }
                permit = outbound.reserve(), if self.is_due => {
                    let Ok(permit) = permit else { return Ok("the client is gone") };
                    match self.session.poll() {
                        Some((response, pushed)) => {
                            let node = &self.client.node;
                            Event::Push { node, pushed: &pushed, reason: self.reason }.tell();
                            permit.send(Ok(response));
                        }
                        None => self.is_due = false,
                    }
                }
                () = hub.closed() => return Ok("the server ends"),
            }
        }
    }

    /// Takes in what the client holds in the newest mesh; true if that can be something else.
    async fn renew(&mut self) -> Result<bool, Status> {
        self.hold(true).await
    }

    async fn hold(&mut self, is_for_change: bool) -> Result<bool, Status> {
        let published = self.meshes.borrow_and_update().clone();
        let (hub, client) = (self.stream.hub.clone(), self.client.clone());
        let (surface, listeners) = (self.stream.surface, self.listeners.clone());
        let held = self.held.clone().filter(|_| is_for_change);
        let turn = self.stream.hub.turn().await;
        let made = tokio::task::spawn_blocking(move || {
            hub.hold(&client, surface, &listeners, published, held)
        });
        let made = made.await;
        drop(turn);
        match made {
            Ok(Ok(held)) => {
                let is_other = self.held.as_ref().is_none_or(|it| it.snapshot != held.snapshot);
                if is_other {
                    self.snapshot = Arc::new(held.snapshot.clone());
                    self.session.take(self.snapshot.clone());
                    self.is_due = true;
                }
                self.held = Some(held);
                Ok(is_other)
            }
            Ok(Err(message)) => {
                Event::Gone { node: &self.client.node, message: &message }.tell();
                Ok(false)
            }
            Err(_) => Err(Status::internal("the snapshot could not be made")),
        }
    }

    /// Takes in a request, and what follows from it.
    async fn listen(&mut self, request: S::Request) -> Result<(), Status> {
        self.hear(request)?;
        if self.client.plane != DataPlane::Grpc {
            return Ok(());
        }
        let Some(status) = self.session.status(&TypeUrl::LISTENER) else { return Ok(()) };
        let listeners: BTreeSet<String> = status.names().map(str::to_owned).collect();
        let is_known = |name: &String| self.snapshot.resource(&TypeUrl::LISTENER, name).is_some();
        let has_more = listeners.difference(&self.listeners).any(|name| !is_known(name));
        self.listeners = listeners;
        if has_more { self.hold(false).await.map(|_| ()) } else { Ok(()) }
    }

    /// Takes in a request.
    fn hear(&mut self, request: S::Request) -> Result<(), Status> {
        let head = S::head(&request);
        let type_url = self.type_url(head.type_url)?;
        let nonce = head.nonce.to_owned();
        if let Some(error) = head.error {
            Event::Nack {
                node: &self.client.node,
                type_url: type_url.as_str(),
                nonce: &nonce,
                code: error.code,
                message: &error.message,
            }
            .tell();
        }
        if nonce.is_empty() {
            self.reason = "subscribe";
        }
        let acked = self.acked(&type_url);
        let handled = self.session.handle(&self.client.node, type_url.clone(), request);
        handled.map_err(status)?;
        let now = self.acked(&type_url);
        if now.is_some() && now != acked {
            let type_url = type_url.as_str();
            Event::Ack { node: &self.client.node, type_url, nonce: &nonce }.tell();
        }
        if type_url == TypeUrl::SECRET {
            self.tell_missing();
        }
        self.is_due = true;
        Ok(())
    }

    /// The type that a request is about: the service for secrets knows one.
    fn type_url(&self, text: &str) -> Result<TypeUrl, Status> {
        match self.stream.surface {
            Surface::Ads => Ok(TypeUrl::new(text)),
            Surface::Sds if text.is_empty() || text == TypeUrl::SECRET.as_str() => {
                Ok(TypeUrl::SECRET)
            }
            Surface::Sds => Err(Status::invalid_argument(format!(
                "`{text}` is not a type of the service for secrets"
            ))),
        }
    }

    fn acked(&self, type_url: &TypeUrl) -> Option<Nonce> {
        self.session.status(type_url).and_then(TypeStatus::acked)
    }

    fn tell_missing(&self) {
        let Some(status) = self.session.status(&TypeUrl::SECRET) else { return };
        for name in status.names() {
            if self.snapshot.resource(&TypeUrl::SECRET, name).is_none() {
                self.stream.hub.tell_missing(&self.client, name);
            }
        }
    }
}

/// The status for a request that is no request; `None` if none arrived because the connection broke.
fn unreadable(status: &Status) -> Option<Status> {
    let is_about_bytes = matches!(status.code(), Code::Internal | Code::OutOfRange);
    let sentence = || format!("the request cannot be read: {}", status.message());
    is_about_bytes.then(|| Status::invalid_argument(sentence()))
}

fn status(invalid: InvalidRequest) -> Status {
    let message = invalid.to_string();
    match invalid.code() {
        StatusCode::InvalidArgument => Status::invalid_argument(message),
        StatusCode::ResourceExhausted => Status::resource_exhausted(message),
    }
}
