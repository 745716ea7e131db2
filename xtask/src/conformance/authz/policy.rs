//! AuthorizationPolicies from JSON.
use mesh_model::name::Namespace;
use mesh_model::resource::{
    Action, AuthorizationPolicy, AuthorizationPolicySpec, Condition, From, Meta, Operation,
    PolicyTargetReference, Provider, Rule, Source, To, WorkloadSelector,
};
use serde_json::Value;

use super::json::{self, Fields, Rejection, text, texts};

pub(super) fn policy(value: &Value) -> Result<AuthorizationPolicy, Rejection> {
    let mut fields = Fields::of(value)?;
    fields.take("apiVersion");
    fields.take("kind");
    let meta = meta(fields.required("metadata")?)?;
    let empty = Value::Object(Default::default());
    let spec = spec(fields.take("spec").unwrap_or(&empty))?;
    fields.end()?;
    Ok(AuthorizationPolicy { meta, spec })
}

fn meta(value: &Value) -> Result<Meta, Rejection> {
    let mut fields = Fields::of(value)?;
    let meta = Meta {
        name: text(&mut fields, "name")?.into(),
        namespace: Namespace::from(text(&mut fields, "namespace")?),
        annotations: fields.take("annotations").map_or(Ok(Default::default()), json::labels)?,
        creation: fields.take("creationTimestamp").map(creation).transpose()?,
        ..Meta::default()
    };
    fields.end()?;
    Ok(meta)
}

/// `2020-01-02T03:04:05Z` as a number that orders as the times do.
fn creation(value: &Value) -> Result<i64, Rejection> {
    let digits: String = json::as_text(value)?.chars().filter(char::is_ascii_digit).collect();
    digits.parse().map_err(|_| format!("not a time: {value}"))
}

fn optional_text(fields: &mut Fields<'_>, name: &str) -> Result<Box<str>, Rejection> {
    fields.take(name).map_or(Ok(""), json::as_text).map(Box::from)
}

fn spec(value: &Value) -> Result<AuthorizationPolicySpec, Rejection> {
    let mut fields = Fields::of(value)?;
    let spec = AuthorizationPolicySpec {
        selector: fields.take("selector").map(selector).transpose()?,
        target_ref: fields.take("targetRef").map(target_ref).transpose()?,
        target_refs: each(&mut fields, "targetRefs", target_ref)?,
        rules: each(&mut fields, "rules", rule)?,
        action: fields.take("action").map_or(Ok(Action::Allow), action)?,
        provider: fields.take("provider").map(provider).transpose()?,
    };
    fields.end()?;
    Ok(spec)
}

fn each<T>(
    fields: &mut Fields<'_>,
    name: &str,
    read: fn(&Value) -> Result<T, Rejection>,
) -> Result<Vec<T>, Rejection> {
    let Some(value) = fields.take(name) else { return Ok(Vec::new()) };
    json::list(value)?.iter().map(read).collect()
}

fn selector(value: &Value) -> Result<WorkloadSelector, Rejection> {
    let mut fields = Fields::of(value)?;
    let match_labels = fields.take("matchLabels").map_or(Ok(Default::default()), json::labels)?;
    fields.end()?;
    Ok(WorkloadSelector { match_labels })
}

fn target_ref(value: &Value) -> Result<PolicyTargetReference, Rejection> {
    let mut fields = Fields::of(value)?;
    let reference = PolicyTargetReference {
        group: optional_text(&mut fields, "group")?,
        kind: optional_text(&mut fields, "kind")?,
        name: optional_text(&mut fields, "name")?,
        namespace: optional_text(&mut fields, "namespace")?,
    };
    fields.end()?;
    Ok(reference)
}

fn action(value: &Value) -> Result<Action, Rejection> {
    match json::as_text(value)? {
        "ALLOW" => Ok(Action::Allow),
        "DENY" => Ok(Action::Deny),
        "AUDIT" => Ok(Action::Audit),
        "CUSTOM" => Ok(Action::Custom),
        other => Err(format!("unknown action `{other}`")),
    }
}

fn provider(value: &Value) -> Result<Provider, Rejection> {
    let mut fields = Fields::of(value)?;
    let name = optional_text(&mut fields, "name")?;
    fields.end()?;
    Ok(Provider { name })
}

fn rule(value: &Value) -> Result<Rule, Rejection> {
    let mut fields = Fields::of(value)?;
    let rule = Rule {
        from: each(&mut fields, "from", from)?,
        to: each(&mut fields, "to", to)?,
        when: each(&mut fields, "when", condition)?,
    };
    fields.end()?;
    Ok(rule)
}

fn from(value: &Value) -> Result<From, Rejection> {
    let mut fields = Fields::of(value)?;
    let source = fields.take("source").map(source).transpose()?;
    fields.end()?;
    Ok(From { source })
}

fn to(value: &Value) -> Result<To, Rejection> {
    let mut fields = Fields::of(value)?;
    let operation = fields.take("operation").map(operation).transpose()?;
    fields.end()?;
    Ok(To { operation })
}

fn source(value: &Value) -> Result<Source, Rejection> {
    let mut fields = Fields::of(value)?;
    let source = Source {
        principals: texts(&mut fields, "principals")?,
        not_principals: texts(&mut fields, "notPrincipals")?,
        request_principals: texts(&mut fields, "requestPrincipals")?,
        not_request_principals: texts(&mut fields, "notRequestPrincipals")?,
        namespaces: texts(&mut fields, "namespaces")?,
        not_namespaces: texts(&mut fields, "notNamespaces")?,
        ip_blocks: texts(&mut fields, "ipBlocks")?,
        not_ip_blocks: texts(&mut fields, "notIpBlocks")?,
        remote_ip_blocks: texts(&mut fields, "remoteIpBlocks")?,
        not_remote_ip_blocks: texts(&mut fields, "notRemoteIpBlocks")?,
        service_accounts: texts(&mut fields, "serviceAccounts")?,
        not_service_accounts: texts(&mut fields, "notServiceAccounts")?,
        trust_domains: texts(&mut fields, "trustDomains")?,
        not_trust_domains: texts(&mut fields, "notTrustDomains")?,
    };
    fields.end()?;
    Ok(source)
}

fn operation(value: &Value) -> Result<Operation, Rejection> {
    let mut fields = Fields::of(value)?;
    let operation = Operation {
        hosts: texts(&mut fields, "hosts")?,
        not_hosts: texts(&mut fields, "notHosts")?,
        ports: texts(&mut fields, "ports")?,
        not_ports: texts(&mut fields, "notPorts")?,
        methods: texts(&mut fields, "methods")?,
        not_methods: texts(&mut fields, "notMethods")?,
        paths: texts(&mut fields, "paths")?,
        not_paths: texts(&mut fields, "notPaths")?,
    };
    fields.end()?;
    Ok(operation)
}

fn condition(value: &Value) -> Result<Condition, Rejection> {
    let mut fields = Fields::of(value)?;
    let condition = Condition {
        key: optional_text(&mut fields, "key")?,
        values: texts(&mut fields, "values")?,
        not_values: texts(&mut fields, "notValues")?,
    };
    fields.end()?;
    Ok(condition)
}
