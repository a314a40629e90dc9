//! Enumerations that stand in a file by their numbers.

/// What a record's number of an enumeration stands for.
macro_rules! enumeration {
    ($(#[$meta:meta])* $name:ident: $number:ident { $($(#[$doc:meta])* $variant:ident = $code:literal $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr($number)]
        pub enum $name { $($(#[$doc])* $variant = $code,)* }

        impl $name {
            /// All members, in the order of their numbers.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The member with this number in a file, if there is one.
            pub const fn from_code(code: $number) -> Option<$name> {
                match code { $($code => Some($name::$variant),)* _ => None }
            }

            /// The name that the command line prints and reads.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}
