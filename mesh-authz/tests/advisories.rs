//! What was once let through, or looks as if it were kept out: upstream's advisories and edge cases.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "helpers of tests may fail like tests")]
use std::net::IpAddr;
use std::sync::Arc;

use mesh_authz::compile::ProviderKind;
use mesh_authz::identity::Peer;
use mesh_authz::matcher::{PathNormalization, PathOptions};
use mesh_authz::{
    Authorizer, Connection, Environment, Header, Http, Policies, Request, Verdict, Workload,
};
use mesh_model::compat::EnvoyFeatures;
use mesh_model::manifest::{Limits, read};
use mesh_model::name::Namespace;
use mesh_model::resource::{self, AuthorizationPolicy, Resource};

/// The policy of one rule, in YAML's flow style.
fn policy(action: &str, rule: &str) -> AuthorizationPolicy {
    let yaml = format!(
        "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p, \
         namespace: shop}}, spec: {{action: {action}, rules: [{rule}]}}}}"
    );
    let reading = read("test", yaml.as_bytes(), &Limits::default());
    match resource::decode(&reading.documents[0].node, &Arc::from("test"), "shop").resource {
        Some(Resource::AuthorizationPolicy(policy)) => policy,
        _ => panic!("{yaml}"),
    }
}

/// What varies between requests.
#[derive(Clone, Copy)]
struct Sent<'s> {
    path: &'s str,
    host: &'s str,
    headers: &'s [Header<'s>],
    peer: Option<Peer<'s>>,
    remote_ip: Option<IpAddr>,
    is_http: bool,
}

const SENT: Sent<'static> =
    Sent { path: "/", host: "cart.shop", headers: &[], peer: None, remote_ip: None, is_http: true };

/// Whether a request passes the only policy.
fn check_at(
    normalization: PathNormalization,
    policy: &AuthorizationPolicy,
    sent: Sent<'_>,
) -> bool {
    let environment = Environment {
        paths: PathOptions { normalization, ..PathOptions::default() },
        ..Environment::default()
    };
    check_in(&environment, policy, sent)
}

/// Whether a request passes the only policy, with what the mesh says and which proxy decides.
fn check_in(environment: &Environment, policy: &AuthorizationPolicy, sent: Sent<'_>) -> bool {
    let workload = Workload { namespace: Namespace::from("shop"), ..Workload::default() };
    let policies = Policies { understood: vec![policy], broken: Vec::new() };
    let authorizer = Authorizer::new(&policies, &workload, environment);
    let request = Request {
        connection: Connection {
            source_ip: [10, 0, 0, 1].into(),
            remote_ip: sent.remote_ip,
            destination_ip: [10, 0, 0, 2].into(),
            destination_port: 8080,
            peer: sent.peer,
            sni: None,
        },
        http: sent.is_http.then_some(Http {
            method: "GET",
            authority: Some(sent.host),
            path: sent.path,
            headers: sent.headers,
            payload: None,
        }),
        metadata: None,
    };
    let decision = authorizer.decide(&request);
    assert_eq!(authorizer.explain(&request).decision, decision);
    decision.is_allowed()
}

/// The same with a proxy of an older release.
fn check_older(
    action: &str,
    rule: &str,
    sent: Sent<'_>,
    older: impl FnOnce(&mut EnvoyFeatures),
) -> bool {
    let mut environment = Environment::default();
    older(&mut environment.compat.envoy);
    check_in(&environment, &policy(action, rule), sent)
}

fn check(action: &str, rule: &str, sent: Sent<'_>) -> bool {
    check_at(PathNormalization::Base, &policy(action, rule), sent)
}

fn path(path: &str) -> Sent<'_> {
    Sent { path, ..SENT }
}

const DENY_ADMIN: &str = "{to: [{operation: {paths: [/admin, '/admin/*']}}]}";

/// CVE-2021-31920: several slashes are one only where paths are normalized so.
#[test]
fn several_slashes_are_one_where_they_are_merged() {
    let policy = policy("DENY", DENY_ADMIN);
    assert!(check_at(PathNormalization::Base, &policy, path("//admin")));
    assert!(!check_at(PathNormalization::MergeSlashes, &policy, path("//admin")));
    assert!(!check_at(PathNormalization::MergeSlashes, &policy, path("/admin//x")));
}

