//! The keys of consistent hashes.
use mesh_envoy_proto::json::to_value;
use mesh_model::resource::destination_rule::{
    ConsistentHashLb, CookieAttribute, HashKey, HttpCookie,
};
use mesh_xds_gen::route::hash_policy::policy;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    consistent_hash: Fields,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    http_header_name: Option<String>,
    http_cookie: Option<Cookie>,
    use_source_ip: Option<bool>,
    http_query_parameter_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cookie {
    name: String,
    #[serde(default)]
    path: String,
    ttl: Option<String>,
}

pub(super) fn hash_policy(input: &Input) -> Result<Value, String> {
    let fields = &input.consistent_hash;
    let text = |text: &Option<String>| text.as_deref().map(Box::from);
    let cookie = fields.http_cookie.as_ref().map(cookie).transpose()?;
    let key = text(&fields.http_header_name)
        .map(HashKey::HttpHeaderName)
        .or(cookie.map(HashKey::HttpCookie))
        .or(fields.use_source_ip.map(HashKey::UseSourceIp))
        .or(text(&fields.http_query_parameter_name).map(HashKey::HttpQueryParameterName));
    let Some(policy) = policy(&ConsistentHashLb { key, ..Default::default() }) else {
        return Ok(Value::Null);
    };
    let shown = to_value(&policy).map_err(|error| error.to_string())?;
    let at = |path: &str| shown.pointer(path).cloned();
    // The cases give the name alone, and fields as the wire calls them.
    let source_ip = at("/connectionProperties/sourceIp");
    Ok(at("/header/headerName")
        .map(|name| json!({"header": name}))
        .or(source_ip.map(|value| json!({"connection_properties": {"source_ip": value}})))
        .or(at("/queryParameter/name").map(|name| json!({"query_parameter": name})))
        .unwrap_or(shown))
}

fn cookie(cookie: &Cookie) -> Result<HttpCookie, String> {
    let ttl = cookie.ttl.as_ref().map(|ttl| ttl.parse()).transpose();
    Ok(HttpCookie {
        name: cookie.name.as_str().into(),
        path: cookie.path.as_str().into(),
        ttl: ttl.map_err(|_| "no duration".to_owned())?,
        attributes: Vec::<CookieAttribute>::new(),
    })
}
