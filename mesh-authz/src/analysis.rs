//! What a set of policies does, beyond single requests.
//!
//! ```text
//! chain ─┬─ literal ─▶ prove ─▶ rules that never match, rules that others make useless   (proofs)
//!        ├─ witness ─▶ samples ─▶ diff, widenings, coverage                              (examples)
//!        ├─ reach ─▶ who may call whom                                                    (both sides sound)
//!        └─ shared_names ─▶ rules that gRPC servers lose
//! policy ── lint ─▶ patterns that look tighter than they are
//! ```
//!
//! Proofs are sound and incomplete: what is reported is so, and some of what is so is not reported.
//! They take peers to have one name in their certificates, as workloads of a mesh have, and texts to
//! have no line breaks, as requests have none. Examples are requests that the [`Authorizer`] itself
//! was asked about, so they are real as well; that none was found proves nothing.
//!
//! [`Authorizer`]: crate::Authorizer
mod coverage;
mod diff;
mod lint;
mod literal;
mod prove;
mod reach;
mod sample;
mod shared_names;
mod widening;
mod witness;

pub use self::coverage::{RuleCoverage, coverage};
pub use self::diff::{Difference, diff};
pub use self::lint::{Risk, RiskyPattern, risky_patterns};
pub use self::prove::{
    Never, NeverMatches, Shadowed, allows_nothing, last_allow, never_matching, shadowed,
};
pub use self::reach::{Access, Caller, Matrix, access, access_over, matrix};
pub use self::sample::{Sample, SampleHttp};
pub use self::shared_names::{Replaced, replaced};
pub use self::widening::{Widening, widenings};
pub use self::witness::{example, samples};
