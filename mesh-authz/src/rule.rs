//! From × to × when: one rule becomes permissions and principals.
//!
//! Each `to` becomes an entry of permissions, each `from` one of principals, and every condition goes
//! to the side that can express it, repeated in each entry. A value that no data plane understands
//! makes an ALLOW rule disappear and any other rule wider: what is left allows less, never more.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/security/authz/model/model.go` `New`, `Generate`.
use mesh_model::compat::EnvoyFeatures;
use mesh_model::resource::{Condition, Operation, Rule, Source};

use crate::identity::{IdentitySource, TrustBundle};
use crate::rbac::{Body, Clause, Entry, Field, Node, PermissionTest, Place, PrincipalTest};

mod lists;
mod operation;
mod source;
mod value;
mod when;

pub(crate) use self::lists::{List, lists};
pub(crate) use self::operation::refusal;
pub(crate) use self::value::port;
pub use self::value::{Omission, Unusable};

/// What rules are compiled for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'c> {
    pub(crate) is_tcp: bool,
    /// Whether a value that cannot be used drops its rule, as ALLOW has it.
    pub(crate) is_allow: bool,
    pub(crate) identity: IdentitySource,
    /// By which domains values are rewritten; `None`: they stay as they are.
    pub(crate) trust: Option<&'c TrustBundle>,
    /// The policy's namespace.
    pub(crate) namespace: &'c str,
    pub(crate) envoy: EnvoyFeatures,
    /// Whether the data plane knows templates for paths at all.
    pub(crate) takes_templates: bool,
}

/// The rule cannot be expressed and is left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropped;

/// A rule being compiled: what it is compiled for, and what had to be left out.
#[derive(Debug)]
pub(crate) struct Compiler<'c> {
    pub(crate) context: Context<'c>,
    pub(crate) omissions: Vec<Omission>,
    /// How many entries say who: the conditions stand beside each.
    sources: usize,
}

impl<'c> Compiler<'c> {
    pub(crate) fn new(context: Context<'c>) -> Self {
        Self { context, omissions: Vec::new(), sources: 1 }
    }

    /// Compiles a rule.
    pub(crate) fn rule(&mut self, rule: &Rule) -> Result<Body, Dropped> {
        // An unknown key drops the rule before anything else is looked at, for every action.
        let conditions = when::sides(&rule.when, &mut self.omissions)?;
        self.sources = rule.from.len().max(1);
        let permissions = self.permissions(rule, &conditions.permissions)?;
        let principals = self.principals(rule, &conditions.principals)?;
        Ok(Body::Rule { permissions: permissions.into(), principals: principals.into() })
    }

    fn permissions(
        &mut self,
        rule: &Rule,
        conditions: &[(usize, &Condition)],
    ) -> Result<Vec<Entry<PermissionTest>>, Dropped> {
        let empty = Operation::default();
        let mut operations: Vec<&Operation> =
            rule.to.iter().map(|to| to.operation.as_ref().unwrap_or(&empty)).collect();
        if operations.is_empty() {
            operations.push(&empty);
        }
        let mut entries = Vec::with_capacity(operations.len());
        for operation in operations {
            let mut clauses = Vec::new();
            operation::clauses(self, operation, &mut clauses)?;
            for (index, condition) in conditions {
                when::permission(self, *index, condition, &mut clauses)?;
            }
            entries.push(Entry { clauses: clauses.into() });
        }
        Ok(entries)
    }

    fn principals(
        &mut self,
        rule: &Rule,
        conditions: &[(usize, &Condition)],
    ) -> Result<Vec<Entry<PrincipalTest>>, Dropped> {
        let mut sources: Vec<Option<&Source>> =
            rule.from.iter().map(|from| from.source.as_ref()).collect();
        if sources.is_empty() {
            sources.push(None);
        }
        let mut entries = Vec::with_capacity(sources.len());
        for source in sources {
            let mut clauses = Vec::new();
            if let Some(source) = source {
                source::clauses(self, source, &mut clauses)?;
            }
            for (index, condition) in conditions {
                when::principal(self, *index, condition, &mut clauses)?;
            }
            entries.push(Entry { clauses: clauses.into() });
        }
        Ok(entries)
    }

    /// Compiles a list of values and the list of what must not be, one node a value.
    fn each<T>(
        &mut self,
        place: &Place,
        lists: [&[Box<str>]; 2],
        clauses: &mut Vec<Clause<T>>,
        test: impl Fn(&Context<'_>, &str, bool) -> Result<T, Unusable>,
    ) -> Result<(), Dropped> {
        for (values, is_negated) in lists.into_iter().zip([false, true]) {
            let mut nodes = Vec::with_capacity(values.len());
            for value in values {
                match test(&self.context, value, is_negated) {
                    Ok(test) => nodes.push(Node::Test(test)),
                    Err(why) => self.omit(place, is_negated, value, why)?,
                }
            }
            if !nodes.is_empty() {
                let node = Node::AnyOf(nodes.into());
                clauses.push(clause(place, is_negated, values, node));
            }
        }
        Ok(())
    }

    /// Compiles a list of values and the list of what must not be, one node a list.
    fn together<T>(
        &mut self,
        place: &Place,
        lists: [&[Box<str>]; 2],
        clauses: &mut Vec<Clause<T>>,
        node: impl Fn(&Context<'_>, &[Box<str>]) -> Result<Node<T>, Unusable>,
    ) -> Result<(), Dropped> {
        for (values, is_negated) in lists.into_iter().zip([false, true]) {
            let Some(first) = values.first() else { continue };
            match node(&self.context, values) {
                Ok(node) => clauses.push(clause(place, is_negated, values, node)),
                Err(why) => self.omit(place, is_negated, first, why)?,
            }
        }
        Ok(())
    }

    fn omit(
        &mut self,
        place: &Place,
        is_negated: bool,
        value: &str,
        why: Unusable,
    ) -> Result<(), Dropped> {
        let field = Field { place: place.clone(), is_negated, values: [value.into()].into() };
        self.omissions.push(Omission { field, why, drops_rule: self.context.is_allow });
        if self.context.is_allow { Err(Dropped) } else { Ok(()) }
    }
}

fn clause<T>(place: &Place, is_negated: bool, values: &[Box<str>], node: Node<T>) -> Clause<T> {
    let field = Field { place: place.clone(), is_negated, values: values.into() };
    Clause { field, node: if is_negated { Node::Not(Box::new(node)) } else { node } }
}
