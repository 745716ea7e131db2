//! Policies that could not be understood: they deny what they might have denied.
use mesh_model::name::{ClusterId, Labels, Namespace};
use mesh_model::registry::{Broken, ControlPlane, Mesh, Origin, TokenPlace};
use mesh_model::resource::{Action, JwtRule};

use super::attachment::GATEWAY_NAME;
use super::{Selection, Workload, WorkloadKind};

/// A policy that did not decode or that admission refuses, as far as it is known; or one that is
/// understood, but attached by what is not.
///
/// Security fails closed: until it is mended, every workload that it may mean denies what the policy
/// might have denied. An ALLOW policy might have denied whatever no other ALLOW policy allows; a DENY
/// or a CUSTOM policy, or one of unknown action, might have denied everything; AUDIT denies nothing.
/// A RequestAuthentication might have denied requests that carry a token, and would have rewritten the
/// headers in which the application is told of claims: requests with either.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build markers by hand")]
pub struct BrokenPolicy {
    /// The policy's namespace; empty where it is not known, so that it may be any.
    pub namespace: Namespace,
    /// The policy's name.
    pub name: Box<str>,
    /// The labels that a workload must have to be meant; `None` where the selector is not understood
    /// or the policy is attached by reference, so that every workload may be meant.
    pub selector: Option<Labels>,
    /// The policy's action; `None` where it is not understood. Of a RequestAuthentication DENY.
    pub action: Option<Action>,
    /// What it may have denied.
    pub subject: Subject,
    /// The namespace of the workloads that it may mean, empty for any, where its own does not tell:
    /// those of a service that cannot be read, for a policy that is attached to the service or its
    /// waypoint. No gateway is meant.
    pub workloads: Option<Namespace>,
}

/// What a policy that is not in force is about.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "what stands in acts on each")]
pub enum Subject {
    /// Connections and requests: an AuthorizationPolicy.
    #[default]
    Connections,
    /// Requests, any of them: a RequestAuthentication of which nothing can be told.
    Requests,
    /// Requests that have something in one of these places: a RequestAuthentication.
    Tokens(Box<[TokenPlace]>),
}

impl Subject {
    /// What the rules of a RequestAuthentication are about.
    pub(crate) fn of_rules(rules: &[JwtRule]) -> Self {
        let mut places: Vec<TokenPlace> = rules.iter().flat_map(places).collect();
        places.sort();
        places.dedup();
        Self::Tokens(places.into())
    }
}

/// Where a rule looks for tokens, and the headers that it writes.
fn places(rule: &JwtRule) -> Vec<TokenPlace> {
    let header = |name: &str| TokenPlace::Header(name.into());
    let read = rule.from_headers.iter().map(|from| &from.name);
    let written = rule.output_claim_to_headers.iter().map(|to| &to.header);
    let payload = Some(&rule.output_payload_to_header).filter(|name| !name.is_empty());
    let mut places: Vec<TokenPlace> =
        read.chain(written).chain(payload).map(|name| header(name)).collect();
    if !rule.from_cookies.is_empty() {
        places.push(header("cookie"));
    }
    let is_default = rule.from_headers.is_empty() && rule.from_cookies.is_empty();
    if is_default && rule.from_params.is_empty() {
        places.push(header("authorization"));
    }
    if is_default || !rule.from_params.is_empty() {
        places.push(TokenPlace::Query);
    }
    places
}

impl BrokenPolicy {
    /// Those that count for the proxies of a control plane.
    pub(crate) fn of_plane(plane: &ControlPlane) -> Vec<Self> {
        plane.broken.iter().filter_map(Self::of).collect()
    }

    /// What denies at workloads because it is not in force as it was meant: those, and policies of
    /// services and waypoints that a workload of any cluster may have stood behind.
    pub(crate) fn of_workloads(mesh: &Mesh, plane: &ControlPlane) -> Vec<Self> {
        let mut broken = Self::of_plane(plane);
        broken.extend(super::lost::of_workloads(mesh, plane, |_| true));
        broken
    }

    /// The same at the workloads of one cluster: the Service of another selects none of them, one that is
    /// read nowhere may be of any.
    pub(crate) fn of_cluster(mesh: &Mesh, plane: &ControlPlane, cluster: &ClusterId) -> Vec<Self> {
        let may_select = |lost: &Broken| {
            let is_far = matches!(&lost.origin, Origin::Cluster(of) if of != cluster);
            lost.object.kind != "Service" || !is_far
        };
        let mut broken = Self::of_plane(plane);
        broken.extend(super::lost::of_workloads(mesh, plane, may_select));
        broken
    }

    fn of(broken: &Broken) -> Option<Self> {
        let (action, subject) = match (broken.object.kind, &broken.token_places) {
            ("AuthorizationPolicy", _) => (broken.action, Subject::Connections),
            ("RequestAuthentication", None) => (Some(Action::Deny), Subject::Requests),
            ("RequestAuthentication", Some(places)) => {
                (Some(Action::Deny), Subject::Tokens(places.clone()))
            }
            _ => return None,
        };
        Some(Self {
            namespace: broken.object.namespace.clone(),
            name: broken.object.name.as_str().into(),
            selector: broken.selector.clone(),
            action,
            subject,
            workloads: None,
        })
    }

    /// Returns whether the policy may mean a workload.
    pub fn may_select(&self, workload: &Workload, selection: &Selection) -> bool {
        let is_of = match &self.workloads {
            None => {
                self.namespace.is_empty()
                    || super::visited(workload, selection).contains(&&self.namespace)
            }
            Some(namespace) => {
                let is_gateway = workload.labels.get(GATEWAY_NAME).is_some();
                !matches!(workload.kind, WorkloadKind::Waypoint(_))
                    && !is_gateway
                    && (namespace.is_empty() || *namespace == workload.namespace)
            }
        };
        is_of && self.selector.as_ref().is_none_or(|selector| workload.is_selected(selector))
    }
}
