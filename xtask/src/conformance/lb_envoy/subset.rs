//! `subset`, `scale_locality_weight`.
use std::borrow::Cow;
use std::collections::BTreeMap;

use mesh_lb::health::status::{HealthFlags, HostHealth};
use mesh_lb::load::{Overprovisioning, PanicThreshold};
use mesh_lb::subset::{
    Candidates, Criteria, FallbackPolicy, MetadataFallbackPolicy, MetadataValue, Selector,
    SelectorFallback, SubsetConfig, SubsetHost, SubsetLocalityWeights, Subsets,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::health::status;
use super::{Answered, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    lb_subset_config: Config,
    hosts: Vec<Host>,
    metadata_match: Option<Map<String, Value>>,
    healthy_panic_threshold: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    fallback_policy: Option<String>,
    #[serde(default)]
    default_subset: Map<String, Value>,
    #[serde(default)]
    subset_selectors: Vec<SelectorInput>,
    #[serde(default)]
    list_as_any: bool,
    #[serde(default)]
    panic_mode_any: bool,
    metadata_fallback_policy: Option<String>,
    #[serde(default)]
    allow_redundant_keys: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectorInput {
    keys: Vec<String>,
    fallback_policy: Option<String>,
    #[serde(default)]
    fallback_keys_subset: Vec<String>,
    #[serde(default)]
    single_host_per_subset: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    id: String,
    #[serde(default)]
    metadata: Map<String, Value>,
    health: Option<String>,
    #[serde(default)]
    priority: usize,
}

fn value(json: &Value) -> MetadataValue {
    match json {
        Value::Null => MetadataValue::Null,
        Value::Bool(value) => MetadataValue::Bool(*value),
        Value::Number(number) => MetadataValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => MetadataValue::Text(text.as_str().into()),
        Value::Array(list) => MetadataValue::List(list.iter().map(value).collect()),
        Value::Object(fields) => MetadataValue::Struct(values(fields)),
    }
}

fn values(fields: &Map<String, Value>) -> BTreeMap<Box<str>, MetadataValue> {
    fields.iter().map(|(key, json)| (key.as_str().into(), value(json))).collect()
}

fn boxed(keys: &[String]) -> Vec<Box<str>> {
    keys.iter().map(|key| key.as_str().into()).collect()
}

impl SelectorInput {
    /// The outer error is an input that is not understood, the inner one what the library refuses.
    fn selector(&self) -> Result<Result<Selector, String>, String> {
        let fallback = match self.fallback_policy.as_deref() {
            None | Some("NOT_DEFINED") => None,
            Some("NO_FALLBACK") => Some(SelectorFallback::NoFallback),
            Some("ANY_ENDPOINT") => Some(SelectorFallback::AnyEndpoint),
            Some("DEFAULT_SUBSET") => Some(SelectorFallback::DefaultSubset),
            Some("KEYS_SUBSET") => Some(SelectorFallback::Keys(boxed(&self.fallback_keys_subset))),
            Some(other) => return Err(format!("unknown fallback policy `{other}`")),
        };
        let selector = Selector::new(boxed(&self.keys), fallback);
        let single = self.single_host_per_subset;
        Ok(selector
            .map(|selector| if single { selector.single_host_per_subset() } else { selector })
            .map_err(|error| error.to_string()))
    }
}

impl Config {
    fn config(&self) -> Result<Result<SubsetConfig, String>, String> {
        let selectors: Vec<_> =
            self.subset_selectors.iter().map(SelectorInput::selector).collect::<Result<_, _>>()?;
        let selectors: Vec<Selector> = match selectors.into_iter().collect() {
            Ok(selectors) => selectors,
            Err(error) => return Ok(Err(error)),
        };
        Ok(Ok(SubsetConfig {
            selectors,
            fallback_policy: match self.fallback_policy.as_deref() {
                None | Some("NO_FALLBACK") => FallbackPolicy::NoFallback,
                Some("ANY_ENDPOINT") => FallbackPolicy::AnyEndpoint,
                Some("DEFAULT_SUBSET") => FallbackPolicy::DefaultSubset,
                Some(other) => return Err(format!("unknown fallback policy `{other}`")),
            },
            default_subset: values(&self.default_subset),
            list_as_any: self.list_as_any,
            panic_mode_any: self.panic_mode_any,
            metadata_fallback_policy: match self.metadata_fallback_policy.as_deref() {
                None | Some("METADATA_NO_FALLBACK") => MetadataFallbackPolicy::NoFallback,
                Some("FALLBACK_LIST") => MetadataFallbackPolicy::FallbackList,
                Some(other) => return Err(format!("unknown metadata fallback policy `{other}`")),
            },
            allow_redundant_keys: self.allow_redundant_keys,
            ..SubsetConfig::default()
        }))
    }
}

pub(super) fn subset(input: &Value) -> Answered {
    let input: Input = read(input)?;
    let config = match input.lb_subset_config.config()? {
        Ok(config) => config,
        Err(error) => return Ok(json!({ "error": error })),
    };
    let health = input
        .hosts
        .iter()
        .map(|host| status(host.health.as_deref().unwrap_or("HEALTHY")))
        .map(|status| Ok(HostHealth::new(status?, HealthFlags::NONE)))
        .collect::<Result<Vec<_>, String>>()?;
    let hosts: Vec<SubsetHost<'_>> = input
        .hosts
        .iter()
        .map(|host| SubsetHost {
            priority: host.priority,
            metadata: Cow::Owned(values(&host.metadata)),
        })
        .collect();
    let threshold = input
        .healthy_panic_threshold
        .map_or_else(PanicThreshold::default, PanicThreshold::from_fraction);
    let health_of = |host: u32| {
        let host = usize::try_from(host).ok().and_then(|host| health.get(host));
        host.copied().unwrap_or_default()
    };
    let criteria = Criteria::new(input.metadata_match.as_ref().map(values).unwrap_or_default());
    let found = Subsets::new(&config, &hosts).select(&criteria, |candidates| {
        let hosts = match candidates {
            Candidates::Single(host) => vec![host],
            Candidates::Hosts(hosts) => {
                hosts.reachable(health_of, Overprovisioning::default(), threshold)
            }
        };
        Some(hosts).filter(|hosts| !hosts.is_empty())
    });
    let id = |host: &u32| {
        let host = usize::try_from(*host).ok().and_then(|host| input.hosts.get(host));
        host.map(|host| host.id.as_str())
    };
    let ids: Vec<_> = found.iter().flatten().filter_map(id).collect();
    Ok(json!({ "candidate_hosts": ids, "no_host": found.is_none() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScaleInput {
    locality_weight_aware: bool,
    scale_locality_weight: bool,
    localities: Vec<ScaledLocality>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScaledLocality {
    weight: u32,
    original_hosts: u32,
    subset_hosts: u32,
}

pub(super) fn scale_locality_weight(input: &Value) -> Answered {
    let input: ScaleInput = read(input)?;
    let aware = match (input.locality_weight_aware, input.scale_locality_weight) {
        (false, _) => SubsetLocalityWeights::None,
        (true, false) => SubsetLocalityWeights::Whole,
        (true, true) => SubsetLocalityWeights::Scaled,
    };
    let weight =
        |one: &ScaledLocality| aware.of(Some(one.weight), one.original_hosts, one.subset_hosts);
    let weights: Option<Vec<u32>> = input.localities.iter().map(weight).collect();
    Ok(json!({ "subset_locality_weights": weights }))
}
