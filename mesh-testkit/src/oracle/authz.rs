//! Authorization, as its specification says it: no trees, no index, every value a regular expression.
//!
//! Paths are taken as they are: they must be normal already.
use std::net::IpAddr;

use mesh_model::name::Cidr;
use mesh_model::resource::{Action, AuthorizationPolicy, Condition, Operation, Rule, Source};
use regex::Regex;
use serde_json::Value;

/// A request in plain data.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "plain data of tests")]
pub struct Request {
    /// Whether it is HTTP; else the fields of HTTP below do not count.
    pub is_http: bool,
    /// The direct peer's address.
    pub source_ip: IpAddr,
    /// The original client's address.
    pub remote_ip: IpAddr,
    /// The local address.
    pub destination_ip: IpAddr,
    /// The local port.
    pub destination_port: u16,
    /// The names of the peer's certificate, the empty subject of none included; `None`: no TLS.
    pub peer: Option<Vec<String>>,
    /// The server name.
    pub sni: String,
    /// The method.
    pub method: String,
    /// The authority.
    pub host: Option<String>,
    /// The path with its query, normalized.
    pub path: String,
    /// The other headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The token's claims, lists made of space-delimited ones.
    pub claims: Option<Value>,
    /// The metadata of other filters, by namespace.
    pub metadata: Value,
}

/// The headers that proxies keep as one text each, whatever policies look at.
const JOINED: &str = "
    accept accept-encoding access-control-request-headers access-control-request-method
    access-control-request-private-network authorization cache-control connection content-encoding
    content-length content-type expect grpc-accept-encoding grpc-timeout if-match if-modified-since
    if-none-match if-range if-unmodified-since keep-alive origin pragma proxy-connection proxy-status
    referer te transfer-encoding upgrade user-agent via x-client-trace-id x-envoy-attempt-count
    x-envoy-decorator-operation x-envoy-downstream-service-cluster x-envoy-downstream-service-node
    x-envoy-expected-rq-timeout-ms x-envoy-external-address x-envoy-force-trace
    x-envoy-hedge-on-per-try-timeout x-envoy-internal x-envoy-ip-tags x-envoy-is-timeout-retry
    x-envoy-max-retries x-envoy-original-host x-envoy-original-path x-envoy-original-url
    x-envoy-retriable-header-names x-envoy-retriable-status-codes x-envoy-retry-grpc-on
    x-envoy-retry-on x-envoy-upstream-alt-stat-name x-envoy-upstream-rq-per-try-timeout-ms
    x-envoy-upstream-rq-timeout-alt-response x-envoy-upstream-rq-timeout-ms
    x-envoy-upstream-stream-duration-ms x-forwarded-client-cert x-forwarded-for x-forwarded-host
    x-forwarded-port x-forwarded-proto x-request-id";

/// What an Envoy does that others do differently; the default is what the newest do.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "plain data of tests")]
pub struct Envoy {
    /// Whether the lines of any header are one text, joined by commas.
    pub joins_headers: bool,
    /// Whether the operators of a path template stand for no star.
    pub has_no_star: bool,
}

/// A rule that decided: namespace, name, place in the list.
pub type Matched = (String, String, usize);

/// Decides among policies that apply to the workload, DENY and ALLOW ones; none on trial.
///
/// Returns whether the request is allowed, and the deciding rule if it is not a default.
pub fn decide(
    policies: &[AuthorizationPolicy],
    trust_domains: &[String],
    request: &Request,
) -> (bool, Option<Matched>) {
    decide_as(Envoy::default(), policies, trust_domains, request)
}

/// The same as one of several Envoys.
pub fn decide_as(
    envoy: Envoy,
    policies: &[AuthorizationPolicy],
    trust_domains: &[String],
    request: &Request,
) -> (bool, Option<Matched>) {
    let matched = |action: Action| {
        let mut names: Vec<(String, Matched)> = Vec::new();
        for policy in policies.iter().filter(|policy| policy.spec.action == action) {
            let (namespace, name) =
                (policy.meta.namespace.to_string(), policy.meta.name.to_string());
            for (index, rule) in policy.spec.rules.iter().enumerate() {
                let check = Check { policy, trust_domains, request, envoy };
                if check.rule(rule) {
                    let sort = format!("ns[{namespace}]-policy[{name}]-rule[{index}]");
                    names.push((sort, (namespace.clone(), name.clone(), index)));
                }
            }
        }
        names.into_iter().min().map(|(_, matched)| matched)
    };
    if let Some(denied) = matched(Action::Deny) {
        return (false, Some(denied));
    }
    if !policies.iter().any(|policy| policy.spec.action == Action::Allow) {
        return (true, None);
    }
    let allowed = matched(Action::Allow);
    (allowed.is_some(), allowed)
}

