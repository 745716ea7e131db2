//! `endpoint_visible`, `supports_unhealthy_endpoints`, `subset_endpoints`.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_lb::assign::{
    Assignment, Input, check_visible, subset_labels, supports_unhealthy_endpoints,
};
use mesh_model::Compat;
use mesh_model::compat::Flags;
use mesh_model::endpoint::{
    Address, Discoverability, Endpoint, Gateways, Place, Shards, Template, Workload,
};
use mesh_model::name::{ClusterId, NetworkId};
use mesh_model::resource::destination_rule::Subset;
use mesh_testkit::by_hand;
use serde::Deserialize;
use serde_json::{Value, json};

use super::assign::{GatewayFields, ProxyFields, ServiceFields, gateways, health};
use super::settings::distribution;
use super::{Answered, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VisibleInput {
    proxy: ProxyFields,
    service: ServiceFields,
    endpoint: EndpointFields,
    gateways: Vec<GatewayFields>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointFields {
    address: Option<String>,
    addresses: Option<Vec<String>>,
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    network: String,
    #[serde(default)]
    node: String,
    health: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    discoverability: Option<String>,
}

pub(super) fn endpoint_visible(input: &Value) -> Answered {
    let VisibleInput { proxy, service: fields, endpoint, gateways: gateway_fields } = read(input)?;
    let (proxy, gateways) = (proxy.proxy()?, gateways(&gateway_fields));
    let (service, shards) = (fields.service(), Shards::default());
    let mut compat = Compat::default();
    compat.flags.pilot_send_unhealthy_endpoints = fields.send_unhealthy;
    let port = service.port(80).ok_or("the service has no port 80")?;
    let mut input = Input::new(&proxy, &compat, (&service, port), &shards, &gateways);
    input.is_cluster_local = fields.cluster_local;
    Ok(json!(check_visible(&input, &endpoint.endpoint()?).is_ok()))
}

impl EndpointFields {
    fn endpoint(self) -> Result<Endpoint, String> {
        let mut addresses = match (self.address, self.addresses) {
            (Some(address), None) => vec![address],
            (None, Some(addresses)) => addresses,
            _ => return Err("an endpoint has `address` or `addresses`".to_owned()),
        }
        .into_iter();
        // No address at all is an empty host name, an empty address an unknown one.
        let first = addresses.next();
        let none = Address::Host("".into());
        Ok(Endpoint {
            address: first.map_or(none, |address| Address::parse(&address)),
            more_addresses: addresses.map(|address| Address::parse(&address)).collect(),
            health: health(self.health.as_deref())?,
            workload: Arc::new(Workload {
                labels: self.labels.into_iter().collect(),
                place: Arc::new(Place {
                    cluster: ClusterId::from(self.cluster.as_str()),
                    network: NetworkId::from(self.network.as_str()),
                    node: self.node.as_str().into(),
                    ..Place::default()
                }),
                template: Arc::new(Template {
                    discoverability: match self.discoverability.as_deref() {
                        None | Some("always") => Discoverability::Always,
                        Some("same_cluster") => Discoverability::SameCluster,
                        Some(name) => return Err(format!("unknown discoverability `{name}`")),
                    },
                    ..Template::default()
                }),
            }),
            ..by_hand::endpoint("", "", "")
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnhealthyInput {
    global_send_unhealthy: bool,
    default_send_unhealthy: bool,
    traffic_distribution: String,
    min_health_percent: Option<i32>,
}

pub(super) fn supports_unhealthy(input: &Value) -> Answered {
    let input: UnhealthyInput = read(input)?;
    let flags = Flags {
        pilot_send_unhealthy_endpoints: input.global_send_unhealthy,
        pilot_auto_send_unhealthy_endpoints: input.default_send_unhealthy,
        ..Flags::default()
    };
    let distribution = distribution(&input.traffic_distribution)?;
    let percent = input.min_health_percent.unwrap_or(0);
    Ok(json!(supports_unhealthy_endpoints(&flags, distribution, percent)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubsetInput {
    destination_rule: RuleFields,
    subset: String,
    endpoints: Vec<LabelledFields>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFields {
    subsets: Vec<SubsetFields>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubsetFields {
    name: String,
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelledFields {
    address: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

pub(super) fn subset_endpoints(input: &Value) -> Answered {
    let input: SubsetInput = read(input)?;
    let subsets: Vec<Subset> = input
        .destination_rule
        .subsets
        .into_iter()
        .map(|subset| Subset {
            name: subset.name.into(),
            labels: subset.labels.into_iter().collect(),
            traffic_policy: None,
        })
        .collect();
    let shards = by_hand::shards(input.endpoints.into_iter().map(|fields| Endpoint {
        workload: Arc::new(Workload {
            labels: fields.labels.into_iter().collect(),
            ..Workload::default()
        }),
        ..by_hand::endpoint(&fields.address, "", "")
    }));
    let (proxy, service) = (by_hand::proxy("", ""), by_hand::service("cart.shop"));
    let (compat, gateways) = (Compat::default(), Gateways::default());
    let port = service.port(80).ok_or("the service has no port 80")?;
    let assignment = Assignment::compute(&Input {
        subset: subset_labels(&subsets, &input.subset),
        ..Input::new(&proxy, &compat, (&service, port), &shards, &gateways)
    });
    let addresses = assignment.endpoints().map(|endpoint| endpoint.target().address().to_string());
    Ok(json!(addresses.collect::<Vec<_>>()))
}
