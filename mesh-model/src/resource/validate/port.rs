//! Ports and protocols.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/validation/agent/validation.go` `ValidatePort`;
//! `pkg/config/validation/validation.go` `ValidatePortName`, `ValidateProtocol`.
use super::{Verdict, Wrong, label};
use crate::manifest::decode::clip;
use crate::name::Protocol;

/// Checks the number of a port.
pub(crate) fn number(number: impl Into<i64>) -> Verdict {
    let number = number.into();
    if (1..=65535).contains(&number) {
        return Ok(());
    }
    let message = format!("`{number}` is not the number of a port");
    Err(Wrong::new("PORT-RANGE", message, "write a number of 1 to 65535"))
}

/// Checks the name of a port.
pub(crate) fn name(name: &str) -> Verdict {
    if label::is_dns(name) {
        return Ok(());
    }
    let message = format!("`{}` is not the name of a port", clip(name));
    Err(Wrong::new("PORT-NAME", message, "use letters, digits and inner dashes, at most 63"))
}

/// Checks a protocol; none is detected.
pub(crate) fn protocol(text: &str) -> Verdict {
    if text.is_empty() || !Protocol::parse(text).is_unsupported() {
        return Ok(());
    }
    Err(unknown_protocol(text))
}

/// The rule that an unknown protocol breaks.
pub(crate) fn unknown_protocol(text: &str) -> Wrong {
    let message = format!("`{}` is not a protocol", clip(text));
    let help = "one of HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, UDP, MONGO, REDIS, MYSQL";
    Wrong::new("PROTOCOL", message, help)
}
