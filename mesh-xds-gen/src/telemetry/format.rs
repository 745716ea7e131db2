//! Formats of access logs.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/telemetry_logging.go` `EnvoyTextLogFormat`,
//! `EnvoyJSONLogFormatIstio`, `buildFileAccessTextLogFormat`, `buildFileAccessJSONLogFormat`.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::core::v3::substitution_format_string as substitution;
use mesh_envoy_proto::envoy::config::core::v3::{
    DataSource, JsonFormatOptions, SubstitutionFormatString, TypedExtensionConfig, data_source,
};
use mesh_envoy_proto::envoy::extensions::formatter::req_without_query::v3::ReqWithoutQuery;
use mesh_envoy_proto::pack;
use mesh_envoy_proto::prost_types::value::Kind;
use mesh_envoy_proto::prost_types::{ListValue, Struct, Value};
use mesh_model::resource::Json;

/// The format in use where none is given.
pub(super) const TEXT: &str = concat!(
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" ",
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% ",
    "%CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" ",
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% ",
    "\"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" ",
    "\"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% ",
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% ",
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n",
);

/// Its members where it is JSON: those that are called as their operator.
const PLAIN: [&str; 16] = [
    "START_TIME",
    "ROUTE_NAME",
    "PROTOCOL",
    "RESPONSE_CODE",
    "RESPONSE_FLAGS",
    "RESPONSE_CODE_DETAILS",
    "CONNECTION_TERMINATION_DETAILS",
    "BYTES_RECEIVED",
    "BYTES_SENT",
    "DURATION",
    "UPSTREAM_HOST",
    "UPSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_REMOTE_ADDRESS",
    "REQUESTED_SERVER_NAME",
    "UPSTREAM_TRANSPORT_FAILURE_REASON",
];
/// The others.
const NAMED: [(&str, &str); 8] = [
    ("upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("upstream_service_time", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"),
    ("x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("authority", "%REQ(:AUTHORITY)%"),
];

/// The operator that needs an extension.
const WITHOUT_QUERY: &str = "%REQ_WITHOUT_QUERY";

/// A format of a log in a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Format(SubstitutionFormatString);

impl Format {
    /// Lines of text, each with its end; an empty text is the default one.
    pub(super) fn text(text: &str) -> Self {
        let line = match text {
            "" => TEXT.to_owned(),
            text if text.ends_with('\n') => text.to_owned(),
            text => format!("{text}\n"),
        };
        let formatters = formatters([line.as_str()]);
        let specifier = Some(data_source::Specifier::InlineString(line));
        let source = DataSource { specifier, ..DataSource::default() };
        let format = Some(substitution::Format::TextFormatSource(source));
        Self(SubstitutionFormatString { format, formatters, ..SubstitutionFormatString::default() })
    }

    /// JSON objects; without labels the default one.
    pub(super) fn labels(labels: &BTreeMap<Box<str>, Json>) -> Self {
        if labels.is_empty() { Self::json(default_labels()) } else { Self::of_labels(labels) }
    }

    /// JSON objects, even empty ones.
    pub(super) fn of_labels(labels: &BTreeMap<Box<str>, Json>) -> Self {
        let fields = labels.iter().map(|(key, value)| (key.to_string(), value_of(value)));
        Self::json(Struct { fields: fields.collect() })
    }

    fn json(object: Struct) -> Self {
        let texts = object.fields.values().filter_map(|value| match &value.kind {
            Some(Kind::StringValue(text)) => Some(text.as_str()),
            _ => None,
        });
        Self(SubstitutionFormatString {
            formatters: formatters(texts),
            json_format_options: Some(JsonFormatOptions::default()),
            format: Some(substitution::Format::JsonFormat(object)),
            ..SubstitutionFormatString::default()
        })
    }

    pub(super) fn omitting_empty_values(mut self, omits: bool) -> Self {
        self.0.omit_empty_values = omits;
        self
    }

    pub(super) fn into_message(self) -> SubstitutionFormatString {
        self.0
    }
}

/// The extensions that formats need.
pub(super) fn formatters<'t>(
    texts: impl IntoIterator<Item = &'t str>,
) -> Vec<TypedExtensionConfig> {
    let needs = texts.into_iter().any(|text| text.contains(WITHOUT_QUERY));
    let extension = || TypedExtensionConfig {
        name: "envoy.formatter.req_without_query".to_owned(),
        typed_config: Some(pack(&ReqWithoutQuery {})),
    };
    needs.then(extension).into_iter().collect()
}

fn default_labels() -> Struct {
    let plain = PLAIN.iter().map(|name| (name.to_lowercase(), format!("%{name}%")));
    let named = NAMED.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let text = |value| Value { kind: Some(Kind::StringValue(value)) };
    Struct { fields: plain.chain(named).map(|(name, value)| (name, text(value))).collect() }
}

/// A value as a message; as deep as manifests are at most.
fn value_of(value: &Json) -> Value {
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(*value),
        Json::Number(value) => Kind::NumberValue(*value),
        Json::String(text) => Kind::StringValue(text.to_string()),
        Json::List(items) => {
            Kind::ListValue(ListValue { values: items.iter().map(value_of).collect() })
        }
        Json::Map(members) => {
            let fields = members.iter().map(|(key, value)| (key.to_string(), value_of(value)));
            Kind::StructValue(Struct { fields: fields.collect() })
        }
    };
    Value { kind: Some(kind) }
}
