//! Headers with an underscore in their name, which a filter of requests may refuse or drop.
//!
//! # Upstream
//!
//! envoyproxy/envoy `source/common/http/http1/codec_impl.cc`
//! `ServerConnectionImpl::checkHeaderNameForUnderscores`.
use std::borrow::Cow;

use mesh_authz::matcher::UnderscoredHeaders;
use mesh_envoy_proto::envoy::config::core::v3::http_protocol_options::HeadersWithUnderscoresAction;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

use super::Request;

/// The request with the headers that are seen; `None` if it is refused for one of them.
pub(super) fn seen<'r>(
    manager: &HttpConnectionManager,
    request: &'r Request,
) -> Option<Cow<'r, Request>> {
    let action = action(manager);
    let names = || request.headers.iter().map(|(name, _)| &**name);
    if action.refuses(names()) {
        return None;
    }
    if names().all(|name| action.shows(name)) {
        return Some(Cow::Borrowed(request));
    }
    let mut request = request.clone();
    request.headers.retain(|(name, _)| action.shows(name));
    Some(Cow::Owned(request))
}

fn action(manager: &HttpConnectionManager) -> UnderscoredHeaders {
    let options = manager.common_http_protocol_options.as_ref();
    let action = options.map_or(0, |options| options.headers_with_underscores_action);
    match HeadersWithUnderscoresAction::try_from(action) {
        Ok(HeadersWithUnderscoresAction::RejectRequest) => UnderscoredHeaders::RejectRequest,
        Ok(HeadersWithUnderscoresAction::DropHeader) => UnderscoredHeaders::DropHeader,
        Ok(HeadersWithUnderscoresAction::Allow) | Err(_) => UnderscoredHeaders::Allow,
    }
}

#[cfg(test)]
mod tests {
    use mesh_envoy_proto::envoy::config::core::v3::HttpProtocolOptions;

    use super::*;

    fn check(action: HeadersWithUnderscoresAction, names: &[&str], expected: Option<&[&str]>) {
        let options = HttpProtocolOptions {
            headers_with_underscores_action: action.into(),
            ..HttpProtocolOptions::default()
        };
        let common_http_protocol_options = Some(options);
        let manager = HttpConnectionManager { common_http_protocol_options, ..Default::default() };
        let headers = names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
        let request = Request { headers, ..Request::default() };
        let found = seen(&manager, &request);
        let names = |request: &Cow<'_, Request>| {
            let names = request.headers.iter().map(|(name, _)| name.clone());
            names.collect::<Vec<_>>()
        };
        let expected = expected.map(|names| names.iter().map(ToString::to_string).collect());
        assert_eq!(found.as_ref().map(names), expected);
    }

    #[test]
    fn headers_are_seen_dropped_or_the_request_refused_for_them() {
        use HeadersWithUnderscoresAction::{Allow, DropHeader, RejectRequest};
        check(Allow, &["a_b", "c"], Some(&["a_b", "c"]));
        check(DropHeader, &["a_b", "c"], Some(&["c"]));
        check(RejectRequest, &["a_b", "c"], None);
        check(RejectRequest, &["a-b"], Some(&["a-b"]));
    }
}
