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

/// Checks that documents that cannot be used take nothing each once as many are told of as may be.
#[track_caller]
fn check_junk(document: &str) {
    let peak = |documents: usize| {
        let text = format!("---\n{document}").repeat(documents).into_bytes();
        let config = Source { origin: Origin::Config, name: "config/a.yaml".into(), text };
        let (origin, name) = (Origin::Cluster("c1".into()), "clusters/c1/a.yaml".into());
        let cluster = Source { origin, name, text: Vec::new() };
        let memory = measure(|| {
            let limits = Limits { diagnostics: 10, ..Limits::default() };
            let mut registry = Registry::new(Compat::default()).with_limits(limits);
            assert!(registry.load([config, cluster]).len() > 10, "{document}");
        });
        memory.bytes_max
    };
    let (few, many) = (peak(200), peak(2_200));
    let each = many.saturating_sub(few) / 2_000;
    assert!(each < 16, "{each} bytes for each {document}");
}

#[test]
fn documents_that_cannot_be_used_take_nothing_each() {
    for document in [
        "a: [\n",
        "hello\n",
        "- 1\n",
        "a: 1\n",
        "kind: [\nspec: {\n",
        "apiVersion: v2\nkind: Any\nmetadata: {name: a}\n",
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: 1}\n",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\nspec: [\n",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {namespace: a}\nspec: {}\n",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\nspec: {action: A}\n",
    ] {
        check_junk(document);
    }
}
