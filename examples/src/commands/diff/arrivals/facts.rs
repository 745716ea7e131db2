//! How a connection is treated, in words; what no words are for is compared as it was sent.
use std::collections::{BTreeMap, BTreeSet};

use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::core::v3::transport_socket::ConfigType;
use mesh_envoy_proto::envoy::config::listener::v3::{FilterChain, Listener};
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::tls_parameters::TlsProtocol;
use mesh_envoy_proto::prost_types::Duration;
use mesh_xds_gen::resolve::{Content, Outcome, Over, Received};
use prost::Message;

use super::Otherwise;

mod filters;
mod reading;
mod workload;

/// One thing that holds of a connection.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Fact {
    words: Option<String>,
    /// What there are no words for.
    rest: Vec<u8>,
    /// It says something only where the other side has it too: the decisions tell that it comes or
    /// goes.
    is_shared: bool,
}

/// How a connection is treated.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts(BTreeMap<String, Fact>);

impl Facts {
    pub(super) fn of(
        listener: &Listener,
        received: &Received<'_>,
        clusters: &[Cluster],
        over: Over,
    ) -> Self {
        let mut facts = Self::default();
        let detection = listener.listener_filters_timeout.as_ref();
        facts.say("the wait for the protocol ends after", limit_or(detection, 15));
        let rest = Listener {
            name: String::new(),
            address: None,
            filter_chains: Vec::new(),
            listener_filters: Vec::new(),
            listener_filters_timeout: None,
            access_log: Vec::new(),
            ..listener.clone()
        };
        facts.keep("other settings of the listener", &rest);
        if let Some(chain) = received.chain {
            facts.of_tls(chain, received.ends_tls, over);
            facts.of_filters(chain);
        }
        match &received.content {
            Some(Content::Requests(manager)) => facts.of_requests(manager),
            Some(Content::Connection(proxy)) => facts.of_bytes(proxy),
            Some(Content::Commands(proxy)) => facts.of_commands(proxy),
            None => {}
        }
        if let Outcome::Forwarded(to) = &received.resolution.outcome {
            facts.of_forward(to, clusters);
        }
        facts
    }

    fn say(&mut self, what: &str, words: String) {
        self.0.entry(what.to_owned()).or_default().words = Some(words);
    }

    /// Keeps what there are no words for.
    fn keep(&mut self, what: &str, rest: &impl Message) {
        self.0.entry(what.to_owned()).or_default().rest.extend(rest.encode_to_vec());
    }

    /// Adds what counts only where the other side has it too: of several by one name all do.
    fn share(&mut self, what: String, words: Option<&str>, rest: &[u8]) {
        let fact = self.0.entry(what).or_default();
        fact.is_shared = true;
        fact.rest.extend(rest);
        if let Some(words) = words {
            let known = fact.words.take().map(|known| format!("{known}; {words}"));
            fact.words = Some(known.unwrap_or_else(|| words.to_owned()));
        }
    }

    /// What is different on the other side.
    pub(super) fn otherwise(&self, other: &Self) -> Vec<Otherwise> {
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let differing = names.into_iter().filter_map(|what| {
            let (before, after) = (self.0.get(what), other.0.get(what));
            let is_one_sided = before.is_none() || after.is_none();
            if before == after || (is_one_sided && before.or(after).is_some_and(|it| it.is_shared))
            {
                return None;
            }
            let words = |fact: Option<&Fact>| fact.and_then(|fact| fact.words.clone());
            let (before, after) = (words(before), words(after));
            let is_said = before != after;
            let told = |words: Option<String>| words.filter(|_| is_said);
            Some(Otherwise { what: what.clone(), before: told(before), after: told(after) })
        });
        differing.collect()
    }

    fn of_tls(&mut self, chain: &FilterChain, ends_tls: bool, over: Over) {
        if over == Over::PlainText {
            return;
        }
        self.say(
            "TLS",
            if ends_tls { "ended by the proxy" } else { "passed on as it came" }.to_owned(),
        );
        let Some(ConfigType::TypedConfig(config)) =
            chain.transport_socket.as_ref().and_then(|socket| socket.config_type.as_ref())
        else {
            return;
        };
        let Ok(mut context) = config.to_msg::<DownstreamTlsContext>() else { return };
        if let Some(common) = &mut context.common_tls_context {
            if let Some(of) = common.tls_params.take() {
                let version = |number: i32, default| match TlsProtocol::try_from(number) {
                    Ok(TlsProtocol::TlsAuto) | Err(_) => default,
                    Ok(version) => version.as_str_name(),
                };
                let (least, most) =
                    (of.tls_minimum_protocol_version, of.tls_maximum_protocol_version);
                let versions = format!("{} to {}", version(least, "any"), version(most, "any"));
                self.say("versions of TLS", versions);
                self.say("ciphers", listed(&of.cipher_suites));
            }
            // Whose certificates are taken is told by the decisions.
            if let Some(ValidationContextType::CombinedValidationContext(validation)) =
                &mut common.validation_context_type
                && let Some(validation) = &mut validation.default_validation_context
            {
                validation.match_subject_alt_names.clear();
                validation.match_typed_subject_alt_names.clear();
            }
            self.say("protocols offered", listed(&common.alpn_protocols));
            common.alpn_protocols.clear();
        }
        self.keep("other settings of TLS", &context);
    }
}

fn never() -> String {
    "never".to_owned()
}

/// A span of time; none, or zero, is no limit.
fn limit(span: Option<&Duration>) -> String {
    limit_or(span, 0)
}

/// A span of time; none is what Envoy takes then, in seconds, and zero is no limit.
fn limit_or(span: Option<&Duration>, default: u64) -> String {
    let default = std::time::Duration::from_secs(default);
    let given = span.and_then(|span| std::time::Duration::try_from(*span).ok());
    let span = given.unwrap_or(default);
    if span.is_zero() { never() } else { format!("{span:?}") }
}

fn listed(all: &[String]) -> String {
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}
