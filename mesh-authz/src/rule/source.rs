//! Who asks: the fields of `source`.
use mesh_model::resource::Source;

use super::value::{self, Unusable};
use super::{Compiler, Context, Dropped};
use crate::matcher::{Form, MetadataTest, Pattern, StringTest, ValueTest};
use crate::rbac::{Clause, Node, Place, PrincipalTest};
use crate::request::{JWT_FILTER, JWT_PAYLOAD};

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
    let rewritten = lists.map(|values| match compiler.context.trust {
        Some(trust) => trust.rewrite_principals(values),
        None => values.to_vec(),
    });
    compiler.each(place, [&rewritten[0], &rewritten[1]], clauses, |context, value, _| {
        Ok(context.identity(value::principal(value)))
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
    let rewritten = lists.map(|values| match compiler.context.trust {
        Some(trust) => trust.rewrite_trust_domains(values),
        None => values.to_vec(),
    });
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
