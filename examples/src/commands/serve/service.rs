//! The two gRPC services, by hand: four streaming methods do not make generated stubs worth while.
use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use mesh_xds_gen::delta::{incremental, sotw};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::hub::{Hub, Surface};
use super::stream::Stream;
use super::wire::Session;

/// How large a request may be: one that names everything it holds, of the largest meshes.
const MAX_REQUEST: usize = 16 << 20;

/// `envoy.service.discovery.v3.AggregatedDiscoveryService`.
#[derive(Clone, Debug)]
pub(super) struct Ads(pub(super) Arc<Hub>);

/// `envoy.service.secret.v3.SecretDiscoveryService`.
#[derive(Clone, Debug)]
pub(super) struct Sds(pub(super) Arc<Hub>);

impl NamedService for Ads {
    const NAME: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
}

impl NamedService for Sds {
    const NAME: &'static str = "envoy.service.secret.v3.SecretDiscoveryService";
}

type Answer = BoxFuture<http::Response<Body>, Infallible>;

impl Service<http::Request<Body>> for Ads {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        match method(&request) {
            "StreamAggregatedResources" => answer::<sotw::Session>(&self.0, Surface::Ads, request),
            "DeltaAggregatedResources" => {
                answer::<incremental::Session>(&self.0, Surface::Ads, request)
            }
            _ => unknown(),
        }
    }
}

impl Service<http::Request<Body>> for Sds {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        match method(&request) {
            "StreamSecrets" => answer::<sotw::Session>(&self.0, Surface::Sds, request),
            "DeltaSecrets" => answer::<incremental::Session>(&self.0, Surface::Sds, request),
            _ => unknown(),
        }
    }
}

fn method(request: &http::Request<Body>) -> &str {
    request.uri().path().rsplit('/').next().unwrap_or_default()
}

fn unknown() -> Answer {
    Box::pin(async {
        Ok(Status::unimplemented("only the streaming methods are served").into_http())
    })
}

fn answer<S: Session>(hub: &Arc<Hub>, surface: Surface, request: http::Request<Body>) -> Answer {
    let method = Method::<S> { hub: hub.clone(), surface, session: PhantomData };
    Box::pin(async move {
        let codec = ProstCodec::<S::Response, S::Request>::default();
        let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST);
        Ok(grpc.streaming(method, request).await)
    })
}

/// One streaming method: whoever calls it gets a stream of its own.
struct Method<S> {
    hub: Arc<Hub>,
    surface: Surface,
    session: PhantomData<S>,
}

impl<S: Session> Service<Request<Streaming<S::Request>>> for Method<S> {
    type Response = Response<ReceiverStream<Result<S::Response, Status>>>;
    type Error = Status;
    type Future = BoxFuture<Self::Response, Status>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Streaming<S::Request>>) -> Self::Future {
        // One response waits at most: the session makes the next one when this one is taken.
        let (sender, receiver) = mpsc::channel(1);
        let stream = Stream::<S>::new(self.hub.clone(), self.surface, request.into_inner(), sender);
        tokio::spawn(stream.run());
        Box::pin(async { Ok(Response::new(ReceiverStream::new(receiver))) })
    }
}
