//! Certificates that gateways name: secrets that are missing, or hold none.
//!
//! Upstream: istio/istio `pkg/config/analysis/analyzers/gateway/secret.go`,
//! `pilot/pkg/credentials/kube/secrets.go` `ExtractCertInfo`. Whether a certificate has expired is not
//! asked: that takes a clock.
use super::Subject;
use super::scene::Scene;
use crate::manifest::decode::base64;
use crate::manifest::{Diagnostic, Node};
use crate::name::Namespace;
use crate::registry::Store;
use crate::resource::{Gateway, ObjectKey};

/// The kind that holds certificates.
const SECRET: &str = "Secret";

/// The names of a certificate and its key in a secret.
const PAIRS: [(&str, &str); 2] = [("cert", "key"), ("tls.crt", "tls.key")];

/// How a certificate in PEM begins and ends.
const PEM: (&str, &str) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");

/// How the encoding of a certificate begins: a sequence.
const SEQUENCE: u8 = 0x30;

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for gateway in scene.stores().into_iter().flat_map(|store| store.gateways.values()) {
        for (index, server) in gateway.spec.servers.iter().enumerate() {
            let Some(tls) = &server.tls else { continue };
            let field = format!("spec.servers[{index}].tls.credentialName");
            let names = [&tls.credential_name].into_iter().chain(&tls.credential_names);
            // What has a scheme is not in the cluster.
            for name in names.filter(|name| !name.is_empty() && !name.contains("://")) {
                found.extend(of_gateway(scene, gateway, name, &field));
            }
        }
    }
}

/// The secret of a name where the gateway's pods look for it.
fn of_gateway(scene: &Scene<'_>, gateway: &Gateway, name: &str, field: &str) -> Option<Diagnostic> {
    let selects = |store: &Store| {
        let mut pods = store.pods.values();
        let pod = pods.find(|pod| pod.meta.labels.contains(&gateway.spec.selector));
        pod.map(|pod| pod.meta.namespace.clone())
    };
    let (store, namespace) =
        scene.clusters().find_map(|(_, store)| Some((store, selects(store)?)))?;
    let subject = Subject::of(scene.mesh, &scene.plane.id, "Gateway", &gateway.meta);
    let key = ObjectKey { kind: SECRET, namespace: namespace.clone(), name: name.into() };
    match store.opaque.get(&key) {
        // Who keeps no secrets beside the manifests is not told of every one.
        None if !store.opaque.keys().any(|key| key.kind == SECRET) => None,
        None => Some(missing(&subject, name, &namespace, field)),
        Some(secret) if is_valid(&secret.node) => None,
        Some(_) => Some(malformed(&subject, name, &namespace, field)),
    }
}

/// `IST0101` for secrets.
fn missing(subject: &Subject, name: &str, namespace: &Namespace, field: &str) -> Diagnostic {
    let message = format!(
        "there is no secret `{name}` in namespace `{namespace}` of the gateway's pods: the server has no \
         certificate, and its port refuses connections"
    );
    let help = "put the secret into the namespace of the gateway's pods";
    subject.error("IST0101", field, (message, help))
}

/// `IST0161`: a secret without a certificate.
fn malformed(subject: &Subject, name: &str, namespace: &Namespace, field: &str) -> Diagnostic {
    let message = format!(
        "secret `{namespace}/{name}` holds no certificate with its key: the server's port refuses \
         connections"
    );
    let help = "give it `tls.crt` and `tls.key`, both in PEM";
    subject.error("IST0161", field, (message, help))
}

/// Whether a secret holds a certificate and a key.
fn is_valid(secret: &Node) -> bool {
    let pair = PAIRS.iter().find_map(|(certificate, key)| {
        let key = value(secret, key).filter(|key| !key.is_empty())?;
        Some((value(secret, certificate)?, key))
    });
    pair.is_some_and(|(certificate, _)| is_certificate(&certificate))
}

/// A value of a secret: as a text, or in base64.
fn value(secret: &Node, name: &str) -> Option<String> {
    if let Some(plain) = secret.get(&["stringData"]).and_then(|data| data.get(&[name])) {
        return plain.as_str().map(ToOwned::to_owned);
    }
    let text = secret.get(&["data"])?.get(&[name])?.as_str()?;
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    String::from_utf8(base64(&text)?).ok()
}

/// Whether a text begins with a certificate in PEM, as far as its envelope shows.
fn is_certificate(text: &str) -> bool {
    let block = text.split_once(PEM.0).and_then(|(_, rest)| rest.split_once(PEM.1));
    let Some((inner, _)) = block else { return false };
    let inner: String = inner.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    base64(&inner).is_some_and(|bytes| bytes.first() == Some(&SEQUENCE))
}
