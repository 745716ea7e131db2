//! Which response a client speaks of: nonces, and the last answers to them.
use std::fmt;
use std::sync::Arc;

use crate::snapshot::{Collection, Version};

/// The name of one response on one stream; prints as `STREAM.NUMBER`, and is opaque to clients.
///
/// The stream is in it because a client that reconnects may still speak of a response of the stream
/// before, whose number says nothing about this one.
///
/// # Upstream
///
/// go-control-plane counts from 1 on each stream (`pkg/server/sotw/v3/server.go`), so nonces of two
/// streams collide; istiod adds random bytes, which this crate has none of.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Nonce {
    stream: u64,
    number: u64,
}

/// What a client said of a response that it did not accept.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rejection {
    /// The nonce of the response, as the client wrote it.
    pub nonce: Box<str>,
    /// The gRPC status code, as a number.
    pub code: i32,
    /// The client's own words.
    pub message: Box<str>,
    /// The version of the type that was sent last when the client said so; `None` if nothing was
    /// sent yet.
    pub version: Option<Version>,
}

/// Hands out the nonces of one stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nonces {
    last: Nonce,
}

/// The last response of a type and what the client said of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange {
    pub(crate) sent: Option<Sent>,
    /// The newest response that the client accepted.
    pub(crate) acked: Option<Sent>,
    pub(crate) rejection: Option<Rejection>,
    /// Whether the last response sent is the one rejected.
    last_rejected: bool,
}

/// A response that went out, and the collection that it was cut from.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) nonce: Nonce,
    pub(crate) collection: Arc<Collection>,
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}", self.stream, self.number)
    }
}

impl Nonces {
    pub(crate) fn new(stream: u64) -> Self {
        Self { last: Nonce { stream, number: 0 } }
    }

    pub(crate) fn next(&mut self) -> Nonce {
        self.last.number = self.last.number.wrapping_add(1);
        self.last
    }
}

impl Exchange {
    pub(crate) fn send(&mut self, nonce: Nonce, collection: Arc<Collection>) {
        self.sent = Some(Sent { nonce, collection });
        self.last_rejected = false;
    }

    /// Whether the text names the last response sent; neither older nor foreign.
    pub(crate) fn is_last(&self, nonce: &str) -> bool {
        self.sent.as_ref().is_some_and(|sent| nonce == sent.nonce.to_string())
    }

    /// Notes that the client spoke of the last response without an error.
    ///
    /// After a rejection the same nonce comes again when the client changes its subscription: that
    /// accepts nothing, so the error stays until a later response is accepted. (istiod clears it;
    /// only its status page can tell.)
    pub(crate) fn acknowledge(&mut self) {
        if !self.last_rejected {
            self.acked = self.sent.clone();
            self.rejection = None;
        }
    }

    pub(crate) fn reject(&mut self, nonce: &str, code: i32, message: &str) {
        self.last_rejected |= self.is_last(nonce);
        self.rejection = Some(Rejection {
            nonce: nonce.into(),
            code,
            message: message.into(),
            version: self.sent.as_ref().map(|sent| sent.collection.version()),
        });
    }

    /// Whether the client has accepted all that was sent.
    pub(crate) fn is_settled(&self) -> bool {
        let nonce = |sent: &Option<Sent>| sent.as_ref().map(|sent| sent.nonce);
        nonce(&self.sent) == nonce(&self.acked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_nonce_of_this_stream_is_the_last() {
        let mut exchange = Exchange::default();
        let mut nonces = Nonces::new(255);
        exchange.send(nonces.next(), Arc::default());
        exchange.send(nonces.next(), Arc::default());
        assert!(exchange.is_last("ff.2"));
        for text in ["", "2", "ff.1", "ff.02", "FF.2", "fe.2", "ff.2 ", "2026-01-01/1a"] {
            assert!(!exchange.is_last(text), "{text}");
        }
    }

    #[test]
    fn a_rejected_response_is_not_accepted_by_a_later_change_of_names() {
        let mut exchange = Exchange::default();
        let mut nonces = Nonces::new(1);
        exchange.send(nonces.next(), Arc::default());
        exchange.reject("1.1", 3, "bad");
        exchange.acknowledge();
        assert!(exchange.rejection.is_some() && !exchange.is_settled());
        exchange.send(nonces.next(), Arc::default());
        assert!(exchange.is_last("1.2") && !exchange.is_last("1.1"));
        exchange.acknowledge();
        assert!(exchange.rejection.is_none() && exchange.is_settled());
    }
}
