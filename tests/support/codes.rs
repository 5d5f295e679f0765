//! The codes, their HTTP statuses and messages, written down once more apart from the crate's own table: clients depend on them to
//! the letter.

/// Code without `MDRM-`, HTTP status, message.
pub const CODES: [(u16, u16, &str); 18] = [
    (500, 500, "An unexpected error occurred while processing the request"),
    (501, 401, "Authorization token is required"),
    (502, 401, "Failed to decode JSON web token"),
    (503, 403, "Recipient does not allow access for specified audience"),
    (504, 401, "Failed to resolve JSON web key"),
    (505, 401, "JSON web token is invalid"),
    (508, 401, "JSON web token is expired"),
    (509, 401, "JSON web token is missing issued at (iat) claim"),
    (510, 401, "JSON web token is inactive and may not be processed before the not before (iat) claim timestamp"),
    (511, 401, "JSON web token is inactive and may not be processed before the not before (nbf) claim timestamp"),
    (512, 401, "Failed to retrieve signing key from the database"),
    (513, 401, "JSON web key is disabled"),
    (514, 400, "Malformed signed CPIX request"),
    (517, 400, "Malformed Trust Tunnel Request"),
    (518, 403, "Failed to resolve Trust Tunnel master key"),
    (519, 400, "Failed to decrypt Trust Tunnel request"),
    (520, 403, "Invalid Trust Tunnel mode configuration for the request"),
    (521, 403, "Invalid Trust Tunnel protocol for the request"),
];

/// HTTP status and message of a code.
pub fn status_and_message(code: u16) -> (u16, &'static str) {
    let (_, status, message) = CODES.iter().find(|(known, _, _)| *known == code).expect("a code of the table");
    (*status, message)
}
