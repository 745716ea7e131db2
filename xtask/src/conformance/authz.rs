//! Cases of the area `authz`.
use mesh_authz::compile::RootNamespace;
use mesh_authz::identity::TrustBundle;
use mesh_authz::matcher::{NormalPath, PathNormalization, PathOptions, PathTemplate};
use mesh_authz::select::{
    AttachedService, Selection, ServiceRegistry, Workload, WorkloadKind, select,
};
use mesh_model::name::{Namespace, TrustDomain};
use mesh_model::resource::AuthorizationPolicy;
use mesh_testkit::conformance::Answer;
use serde_json::{Value, json};

use self::json::{Fields, Rejection, text, texts};

mod authenticate;
mod decide;
pub(super) mod golden;
mod json;
mod mtls;
mod policy;
mod request;
mod validate;
mod ztunnel;

/// Computes one case.
pub(crate) fn answer(op: &str, input: &Value) -> Answer {
    let computed = match op {
        "decide" => decide::decide(input),
        "normalize_path" => normalize_path(input),
        "match_path_template" => match_path_template(input),
        "select_policies" => select_policies(input),
        "rewrite_principals" => rewrite(input, TrustBundle::rewrite_principals),
        "rewrite_trust_domains" => rewrite(input, TrustBundle::rewrite_trust_domains),
        "resolve_mtls_mode" => mtls::resolve(input),
        "mtls_connection" => mtls::connection(input),
        "authenticate_request" => authenticate::authenticate_request(input),
        "validate_condition" => validate::condition(input),
        "validate_path" => validate::path(input),
        "validate_field" => validate::field(input),
        "validate_policy" => validate::whole(input),
        "decide_ztunnel" => ztunnel::decide_ztunnel(input),
        _ => return Answer::Rejected(format!("unknown op `{op}`")),
    };
    computed.map_or_else(Answer::Rejected, Answer::Value)
}

fn normalize_path(input: &Value) -> Result<Value, Rejection> {
    let mut fields = Fields::of(input)?;
    let options = PathOptions {
        normalization: normalization(text(&mut fields, "normalization")?)?,
        ..PathOptions::default()
    };
    let path = text(&mut fields, "path")?;
    fields.end()?;
    Ok(match NormalPath::new(path, options) {
        Ok(path) => json!({ "path": path.as_str() }),
        Err(_) => json!({ "status": 400 }),
    })
}

fn normalization(name: &str) -> Result<PathNormalization, Rejection> {
    match name {
        "NONE" => Ok(PathNormalization::None),
        "BASE" | "DEFAULT" => Ok(PathNormalization::Base),
        "MERGE_SLASHES" => Ok(PathNormalization::MergeSlashes),
        "DECODE_AND_MERGE_SLASHES" => Ok(PathNormalization::DecodeAndMergeSlashes),
        _ => Err(format!("unknown normalization `{name}`")),
    }
}

fn match_path_template(input: &Value) -> Result<Value, Rejection> {
    let mut fields = Fields::of(input)?;
    let template = text(&mut fields, "template")?;
    let path = text(&mut fields, "path")?;
    fields.end()?;
    let template = PathTemplate::new(template).map_err(|error| error.to_string())?;
    Ok(json!({ "match": template.matches(path) }))
}

fn select_policies(input: &Value) -> Result<Value, Rejection> {
    let mut fields = Fields::of(input)?;
    let selection = Selection {
        root_namespace: Namespace::from(text(&mut fields, "root_namespace")?),
        selects_gateways: fields
            .take("enable_selector_based_k8s_gateway_policy")
            .map_or(Ok(true), json::boolean)?,
    };
    let workload = workload(fields.required("workload")?)?;
    let policies = policies(fields.required("policies")?)?;
    fields.end()?;
    let selected = select(&policies, &workload, &selection);
    let names = |policies: &[&AuthorizationPolicy]| -> Vec<String> {
        policies.iter().map(|of| format!("{}/{}", of.meta.namespace, of.meta.name)).collect()
    };
    Ok(json!({
        "CUSTOM": names(&selected.custom),
        "AUDIT": names(&selected.audit),
        "DENY": names(&selected.deny),
        "ALLOW": names(&selected.allow),
    }))
}

fn policies(value: &Value) -> Result<Vec<AuthorizationPolicy>, Rejection> {
    json::list(value)?.iter().map(policy::policy).collect()
}

fn workload(value: &Value) -> Result<Workload, Rejection> {
    let mut fields = Fields::of(value)?;
    let namespace = Namespace::from(text(&mut fields, "namespace")?);
    let labels = fields.take("labels").map_or(Ok(Default::default()), json::labels)?;
    let is_waypoint = fields.take("is_waypoint").map_or(Ok(false), json::boolean)?;
    let services: Result<Vec<AttachedService>, Rejection> = match fields.take("services") {
        Some(services) => json::list(services)?.iter().map(service).collect(),
        None => Ok(Vec::new()),
    };
    let services = services?;
    fields.end()?;
    let kind = if is_waypoint { WorkloadKind::Waypoint(services) } else { WorkloadKind::Proxy };
    Ok(Workload { namespace, labels, kind })
}

fn service(value: &Value) -> Result<AttachedService, Rejection> {
    let mut fields = Fields::of(value)?;
    let service = AttachedService {
        name: text(&mut fields, "name")?.into(),
        namespace: Namespace::from(text(&mut fields, "namespace")?),
        registry: match text(&mut fields, "registry")? {
            "Kubernetes" => ServiceRegistry::Kubernetes,
            "External" => ServiceRegistry::External,
            other => return Err(format!("unknown registry `{other}`")),
        },
    };
    fields.end()?;
    Ok(service)
}

type Rewrite = fn(&TrustBundle, &[Box<str>]) -> Vec<Box<str>>;

fn rewrite(input: &Value, rewrite: Rewrite) -> Result<Value, Rejection> {
    let mut fields = Fields::of(input)?;
    let bundle = trust_bundle(&mut fields)?;
    let values = texts(&mut fields, "values")?;
    fields.end()?;
    Ok(json!({ "values": rewrite(&bundle, &values) }))
}

fn trust_bundle(fields: &mut Fields<'_>) -> Result<TrustBundle, Rejection> {
    let own = TrustDomain::from(text(fields, "trust_domain")?);
    let aliases = texts(fields, "trust_domain_aliases")?;
    let aliases = aliases.iter().map(|alias| TrustDomain::from(&**alias));
    Ok(TrustBundle { trust_domains: std::iter::once(own).chain(aliases).collect() })
}

fn root_namespace(fields: &mut Fields<'_>) -> Result<RootNamespace, Rejection> {
    text(fields, "root_namespace").map(|name| RootNamespace(Namespace::from(name)))
}
