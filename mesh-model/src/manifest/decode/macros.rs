//! Declaring the messages of a kind.

/// Declares a message: a struct of public fields, read by the rules of [`super`].
///
/// Each field is `NAME: TYPE = "lowerCamelCase" | "snake_case"`; the snake_case spelling may be left
/// out where it is the same word. `oneof [...]` names groups of fields of which one may be given.
macro_rules! message {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident {
            $(
                $(#[$field_meta:meta])*
                $field:ident : $type:ty = $camel:literal $(| $snake:literal)?
            ),* $(,)?
        }
        $(oneof [$($member:literal $(| $member_snake:literal)?),+ $(,)?])*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[allow(
            clippy::exhaustive_structs,
            reason = "a message of public fields; what upstream adds is a breaking change here too"
        )]
        $visibility struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $crate::manifest::decode::Decode for $name {
            fn decode(
                node: &$crate::manifest::Node,
                cursor: &mut $crate::manifest::decode::Cursor,
            ) -> Option<Self> {
                const KNOWN: &[(&str, &str)] = &[
                    $($crate::manifest::decode::spelling!($camel $(| $snake)?),)*
                ];
                if !cursor.expect_map(node) {
                    return None;
                }
                let errors = cursor.errors.len();
                cursor.unknown_fields(node, KNOWN);
                $(cursor.exclusive(node, &[
                    $($crate::manifest::decode::spelling!($member $(| $member_snake)?),)+
                ]);)*
                $(let $field = $crate::manifest::decode::field(
                    node,
                    cursor,
                    $crate::manifest::decode::spelling!($camel $(| $snake)?),
                );)*
                if cursor.errors.len() > errors {
                    return None;
                }
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}

/// The two spellings of a field.
macro_rules! spelling {
    ($camel:literal) => {
        ($camel, $camel)
    };
    ($camel:literal | $snake:literal) => {
        ($camel, $snake)
    };
}

/// Declares an enum of names with their proto numbers; the one marked `default` is read where the
/// field is absent.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident default $default:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $number:literal | $text:literal),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[allow(clippy::exhaustive_enums, reason = "callers act on every value")]
        $visibility enum $name {
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            /// Returns the name as manifests write it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }

        impl $crate::manifest::decode::Decode for $name {
            fn decode(
                node: &$crate::manifest::Node,
                cursor: &mut $crate::manifest::decode::Cursor,
            ) -> Option<Self> {
                const NAMES: &[(&str, i128)] = &[$(($text, $number),)*];
                match cursor.enumerated(node, NAMES)? {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            fn absent() -> Option<Self> {
                Some(Self::$default)
            }
        }
    };
}

/// Declares a message that is a oneof: exactly one of its members is given.
macro_rules! oneof {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident($type:ty) = $camel:literal $(| $snake:literal)?),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[allow(clippy::exhaustive_enums, reason = "callers act on every member")]
        $visibility enum $name {
            $($(#[$variant_meta])* $variant($type),)*
        }

        impl $crate::manifest::decode::Decode for Option<$name> {
            fn decode(
                node: &$crate::manifest::Node,
                cursor: &mut $crate::manifest::decode::Cursor,
            ) -> Option<Self> {
                const KNOWN: &[(&str, &str)] = &[
                    $($crate::manifest::decode::spelling!($camel $(| $snake)?),)*
                ];
                if !cursor.expect_map(node) {
                    return None;
                }
                let errors = cursor.errors.len();
                cursor.unknown_fields(node, KNOWN);
                cursor.exclusive(node, KNOWN);
                let mut found = None;
                $(
                    let (camel, snake) = $crate::manifest::decode::spelling!($camel $(| $snake)?);
                    if let Some(inner) = node.get(&[camel, snake]).filter(|inner| !inner.is_null()) {
                        let value = cursor.field(camel, |cursor| {
                            <$type as $crate::manifest::decode::Decode>::decode(inner, cursor)
                        });
                        found = value.map($name::$variant);
                    }
                )*
                (cursor.errors.len() == errors).then_some(found)
            }

            fn absent() -> Option<Self> {
                Some(None)
            }
        }
    };
}

pub(crate) use {choice, message, oneof, spelling};
