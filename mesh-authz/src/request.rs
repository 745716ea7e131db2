//! What is asked: one request on one connection, as the proxy of the workload sees it.
use std::borrow::Cow;
use std::net::IpAddr;

use mesh_model::compat::DataPlane;

use crate::identity::{IdentitySource, Metadata, Payload, Peer, Value};
use crate::matcher::{
    MetadataTest, NormalPath, PathOptions, RejectedPath, UnderscoredHeaders, append_lines,
    joins_lines,
};

pub(crate) mod grpc;

/// A request, or a connection of which nothing is known above TCP.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build requests by hand")]
pub struct Request<'r> {
    /// The connection.
    pub connection: Connection<'r>,
    /// The HTTP request; `None` on a TCP filter chain, where HTTP fields of rules do not count.
    pub http: Option<Http<'r>>,
    /// The dynamic metadata that earlier filters wrote, the token's payload aside.
    pub metadata: Option<&'r Metadata>,
}

/// A connection to the workload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build requests by hand")]
pub struct Connection<'r> {
    /// The address of the direct peer: a client, or the proxy or gateway in between. As in proxies an
    /// IPv4 address that a socket of both families shows as IPv6 (`::ffff:10.0.0.1`) is the IPv4 one;
    /// so is the local one.
    pub source_ip: IpAddr,
    /// The original client by `x-forwarded-for` or PROXY protocol; `None`: the direct peer.
    pub remote_ip: Option<IpAddr>,
    /// The local address, after original-destination restoration.
    pub destination_ip: IpAddr,
    /// The local port: the workload's (target) port, not the service's.
    pub destination_port: u16,
    /// The peer's certificate; `None` where no TLS is terminated.
    pub peer: Option<Peer<'r>>,
    /// The server name that the client sent, in any case of letters.
    pub sni: Option<&'r str>,
}

/// An HTTP request.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build requests by hand")]
pub struct Http<'r> {
    /// `:method`; `POST` for gRPC.
    pub method: &'r str,
    /// `:authority` as sent, with the port if one was sent; `None`: what `host` among the headers says.
    pub authority: Option<&'r str>,
    /// `:path` as sent, with its query, before normalization.
    pub path: &'r str,
    /// The other headers, one a line, as the filters of a proxy see them: without those that concern the
    /// connection alone (`connection` and what it names, `keep-alive`, `upgrade`), crumbs of cookies
    /// (HTTP/2) joined by `; `, with what proxies always add if a rule asks for it (`:scheme`,
    /// `x-forwarded-proto`, `x-request-id`). Lines of a header that proxies keep as one text, such as `user-agent`,
    /// count as that text.
    pub headers: &'r [Header<'r>],
    /// The payload of the token that `RequestAuthentication` accepted.
    pub payload: Option<&'r Payload>,
}

/// A line of the header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a header has these two parts")]
pub struct Header<'r> {
    /// The name, in any case of letters.
    pub name: &'r str,
    /// The value, any bytes; blanks around it do not count.
    pub value: &'r [u8],
}

/// How a proxy looks at requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sight {
    pub(crate) paths: PathOptions,
    pub(crate) underscored_headers: UnderscoredHeaders,
    pub(crate) identity: IdentitySource,
    /// Whether the lines of any header are one text, as older Envoys have it.
    pub(crate) joins_headers: bool,
    /// Who looks: a gRPC server sees other things than a proxy.
    pub(crate) data_plane: DataPlane,
}

impl Sight {
    pub(crate) fn is_grpc(&self) -> bool {
        self.data_plane == DataPlane::Grpc
    }
}

/// Why policies do not see a request: the proxy answers before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unseen {
    /// For its path.
    Path(RejectedPath),
    /// For the name of one of its headers.
    Header,
}

/// A request as policies see it: path normalized, server name in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Seen<'r> {
    pub(crate) connection: &'r Connection<'r>,
    pub(crate) http: Option<SeenHttp<'r>>,
    /// `None` before the token has been validated.
    pub(crate) payload: Option<&'r Payload>,
    pub(crate) sni: Cow<'r, str>,
    sight: Sight,
    tunnel: Option<Cow<'r, str>>,
    metadata: Option<&'r Metadata>,
}

#[derive(Clone, Debug)]
pub(crate) struct SeenHttp<'r> {
    pub(crate) sent: &'r Http<'r>,
    pub(crate) path: NormalPath<'r>,
}

impl SeenHttp<'_> {
    /// The host, whichever of its two names it came by.
    pub(crate) fn authority(&self) -> Option<Cow<'_, [u8]>> {
        if let Some(authority) = self.sent.authority {
            return Some(Cow::Borrowed(authority.as_bytes()));
        }
        let is_host = |header: &&Header<'_>| header.name.eq_ignore_ascii_case("host");
        let mut lines =
            self.sent.headers.iter().filter(is_host).map(|header| header.value.trim_ascii());
        let first = lines.next()?;
        Some(match lines.next() {
            None => Cow::Borrowed(first),
            Some(second) => Cow::Owned(append_lines([first, second].into_iter().chain(lines))),
        })
    }
}

/// The metadata namespace and key of the token's payload.
pub(crate) const JWT_FILTER: &str = "envoy.filters.http.jwt_authn";
pub(crate) const JWT_PAYLOAD: &str = "payload";

