//! One policy of a filter: a rule of an AuthorizationPolicy, compiled.
use std::fmt;

use mesh_model::name::Namespace;
use mesh_model::resource::Action;

use super::{Node, PermissionTest, PrincipalTest, Test};
use crate::request::Seen;

/// A policy of an RBAC filter.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "generators read every part")]
pub struct Policy {
    /// The key in the filter's map, such as `ns[shop]-policy[cart]-rule[0]`.
    pub name: Box<str>,
    /// The rule that it was generated from.
    pub origin: Origin,
    /// What it matches.
    pub body: Body,
}

/// Where a policy of a filter comes from.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "generators read every part")]
pub struct Origin {
    /// The AuthorizationPolicy's namespace.
    pub namespace: Namespace,
    /// The AuthorizationPolicy's name.
    pub name: Box<str>,
    /// The rule's place in `spec.rules`, from 0.
    pub rule: usize,
    /// The AuthorizationPolicy's action.
    pub action: Action,
    /// Whether the AuthorizationPolicy could not be understood, so that this stands in for it.
    pub is_broken: bool,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a policy matches.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators write both")]
pub enum Body {
    /// Nothing: permissions `[not_rule {any}]`, principals `[not_id {any}]`.
    Never,
    /// Any of the permissions together with any of the principals.
    Rule {
        /// What is asked for, one entry for each `to`.
        permissions: Box<[Entry<PermissionTest>]>,
        /// Who asks, one entry for each `from`.
        principals: Box<[Entry<PrincipalTest>]>,
    },
}

/// All of several clauses; without any `[any: true]`.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "generators read every part")]
pub struct Entry<T> {
    /// The clauses, in the order in which istiod writes them.
    pub clauses: Box<[Clause<T>]>,
}

/// What one list of a rule's values became.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "generators read every part")]
pub struct Clause<T> {
    /// The list.
    pub field: Field,
    /// The tree.
    pub node: Node<T>,
}

/// A list of values in a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a list has these three parts")]
pub struct Field {
    /// Where the list stands.
    pub place: Place,
    /// Whether it is the list of what must not be.
    pub is_negated: bool,
    /// The values as written.
    pub values: Box<[Box<str>]>,
}

/// Where a list of values stands in a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a rule has these three parts")]
pub enum Place {
    /// In an entry of `from`; the field's own name, such as `principals`.
    Source(&'static str),
    /// In an entry of `to`; the field's own name, such as `paths`.
    Operation(&'static str),
    /// In `when`.
    When {
        /// The place in `when`, from 0.
        index: usize,
        /// The key.
        key: Box<str>,
    },
}

impl fmt::Display for Field {
    /// `from.source.principals`, `to.operation.notPaths`, `when[KEY].values`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::When { key, .. } => {
                write!(f, "when[{key}].{}", if self.is_negated { "notValues" } else { "values" })
            }
            Place::Source(name) => {
                f.write_str("from.source.")?;
                write_name(f, name, self.is_negated)
            }
            Place::Operation(name) => {
                f.write_str("to.operation.")?;
                write_name(f, name, self.is_negated)
            }
        }
    }
}

impl Field {
    /// The path of the list below its rule, by the place of its entry in `from`, `to` or `when`:
    /// `from[1].source.principals`, `when[0].values`.
    pub(crate) fn path(&self, entry: usize) -> String {
        let text = self.to_string();
        match &self.place {
            Place::When { .. } => {
                let list = if self.is_negated { "notValues" } else { "values" };
                format!("when[{entry}].{list}")
            }
            Place::Source(_) => text.replacen("from", &format!("from[{entry}]"), 1),
            Place::Operation(_) => text.replacen("to", &format!("to[{entry}]"), 1),
        }
    }
}

fn write_name(f: &mut fmt::Formatter<'_>, name: &str, is_negated: bool) -> fmt::Result {
    let mut rest = name.chars();
    match rest.next() {
        Some(first) if is_negated => {
            write!(f, "not{}{}", first.to_ascii_uppercase(), rest.as_str())
        }
        _ => f.write_str(name),
    }
}

impl Policy {
    /// Returns whether the request is one that the policy means.
    pub(crate) fn matches(&self, seen: &Seen<'_>) -> bool {
        match &self.body {
            Body::Never => false,
            Body::Rule { permissions, principals } => {
                permissions.iter().any(|entry| entry.matches(seen))
                    && principals.iter().any(|entry| entry.matches(seen))
            }
        }
    }
}

impl<T> Entry<T> {
    pub(crate) fn matches(&self, seen: &Seen<'_>) -> bool
    where
        T: Test,
    {
        self.clauses.iter().all(|clause| clause.node.matches(seen))
    }
}

impl Body {
    /// Returns the body that matches every request.
    pub(crate) fn always() -> Self {
        Self::Rule {
            permissions: [Entry { clauses: Box::default() }].into(),
            principals: [Entry { clauses: Box::default() }].into(),
        }
    }
}
