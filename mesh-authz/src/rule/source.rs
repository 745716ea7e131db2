//! Who asks: the fields of `source`.
use mesh_model::resource::Source;

use super::value::{self, Unusable};
use super::{Compiler, Context, Dropped};
use crate::identity::TrustBundle;
use crate::matcher::{Form, MetadataTest, Pattern, StringTest, ValueTest};
use crate::rbac::{Clause, Node, Place, PrincipalTest};
use crate::request::{JWT_FILTER, JWT_PAYLOAD};

type Rewrite = fn(&TrustBundle, &[Box<str>]) -> Vec<Box<str>>;

/// A list that is longer than this is not rewritten once more.
const MOST_REPEATED: usize = 256;

type Clauses = Vec<Clause<PrincipalTest>>;
type Lists<'l> = [&'l [Box<str>]; 2];

/// Compiles the fields in the order in which istiod writes them.
pub(super) fn clauses(
    compiler: &mut Compiler<'_>,
    source: &Source,
    clauses: &mut Clauses,
) -> Result<(), Dropped> {
    let place = Place::Source;
    let lists: Lists<'_> = [&source.principals, &source.not_principals];
    principals(compiler, &place("principals"), lists, clauses)?;
    let lists: Lists<'_> = [&source.request_principals, &source.not_request_principals];
    compiler.together(&place("requestPrincipals"), lists, clauses, request_principals)?;
    let lists: Lists<'_> = [&source.service_accounts, &source.not_service_accounts];
    service_accounts(compiler, &place("serviceAccounts"), lists, clauses)?;
    let lists: Lists<'_> = [&source.trust_domains, &source.not_trust_domains];
    trust_domains(compiler, &place("trustDomains"), lists, clauses)?;
    let lists: Lists<'_> = [&source.namespaces, &source.not_namespaces];
    namespaces(compiler, &place("namespaces"), lists, clauses)?;
    let lists: Lists<'_> = [&source.remote_ip_blocks, &source.not_remote_ip_blocks];
    compiler.each(&place("remoteIpBlocks"), lists, clauses, |_, value, _| {
        value::range(value).map(PrincipalTest::RemoteIp)
    })?;
    let lists: Lists<'_> = [&source.ip_blocks, &source.not_ip_blocks];
    compiler.each(&place("ipBlocks"), lists, clauses, |_, value, _| {
        value::range(value).map(PrincipalTest::DirectRemoteIp)
    })
}

/// `principals`, `source.principal`.
pub(super) fn principals(
    compiler: &mut Compiler<'_>,
    place: &Place,
    lists: Lists<'_>,
    clauses: &mut Clauses,
) -> Result<(), Dropped> {
    let rewritten = rewritten(compiler, lists, TrustBundle::rewrite_principals);
    each_principal(compiler, place, &rewritten, clauses)
}

/// `source.principal`, which stands beside each entry of `from`: upstream rewrites the one list once for
/// each of them, so that values repeat. Repeating decides nothing; where it goes on and on it ends here.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/security/authz/model/model.go` `MigrateTrustDomain`, `copy`.
pub(super) fn shared_principals(
    compiler: &mut Compiler<'_>,
    place: &Place,
    lists: Lists<'_>,
    clauses: &mut Clauses,
) -> Result<(), Dropped> {
    let mut values = lists.map(<[Box<str>]>::to_vec);
    for _ in 0..compiler.sources {
        let [positive, negative] = &values;
        values = rewritten(compiler, [positive, negative], TrustBundle::rewrite_principals);
        if values.iter().any(|list| list.len() > MOST_REPEATED) {
            break;
        }
    }
    each_principal(compiler, place, &values, clauses)
}

fn each_principal(
    compiler: &mut Compiler<'_>,
    place: &Place,
    rewritten: &[Vec<Box<str>>; 2],
    clauses: &mut Clauses,
) -> Result<(), Dropped> {
    compiler.each(place, [&rewritten[0], &rewritten[1]], clauses, |context, value, _| {
        Ok(context.identity(value::principal(value)))
    })
}

/// The lists with what stands for the trust domains of the mesh.
fn rewritten(compiler: &Compiler<'_>, lists: Lists<'_>, rewrite: Rewrite) -> [Vec<Box<str>>; 2] {
    lists.map(|values| match compiler.context.trust {
        Some(trust) => rewrite(trust, values),
        None => values.to_vec(),
    })
}

/// `serviceAccounts`, `source.serviceAccount`.
pub(super) fn service_accounts(
    compiler: &mut Compiler<'_>,
    place: &Place,
    lists: Lists<'_>,
    clauses: &mut Clauses,
) -> Result<(), Dropped> {
    compiler.each(place, lists, clauses, |context, value, _| {
        Ok(context.identity(value::service_account(value, context.namespace)))
    })
}