/// What one list of values says.
enum Answer {
    Is(bool),
    /// The value means nothing to a data plane.
    Unusable,
}

struct Check<'c> {
    policy: &'c AuthorizationPolicy,
    trust_domains: &'c [String],
    request: &'c Request,
    envoy: Envoy,
}

type Lists<'l> = (&'l [Box<str>], &'l [Box<str>]);
type Field<'f> = (Lists<'f>, Box<dyn Fn(&str) -> Answer + 'f>);

impl Check<'_> {
    fn rule(&self, rule: &Rule) -> bool {
        let froms: Vec<Vec<Field<'_>>> = rule
            .from
            .iter()
            .map(|from| from.source.as_ref().map_or_else(Vec::new, |source| self.source(source)))
            .collect();
        let tos: Vec<Vec<Field<'_>>> = rule
            .to
            .iter()
            .map(|to| to.operation.as_ref().map_or_else(Vec::new, |to| self.operation(to)))
            .collect();
        let Some(whens) = rule.when.iter().map(|when| self.when(when)).collect::<Option<Vec<_>>>()
        else {
            return false;
        };
        let all = || froms.iter().chain(&tos).flatten().chain(&whens);
        // A value that means nothing drops an ALLOW rule as a whole.
        let is_unusable = |(lists, test): &Field<'_>| {
            lists.0.iter().chain(lists.1).any(|value| matches!(test(value), Answer::Unusable))
        };
        if self.policy.spec.action == Action::Allow && all().any(is_unusable) {
            return false;
        }
        let any_of = |entries: &[Vec<Field<'_>>]| {
            entries.is_empty() || entries.iter().any(|entry| entry.iter().all(holds))
        };
        any_of(&froms) && any_of(&tos) && whens.iter().all(holds)
    }

    fn source<'s>(&'s self, source: &'s Source) -> Vec<Field<'s>> {
        vec![
            ((&source.principals, &source.not_principals), Box::new(|value| self.principal(value))),
            (
                (&source.request_principals, &source.not_request_principals),
                Box::new(|value| self.http(|| self.request_principal(value))),
            ),
            ((&source.namespaces, &source.not_namespaces), Box::new(|value| self.namespace(value))),
            (
                (&source.service_accounts, &source.not_service_accounts),
                Box::new(|value| self.service_account(value)),
            ),
            (
                (&source.trust_domains, &source.not_trust_domains),
                Box::new(|value| self.trust_domain(value)),
            ),
            (
                (&source.ip_blocks, &source.not_ip_blocks),
                Box::new(|value| address(value, self.request.source_ip)),
            ),
            (
                (&source.remote_ip_blocks, &source.not_remote_ip_blocks),
                Box::new(|value| address(value, self.request.remote_ip)),
            ),
        ]
    }

    fn operation<'s>(&'s self, operation: &'s Operation) -> Vec<Field<'s>> {
        vec![
            (
                (&operation.hosts, &operation.not_hosts),
                Box::new(|value| {
                    self.http(|| {
                        let host = self.request.host.as_deref();
                        host.is_some_and(|host| {
                            value == "*" || regex(&format!("(?i){}", pattern(value)), host)
                        })
                    })
                }),
            ),
            (
                (&operation.methods, &operation.not_methods),
                Box::new(|value| {
                    self.http(|| value == "*" || regex(&pattern(value), &self.request.method))
                }),
            ),
            (
                (&operation.paths, &operation.not_paths),
                Box::new(|value| self.http(|| self.path(value))),
            ),
            (
                (&operation.ports, &operation.not_ports),
                Box::new(|value| port(value, self.request.destination_port)),
            ),
        ]
    }

    /// `None` for an unknown key.
    fn when<'s>(&'s self, when: &'s Condition) -> Option<Field<'s>> {
        let key = &*when.key;
        let request = self.request;
        let test: Box<dyn Fn(&str) -> Answer + 's> = match key {
            "destination.ip" => Box::new(|value| address(value, request.destination_ip)),
            "destination.port" => Box::new(|value| port(value, request.destination_port)),
            "connection.sni" => Box::new(|value| {
                Answer::Is(regex(&pattern(value), &request.sni.to_ascii_lowercase()))
            }),
            "source.ip" => Box::new(|value| address(value, request.source_ip)),
            "remote.ip" => Box::new(|value| address(value, request.remote_ip)),
            "source.namespace" => Box::new(|value| self.namespace(value)),
            "source.trustDomain" => Box::new(|value| self.trust_domain(value)),
            "source.serviceAccount" => Box::new(|value| self.service_account(value)),
            "source.principal" => Box::new(|value| self.principal(value)),
            "request.auth.principal" => {
                Box::new(|value| self.http(|| self.request_principal(value)))
            }
            "request.auth.audiences" => Box::new(|value| self.http(|| self.claim("/aud", value))),
            "request.auth.presenter" => Box::new(|value| self.http(|| self.claim("/azp", value))),
            _ => {
                if let Some(name) = bracketed(key, "request.headers") {
                    Box::new(move |value| self.http(|| self.header(&name, value)))
                } else if let Some(name) = bracketed(key, "request.auth.claims") {
                    let path = format!("/{}", name.replace("][", "/"));
                    Box::new(move |value| self.http(|| self.claim(&path, value)))
                } else if let Some(rest) = key.strip_prefix("experimental.") {
                    let (filter, name) = rest.trim_end_matches(']').split_once('[')?;
                    let found = request.metadata.get(filter).and_then(|found| found.get(name));
                    Box::new(move |value| Answer::Is(found.is_some_and(|of| metadata(of, value))))
                } else {
                    return None;
                }
            }
        };
        Some(((&when.values, &when.not_values), test))
    }

    fn http(&self, test: impl FnOnce() -> bool) -> Answer {
        if self.request.is_http { Answer::Is(test()) } else { Answer::Unusable }
    }

    fn peer(&self, expression: &str) -> Answer {
        let names = self.request.peer.iter().flatten();
        Answer::Is(names.into_iter().any(|name| regex(expression, name)))
    }

    fn principal(&self, value: &str) -> Answer {
        if value == "*" {
            return self.peer(".+");
        }
        // Values of a trust domain of the mesh hold for all its trust domains.
        let domain = value.split('/').next().unwrap_or_default();
        let is_whole = value.split('/').count() == 5;
        let is_ours = self.trust_domains.iter().any(|of| of == domain) || domain == "cluster.local";
        let rest = value.strip_prefix(domain).unwrap_or_default();
        let aliases: Vec<String> = if is_whole && is_ours {
            self.trust_domains.iter().map(|alias| format!("{alias}{rest}")).collect()
        } else {
            vec![value.to_owned()]
        };
        let any = aliases.iter().any(|alias| {
            // A suffix is an expression of its own, whose dot is no line break.
            let expression = match alias.strip_prefix('*') {
                Some(suffix) => format!(".*{}", regex::escape(suffix)),
                None => pattern(alias),
            };
            matches!(self.peer(&format!("spiffe://{expression}")), Answer::Is(true))
        });
        Answer::Is(any)
    }

    fn namespace(&self, value: &str) -> Answer {
        let parts: Vec<String> = value.split('*').map(regex::escape).collect();
        self.peer(&format!(".*/ns/{}/.*", parts.join(".*")))
    }

    fn service_account(&self, value: &str) -> Answer {
        let namespace = self.policy.meta.namespace.as_str();
        let (namespace, name) = value.split_once('/').unwrap_or((namespace, value));
        let (namespace, name) = (regex::escape(namespace), regex::escape(name));
        self.peer(&format!("spiffe://.+/ns/{namespace}/(.+/|)sa/{name}(/.+)?"))
    }

    fn trust_domain(&self, value: &str) -> Answer {
        if value == "*" {
            return self.peer("(?s)spiffe://.*");
        }
        let ours = self.trust_domains.iter().any(|domain| domain == value);
        let domains = if ours { self.trust_domains.to_vec() } else { vec![value.to_owned()] };
        let any = domains.iter().any(|domain| {
            let answer = match domain.split_once('*') {
                Some((before, after)) => {
                    let (before, after) = (regex::escape(before), regex::escape(after));
                    self.peer(&format!("spiffe://{before}[^/]*{after}/.*"))
                }
                None => self.peer(&format!("(?s)spiffe://{}/.*", regex::escape(domain))),
            };
            matches!(answer, Answer::Is(true))
        });
        Answer::Is(any)
    }

    fn path(&self, value: &str) -> bool {
        let path = self.request.path.split(['?', '#']).next().unwrap_or_default();
        if !value.contains("{*}") && !value.contains("{**}") {
            return regex(&pattern(value), path);
        }
        let star = if self.envoy.has_no_star { "" } else { "*" };
        let class = format!(r"a-zA-Z0-9\-._~%!$&'()+,;:@={star}");
        let segments: Vec<String> = value
            .split('/')
            .map(|segment| match segment {
                "{*}" => format!("[{class}]+"),
                "{**}" => format!("[{class}/]*"),
                literal => regex::escape(literal),
            })
            .collect();
        regex(&segments.join("/"), path)
    }

    fn header(&self, name: &str, value: &str) -> bool {
        let test = |line: &str| value == "*" || regex(&format!("(?s){}", pattern(value)), line);
        match name {
            ":path" => test(&self.request.path),
            ":method" => test(&self.request.method),
            ":authority" => self.request.host.as_deref().is_some_and(test),
            _ => {
                let is_meant = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
                let found = self.request.headers.iter().filter(is_meant);
                let lines: Vec<&str> = found.map(|(_, line)| line.as_str()).collect();
                let is_kept_as_one =
                    JOINED.split_whitespace().any(|of| of.eq_ignore_ascii_case(name));
                if lines.len() > 1 && is_kept_as_one {
                    let full: Vec<&str> =
                        lines.into_iter().filter(|line| !line.is_empty()).collect();
                    return test(&full.join(","));
                }
                if self.envoy.joins_headers && !lines.is_empty() {
                    return test(&lines.join(","));
                }
                lines.into_iter().any(test)
            }
        }
    }

    fn claim(&self, path: &str, value: &str) -> bool {
        let claim = self.request.claims.as_ref().and_then(|claims| claims.pointer(path));
        claim.is_some_and(|claim| text(claim, value) || list(claim, value))
    }

    fn request_principal(&self, value: &str) -> bool {
        let Some(claims) = &self.request.claims else { return false };
        let test = |claim: &str, expression: String| {
            let text = claims.get(claim).and_then(Value::as_str);
            text.is_some_and(|text| regex(&expression, text))
        };
        let exact = |text: &str| regex::escape(text);
        let any = || ".+".to_owned();
        let (issuer, subject) = value.rsplit_once('/').unwrap_or((value, ""));
        let has_slash = value.contains('/');
        let (issuer, subject) = if value == "*" {
            (any(), any())
        } else if let Some(rest) = value.strip_prefix('*') {
            match (has_slash, issuer) {
                (true, "*") => (any(), exact(subject)),
                (true, _) => {
                    (format!("(?s).*{}", exact(issuer.trim_start_matches('*'))), exact(subject))
                }
                (false, _) => (any(), format!("(?s).*{}", exact(rest))),
            }
        } else if let Some(rest) = value.strip_suffix('*') {
            match (has_slash, subject) {
                (true, "*") => (exact(issuer), any()),
                (true, _) => {
                    (exact(issuer), format!("(?s){}.*", exact(subject.trim_end_matches('*'))))
                }
                (false, _) => (format!("(?s){}.*", exact(rest)), any()),
            }
        } else {
            (exact(issuer), exact(subject))
        };
        test("iss", issuer) && test("sub", subject)
    }
}

