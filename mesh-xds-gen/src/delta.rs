//! What changed, and the conversation that brings it to a proxy.
//!
//! ```text
//! Snapshot ──diff──▶ Delta
//!
//! requests ──handle_request──▶ ┌─────────────────────────────┐
//!                              │ sotw::Session               │ ──poll_response──▶ responses
//! snapshots ─handle_snapshot─▶ │ or incremental::Session     │
//!                              └─────────────────────────────┘
//! ```
//!
//! The sessions are state machines without sockets, one a stream. They remember what the client
//! subscribed to and what it was sent, not what is to be sent: a response is cut from the newest
//! snapshot when the caller asks for it, so a slow client never has more than one response a type
//! before it, and skips the snapshots in between.
mod diff;
pub mod incremental;
mod nonce;
mod rollout;
mod session;
pub mod sotw;
mod subscription;

pub use self::diff::{Delta, TypeDelta};
pub use self::nonce::{Nonce, Rejection};
pub use self::session::{
    AbsentNames, AddedNames, EmptyList, ErrorDetail, InvalidRequest, RejectedNames, Retirement,
    SessionConfig, StatusCode, TypeStatus,
};
