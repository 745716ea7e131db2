//! The request file (`contract.md` 6): one JSON object, unknown fields are errors.
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use mesh_authz::identity::{Metadata, Payload, Peer, Value as Claim};
use mesh_authz::{Connection, Header, Http, Request};
use mesh_model::name::nearest_name;
use mesh_model::resource::JwtRule;
use serde::Deserialize;
use serde_json::Value;

use super::caller::Shown;
use crate::{Failure, strict_json};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestFile {
    protocol: Option<Protocol>,
    source_ip: Option<IpAddr>,
    remote_ip: Option<IpAddr>,
    destination_ip: Option<IpAddr>,
    destination_port: Option<u16>,
    /// Absent: to be filled from `--from`; null: plain text.
    #[serde(default, deserialize_with = "given")]
    peer: Option<Option<PeerFile>>,
    sni: Option<String>,
    method: Option<String>,
    host: Option<String>,
    path: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    jwt: Option<Jwt>,
    #[serde(default)]
    filter_metadata: BTreeMap<String, Value>,
    /// Why the caller's certificate cannot be verified; no field of the file.
    #[serde(skip)]
    stranger: Option<String>,
}

/// What the filter chain speaks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    Http,
    Tcp,
}

/// What a certificate shows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PeerFile {
    uri_sans: Vec<String>,
    dns_sans: Vec<String>,
    subject: String,
}

/// A token that has been validated.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jwt {
    claims: BTreeMap<String, Value>,
}

/// Tells a field that is null from one that is absent.
fn given<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<PeerFile>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The fields of a request, and what stands there.
const FIELDS: [(&str, &str); 13] = [
    ("protocol", "`\"http\"` or `\"tcp\"`"),
    ("source_ip", "an IP address in quotes"),
    ("remote_ip", "an IP address in quotes"),
    ("destination_ip", "an IP address in quotes"),
    ("destination_port", "a number of 0 to 65535"),
    (
        "peer",
        "null, or `{\"uri_sans\": [\"spiffe://…\"], \"dns_sans\": [], \"subject\": \"\"}`, each of them optional",
    ),
    ("sni", "a text"),
    ("method", "a text"),
    ("host", "a text"),
    ("path", "a text"),
    ("headers", "a list of pairs: `[[\"name\", \"value\"]]`"),
    ("jwt", "`{\"claims\": {\"iss\": \"…\"}}`"),
    ("filter_metadata", "a map of maps by the names of filters"),
];

