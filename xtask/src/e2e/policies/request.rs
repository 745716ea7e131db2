//! What is asked: random connections and requests over the words that the policies have.
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use mesh_authz::identity::{Metadata, Payload, Peer, TokenLocation, Value as Claim};
use mesh_authz::{Connection, Header, Http, Request};

use super::peer::{self, Authority, CALLERS, Stream};
use super::token::{Place, Signer, Token};
use crate::e2e::random::Random;
use crate::e2e::upstream;
use crate::problem::{Attempt, Problem};

/// The header that becomes metadata of an earlier filter, and what it becomes.
pub(super) const METADATA_HEADER: &str = "x-meta";
pub(super) const METADATA_NAMESPACE: &str = "envoy.filters.f";
pub(super) const METADATA_KEY: &str = "k";

/// The header with the number of a request.
pub(super) const NUMBER_HEADER: &str = "x-number";

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
const HOSTS: [&str; 6] = ["a.com", "A.COM", "a.com:80", "b.org", "x.a.com", "a.com."];
const PATHS: [&str; 28] = [
    "/a",
    "/a",
    "/a/b",
    "/a/b?x=/b",
    "/",
    "/ab",
    "/a/",
    "/c/b",
    "/A",
    "/a/b/c",
    "//a",
    "/a//b",
    "/x/../a",
    "/a%2Fb",
    "/a%2fb",
    "/%61",
    "/a/./b",
    "/x\\..\\a",
    "/a%5Cb",
    "/a;x=1",
    "/a*",
    "/a/*",
    "/admin/x",
    "/x/%2e%2e/admin/x",
    "/a|b",
    "/a/[b]",
    "/a%00b",
    "/a#b",
];
const VALUES: [&str; 6] = ["v", "vw", "", "V", "[v]", "v,x"];
const FORWARDED: [&str; 5] =
    ["198.51.100.7", "192.0.2.1, 203.0.113.7", "203.0.113.7,192.0.2.1", "2001:db8::5", "unknown"];

/// What a PROXY header says: where the connection comes from, and whom it meant.
#[derive(Clone, Copy, Debug)]
struct Proxied {
    source: IpAddr,
    destination: SocketAddr,
}

/// A connection to a workload.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The place in [`CALLERS`]; `None`: plain text.
    tls: Option<usize>,
    sni: Option<&'static str>,
    source: IpAddr,
    proxied: Option<Proxied>,
    /// Where it connects to.
    target: SocketAddr,
}

impl Caller {
    pub(super) fn new(random: &mut Random, target: SocketAddr) -> Self {
        let sources: [[u8; 4]; 3] = [[127, 9, 1, 1], [127, 9, 2, 1], [127, 8, 1, 1]];
        let tls = (!random.once_in(5)).then(|| random.below(CALLERS.len()));
        Self {
            tls,
            sni: tls.and(random.of(&[None, Some("v.com"), Some("V.Com"), Some("vw.org")], None)),
            source: random.of(&sources, [127, 9, 1, 1]).into(),
            proxied: if random.once_in(2) { proxied(random) } else { None },
            target,
        }
    }

    /// Connects, with a PROXY header and with TLS as the case may be.
    pub(super) fn connect(&self, authority: &Authority) -> Result<Stream, Problem> {
        let mut stream = peer::connect(self.source, self.target)?;
        if let Some(Proxied { source, destination }) = self.proxied {
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            let (to, port) = (destination.ip(), destination.port());
            let line = format!("PROXY {family} {source} {to} 40000 {port}\r\n");
            stream.write_all(line.as_bytes()).attempt("send a PROXY header")?;
        }
        match self.tls {
            None => Ok(Stream::Plain(stream)),
            Some(caller) => authority.shake_hands(caller, self.sni, stream),
        }
    }

