//! What must hold of any input, one module for each thing that strangers write. `check` panics where it does not hold, and
//! says whether the input was taken for what it pretends to be.
//!
//! The fuzz targets of this package and the property tests of `tests/native/fuzz.rs` run the same bodies. Each input is
//! bytes of the form that its module describes; none is too strange to be checked.

pub mod carriage;
pub mod configuration;
pub mod cpix;
pub mod events;
pub mod jwe;
pub mod key_document;
pub mod key_set;
mod log;
pub mod token;
pub mod unsigned;

/// The moment of every request, in seconds since the epoch.
const NOW: i64 = 1_764_000_000;

/// The secret that these properties sign and seal with.
const SECRET: [u8; 32] = *b"a secret of the properties alone";