/// CVE-2021-29492: an escaped slash is a slash only where paths are normalized so.
#[test]
fn an_escaped_slash_is_a_slash_where_it_is_decoded() {
    let policy = policy("DENY", DENY_ADMIN);
    for escaped in ["/x/..%2Fadmin", "/x/..%2fadmin", "/x/..%5Cadmin"] {
        assert!(check_at(PathNormalization::MergeSlashes, &policy, path(escaped)), "{escaped}");
        assert!(
            !check_at(PathNormalization::DecodeAndMergeSlashes, &policy, path(escaped)),
            "{escaped}"
        );
    }
}

/// Dot segments and escaped letters do not lead around a rule.
#[test]
fn dots_and_escaped_letters_are_resolved() {
    for written in ["/x/../admin", "/./admin", "/%61dmin", "/x/%2e%2e/admin", "/x\\..\\admin"] {
        assert!(!check("DENY", DENY_ADMIN, path(written)), "{written}");
    }
}

/// The releases of September 2026: parameters do not hide a dot segment.
#[test]
fn a_dot_segment_with_parameters_is_one() {
    assert!(!check("DENY", DENY_ADMIN, path("/x/..;a=b/admin")));
    let older = |envoy: &mut EnvoyFeatures| envoy.strip_dotdot_segments_with_parameters = false;
    assert!(check_older("DENY", DENY_ADMIN, path("/x/..;a=b/admin"), older));
}

/// The releases of September 2026: where routes see no parameters, rules see none either.
#[test]
fn parameters_do_not_hide_a_path_that_is_routed_without_them() {
    let mut environment = Environment::default();
    assert!(check_in(&environment, &policy("DENY", DENY_ADMIN), path("/admin;x=1")));
    environment.paths.ignores_parameters = true;
    for written in ["/admin;x=1", "/admin;x=1/y?z", "/x/../admin;/", "/admin;"] {
        assert!(!check_in(&environment, &policy("DENY", DENY_ADMIN), path(written)), "{written}");
    }
    let raw = "{when: [{key: 'request.headers[:path]', values: ['/admin;x=1']}]}";
    assert!(!check_in(&environment, &policy("DENY", raw), path("/admin;x=1")));
    environment.compat.envoy.rbac_respect_ignore_path_parameters = false;
    assert!(check_in(&environment, &policy("DENY", DENY_ADMIN), path("/admin;x=1")));
}

/// CVE-2021-32779: a fragment is refused rather than matched.
#[test]
fn a_fragment_is_refused() {
    assert!(!check("DENY", DENY_ADMIN, path("/other#/x")));
    assert!(!check("ALLOW", "{}", path("/admin#x")));
}

/// A null byte, written or escaped, is refused.
#[test]
fn a_null_byte_is_refused() {
    assert!(!check("ALLOW", "{}", path("/a%00b")));
    assert!(!check("ALLOW", "{}", path("/a\0b")));
}

/// CVE-2021-39155: hosts match in any case.
#[test]
fn a_host_matches_in_any_case() {
    let rule = "{to: [{operation: {hosts: [Cart.Shop]}}]}";
    assert!(!check("DENY", rule, Sent { host: "cart.shop", ..SENT }));
    assert!(!check("DENY", rule, Sent { host: "CART.SHOP", ..SENT }));
}

/// A host without a port does not mean the one with a port, and a final dot makes another host.
#[test]
fn a_host_is_matched_with_its_port() {
    let rule = "{to: [{operation: {hosts: [cart.shop]}}]}";
    assert!(check("DENY", rule, Sent { host: "cart.shop:8080", ..SENT }));
    assert!(check("DENY", rule, Sent { host: "cart.shop.", ..SENT }));
    let rule = "{to: [{operation: {hosts: [cart.shop, 'cart.shop:*']}}]}";
    assert!(!check("DENY", rule, Sent { host: "cart.shop:8080", ..SENT }));
}

