//! istio/istio#49500: a gateway has none of the labels of the endpoints behind it.
//!
//! `failoverPriority` compares labels; a gateway has those of its cluster and network only, so remote
//! endpoints never match any other.
use mesh_model::lint::Subject;
use mesh_model::manifest::Diagnostic;
use mesh_model::resource::destination_rule::LocalityLbSetting;

use super::Case;

/// `HZ-GW-LABELS`: the order of failover is another than the labels say.
pub(super) fn check(case: &Case<'_, '_>) -> Option<Diagnostic> {
    let found = case.difference(|compat| compat.fixes.gateway_labels = true)?;
    let message = format!(
        "failoverPriority does not see labels behind gateways: {}, by the labels it would be {}",
        found.now, found.mended
    );
    let help =
        "rank by network or cluster, or switch `fixes.gateway_labels` on (istio/istio#49500)";
    let (subject, field) = written(case);
    Some(subject.warning("HZ-GW-LABELS", &field, (message, help)))
}

/// Where the labels are listed: in the rule, else in the mesh's setting; at the service where the rule has them
/// from another one.
fn written(case: &Case<'_, '_>) -> (Subject, String) {
    let list = |setting: &LocalityLbSetting| !setting.failover_priority.is_empty();
    let of_rule = case.balancer(|settings| settings.locality_lb_setting.as_ref().is_some_and(list));
    if let Some((subject, path)) = of_rule {
        return (subject, format!("{path}.localityLbSetting.failoverPriority"));
    }
    let policy = case.destination.policy.as_deref();
    let own = policy.and_then(|policy| policy.load_balancer.as_ref());
    let has_own = own.is_some_and(|settings| settings.locality_lb_setting.is_some());
    if !has_own && list(&case.view.plane().config.locality_lb_setting) {
        let field = "localityLbSetting.failoverPriority".to_owned();
        return (Subject::config(case.view.mesh()), field);
    }
    (case.subject(), case.port_field())
}
