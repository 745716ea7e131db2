//! The trees of permissions and principals.
use mesh_authz::matcher::{Form, MetadataTest, StringTest, ValueTest};
use mesh_authz::rbac::{
    Entry, HeaderTest, HeaderValue, Node, PathTest, PermissionTest, PrincipalTest,
};
use mesh_envoy_proto::envoy::config::core::v3::{CidrRange, TypedExtensionConfig};
use mesh_envoy_proto::envoy::config::rbac::v3::{Permission, Principal, permission, principal};
use mesh_envoy_proto::envoy::config::route::v3::{HeaderMatcher, header_matcher};
use mesh_envoy_proto::envoy::extensions::path::r#match::uri_template::v3::UriTemplateMatchConfig;
use mesh_envoy_proto::envoy::r#type::matcher::v3::{
    FilterStateMatcher, ListMatcher, MetadataMatcher, OrMatcher, PathMatcher, RegexMatcher,
    StringMatcher, ValueMatcher, filter_state_matcher, list_matcher, metadata_matcher,
    path_matcher, string_matcher, value_matcher,
};
use mesh_envoy_proto::pack;
use mesh_model::name::Cidr;

/// The peer's identity in the state of a connection inside a tunnel.
const PEER_PRINCIPAL: &str = "io.istio.peer_principal";

fn permission(rule: permission::Rule) -> Permission {
    Permission { rule: Some(rule) }
}

fn principal(identifier: principal::Identifier) -> Principal {
    Principal { identifier: Some(identifier) }
}

/// Nothing that can be asked for.
pub(super) fn no_permission() -> Permission {
    permission(permission::Rule::NotRule(Box::new(permission(permission::Rule::Any(true)))))
}

/// Nobody.
pub(super) fn no_principal() -> Principal {
    principal(principal::Identifier::NotId(Box::new(principal(principal::Identifier::Any(true)))))
}

/// All clauses of an entry; anything if there is none.
pub(super) fn permission_of_entry(entry: &Entry<PermissionTest>) -> Permission {
    let mut rules: Vec<Permission> =
        entry.clauses.iter().map(|clause| permission_of_node(&clause.node)).collect();
    if rules.is_empty() {
        rules.push(permission(permission::Rule::Any(true)));
    }
    permission(permission::Rule::AndRules(permission::Set { rules }))
}

/// All clauses of an entry; anybody if there is none.
pub(super) fn principal_of_entry(entry: &Entry<PrincipalTest>) -> Principal {
    let mut ids: Vec<Principal> =
        entry.clauses.iter().map(|clause| principal_of_node(&clause.node)).collect();
    if ids.is_empty() {
        ids.push(principal(principal::Identifier::Any(true)));
    }
    principal(principal::Identifier::AndIds(principal::Set { ids }))
}

/// The depth is that of compiled rules, a handful.
fn permission_of_node(node: &Node<PermissionTest>) -> Permission {
    let set = |nodes: &[Node<PermissionTest>]| permission::Set {
        rules: nodes.iter().map(permission_of_node).collect(),
    };
    permission(match node {
        Node::All(nodes) => permission::Rule::AndRules(set(nodes)),
        Node::AnyOf(nodes) => permission::Rule::OrRules(set(nodes)),
        Node::Not(node) => permission::Rule::NotRule(Box::new(permission_of_node(node))),
        Node::Test(test) => asked(test),
    })
}

/// The depth is that of compiled rules, a handful.
fn principal_of_node(node: &Node<PrincipalTest>) -> Principal {
    let set = |nodes: &[Node<PrincipalTest>]| principal::Set {
        ids: nodes.iter().map(principal_of_node).collect(),
    };
    principal(match node {
        Node::All(nodes) => principal::Identifier::AndIds(set(nodes)),
        Node::AnyOf(nodes) => principal::Identifier::OrIds(set(nodes)),
        Node::Not(node) => principal::Identifier::NotId(Box::new(principal_of_node(node))),
        Node::Test(test) => asks(test),
    })
}

