//! Random VirtualServices over a small vocabulary, and requests over the same one, so that most
//! conditions are met now and then.
use serde_json::{Map, Value, json};

use crate::e2e::random::Random;

/// Hosts that services have: `s0.routes.test` to `s7.routes.test`, each with one server.
pub(super) const SERVICES: usize = 8;
/// Hosts that VirtualServices take over: the first services, and those under a wildcard.
const RULED: usize = 6;
/// The port of all services.
pub(super) const PORT: u16 = 19080;

const PATHS: [&str; 10] =
    ["/", "/a", "/A", "/a/b", "/a/b/c", "/ab", "/v1", "/v1/x", "/v2/x/y", "/a/../v1"];
const PREFIXES: [&str; 6] = ["/", "/a", "/a/", "/v1", "/v2/x", "/A"];
const EXPRESSIONS: [&str; 5] = ["/a.*", "/v[12]/.*", "/[^/]+", ".*/x", "/(a|v1)/b"];
const HEADERS: [&str; 3] = ["x-one", "x-two", "X-Three"];
const VALUES: [&str; 4] = ["red", "redder", "blue", "dark red"];
const VALUE_EXPRESSIONS: [&str; 3] = ["red.*", ".*e", "[a-z]+"];
const PARAMETERS: [&str; 2] = ["q", "page"];
const NUMBERS: [&str; 3] = ["1", "12", "2"];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

pub(super) fn service(at: usize) -> String {
    format!("s{at}.routes.test")
}

/// The address of a service's server.
pub(super) fn server(at: usize) -> String {
    format!("127.4.{at}.1:18080")
}

/// The VirtualServices.
pub(super) fn virtual_services(random: &mut Random) -> Vec<Value> {
    let hosts = (0..RULED).map(service);
    let hosts = hosts.chain(["*.wild.test".to_owned(), "plain.test".to_owned()]);
    let rules = hosts.enumerate().map(|(at, host)| {
        let count = 3 + random.below(6);
        let mut http: Vec<Value> =
            if at == 0 { CERTAIN.map(certain_route).into() } else { Vec::new() };
        http.extend((0..count).map(|at| route(random, at)));
        if random.once_in(2) {
            http.push(json!({"name": "last", "route": [destination(random)]}));
        }
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {
                "name": format!("rule-{at}"),
                "namespace": "shop",
                "creationTimestamp": format!("2026-05-04T09:{at:02}:00Z"),
            },
            "spec": {"hosts": [host], "http": http},
        })
    });
    rules.collect()
}

/// The services, one server each; of the last one nobody knows any.
pub(super) fn service_entries() -> Vec<Value> {
    // Plain hosts have virtual hosts only beside a service of the port.
    let named = (0..SERVICES).map(|at| (service(at), vec![format!("127.4.{at}.1")]));
    let extra = ["any.wild.test", "plain.test"];
    let extra = extra.map(|host| (host.to_owned(), vec!["127.4.0.1".to_owned()]));
    let entries = named.chain(extra).enumerate().map(|(at, (host, addresses))| {
        let endpoints: Vec<Value> =
            addresses.iter().map(|address| json!({"address": address})).collect();
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {
                "name": format!("service-{at}"),
                "namespace": "shop",
                "creationTimestamp": format!("2026-05-04T08:{at:02}:00Z"),
            },
            "spec": {
                "hosts": [host],
                "location": "MESH_EXTERNAL",
                "resolution": "STATIC",
                "ports": [
                    {"number": PORT, "name": "http", "protocol": "HTTP", "targetPort": 18080},
                ],
                "endpoints": endpoints,
            },
        })
    });
    entries.collect()
}

fn destination(random: &mut Random) -> Value {
    // One in twenty has a cluster that does not exist.
    let at = if random.once_in(20) { 99 } else { random.below(SERVICES) };
    json!({"destination": {"host": service(at), "port": {"number": PORT}}})
}

fn route(random: &mut Random, at: usize) -> Value {
    let count = 1 + random.below(2);
    let conditions: Vec<Value> = (0..count).map(|_| condition(random)).collect();
    let mut route = json!({"name": format!("r{at}"), "match": conditions});
    if let Some(members) = route.as_object_mut() {
        members.extend(action(random));
    }
    route
}

fn action(random: &mut Random) -> Map<String, Value> {
    let mut action = match random.below(10) {
        0 => json!({"redirect": redirect(random)}),
        1 => {
            let status = random.of(&[200, 404, 503], 200);
            json!({"directResponse": {"status": status, "body": {"string": "said so"}}})
        }
        2 => {
            let (mut one, mut other) = (destination(random), destination(random));
            set(&mut one, "weight", json!(random.of(&[0, 1, 30], 1)));
            set(&mut other, "weight", json!(70));
            json!({"route": [one, other]})
        }
        _ => json!({"route": [destination(random)]}),
    };
    if action.get("route").is_some() {
        if random.once_in(3) {
            set(&mut action, "rewrite", rewrite(random));
        }
        if random.once_in(12) {
            let abort = json!({"httpStatus": 418, "percentage": {"value": 100.0}});
            set(&mut action, "fault", json!({"abort": abort}));
        }
    }
    action.as_object().cloned().unwrap_or_default()
}

fn redirect(random: &mut Random) -> Value {
    let mut redirect = json!({"redirectCode": random.of(&[301, 302, 303, 307, 308], 301)});
    match random.below(3) {
        0 => set(&mut redirect, "uri", json!("/elsewhere")),
        1 => set(&mut redirect, "uri", json!("/elsewhere?own=1")),
        _ => {}
    }
    if random.once_in(2) {
        set(&mut redirect, "authority", json!("other.test"));
    }
    if random.once_in(2) {
        set(&mut redirect, "scheme", json!("https"));
    }
    if random.once_in(3) {
        set(&mut redirect, "port", json!(8443));
    }
    redirect
}

