//! What the `mesh` command says to input that it cannot use: a sentence, and the right exit code.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}, \
    spec: {containers: [{name: istio-proxy, image: proxyv2}]}, status: {phase: Running, podIP: 10.0.0.1}}\n";

/// A folder for one test, with these files.
fn folder(name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let root = std::env::temp_dir().join(format!("mesh-bad-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&root);
    std::fs::create_dir_all(&root).unwrap();
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

/// Runs a command with something on stdin: its exit code, what it answers and what it says beside that.
fn run(folder: Option<&Path>, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(folder) = folder {
        command.arg("-f").arg(folder);
    }
    let mut child = command.spawn().unwrap();
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn check_refused(folder: Option<&Path>, arguments: &[&str], sentence: &str) {
    let (code, answer, said) = run(folder, arguments, "");
    assert_eq!((code, answer.as_str()), (2, ""), "{said}");
    assert!(said.contains(sentence), "{said}");
}

#[test]
fn a_folder_that_is_none() {
    let text: &[u8] = b"a: [";
    check_refused(Some(Path::new("/nowhere")), &["load"], "there is no folder `/nowhere`");
    check_refused(Some(&folder("empty", &[])), &["load"], "is not a mesh folder");
    let file = folder("file", &[("config/a.yaml", text)]).join("config/a.yaml");
    check_refused(Some(&file), &["load"], "is a file; `-f DIR` names a folder");
    let broken = folder("broken", &[("config/a.yaml", text)]);
    check_refused(Some(&broken), &["load"], "no document of");
    let blank: &[u8] = b"# nothing\n";
    let empty = folder("blank", &[("config/a.yaml", blank), ("clusters/c1/b.yaml", b"")]);
    check_refused(Some(&empty), &["lint"], "no document of");
}

/// Loads a pod and another file; returns what is said of that file.
fn findings(name: &str, file: &str, text: &[u8]) -> (i32, String) {
    let folder = folder(name, &[("clusters/c1/pod.yaml", POD.as_bytes()), (file, text)]);
    let (code, answer, said) = run(Some(&folder), &["load"], "");
    assert_eq!(said, "");
    (code, answer)
}

#[track_caller]
fn check_found(name: &str, text: &[u8], code: i32, sentence: &str) {
    let (found, answer) = findings(name, "clusters/c1/x.yaml", text);
    assert_eq!(found, code, "{answer}");
    assert!(answer.contains(sentence), "{answer}");
}

#[test]
fn documents_that_cannot_be_used_are_told_by_place_and_the_others_count() {
    check_found("bracket", b"kind: Service\nmetadata: {name: [\n", 1, "x.yaml:2:18: error[YAML]");
    check_found("bytes", b"kind: \xff\n", 1, "x.yaml:1:7: error");
    check_found("nul", b"kind: \0\n", 1, "x.yaml:1:");
    check_found(
        "kind",
        b"apiVersion: networking.istio.io/v1\nkind: VirtualServices\nmetadata: {name: a}\n",
        0,
        "did you mean `VirtualService`?",
    );
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\nspec: {ports: [{port: 80}]}\n";
    let twice = format!("{service}---\n{service}");
    check_found("twice", twice.as_bytes(), 1, "x.yaml:6:1: error[DUPLICATE-OBJECT]: Service/b/a");
    let port = service.replace("80", "99999");
    check_found("port", port.as_bytes(), 1, "error[PORT-RANGE]: Service/b/a: spec.ports[0].port");
    check_found("fine", service.as_bytes(), 0, "1 cluster, 0 errors");
    let (code, answer) = findings("place", "x.yaml", service.as_bytes());
    assert_eq!((code, answer.contains("x.yaml: info[FILE-UNUSED]")), (0, true), "{answer}");
    let (code, answer) =
        findings("plane", "clusters/c1/cluster.yaml", b"{role: remote, controlPlane: c2}\n");
    assert_eq!((code, answer.contains("the mesh has no cluster `c2`")), (1, true), "{answer}");
}

/// What lies where nothing is read was meant to count: a policy there is an error, and closes what it might
/// have closed if its place is a misspelt one.
#[test]
fn manifests_in_wrong_places_are_told() {
    let policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
        metadata: {name: p, namespace: shop}\nspec: {action: DENY, rules: [{}]}\n";
    let beside = ("clusters/c1/pod.yaml", POD.as_bytes());
    let answers = |file: &str, text: &str| {
        let folder = folder("misplaced", &[beside, (file, text.as_bytes())]);
        let (code, answer, _) = run(Some(&folder), &["load"], "");
        let request = ["authz", "--to", "c1/shop/web", "--request", "-", "-o", "json"];
        let (_, decision, _) = run(Some(&folder), &request, "{\"destination_port\": 80}");
        (code, answer, decision.contains("policy_broken"))
    };
    for (file, told, denies) in [
        ("configs/p.yaml", "configs/: warning[FILE-UNUSED]", true),
        ("cluster/c1/p.yaml", "cluster/: warning[FILE-UNUSED]", true),
        ("clusters/p.yaml", "clusters/p.yaml: info[FILE-UNUSED]", true),
        ("config/p.ymal", "config/p.ymal: info[FILE-UNUSED]", true),
        ("clusters/c1/p", "clusters/c1/p: info[FILE-UNUSED]", true),
        ("clusters/c1/p.txt", "clusters/c1/p.txt: info[FILE-UNUSED]", true),
        ("p.yaml", "p.yaml: info[FILE-UNUSED]", true),
        ("policies/p.JSON", "policies/: error[FILE-UNUSED]", false),
        ("mesh/mesh.yaml", "mesh/: error[FILE-UNUSED]", false),
        ("config/p.yaml.bak", "config/p.yaml.bak: error[FILE-UNUSED]", false),
        ("p.yaml.bak", "p.yaml.bak: error[FILE-UNUSED]", false),
        ("p.yaml.txt", "p.yaml.txt: error[FILE-UNUSED]", false),
        ("config/p.yaml~", "config/p.yaml~: error[FILE-UNUSED]", false),
    ] {
        for text in
            [policy.to_owned(), policy.replace("{}]", "{]"), policy.replace("Authorization", "Foo")]
        {
            let (code, answer, is_denied) = answers(file, &text);
            assert_eq!((code, is_denied), (1, denies), "{file}: {answer}");
            assert!(answer.contains(told), "{file}: {answer}");
            assert_eq!(answer.contains("error[FILE-MISPLACED]"), denies, "{file}: {answer}");
        }
        // Of the workloads of others, and what is no policy.
        let (code, _, is_denied) = answers(file, &policy.replace("shop", "other"));
        assert_eq!((code, is_denied), (1, false), "{file}");
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\n";
        let (code, answer, is_denied) = answers(file, service);
        assert_eq!((code, is_denied), (0, false), "{file}: {answer}");
        assert!(
            answer.contains("[FILE-UNUSED]") && !answer.contains("MISPLACED"),
            "{file}: {answer}"
        );
    }
    for file in ["docs/readme.txt", "config/README.md", "notes"] {
        let (code, answer, is_denied) = answers(file, policy);
        assert!(code == 0 && !is_denied && !answer.contains("FILE-"), "{file}: {answer}");
    }
}

/// What speaks of policies is none: notes, rules of `make`, pictures.
#[test]
fn prose_in_wrong_places_closes_nothing() {
    let example =
        "Write this:\n\n    apiVersion: security.istio.io/v1\n    kind: AuthorizationPolicy\n";
    let notes = "The AuthorizationPolicy `p`: its kind: DENY.\n- [ ] PeerAuthentication";
    let rules = "kind: deploy\n\tkubectl apply -f p.yaml # AuthorizationPolicy: [\n";
    let bytes: Vec<u8> = (0..=255).cycle().take(4_000).collect();
    for (file, text) in [
        ("config/notes.txt", notes.as_bytes()),
        ("config/example.txt", example.as_bytes()),
        ("clusters/c1/Makefile", rules.as_bytes()),
        ("config/mesh.png", &bytes),
        ("clusters/notes.txt", b"AuthorizationPolicy"),
        ("compose.yaml", b"services: {a: {command: 'see AuthorizationPolicy'}}"),
        ("docs/notes.yaml", b"about: AuthorizationPolicy"),
    ] {
        let folder = folder("prose", &[("clusters/c1/pod.yaml", POD.as_bytes()), (file, text)]);
        let (code, answer, _) = run(Some(&folder), &["load"], "");
        assert_eq!((code, answer.contains("MISPLACED")), (0, false), "{file}: {answer}");
        let request = ["authz", "--to", "c1/shop/web", "--request", "-", "-o", "json"];
        let (_, decision, _) = run(Some(&folder), &request, "{\"destination_port\": 80}");
        assert!(decision.contains("no_allow_policy"), "{file}: {decision}");
    }
}

/// Nobody writes a policy that is not to count: it does, whatever the letters of its file's name.
#[test]
fn manifests_are_read_whatever_the_case_of_their_extension() {
    let policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
        metadata: {name: p, namespace: front}\nspec: {action: DENY, rules: [{}]}\n";
    let twice = format!("{policy}---\n{policy}");
    for name in [
        "config/p.YAML",
        "config/p.Yml",
        "clusters/c1/p.JSON",
        "Config/p.yaml",
        "Clusters/c1/p.yaml",
    ] {
        let (code, answer) = findings("case", name, twice.as_bytes());
        assert_eq!(code, 1, "{answer}");
        assert!(answer.contains(&format!("{name}: warning[FILE-EXTENSION]")), "{answer}");
        assert!(
            answer.contains("error[DUPLICATE-OBJECT]: AuthorizationPolicy/front/p"),
            "{answer}"
        );
    }
    let (code, answer) = findings("case-plain", "config/p.yaml", policy.as_bytes());
    assert_eq!((code, answer.contains("FILE-EXTENSION")), (0, false), "{answer}");
    for name in ["mesh.YAML", "Mesh.yaml"] {
        let (code, answer) = findings("case-mesh", name, b"trustDomain: [a]\n");
        assert_eq!((code, answer.contains(&format!("{name}:1:"))), (1, true), "{answer}");
    }
    let (_, answer) = findings("case-cluster", "clusters/c1/Cluster.yaml", b"name: c2\n");
    assert!(answer.contains("[CLUSTER-NAME]") && answer.contains("[FILE-EXTENSION]"), "{answer}");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_told_and_read_by_nobody() {
    let folder = folder("links", &[("clusters/c1/pod.yaml", POD.as_bytes())]);
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, folder.join(name)).unwrap();
    };
    link("/nowhere", "clusters/c1/a.yaml");
    link("/dev/zero", "clusters/c1/b.yaml");
    link("../c1", "clusters/c1/again");
    // An editor's lock.
    link("somebody@somewhere", "clusters/c1/.#pod.yaml");
    let (code, answer, _) = run(Some(&folder), &["load"], "");
    assert_eq!(code, 1, "{answer}");
    assert!(answer.contains("a.yaml: error[FILE-UNREADABLE]"), "{answer}");
    assert!(answer.contains(
        "b.yaml: error[FILE-UNREADABLE]: the file cannot be read: it is no regular file"
    ));
    assert!(answer.ends_with("1 cluster, 2 errors, 0 warnings, 0 notes\n"), "{answer}");
}

#[test]
fn names_that_do_not_exist() {
    check_refused(
        None,
        &["plan", "--proxy", "eu/front/web-v1-9"],
        "did you mean `eu/front/web-v1-0`?",
    );
    check_refused(None, &["plan", "--proxy", "web"], "write `CLUSTER/NAMESPACE/POD`");
    check_refused(None, &["plan", "--proxy", "xx/front/web"], "there are ap, eu, us");
    let plan =
        |service: &'static str| ["plan", "--proxy", "eu/front/web-v1-0", "--service", service];
    check_refused(None, &plan("carts.shop:80"), "did you mean `cart.shop");
    check_refused(None, &plan("cart.shop"), "write HOST:PORT");
    check_refused(None, &plan("cart.shop:81"), "81");
    let unhealthy = ["plan", "--proxy", "eu/front/web-v1-0", "--unhealthy", "region=nowhere"];
    check_refused(None, &unhealthy, "`region=nowhere` selects nothing in this mesh");
}

#[test]
fn a_service_without_endpoints_is_an_answer() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\nspec: {ports: [{port: 80}]}\n";
    let folder = folder(
        "none",
        &[("clusters/c1/p.yaml", POD.as_bytes()), ("clusters/c1/s.yaml", service.as_bytes())],
    );
    let plan = ["plan", "--proxy", "c1/shop/web", "--service", "a.shop:80"];
    let (code, answer, said) = run(Some(&folder), &plan, "");
    assert_eq!((code, said.as_str()), (0, ""));
    assert!(
        answer.contains(
            "no cluster has an endpoint of `a.shop.svc.cluster.local`: every request fails"
        ),
        "{answer}"
    );
}

#[test]
fn lists_of_health() {
    let check = |arguments: &str, sentence: &str| {
        let arguments: Vec<&str> = ["spill"].into_iter().chain(arguments.split(' ')).collect();
        check_refused(None, &arguments, sentence);
    };
    check(
        "--health 25,abc,140",
        "--health: `abc` is not a whole number of 0 or more; lists are written as",
    );
    check("--health 25,140", "--health: 140 is more than 100 percent");
    check("--health -1", "`-1` is not a whole number");
    check("--health 4294967296", "`4294967296` is larger than 4294967295");
    check("--health 1 --panic 101", "--panic 101: a percentage is at most 100");
    check("--health 1 --panic x", "--panic: `x` is not a whole number of 0 or more\n");
    check("--health 1 --factor 0", "--factor 0: the factor is greater than 0");
    check("--health 1,2 --total 5", "--total has 1 number where 2 priorities are");
    check("--healthy-hosts 7,11 --total 10,10", "priority 1: 11 healthy and 0 degraded hosts");
    check("--panic 0", "say how healthy the priorities are");
    let many = vec!["1"; 130].join(",");
    check(
        &format!("--health {many}"),
        "--health has 130 numbers; a cluster has at most 129 priorities",
    );
    check("--health 1 --data-plane nginx", "invalid value 'nginx' for '--data-plane <DATA-PLANE>'");
    check("--health 1 --data-plane grpc --panic 0", "--panic: a gRPC client knows no panic");
    check("--health 1 --data-plane ztunnel --factor 1", "--factor: a ztunnel knows no overprov");
    check("--localities 1:2/3 --data-plane grpc", "--localities: a gRPC client knows no loc");
    check("--localities 1:2", "--localities: `1:2` is no locality; write WEIGHT:HEALTHY/TOTAL");
    check("--localities 1:3/2", "--localities: `1:3/2` has 3 healthy hosts of 2");
    check("--localities 1:1/2,", "--localities: `` is no locality");
    check("--localities x:1/2", "--localities: `x` is not a whole number");
    check("--localities 1:1/2 --health 1", "cannot be used with");
    check("--zones 4", "--zones: `4` is no zone; write CALLERS:HOSTS, such as 4:10");
    check("--zones 4:-1", "--zones: `-1` is not a whole number");
    let ignored = "--min-cluster-size: it is asked of zones, which `--zones 4:5,4:10` says";
    check("--health 50 --min-cluster-size 3", ignored);
    check("--localities 1:1/2 --min-cluster-size 3", ignored);
    check("--zones 4:1,1:1 --min-cluster-size x", "--min-cluster-size: `x` is not a whole number");
}

#[test]
fn the_arithmetic_of_localities_and_zones() {
    let check = |arguments: &[&str], steps: &[&str]| {
        let (code, answer, said) = run(None, &[&["spill"], arguments].concat(), "");
        assert_eq!((code, said.as_str()), (0, ""));
        assert_eq!(answer.lines().collect::<Vec<_>>(), steps);
    };
    check(
        &["--localities", "1:1/2, 2:1/1"],
        &[
            "locality 0: weight = 1 × min(1, 140 % × 1 / 2) = 0.7",
            "locality 1: weight = 2 × min(1, 140 % × 1 / 1) = 2",
            "locality 0: share = 0.7 / 2.7 = 25.93 %",
            "locality 1: share = 2 / 2.7 = 74.07 %",
        ],
    );
    check(
        &["--localities", "1:1/2,1:2/2", "--factor", "100"],
        &[
            "locality 0: weight = 1 × min(1, 100 % × 1 / 2) = 0.5",
            "locality 1: weight = 1 × min(1, 100 % × 2 / 2) = 1",
            "locality 0: share = 0.5 / 1.5 = 33.33 %",
            "locality 1: share = 1 / 1.5 = 66.67 %",
        ],
    );
    check(
        &["--zones", "4:5,4:10,2:5"],
        &[
            "zone 0: 4000 of 10000 callers, 2500 of 10000 hosts",
            "zone 1: 4000 of 10000 callers, 5000 of 10000 hosts",
            "zone 2: 2000 of 10000 callers, 2500 of 10000 hosts",
            "here 2500 × 10000 / 4000 = 6250 of 10000 requests stay",
            "zone 1: takes 5000 - 4000 = 1000 of 1500 that leave",
            "zone 2: takes 2500 - 2000 = 500 of 1500 that leave",
        ],
    );
    let few = ["--zones", "4:1,4:2"];
    check(&few, &["zones do not matter: fewer than 6 hosts are healthy"]);
    let (code, answer, _) = run(None, &["spill", few[0], few[1], "--min-cluster-size", "3"], "");
    assert!(code == 0 && answer.contains("of 10000 requests stay"), "{answer}");
}

#[test]
fn a_zone_without_callers_is_none_of_theirs() {
    for zones in ["4:5,0:10", "4:5,0:10,0:3"] {
        let (code, answer, _) = run(None, &["spill", "--zones", zones], "");
        let expected = "zones do not matter: the callers are in fewer than two zones\n";
        assert_eq!((code, answer.as_str()), (0, expected));
    }
    let (_, answer, _) = run(None, &["spill", "--zones", "0:5,4:10,4:1"], "");
    assert_eq!(answer, "zones do not matter: no caller is known to be here\n");
    let (_, answer, _) = run(None, &["spill", "--zones", "4:0,4:10,2:5"], "");
    assert!(answer.contains("no host is here: all requests leave"), "{answer}");
}

#[test]
fn percentages_that_make_a_hundred_fit_whatever_the_total() {
    for (total, healthy, degraded) in [("3", 2, 1), ("1", 1, 0), ("4", 2, 2)] {
        let arguments = ["spill", "--health", "50", "--degraded", "50", "--total", total];
        let (code, answer, said) = run(None, &[&arguments[..], &["-o", "json"]].concat(), "");
        assert_eq!((code, said.as_str()), (0, ""));
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let count = |what: &str| answer["priorities"][0][what].as_u64();
        assert_eq!((count("healthy"), count("degraded")), (Some(healthy), Some(degraded)));
    }
    let more = ["spill", "--health", "50", "--degraded", "60", "--total", "10"];
    check_refused(None, &more, "priority 0: 5 healthy and 6 degraded hosts are more than its");
}

#[test]
fn other_data_planes_give_all_to_one_priority() {
    let check = |plane: &str, health: &str, shares: &str, why: &str| {
        let arguments = ["spill", "--health", health, "--data-plane", plane];
        let (code, answer, said) = run(None, &arguments, "");
        assert_eq!((code, said.as_str()), (0, ""));
        assert!(answer.lines().any(|line| line == shares) && answer.contains(why), "{answer}");
    };
    check("istio-proxy", "25,25,20", "34/33/33", "panic");
    check("grpc", "0,1,100", "0/100/0", "priority 1: 1 of 100 hosts are healthy: load = 100");
    check("grpc", "0,0", "0/100", "no priority has a healthy host: the last priority is used, and");
    check("ztunnel", "1,100", "100/0", "priority 0: 1 of 100 hosts are healthy: load = 100");
    check("ztunnel", "0,0", "0/0", "no priority has a healthy host: there is no destination");
}

#[test]
fn the_arithmetic_of_spill() {
    let check = |panic: &[&str], shares: &str, why: &str| {
        let arguments = [&["spill", "--health", "25,25,20"], panic].concat();
        let (code, answer, said) = run(None, &arguments, "");
        assert_eq!((code, said.as_str()), (0, ""));
        assert!(answer.lines().any(|line| line == shares) && answer.contains(why), "{answer}");
    };
    check(&["--panic", "0"], "37/35/28", "");
    check(&[], "34/33/33", "panic");
}

#[test]
fn requests_that_are_none() {
    let check = |request: &str, sentence: &str| {
        let arguments = ["authz", "--to", "eu/front/bff-v1-0", "--request", "-"];
        let (code, answer, said) = run(None, &arguments, request);
        assert_eq!((code, answer.as_str()), (2, ""), "{said}");
        assert!(said.contains(sentence), "{said}");
    };
    check("{", "what stdin says is no request: EOF");
    check("[]", "it is one JSON object");
    check("{\"headers\": {\"a\": \"b\"}}", "`headers` is a list of pairs");
    check("{\"sourceip\": \"::1\"}", "did you mean `source_ip`?");
    check("{\"source_ip\": \"1.2.3\"}", "`source_ip` is an IP address");
    check("{}", "destination_port");
    check("{\"method\": \"GET\", \"method\": \"PUT\"}", "`method` is given twice at line 1");
    check("{\"jwt\": {\"claims\": {\"iss\": \"a\", \"iss\": \"b\"}}}", "`iss` is given twice");
    check("{\"peer\": []}", "`peer` is null, or");
    check("{\"peer\": [[\"spiffe://td/ns/a/sa/b\"]]}", "`peer` is null, or");
    check("{\"jwt\": [{\"iss\": \"a\"}]}", "`jwt` is `{");
    let file = ["authz", "--to", "eu/front/bff-v1-0", "--request", "/nowhere"];
    check_refused(None, &file, "cannot read the request `/nowhere`");
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_none() {
    for arguments in [&["lint"][..], &["load", "-o", "json"], &["spill", "--health", "1"], &[]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
        let output = command.args(arguments).stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("the answer cannot be written"), "{said}");
    }
}
