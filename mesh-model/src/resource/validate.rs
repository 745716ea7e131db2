//! What admission refuses or warns of, rule by rule.
//!
//! Decoding says what a document says; validation says whether Istio would take it. Every rule has an
//! identifier of its own, and all the rules that an object breaks are told at once.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/validation/validation.go`.
use std::sync::Arc;

use super::Resource;
use crate::manifest::decode::push_index;
use crate::manifest::{Diagnostic, Node, Severity};

pub(crate) mod address;
pub(crate) mod attachment;
pub(crate) mod dry_run;
pub(crate) mod duration;
pub(crate) mod export_to;
pub(crate) mod gateway_ref;
pub(crate) mod header;
pub(crate) mod host;
pub(crate) mod label;
pub(crate) mod metadata;
pub(crate) mod names;
pub(crate) mod port;
pub(crate) mod re2;
pub(crate) mod schema;
pub(crate) mod url;

/// A rule that an object breaks.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers print every part")]
pub struct Violation {
    /// The rule's identifier, such as `AP-PORT`.
    pub rule: &'static str,
    /// An error, which admission refuses, or a warning.
    pub severity: Severity,
    /// The field path, such as `spec.rules[0].to[0].operation.ports[1]`.
    pub field: String,
    /// What is wrong: one sentence, lower case, without a final period.
    pub message: String,
    /// What to do about it; may be empty.
    pub help: String,
}

impl Violation {
    /// Turns the violation into a finding about the document of its object.
    pub(super) fn diagnose(self, node: &Node, file: &Arc<str>, object: &str) -> Diagnostic {
        Diagnostic {
            code: self.rule,
            severity: self.severity,
            file: Arc::clone(file),
            place: node.locate(&self.field),
            object: object.to_owned(),
            field: self.field,
            message: self.message,
            help: self.help,
        }
    }
}

impl Resource {
    /// Returns the rules of admission that the object breaks, in the order in which upstream looks at
    /// its fields; an object with an error is one that Istio would not take.
    ///
    /// Most kinds of Kubernetes itself have no rules here: their API server has looked at them.
    pub fn validate(&self) -> Vec<Violation> {
        match self {
            Self::VirtualService(object) => object.validate(),
            Self::DestinationRule(object) => object.validate(),
            Self::ServiceEntry(object) => object.validate(),
            Self::WorkloadEntry(object) => object.validate(),
            Self::WorkloadGroup(object) => object.validate(),
            Self::Gateway(object) => object.validate(),
            Self::Sidecar(object) => object.validate(),
            Self::ProxyConfig(object) => object.validate(),
            Self::AuthorizationPolicy(object) => object.validate(),
            Self::PeerAuthentication(object) => object.validate(),
            Self::RequestAuthentication(object) => object.validate(),
            Self::Telemetry(object) => object.validate(),
            Self::Opaque(object) => object.validate(),
            Self::Service(object) => object.validate(),
            Self::HorizontalPodAutoscaler(object) => object.validate(),
            Self::EndpointSlice(_)
            | Self::Pod(_)
            | Self::Node(_)
            | Self::Namespace(_)
            | Self::ServiceAccount(_)
            | Self::ServiceExport(_)
            | Self::ServiceImport(_)
            | Self::MeshConfigMap(_)
            | Self::KubernetesGateway(_) => Vec::new(),
        }
    }
}

/// A value that breaks a rule.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) rule: &'static str,
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

impl Wrong {
    pub(crate) fn new(rule: &'static str, message: impl Into<String>, help: &'static str) -> Self {
        Self { rule, message: message.into(), help }
    }
}

/// What the test of a value says.
pub(crate) type Verdict = Result<(), Wrong>;

/// Collects violations at the path that is being looked at.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    path: String,
    found: Vec<Violation>,
}

impl Violations {
    /// Runs `inner` with a field, or an index in brackets, appended to the path.
    pub(crate) fn field(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if !self.path.is_empty() && !name.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(name);
        inner(self);
        self.path.truncate(length);
    }

    /// Runs `inner` for each item with its index appended to the path.
    pub(crate) fn each<'i, T: 'i>(
        &mut self,
        items: impl IntoIterator<Item = &'i T>,
        mut inner: impl FnMut(&mut Self, &'i T),
    ) {
        let length = self.path.len();
        for (index, item) in items.into_iter().enumerate() {
            push_index(&mut self.path, index);
            inner(self, item);
            self.path.truncate(length);
        }
    }

    /// Runs `inner` for each value of a map with its key appended to the path.
    pub(crate) fn entries<'i, K: AsRef<str> + 'i, T: 'i>(
        &mut self,
        entries: impl IntoIterator<Item = (K, &'i T)>,
        mut inner: impl FnMut(&mut Self, K, &'i T),
    ) {
        let length = self.path.len();
        for (key, value) in entries {
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(key.as_ref());
            inner(self, key, value);
            self.path.truncate(length);
        }
    }

    /// Runs `inner` and forgets the warnings that it gives.
    pub(crate) fn without_warnings(&mut self, inner: impl FnOnce(&mut Self)) {
        // What was found before is not looked at: a document has as many blocks as it has violations.
        let before = self.found.len();
        inner(self);
        let is_warning = |violation: &mut Violation| violation.severity != Severity::Error;
        self.found.extract_if(before.., is_warning).for_each(drop);
    }

    /// Runs `inner` and takes the errors that it gives as warnings.
    pub(crate) fn as_warnings(&mut self, inner: impl FnOnce(&mut Self)) {
        let before = self.found.len();
        inner(self);
        let found = self.found.get_mut(before..).unwrap_or_default();
        found.iter_mut().for_each(|violation| violation.severity = Severity::Warning);
    }

    /// Returns whether an error has been found.
    pub(crate) fn has_error(&self) -> bool {
        self.found.iter().any(|violation| violation.severity == Severity::Error)
    }

    /// Forgets the warnings.
    pub(crate) fn keep_errors(&mut self) {
        self.found.retain(|violation| violation.severity == Severity::Error);
    }

    /// Takes the verdict on the value that is being looked at.
    pub(crate) fn take(&mut self, verdict: Verdict) {
        if let Err(wrong) = verdict {
            self.error(wrong.rule, &wrong.message, wrong.help);
        }
    }

    /// Takes the verdict on a field.
    pub(crate) fn take_at(&mut self, name: &str, verdict: Verdict) {
        if verdict.is_err() {
            self.field(name, |violations| violations.take(verdict));
        }
    }

    /// Takes an error at a field.
    pub(crate) fn error_at(&mut self, name: &str, rule: &'static str, message: &str, help: &str) {
        self.field(name, |violations| violations.error(rule, message, help));
    }

    /// Takes a warning at a field.
    pub(crate) fn warning_at(&mut self, name: &str, rule: &'static str, message: &str, help: &str) {
        self.field(name, |violations| violations.warning(rule, message, help));
    }

    pub(crate) fn error(&mut self, rule: &'static str, message: &str, help: &str) {
        self.push(rule, Severity::Error, message, help);
    }

    pub(crate) fn warning(&mut self, rule: &'static str, message: &str, help: &str) {
        self.push(rule, Severity::Warning, message, help);
    }

    fn push(&mut self, rule: &'static str, severity: Severity, message: &str, help: &str) {
        self.found.push(Violation {
            rule,
            severity,
            field: self.path.clone(),
            message: message.to_owned(),
            help: help.to_owned(),
        });
    }

    pub(crate) fn into_found(self) -> Vec<Violation> {
        self.found
    }
}
