//! The public table: number, HTTP status and message, to the letter of the vendor's list of client status codes.

use std::fmt;

/// Declares [`Code`] with its table on one line a row.
macro_rules! codes {
    ($($code:ident = $name:literal, $status:literal, $message:literal;)*) => {
        /// A row of the table of client status codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = concat!($name, ", HTTP ", stringify!($status), ": ", $message)] $code,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$code),*];

            /// The code as clients see it, for example `MDRM-501`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => $name),* }
            }

            /// The HTTP status of the error reply.
            pub const fn status(self) -> u16 {
                match self { $(Self::$code => $status),* }
            }

            /// The message of the error reply.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$code => $message),* }
            }
        }
    };
}

codes! {
    Mdrm500 = "MDRM-500", 500, "An unexpected error occurred while processing the request";
    Mdrm501 = "MDRM-501", 401, "Authorization token is required";
    Mdrm502 = "MDRM-502", 401, "Failed to decode JSON web token";
    Mdrm503 = "MDRM-503", 403, "Recipient does not allow access for specified audience";
    Mdrm504 = "MDRM-504", 401, "Failed to resolve JSON web key";
    Mdrm505 = "MDRM-505", 401, "JSON web token is invalid";
    Mdrm506 = "MDRM-506", 401, "Failed to resolve session JSON web key";
    Mdrm507 = "MDRM-507", 500, "Unable to sign session JSON web token";
    Mdrm508 = "MDRM-508", 401, "JSON web token is expired";
    Mdrm509 = "MDRM-509", 401, "JSON web token is missing issued at (iat) claim";
    Mdrm510 = "MDRM-510", 401, "JSON web token is inactive and may not be processed before the not before (iat) claim timestamp";
    Mdrm511 = "MDRM-511", 401, "JSON web token is inactive and may not be processed before the not before (nbf) claim timestamp";
    Mdrm512 = "MDRM-512", 401, "Failed to retrieve signing key from the database";
    Mdrm513 = "MDRM-513", 401, "JSON web key is disabled";
    Mdrm514 = "MDRM-514", 400, "Malformed signed CPIX request";
    Mdrm517 = "MDRM-517", 400, "Malformed Trust Tunnel Request";
    Mdrm518 = "MDRM-518", 403, "Failed to resolve Trust Tunnel master key";
    Mdrm519 = "MDRM-519", 400, "Failed to decrypt Trust Tunnel request";
    Mdrm520 = "MDRM-520", 403, "Invalid Trust Tunnel mode configuration for the request";
    Mdrm521 = "MDRM-521", 403, "Invalid Trust Tunnel protocol for the request";
    Mdrm903 = "MDRM-903", 400, "Content ID must be present in the request";
    Mdrm904 = "MDRM-904", 400, "Content ID must match ID in the request";
    Mdrm905 = "MDRM-905", 400, "Subject claim does not refer to the requested content ID";
    Mdrm910 = "MDRM-910", 400, "Failed to transform request to XML";
    Mdrm914 = "MDRM-914", 401, "CPIX document has no signatures";
    Mdrm915 = "MDRM-915", 401, "CPIX document has no overall signature";
    Mdrm916 = "MDRM-916", 401, "CPIX document signature invalid";
    Mdrm917 = "MDRM-917", 401, "Exception while verifying CPIX document signature";
    Mdrm918 = "MDRM-918", 401, "Signature does not use required algorithms";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
