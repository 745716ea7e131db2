//! Access logs: which providers log, with which filter, and what else where none does.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/telemetry.go` `AccessLogging`, `mergeLogs`;
//! `pilot/pkg/networking/core/accesslog.go`.
use std::collections::{BTreeMap, BTreeSet};

use mesh_envoy_proto::envoy::config::accesslog::v3::access_log_filter::FilterSpecifier;
use mesh_envoy_proto::envoy::config::accesslog::v3::{
    AccessLog, AccessLogFilter, AndFilter, ExtensionFilter, ResponseFlagFilter, extension_filter,
};
use mesh_envoy_proto::envoy::extensions::access_loggers::filters::cel::v3::ExpressionFilter;
use mesh_envoy_proto::pack;
use mesh_model::resource::telemetry::AccessLogging;
use mesh_model::view::ProxyView;

use super::objects::Objects;
use super::{Class, fits, logger, provider};

/// The name of the filter by expression.
const CEL: &str = "envoy.access_loggers.extension_filters.cel";

/// Where a log is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// At every request.
    Requests,
    /// At every connection that is forwarded.
    Connections,
    /// At every connection that no filter chain takes.
    Listener,
}

/// The logs of a class at a place.
pub(super) fn access_logs(
    view: &ProxyView<'_>,
    objects: &Objects<'_>,
    class: Class,
    place: Place,
) -> Vec<AccessLog> {
    let (plane, config) = (view.plane(), &view.plane().config);
    if place == Place::Listener && config.disable_envoy_listener_log {
        return Vec::new();
    }
    let decided =
        decide(&objects.access_logging(), &config.default_providers.access_logging, class);
    let mut known: Vec<(&str, AccessLog, Decision<'_>)> = decided
        .into_iter()
        .filter_map(|(name, decision)| {
            let provider = provider::find(config, name)?;
            Some((&*provider.name, logger::of_provider(plane, provider)?, decision))
        })
        .collect();
    if known.is_empty() {
        return logger::of_mesh(config, place)
            .into_iter()
            .map(|log| limited(log, place, None))
            .collect();
    }
    known.sort_by_key(|(name, ..)| *name);
    let on = known.into_iter().filter(|(.., decision)| !decision.is_off);
    on.map(|(_, log, decision)| limited(log, place, decision.expression)).collect()
}

/// What is decided on one provider.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Decision<'o> {
    is_off: bool,
    expression: Option<&'o str>,
}

/// Decides on each provider that the objects, or without any the mesh's defaults, name.
fn decide<'o>(
    objects: &[&'o [AccessLogging]],
    defaults: &'o [Box<str>],
    class: Class,
) -> BTreeMap<&'o str, Decision<'o>> {
    let defaults: Vec<&str> = defaults.iter().map(AsRef::as_ref).collect();
    if objects.is_empty() {
        return defaults.into_iter().map(|name| (name, Decision::default())).collect();
    }
    let fitting = |list: &&'o [AccessLogging]| -> Vec<&'o AccessLogging> {
        list.iter().filter(|entry| is_for(entry, class)).collect()
    };
    let named = objects
        .iter()
        .rev()
        .map(|list| -> BTreeSet<&str> { fitting(list).into_iter().flat_map(names).collect() });
    let mut named = named.filter(|names| !names.is_empty());
    let in_scope = named.next().unwrap_or_else(|| defaults.iter().copied().collect());
    let mut expressions: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for entry in objects.iter().flat_map(fitting) {
        let expression = entry.filter.as_ref().map(|filter| &*filter.expression);
        expressions.extend(names(entry).into_iter().map(|name| (name, expression)));
    }
    let mut decided = BTreeMap::new();
    let mut inherited = defaults;
    for entry in objects.iter().copied().flatten() {
        let own = names(entry);
        if !own.is_empty() {
            inherited = own;
        }
        for name in inherited.iter().filter(|name| in_scope.contains(*name)) {
            if is_for(entry, class) {
                let is_off = entry.disabled == Some(true);
                let expression = expressions.get(name).copied().flatten().filter(|_| !is_off);
                decided.insert(*name, Decision { is_off, expression });
            }
        }
    }
    decided
}

fn names(entry: &AccessLogging) -> Vec<&str> {
    entry.providers.iter().map(|provider| &*provider.name).collect()
}

