//! Conversations with the two kinds of session.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_xds_gen::delta::{ErrorDetail, Nonce, SessionConfig, incremental, sotw};
use mesh_xds_gen::snapshot::{Resource, Snapshot, TypeUrl, Version};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conversation {
    steps: Vec<Value>,
}

type Resources = BTreeMap<String, BTreeMap<String, String>>;

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum SotwStep {
    Snapshot {
        resources: Resources,
    },
    Request {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        names: Vec<String>,
        nonce: Option<String>,
        error: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum DeltaStep {
    Snapshot {
        resources: Resources,
    },
    Request {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        sub: Vec<String>,
        #[serde(default)]
        unsub: Vec<String>,
        #[serde(default)]
        initial: BTreeMap<String, String>,
        nonce: Option<String>,
        error: Option<String>,
    },
}

pub(crate) fn sotw(input: &Conversation) -> Result<Value, String> {
    let mut session = sotw::Session::new(SessionConfig::default(), 1);
    let mut symbols = Symbols::default();
    let mut answers = Vec::new();
    for step in &input.steps {
        match read(step)? {
            SotwStep::Snapshot { resources } => session.handle_snapshot(snapshot(resources)?),
            SotwStep::Request { kind, names, nonce, error } => {
                let request = sotw::Request {
                    node: "node".to_owned(),
                    type_url: type_url(&kind)?,
                    names,
                    nonce: symbols.resolve(nonce),
                    error: error.map(detail),
                };
                session.handle_request(&request).map_err(|error| error.to_string())?;
            }
        }
        let responses = std::iter::from_fn(|| session.poll_response()).map(|response| {
            json!({
                "type": short(&response.type_url),
                "resources": names(&response.resources),
                "nonce": symbols.symbol(response.nonce),
            })
        });
        answers.push(responses.collect::<Value>());
    }
    Ok(Value::from(answers))
}

pub(crate) fn delta(input: &Conversation) -> Result<Value, String> {
    let mut session = incremental::Session::new(SessionConfig::default(), 1);
    let mut symbols = Symbols::default();
    let mut answers = Vec::new();
    for step in &input.steps {
        match read(step)? {
            DeltaStep::Snapshot { resources } => session.handle_snapshot(snapshot(resources)?),
            DeltaStep::Request { kind, sub, unsub, initial, nonce, error } => {
                let version = |content: String| Version::of(content.as_bytes()).to_string();
                let request = incremental::Request {
                    node: "node".to_owned(),
                    type_url: type_url(&kind)?,
                    subscribe: sub,
                    unsubscribe: unsub,
                    initial_versions: initial
                        .into_iter()
                        .map(|(name, content)| (name, version(content)))
                        .collect(),
                    nonce: symbols.resolve(nonce),
                    error: error.map(detail),
                };
                session.handle_request(&request).map_err(|error| error.to_string())?;
            }
        }
        let responses = std::iter::from_fn(|| session.poll_response()).map(|response| {
            json!({
                "type": short(&response.type_url),
                "resources": names(&response.resources),
                "removed": response.removed.iter().map(|name| &**name).collect::<Vec<_>>(),
                "nonce": symbols.symbol(response.nonce),
            })
        });
        answers.push(responses.collect::<Value>());
    }
    Ok(Value::from(answers))
}

/// The nonces sent so far: the K-th is called `nK` in the cases.
#[derive(Default)]
struct Symbols(Vec<Nonce>);

impl Symbols {
    fn symbol(&mut self, nonce: Nonce) -> String {
        self.0.push(nonce);
        format!("n{}", self.0.len())
    }

    fn resolve(&self, symbol: Option<String>) -> String {
        let symbol = symbol.unwrap_or_default();
        let index = symbol.strip_prefix('n').and_then(|number| number.parse::<usize>().ok());
        let sent = index.and_then(|index| self.0.get(index.checked_sub(1)?));
        sent.map_or(symbol, Nonce::to_string)
    }
}

fn read<S: serde::de::DeserializeOwned>(step: &Value) -> Result<S, String> {
    S::deserialize(step).map_err(|error| error.to_string())
}

fn snapshot(types: Resources) -> Result<Arc<Snapshot>, String> {
    let mut resources = Vec::new();
    for (kind, contents) in types {
        let type_url = type_url(&kind)?;
        resources.extend(
            contents
                .into_iter()
                .map(|(name, content)| Resource::new(type_url.clone(), name, content.into_bytes())),
        );
    }
    Ok(Arc::new(Snapshot::new(resources)))
}

fn detail(message: String) -> ErrorDetail {
    ErrorDetail { code: 3, message }
}

fn names(resources: &[Arc<Resource>]) -> Vec<&str> {
    resources.iter().map(|resource| &**resource.name()).collect()
}

const TYPES: [(&str, TypeUrl); 6] = [
    ("CDS", TypeUrl::CLUSTER),
    ("EDS", TypeUrl::ENDPOINT),
    ("LDS", TypeUrl::LISTENER),
    ("RDS", TypeUrl::ROUTE),
    ("SDS", TypeUrl::SECRET),
    ("ECDS", TypeUrl::EXTENSION_CONFIG),
];

fn type_url(short: &str) -> Result<TypeUrl, String> {
    let known = TYPES.into_iter().find(|(name, _)| *name == short);
    known.map(|(_, type_url)| type_url).ok_or_else(|| format!("unknown type `{short}`"))
}

fn short(type_url: &TypeUrl) -> String {
    let known = TYPES.into_iter().find(|(_, known)| known == type_url);
    known.map_or_else(|| type_url.to_string(), |(name, _)| name.to_owned())
}
