//! One file a command.
pub(crate) mod authz;
pub(crate) mod bootstrap;
pub(crate) mod diff;
pub(crate) mod lint;
pub(crate) mod load;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod routes;
pub(crate) mod selector;
pub(crate) mod serve;
pub(crate) mod snapshot;
pub(crate) mod spill;
pub(crate) mod tour;
pub(crate) mod whatif;
