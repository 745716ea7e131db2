//! One test of one attribute, a file each: texts, identities, paths, metadata.
//!
//! A test is what Envoy is configured with, typed; it is made by the compiler of rules and asked by
//! the authorizer. Asking never fails and never allocates.
mod header;
mod path_normal;
mod path_template;
pub(crate) mod spiffe;
mod string;
mod underscore;
mod value;

pub use self::header::{append_lines, joins_lines};
pub use self::path_normal::{
    EscapedSlashes, NormalPath, PathNormalization, PathOptions, RejectedPath,
};
pub use self::path_template::{InvalidPathTemplate, PathTemplate};
pub(crate) use self::path_template::{for_envoy, is_template};
pub use self::spiffe::Pattern;
pub use self::string::{Form, StringTest};
pub use self::underscore::UnderscoredHeaders;
pub use self::value::{MetadataTest, ValueTest};