    /// The connection as mesh-authz is told of it.
    fn with<T>(&self, asked: Option<&Asked>, use_it: impl FnOnce(Connection<'_>) -> T) -> T {
        let names = self.tls.and_then(|caller| CALLERS.get(caller));
        let subject = names.map(peer::Names::subject).unwrap_or_default();
        let peer = names.map(|names| Peer {
            uri_sans: names.uris,
            dns_sans: names.hosts,
            subject: &subject,
        });
        let destination = self.proxied.map_or(self.target, |proxied| proxied.destination);
        let forwarded = asked.and_then(|asked| asked.forwarded?.rsplit(',').next());
        let forwarded = forwarded.and_then(|last| last.trim().parse().ok());
        use_it(Connection {
            source_ip: self.source,
            remote_ip: forwarded.or(self.proxied.map(|proxied| proxied.source)),
            destination_ip: destination.ip(),
            destination_port: destination.port(),
            peer,
            sni: self.sni,
        })
    }

    /// The connection without a request, as mesh-authz is told of it.
    pub(super) fn with_connection<T>(&self, use_it: impl FnOnce(&Request<'_>) -> T) -> T {
        self.with(None, |connection| use_it(&Request { connection, http: None, metadata: None }))
    }
}

fn proxied(random: &mut Random) -> Option<Proxied> {
    let (source, destination) = random.of(
        &[
            ("198.51.100.9", "198.51.100.1:80"),
            ("203.0.113.7", "127.9.9.9:8080"),
            ("127.8.8.8", "192.0.2.7:21080"),
            ("2001:db8::9", "[2001:db8::1]:8080"),
        ],
        ("198.51.100.9", "198.51.100.1:80"),
    );
    Some(Proxied { source: source.parse().ok()?, destination: destination.parse().ok()? })
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// By which Envoy's log is found.
    pub(super) number: usize,
    pub(super) method: &'static str,
    pub(super) host: &'static str,
    pub(super) path: &'static str,
    /// Values of `x-h`, one a line.
    values: Vec<&'static str>,
    /// Values of `user-agent`, which proxies keep as one text, one a line.
    agents: Vec<&'static str>,
    metadata: Option<&'static str>,
    forwarded: Option<&'static str>,
    pub(super) is_preflight: bool,
    /// Whether the external authorizer is to refuse.
    pub(super) is_refused: bool,
    pub(super) tokens: Vec<Token>,
}

impl Asked {
    pub(super) fn new(
        random: &mut Random,
        signer: &Signer,
        number: usize,
    ) -> Result<Self, Problem> {
        let mut tokens: Vec<Token> = Vec::new();
        for _ in 0..random.below(3) {
            let token = signer.token(random)?;
            // One line a header: two would be two tokens at one place.
            if tokens.iter().all(|other| other.place.header() != token.place.header()) {
                tokens.push(token);
            }
        }
        let is_odd = random.once_in(3);
        let path = if is_odd { random.text(&PATHS) } else { random.text(&["/a", "/a/b", "/"]) };
        Ok(Self {
            number,
            method: random.text(&METHODS),
            host: random.text(&HOSTS),
            path,
            values: (0..random.below(3)).map(|_| random.text(&VALUES)).collect(),
            agents: (0..random.below(4)).map(|_| random.text(&VALUES)).collect(),
            metadata: random.once_in(2).then(|| random.text(&["v", "vw", "V"])),
            forwarded: random.once_in(3).then(|| random.text(&FORWARDED)),
            is_preflight: random.once_in(8),
            is_refused: random.once_in(2),
            tokens,
        })
    }

    /// Every header but the host.
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers: Vec<_> = self.values.iter().map(|value| pair("X-H", value)).collect();
        headers.extend(self.agents.iter().map(|value| pair("User-Agent", value)));
        headers.push(pair(NUMBER_HEADER, &self.number.to_string()));
        headers.extend(self.metadata.map(|value| pair(METADATA_HEADER, value)));
        headers.extend(self.forwarded.map(|value| pair("x-forwarded-for", value)));
        if self.is_preflight {
            headers.push(pair("origin", "https://a.com"));
            headers.push(pair("access-control-request-method", "GET"));
        }
        if self.is_refused {
            headers.push(pair(upstream::REFUSE, "yes"));
        }
        headers.extend(self.tokens.iter().map(|token| {
            let (name, before) = token.place.header();
            pair(name, &format!("{before}{}{}", token.place.prefix(), token.text))
        }));
        headers
    }

    /// The request as mesh-authz is told of it.
    pub(super) fn with<T>(
        &self,
        caller: &Caller,
        payload: Option<&Payload>,
        use_it: impl FnOnce(&Request<'_>) -> T,
    ) -> T {
        let sent = self.headers();
        let headers: Vec<Header<'_>> =
            sent.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        let metadata = Metadata {
            namespaces: self
                .metadata
                .map(|value| {
                    let key = [(METADATA_KEY.into(), Claim::Text(value.into()))];
                    (METADATA_NAMESPACE.into(), Claim::Map(key.into()))
                })
                .into_iter()
                .collect(),
        };
        let http = Http {
            method: self.method,
            authority: Some(self.host),
            path: self.path,
            headers: &headers,
            payload,
        };
        caller.with(Some(self), |connection| {
            use_it(&Request { connection, http: Some(http), metadata: Some(&metadata) })
        })
    }
}

impl Place {
    /// The header's name, and what every value of it starts with.
    const fn header(self) -> (&'static str, &'static str) {
        match self {
            Self::Bearer => ("authorization", ""),
            Self::Header | Self::Prefixed => ("x-token", ""),
            Self::Cookie => ("cookie", "session="),
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer ",
            Self::Prefixed => "Tok ",
            Self::Header | Self::Cookie => "",
        }
    }

    /// The place as mesh-authz is told of it.
    pub(super) const fn location(self) -> TokenLocation<'static> {
        match self {
            Self::Cookie => TokenLocation::Cookie("session"),
            Self::Bearer | Self::Header | Self::Prefixed => {
                TokenLocation::Header { name: self.header().0, prefix: self.prefix() }
            }
        }
    }
}
