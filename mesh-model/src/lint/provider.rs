//! Backends and authorizers that are named, and are not there or cannot be used.
use std::collections::BTreeSet;

use super::Subject;
use super::scene::Scene;
use crate::manifest::Diagnostic;
use crate::name::nearest_name;
use crate::registry::Lookup;
use crate::resource::mesh_config::{ExtensionProvider, ProviderKind};
use crate::resource::telemetry::ProviderRef;
use crate::resource::{Action, AuthorizationPolicy, Telemetry};

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for store in scene.stores() {
        for policy in store.authorization_policies.values() {
            found.extend(authorizer(scene, policy));
        }
        for object in store.telemetries.values() {
            telemetry(scene, object, found);
        }
    }
    defaults(scene, found);
}

fn provider<'m>(scene: &Scene<'m>, name: &str) -> Option<&'m ExtensionProvider> {
    scene.plane.config.extension_providers.iter().find(|provider| *provider.name == *name)
}

/// `IST0101` for authorizers of CUSTOM policies: without one a proxy denies what the rules mean.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/security/authz/builder/extauthz.go` `processExtensionProvider`, `getExtAuthz`.
fn authorizer(scene: &Scene<'_>, policy: &AuthorizationPolicy) -> Option<Diagnostic> {
    let spec = &policy.spec;
    let named = spec.provider.as_ref().filter(|_| spec.action == Action::Custom)?;
    let name = &named.name;
    let (problem, help) = match provider(scene, name).map(|provider| &provider.kind) {
        None => {
            (format!("MeshConfig has no extension provider `{name}`"), authorizers(scene, name))
        }
        Some(Some(ProviderKind::EnvoyExtAuthzHttp(of))) => {
            unknown_service(scene, name, &of.service)?
        }
        Some(Some(ProviderKind::EnvoyExtAuthzGrpc(of))) => {
            unknown_service(scene, name, &of.service)?
        }
        Some(_) => (
            format!("extension provider `{name}` is no authorizer"),
            "name one of the kinds envoyExtAuthzHttp and envoyExtAuthzGrpc".to_owned(),
        ),
    };
    let message = format!("{problem}: every request that the rules mean is denied");
    let subject = Subject::of(scene.mesh, &scene.plane.id, "AuthorizationPolicy", &policy.meta);
    Some(subject.error("IST0101", "spec.provider.name", (message, &help)))
}

fn authorizers(scene: &Scene<'_>, name: &str) -> String {
    let is_authorizer = |provider: &&ExtensionProvider| {
        use ProviderKind::{EnvoyExtAuthzGrpc, EnvoyExtAuthzHttp};
        matches!(provider.kind, Some(EnvoyExtAuthzHttp(_) | EnvoyExtAuthzGrpc(_)))
    };
    let all = scene.plane.config.extension_providers.iter().filter(is_authorizer);
    match nearest_name(name, all.map(|provider| &*provider.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "add it to `extensionProviders`, or correct the name".to_owned(),
    }
}

/// What is wrong with the service of a provider: a host, or `NAMESPACE/HOST`.
fn unknown_service(scene: &Scene<'_>, name: &str, service: &str) -> Option<(String, String)> {
    match scene.plane.services.lookup(service) {
        Lookup::None => Some((
            format!("no service has the host `{service}` of extension provider `{name}`"),
            format!("name a service of the mesh by {}, or add a ServiceEntry", form(service)),
        )),
        Lookup::Found(_) => None,
        Lookup::Several => Some((
            format!(
                "several namespaces have a service with the host `{service}` of extension provider `{name}`"
            ),
            "write it as NAMESPACE/HOST".to_owned(),
        )),
    }
}

/// How a service that was looked for may be written.
fn form(service: &str) -> &'static str {
    if service.contains('/') { "NAMESPACE/HOST" } else { "its full name" }
}

/// `IST0101` for backends of Telemetry.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/telemetry.go` `fetchProvider`.
fn telemetry(scene: &Scene<'_>, object: &Telemetry, found: &mut Vec<Diagnostic>) {
    let spec = &object.spec;
    let tracing = spec.tracing.iter().map(|layer| &layer.providers).enumerate();
    let metrics = spec.metrics.iter().map(|layer| &layer.providers).enumerate();
    let logs = spec.access_logging.iter().map(|layer| &layer.providers).enumerate();
    let layers = tracing
        .map(|(at, list)| (format!("spec.tracing[{at}]"), "traced", list))
        .chain(metrics.map(|(at, list)| (format!("spec.metrics[{at}]"), "measured", list)))
        .chain(logs.map(|(at, list)| (format!("spec.accessLogging[{at}]"), "logged", list)));
    let subject = Subject::of(scene.mesh, &scene.plane.id, "Telemetry", &object.meta);
    for (layer, lost, list) in layers {
        for (at, ProviderRef { name }) in list.iter().enumerate() {
            let field = format!("{layer}.providers[{at}].name");
            found.extend(backend(scene, &subject, (name, lost), &field));
        }
    }
}

/// `IST0101` for the backends of the mesh.
fn defaults(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let named = &scene.plane.config.default_providers;
    let lists = [
        ("tracing", "traced", &named.tracing),
        ("metrics", "measured", &named.metrics),
        ("accessLogging", "logged", &named.access_logging),
    ];
    let subject = Subject::config(scene.mesh);
    for (list, lost, names) in lists {
        for (at, name) in names.iter().enumerate() {
            let field = format!("defaultProviders.{list}[{at}]");
            found.extend(backend(scene, &subject, (name, lost), &field));
        }
    }
}

fn backend(
    scene: &Scene<'_>,
    subject: &Subject,
    (name, lost): (&str, &str),
    field: &str,
) -> Option<Diagnostic> {
    if provider(scene, name).is_some() {
        return None;
    }
    let config = &scene.plane.config;
    let known: BTreeSet<&str> = config.extension_providers.iter().map(|it| &*it.name).collect();
    let help = match nearest_name(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "add it to `extensionProviders`, or correct the name".to_owned(),
    };
    let message = format!("MeshConfig has no extension provider `{name}`: nothing is {lost} by it");
    Some(subject.error("IST0101", field, (message, &help)))
}
