//! Conditions: `when` entries, by key.
use mesh_model::resource::Condition;

use super::value::{self, Omission, Unusable};
use super::{Compiler, Context, Dropped, source};
use crate::matcher::{MetadataTest, StringTest, ValueTest};
use crate::rbac::{Clause, Field, Node, PermissionTest, Place, PrincipalTest};
use crate::request::{JWT_FILTER, JWT_PAYLOAD};

const HEADERS: &str = "request.headers";
const CLAIMS: &str = "request.auth.claims";
const EXPERIMENTAL: &str = "experimental.envoy.filters.";

/// Conditions by the side of the rule that can express them, each with its place in `when`.
#[derive(Debug, Default)]
pub(super) struct Sides<'w> {
    pub(super) permissions: Vec<(usize, &'w Condition)>,
    pub(super) principals: Vec<(usize, &'w Condition)>,
}

/// Sorts the conditions; an unknown key drops the rule for every action.
pub(super) fn sides<'w>(
    when: &'w [Condition],
    omissions: &mut Vec<Omission>,
) -> Result<Sides<'w>, Dropped> {
    let mut sides = Sides::default();
    for entry in when.iter().enumerate() {
        match &*entry.1.key {
            "destination.ip" | "destination.port" | "connection.sni" => {
                sides.permissions.push(entry);
            }
            key if key.starts_with(EXPERIMENTAL) => sides.permissions.push(entry),
            "source.ip"
            | "remote.ip"
            | "source.namespace"
            | "source.trustDomain"
            | "source.serviceAccount"
            | "source.principal"
            | "request.auth.principal"
            | "request.auth.audiences"
            | "request.auth.presenter" => sides.principals.push(entry),
            key if key.starts_with(HEADERS) || key.starts_with(CLAIMS) => {
                sides.principals.push(entry);
            }
            _ => {
                let values = entry.1.values.clone().into();
                let field = Field { place: place(entry.0, entry.1), is_negated: false, values };
                omissions.push(Omission { field, why: Unusable::Key, drops_rule: true });
                return Err(Dropped);
            }
        }
    }
    Ok(sides)
}

fn place(index: usize, condition: &Condition) -> Place {
    Place::When { index, key: condition.key.clone() }
}

/// Compiles a condition of the permission side.
pub(super) fn permission(
    compiler: &mut Compiler<'_>,
    index: usize,
    condition: &Condition,
    clauses: &mut Vec<Clause<PermissionTest>>,
) -> Result<(), Dropped> {
    let place = place(index, condition);
    let lists: [&[Box<str>]; 2] = [&condition.values, &condition.not_values];
    match &*condition.key {
        "destination.ip" => compiler.each(&place, lists, clauses, |_, value, _| {
            value::range(value).map(PermissionTest::DestinationIp)
        }),
        "destination.port" => compiler.each(&place, lists, clauses, |_, value, _| {
            value::port(value).map(PermissionTest::DestinationPort)
        }),
        "connection.sni" => compiler.each(&place, lists, clauses, |_, value, _| {
            Ok(PermissionTest::ServerName(StringTest::of_value(value)))
        }),
        key => compiler.together(&place, lists, clauses, |_, values| {
            experimental(key, values).map(|test| Node::Test(PermissionTest::Metadata(test)))
        }),
    }
}

