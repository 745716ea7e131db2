//! Header changes.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/route/route.go` `TranslateHeadersOperations`.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use mesh_envoy_proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use mesh_model::resource::virtual_service::{HeaderOperations, Headers};

/// Header changes as the wire has them.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// Of requests: added or replaced.
    pub(super) request_add: Vec<HeaderValueOption>,
    /// Of requests: gone.
    pub(super) request_remove: Vec<String>,
    /// Of answers: added or replaced.
    pub(super) response_add: Vec<HeaderValueOption>,
    /// Of answers: gone.
    pub(super) response_remove: Vec<String>,
    /// The host that a change of `Host` means, empty for none.
    pub(super) authority: String,
}

impl Changes {
    /// The changes that a rule asks for.
    pub(super) fn of(headers: Option<&Headers>) -> Self {
        let Some(headers) = headers else { return Self::default() };
        let (request_add, request_remove) = operations(headers.request.as_ref());
        let (response_add, response_remove) = operations(headers.response.as_ref());
        let authority = headers
            .request
            .as_ref()
            .and_then(|request| authority(&request.set).or_else(|| authority(&request.add)));
        let authority = authority.unwrap_or_default().to_owned();
        Self { request_add, request_remove, response_add, response_remove, authority }
    }
}

fn operations(operations: Option<&HeaderOperations>) -> (Vec<HeaderValueOption>, Vec<String>) {
    let Some(operations) = operations else { return Default::default() };
    let mut add = values(&operations.set, HeaderAppendAction::OverwriteIfExistsOrAdd);
    add.extend(values(&operations.add, HeaderAppendAction::AppendIfExistsOrAdd));
    let remove = operations.remove.iter().filter(|name| !is_internal(name));
    (add, remove.map(ToString::to_string).collect())
}

fn values(
    headers: &BTreeMap<Box<str>, Box<str>>,
    how: HeaderAppendAction,
) -> Vec<HeaderValueOption> {
    let changed = headers.iter().filter(|(key, _)| !is_internal(key));
    changed
        .map(|(key, value)| HeaderValueOption {
            header: Some(HeaderValue {
                key: key.to_string(),
                value: value.to_string(),
                ..Default::default()
            }),
            append_action: how.into(),
            ..Default::default()
        })
        .collect()
}

/// Whether a name is one that Envoy does not let change.
fn is_internal(name: &str) -> bool {
    name.starts_with(':') || name.eq_ignore_ascii_case("host")
}

/// The value for `Host` or `:authority`; an empty one does not count.
fn authority(headers: &BTreeMap<Box<str>, Box<str>>) -> Option<&str> {
    let is_authority =
        |name: &str| name.eq_ignore_ascii_case(":authority") || name.eq_ignore_ascii_case("host");
    let found = headers.iter().rev().find(|(name, _)| is_authority(name));
    found.map(|(_, value)| &**value).filter(|value| !value.is_empty())
}