/// CVE-2025-46821: a star in a path is matched by a template's operator.
#[test]
fn a_star_in_a_path_matches_a_template() {
    assert!(!check("DENY", "{to: [{operation: {paths: ['/x/{*}']}}]}", path("/x/*")));
    assert!(!check("DENY", "{to: [{operation: {paths: ['/x/{**}']}}]}", path("/x/a*/b")));
    let older = |envoy: &mut EnvoyFeatures| envoy.uri_template_matches_star = false;
    for (template, sent) in [("/x/{*}", "/x/*"), ("/x/{**}", "/x/a*/b")] {
        let rule = format!("{{to: [{{operation: {{paths: ['{template}']}}}}]}}");
        assert!(check_older("DENY", &rule, path(sent), older), "{template}");
    }
}

/// Each line of a header is matched by itself, so that a second line neither hides nor makes a match.
#[test]
fn a_second_line_of_a_header_does_not_hide_the_first() {
    let rule = "{when: [{key: 'request.headers[x-role]', values: [guest]}]}";
    let lines = |values: [&'static str; 2]| {
        values.map(|value| Header { name: "X-Role", value: value.as_bytes() })
    };
    assert!(!check("DENY", rule, Sent { headers: &lines(["guest", "admin"]), ..SENT }));
    assert!(!check("DENY", rule, Sent { headers: &lines(["admin", "guest"]), ..SENT }));
    assert!(check("DENY", rule, Sent { headers: &lines(["admin", "guest,x"]), ..SENT }));
    // Before, the lines were one text: `guest,admin` is no `guest`.
    let older = |envoy: &mut EnvoyFeatures| envoy.rbac_match_headers_individually = false;
    let two = lines(["guest", "admin"]);
    assert!(check_older("DENY", rule, Sent { headers: &two, ..SENT }, older));
    assert!(!check_older("DENY", rule, Sent { headers: &two[..1], ..SENT }, older));
    let joined = "{when: [{key: 'request.headers[x-role]', values: ['guest,admin']}]}";
    assert!(!check_older("DENY", joined, Sent { headers: &two, ..SENT }, older));
    let there = "{when: [{key: 'request.headers[x-role]', values: ['*']}]}";
    assert!(!check_older("DENY", there, Sent { headers: &two, ..SENT }, older));
    assert!(check_older("DENY", there, SENT, older));
}

/// A caller that leaves the host among the headers does not lead around rules on hosts.
#[test]
fn a_host_among_the_headers_is_the_host() {
    let among = |hosts: &[&'static str], policies: usize| {
        let rule = "{to: [{operation: {hosts: [Cart.shop]}}]}";
        let mut all = vec![policy("DENY", rule)];
        // Enough others that it is found through the index.
        all.extend((1..policies).map(|at| {
            let other = format!("{{to: [{{operation: {{hosts: [h{at}.shop]}}}}]}}");
            let mut other = policy("DENY", &other);
            other.meta.name = format!("p{at}").into();
            other
        }));
        let lines: Vec<Header<'_>> =
            hosts.iter().map(|host| Header { name: "Host", value: host.as_bytes() }).collect();
        let workload = Workload { namespace: Namespace::from("shop"), ..Workload::default() };
        let policies = Policies { understood: all.iter().collect(), broken: Vec::new() };
        let authorizer = Authorizer::new(&policies, &workload, &Environment::default());
        let connection = Connection {
            source_ip: [10, 0, 0, 1].into(),
            remote_ip: None,
            destination_ip: [10, 0, 0, 2].into(),
            destination_port: 8080,
            peer: None,
            sni: None,
        };
        let http =
            Http { method: "GET", authority: None, path: "/", headers: &lines, payload: None };
        let request = Request { connection, http: Some(http), metadata: None };
        authorizer.decide(&request).is_allowed()
    };
    for policies in [1, 20] {
        assert!(!among(&["cart.SHOP"], policies));
        assert!(!among(&[" cart.shop", ""], policies));
        assert!(among(&["other.shop"], policies) && among(&[], policies));
        assert!(among(&["cart.shop", "other.shop"], policies));
    }
}

