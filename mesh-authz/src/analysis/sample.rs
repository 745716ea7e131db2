//! Requests that own their parts: examples to show.
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::authorizer::Authorizer;
use crate::compile::Traffic;
use crate::identity::{Metadata, Payload, Peer, Value};
use crate::request::{Connection, Header, Http, Request};

/// A request that owns its parts.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers read every part, and build their own")]
pub struct Sample {
    /// The address of the direct peer.
    pub source_ip: IpAddr,
    /// The original client.
    pub remote_ip: IpAddr,
    /// The workload's address.
    pub destination_ip: IpAddr,
    /// The workload's port.
    pub destination_port: u16,
    /// The name of the peer's certificate; `None`: plain text.
    pub identity: Option<Box<str>>,
    /// The other names of the certificate: workloads of a mesh have none.
    pub other_names: Vec<Box<str>>,
    /// The server name of the client.
    pub server_name: Option<Box<str>>,
    /// The HTTP request; `None`: the connection is not HTTP.
    pub http: Option<SampleHttp>,
    /// What earlier filters wrote.
    pub metadata: Metadata,
}

/// An HTTP request that owns its parts.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers read every part, and build their own")]
pub struct SampleHttp {
    /// The method.
    pub method: Box<str>,
    /// The host.
    pub authority: Option<Box<str>>,
    /// The path.
    pub path: Box<str>,
    /// The other headers.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// The claims of a token that was believed, as the token has them.
    pub claims: Option<BTreeMap<Box<str>, Value>>,
    /// The claims whose texts are lists of words, beside those that always are: as the rule of the
    /// RequestAuthentication says by which the token was believed.
    pub space_delimited: Vec<Box<str>>,
}

impl Sample {
    /// A request of nobody in particular for nothing in particular.
    pub fn plain(traffic: Traffic) -> Self {
        Self {
            source_ip: Ipv4Addr::new(192, 0, 2, 1).into(),
            remote_ip: Ipv4Addr::new(192, 0, 2, 1).into(),
            destination_ip: Ipv4Addr::new(192, 0, 2, 2).into(),
            destination_port: 80,
            identity: None,
            other_names: Vec::new(),
            server_name: None,
            http: (traffic == Traffic::Http).then(|| SampleHttp {
                method: "GET".into(),
                authority: Some("example.org".into()),
                path: "/".into(),
                headers: Vec::new(),
                claims: None,
                space_delimited: Vec::new(),
            }),
            metadata: Metadata::default(),
        }
    }

    /// The same of a workload, as whose RequestAuthentications tokens are read.
    pub(super) fn of(authorizer: &Authorizer, traffic: Traffic) -> Self {
        let mut plain = Self::plain(traffic);
        if let Some(http) = &mut plain.http {
            http.space_delimited = authorizer.space_delimited_claims().into();
        }
        plain
    }

    /// Hands the request on, borrowed.
    pub fn with<T>(&self, use_it: impl FnOnce(&Request<'_>) -> T) -> T {
        let names: Vec<&str> =
            self.identity.iter().chain(&self.other_names).map(AsRef::as_ref).collect();
        let http = self.http.as_ref();
        let headers: Vec<Header<'_>> = http
            .iter()
            .flat_map(|http| &http.headers)
            .map(|(name, value)| Header { name, value: value.as_bytes() })
            .collect();
        let payload =
            http.and_then(|http| Some(Payload::new(http.claims.clone()?, &http.space_delimited)));
        use_it(&Request {
            connection: Connection {
                source_ip: self.source_ip,
                remote_ip: Some(self.remote_ip),
                destination_ip: self.destination_ip,
                destination_port: self.destination_port,
                peer: self.identity.as_ref().map(|_| Peer { uri_sans: &names, ..Peer::default() }),
                sni: self.server_name.as_deref(),
            },
            http: http.map(|http| Http {
                method: &http.method,
                authority: http.authority.as_deref(),
                path: &http.path,
                headers: &headers,
                payload: payload.as_ref(),
            }),
            metadata: Some(&self.metadata),
        })
    }
}

impl fmt::Display for Sample {
    /// `GET example.org/admin on port 80 by spiffe://… from 192.0.2.1`, and whatever else is special.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.http {
            Some(http) => {
                let host = http.authority.as_deref().unwrap_or_default();
                write!(f, "{} {host}{}", http.method, http.path)?;
            }
            None => f.write_str("a connection")?,
        }
        write!(f, " on port {}", self.destination_port)?;
        match &self.identity {
            Some(identity) => write!(f, " by {identity}")?,
            None => f.write_str(" in plain text")?,
        }
        for name in &self.other_names {
            write!(f, " alias {name}")?;
        }
        write!(f, " from {}", self.source_ip)?;
        if self.remote_ip != self.source_ip {
            write!(f, " for {}", self.remote_ip)?;
        }
        if let Some(name) = &self.server_name {
            write!(f, " with server name {name}")?;
        }
        for (name, value) in self.http.iter().flat_map(|http| &http.headers) {
            write!(f, ", {name}: {value}")?;
        }
        if let Some(claims) = self.http.as_ref().and_then(|http| http.claims.as_ref()) {
            write!(f, ", with a token of {}", Value::Map(claims.clone()))?;
        }
        Ok(())
    }
}
