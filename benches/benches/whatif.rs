//! What a lost zone does to a mesh of 1,000 services of 10 endpoints in 3 clusters with 3 zones each,
//! for every class of its 10,003 proxies: 50 ms is the budget of `lose_a_zone`.
//!
//! `survey` is what is done once a mesh: finding the classes and where their traffic goes at present.
//! Time on the processor.
#![expect(clippy::expect_used, reason = "a workload that is not there cannot be measured")]
#[path = "shared/cpu_time.rs"]
mod cpu_time;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mesh_lb::capacity::DEFAULT_LIMIT;
use mesh_lb::whatif::{Loss, Scenario, Survey, services};
use mesh_model::Compat;
use mesh_model::registry::Registry;
use mesh_model::view::Proxy;
use mesh_testkit::synthetic::Synthetic;

use cpu_time::CpuTime;

fn whatif(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("whatif");
    group.sample_size(20);
    for networks in [1, 3] {
        let mut registry = Registry::new(Compat::default());
        registry.load(Synthetic { networks, ..Synthetic::default() }.sources());
        let mesh = registry.mesh();
        let proxies: Vec<Proxy> =
            mesh.proxies().filter_map(|reference| mesh.proxy(&reference).ok()).collect();
        group.bench_function(format!("survey/{networks}_networks"), |bencher| {
            bencher.iter(|| Survey::new(black_box(&mesh), &proxies, services));
        });
        let survey = Survey::new(&mesh, &proxies, services);
        let classes: usize = survey.destinations().iter().map(|d| d.classes.len()).sum();
        assert!(classes >= 9_000, "every service has a class a zone: {classes}");
        for (name, loss) in [("lose_a_zone", Loss::Unhealthy), ("remove_a_zone", Loss::Removed)] {
            let failure = "zone=region-0/region-0-z0".parse().expect("it is written as it should");
            let scenario = Scenario { failures: vec![failure], loss };
            group.bench_function(format!("{name}/{networks}_networks"), |bencher| {
                bencher.iter(|| survey.impact(black_box(&scenario), DEFAULT_LIMIT));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = whatif
}
criterion_main!(benches);
