//! Hosts, services of several clusters, rules of one host: as the oracles have them.
use std::sync::Arc;

use mesh_model::name::{ClusterId, Hostname, Namespace, Protocol};
use mesh_model::registry::{
    DestinationRules, ExportTo, Lookup, Scoping, Service, ServicePort, Services, merge_clusters,
};
use mesh_model::resource::destination_rule::{OutlierDetection, Subset, TrafficPolicy};
use mesh_model::resource::{DestinationRule, Meta};
use mesh_testkit::by_hand;
use mesh_testkit::oracle::{host, merge};
use proptest::prelude::*;

/// Hosts that meet often: few labels, wildcards of every kind.
fn hosts() -> impl Strategy<Value = String> {
    let label = prop_oneof![Just("a"), Just("b"), Just("ab"), Just(""), Just("*")];
    let name = prop::collection::vec(label, 1..4).prop_map(|labels| labels.join("."));
    (any::<bool>(), name)
        .prop_map(|(is_wild, name)| if is_wild { format!("*{name}") } else { name })
}

#[test]
fn a_host_is_looked_up_by_its_namespace_or_where_only_one_has_it() {
    let of = |host: &str, namespace: &str| {
        Arc::new(Service { namespace: namespace.into(), ..by_hand::service(host) })
    };
    let given = vec![of("one", "a"), of("two", "a"), of("two", "b")];
    let services = Services::new(given, &ExportTo::default());
    let check = |name: &str, expected: &str| {
        let found = match services.lookup(name) {
            Lookup::Found(service) => format!("{}/{}", service.namespace, service.hostname),
            Lookup::None => "none".to_owned(),
            Lookup::Several => "several".to_owned(),
        };
        assert_eq!(found, expected, "{name}");
    };
    check("one", "a/one");
    check("a/one", "a/one");
    check("b/one", "none");
    check("two", "several");
    check("b/two", "b/two");
    check("b/two/", "none");
    check("", "none");
}

fn given() -> impl Strategy<Value = merge::Given> {
    let vips = prop::collection::btree_map(0..3_u8, 0..4_u8, 0..3);
    let accounts = prop::collection::btree_set(0..4_u8, 0..3);
    (0..3_u8, prop::collection::vec(1..4_u16, 1..3), vips, accounts).prop_map(
        |(host, ports, vips, accounts)| merge::Given {
            host: format!("h{host}"),
            ports,
            vips: vips.into_iter().map(|(c, a)| (format!("c{c}"), format!("10.0.0.{a}"))).collect(),
            accounts: accounts.into_iter().map(|account| format!("sa{account}")).collect(),
        },
    )
}

fn rule() -> impl Strategy<Value = merge::Rule> {
    let subsets = prop::collection::vec((0..3_u8, 0..9_u8), 0..3);
    (0..3_i64, prop::option::of(1..100_i32), subsets).prop_map(|(creation, policy, subsets)| {
        let subsets =
            subsets.into_iter().map(|(name, mark)| (format!("s{name}"), format!("{mark}")));
        merge::Rule { creation, name: String::new(), policy, subsets: subsets.collect() }
    })
}

fn service(given: &merge::Given) -> Service {
    let mut service = by_hand::service(&given.host);
    let port = |&number: &u16| ServicePort {
        name: "http".into(),
        number,
        protocol: Protocol::Http,
        target_port: 0,
    };
    service.ports = given.ports.iter().map(port).collect();
    let vips = given.vips.iter();
    service.cluster_vips = vips
        .map(|(cluster, ip)| (ClusterId::from(cluster.as_str()), [Arc::from(ip.as_str())].into()))
        .collect();
    service.service_accounts =
        given.accounts.iter().map(|account| Arc::from(account.as_str())).collect();
    service
}

fn object(rule: &merge::Rule) -> Arc<DestinationRule> {
    let meta = Meta { creation: Some(rule.creation), ..Meta::new("shop", rule.name.as_str()) };
    let mut object = DestinationRule { meta, ..DestinationRule::default() };
    object.spec.host = "cart".into();
    object.spec.traffic_policy = rule.policy.map(|mark| TrafficPolicy {
        outlier_detection: Some(OutlierDetection { max_ejection_percent: mark, ..<_>::default() }),
        ..TrafficPolicy::default()
    });
    let subset = |(name, mark): &(String, String)| Subset {
        name: name.as_str().into(),
        labels: [("mark", mark.as_str())].into_iter().collect(),
        ..Subset::default()
    };
    object.spec.subsets = rule.subsets.iter().map(subset).collect();
    Arc::new(object)
}

proptest! {
    #[test]
    fn hosts_relate_as_their_sets_do(a in hosts(), b in hosts()) {
        let name = Hostname::from(a.as_str());
        prop_assert_eq!(name.matches(&b), host::meet(&a, &b));
        prop_assert_eq!(name.is_subset_of(&b), host::is_subset(&a, &b));
    }

    #[test]
    fn services_of_clusters_merge_as_the_oracle_does(
        clusters in prop::collection::vec(prop::collection::vec(given(), 0..3), 0..4),
    ) {
        let services = clusters.iter().map(|all| all.iter().map(service).collect::<Vec<_>>());
        let merged: Vec<Service> = merge_clusters(services).iter().map(|s| (**s).clone()).collect();
        let expected: Vec<Service> = merge::services(&clusters).iter().map(service).collect();
        prop_assert_eq!(merged, expected);
    }

    #[test]
    fn rules_of_a_host_merge_as_the_oracle_does(
        mut rules in prop::collection::vec(rule(), 1..5),
        enhanced: bool,
    ) {
        for (index, rule) in rules.iter_mut().enumerate() {
            rule.name = format!("r{index}");
        }
        let (root, shop) = (Namespace::from("istio-system"), Namespace::from("shop"));
        let export_to = ExportTo::parse(["*"]);
        let scoping = Scoping {
            root_namespace: &root,
            default_export_to: &export_to,
            domain: "cluster.local",
            enhanced_merge: enhanced,
        };
        let index = DestinationRules::new(rules.iter().map(object), &scoping);
        let host = Hostname::from("cart.shop.svc.cluster.local");
        let candidates = index.candidates(&shop, &host, &shop);
        prop_assert_eq!(candidates.len(), 1);
        let found = DestinationRules::effective(&candidates, &shop, None).unwrap();
        let policy = found.traffic_policy.as_ref().and_then(|policy| policy.outlier_detection.as_ref());
        let subsets = found.subsets.iter().map(|subset| (subset.name.to_string(), subset.labels.value("mark").to_owned()));
        let (expected, expected_subsets) = merge::rules(&rules);
        prop_assert_eq!(policy.map(|policy| policy.max_ejection_percent), expected);
        prop_assert_eq!(subsets.collect::<Vec<_>>(), expected_subsets);
    }
}
