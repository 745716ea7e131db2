//! Route configurations as bytes: those that [`Draft::message`] gives, without the messages.
//!
//! Virtual hosts of services that no VirtualService has differ in names alone: the route of one is a
//! [`Stencil`], which the others fill. What a VirtualService says is encoded as the message that it is.
use bytes::Bytes;
use mesh_envoy_proto::envoy::config::route::v3::{Route, RouteConfiguration, VirtualHost};
use mesh_model::registry::Service;
use prost::Message;

use super::translate::Translation;
use super::virtual_host::{Draft, frame};
use super::wrapper::{Routes, default_hash, default_route};
use crate::encode::{Backwards, Pool, Stencil, mark};

/// As many bytes a virtual host takes, or less.
const USUAL: usize = 800;

/// Encodes the virtual hosts of one route configuration.
struct Encoder<'t> {
    translation: &'t Translation<'t>,
    bytes: Backwards,
    /// What follows the routes of most virtual hosts.
    end: Vec<u8>,
    /// The default routes of ports, where they can be filled.
    default_routes: Vec<(u16, Option<Stencil>)>,
    /// Memory for messages.
    message: Vec<u8>,
}

/// Encodes a configuration that is all but its virtual hosts, with those, and a last one.
pub(super) fn configuration(
    translation: &Translation<'_>,
    frame_of_all: &RouteConfiguration,
    hosts: &[Draft],
    last: Option<&VirtualHost>,
) -> Bytes {
    let mut encoder = Encoder {
        translation,
        bytes: Backwards::default(),
        end: frame(translation, None, String::new()).encode_to_vec(),
        default_routes: Vec::new(),
        message: Vec::new(),
    };
    encoder.bytes.reserve(hosts.len().saturating_mul(USUAL));
    let nameless = RouteConfiguration { name: String::new(), ..frame_of_all.clone() };
    encoder.message(&nameless);
    if let Some(host) = last {
        encoder.field(2, host);
    }
    for host in hosts.iter().rev() {
        encoder.host(host);
    }
    encoder.bytes.some_text(1, &frame_of_all.name);
    encoder.bytes.take(&mut Pool::default())
}

impl Encoder<'_> {
    fn message(&mut self, message: &impl Message) {
        self.message.clear();
        // A vector grows as much as is asked for.
        let encoded = message.encode(&mut self.message);
        debug_assert!(encoded.is_ok(), "a vector has place for every message");
        self.bytes.push(&self.message);
    }

    fn field(&mut self, tag: u8, message: &impl Message) {
        let mark = self.bytes.len();
        self.message(message);
        self.bytes.field(tag, mark);
    }

    /// `VirtualHost`.
    fn host(&mut self, host: &Draft) {
        let whole = self.bytes.len();
        match host.sessions(self.translation) {
            None => self.bytes.push(&self.end),
            sessions @ Some(_) => self.message(&frame(self.translation, sessions, String::new())),
        }
        match &host.routes {
            Routes::OfRule(routes) => routes.iter().rev().for_each(|route| self.field(3, route)),
            Routes::Default { service, port } => self.default_route(service, *port),
        }
        host.domains.iter().rev().for_each(|domain| self.bytes.text(2, domain));
        self.bytes.some_text(1, &host.name);
        self.bytes.field(2, whole);
    }

    fn default_route(&mut self, service: &Service, port: u16) {
        let hash = default_hash(self.translation, service, port);
        let host = service.hostname.as_str();
        // An IPv6 address is written in brackets at some places.
        if hash.is_some() || host.contains(':') {
            return self.field(3, &default_route(self.translation, host, port, hash));
        }
        let known = self.default_routes.iter().position(|(known, _)| *known == port);
        let index = known.unwrap_or_else(|| {
            let marked = default_route(self.translation, &mark(0), port, None);
            let stencil = Stencil::cut(&Route::encode_to_vec(&marked));
            self.default_routes.push((port, stencil));
            self.default_routes.len().saturating_sub(1)
        });
        match self.default_routes.get(index) {
            Some((_, Some(stencil))) => {
                let mark = self.bytes.len();
                stencil.fill(|_| host, &mut self.bytes);
                self.bytes.field(3, mark);
            }
            Some((_, None)) | None => {
                self.field(3, &default_route(self.translation, host, port, None));
            }
        }
    }
}