/// `trustDomains`, `source.trustDomain`.
pub(super) fn trust_domains(
    compiler: &mut Compiler<'_>,
    place: &Place,
    lists: Lists<'_>,
    clauses: &mut Clauses,
) -> Result<(), Dropped> {
    let rewritten = rewritten(compiler, lists, TrustBundle::rewrite_trust_domains);
    compiler.each(place, [&rewritten[0], &rewritten[1]], clauses, |context, value, _| {
        Ok(context.identity(value::trust_domain(value)))
    })
}

/// `namespaces`, `source.namespace`.
pub(super) fn namespaces(
    compiler: &mut Compiler<'_>,
    place: &Place,
    lists: Lists<'_>,
    clauses: &mut Clauses,
) -> Result<(), Dropped> {
    compiler.each(place, lists, clauses, |context, value, _| {
        Ok(context.identity(Form::Pattern(Pattern::namespace(value))))
    })
}

/// `requestPrincipals`, `request.auth.principal`: one value by itself, several as alternatives.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/security/authz/model/generator.go` `requestPrincipalGenerator`.
pub(super) fn request_principals(
    context: &Context<'_>,
    values: &[Box<str>],
) -> Result<Node<PrincipalTest>, Unusable> {
    context.http()?;
    let mut nodes: Vec<_> = values
        .iter()
        .map(|value| {
            let (issuer, subject) = issuer_and_subject(value);
            let test = |claim: &str, test: StringTest| {
                Node::Test(PrincipalTest::Metadata(MetadataTest {
                    filter: JWT_FILTER.into(),
                    path: [JWT_PAYLOAD.into(), claim.into()].into(),
                    value: ValueTest::Text(test),
                }))
            };
            Node::All([test("iss", issuer), test("sub", subject)].into())
        })
        .collect();
    Ok(match (nodes.len(), nodes.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            nodes.extend(last);
            Node::AnyOf(nodes.into())
        }
    })
}

/// What the issuer and the subject of a token must be: the value is cut at its last slash, since an
/// issuer may be an URL, and a star counts at either end of the whole value only.
fn issuer_and_subject(value: &str) -> (StringTest, StringTest) {
    let any = || StringTest::from(Form::Pattern(Pattern::NonEmpty));
    let suffix = |text: &str| StringTest::from(Form::Suffix(text.into()));
    let prefix = |text: &str| StringTest::from(Form::Prefix(text.into()));
    let exact = StringTest::exact;
    let cut = value.rsplit_once('/');
    if value == "*" {
        return (any(), any());
    }
    if let Some(rest) = value.strip_prefix('*') {
        return match cut {
            Some(("*", subject)) => (any(), exact(subject)),
            Some((issuer, subject)) => {
                (suffix(issuer.strip_prefix('*').unwrap_or(issuer)), exact(subject))
            }
            None => (any(), suffix(rest)),
        };
    }
    if let Some(rest) = value.strip_suffix('*') {
        return match cut {
            Some((issuer, "*")) => (exact(issuer), any()),
            Some((issuer, subject)) => {
                (exact(issuer), prefix(subject.strip_suffix('*').unwrap_or(subject)))
            }
            None => (prefix(rest), any()),
        };
    }
    let (issuer, subject) = cut.unwrap_or((value, ""));
    (exact(issuer), exact(subject))
}

#[cfg(test)]
mod tests {
    use mesh_model::compat::EnvoyFeatures;
    use mesh_model::name::TrustDomain;
    use mesh_model::resource::{Condition, From, Rule};

    use super::*;
    use crate::identity::IdentitySource;
    use crate::rbac::Body;
    use crate::rule::Context;

    /// How many values a condition on principals has in each entry of a rule.
    fn check(sources: usize, trust_domains: &[&str], expected: &[usize]) {
        let trust_domains = trust_domains.iter().copied().map(TrustDomain::from).collect();
        let trust = TrustBundle { trust_domains };
        let mut compiler = Compiler::new(Context {
            is_tcp: false,
            is_allow: true,
            identity: IdentitySource::Certificate,
            trust: Some(&trust),
            namespace: "a",
            envoy: EnvoyFeatures::default(),
            takes_templates: true,
        });
        let rule = Rule {
            from: vec![From { source: None }; sources],
            when: vec![Condition {
                key: "source.principal".into(),
                values: vec!["td/ns/a/sa/x".into()],
                ..Condition::default()
            }],
            ..Rule::default()
        };
        let Ok(Body::Rule { principals, .. }) = compiler.rule(&rule) else {
            panic!("the rule has values that can be used");
        };
        let found = principals.iter().flat_map(|entry| &entry.clauses);
        let found: Vec<usize> = found.map(|clause| clause.field.values.len()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_condition_is_rewritten_once_for_each_source() {
        check(0, &["td", "td2"], &[2]);
        check(1, &["td", "td2"], &[2]);
        check(2, &["td", "td2"], &[4, 4]);
        check(3, &["td", "td2"], &[8, 8, 8]);
        check(3, &["td"], &[1, 1, 1]);
    }

    #[test]
    fn values_do_not_repeat_without_end() {
        check(40, &["td", "td2"], &[512; 40]);
    }
}