/// `(OR values) AND NOT (OR notValues)`, values that mean nothing left out; a list of only such ones
/// is no constraint.
fn holds((lists, test): &Field<'_>) -> bool {
    let answers = |values: &[Box<str>]| -> Vec<bool> {
        values
            .iter()
            .filter_map(|value| match test(value) {
                Answer::Is(answer) => Some(answer),
                Answer::Unusable => None,
            })
            .collect()
    };
    let (positive, negative) = (answers(lists.0), answers(lists.1));
    (positive.is_empty() || positive.contains(&true)) && !negative.contains(&true)
}

fn text(claim: &Value, value: &str) -> bool {
    claim.as_str().is_some_and(|text| regex(&pattern(value), text))
}

fn list(claim: &Value, value: &str) -> bool {
    claim.as_array().is_some_and(|items| items.iter().any(|item| text(item, value)))
}

fn metadata(found: &Value, value: &str) -> bool {
    if value.starts_with('[') && value.ends_with(']') {
        list(found, value.trim_matches(['[', ']']))
    } else {
        text(found, value)
    }
}

fn address(value: &str, address: IpAddr) -> Answer {
    let range: Result<Cidr, _> = value.parse();
    range.map_or(Answer::Unusable, |range| Answer::Is(range.contains(address)))
}

fn port(value: &str, port: u16) -> Answer {
    let number: Option<u16> = value.parse().ok().filter(|_| !value.starts_with('+'));
    number.map_or(Answer::Unusable, |number| Answer::Is(number == port))
}

fn bracketed(key: &str, attribute: &str) -> Option<String> {
    let name = key.strip_prefix(attribute)?.strip_prefix('[')?.strip_suffix(']')?;
    Some(name.to_owned())
}

/// `*`, `*X`, `X*` or `X` as an expression.
fn pattern(value: &str) -> String {
    if value == "*" {
        ".+".to_owned()
    } else if let Some(suffix) = value.strip_prefix('*') {
        format!("(?s:.*){}", regex::escape(suffix))
    } else if let Some(prefix) = value.strip_suffix('*') {
        format!("{}(?s:.*)", regex::escape(prefix))
    } else {
        regex::escape(value)
    }
}

/// Whether an expression matches a whole text.
fn regex(expression: &str, text: &str) -> bool {
    Regex::new(&format!("^(?:{expression})$")).is_ok_and(|regex| regex.is_match(text))
}
