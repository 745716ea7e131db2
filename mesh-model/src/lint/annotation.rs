//! Annotations of Istio: misspelt, misplaced, unreadable, or on their way out.
//!
//! Upstream: istio/istio `pkg/config/analysis/analyzers/annotations/annotations.go`, `maturity`;
//! istio/api `annotation/annotations.yaml`; `pkg/kube/inject/validate.go`.
use super::Subject;
use super::scene::Scene;
use crate::manifest::Diagnostic;
use crate::name::{ClusterId, nearest_name};
use crate::resource::{Meta, Namespace, Pod, Service};

/// An annotation that is known.
struct Known {
    name: &'static str,
    /// The kinds that it is for; empty: any.
    kinds: &'static [&'static str],
    state: State,
    form: Form,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    /// In use.
    Current,
    /// To be replaced.
    Deprecated,
    /// Set by Istio itself.
    Own,
}

/// What a value must be.
#[derive(Clone, Copy)]
enum Form {
    Any,
    Bool,
    Number,
    Interception,
    /// Port numbers; `*` stands for all.
    Ports,
    /// Ranges of addresses; `*` stands for all.
    Ranges,
}

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for (id, store) in scene.clusters() {
        let mut of = |kind: &'static str, meta: &Meta| {
            if !meta.annotations.is_empty() {
                check_one(scene, id, (kind, meta), found);
            }
        };
        store.namespaces.values().for_each(|object: &std::sync::Arc<Namespace>| {
            of("Namespace", &object.meta);
        });
        store.services.values().for_each(|object: &std::sync::Arc<Service>| {
            of("Service", &object.meta);
        });
        store.pods.values().for_each(|object: &std::sync::Arc<Pod>| of("Pod", &object.meta));
    }
}

fn check_one(
    scene: &Scene<'_>,
    id: &ClusterId,
    (kind, meta): (&'static str, &Meta),
    found: &mut Vec<Diagnostic>,
) {
    for (name, value) in meta.annotations.iter() {
        let group = name.split('/').next().unwrap_or_default();
        if !group.ends_with("istio.io") {
            continue;
        }
        let subject = Subject::in_cluster(scene.mesh, id, kind, meta);
        let field = format!("metadata.annotations.{name}");
        let Some(known) = KNOWN.iter().find(|known| *known.name == *name) else {
            found.push(unknown(&subject, name, &field));
            continue;
        };
        if known.state == State::Own {
            continue;
        }
        if known.state == State::Deprecated && meta.labels.get(name).is_none() {
            let message = format!("annotation `{name}` is deprecated: it will stop to count");
            let help = if *name == *"sidecar.istio.io/inject" {
                "use the label of the same name"
            } else {
                "leave it out, or see the release notes for what replaces it"
            };
            found.push(subject.info("IST0135", &field, (message, help)));
        }
        if known.state == State::Current && !MATURE.contains(&name) {
            let message = format!(
                "annotation `{name}` belongs to a feature in its alpha phase: it may change or go with \
                 any version"
            );
            let help = "leave it out if something stable does, and read the release notes";
            found.push(subject.info("IST0136", &field, (message, help)));
        }
        if !known.kinds.is_empty() && !known.kinds.contains(&kind) {
            let message = format!("annotation `{name}` means nothing on a {kind}");
            let help = format!("it belongs on {}", known.kinds.join(", "));
            found.push(subject.warning("IST0107", &field, (message, &help)));
        } else if !known.form.holds(value) {
            let message = format!("annotation `{name}` has the value `{value}`, which is refused");
            found.push(subject.warning("IST0125", &field, (message, known.form.help())));
        }
    }
}

/// The annotations in use whose features are past their alpha phase, and those that the mesh has no other
/// word for.
const MATURE: [&str; 9] = [
    "ambient.istio.io/redirection",
    "networking.istio.io/exportTo",
    "networking.istio.io/traffic-distribution",
    "proxy.istio.io/config",
    "sidecar.istio.io/inject",
    "sidecar.istio.io/proxyMemoryLimit",
    "sidecar.istio.io/userVolumeMount",
    "traffic.istio.io/nodeSelector",
    "traffic.sidecar.istio.io/includeInboundPorts",
];

/// `IST0108`.
fn unknown(subject: &Subject, name: &str, field: &str) -> Diagnostic {
    let message = format!("there is no annotation `{name}`: it does nothing");
    let names = KNOWN.iter().map(|known| known.name);
    let help = match nearest_name(name, names) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "leave it out".to_owned(),
    };
    subject.warning("IST0108", field, (message, &help))
}

impl Form {
    fn holds(self, value: &str) -> bool {
        let items = || value.split(',').map(str::trim).filter(|item| !item.is_empty());
        match self {
            Self::Any => true,
            Self::Bool => matches!(
                value,
                "1" | "t"
                    | "T"
                    | "true"
                    | "TRUE"
                    | "True"
                    | "0"
                    | "f"
                    | "F"
                    | "false"
                    | "FALSE"
                    | "False"
            ),
            Self::Number => value.parse::<u32>().is_ok(),
            Self::Interception => matches!(value, "REDIRECT" | "TPROXY" | "NONE"),
            Self::Ports => value == "*" || items().all(|item| item.parse::<u16>().is_ok()),
            Self::Ranges => {
                value == "*" || items().all(|item| item.parse::<crate::name::Cidr>().is_ok())
            }
        }
    }

    const fn help(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Bool => "write `true` or `false`",
            Self::Number => "write a number",
            Self::Interception => "write REDIRECT, TPROXY or NONE",
            Self::Ports => "write ports with commas between them, or `*`",
            Self::Ranges => "write ranges of addresses with commas between them, or `*`",
        }
    }
}

