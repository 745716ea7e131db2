//! What is refused in the hardware for private keys.
use super::super::super::PrivateKeyProvider;
use crate::name::Duration;
use crate::resource::validate::{Verdict, Wrong};

/// Checks the hardware for private keys.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/agent/validation.go` `validatePrivateKeyProvider`.
pub(super) fn check(provider: &PrivateKeyProvider) -> Verdict {
    let delay = match provider {
        PrivateKeyProvider::Unset => {
            let message = "the block names no hardware";
            return Err(Wrong::new("MC-KEY-PROVIDER", message, "add `cryptomb` or `qat`"));
        }
        PrivateKeyProvider::CryptoMb(settings) => settings.poll_delay,
        PrivateKeyProvider::Qat(settings) => settings.poll_delay,
    };
    let message = match delay {
        None => "`pollDelay` is missing",
        Some(Duration::ZERO) => "`pollDelay` is no time at all",
        Some(_) => return Ok(()),
    };
    Err(Wrong::new("MC-KEY-PROVIDER", message, "write a duration such as `pollDelay: 1ms`"))
}
