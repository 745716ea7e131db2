//! AuthorizationPolicies from JSON, as istiod holds them after decoding.
use std::sync::Arc;

use mesh_model::manifest::Node;
use mesh_model::resource::{self, AuthorizationPolicy, Resource};
use serde_json::Value;

use super::json::Rejection;

pub(super) fn policy(value: &Value) -> Result<AuthorizationPolicy, Rejection> {
    let mut decoded = resource::decode(&Node::from(value), &Arc::from("case"), "default");
    // An unknown field is a warning of the decoder and a failure here.
    if let Some(problem) = decoded.diagnostics.pop() {
        return Err(problem.to_string());
    }
    match decoded.resource {
        Some(Resource::AuthorizationPolicy(policy)) => Ok(policy),
        _ => Err(format!("not an AuthorizationPolicy: {value}")),
    }
}
