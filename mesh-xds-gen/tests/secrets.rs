//! Where gateways and their clusters are told to get secrets from.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::collections::BTreeSet;

use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::core::v3::address::Address;
use mesh_envoy_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use mesh_envoy_proto::envoy::config::core::v3::grpc_service::TargetSpecifier;
use mesh_envoy_proto::envoy::config::core::v3::transport_socket;
use mesh_envoy_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::{
    SdsSecretConfig, UpstreamTlsContext,
};
use mesh_model::Compat;
use mesh_model::manifest::Severity;
use mesh_model::registry::{Origin, Registry, Source};
use mesh_model::resource::Json;
use mesh_testkit::folder;
use mesh_xds_gen::Resources;
use mesh_xds_gen::cluster::clusters;

const CLUSTER: &str = "
kind: Pod
apiVersion: v1
metadata: {name: edge-0, namespace: edge, labels: {istio: edge}}
spec: {containers: [{name: istio-proxy, args: [proxy, router]}]}
status: {phase: Running, podIP: 10.0.0.1}
---
kind: Service
apiVersion: v1
metadata: {name: cart, namespace: edge}
spec: {clusterIP: 10.1.0.2, ports: [{name: http, port: 80}]}
";

/// The clusters of a gateway with this metadata, where calls of the service use this TLS.
fn sent(metadata: &[(&str, &str)], tls: &str) -> Resources {
    let rule = format!(
        "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: cart, namespace: edge}}, \
         spec: {{host: cart.edge.svc.cluster.local, trafficPolicy: {{tls: {{{tls}}}}}}}}}\n\
         ---\n{{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {{name: edge, namespace: edge}}, \
         spec: {{selector: {{istio: edge}}, servers: [{{hosts: ['*'], port: {{name: https, number: 443, protocol: HTTPS}}, \
         tls: {{mode: SIMPLE, credentialName: 'sds://own'}}}}]}}}}\n"
    );
    let (registry, diagnostics) = folder::load([
        ("clusters/c1/all.yaml", CLUSTER),
        ("config/all.yaml", &*rule),
        ("mesh.yaml", "connectTimeout: 3s\n"),
    ]);
    assert!(diagnostics.iter().all(|found| found.severity != Severity::Error), "{diagnostics:?}");
    let mesh = registry.mesh();
    let mut proxy = mesh.proxy("c1/edge/edge-0").unwrap();
    let more = metadata.iter().map(|(key, value)| ((*key).into(), Json::String((*value).into())));
    proxy.metadata.extend(more);
    Resources::new(&mesh.view(&proxy).unwrap())
}

/// Who serves a secret, and its name.
fn told(secret: &SdsSecretConfig) -> String {
    let source = secret.sds_config.as_ref().unwrap().config_source_specifier.as_ref().unwrap();
    let server = match source {
        ConfigSourceSpecifier::Ads(_) => "ads",
        ConfigSourceSpecifier::ApiConfigSource(api) => {
            match api.grpc_services.first().unwrap().target_specifier.as_ref().unwrap() {
                TargetSpecifier::EnvoyGrpc(grpc) => &grpc.cluster_name,
                TargetSpecifier::GoogleGrpc(_) => "",
            }
        }
        ConfigSourceSpecifier::Path(_)
        | ConfigSourceSpecifier::PathConfigSource(_)
        | ConfigSourceSpecifier::Self_(_) => "",
    };
    format!("{server} {}", secret.name)
}

/// The secrets of the service's cluster: certificate and authorities.
fn secrets(metadata: &[(&str, &str)], tls: &str) -> Vec<String> {
    let sent = sent(metadata, tls);
    let cluster = sent.clusters.iter().find(|cluster| cluster.name.starts_with("outbound|80"));
    let socket = match &cluster.unwrap().transport_socket {
        Some(socket) => socket,
        None => {
            let matches = &cluster.unwrap().transport_socket_matches;
            let user = matches.iter().find(|socket| socket.name == "user").unwrap();
            user.transport_socket.as_ref().unwrap()
        }
    };
    let transport_socket::ConfigType::TypedConfig(config) = socket.config_type.as_ref().unwrap();
    let context: UpstreamTlsContext = config.to_msg().unwrap();
    let common = context.common_tls_context.unwrap();
    let mut found: Vec<String> =
        common.tls_certificate_sds_secret_configs.iter().map(told).collect();
    if let Some(ValidationContextType::CombinedValidationContext(combined)) =
        common.validation_context_type
    {
        found.extend(combined.validation_context_sds_secret_config.iter().map(told));
    }
    found
}

const SOCKET: [(&str, &str); 1] = [("credential", "true")];

