//! What is asked for: the fields of `operation`.
use mesh_model::resource::Operation;

use super::value::{self, Omission, Unusable};
use super::{Compiler, Context, Dropped};
use crate::matcher::{InvalidPathTemplate, PathTemplate, StringTest, for_envoy, is_template};
use crate::rbac::{Clause, Field, PathTest, PermissionTest, Place};

/// Compiles the fields in the order in which istiod writes them.
pub(super) fn clauses(
    compiler: &mut Compiler<'_>,
    operation: &Operation,
    clauses: &mut Vec<Clause<PermissionTest>>,
) -> Result<(), Dropped> {
    let Operation { hosts, not_hosts, ports, not_ports, methods, not_methods, paths, not_paths } =
        operation;
    compiler.each(
        &Place::Operation("hosts"),
        [hosts, not_hosts],
        clauses,
        |context, value, _| {
            context.http()?;
            Ok(PermissionTest::Header(value::header(":authority", value, true)))
        },
    )?;
    let place = Place::Operation("methods");
    compiler.each(&place, [methods, not_methods], clauses, |context, value, _| {
        context.http()?;
        Ok(PermissionTest::Header(value::header(":method", value, false)))
    })?;
    compiler.each(&Place::Operation("paths"), [paths, not_paths], clauses, path)?;
    compiler.tell_refused([paths, not_paths]);
    compiler.each(&Place::Operation("ports"), [ports, not_ports], clauses, |_, value, _| {
        value::port(value).map(PermissionTest::DestinationPort)
    })
}

impl Compiler<'_> {
    /// Says which templates the data plane refuses; nothing is left out for them.
    fn tell_refused(&mut self, lists: [&[Box<str>]; 2]) {
        let takes_templates = self.context.takes_templates;
        let is_refused = |value: &str| {
            if takes_templates { refusal(value).is_some() } else { is_template(value) }
        };
        let why = if takes_templates { Unusable::Template } else { Unusable::UntakenTemplate };
        for (values, is_negated) in lists.into_iter().zip([false, true]) {
            let refused: Box<[Box<str>]> =
                values.iter().filter(|value| is_refused(value)).cloned().collect();
            if !refused.is_empty() && !self.context.is_tcp {
                let field = Field { place: Place::Operation("paths"), is_negated, values: refused };
                self.omissions.push(Omission { field, why, drops_rule: false });
            }
        }
    }
}

/// Why an Envoy refuses a path, if it does.
pub(crate) fn refusal(value: &str) -> Option<InvalidPathTemplate> {
    if is_template(value) { PathTemplate::new(value).err() } else { None }
}

fn path(context: &Context<'_>, value: &str, is_negated: bool) -> Result<PermissionTest, Unusable> {
    context.http()?;
    if !is_template(value) {
        return Ok(PermissionTest::UrlPath(StringTest::of_value(value)));
    }
    let template = PathTemplate::new(value).ok().filter(|_| context.takes_templates);
    Ok(PermissionTest::UriTemplate(match template {
        Some(template) if context.envoy.uri_template_matches_star => PathTest::Template(template),
        Some(template) => PathTest::Template(template.without_star()),
        // An ALLOW rule must not match, any other must.
        None => PathTest::Refused {
            text: for_envoy(value).into(),
            answer: context.is_allow == is_negated,
        },
    }))
}
