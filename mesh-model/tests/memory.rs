//! What is meant to hurt takes no more memory than its text and as many values as a document may have.
use allocation_counter::measure;
use mesh_model::Compat;
use mesh_model::manifest::Limits;
use mesh_model::registry::{Origin, Registry, Source};

/// What a value may take with its place, name and neighbours, while a document is read.
const VALUE: usize = 640;

/// How much smaller everything is, limits and all, where nothing is optimised.
const SCALE: usize = if cfg!(debug_assertions) { 32 } else { 1 };

fn limits() -> Limits {
    let limits = Limits::default();
    Limits {
        object_bytes: limits.object_bytes / SCALE,
        list_bytes: limits.list_bytes / SCALE,
        scalar_bytes: limits.scalar_bytes / SCALE,
        values: limits.values / SCALE,
        ..limits
    }
}

#[track_caller]
fn check(text: Vec<u8>) {
    let length = text.len();
    let mut found = 0;
    let source = Source { origin: Origin::Config, name: "config/a.yaml".into(), text };
    let memory = measure(|| {
        let mut registry = Registry::new(Compat::default()).with_limits(limits());
        found = registry.load([source]).len();
    });
    let peak = usize::try_from(memory.bytes_max).unwrap_or(usize::MAX);
    let limit = VALUE * limits().values + 16 * length;
    assert!(peak <= limit, "{peak} bytes for a text of {length}");
    assert!(found > 0, "a diagnostic");
}

#[test]
fn a_document_of_a_million_lines() {
    check("key: value\n".repeat(1_000_000 / SCALE).into_bytes());
    check("- a: b\n".repeat(100_000 / SCALE).into_bytes());
}

#[test]
fn ten_to_the_ninth_aliases() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let uses = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{uses}]\n");
    }
    check(text.into_bytes());
}

#[test]
fn a_hundred_thousand_levels() {
    check(format!("a: {}", "[".repeat(100_000 / SCALE)).into_bytes());
    check("{\"a\":".repeat(100_000 / SCALE).into_bytes());
}

#[test]
fn keys_that_come_twice() {
    check(("kind: Pod\n".to_owned() + &"a: 1\n".repeat(100_000 / SCALE)).into_bytes());
}

#[test]
fn bytes_that_are_no_text() {
    check(vec![0; (4 << 20) / SCALE]);
    check(vec![0xFF; (4 << 20) / SCALE]);
}

#[test]
fn a_label_of_ten_megabytes() {
    let long = "x".repeat((10 << 20) / SCALE);
    let text =
        format!("{{apiVersion: v1, kind: Pod, metadata: {{name: a, labels: {{app: {long}}}}}}}");
    check(text.into_bytes());
}