const POD: &[&str] = &["Pod"];
const SERVICE: &[&str] = &["Service"];
const GATEWAY: &[&str] = &["Gateway"];
const ENTRY: &[&str] = &["WorkloadEntry"];
const SERVICES: &[&str] = &["Namespace", "Service", "ServiceEntry"];

const fn pod(name: &'static str, form: Form) -> Known {
    Known { name, kinds: POD, state: State::Current, form }
}

const fn old(name: &'static str) -> Known {
    Known { name, kinds: POD, state: State::Deprecated, form: Form::Any }
}

const fn on(kinds: &'static [&'static str], name: &'static str) -> Known {
    Known { name, kinds, state: State::Current, form: Form::Any }
}

const fn own(name: &'static str) -> Known {
    Known { name, kinds: &[], state: State::Own, form: Form::Any }
}

/// The annotations of Istio 1.30.
const KNOWN: &[Known] = &[
    own("sidecar.istio.io/status"),
    own("gateway.istio.io/controller-version"),
    own("istio.io/rev"),
    on(&[], "galley.istio.io/analyze-suppress"),
    Known { state: State::Deprecated, ..on(SERVICE, "alpha.istio.io/kubernetes-serviceaccounts") },
    Known { state: State::Deprecated, ..on(SERVICE, "alpha.istio.io/canonical-serviceaccounts") },
    on(SERVICE, "networking.istio.io/exportTo"),
    on(SERVICE, "traffic.istio.io/nodeSelector"),
    on(SERVICES, "networking.istio.io/traffic-distribution"),
    on(SERVICES, "istio.io/use-waypoint-canary-weight"),
    on(&["Namespace"], "topology.istio.io/controlPlaneClusters"),
    on(&["AuthorizationPolicy"], "istio.io/dry-run"),
    on(ENTRY, "istio.io/autoRegistrationGroup"),
    on(ENTRY, "istio.io/workloadController"),
    on(ENTRY, "istio.io/connectedAt"),
    on(ENTRY, "istio.io/disconnectedAt"),
    on(&["GatewayClass", "Gateway"], "ambient.istio.io/waypoint-inbound-binding"),
    on(GATEWAY, "gateway.istio.io/service-account"),
    on(GATEWAY, "gateway.istio.io/name-override"),
    on(GATEWAY, "networking.istio.io/service-type"),
    old("sidecar.istio.io/inject"),
    old("sidecar.istio.io/discoveryAddress"),
    old("sidecar.istio.io/statsInclusionPrefixes"),
    old("sidecar.istio.io/statsInclusionSuffixes"),
    old("sidecar.istio.io/statsInclusionRegexps"),
    old("sidecar.istio.io/extraStatTags"),
    old("sidecar.istio.io/statsCompression"),
    old("traffic.sidecar.istio.io/kubevirtInterfaces"),
    pod("prometheus.istio.io/merge-metrics", Form::Bool),
    pod("sidecar.istio.io/rewriteAppHTTPProbers", Form::Any),
    pod("sidecar.istio.io/proxyImage", Form::Any),
    pod("sidecar.istio.io/proxyImageType", Form::Any),
    pod("sidecar.istio.io/proxyCPU", Form::Any),
    pod("sidecar.istio.io/proxyCPULimit", Form::Any),
    pod("sidecar.istio.io/proxyMemory", Form::Any),
    pod("sidecar.istio.io/proxyMemoryLimit", Form::Any),
    pod("sidecar.istio.io/interceptionMode", Form::Interception),
    pod("sidecar.istio.io/bootstrapOverride", Form::Any),
    pod("sidecar.istio.io/statsHistogramBuckets", Form::Any),
    pod("sidecar.istio.io/statsFlushInterval", Form::Any),
    pod("sidecar.istio.io/statsEvictionInterval", Form::Any),
    pod("sidecar.istio.io/statsHistogramBins", Form::Any),
    pod("sidecar.istio.io/userVolume", Form::Any),
    pod("sidecar.istio.io/userVolumeMount", Form::Any),
    pod("status.sidecar.istio.io/port", Form::Number),
    pod("sidecar.istio.io/logLevel", Form::Any),
    pod("sidecar.istio.io/componentLogLevel", Form::Any),
    pod("sidecar.istio.io/agentLogLevel", Form::Any),
    pod("sidecar.istio.io/nativeSidecar", Form::Any),
    pod("readiness.status.sidecar.istio.io/initialDelaySeconds", Form::Number),
    pod("readiness.status.sidecar.istio.io/periodSeconds", Form::Number),
    pod("readiness.status.sidecar.istio.io/failureThreshold", Form::Number),
    pod("readiness.status.sidecar.istio.io/applicationPorts", Form::Any),
    pod("traffic.sidecar.istio.io/includeOutboundIPRanges", Form::Ranges),
    pod("traffic.sidecar.istio.io/excludeOutboundIPRanges", Form::Ranges),
    pod("traffic.sidecar.istio.io/includeInboundPorts", Form::Ports),
    pod("traffic.sidecar.istio.io/excludeInboundPorts", Form::Ports),
    pod("traffic.sidecar.istio.io/includeOutboundPorts", Form::Any),
    pod("traffic.sidecar.istio.io/excludeOutboundPorts", Form::Ports),
    pod("traffic.sidecar.istio.io/excludeInterfaces", Form::Any),
    pod("proxy.istio.io/config", Form::Any),
    pod("proxy.istio.io/overrides", Form::Any),
    pod("inject.istio.io/templates", Form::Any),
    pod("ambient.istio.io/redirection", Form::Any),
    pod("ambient.istio.io/bypass-inbound-capture", Form::Any),
    pod("ambient.istio.io/dns-capture", Form::Any),
    pod("istio.io/reroute-virtual-interfaces", Form::Any),
];
