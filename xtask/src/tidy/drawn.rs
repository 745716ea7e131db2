//! The drawing of the workspace, as data: which crate may use which, and which room of a crate
//! may use which.
//!
//! To add a crate, a room or an edge, change it here and in ARCHITECTURE.md, in one commit that
//! says why data may flow that way.

/// A crate of the workspace and the crates of the workspace that it may depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crate {
    pub(super) name: &'static str,
    pub(super) may_use: &'static [&'static str],
}

/// The crates. mesh-lb and mesh-authz never meet; mesh-model depends on none. Every crate may
/// have mesh-testkit as a dev-dependency.
pub(super) const CRATES: &[Crate] = &[
    Crate { name: "mesh-model", may_use: &[] },
    Crate { name: "mesh-lb", may_use: &["mesh-model"] },
    Crate { name: "mesh-authz", may_use: &["mesh-model"] },
    Crate { name: "mesh-placement", may_use: &["mesh-model"] },
    Crate { name: "mesh-envoy-proto", may_use: &[] },
    Crate {
        name: "mesh-xds-gen",
        may_use: &["mesh-model", "mesh-lb", "mesh-authz", "mesh-envoy-proto"],
    },
    Crate { name: "mesh-testkit", may_use: &["mesh-model"] },
    Crate { name: "mesh-examples", may_use: EVERY_LIBRARY },
    Crate { name: "mesh-benches", may_use: EVERY_LIBRARY },
    Crate { name: "xtask", may_use: EVERY_LIBRARY },
];

const EVERY_LIBRARY: &[&str] = &[
    "mesh-model",
    "mesh-lb",
    "mesh-authz",
    "mesh-placement",
    "mesh-envoy-proto",
    "mesh-xds-gen",
    "mesh-testkit",
];

/// What any crate may have as a dev-dependency.
pub(super) const FOR_TESTS: &str = "mesh-testkit";

/// The crates without clock, environment, file, socket, thread and random numbers.
pub(super) const PURE: &[&str] =
    &["mesh-model", "mesh-lb", "mesh-authz", "mesh-xds-gen", "mesh-placement"];

/// What pure crates may depend on beside each other: packages that compute and do nothing else.
pub(super) const LIBRARIES: &[&str] = &[
    "arcstr",
    "bytes",
    "der",
    "granit-parser",
    "hashbrown",
    "indexmap",
    "ipnet",
    "prost",
    "prost-types",
    "rand",
    "regex",
    "rustc-hash",
    "rustls",
    "rustls-webpki",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "xxhash-rust",
];

/// Packages that do I/O: in no pure crate, not even for its tests.
pub(super) const PROGRAMS_ONLY: &[&str] = &[
    "async-std",
    "clap",
    "hyper",
    "mio",
    "notify",
    "reqwest",
    "socket2",
    "tokio",
    "tonic",
    "ureq",
];

/// The rooms of a crate: top-level modules in the order data flows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) package: &'static str,
    /// Each may use those before it.
    pub(super) order: &'static [&'static str],
    /// These may be used by all, and use only the first of the order.
    pub(super) everywhere: &'static [&'static str],
    /// `(from, to)`: an edge against the order. It turns the order of the two around: what may be
    /// used so may not use its user.
    pub(super) extra: &'static [(&'static str, &'static str)],
}

const PLANS: &[Plan] = &[
    Plan {
        package: "mesh-model",
        order: &["name", "manifest", "resource", "endpoint", "registry", "view", "lint"],
        everywhere: &["compat"],
        extra: &[],
    },
    Plan {
        package: "mesh-lb",
        order: &[
            "assign", "health", "subset", "load", "pick", "retry", "grpc", "ztunnel", "share",
            "capacity", "balancer", "simulate", "whatif", "lint",
        ],
        everywhere: &["number"],
        extra: &[
            // A subset has its own state of health, and so its own load.
            ("subset", "load"),
            // Envoy schedules the localities of a priority with the scheduler of its hosts.
            ("load", "pick"),
        ],
    },
    Plan {
        package: "mesh-authz",
        order: &[
            "identity",
            "select",
            "matcher",
            "request",
            "rbac",
            "rule",
            "decision",
            "dry_run",
            "compile",
            "ztunnel",
            "authorizer",
            "of_mesh",
            "explain",
            "analysis",
            "lint",
        ],
        everywhere: &[],
        extra: &[
            // What is on trial denies nothing, attached or not.
            ("select", "dry_run"),
        ],
    },
    Plan {
        package: "mesh-xds-gen",
        order: &[
            "encode",
            "name",
            "secret",
            "jwt",
            "rbac",
            "endpoint",
            "cluster",
            "route",
            "telemetry",
            "listener",
            "name_table",
            "workload",
            "grpc",
            "resolve",
            "stock",
            "snapshot",
            "delta",
            "generator",
        ],
        everywhere: &[],
        extra: &[],
    },
    Plan {
        package: "mesh-testkit",
        order: &["by_hand", "folder", "fixture", "synthetic", "oracle", "strategy", "conformance"],
        everywhere: &[],
        // An oracle is plain data in, plain data out: it stands alone.
        extra: &[],
    },
];

/// The plan of a crate, if one is drawn.
pub(super) fn rooms(package: &str) -> Option<&'static Plan> {
    PLANS.iter().find(|plan| plan.package == package)
}

/// Files of this length at most.
pub(super) const MAX_LINES: usize = 600;

/// Unit tests in a file beside what they test: their subject says what they are for.
pub(super) fn is_tests(path: &str) -> bool {
    path.ends_with("/tests.rs")
}

/// Generated code: exempt from documentation and length.
pub(super) fn is_generated(path: &str) -> bool {
    path.starts_with("mesh-envoy-proto/src/generated")
}

/// Not written by hand, or not text of ours: what was built, and data of tests.
pub(super) fn is_data(path: &str) -> bool {
    const FOLDERS: &[&str] = &[
        ".git",
        "target",
        "conformance",
        "golden",
        "recorded/golden",
        "recorded/meshes",
        "examples/meshes",
        "mesh-envoy-proto/proto",
        "fuzz/target",
        "fuzz/corpus",
        "fuzz/artifacts",
    ];
    FOLDERS.contains(&path) || path == "Cargo.lock" || path == "fuzz/Cargo.lock"
}
