//! Declaring the messages of a kind.

/// Declares a message: a struct of public fields, read by the rules of [`super`].
///
/// Each field is `NAME: TYPE = SOURCE`. A source is `"lowerCamelCase" | "snake_case"` (the snake_case
/// spelling may be left out where it is the same word, and is for Kubernetes' own kinds, which have
/// no other spelling), `(oneof TYPE)` for a oneof whose members are fields of this message, or
/// `(elsewhere)` for a field that the reader of the message fills. `oneof [...]` after the struct
/// names groups of fields of which one may be given.
///
/// An absent field has its type's default. After the name may stand `ignoring unknown`, for kinds
/// of which the mesh reads a part only, or `with defaults`, for a message whose `Default` is written
/// by hand.
macro_rules! message {
    (
        $(#[$meta:meta])* $visibility:vis struct $name:ident ignoring unknown
        { $($fields:tt)* } $($groups:tt)*
    ) => {
        $crate::manifest::decode::message! {
            @ (#[derive(Default)]) (ignored) ($($groups)*)
            $(#[$meta])* $visibility struct $name { $($fields)* }
        }
    };
    (
        $(#[$meta:meta])* $visibility:vis struct $name:ident with defaults
        { $($fields:tt)* } $($groups:tt)*
    ) => {
        $crate::manifest::decode::message! {
            @ () (reported) ($($groups)*)
            $(#[$meta])* $visibility struct $name { $($fields)* }
        }
    };
    (
        $(#[$meta:meta])* $visibility:vis struct $name:ident { $($fields:tt)* } $($groups:tt)*
    ) => {
        $crate::manifest::decode::message! {
            @ (#[derive(Default)]) (reported) ($($groups)*)
            $(#[$meta])* $visibility struct $name { $($fields)* }
        }
    };
    (
        @ ($($derive:tt)*) ($unknown:ident)
        ($(oneof [$($member:literal $(| $member_snake:literal)?),+ $(,)?])*)
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident : $type:ty = $($source:tt)|+),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        $($derive)*
        #[allow(
            clippy::exhaustive_structs,
            reason = "a message of public fields; what upstream adds is a breaking change here too"
        )]
        $visibility struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $crate::manifest::decode::Message for $name {
            #[allow(unused_variables, reason = "a message without fields reads nothing")]
            fn overlay(
                &mut self,
                node: &$crate::manifest::Node,
                cursor: &mut $crate::manifest::decode::Cursor,
            ) {
                const KNOWN: &[&[(&str, &str)]] = &[
                    $($crate::manifest::decode::spellings!($($source)|+),)*
                ];
                $crate::manifest::decode::unknown!($unknown node cursor KNOWN);
                $(cursor.exclusive(node, &[
                    $($crate::manifest::decode::spelling!($member $(| $member_snake)?),)+
                ]);)*
                $($crate::manifest::decode::read!(node cursor (self.$field) $($source)|+);)*
            }
        }

        $crate::manifest::decode::write!($unknown $name { $(($field $($source)|+))* });

        impl $crate::manifest::decode::Decode for $name {
            fn decode(
                node: &$crate::manifest::Node,
                cursor: &mut $crate::manifest::decode::Cursor,
            ) -> Option<Self> {
                $crate::manifest::decode::message(node, cursor)
            }
        }
    };
}

/// Writes a message of which every field is read.
macro_rules! write {
    (ignored $($rest:tt)*) => {};
    (reported $name:ident { $(($field:ident $($source:tt)|+))* }) => {
        impl $crate::manifest::encode::Encode for $name {
            #[allow(unused_mut, reason = "a message without fields writes nothing")]
            fn value(&self) -> $crate::manifest::Value {
                let mut entries = Vec::new();
                $($crate::manifest::decode::write_field!(entries (self.$field) $($source)|+);)*
                $crate::manifest::Value::Map(entries)
            }
        }
    };
}

/// Writes a field to the source that [`message!`] reads it from.
macro_rules! write_field {
    ($entries:ident ($target:expr) (oneof $type:ty)) => {
        if let Some((name, value)) =
            $target.as_ref().and_then($crate::manifest::decode::Oneof::member)
        {
            $entries.push($crate::manifest::encode::entry(name, value));
        }
    };
    ($entries:ident ($target:expr) (elsewhere)) => {};
    ($entries:ident ($target:expr) $camel:literal $(| $snake:literal)?) => {
        $crate::manifest::encode::field(&mut $entries, $camel, &$target)
    };
}

/// What to do with the fields that a message does not have.
macro_rules! unknown {
    (ignored $node:ident $cursor:ident $known:ident) => {
        let _: &[&[(&str, &str)]] = $known;
    };
    (reported $node:ident $cursor:ident $known:ident) => {
        $cursor.unknown_fields($node, $known)
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

/// The spellings that a source of [`message!`] knows.
macro_rules! spellings {
    ((oneof $type:ty)) => {
        <$type as $crate::manifest::decode::Oneof>::MEMBERS
    };
    ((elsewhere)) => {
        &[]
    };
    ($($spelling:tt)|+) => {
        &[$crate::manifest::decode::spelling!($($spelling)|+)]
    };
}

/// Reads a source of [`message!`] into a field.
macro_rules! read {
    ($node:ident $cursor:ident ($target:expr) (oneof $type:ty)) => {
        if let Some(found) = <$type as $crate::manifest::decode::Oneof>::read($node, $cursor) {
            $target = Some(found);
        }
    };
    ($node:ident $cursor:ident ($target:expr) (elsewhere)) => {};
    ($node:ident $cursor:ident ($target:expr) $($spelling:tt)|+) => {
        $crate::manifest::decode::field(
            $node,
            $cursor,
            $crate::manifest::decode::spelling!($($spelling)|+),
            &mut $target,
        )
    };
}

/// Declares an enum of names, `VARIANT = NUMBER | "NAME"` with the proto number or, for Kubernetes'
/// own enums, `VARIANT = "NAME"`; the one marked `default` is the value of an absent field, and of an
/// empty text where `or empty` follows.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident default $default:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $number:literal | $text:literal),* $(,)?
        }
    ) => {
        $crate::manifest::decode::choice! {
            @ () $(#[$meta])* $visibility enum $name default $default {
                $($(#[$variant_meta])* $variant = (Some($number)) | $text,)*
            }
        }
    };
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident default $default:ident or empty {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal),* $(,)?
        }
    ) => {
        $crate::manifest::decode::choice! {
            @ (("", None, Self::$default),) $(#[$meta])* $visibility enum $name default $default {
                $($(#[$variant_meta])* $variant = (None) | $text,)*
            }
        }
    };
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident default $default:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal),* $(,)?
        }
    ) => {
        $crate::manifest::decode::choice! {
            @ () $(#[$meta])* $visibility enum $name default $default {
                $($(#[$variant_meta])* $variant = (None) | $text,)*
            }
        }
    };
    (
        @ ($($empty:tt)*) $(#[$meta:meta])*
        $visibility:vis enum $name:ident default $default:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $number:tt | $text:literal,)*
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
            $visibility const fn as_str(self) -> &'static str {
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
                cursor.enumerated(node, &[$(($text, $number, Self::$variant),)* $($empty)*])
            }
        }

        impl $crate::manifest::encode::Encode for $name {
            fn value(&self) -> $crate::manifest::Value {
                $crate::manifest::Value::String(self.as_str().into())
            }

            fn is_absent(&self) -> bool {
                *self == Self::default()
            }
        }
    };
}

/// Declares a oneof: an enum of which one member is given.
///
/// It is read as a message of its own (`Option<NAME>`, `None` where no member is given), or as fields
/// of another message with the source `(oneof NAME)`. After the name may stand `or VARIANT`, the
/// value of a message without a member, so that it differs from an absent message.
macro_rules! oneof {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident or $empty:ident {
            $(#[$empty_meta:meta])* _,
            $($(#[$variant_meta:meta])* $variant:ident($type:ty) = $camel:literal $(| $snake:literal)?),* $(,)?
        }
    ) => {
        $crate::manifest::decode::oneof! {
            @ ($(#[$empty_meta])* $empty)
            $(#[$meta])* $visibility enum $name {
                $($(#[$variant_meta])* $variant($type) = $camel $(| $snake)?,)*
            }
        }

        impl $crate::manifest::decode::Decode for $name {
            fn decode(
                node: &$crate::manifest::Node,
                cursor: &mut $crate::manifest::decode::Cursor,
            ) -> Option<Self> {
                let found = $crate::manifest::decode::oneof(node, cursor)?;
                Some(found.unwrap_or(Self::$empty))
            }
        }
    };
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident($type:ty) = $camel:literal $(| $snake:literal)?),* $(,)?
        }
    ) => {
        $crate::manifest::decode::oneof! {
            @ ()
            $(#[$meta])* $visibility enum $name {
                $($(#[$variant_meta])* $variant($type) = $camel $(| $snake)?,)*
            }
        }

        impl $crate::manifest::decode::Decode for Option<$name> {
            fn decode(
                node: &$crate::manifest::Node,
                cursor: &mut $crate::manifest::decode::Cursor,
            ) -> Option<Self> {
                $crate::manifest::decode::oneof(node, cursor)
            }
        }
    };
    (
        @ ($($(#[$empty_meta:meta])* $empty:ident)?)
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident($type:ty) = $camel:literal $(| $snake:literal)?,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[allow(clippy::exhaustive_enums, reason = "callers act on every member")]
        $visibility enum $name {
            $($(#[$empty_meta])* $empty,)?
            $($(#[$variant_meta])* $variant($type),)*
        }

        impl $crate::manifest::decode::Oneof for $name {
            const MEMBERS: &[(&str, &str)] = &[
                $($crate::manifest::decode::spelling!($camel $(| $snake)?),)*
            ];

            fn read(
                node: &$crate::manifest::Node,
                cursor: &mut $crate::manifest::decode::Cursor,
            ) -> Option<Self> {
                cursor.exclusive(node, Self::MEMBERS);
                $(
                    let mut member: Option<$type> = None;
                    $crate::manifest::decode::field(
                        node,
                        cursor,
                        $crate::manifest::decode::spelling!($camel $(| $snake)?),
                        &mut member,
                    );
                    if let Some(member) = member {
                        return Some(Self::$variant(member));
                    }
                )*
                None
            }

            fn member(&self) -> Option<(&'static str, $crate::manifest::Value)> {
                match self {
                    $(Self::$empty => None,)?
                    $(Self::$variant(member) => {
                        Some(($camel, $crate::manifest::encode::Encode::value(member)))
                    })*
                }
            }
        }

        impl $crate::manifest::encode::Encode for $name {
            fn value(&self) -> $crate::manifest::Value {
                let member = $crate::manifest::decode::Oneof::member(self);
                let entry = member.map(|(name, value)| $crate::manifest::encode::entry(name, value));
                $crate::manifest::Value::Map(entry.into_iter().collect())
            }
        }
    };
}

pub(crate) use {choice, message, oneof, read, spelling, spellings, unknown, write, write_field};
