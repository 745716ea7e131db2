//! Pods and the sidecars that they should have.
use std::collections::BTreeMap;

use super::Subject;
use super::scene::{Scene, some};
use crate::manifest::{Diagnostic, Node, Value};
use crate::name::{ClusterId, Labels};
use crate::registry::{SYSTEM_NAMESPACE, Store};
use crate::resource::{Namespace, Opaque, Pod};
use crate::view::injection::Candidate;

/// The container of the proxy.
const PROXY: &str = "istio-proxy";

/// The label that asks for a sidecar or forbids it.
const INJECT: &str = "sidecar.istio.io/inject";

/// The label that names the revision of the control plane.
const REVISION: &str = "istio.io/rev";

/// The ConfigMap with the settings of the injector.
const INJECTOR: &str = "istio-sidecar-injector";

/// The user that the proxy runs as: what it sends is not captured.
const PROXY_USER: u32 = 1337;

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for (id, store) in scene.clusters() {
        let cluster = Cluster { scene, id, store };
        for namespace in store.namespaces.values() {
            found.extend(cluster.not_injected(namespace));
            found.extend(cluster.mixed(namespace));
        }
        for object in store.opaque.values().filter(|object| object.kind == "Deployment") {
            found.extend(cluster.automatic_template(object));
        }
        for pod in store.pods.values() {
            found.extend(cluster.without_proxy(pod));
            found.extend(cluster.automatic_image(pod));
            found.extend(cluster.user(pod));
        }
    }
}

struct Cluster<'s, 'm> {
    scene: &'s Scene<'m>,
    id: &'m ClusterId,
    store: &'m Store,
}

/// Whether a namespace's pods get a sidecar: `istio-injection: enabled`, or a revision without it.
fn is_injected(namespace: &Namespace) -> bool {
    let labels = &namespace.meta.labels;
    match labels.get("istio-injection") {
        Some(value) => value == "enabled",
        None => labels.get("istio.io/rev").is_some(),
    }
}

fn is_ambient(namespace: &Namespace) -> bool {
    namespace.meta.labels.value("istio.io/dataplane-mode") == "ambient"
}

/// Whether injection is switched off for the pod itself.
fn opts_out(pod: &Pod) -> bool {
    let name = "sidecar.istio.io/inject";
    let of_label = pod.meta.labels.get(name);
    let says = of_label.or_else(|| pod.meta.annotations.get(name)).unwrap_or_default();
    says.eq_ignore_ascii_case("false") || pod.spec.host_network
}

fn has_proxy(pod: &Pod) -> bool {
    let spec = &pod.spec;
    spec.containers.iter().chain(&*spec.init_containers).any(|container| *container.name == *PROXY)
}

