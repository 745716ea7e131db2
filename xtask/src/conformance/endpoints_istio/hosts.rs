//! `host_*`, `most_specific_host_match`, `resolve_short_name`, `is_cluster_local`.
use mesh_model::name::{Hostname, common_hosts, hosts_for_namespace, most_specific};
use mesh_model::registry::ClusterLocalHosts;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, read};

pub(super) fn answer(op: &str, input: &Value) -> Answered {
    match op {
        "host_matches" => pair(input, |a, b| a.matches(b.as_str())),
        "host_subset_of" => pair(input, |a, b| a.is_subset_of(b.as_str())),
        "host_more_specific" => pair(input, Hostname::is_more_specific_than),
        "host_sort" => sort(input),
        "host_intersection" => intersection(input),
        "host_names_for_namespace" => for_namespace(input),
        "most_specific_host_match" => specific(input),
        "resolve_short_name" => short_name(input),
        "is_cluster_local" => cluster_local(input),
        _ => Err(format!("unknown op `{op}`")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair<T> {
    a: T,
    b: T,
}

fn pair(input: &Value, relation: impl FnOnce(&Hostname, &Hostname) -> bool) -> Answered {
    let Pair { a, b }: Pair<String> = read(input)?;
    Ok(json!(relation(&Hostname::from(a.as_str()), &Hostname::from(b.as_str()))))
}

fn names(texts: &[String]) -> Vec<Hostname> {
    texts.iter().map(|text| Hostname::from(text.as_str())).collect()
}

fn texts<'h>(names: impl IntoIterator<Item = &'h Hostname>) -> Value {
    names.into_iter().map(Hostname::as_str).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hosts {
    hosts: Vec<String>,
}

fn sort(input: &Value) -> Answered {
    let mut hosts = names(&read::<Hosts>(input)?.hosts);
    hosts.sort_by(Hostname::by_specificity);
    Ok(texts(&hosts))
}

fn intersection(input: &Value) -> Answered {
    let Pair { a, b }: Pair<Vec<String>> = read(input)?;
    Ok(texts(common_hosts(&names(&a), &names(&b))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamespacedHosts {
    hosts: Vec<String>,
    namespace: String,
}

fn for_namespace(input: &Value) -> Answered {
    let NamespacedHosts { hosts, namespace } = read(input)?;
    Ok(texts(&hosts_for_namespace(hosts.iter().map(String::as_str), &namespace)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Needle {
    hosts: Vec<String>,
    needle: String,
}

fn specific(input: &Value) -> Answered {
    let Needle { hosts, needle } = read(input)?;
    let hosts = names(&hosts);
    Ok(json!(most_specific(&Hostname::from(needle.as_str()), &hosts).map(Hostname::as_str)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShortName {
    host: String,
    namespace: String,
    domain: String,
}

fn short_name(input: &Value) -> Answered {
    let ShortName { host, namespace, domain } = read(input)?;
    Ok(json!(Hostname::resolve(&host, &namespace, &domain).as_str()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClusterLocal {
    service_settings: Vec<ServiceSettings>,
    discovery_address: String,
    domain_suffix: String,
    host: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceSettings {
    cluster_local: bool,
    hosts: Vec<String>,
}

fn cluster_local(input: &Value) -> Answered {
    let ClusterLocal { service_settings, discovery_address, domain_suffix, host } = read(input)?;
    let settings = service_settings
        .iter()
        .map(|entry| (entry.cluster_local, entry.hosts.iter().map(String::as_str)));
    let hosts = ClusterLocalHosts::new(settings, &discovery_address, &domain_suffix);
    Ok(json!(hosts.contains(&Hostname::from(host.as_str()))))
}