/// Lines of a header that proxies themselves work with are one text before any policy is asked: there a
/// second line does hide the first, with every release. A prefix and a suffix see one each.
#[test]
fn a_second_line_of_a_header_that_proxies_keep_as_one_text_hides_the_first() {
    let rule = |value: &str| {
        format!("{{when: [{{key: 'request.headers[User-Agent]', values: ['{value}']}}]}}")
    };
    let lines = |values: [&'static str; 3]| {
        values.map(|value| Header { name: "user-agent", value: value.as_bytes() })
    };
    let (bad, none) = (lines(["", "bad", " good "]), lines(["", "", ""]));
    let releases: [fn(&mut EnvoyFeatures); 2] =
        [|_| {}, |older| older.rbac_match_headers_individually = false];
    for release in releases {
        let is_denied = |value: &str, headers: &[Header<'_>]| {
            !check_older("DENY", &rule(value), Sent { headers, ..SENT }, release)
        };
        assert!(is_denied("bad", &bad[..2]) && is_denied("good", &bad[2..]));
        assert!(!is_denied("bad", &bad) && !is_denied("good", &bad));
        // An empty line leaves no comma.
        for value in ["bad,good", "bad*", "*good", "*"] {
            assert!(is_denied(value, &bad), "{value}");
        }
        assert!(is_denied("*", &none) && !is_denied(",*", &none));
    }
}

/// Names of headers match in any case, those of pseudo-headers, too.
#[test]
fn the_name_of_a_pseudo_header_is_known_in_any_case() {
    for name in [":path", ":Path", ":PATH"] {
        let rule = format!("{{when: [{{key: 'request.headers[{name}]', values: ['/a*']}}]}}");
        assert!(!check("DENY", &rule, path("/a?x")), "{name}");
        assert!(check("DENY", &rule, path("/b")), "{name}");
    }
    for name in ["host", "HOST", ":Authority"] {
        let rule = format!("{{when: [{{key: 'request.headers[{name}]', values: ['cart.shop']}}]}}");
        assert!(!check("DENY", &rule, SENT), "{name}");
    }
}

/// A socket of both families shows an IPv4 client as `::ffff:10.0.0.1`: proxies see the IPv4 address.
#[test]
fn an_ipv4_client_of_a_socket_of_both_families_is_one() {
    let mapped = |rule: &str| {
        let policy = policy("DENY", rule);
        let policies = Policies { understood: vec![&policy], broken: Vec::new() };
        let workload = Workload { namespace: Namespace::from("shop"), ..Workload::default() };
        let authorizer = Authorizer::new(&policies, &workload, &Environment::default());
        let connection = Connection {
            source_ip: "::ffff:10.0.0.1".parse().unwrap(),
            remote_ip: None,
            destination_ip: "::ffff:10.0.0.2".parse().unwrap(),
            destination_port: 8080,
            peer: None,
            sni: None,
        };
        authorizer.decide(&Request { connection, http: None, metadata: None }).is_allowed()
    };
    assert!(!mapped("{from: [{source: {ipBlocks: [10.0.0.1]}}]}"));
    assert!(!mapped("{from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]}"));
    assert!(!mapped("{when: [{key: destination.ip, values: [10.0.0.2]}]}"));
    assert!(mapped("{from: [{source: {ipBlocks: ['::/0']}}]}"));
}

