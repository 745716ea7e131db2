//! What a set of policies does, beyond single requests.
//!
//! ```text
//! chain ─┬─ literal ─▶ prove ─▶ useless ─▶ rules that do nothing                         (proofs)
//!        ├─ witness ─▶ samples ─▶ diff, widenings, coverage                              (examples)
//!        ├─ reach ─▶ who may call whom                                                    (both sides sound)
//!        └─ shared_names ─▶ rules that gRPC servers lose
//! policy ─┬─ lint ─▶ patterns that look tighter than they are
//!         └─ dead ─▶ values that no request has                                        (proofs)
//! ```
//!
//! Proofs are sound and incomplete: what is reported is so, and some of what is so is not reported.
//! They hold for certificates of any number of names, whatever these hold. Examples are requests that the [`Authorizer`] itself
//! was asked about, so they are real as well; that none was found proves nothing.
//!
//! [`Authorizer`]: crate::Authorizer
mod coverage;
mod dead;
mod diff;
mod glob;
mod lint;
mod literal;
mod path_set;
mod prove;
mod reach;
mod sample;
mod shared_names;
mod useless;
mod widening;
mod witness;

pub use self::coverage::{RuleCoverage, coverage};
pub use self::dead::{Dead, DeadValues, dead_values};
pub use self::diff::{Difference, diff};
pub use self::lint::{Risk, RiskyPattern, risky_patterns};
pub use self::prove::{
    Never, NeverMatches, Shadowed, allows_nothing, last_allow, needing_several_names,
    never_matching, shadowed,
};
pub use self::reach::{Access, Caller, Matrix, access, access_over, matrix};
pub use self::sample::{Sample, SampleHttp};
pub use self::shared_names::{Replaced, replaced};
pub use self::useless::{Idle, Useless, useless};
pub use self::widening::{Widening, widenings};
pub use self::witness::{
    Between, Surroundings, example, samples, samples_between, samples_between_in,
};