impl<'r> Seen<'r> {
    pub(crate) fn new(request: &'r Request<'r>, sight: Sight) -> Result<Self, Unseen> {
        let http = match &request.http {
            None => None,
            Some(http) => {
                let names = http.headers.iter().map(|header| header.name);
                if sight.underscored_headers.refuses(names) {
                    return Err(Unseen::Header);
                }
                let path = NormalPath::new(http.path, sight.paths).map_err(Unseen::Path)?;
                Some(SeenHttp { sent: http, path })
            }
        };
        let sni = request.connection.sni.filter(|_| !sight.is_grpc()).unwrap_or_default();
        Ok(Self {
            connection: &request.connection,
            http,
            payload: request.http.as_ref().and_then(|http| http.payload),
            sni: if sni.bytes().any(|byte| byte.is_ascii_uppercase()) {
                Cow::Owned(sni.to_ascii_lowercase())
            } else {
                Cow::Borrowed(sni)
            },
            sight,
            tunnel: match sight.identity {
                IdentitySource::Certificate => None,
                IdentitySource::FilterState => request.connection.peer.as_ref().and_then(tunnel),
            },
            metadata: request.metadata,
        })
    }

    /// Whether a gRPC server without a proxy looks.
    pub(crate) fn is_grpc(&self) -> bool {
        self.sight.is_grpc()
    }

    /// Returns whether any name of the peer's certificate passes; without TLS none does.
    pub(crate) fn any_name(&self, mut test: impl FnMut(&str) -> bool) -> bool {
        // As `Peer::names` has them; a chain of iterators costs more than the tests do.
        self.connection.peer.as_ref().is_some_and(|peer| {
            if self.sight.is_grpc() {
                return grpc::any_name(peer, test);
            }
            let mut any = |names: &[&str]| names.iter().any(|name| test(name));
            any(peer.uri_sans) || any(peer.dns_sans) || test(peer.subject)
        })
    }

    /// Returns whether the identity that a tunnel brought passes; without one it does not.
    pub(crate) fn tunnel_identity(&self) -> Option<&str> {
        self.tunnel.as_deref()
    }

    /// Calls `visit` with everything that may be the identity of the peer.
    pub(crate) fn each_identity(&self, mut visit: impl FnMut(&str)) {
        match self.sight.identity {
            IdentitySource::Certificate => {
                if let Some(peer) = &self.connection.peer {
                    peer.names().for_each(visit);
                }
            }
            IdentitySource::FilterState => self.tunnel_identity().into_iter().for_each(&mut visit),
        }
    }

    pub(crate) fn remote_ip(&self) -> IpAddr {
        let remote_ip = self.connection.remote_ip.filter(|_| !self.sight.is_grpc());
        remote_ip.unwrap_or_else(|| self.source_ip())
    }

    pub(crate) fn source_ip(&self) -> IpAddr {
        self.connection.source_ip.to_canonical()
    }

    pub(crate) fn destination_ip(&self) -> IpAddr {
        self.connection.destination_ip.to_canonical()
    }

    /// The path that rules compare.
    pub(crate) fn path(&self) -> Option<&str> {
        let path = &self.http.as_ref()?.path;
        Some(if self.sight.is_grpc() { path.as_str() } else { path.without_query() })
    }

    /// The method that rules compare.
    pub(crate) fn method<'s>(&self, http: &'s SeenHttp<'_>) -> &'s str {
        if self.sight.is_grpc() { grpc::METHOD } else { http.sent.method }
    }

    /// Calls `visit` with each value of a header, in order, until it returns true.
    pub(crate) fn any_header(&self, name: &str, mut visit: impl FnMut(&[u8]) -> bool) -> bool {
        let Some(http) = &self.http else { return false };
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if self.sight.is_grpc() && grpc::is_hidden(&name.to_ascii_lowercase())
            || !self.sight.underscored_headers.shows(name)
        {
            return false;
        }
        match () {
            () if is(":path") => visit(http.path.as_str().as_bytes()),
            () if is(":method") => visit(self.method(http).as_bytes()),
            // Envoy keeps `host` and `:authority` in one place.
            () if is(":authority") || is("host") => {
                http.authority().is_some_and(|host| visit(&host))
            }
            () => {
                let is_meant = |header: &&Header<'_>| header.name.eq_ignore_ascii_case(name);
                let lines = http.sent.headers.iter().filter(is_meant);
                let mut lines = lines.map(|header| header.value.trim_ascii());
                let Some(first) = lines.next() else { return false };
                let Some(second) = lines.next() else { return visit(first) };
                let mut lines = [first, second].into_iter().chain(lines);
                if self.sight.is_grpc() {
                    visit(&grpc::join(lines))
                } else if joins_lines(name) {
                    visit(&append_lines(lines))
                } else if self.sight.joins_headers {
                    visit(&lines.collect::<Vec<_>>().join(&b','))
                } else {
                    lines.any(visit)
                }
            }
        }
    }

    /// Returns the value of the metadata that a test means.
    pub(crate) fn metadata(&self, test: &MetadataTest) -> Option<&'r Value> {
        if self.sight.is_grpc() {
            return None;
        }
        if *test.filter == *JWT_FILTER
            && let Some(payload) = self.payload
            && let Some((first, rest)) = test.path.split_first()
        {
            return (**first == *JWT_PAYLOAD).then(|| payload.value().at(rest)).flatten();
        }
        self.metadata?.namespaces.get(&test.filter)?.at(&test.path)
    }
}

/// What Envoy's `%DOWNSTREAM_PEER_URI_SAN%` writes: the URI names, joined by commas.
fn tunnel<'r>(peer: &Peer<'r>) -> Option<Cow<'r, str>> {
    match peer.uri_sans {
        [] => None,
        [only] => Some(Cow::Borrowed(only)),
        several => Some(Cow::Owned(several.join(","))),
    }
}
