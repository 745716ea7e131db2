//! From typed values back to nodes: what a message says, as proto JSON has it.
//!
//! Messages, enums and oneofs that are declared with [`message!`](super::decode::message!) and its kin are
//! written by the same declaration that they are read by; those that are read in part
//! (`ignoring unknown`) are not, for a part is not what was said.
//!
//! # Upstream
//!
//! istio/istio `pkg/util/protomarshal` `Marshal`; protobuf `protojson.Marshal`.
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use super::decode::to_base64;
use super::{Entry, Node, Place, Value};
use crate::name::{Cidr, Duration, Labels, Namespace};

/// A type that can be written as a node.
pub(crate) trait Encode {
    /// Returns the value, given even where it is the default.
    fn value(&self) -> Value;

    /// Returns whether the field is left out: an absent one says the same.
    fn is_absent(&self) -> bool {
        false
    }

    /// Returns the value as a part of a document, without a place.
    fn node(&self) -> Node {
        node(self.value())
    }
}

/// Returns a value as a part of a document, without a place.
fn node(value: Value) -> Node {
    Node { value, place: Place::default(), indent: None }
}

/// Returns a field of a map, without a place.
pub(crate) fn entry(name: &str, value: Value) -> Entry {
    Entry { key: name.into(), place: Place::default(), node: node(value) }
}

/// Adds a field of a message, if it says anything.
pub(crate) fn field<T: Encode>(entries: &mut Vec<Entry>, name: &str, value: &T) {
    if !value.is_absent() {
        entries.push(entry(name, value.value()));
    }
}

/// An optional value: given, it is written even where it is the default.
impl<T: Encode> Encode for Option<T> {
    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::value)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Encode> Encode for Box<T> {
    fn value(&self) -> Value {
        T::value(self)
    }

    fn is_absent(&self) -> bool {
        T::is_absent(self)
    }
}

/// Writes lists of any kind.
macro_rules! lists {
    ($($type:ty),*) => {$(
        impl<T: Encode> Encode for $type {
            fn value(&self) -> Value {
                Value::List(self.iter().map(T::node).collect())
            }

            fn is_absent(&self) -> bool {
                self.is_empty()
            }
        }
    )*};
}
lists!(Vec<T>, Box<[T]>, Arc<[T]>);

impl<K: Display, T: Encode> Encode for BTreeMap<K, T> {
    fn value(&self) -> Value {
        Value::Map(self.iter().map(|(key, value)| entry(&key.to_string(), value.value())).collect())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Encode for Labels {
    fn value(&self) -> Value {
        Value::Map(self.iter().map(|(key, text)| entry(key, Value::String(text.into()))).collect())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// Writes what is a text and absent where it is empty.
macro_rules! texts {
    ($($type:ty),*) => {$(
        impl Encode for $type {
            fn value(&self) -> Value {
                Value::String(Box::from(&**self))
            }

            fn is_absent(&self) -> bool {
                self.is_empty()
            }
        }
    )*};
}
texts!(Box<str>, Arc<str>);

impl Encode for Namespace {
    fn value(&self) -> Value {
        Value::String(self.as_str().into())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Encode for Box<[u8]> {
    fn value(&self) -> Value {
        Value::String(to_base64(self).into())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// Writes what is a text of some form, and a message where it is optional.
macro_rules! printed {
    ($($type:ty),*) => {$(
        impl Encode for $type {
            fn value(&self) -> Value {
                Value::String(self.to_string().into())
            }
        }
    )*};
}
printed!(Duration, IpAddr, Cidr);

/// Writes whole numbers; 64 bits of them are a text in JSON.
macro_rules! integers {
    ($($type:ty as $value:expr),* $(,)?) => {$(
        impl Encode for $type {
            fn value(&self) -> Value {
                let write: fn($type) -> Value = $value;
                write(*self)
            }

            fn is_absent(&self) -> bool {
                *self == 0
            }
        }
    )*};
}
integers! {
    u16 as |number| Value::Integer(number.into()),
    u32 as |number| Value::Integer(number.into()),
    i32 as |number| Value::Integer(number.into()),
    u64 as |number| Value::String(number.to_string().into()),
    i64 as |number| Value::String(number.to_string().into()),
}

impl Encode for bool {
    fn value(&self) -> Value {
        Value::Bool(*self)
    }

    fn is_absent(&self) -> bool {
        !self
    }
}

impl Encode for f64 {
    fn value(&self) -> Value {
        Value::Float(*self)
    }

    fn is_absent(&self) -> bool {
        *self == 0.0
    }
}

#[cfg(test)]
mod tests;