fn rewrite(random: &mut Random) -> Value {
    let mut rewrite = match random.below(3) {
        0 => json!({"uri": random.text(&["/", "/new", "/new/"])}),
        1 => json!({
            "uriRegexRewrite": {"match": "^/([^/]*)(.*)$", "rewrite": r"/seen/\1\2"},
        }),
        _ => json!({"authority": "rewritten.test"}),
    };
    if random.once_in(4) {
        set(&mut rewrite, "authority", json!("rewritten.test"));
    }
    rewrite
}

fn text_match(random: &mut Random, texts: &[&'static str], expressions: &[&'static str]) -> Value {
    match random.below(3) {
        0 => json!({"exact": random.text(texts)}),
        1 => json!({"prefix": random.text(texts)}),
        _ => json!({"regex": random.text(expressions)}),
    }
}

fn condition(random: &mut Random) -> Value {
    let mut condition = json!({});
    if !random.once_in(5) {
        let uri = match random.below(3) {
            0 => json!({"exact": random.text(&PATHS)}),
            1 => json!({"prefix": random.text(&PREFIXES)}),
            _ => json!({"regex": random.text(&EXPRESSIONS)}),
        };
        let is_text = uri.get("regex").is_none();
        set(&mut condition, "uri", uri);
        if random.once_in(4) && is_text {
            set(&mut condition, "ignoreUriCase", json!(true));
        }
    }
    if random.once_in(3) {
        let name = random.text(&HEADERS);
        set(&mut condition, "headers", json!({name: header(random)}));
    }
    if random.once_in(4) {
        let name = random.text(&HEADERS);
        set(&mut condition, "withoutHeaders", json!({name: header(random)}));
    }
    if random.once_in(4) {
        set(&mut condition, "method", text_match(random, &METHODS, &["P.*", "GET|PUT"]));
    }
    if random.once_in(5) {
        let name = random.text(&PARAMETERS);
        set(
            &mut condition,
            "queryParams",
            json!({name: text_match(random, &NUMBERS, &["[0-9]", "1.*"])}),
        );
    }
    if random.once_in(8) {
        let authority =
            text_match(random, &["s1.routes.test", "s", "a.wild.test"], &[".*wild.*", "s[0-4].*"]);
        set(&mut condition, "authority", authority);
    }
    if random.once_in(10) {
        set(&mut condition, "scheme", json!({"exact": random.text(&["http", "https"])}));
    }
    if random.once_in(8) {
        set(&mut condition, "port", json!(random.of(&[PORT, 80], PORT)));
    }
    condition
}

/// A condition on a header; an empty one asks for its presence.
fn header(random: &mut Random) -> Value {
    if random.once_in(4) { json!({}) } else { text_match(random, &VALUES, &VALUE_EXPRESSIONS) }
}

/// Sets a member of an object.
fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
}

/// What happens whatever the seed: a path of its own each.
pub(super) const CERTAIN: [&str; 5] = ["redirect", "answer", "fault", "rewrite", "forward"];

fn certain_route(kind: &str) -> Value {
    let to = json!([{"destination": {"host": service(0), "port": {"number": PORT}}}]);
    let mut route = match kind {
        "redirect" => json!({"redirect": {"uri": "/elsewhere"}}),
        "answer" => json!({"directResponse": {"status": 503, "body": {"string": "said so"}}}),
        "fault" => {
            let abort = json!({"httpStatus": 418, "percentage": {"value": 100.0}});
            json!({"route": to, "fault": {"abort": abort}})
        }
        "rewrite" => json!({"route": to, "rewrite": {"uri": "/new"}}),
        _ => json!({"route": to}),
    };
    set(&mut route, "name", json!(kind));
    set(&mut route, "match", json!([{"uri": {"exact": format!("/certain/{kind}")}}]));
    route
}

/// The request for which that happens.
pub(super) fn certain_request(kind: &str) -> Value {
    let path = format!("/certain/{kind}");
    json!({"port": PORT, "method": "GET", "host": service(0), "path": path, "headers": []})
}

/// A request.
pub(super) fn request(random: &mut Random) -> Value {
    let host = match random.below(10) {
        0 => random.text(&["a.wild.test", "b.c.wild.test", "wild.test"]).to_owned(),
        1 => "plain.test".to_owned(),
        2 => "unknown.test".to_owned(),
        _ => service(random.below(SERVICES)),
    };
    let host = match random.below(8) {
        0 => format!("{host}:{PORT}"),
        1 => host.to_uppercase(),
        _ => host,
    };
    let mut path = random.text(&PATHS).to_owned();
    let mut mark = '?';
    for name in PARAMETERS {
        if random.once_in(3) {
            path.push_str(&format!("{mark}{name}={}", random.text(&NUMBERS)));
            mark = '&';
        }
    }
    let mut headers: Vec<(&str, &str)> = Vec::new();
    for name in HEADERS {
        if random.once_in(2) {
            headers.push((name, random.text(&VALUES)));
        }
    }
    // A header may come in two lines, which count as one list.
    if random.once_in(6) {
        headers.push((random.text(&HEADERS), random.text(&VALUES)));
    }
    let method = random.text(&METHODS);
    json!({"port": PORT, "method": method, "host": host, "path": path, "headers": headers})
}
