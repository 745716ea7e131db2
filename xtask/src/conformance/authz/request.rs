//! Requests from JSON, with everything that they borrow.
use std::collections::BTreeMap;
use std::net::IpAddr;

use mesh_authz::identity::{Metadata, Payload, Peer, Value as Claim};
use mesh_authz::{Connection, Header, Http, Request};
use serde_json::Value;

use super::json::{self, Fields, Rejection, text, texts};

/// A request that owns its parts.
pub(super) struct Owned {
    is_http: bool,
    source_ip: IpAddr,
    remote_ip: Option<IpAddr>,
    destination_ip: IpAddr,
    destination_port: u16,
    peer: Option<OwnedPeer>,
    sni: Option<Box<str>>,
    method: Box<str>,
    host: Option<Box<str>>,
    path: Box<str>,
    headers: Vec<Line>,
    payload: Option<Payload>,
    metadata: Metadata,
}

type Line = (Box<str>, Box<str>);

struct OwnedPeer {
    uri_sans: Vec<Box<str>>,
    dns_sans: Vec<Box<str>>,
    subject: Box<str>,
}

impl Owned {
    pub(super) fn read(value: &Value) -> Result<Self, Rejection> {
        let mut fields = Fields::of(value)?;
        let optional =
            |fields: &mut Fields<'_>, name: &str| -> Result<Option<Box<str>>, Rejection> {
                fields.take(name).map(|value| json::as_text(value).map(Box::from)).transpose()
            };
        let owned = Self {
            is_http: match fields.take("protocol").map_or(Ok("http"), json::as_text)? {
                "http" => true,
                "tcp" => false,
                other => return Err(format!("unknown protocol `{other}`")),
            },
            source_ip: address(text(&mut fields, "source_ip")?)?,
            remote_ip: optional(&mut fields, "remote_ip")?.as_deref().map(address).transpose()?,
            destination_ip: address(text(&mut fields, "destination_ip")?)?,
            destination_port: port(fields.required("destination_port")?)?,
            peer: fields.take("peer").map(peer).transpose()?,
            sni: optional(&mut fields, "sni")?,
            method: optional(&mut fields, "method")?.unwrap_or_else(|| "GET".into()),
            host: optional(&mut fields, "host")?,
            path: optional(&mut fields, "path")?.unwrap_or_else(|| "/".into()),
            headers: fields.take("headers").map_or(Ok(Vec::new()), headers)?,
            payload: fields.take("jwt").map(payload).transpose()?,
            metadata: fields.take("filter_metadata").map_or(Ok(Metadata::default()), metadata)?,
        };
        fields.end()?;
        Ok(owned)
    }

    /// Hands the request to `use_it`, borrowed.
    pub(super) fn with<T>(&self, use_it: impl FnOnce(&Request<'_>) -> T) -> T {
        let names = |names: &'_ [Box<str>]| -> Vec<String> {
            names.iter().map(|name| name.to_string()).collect()
        };
        let peer = self.peer.as_ref();
        let uris = peer.map(|peer| names(&peer.uri_sans)).unwrap_or_default();
        let dns = peer.map(|peer| names(&peer.dns_sans)).unwrap_or_default();
        let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
        let dns: Vec<&str> = dns.iter().map(String::as_str).collect();
        let headers: Vec<Header<'_>> = self
            .headers
            .iter()
            .map(|(name, value)| Header { name, value: value.as_bytes() })
            .collect();
        use_it(&Request {
            connection: Connection {
                source_ip: self.source_ip,
                remote_ip: self.remote_ip,
                destination_ip: self.destination_ip,
                destination_port: self.destination_port,
                peer: peer.map(|peer| Peer {
                    uri_sans: &uris,
                    dns_sans: &dns,
                    subject: &peer.subject,
                }),
                sni: self.sni.as_deref(),
            },
            http: self.is_http.then_some(Http {
                method: &self.method,
                authority: self.host.as_deref(),
                path: &self.path,
                headers: &headers,
                payload: self.payload.as_ref(),
            }),
            metadata: Some(&self.metadata),
        })
    }
}

pub(super) fn address(text: &str) -> Result<IpAddr, Rejection> {
    text.parse().map_err(|_| format!("`{text}` is no IP address"))
}

pub(super) fn port(value: &Value) -> Result<u16, Rejection> {
    let port = value.as_u64().and_then(|port| u16::try_from(port).ok());
    port.ok_or_else(|| format!("{value} is no port"))
}

fn peer(value: &Value) -> Result<OwnedPeer, Rejection> {
    let mut fields = Fields::of(value)?;
    let peer = OwnedPeer {
        uri_sans: texts(&mut fields, "uri_sans")?,
        dns_sans: texts(&mut fields, "dns_sans")?,
        subject: fields.take("subject").map_or(Ok(""), json::as_text)?.into(),
    };
    fields.end()?;
    Ok(peer)
}

pub(super) fn headers(value: &Value) -> Result<Vec<Line>, Rejection> {
    let read = |line: &Value| match json::list(line)? {
        [name, value] => Ok((json::as_text(name)?.into(), json::as_text(value)?.into())),
        _ => Err(format!("expected a name and a value, found {line}")),
    };
    json::list(value)?.iter().map(read).collect()
}

fn payload(value: &Value) -> Result<Payload, Rejection> {
    let mut fields = Fields::of(value)?;
    let claims = fields.required("claims")?;
    fields.end()?;
    self::claims(claims).map(|claims| Payload::new(claims, &[]))
}

fn metadata(value: &Value) -> Result<Metadata, Rejection> {
    claims(value).map(|namespaces| Metadata { namespaces })
}

pub(super) fn claims(value: &Value) -> Result<BTreeMap<Box<str>, Claim>, Rejection> {
    let map = value.as_object().ok_or_else(|| format!("expected an object, found {value}"))?;
    Ok(map.iter().map(|(key, value)| (key.as_str().into(), claim(value))).collect())
}

/// A JSON value as the library has it.
pub(super) fn claim(value: &Value) -> Claim {
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