/// An external authorizer is asked where the policy that matched last has a name that begins with the
/// provider's: `a-ns` is asked about what only the policies of `a` mean, `a-x` is not.
#[test]
fn a_provider_is_asked_by_the_beginning_of_a_name() {
    let custom = |provider: &str, path: &str| {
        let rule = format!("{{to: [{{operation: {{paths: ['{path}']}}}}]}}");
        policy(&format!("CUSTOM, provider: {{name: {provider}}}"), &rule)
    };
    let all = [custom("a", "/a"), custom("a-ns", "/b"), custom("a-x", "/c")];
    let mut environment = Environment::default();
    environment.compat.flags.pilot_enable_multiple_custom_authz_providers = true;
    let providers = ["a", "a-ns", "a-x"].map(|name| (Box::from(name), ProviderKind::Grpc));
    environment.providers = providers.into();
    let policies = Policies { understood: all.iter().collect(), broken: Vec::new() };
    let workload = Workload { namespace: Namespace::from("shop"), ..Workload::default() };
    let authorizer = Authorizer::new(&policies, &workload, &environment);
    for (path, expected) in [("/a", "a a-ns"), ("/b", "a-ns"), ("/c", "a-x"), ("/d", "")] {
        let connection = Connection {
            source_ip: [10, 0, 0, 1].into(),
            remote_ip: None,
            destination_ip: [10, 0, 0, 2].into(),
            destination_port: 8080,
            peer: None,
            sni: None,
        };
        let http = Http { method: "GET", authority: None, path, headers: &[], payload: None };
        let request = Request { connection, http: Some(http), metadata: None };
        let mut asked = Vec::new();
        let decision = authorizer.decide_asking(&request, |check| {
            asked.push(check.provider);
            Verdict::Allow
        });
        assert!(decision.is_allowed());
        assert_eq!(asked.join(" "), expected, "{path}");
    }
}

/// What Go reads as no range drops an ALLOW rule, rather than to mean another range.
#[test]
fn a_range_with_leading_zeros_is_none() {
    for range in ["10.0.0.0/08", "010.0.0.0/8", "10.0.0.0/+8"] {
        let rule = format!("{{from: [{{source: {{ipBlocks: ['{range}']}}}}]}}");
        assert!(!check("ALLOW", &rule, SENT), "{range}");
    }
}

/// `ports` are those of the workload, whichever port of a service led there: the request goes to 8080.
#[test]
fn ports_are_those_of_the_workload() {
    for is_http in [true, false] {
        let sent = Sent { is_http, ..SENT };
        assert!(!check("DENY", "{to: [{operation: {ports: ['8080']}}]}", sent));
        assert!(check("DENY", "{to: [{operation: {ports: ['80']}}]}", sent));
        assert!(!check("ALLOW", "{to: [{operation: {ports: ['80']}}]}", sent));
        assert!(!check("ALLOW", "{when: [{key: destination.port, values: ['80']}]}", sent));
        assert!(check("ALLOW", "{when: [{key: destination.port, values: ['8080']}]}", sent));
    }
}

/// `/a`, `/a/` and `/abc` are three paths, and case counts.
#[test]
fn a_final_slash_and_case_count() {
    let exact = "{to: [{operation: {paths: [/a]}}]}";
    assert!(!check("DENY", exact, path("/a")));
    assert!(!check("DENY", exact, path("/a?x=1")));
    assert!(check("DENY", exact, path("/a/")));
    assert!(check("DENY", exact, path("/A")));
    assert!(!check("DENY", "{to: [{operation: {paths: ['/a*']}}]}", path("/abc")));
}

