//! Text in: YAML and JSON stop here, past this folder every value is valid.
//!
//! ```text
//! text ──document──▶ Node (with line and column of everything) ──decode──▶ a resource or diagnostics
//!                      ◀──────────────────encode────────────────────────────────┘
//! ```
pub(crate) mod decode;
pub mod diagnostic;
pub mod document;
pub(crate) mod encode;
mod field_name;
mod node;

pub use self::diagnostic::{Diagnostic, Severity};
pub use self::document::{
    Document, Head, Limits, Meant, Reading, SECURITY_KINDS, TARGET_KINDS, Unreadable, read,
};
pub(crate) use self::document::{
    METADATA_FIELDS, OF_OBJECTS, documents_at, has_field, is_of_old_policies, misplaced_namespace,
    names_security, parts, said_kinds,
};
pub use self::field_name::FieldName;
pub use self::node::{Entry, Node, Place, Value};