fn is_for(entry: &AccessLogging, class: Class) -> bool {
    fits(entry.selector.as_ref().map(|selector| selector.mode), class)
}

/// The log with its filters: those of the place, then that of an object.
fn limited(log: AccessLog, place: Place, expression: Option<&str>) -> AccessLog {
    let place = (place == Place::Listener).then(no_route);
    let mut filters: Vec<AccessLogFilter> =
        place.into_iter().chain(expression.map(by_expression)).collect();
    let filter = if filters.len() > 1 {
        Some(filter(FilterSpecifier::AndFilter(AndFilter { filters })))
    } else {
        filters.pop()
    };
    AccessLog { filter, ..log }
}

fn filter(specifier: FilterSpecifier) -> AccessLogFilter {
    AccessLogFilter { filter_specifier: Some(specifier) }
}

fn no_route() -> AccessLogFilter {
    let flags = vec!["NR".to_owned()];
    filter(FilterSpecifier::ResponseFlagFilter(ResponseFlagFilter { flags }))
}

fn by_expression(expression: &str) -> AccessLogFilter {
    let config =
        ExpressionFilter { expression: expression.to_owned(), ..ExpressionFilter::default() };
    filter(FilterSpecifier::ExtensionFilter(ExtensionFilter {
        name: CEL.to_owned(),
        config_type: Some(extension_filter::ConfigType::TypedConfig(pack(&config))),
    }))
}

#[cfg(test)]
mod tests {
    use mesh_model::resource::telemetry::{
        AccessLogFilter, ModeSelector, ProviderRef, WorkloadMode,
    };

    use super::*;

    fn entry(mode: WorkloadMode, providers: &[&str]) -> AccessLogging {
        let name = |name: &&str| ProviderRef { name: (*name).into() };
        AccessLogging {
            selector: Some(ModeSelector { mode }),
            providers: providers.iter().map(name).collect(),
            ..AccessLogging::default()
        }
    }

    fn off(entry: AccessLogging) -> AccessLogging {
        AccessLogging { disabled: Some(true), ..entry }
    }

    fn only(entry: AccessLogging, expression: &str) -> AccessLogging {
        let filter = AccessLogFilter { expression: expression.into() };
        AccessLogging { filter: Some(filter), ..entry }
    }

    /// Providers of outbound listeners as `NAME`, `-NAME` if off, `NAME:EXPRESSION` if filtered.
    fn check(objects: &[&[AccessLogging]], defaults: &[&str], expected: &[&str]) {
        let defaults: Vec<Box<str>> = defaults.iter().map(|name| Box::from(*name)).collect();
        let decided = decide(objects, &defaults, Class::Outbound);
        let texts = decided.into_iter().map(|(name, decision)| match decision {
            Decision { is_off: true, .. } => format!("-{name}"),
            Decision { expression: Some(text), .. } => format!("{name}:{text}"),
            Decision { expression: None, .. } => name.to_owned(),
        });
        assert_eq!(texts.collect::<Vec<_>>(), expected);
    }

    use WorkloadMode::{Client, ClientAndServer, Server};

    #[test]
    fn the_defaults_log_where_no_object_says_anything() {
        check(&[], &["envoy"], &["envoy"]);
    }

    #[test]
    fn an_entry_for_servers_leaves_clients_undecided() {
        check(&[&[entry(Server, &["otel"])]], &[], &[]);
        check(&[&[entry(Server, &["otel"])]], &["envoy"], &[]);
    }

    #[test]
    fn a_later_object_that_names_providers_puts_the_others_out_of_scope() {
        let (root, own) = ([entry(Client, &["a", "b"])], [entry(ClientAndServer, &["b"])]);
        check(&[&root, &own], &[], &["b"]);
    }

    #[test]
    fn an_entry_without_providers_takes_those_of_the_entry_before_it() {
        let object = [entry(Client, &["a"]), off(entry(Client, &[]))];
        check(&[&object], &[], &["-a"]);
        check(&[&[off(entry(Client, &[]))]], &["envoy"], &["-envoy"]);
    }

    #[test]
    fn the_filter_is_that_of_the_last_entry_that_names_the_provider() {
        let object = [only(entry(Client, &["a"]), "x"), entry(Client, &[])];
        check(&[&object], &[], &["a:x"]);
        let object = [only(entry(Client, &["a"]), "x"), entry(Client, &["a"])];
        check(&[&object], &[], &["a"]);
    }
}