/// Compiles a condition of the principal side.
pub(super) fn principal(
    compiler: &mut Compiler<'_>,
    index: usize,
    condition: &Condition,
    clauses: &mut Vec<Clause<PrincipalTest>>,
) -> Result<(), Dropped> {
    let place = place(index, condition);
    let lists: [&[Box<str>]; 2] = [&condition.values, &condition.not_values];
    match &*condition.key {
        "source.ip" => compiler.each(&place, lists, clauses, |_, value, _| {
            value::range(value).map(PrincipalTest::DirectRemoteIp)
        }),
        "remote.ip" => compiler.each(&place, lists, clauses, |_, value, _| {
            value::range(value).map(PrincipalTest::RemoteIp)
        }),
        "source.namespace" => source::namespaces(compiler, &place, lists, clauses),
        "source.trustDomain" => source::trust_domains(compiler, &place, lists, clauses),
        "source.serviceAccount" => source::service_accounts(compiler, &place, lists, clauses),
        "source.principal" => source::shared_principals(compiler, &place, lists, clauses),
        "request.auth.principal" => {
            compiler.together(&place, lists, clauses, source::request_principals)
        }
        "request.auth.audiences" => compiler.together(&place, lists, clauses, |context, values| {
            claim(context, vec!["aud".into()], values)
        }),
        "request.auth.presenter" => compiler.together(&place, lists, clauses, |context, values| {
            claim(context, vec!["azp".into()], values)
        }),
        key => match key.strip_prefix(HEADERS) {
            Some(name) => compiler.each(&place, lists, clauses, |context, value, _| {
                context.http()?;
                let name = in_brackets(name).ok_or(Unusable::Brackets)?;
                Ok(PrincipalTest::Header(value::header(name, value, false)))
            }),
            None => compiler.together(&place, lists, clauses, |context, values| {
                context.http()?;
                let names = key.strip_prefix(CLAIMS).and_then(claim_path);
                claim(context, names.ok_or(Unusable::Brackets)?, values)
            }),
        },
    }
}

/// A claim that is one of the texts, or a list with one of them.
fn claim(
    context: &Context<'_>,
    names: Vec<Box<str>>,
    values: &[Box<str>],
) -> Result<Node<PrincipalTest>, Unusable> {
    context.http()?;
    let text = value::texts(values);
    Ok(Node::Test(PrincipalTest::Metadata(MetadataTest {
        filter: JWT_FILTER.into(),
        path: std::iter::once(JWT_PAYLOAD.into()).chain(names).collect(),
        value: ValueTest::AnyOf([ValueTest::ListContains(Box::new(text.clone())), text].into()),
    })))
}

/// `experimental.envoy.filters.X[K]`: the namespace `envoy.filters.X` and the key K. A value `[v]` means
/// a list with an element v.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/security/authz/model/generator.go` `envoyFilterGenerator`.
fn experimental(key: &str, values: &[Box<str>]) -> Result<MetadataTest, Unusable> {
    let name = key.strip_prefix("experimental.").unwrap_or(key);
    let (filter, key) =
        name.strip_suffix(']').unwrap_or(name).split_once('[').ok_or(Unusable::Brackets)?;
    let tests = values.iter().map(|value| {
        if value.starts_with('[') && value.ends_with(']') {
            let element = StringTest::of_value(value.trim_matches(['[', ']']));
            ValueTest::ListContains(Box::new(ValueTest::Text(element)))
        } else {
            ValueTest::Text(StringTest::of_value(value))
        }
    });
    Ok(MetadataTest {
        filter: filter.into(),
        path: [key.into()].into(),
        value: ValueTest::any_of(tests.collect()),
    })
}

/// What stands within `[` at the start and `]` at the end.
fn in_brackets(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']')
}

/// `[a][b]` as a path of two names; a text that is no such sequence is one name within its outer
/// brackets, so that a name may hold brackets itself.
fn claim_path(text: &str) -> Option<Vec<Box<str>>> {
    let mut names = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let group = rest.strip_prefix('[').and_then(|inside| inside.split_once(']'));
        match group {
            Some((name, after)) if !name.contains('[') => {
                names.push(name.into());
                rest = after;
            }
            _ => return in_brackets(text).map(|name| vec![name.into()]),
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_path(text: &str, expected: Option<&[&str]>) {
        let path = claim_path(text);
        let path: Option<Vec<&str>> =
            path.as_ref().map(|path| path.iter().map(|name| &**name).collect());
        assert_eq!(path.as_deref(), expected, "{text}");
    }

    #[test]
    fn claims_nest_in_brackets() {
        check_path("[a][b]", Some(&["a", "b"]));
        check_path("[a.b]", Some(&["a.b"]));
        check_path("[https://x/[y]]", Some(&["https://x/[y]"]));
        check_path("[a]b[c]", Some(&["a]b[c"]));
        check_path("[a", None);
        check_path("", Some(&[]));
    }
}
