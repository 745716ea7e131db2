//! TLS.
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::CommonTlsContext;
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;

use super::{Refused, demand, refuse};

/// Which certificates are named.
#[derive(Clone, Copy, Debug, Default)]
struct Named {
    own: bool,
    roots: bool,
}

/// Takes or refuses the TLS of a client, which has to know whom it trusts.
pub(super) fn client(common: &CommonTlsContext) -> Result<(), Refused> {
    let named = common_fields(common, Side::Client)?;
    demand(named.roots, "no provider of root certificates is named")
}

/// Takes or refuses the TLS of a server, which has to have a certificate.
pub(super) fn server(common: &CommonTlsContext) -> Result<(), Refused> {
    let named = common_fields(common, Side::Server)?;
    demand(named.own, "no provider of the server's certificate is named")
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Side {
    Client,
    Server,
}

fn common_fields(common: &CommonTlsContext, side: Side) -> Result<Named, Refused> {
    demand(common.tls_params.is_none(), "`tls_params` is not supported")?;
    demand(common.custom_handshaker.is_none(), "`custom_handshaker` is not supported")?;
    let validation = match &common.validation_context_type {
        Some(ValidationContextType::ValidationContext(context)) => Some(context),
        Some(ValidationContextType::CombinedValidationContext(combined)) => {
            combined.default_validation_context.as_ref()
        }
        None => None,
        Some(_) if has_older_roots(common) => None,
        Some(_) => return refuse("the validation context is not supported"),
    };
    let names_clients = validation.is_some_and(|it| !it.match_subject_alt_names.is_empty());
    let is_server = side == Side::Server;
    demand(!(is_server && names_clients), "servers do not check names of clients")?;
    let roots = validation.is_some_and(|context| {
        context.ca_certificate_provider_instance.is_some()
            || (!is_server && context.system_root_certs.is_some())
    });
    let own = &common.tls_certificate_provider_instance;
    let older_own = &common.tls_certificate_certificate_provider_instance;
    Ok(Named { own: own.is_some() || older_own.is_some(), roots: roots || has_older_roots(common) })
}

fn has_older_roots(common: &CommonTlsContext) -> bool {
    match &common.validation_context_type {
        Some(ValidationContextType::CombinedValidationContext(combined)) => {
            combined.validation_context_certificate_provider_instance.is_some()
        }
        Some(ValidationContextType::ValidationContextCertificateProviderInstance(_)) => true,
        Some(_) | None => false,
    }
}