impl RequestFile {
    /// Reads a request, or says in a sentence which field is wrong and what stands there.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::of_value(strict_json::parse(text)?)
    }

    /// Reads a list of requests; the sentence tells which one is wrong.
    pub(super) fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let Value::Array(requests) = strict_json::parse(text)? else {
            return Err("it is a JSON list of requests, `[{\"method\": \"GET\", …}, …]`".to_owned());
        };
        let read = |(index, value)| {
            Self::of_value(value).map_err(|problem| format!("request {index}: {problem}"))
        };
        requests.into_iter().enumerate().map(read).collect()
    }

    fn of_value(value: Value) -> Result<Self, String> {
        let Value::Object(fields) = value else {
            return Err("it is one JSON object, such as `{\"method\": \"GET\", \"path\": \"/\"}`"
                .to_owned());
        };
        for (name, value) in &fields {
            let Some((_, shape)) = FIELDS.iter().find(|(field, _)| field == name) else {
                let names = FIELDS.map(|(field, _)| field);
                let help = match nearest_name(name, names.into_iter()) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => format!("there are {}", names.join(", ")),
                };
                return Err(format!("it has no field `{name}`; {help}"));
            };
            // What is read of a list is its order: no field of a record is given by its place.
            let is_record = matches!(name.as_str(), "peer" | "jwt" | "filter_metadata");
            if is_record && value.is_array() {
                return Err(format!("`{name}` is {shape}"));
            }
            let alone = serde_json::Map::from_iter([(name.clone(), value.clone())]);
            if Self::deserialize(Value::Object(alone)).is_err() {
                return Err(format!("`{name}` is {shape}"));
            }
        }
        Self::deserialize(Value::Object(fields)).map_err(|error| error.to_string())
    }

    /// Fills what the file leaves out of the caller.
    pub(super) fn fill_from(&mut self, address: Option<IpAddr>, shown: Shown) {
        self.source_ip = self.source_ip.or(address);
        if self.says_peer() {
            return;
        }
        self.peer = Some(match shown {
            Shown::Identity(name) => Some(PeerFile { uri_sans: vec![name], ..PeerFile::default() }),
            Shown::Nothing(_) => None,
            Shown::Refused(why) => {
                self.stranger = Some(why);
                Some(PeerFile::default())
            }
        });
    }

    /// Fills port and protocol as flags say; the flag that the file contradicts is the error.
    pub(super) fn fill_place(
        &mut self,
        port: Option<u16>,
        is_http: Option<bool>,
    ) -> Result<(), &'static str> {
        let protocol = is_http.map(|is_http| if is_http { Protocol::Http } else { Protocol::Tcp });
        let differs = |one: Option<u16>| one.zip(port).is_some_and(|(one, other)| one != other);
        if differs(self.destination_port) {
            return Err("--port");
        }
        if self.protocol.zip(protocol).is_some_and(|(own, given)| own != given) {
            return Err("--protocol");
        }
        self.destination_port = self.destination_port.or(port);
        self.protocol = self.protocol.or(protocol);
        Ok(())
    }

    fn is_http(&self) -> bool {
        self.protocol != Some(Protocol::Tcp)
    }

    /// Whether the file says what the peer shows, be it nothing.
    pub(super) const fn says_peer(&self) -> bool {
        self.peer.is_some()
    }

    /// Fills what the file leaves out of the workload that is called.
    pub(crate) fn fill_to(&mut self, address: Option<IpAddr>) {
        self.destination_ip = self.destination_ip.or(address);
    }

    /// The same without the peer, which a port that takes plain text only never sees.
    pub(super) fn in_plain_text(&self) -> Self {
        Self { peer: Some(None), ..self.clone() }
    }

    /// Whether the connection is mutual TLS of the mesh: the peer shows a name of one of its trust domains.
    /// Sidecars look at names of every type, as a prefix; where a tunnel ends only URIs count.
    pub(super) fn is_mutual(&self, trust_domains: &[&str], is_tunnel: bool) -> bool {
        let Some(Some(peer)) = &self.peer else { return false };
        let is_of = |name: &str, domain: &str| {
            let rest = name.strip_prefix("spiffe://").and_then(|rest| rest.strip_prefix(domain));
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let others = peer.dns_sans.iter().filter(|_| !is_tunnel);
        let mut names = peer.uri_sans.iter().chain(others);
        names.any(|name| trust_domains.iter().any(|domain| is_of(name, domain)))
    }

    /// Why the handshake with the caller fails, if it does.
    pub(super) fn stranger(&self) -> Option<&str> {
        self.stranger.as_deref()
    }

    /// Whether the connection is TLS.
    pub(super) const fn has_peer(&self) -> bool {
        matches!(self.peer, Some(Some(_)))
    }

    /// The host that is asked for, without its port.
    pub(super) fn host(&self) -> Option<&str> {
        let host = self.host.as_deref()?;
        Some(host.rsplit_once(':').map_or(host, |(host, _)| host))
    }

    /// Where the connection goes, if the file says it.
    pub(super) const fn destination(&self) -> Option<IpAddr> {
        self.destination_ip
    }

    /// The claims of the token, if there is one.
    pub(super) fn claims(&self) -> Option<&BTreeMap<String, Value>> {
        self.jwt.as_ref().map(|jwt| &jwt.claims)
    }

    /// The method and the headers of an HTTP request; none of a connection.
    pub(super) fn http(&self) -> Option<(&str, &[(String, String)])> {
        let method = self.method.as_deref().unwrap_or("GET");
        self.is_http().then_some((method, self.headers.as_slice()))
    }

    /// The same with other headers.
    pub(super) fn with_headers(&self, headers: Vec<(String, String)>) -> Self {
        Self { headers, ..self.clone() }
    }

    pub(super) fn destination_port(&self) -> Result<u16, Failure> {
        self.destination_port.ok_or_else(|| {
            Failure::Unanswered(
                "the request has no `destination_port`, the workload's port".to_owned(),
            )
        })
    }

    /// Hands the request to `answer`, borrowed.
    ///
    /// A token counts only by the rule that validates it.
    pub(super) fn with<T>(
        &self,
        rule: Option<&JwtRule>,
        answer: impl FnOnce(&Request<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let peer = self.peer.as_ref().and_then(Option::as_ref);
        let texts = |list: &'_ [String]| -> Vec<String> { list.to_vec() };
        let uris = peer.map(|peer| texts(&peer.uri_sans)).unwrap_or_default();
        let names = peer.map(|peer| texts(&peer.dns_sans)).unwrap_or_default();
        let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let headers: Vec<Header<'_>> = self
            .headers
            .iter()
            .map(|(name, value)| Header { name, value: value.as_bytes() })
            .collect();
        let token = self.jwt.as_ref().zip(rule);
        let payload = token
            .map(|(jwt, rule)| Payload::new(claims(&jwt.claims), &rule.space_delimited_claims));
        let metadata = Metadata { namespaces: claims(&self.filter_metadata) };
        answer(&Request {
            connection: Connection {
                source_ip: self.source_ip.unwrap_or(unknown),
                remote_ip: self.remote_ip,
                destination_ip: self.destination_ip.unwrap_or(unknown),
                destination_port: self.destination_port()?,
                peer: peer.map(|peer| Peer {
                    uri_sans: &uris,
                    dns_sans: &names,
                    subject: &peer.subject,
                }),
                sni: self.sni.as_deref(),
            },
            http: self.is_http().then(|| Http {
                method: self.method.as_deref().unwrap_or("GET"),
                authority: self.host.as_deref(),
                path: self.path.as_deref().unwrap_or("/"),
                headers: &headers,
                payload: payload.as_ref(),
            }),
            metadata: Some(&metadata),
        })
    }
}

fn claims(map: &BTreeMap<String, Value>) -> BTreeMap<Box<str>, Claim> {
    map.iter().map(|(key, value)| (key.as_str().into(), claim(value))).collect()
}

fn claim(value: &Value) -> Claim {
    match value {
        Value::Null => Claim::Null,
        Value::Bool(value) => Claim::Bool(*value),
        Value::Number(number) => Claim::Number(number.as_f64().unwrap_or_default()),
        Value::String(text) => Claim::Text(text.as_str().into()),
        Value::Array(items) => Claim::List(items.iter().map(claim).collect()),
        Value::Object(map) => {
            Claim::Map(map.iter().map(|(key, value)| (key.as_str().into(), claim(value))).collect())
        }
    }
}