#[test]
fn a_credential_of_a_cluster_is_named_as_that_of_a_server() {
    for (name, expected) in [
        ("cc", ["ads kubernetes://cc", "ads kubernetes://cc-cacert"]),
        ("sds://cc", ["ads kubernetes://cc", "ads kubernetes://cc-cacert"]),
        ("builtin://", ["sds-grpc default", "sds-grpc ROOTCA"]),
        ("invalid://x", ["ads invalid://", "ads invalid://"]),
        ("kubernetes://a/cc", ["ads kubernetes://a/cc", "ads kubernetes://a/cc-cacert"]),
    ] {
        let tls = format!("mode: MUTUAL, credentialName: '{name}'");
        assert_eq!(secrets(&[], &tls), expected, "{name}");
    }
}

#[test]
fn a_proxy_with_a_socket_asks_it_for_external_credentials() {
    let tls = "mode: MUTUAL, credentialName: 'sds://cc'";
    assert_eq!(
        secrets(&SOCKET, tls),
        ["sds-external sds://cc", "sds-external sds://cc-cacert"],
        "with the scheme, which servers behind the socket expect"
    );
    let plain = "mode: SIMPLE, credentialName: cc";
    assert_eq!(secrets(&SOCKET, plain), ["ads kubernetes://cc-cacert"]);
}

#[test]
fn the_server_behind_the_socket_is_a_cluster() {
    let has_server = |sent: &Resources| sent.clusters.iter().any(|of| of.name == "sds-external");
    assert!(!has_server(&sent(&[], "mode: DISABLE")), "there is no socket");
    let sent = sent(&SOCKET, "mode: DISABLE");
    let server: &Cluster = sent.clusters.iter().find(|of| of.name == "sds-external").unwrap();
    let assignment = server.load_assignment.as_ref().unwrap();
    let endpoints = assignment.endpoints.iter().flat_map(|of| &of.lb_endpoints);
    let paths: Vec<&str> = endpoints
        .filter_map(|endpoint| match endpoint.host_identifier.as_ref()? {
            HostIdentifier::Endpoint(endpoint) => endpoint.address.as_ref()?.address.as_ref(),
            HostIdentifier::EndpointName(_) => None,
        })
        .filter_map(|address| match address {
            Address::Pipe(pipe) => Some(&*pipe.path),
            Address::SocketAddress(_) | Address::EnvoyInternalAddress(_) => None,
        })
        .collect();
    assert_eq!(paths, ["./var/run/secrets/credential-uds/socket"]);
    assert_eq!(server.alt_stat_name, "sds-external;");
    assert_eq!(server.connect_timeout.as_ref().unwrap().seconds, 3);
    let names: BTreeSet<&str> = sent.clusters.iter().map(|of| &*of.name).collect();
    assert_eq!(names.len(), sent.clusters.len());
}

#[test]
fn a_proxy_with_another_server_of_files_asks_it() {
    let tls = "mode: MUTUAL, clientCertificate: /c, privateKey: /k, caCertificates: /ca";
    assert_eq!(secrets(&[], tls), ["sds-grpc file-cert:/c~/k", "sds-grpc file-root:/ca"]);
    assert_eq!(
        secrets(&[("file-credential", "true")], tls),
        ["sds-files-grpc file-cert:/c~/k", "sds-files-grpc file-root:/ca"]
    );
    let own = [
        ("file-credential", "true"),
        ("TLS_CLIENT_CERT_CHAIN", "/own"),
        ("TLS_CLIENT_KEY", "/own-key"),
        ("TLS_CLIENT_ROOT_CERT", "/roots"),
    ];
    assert_eq!(
        secrets(&own, "mode: ISTIO_MUTUAL"),
        ["sds-files-grpc file-cert:/own~/own-key", "sds-files-grpc file-root:/roots"]
    );
}

#[test]
fn all_clusters_of_a_sidecar_know_the_socket_too() {
    let mut registry = Registry::new(Compat::default());
    let pod = "{kind: Pod, apiVersion: v1, metadata: {name: web-0, namespace: shop}, \
        spec: {containers: [{name: app}, {name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.9}}";
    let origin = Origin::of_path("clusters/c1/all.yaml").unwrap();
    let _ =
        registry.load([Source { origin, name: "clusters/c1/all.yaml".into(), text: pod.into() }]);
    let mesh = registry.mesh();
    let mut proxy = mesh.proxy("c1/shop/web-0").unwrap();
    proxy.metadata.insert("credential".into(), Json::String("true".into()));
    let found = clusters(&mesh.view(&proxy).unwrap());
    assert!(found.iter().any(|cluster| cluster.name == "sds-external"));
}
