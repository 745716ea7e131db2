//! Names of clusters, networks and namespaces.
/// Declares a name: an immutable text, cheap to clone, ordered by its bytes.
macro_rules! name {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name($crate::name::Text);

        impl $name {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns whether the name is the empty text, which stands for "unknown" or "none".
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl ::std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<::std::sync::Arc<str>> for $name {
            fn from(text: ::std::sync::Arc<str>) -> Self {
                Self(text.into())
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }
    };
}
pub(crate) use name;

name! {
    /// A cluster's id, as in label `topology.istio.io/cluster`; in a mesh folder the name of the
    /// folder below `clusters/`.
    ClusterId
}

name! {
    /// A network's id, as in label `topology.istio.io/network`; empty where none is known.
    NetworkId
}

name! {
    /// A namespace.
    Namespace
}

impl Namespace {
    /// Takes the allocation that is known of its text, or makes its own the one that is.
    pub(crate) fn share(&mut self, texts: &mut super::Texts) {
        texts.share_word(&mut self.0);
    }
}

impl NetworkId {
    /// Returns whether two networks are the same or one of them is unknown.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/util/identifier` `IsSameOrEmpty`.
    pub fn is_same_or_empty(&self, other: &Self) -> bool {
        self.is_empty() || other.is_empty() || self == other
    }
}

impl ClusterId {
    /// Returns whether two clusters are the same or one of them is unknown.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/util/identifier` `IsSameOrEmpty`.
    pub fn is_same_or_empty(&self, other: &Self) -> bool {
        self.is_empty() || other.is_empty() || self == other
    }
}
