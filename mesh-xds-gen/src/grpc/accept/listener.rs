//! Listeners: of clients by the API listener, of servers by chains.
use std::collections::BTreeSet;

use mesh_envoy_proto::envoy::config::core::v3::{address::Address, transport_socket};
use mesh_envoy_proto::envoy::config::listener::v3::{
    FilterChain, FilterChainMatch, Listener, filter,
};
use mesh_envoy_proto::envoy::extensions::filters::http as http_filters;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds, http_connection_manager::RouteSpecifier, http_filter,
};
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
use mesh_envoy_proto::prost::Name;

use super::super::tls::SOCKET;
use super::cluster::is_own_stream;
use super::{Refused, demand, refuse, route, security};

/// Takes or refuses a listener.
///
/// # Errors
///
/// Where a gRPC program refuses it: a filter or match that it does not have, or no route.
pub fn listener(listener: &Listener) -> Result<(), Refused> {
    demand(!listener.name.is_empty(), "a listener has no name")?;
    match &listener.api_listener {
        Some(api) => {
            let config = api.api_listener.as_ref();
            let manager = config.filter(|it| it.type_url == HttpConnectionManager::type_url());
            let Some(Ok(manager)) = manager.map(|it| it.to_msg::<HttpConnectionManager>()) else {
                return refuse("the API listener is no HTTP connection manager");
            };
            requests(&manager, Side::Client)
        }
        None => server(listener),
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Side {
    Client,
    Server,
}

fn requests(manager: &HttpConnectionManager, side: Side) -> Result<(), Refused> {
    demand(manager.xff_num_trusted_hops == 0, "`xff_num_trusted_hops` is not 0")?;
    demand(
        manager.original_ip_detection_extensions.is_empty(),
        "`original_ip_detection_extensions` is not supported",
    )?;
    match &manager.route_specifier {
        Some(RouteSpecifier::Rds(rds)) => discovered(rds)?,
        Some(RouteSpecifier::RouteConfig(config)) => route::hosts(config)?,
        Some(RouteSpecifier::ScopedRoutes(_)) | None => {
            return refuse("there are neither routes nor a name of them");
        }
    }
    filters(&manager.http_filters, side)
}

fn discovered(rds: &Rds) -> Result<(), Refused> {
    demand(is_own_stream(rds.config_source.as_ref()), "routes are not asked for over ADS")?;
    demand(!rds.route_config_name.is_empty(), "the name of the routes is empty")
}

/// What a filter is to gRPC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Requests pass it.
    Passed,
    /// The router: nothing follows.
    Last,
}

fn filters(filters: &[HttpFilter], side: Side) -> Result<(), Refused> {
    let mut names = BTreeSet::new();
    let mut kinds = Vec::new();
    for filter in filters {
        demand(!filter.name.is_empty(), "a filter has no name")?;
        demand(names.insert(&*filter.name), "two filters have one name")?;
        match known(filter, side) {
            Some(kind) => kinds.push(kind),
            None => demand(filter.is_optional, "a filter is not known")?,
        }
    }
    let Some((last, before)) = kinds.split_last() else { return refuse("there is no filter") };
    demand(*last == Kind::Last, "the last filter is not the router")?;
    demand(!before.contains(&Kind::Last), "filters follow the router")
}

/// The filters that gRPC has on that side.
fn known(filter: &HttpFilter, side: Side) -> Option<Kind> {
    let Some(http_filter::ConfigType::TypedConfig(config)) = &filter.config_type else {
        return None;
    };
    let is_client = side == Side::Client;
    let is = |url: String| config.type_url == url;
    if is(http_filters::router::v3::Router::type_url()) {
        Some(Kind::Last)
    } else if is(http_filters::rbac::v3::Rbac::type_url()) {
        (!is_client).then_some(Kind::Passed)
    } else if is(http_filters::fault::v3::HttpFault::type_url())
        || is(http_filters::stateful_session::v3::StatefulSession::type_url())
    {
        is_client.then_some(Kind::Passed)
    } else {
        None
    }
}

fn server(listener: &Listener) -> Result<(), Refused> {
    demand(listener.listener_filters.is_empty(), "`listener_filters` is not supported")?;
    demand(listener.use_original_dst != Some(true), "`use_original_dst` is not supported")?;
    let address = listener.address.as_ref().and_then(|address| address.address.as_ref());
    let has_socket = matches!(address, Some(Address::SocketAddress(_)));
    demand(has_socket, "the listener has no socket address")?;
    let chains = listener.filter_chains.iter().filter(|chain| is_supported(chain));
    let chains: Vec<&FilterChain> = chains.chain(&listener.default_filter_chain).collect();
    demand(!chains.is_empty(), "there is no chain that is supported")?;
    let mut matches = Vec::new();
    for chain in &listener.filter_chains {
        let given = chain.filter_chain_match.clone().unwrap_or_default();
        demand(!matches.contains(&given), "two chains match the same")?;
        matches.push(given);
    }
    chains.into_iter().try_for_each(filter_chain)
}

/// A chain that asks for what gRPC does not know is not there for it.
fn is_supported(chain: &FilterChain) -> bool {
    let given = chain.filter_chain_match.as_ref();
    given.is_none_or(|given: &FilterChainMatch| {
        given.destination_port.is_none()
            && given.server_names.is_empty()
            && given.application_protocols.is_empty()
            && matches!(&*given.transport_protocol, "" | "raw_buffer")
    })
}

fn filter_chain(chain: &FilterChain) -> Result<(), Refused> {
    let [only] = chain.filters.as_slice() else {
        return refuse("a chain needs exactly one network filter");
    };
    let Some(filter::ConfigType::TypedConfig(config)) = &only.config_type else {
        return refuse("a network filter has no configuration");
    };
    let is_manager = config.type_url == HttpConnectionManager::type_url();
    let manager = config.to_msg::<HttpConnectionManager>().ok().filter(|_| is_manager);
    let Some(manager) = manager else {
        return refuse("a network filter is no HTTP connection manager");
    };
    requests(&manager, Side::Server)?;
    let Some(socket) = &chain.transport_socket else { return Ok(()) };
    demand(socket.name == SOCKET, "the transport socket is not `envoy.transport_sockets.tls`")?;
    let Some(transport_socket::ConfigType::TypedConfig(config)) = &socket.config_type else {
        return refuse("the transport socket has no configuration");
    };
    let tls = config.to_msg::<DownstreamTlsContext>().ok();
    match tls.and_then(|tls| tls.common_tls_context) {
        Some(common) => security::server(&common),
        None => refuse("the transport socket has no common TLS context"),
    }
}
