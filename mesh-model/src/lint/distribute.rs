//! Shares by locality that do not add up with where the endpoints are.
use super::scene::{Policy, Rule, Scene};
use crate::manifest::Diagnostic;
use crate::name::Locality;
use crate::resource::destination_rule::{Distribute, LocalityLbSetting};

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for rule in &scene.rules {
        for policy in rule.policies() {
            let own = policy.load_balancer.and_then(|lb| lb.locality_lb_setting.as_ref());
            let Some(setting) = own.filter(|setting| setting.enabled != Some(false)) else {
                continue;
            };
            for (index, entry) in setting.distribute.iter().enumerate() {
                let field =
                    format!("{}.loadBalancer.localityLbSetting.distribute[{index}]", policy.field);
                found.extend(depends_on_order(rule, &field, entry));
            }
            check_setting(scene, rule, &policy, setting, found);
        }
    }
}

/// `LLB-ORDER-DEPENDENT`: targets that admission may refuse, as its mood is.
fn depends_on_order(rule: &Rule<'_>, field: &str, entry: &Distribute) -> Option<Diagnostic> {
    let (wide, covered) = crate::resource::destination_rule::depends_on_order(entry)?;
    let message = format!(
        "`{wide}` covers `{covered}`: admission walks over the targets in an order that changes from run \
         to run, and refuses the rule whenever it meets the wider one first"
    );
    let help = "name targets that do not overlap";
    let field = format!("{field}.to.{wide}");
    Some(rule.subject.warning("LLB-ORDER-DEPENDENT", &field, (message, help)))
}

fn check_setting(
    scene: &Scene<'_>,
    rule: &Rule<'_>,
    policy: &Policy<'_>,
    setting: &LocalityLbSetting,
    found: &mut Vec<Diagnostic>,
) {
    for service in &rule.services {
        let endpoints = policy.selected(&scene.endpoints(service));
        let mut localities: Vec<Locality> =
            endpoints.iter().map(|e| Locality::parse(&e.workload.place.locality)).collect();
        localities.sort();
        localities.dedup();
        if localities.is_empty() {
            continue;
        }
        for (index, entry) in setting.distribute.iter().enumerate() {
            let field =
                format!("{}.loadBalancer.localityLbSetting.distribute[{index}]", policy.field);
            let host = service.hostname.as_str();
            found.extend(dead(rule, &field, host, (entry, &localities)));
            found.extend(omitted(rule, &field, host, (entry, &localities)));
        }
    }
}

/// `HZ-DISTRIBUTE-DEAD`: a share for a locality that has nothing.
fn dead(
    rule: &Rule<'_>,
    field: &str,
    host: &str,
    (entry, localities): (&Distribute, &[Locality]),
) -> Option<Diagnostic> {
    let is_dead = |to: &str| !localities.iter().any(|locality| covers(to, locality));
    let dead: Vec<&str> = entry.to.localities().filter(|to| is_dead(to)).collect();
    if dead.is_empty() {
        return None;
    }
    let consequence = if dead.len() == entry.to.localities().len() {
        "clients there have no endpoint at all: every request fails"
    } else {
        "its share moves to the other targets, in proportion"
    };
    let message = format!(
        "for clients in `{}` a share goes to {}, where `{host}` has no endpoint: {consequence}",
        entry.from,
        super::scene::some(&dead)
    );
    let help = "name localities in which the host has endpoints";
    let field = format!("{field}.to.{}", dead.first().copied().unwrap_or_default());
    Some(rule.subject.warning("HZ-DISTRIBUTE-DEAD", &field, (message, help)))
}

/// `HZ-DISTRIBUTE-OMITS`: endpoints that no share reaches.
fn omitted(
    rule: &Rule<'_>,
    field: &str,
    host: &str,
    (entry, localities): (&Distribute, &[Locality]),
) -> Option<Diagnostic> {
    let is_covered = |locality: &Locality| entry.to.localities().any(|to| covers(to, locality));
    let omitted: Vec<String> = localities
        .iter()
        .filter(|locality| !is_covered(locality))
        .map(|locality| match locality.is_empty() {
            true => "no locality".to_owned(),
            false => locality.to_string(),
        })
        .collect();
    if omitted.is_empty() {
        return None;
    }
    let message = format!(
        "endpoints of `{host}` in {} get nothing from clients in `{}`, even when all others fail",
        super::scene::some(&omitted),
        entry.from
    );
    let help = "give every locality with endpoints a share, 1 if it is only for emergencies";
    Some(rule.subject.error("HZ-DISTRIBUTE-OMITS", &format!("{field}.to"), (message, help)))
}

/// Whether `REGION/ZONE/SUBZONE`, whose end may be `*` or missing, covers a locality.
fn covers(pattern: &str, locality: &Locality) -> bool {
    let parts = [locality.region(), locality.zone(), locality.sub_zone()];
    for (wanted, part) in pattern.split('/').zip(parts) {
        if wanted == "*" {
            return true;
        }
        if wanted != part {
            return false;
        }
    }
    true
}
