//! `hash_policy`, `hash_function`.
use mesh_lb::pick::hash::{murmur_hash_2_64, xx_hash_64};
use mesh_lb::pick::hash_policy::{AbsentCookie, HashInput, HashMethod, HashPolicy, hash};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, Decimal, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyInput {
    hash_policy: Vec<Policy>,
    request: Request,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    header: Option<String>,
    cookie: Option<String>,
    #[serde(default)]
    source_ip: bool,
    query_parameter: Option<String>,
    filter_state: Option<String>,
    #[serde(default)]
    terminal: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    source_ip: String,
    #[serde(default)]
    path: String,
}

impl Policy {
    fn method(&self) -> Result<HashMethod, String> {
        let header = self.header.as_deref().map(|name| HashMethod::Header(name.into()));
        let cookie = self
            .cookie
            .as_deref()
            .map(|name| HashMethod::Cookie { name: name.into(), absent: AbsentCookie::Ignore });
        let source_ip = self.source_ip.then_some(HashMethod::SourceIp);
        let query =
            self.query_parameter.as_deref().map(|name| HashMethod::QueryParameter(name.into()));
        let state = self.filter_state.as_deref().map(|key| HashMethod::FilterState(key.into()));
        header
            .or(cookie)
            .or(source_ip)
            .or(query)
            .or(state)
            .ok_or_else(|| "a hash policy without anything to hash".to_owned())
    }
}

pub(super) fn hash_policy(input: &Value) -> Answered {
    let input: PolicyInput = read(input)?;
    let policies = input
        .hash_policy
        .iter()
        .map(|policy| Ok(HashPolicy { method: policy.method()?, terminal: policy.terminal }))
        .collect::<Result<Vec<_>, String>>()?;
    let headers: Vec<(&str, &str)> =
        input.request.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let attributes = HashInput {
        headers: &headers,
        path: &input.request.path,
        source_ip: &input.request.source_ip,
        ..HashInput::default()
    };
    Ok(json!({ "hash": hash(&policies, &attributes).hash.map(|hash| hash.to_string()) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionInput {
    function: String,
    text: String,
    seed: Decimal,
}

pub(super) fn hash_function(input: &Value) -> Answered {
    let input: FunctionInput = read(input)?;
    let hash = match input.function.as_str() {
        "xxHash64" => xx_hash_64(input.text.as_bytes(), input.seed.0),
        "murmurHash2_64" => murmur_hash_2_64(input.text.as_bytes(), input.seed.0),
        other => return Err(format!("unknown hash function `{other}`")),
    };
    Ok(json!({ "hash": hash.to_string() }))
}