fn peer<'s>(uri_sans: &'s [&'s str]) -> Sent<'s> {
    Sent { peer: Some(Peer { uri_sans, ..Peer::default() }), ..SENT }
}

/// A negative match is true of who has no identity at all: prefer DENY.
#[test]
fn a_negative_match_of_allow_admits_plain_text() {
    assert!(check("ALLOW", "{from: [{source: {notPrincipals: [td/ns/a/sa/b]}}]}", SENT));
    assert!(!check("DENY", "{from: [{source: {notPrincipals: [td/ns/a/sa/b]}}]}", SENT));
    assert!(check("ALLOW", "{from: [{source: {notNamespaces: [a]}}]}", SENT));
}

/// `*` means any name of a certificate, `*/ns/…` one of a mesh.
#[test]
fn any_principal_is_any_name() {
    let any = "{from: [{source: {principals: ['*']}}]}";
    let foreign = Peer { dns_sans: &["example.com"], ..Peer::default() };
    assert!(check("ALLOW", any, Sent { peer: Some(foreign), ..SENT }));
    let of_mesh = "{from: [{source: {principals: ['*/ns/a/sa/b']}}]}";
    assert!(!check("ALLOW", of_mesh, peer(&["https://td/ns/a/sa/b"])));
    assert!(check("ALLOW", of_mesh, peer(&["spiffe://td/ns/a/sa/b"])));
}

/// TLS without a client certificate is nobody.
#[test]
fn a_peer_without_a_certificate_has_no_principal() {
    let any = "{from: [{source: {principals: ['*']}}]}";
    assert!(!check("ALLOW", any, Sent { peer: Some(Peer::default()), ..SENT }));
}

/// The scheme is added to what is written.
#[test]
fn a_principal_with_its_scheme_matches_nobody() {
    let rule = "{from: [{source: {principals: ['spiffe://td/ns/a/sa/b']}}]}";
    assert!(!check("ALLOW", rule, peer(&["spiffe://td/ns/a/sa/b"])));
}

/// A namespace is one of the identity's segments, not a part of another one.
#[test]
fn a_namespace_is_a_whole_segment() {
    let rule = "{from: [{source: {namespaces: [prod]}}]}";
    assert!(check("ALLOW", rule, peer(&["spiffe://td/ns/prod/sa/b"])));
    assert!(!check("ALLOW", rule, peer(&["spiffe://td/ns/preprod/sa/b"])));
    assert!(!check("ALLOW", rule, peer(&["spiffe://td/ns/prod-x/sa/b"])));
}

/// Behind a gateway the direct peer is the gateway.
#[test]
fn ip_blocks_see_the_last_hop() {
    let sent = Sent { remote_ip: Some([203, 0, 113, 9].into()), ..SENT };
    let direct = "{from: [{source: {ipBlocks: [203.0.113.0/24]}}]}";
    let original = "{from: [{source: {remoteIpBlocks: [203.0.113.0/24]}}]}";
    assert!(!check("ALLOW", direct, sent));
    assert!(check("ALLOW", original, sent));
}

/// Families never match each other, so a list of all of one does not mean the other.
#[test]
fn all_addresses_of_one_family_are_not_all_addresses() {
    let sent = Sent { remote_ip: "2001:db8::1".parse().ok(), ..SENT };
    assert!(check("DENY", "{from: [{source: {remoteIpBlocks: [0.0.0.0/0]}}]}", sent));
    assert!(!check("DENY", "{from: [{source: {notRemoteIpBlocks: [0.0.0.0/0]}}]}", sent));
}

/// DENY with fields of HTTP only means every connection that is not HTTP; ALLOW means none.
#[test]
fn http_fields_mean_all_or_nothing_on_tcp() {
    let tcp = Sent { is_http: false, ..SENT };
    assert!(!check("DENY", DENY_ADMIN, tcp));
    assert!(!check("ALLOW", DENY_ADMIN, tcp));
    let with_port = "{to: [{operation: {paths: [/admin], ports: ['9999']}}]}";
    assert!(check("DENY", with_port, tcp));
}

/// CVE-2020-16844: a suffix of principals or namespaces is tested on connections too.
#[test]
fn a_suffix_of_a_principal_counts_on_tcp() {
    let tcp = Sent { is_http: false, ..peer(&["spiffe://td/ns/a/sa/some-suffix"]) };
    assert!(!check("DENY", "{from: [{source: {principals: ['*-suffix']}}]}", tcp));
    assert!(check("DENY", "{from: [{source: {principals: ['*-other']}}]}", tcp));
    assert!(!check("DENY", "{from: [{source: {namespaces: ['*a']}}]}", tcp));
}

/// CVE-2020-8595: what follows `?` does not hide a path that is named exactly.
#[test]
fn a_query_does_not_hide_a_path() {
    assert!(!check("DENY", DENY_ADMIN, path("/admin?x")));
    assert!(!check("DENY", DENY_ADMIN, path("/admin/?x=/y")));
    assert!(!check("DENY", DENY_ADMIN, path("/admin?x#y")));
}

/// The releases of September 2026: bytes that are no UTF-8 do not keep an expression from matching.
#[test]
fn a_value_that_is_no_text_matches_any_value() {
    let rule = "{when: [{key: 'request.headers[x-role]', values: ['gu*']}]}";
    let headers = [Header { name: "x-role", value: b"gu\xff\xfe" }];
    assert!(!check("DENY", rule, Sent { headers: &headers, ..SENT }));
}
