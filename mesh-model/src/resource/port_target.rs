//! A port of a pod by number or by name.
use crate::manifest::decode::{Cursor, Decode};
use crate::manifest::{Node, Value};

/// A port of a pod: Kubernetes' `IntOrString`, where quoted digits are a name.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a port has a number or a name")]
pub enum PortTarget {
    /// The number.
    Number(u32),
    /// The name of a port of a container, which may differ from pod to pod.
    Name(Box<str>),
}

impl Decode for PortTarget {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        if let Value::String(name) = &node.value {
            return Some(Self::Name(name.clone()));
        }
        u32::decode(node, cursor).map(Self::Number)
    }
}