impl<'m> Cluster<'_, 'm> {
    fn pods(&self, namespace: &'m Namespace) -> impl Iterator<Item = &'m std::sync::Arc<Pod>> {
        self.store.pods.with_first(&namespace.meta.name)
    }

    /// Whether the injector's settings ask for sidecars where nothing is said.
    fn injects_by_default(&self) -> bool {
        let map = self.store.mesh_config_maps.get((SYSTEM_NAMESPACE, INJECTOR));
        map.is_some_and(|map| map.injects_by_default)
    }

    /// `IST0102`: nothing says whether pods get sidecars, and some have none; `IST0148`: all do.
    fn not_injected(&self, namespace: &'m Namespace) -> Option<Diagnostic> {
        let labels = &namespace.meta.labels;
        let says = ["istio-injection", "istio.io/rev"].iter().any(|key| labels.get(key).is_some());
        let is_system = *namespace.meta.name == *SYSTEM_NAMESPACE;
        if says || is_system || is_ambient(namespace) || namespace.meta.name.starts_with("kube-") {
            return None;
        }
        let subject = Subject::in_cluster(self.scene.mesh, self.id, "Namespace", &namespace.meta);
        if self.injects_by_default() {
            let message = "the namespace is not labelled for injection, and the injector takes that \
                           for yes: its pods get sidecars";
            let help = "label the namespace, so that it does not depend on the installation";
            return Some(subject.info("IST0148", "metadata.labels", (message.to_owned(), help)));
        }
        let bare: Vec<&str> = self
            .pods(namespace)
            .filter(|pod| !has_proxy(pod) && !opts_out(pod))
            .map(|pod| &*pod.meta.name)
            .collect();
        if bare.is_empty() {
            return None;
        }
        let message = format!(
            "the namespace is not labelled for injection: {} run without a sidecar, so no rule holds \
             for what they send",
            some(&bare)
        );
        let help = "label the namespace `istio-injection: enabled`, or `disabled` if that is meant";
        Some(subject.info("IST0102", "metadata.labels", (message, help)))
    }

    /// `IST0158`: proxies of several versions side by side.
    fn mixed(&self, namespace: &'m Namespace) -> Option<Diagnostic> {
        if !is_injected(namespace) {
            return None;
        }
        let pods = self.pods(namespace);
        let chosen =
            pods.filter(|p| p.meta.annotations.get("sidecar.istio.io/proxyImage").is_none());
        let images = chosen.flat_map(|pod| {
            let containers = pod.spec.containers.iter().chain(&*pod.spec.init_containers);
            let own = containers.filter(|container| *container.name == *PROXY);
            own.map(|container| (&*container.image, &*pod.meta.name))
        });
        let mut first = BTreeMap::new();
        for (image, pod) in images.filter(|(image, _)| !image.is_empty()) {
            first.entry(image).or_insert(pod);
        }
        if first.len() < 2 {
            return None;
        }
        let images: Vec<String> =
            first.iter().map(|(image, pod)| format!("{image} of {pod}")).collect();
        let message = format!(
            "pods of one namespace run proxies of different images, {}: some were not restarted since \
             injection changed, and behave as their version does",
            some(&images)
        );
        let help = "restart the pods that run the old one";
        let subject = Subject::in_cluster(self.scene.mesh, self.id, "Namespace", &namespace.meta);
        Some(subject.warning("IST0158", "metadata.labels", (message, help)))
    }

    /// `IST0103`: no proxy where there should be one.
    fn without_proxy(&self, pod: &Pod) -> Option<Diagnostic> {
        let namespace = self.store.namespaces.get(("", pod.meta.namespace.as_str()))?;
        if !is_injected(namespace) || opts_out(pod) || has_proxy(pod) {
            return None;
        }
        let message = "the namespace is labelled for injection and the pod has no proxy (it was created \
                       before, or injection failed): no rule holds for what it sends, and it is sent plain text"
            .to_owned();
        let help = "restart the pod, or label it `sidecar.istio.io/inject: \"false\"`";
        let subject = Subject::in_cluster(self.scene.mesh, self.id, "Pod", &pod.meta);
        Some(subject.warning("IST0103", "spec.containers", (message, help)))
    }

    /// `IST0147`: the image that injection would have replaced.
    fn automatic_image(&self, pod: &Pod) -> Option<Diagnostic> {
        let mut containers = pod.spec.containers.iter();
        let index = containers.position(|c| *c.name == *PROXY && *c.image == *"auto")?;
        let message =
            "the image `auto` is there to be replaced by injection, which did not happen: \
                       the pod does not start"
                .to_owned();
        let help = "label the namespace or the pod for injection";
        let field = format!("spec.containers[{index}].image");
        let subject = Subject::in_cluster(self.scene.mesh, self.id, "Pod", &pod.meta);
        Some(subject.error("IST0147", &field, (message, help)))
    }

    /// `IST0146`: pods to come whose image injection will not replace.
    fn automatic_template(&self, object: &Opaque) -> Option<Diagnostic> {
        let template = object.node.get(&["spec"])?.get(&["template"])?;
        let Value::List(containers) = &template.get(&["spec"])?.get(&["containers"])?.value else {
            return None;
        };
        let is = |node: &Node, field, text| node.get(&[field]).and_then(Node::as_str) == Some(text);
        let index =
            containers.iter().position(|c| is(c, "name", PROXY) && is(c, "image", "auto"))?;
        let labels = template.get(&["metadata"]).and_then(|meta| meta.get(&["labels"]));
        let of_pod = |name| labels?.get(&[name])?.as_str();
        let none = Labels::default();
        let of_namespace = self.store.namespace(object.meta.namespace.as_str());
        let of_namespace = of_namespace.map_or(&none, |meta| &meta.labels);
        let revision = of_namespace.get(REVISION).or_else(|| of_pod(REVISION)).unwrap_or("default");
        let labels: Labels =
            [INJECT, REVISION].into_iter().filter_map(|name| Some((name, of_pod(name)?))).collect();
        let candidate = Candidate {
            namespace: object.meta.namespace.as_str(),
            namespace_labels: of_namespace,
            labels: &labels,
            annotations: &none,
            host_network: false,
            revision,
        };
        if candidate.webhook().is_some() {
            return None;
        }
        let message =
            "the image `auto` is there to be replaced by injection, and no webhook is called \
                       for these pods: they will not start"
                .to_owned();
        let help = "label the namespace or the pod template for injection";
        let field = format!("spec.template.spec.containers[{index}].image");
        let subject = Subject::in_cluster(self.scene.mesh, self.id, "Deployment", &object.meta);
        Some(subject.warning("IST0146", &field, (message, help)))
    }

    /// `IST0144`: an application that runs as the proxy does.
    fn user(&self, pod: &Pod) -> Option<Diagnostic> {
        let spec = &pod.spec;
        let of_pod = spec.security_context.run_as_user == Some(PROXY_USER);
        let mut containers = spec.containers.iter();
        let is_proxys = |user: Option<u32>| user == Some(PROXY_USER);
        let own =
            containers.position(|c| *c.name != *PROXY && is_proxys(c.security_context.run_as_user));
        let field = match own {
            Some(index) => format!("spec.containers[{index}].securityContext.runAsUser"),
            None if of_pod => "spec.securityContext.runAsUser".to_owned(),
            None => return None,
        };
        let message = format!(
            "the application runs as user {PROXY_USER}, which is the proxy's: what it sends goes past \
             the proxy"
        );
        let help = "run the application as another user";
        let subject = Subject::in_cluster(self.scene.mesh, self.id, "Pod", &pod.meta);
        Some(subject.warning("IST0144", &field, (message, help)))
    }
}
