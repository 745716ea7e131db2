//! `locality_lb`, `locality_match`, `effective_lb_setting`.
use std::collections::BTreeMap;

use mesh_lb::assign::{EffectiveSetting, Group, Ranking, Reason, locality_matches};
use mesh_model::name::{Labels, Locality};
use mesh_model::registry::TrafficDistribution;
use mesh_model::resource::destination_rule::{
    Distribute, Failover, LoadBalancerSettings, LocalityLbSetting, ZoneAwareLbSetting,
};
use mesh_model::view::ProxyKind;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, read};

/// A locality, as the cases write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LocalityParts {
    #[serde(default)]
    region: String,
    #[serde(default)]
    zone: String,
    #[serde(default)]
    sub_zone: String,
}

impl LocalityParts {
    pub(super) fn locality(&self) -> Locality {
        Locality::new(&self.region, &self.zone, &self.sub_zone)
    }
}

pub(super) fn print_locality(locality: &Locality) -> Value {
    json!({
        "region": locality.region(), "zone": locality.zone(), "sub_zone": locality.sub_zone(),
    })
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LocalityFields {
    enabled: Option<bool>,
    #[serde(default)]
    distribute: Vec<DistributeFields>,
    #[serde(default)]
    failover: Vec<FailoverFields>,
    #[serde(default)]
    failover_priority: Vec<Box<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ZoneAwareFields {
    enabled: Option<bool>,
    min_cluster_size: Option<u32>,
    #[serde(default)]
    failover: Vec<FailoverFields>,
    #[serde(default)]
    failover_priority: Vec<Box<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DistributeFields {
    from: Box<str>,
    to: BTreeMap<Box<str>, u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailoverFields {
    from: Box<str>,
    to: Box<str>,
}

/// The two settings of a DestinationRule's load balancer.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFields {
    locality: Option<LocalityFields>,
    zone_aware: Option<ZoneAwareFields>,
}

impl LocalityFields {
    /// What a mesh has that says nothing.
    pub(super) fn mesh_default() -> Self {
        Self { enabled: Some(true), ..Self::default() }
    }

    pub(super) fn setting(self) -> LocalityLbSetting {
        let entries = self.distribute.into_iter();
        LocalityLbSetting {
            enabled: self.enabled,
            distribute: entries
                .map(|DistributeFields { from, to }| Distribute {
                    from,
                    to: to.into_iter().collect(),
                })
                .collect(),
            failover: failover(self.failover),
            failover_priority: self.failover_priority,
        }
    }
}

impl ZoneAwareFields {
    pub(super) fn setting(self) -> ZoneAwareLbSetting {
        ZoneAwareLbSetting {
            enabled: self.enabled,
            min_cluster_size: self.min_cluster_size,
            failover: failover(self.failover),
            failover_priority: self.failover_priority,
        }
    }
}

impl RuleFields {
    pub(super) fn load_balancer(self) -> LoadBalancerSettings {
        LoadBalancerSettings {
            policy: None,
            locality_lb_setting: self.locality.map(LocalityFields::setting),
            zone_aware_lb_setting: self.zone_aware.map(ZoneAwareFields::setting),
            warmup_duration_secs: None,
            warmup: None,
        }
    }
}

fn failover(fields: Vec<FailoverFields>) -> Vec<Failover> {
    fields.into_iter().map(|FailoverFields { from, to }| Failover { from, to }).collect()
}

pub(super) fn distribution(name: &str) -> Result<TrafficDistribution, String> {
    let all =
        [TrafficDistribution::Any, TrafficDistribution::SameZone, TrafficDistribution::SameNode];
    all.into_iter()
        .find(|value| value.as_str() == name)
        .ok_or_else(|| format!("unknown traffic distribution `{name}`"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LocalityMatchInput {
    locality: LocalityParts,
    rule: String,
}

pub(super) fn locality_match(input: &Value) -> Answered {
    let input: LocalityMatchInput = read(input)?;
    Ok(json!(locality_matches(&input.locality.locality(), &input.rule)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EffectiveInput {
    mesh_locality: Option<LocalityFields>,
    mesh_zone_aware: Option<ZoneAwareFields>,
    dr: Option<RuleFields>,
    traffic_distribution: String,
}

pub(super) fn effective(input: &Value) -> Answered {
    let input: EffectiveInput = read(input)?;
    let rule = input.dr.map(RuleFields::load_balancer);
    let mesh_zone_aware = input.mesh_zone_aware.map(ZoneAwareFields::setting);
    let mesh_locality = input.mesh_locality.map(LocalityFields::setting);
    let setting = EffectiveSetting::new(
        rule.as_ref(),
        distribution(&input.traffic_distribution)?,
        mesh_zone_aware.as_ref(),
        mesh_locality.as_ref(),
    );
    let (kind, fields) = match setting {
        EffectiveSetting::None => return Ok(json!({ "kind": "none" })),
        EffectiveSetting::Locality(setting) => ("locality", print_setting(setting)),
        EffectiveSetting::Distribution(_) => {
            let labels: Vec<_> = setting.failover_priority().collect();
            ("locality", json!({ "enabled": true, "failover_priority": labels }))
        }
        EffectiveSetting::ZoneAware(setting) => ("zone_aware", print_zone_aware(setting)),
    };
    Ok(json!({ "kind": kind, "setting": fields, "force_failover": setting.forces_failover() }))
}

fn print_setting(setting: &LocalityLbSetting) -> Value {
    let distribute = setting
        .distribute
        .iter()
        .map(|entry| json!({ "from": entry.from, "to": entry.to.iter().collect::<BTreeMap<_, _>>() }))
        .collect::<Vec<_>>();
    let mut fields = print_failover(&setting.failover, &setting.failover_priority);
    insert(&mut fields, "enabled", setting.enabled.map(Value::from));
    insert(&mut fields, "distribute", (!distribute.is_empty()).then_some(distribute.into()));
    fields
}

fn print_zone_aware(setting: &ZoneAwareLbSetting) -> Value {
    let mut fields = print_failover(&setting.failover, &setting.failover_priority);
    insert(&mut fields, "enabled", setting.enabled.map(Value::from));
    insert(&mut fields, "min_cluster_size", setting.min_cluster_size.map(Value::from));
    fields
}

fn print_failover(failover: &[Failover], priority: &[Box<str>]) -> Value {
    let failover: Vec<_> =
        failover.iter().map(|entry| json!({ "from": entry.from, "to": entry.to })).collect();
    let mut fields = json!({});
    insert(&mut fields, "failover", (!failover.is_empty()).then_some(failover.into()));
    insert(&mut fields, "failover_priority", (!priority.is_empty()).then(|| json!(priority)));
    fields
}

fn insert(fields: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(fields), Some(value)) = (fields.as_object_mut(), value) {
        fields.insert(key.to_owned(), value);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LocalityLbInput {
    proxy: ClientFields,
    localities: Vec<GroupFields>,
    setting_kind: String,
    setting: Value,
    #[serde(default)]
    enable_failover: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientFields {
    locality: Option<LocalityParts>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupFields {
    locality: Option<LocalityParts>,
    weight: Option<u32>,
    endpoints: Vec<MemberFields>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberFields {
    address: String,
    #[serde(default)]
    weight: u32,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

pub(super) fn locality_lb(input: &Value) -> Answered {
    let input: LocalityLbInput = read(input)?;
    let (mut locality, mut zone_aware) = (None, None);
    match input.setting_kind.as_str() {
        "locality" => locality = read::<Option<LocalityFields>>(&input.setting)?,
        "zone_aware" => zone_aware = read::<Option<ZoneAwareFields>>(&input.setting)?,
        kind => return Err(format!("unknown setting_kind `{kind}`")),
    }
    let locality = locality.map(LocalityFields::setting);
    let zone_aware = zone_aware.map(ZoneAwareFields::setting);
    let client = input.proxy.locality.map_or_else(Locality::default, |parts| parts.locality());
    let labels: Labels = input.proxy.labels.into_iter().collect();
    let ranking = Ranking {
        locality: &client,
        labels: &labels,
        kind: ProxyKind::Sidecar,
        setting: match (&locality, &zone_aware) {
            (Some(setting), _) => EffectiveSetting::Locality(setting),
            (None, Some(setting)) => EffectiveSetting::ZoneAware(setting),
            (None, None) => EffectiveSetting::None,
        },
        fails_over: input.enable_failover,
        ranks_by_labels: true,
    };
    let groups = input.localities.into_iter().map(|group| Group {
        locality: group.locality.map(|parts| parts.locality()),
        weight: group.weight,
        priority: 0,
        members: group.endpoints,
        reason: Reason::default(),
    });
    let has_label = |member: &MemberFields, label: &str, value: &str| {
        member.labels.get(label).map_or("", String::as_str) == value
    };
    let groups = ranking.apply(groups.collect(), |member| member.weight, has_label);
    let localities = groups.iter().map(|group| {
        let addresses: Vec<_> = group.members.iter().map(|member| &member.address).collect();
        json!({
            "locality": group.locality.as_ref().map(print_locality), "priority": group.priority,
            "weight": group.weight, "endpoints": addresses,
        })
    });
    Ok(json!({ "localities": localities.collect::<Vec<_>>() }))
}
