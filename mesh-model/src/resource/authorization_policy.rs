//! Who may call a workload.
use super::Meta;
use super::selector::{PolicyTargetReference, WorkloadSelector};
use super::validate::dry_run;
use crate::manifest::decode::{choice, message};

mod validate;

message! {
    /// `security.istio.io` `AuthorizationPolicy`.
    ///
    /// # Upstream
    ///
    /// istio/api `security/v1beta1/authorization_policy.proto`.
    pub struct AuthorizationPolicy ignoring unknown {
        /// Name, namespace, age; annotation `istio.io/dry-run`.
        meta: Meta = (elsewhere),
        /// What the policy says.
        spec: AuthorizationPolicySpec = "spec",
    }
}

impl AuthorizationPolicy {
    /// Returns whether the policy is on trial: evaluated and reported, never enforced. An annotation
    /// `istio.io/dry-run` that is no Go boolean counts as false.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/security/authz/builder/builder.go` `isDryRun`.
    pub fn is_dry_run(&self) -> bool {
        let value = self.meta.annotations.value(dry_run::ANNOTATION);
        matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
    }
}

message! {
    /// The fields of an [`AuthorizationPolicy`].
    pub struct AuthorizationPolicySpec {
        /// The workloads concerned; absent: all of the namespace (all of the mesh in the root one).
        selector: Option<WorkloadSelector> = "selector",
        /// Used only where `target_refs` is empty.
        target_ref: Option<PolicyTargetReference> = "targetRef",
        /// The objects that the policy is attached to instead of workloads.
        target_refs: Vec<PolicyTargetReference> = "targetRefs",
        /// Alternatives; without any the policy never matches.
        rules: Vec<Rule> = "rules",
        /// What a match means.
        action: Action = "action",
        /// Who is asked by a CUSTOM policy.
        provider: Option<Provider> = "provider",
    }
}

choice! {
    /// What it means that a policy matches.
    pub enum Action default Allow {
        /// The request is allowed, and what no such policy matches is denied.
        Allow = 0 | "ALLOW",
        /// The request is denied.
        Deny = 1 | "DENY",
        /// The request is marked for the access log.
        Audit = 2 | "AUDIT",
        /// An external authorizer is asked.
        Custom = 3 | "CUSTOM",
    }
}

message! {
    /// The external authorizer of a CUSTOM policy.
    pub struct Provider {
        /// The name of an extension provider of `MeshConfig`.
        name: Box<str> = "name",
    }
}

message! {
    /// One alternative: a source and an operation and all conditions must match; what is absent does.
    pub struct Rule {
        /// The sources, any of them.
        from: Vec<From> = "from",
        /// The operations, any of them.
        to: Vec<To> = "to",
        /// The conditions, all of them.
        when: Vec<Condition> = "when",
    }
}

message! {
    /// An entry of `from`.
    pub struct From {
        /// The source; validation refuses an entry without one.
        source: Option<Source> = "source",
    }
}

message! {
    /// An entry of `to`.
    pub struct To {
        /// The operation; validation refuses an entry without one.
        operation: Option<Operation> = "operation",
    }
}

message! {
    /// Who sends a request. Values of a field are alternatives, fields must all match.
    pub struct Source {
        /// Peer identities without `spiffe://`.
        principals: Vec<Box<str>> = "principals",
        /// None of these peer identities.
        not_principals: Vec<Box<str>> = "notPrincipals" | "not_principals",
        /// `ISSUER/SUBJECT` of the request's token.
        request_principals: Vec<Box<str>> = "requestPrincipals" | "request_principals",
        /// None of these token principals.
        not_request_principals: Vec<Box<str>> = "notRequestPrincipals" | "not_request_principals",
        /// Namespaces of the peer.
        namespaces: Vec<Box<str>> = "namespaces",
        /// None of these namespaces.
        not_namespaces: Vec<Box<str>> = "notNamespaces" | "not_namespaces",
        /// Addresses of the direct peer.
        ip_blocks: Vec<Box<str>> = "ipBlocks" | "ip_blocks",
        /// None of these addresses.
        not_ip_blocks: Vec<Box<str>> = "notIpBlocks" | "not_ip_blocks",
        /// Addresses of the original client.
        remote_ip_blocks: Vec<Box<str>> = "remoteIpBlocks" | "remote_ip_blocks",
        /// None of these original addresses.
        not_remote_ip_blocks: Vec<Box<str>> = "notRemoteIpBlocks" | "not_remote_ip_blocks",
        /// Service accounts of the peer, `NAMESPACE/NAME` or `NAME` in the policy's namespace.
        service_accounts: Vec<Box<str>> = "serviceAccounts" | "service_accounts",
        /// None of these service accounts.
        not_service_accounts: Vec<Box<str>> = "notServiceAccounts" | "not_service_accounts",
        /// Trust domains of the peer.
        trust_domains: Vec<Box<str>> = "trustDomains" | "trust_domains",
        /// None of these trust domains.
        not_trust_domains: Vec<Box<str>> = "notTrustDomains" | "not_trust_domains",
    }
}

message! {
    /// What a request asks for. Values of a field are alternatives, fields must all match.
    pub struct Operation {
        /// `:authority` values, any case.
        hosts: Vec<Box<str>> = "hosts",
        /// None of these hosts.
        not_hosts: Vec<Box<str>> = "notHosts" | "not_hosts",
        /// Destination ports of the connection, decimal.
        ports: Vec<Box<str>> = "ports",
        /// None of these ports.
        not_ports: Vec<Box<str>> = "notPorts" | "not_ports",
        /// HTTP methods.
        methods: Vec<Box<str>> = "methods",
        /// None of these methods.
        not_methods: Vec<Box<str>> = "notMethods" | "not_methods",
        /// Paths without query, with wildcards at one end, or templates.
        paths: Vec<Box<str>> = "paths",
        /// None of these paths.
        not_paths: Vec<Box<str>> = "notPaths" | "not_paths",
    }
}

message! {
    /// An entry of `when`.
    pub struct Condition {
        /// The attribute, such as `request.headers[x-token]`.
        key: Box<str> = "key",
        /// Any of these values.
        values: Vec<Box<str>> = "values",
        /// None of these values.
        not_values: Vec<Box<str>> = "notValues" | "not_values",
    }
}