fn asked(test: &PermissionTest) -> permission::Rule {
    match test {
        PermissionTest::Header(test) => permission::Rule::Header(header(test)),
        PermissionTest::UrlPath(test) => permission::Rule::UrlPath(PathMatcher {
            rule: Some(path_matcher::Rule::Path(string(test))),
        }),
        PermissionTest::UriTemplate(test) => permission::Rule::UriTemplate(template(test)),
        PermissionTest::DestinationPort(port) => permission::Rule::DestinationPort((*port).into()),
        PermissionTest::DestinationIp(range) => permission::Rule::DestinationIp(cidr(range)),
        PermissionTest::ServerName(test) => permission::Rule::RequestedServerName(string(test)),
        PermissionTest::Metadata(test) => permission::Rule::Metadata(metadata(test)),
    }
}

fn asks(test: &PrincipalTest) -> principal::Identifier {
    match test {
        PrincipalTest::Authenticated(test) => {
            principal::Identifier::Authenticated(principal::Authenticated {
                principal_name: Some(string(test)),
            })
        }
        PrincipalTest::PeerPrincipal(test) => {
            principal::Identifier::FilterState(FilterStateMatcher {
                key: PEER_PRINCIPAL.to_owned(),
                matcher: Some(filter_state_matcher::Matcher::StringMatch(string(test))),
            })
        }
        PrincipalTest::DirectRemoteIp(range) => principal::Identifier::DirectRemoteIp(cidr(range)),
        PrincipalTest::RemoteIp(range) => principal::Identifier::RemoteIp(cidr(range)),
        PrincipalTest::Header(test) => principal::Identifier::Header(header(test)),
        PrincipalTest::Metadata(test) => principal::Identifier::Metadata(metadata(test)),
    }
}

fn template(test: &PathTest) -> TypedExtensionConfig {
    let path_template = match test {
        PathTest::Template(template) => template.as_envoy().to_owned(),
        PathTest::Refused { text, .. } => text.to_string(),
    };
    TypedExtensionConfig {
        name: "uri-template".to_owned(),
        typed_config: Some(pack(&UriTemplateMatchConfig { path_template })),
    }
}

fn header(test: &HeaderTest) -> HeaderMatcher {
    use header_matcher::HeaderMatchSpecifier::{PresentMatch, StringMatch};
    let specifier = match &test.value {
        HeaderValue::Present => PresentMatch(true),
        HeaderValue::Text(test) => StringMatch(string(test)),
    };
    HeaderMatcher {
        name: test.name.to_string(),
        header_match_specifier: Some(specifier),
        ..HeaderMatcher::default()
    }
}

fn string(test: &StringTest) -> StringMatcher {
    use string_matcher::MatchPattern;
    let pattern = match &test.form {
        Form::Exact(text) => MatchPattern::Exact(text.to_string()),
        Form::Prefix(text) => MatchPattern::Prefix(text.to_string()),
        Form::Suffix(text) => MatchPattern::Suffix(text.to_string()),
        Form::Pattern(pattern) => MatchPattern::SafeRegex(RegexMatcher {
            regex: pattern.regex(),
            ..RegexMatcher::default()
        }),
    };
    StringMatcher { ignore_case: test.ignore_case, match_pattern: Some(pattern) }
}

fn metadata(test: &MetadataTest) -> MetadataMatcher {
    use metadata_matcher::{PathSegment, path_segment::Segment};
    let segment = |key: &str| PathSegment { segment: Some(Segment::Key(key.to_owned())) };
    MetadataMatcher {
        filter: test.filter.to_string(),
        path: test.path.iter().map(|key| segment(key)).collect(),
        value: Some(value(&test.value)),
        ..MetadataMatcher::default()
    }
}

/// The depth is that of compiled rules, at most four.
fn value(test: &ValueTest) -> ValueMatcher {
    use value_matcher::MatchPattern;
    let pattern = match test {
        ValueTest::Text(test) => MatchPattern::StringMatch(string(test)),
        ValueTest::ListContains(test) => MatchPattern::ListMatch(Box::new(ListMatcher {
            match_pattern: Some(list_matcher::MatchPattern::OneOf(Box::new(value(test)))),
        })),
        ValueTest::AnyOf(tests) => {
            MatchPattern::OrMatch(OrMatcher { value_matchers: tests.iter().map(value).collect() })
        }
    };
    ValueMatcher { match_pattern: Some(pattern) }
}

fn cidr(range: &Cidr) -> CidrRange {
    CidrRange {
        address_prefix: range.address().to_string(),
        prefix_len: Some(range.prefix_len().into()),
    }
}
