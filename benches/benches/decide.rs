//! How long does it take to decide, and to compile what is decided by?
//!
//! Each of the 1,000 ALLOW policies names a client, a port and a path prefix, as those of a shared
//! service do: 1,000 clients, 20 ports, 200 prefixes.
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mesh_authz::{Authorizer, Environment, Policies, Workload};
use mesh_model::name::Namespace;
use mesh_model::resource::AuthorizationPolicy;

use self::rules::{policy, request};

#[path = "decide/rules.rs"]
mod rules;

fn authorizer(policies: &[AuthorizationPolicy]) -> Authorizer {
    let policies = Policies { understood: policies.iter().collect(), broken: Vec::new() };
    Authorizer::new(&policies, &workload(), &Environment::default())
}

fn workload() -> Workload {
    Workload { namespace: Namespace::from("shop"), ..Workload::default() }
}

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    let policies: Vec<AuthorizationPolicy> = (0..1000).map(policy).collect();
    let hit = request(&["spiffe://cluster.local/ns/team-37/sa/client-937"]);
    let other = request(&["spiffe://cluster.local/ns/team-37/sa/nobody"]);
    let mut changed = policy(500);
    if let Some(operation) = changed.spec.rules.first_mut().and_then(|rule| rule.to.first_mut()) {
        operation.operation =
            policy(501).spec.rules.pop().and_then(|mut rule| rule.to.pop()?.operation);
    }
    let miss = request(&["spiffe://cluster.local/ns/team-37/sa/client-938"]);

    let one = authorizer(policies.get(937..938).unwrap_or_default());
    group.bench_function("1_policy", |bencher| bencher.iter(|| one.decide(black_box(&hit))));
    let all = authorizer(&policies);
    group.bench_function("1000_allow_hit", |bencher| {
        bencher.iter(|| all.decide(black_box(&hit)));
    });
    group.bench_function("1000_allow_miss", |bencher| {
        bencher.iter(|| all.decide(black_box(&miss)));
    });
    let many: Vec<AuthorizationPolicy> = (0..10_000).map(policy).collect();
    let ten_fold = authorizer(&many);
    group.bench_function("10000_allow_hit", |bencher| {
        bencher.iter(|| ten_fold.decide(black_box(&hit)));
    });
    group.bench_function("10000_allow_miss", |bencher| {
        bencher.iter(|| ten_fold.decide(black_box(&other)));
    });
    group.bench_function("replace_1_of_1000", |bencher| {
        let mut replaced = all.clone();
        let workload = workload();
        let environment = Environment::default();
        bencher.iter(|| replaced.replace(black_box(&changed), &workload, &environment));
    });
    group.bench_function("compile_1000", |bencher| {
        bencher.iter(|| authorizer(black_box(&policies)));
    });
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
