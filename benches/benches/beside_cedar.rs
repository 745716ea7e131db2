//! How long does it take to decide beside Cedar, a policy engine for any question, on the same rules?
//!
//! `cargo bench -p mesh-benches --features cedar --bench beside_cedar`. The 1,000 rules are those of
//! `decide`: each names a client, a port and a path prefix. Cedar has them as `permit` of the client,
//! with port and path in the context; requests are made ready for either before the clock starts. The
//! feature is off by default and no step of the gate builds it.
use std::error::Error;
use std::hint::black_box;

use cedar_policy::{
    Authorizer as Cedar, Context, Decision, Entities, EntityUid, PolicySet,
    Request as CedarRequest, RestrictedExpression,
};
use criterion::{Criterion, criterion_group, criterion_main};
use mesh_authz::{Authorizer, Environment, Policies, Workload};
use mesh_model::name::Namespace;
use mesh_model::resource::AuthorizationPolicy;

#[path = "decide/rules.rs"]
mod rules;

fn permit(index: usize) -> String {
    format!(
        "permit(principal == Client::\"{}\", action, resource) \
         when {{ context.port == {} && context.path like \"{}\" }};\n",
        rules::client(index),
        rules::port(index),
        rules::path(index),
    )
}

/// The request that rule 937 allows.
fn request() -> Result<CedarRequest, Box<dyn Error>> {
    let entity = |text: String| text.parse::<EntityUid>();
    let context = Context::from_pairs([
        ("port".to_owned(), RestrictedExpression::new_long(8017)),
        ("path".to_owned(), RestrictedExpression::new_string("/api/v137/items/42".to_owned())),
    ])?;
    Ok(CedarRequest::new(
        entity(format!("Client::\"{}\"", rules::client(937)))?,
        entity("Method::\"GET\"".to_owned())?,
        entity("Service::\"cart\"".to_owned())?,
        context,
        None,
    )?)
}

fn beside_cedar(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("beside_cedar");
    let policies: Vec<AuthorizationPolicy> = (0..1000).map(rules::policy).collect();
    let policies = Policies { understood: policies.iter().collect(), broken: Vec::new() };
    let workload = Workload { namespace: Namespace::from("shop"), ..Workload::default() };
    let ours = Authorizer::new(&policies, &workload, &Environment::default());
    let name = format!("spiffe://{}", rules::client(937));
    let names = [name.as_str()];
    let asked = rules::request(&names);
    assert!(ours.decide(&asked).is_allowed(), "the rule allows it");
    group.bench_function("mesh_authz/1000", |bencher| {
        bencher.iter(|| ours.decide(black_box(&asked)));
    });

    let text: String = (0..1000).map(permit).collect();
    let (Ok(policies), Ok(request)) = (text.parse::<PolicySet>(), request()) else {
        panic!("Cedar reads its own syntax");
    };
    let (cedar, entities) = (Cedar::new(), Entities::empty());
    let answer = cedar.is_authorized(&request, &policies, &entities);
    assert_eq!(answer.decision(), Decision::Allow, "the rule allows it");
    group.bench_function("cedar/1000", |bencher| {
        bencher.iter(|| cedar.is_authorized(black_box(&request), &policies, &entities));
    });
    group.finish();
}

criterion_group!(benches, beside_cedar);
criterion_main!(benches);
