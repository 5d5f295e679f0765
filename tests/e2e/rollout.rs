//! The files that roll the filter out, as far as they can be run without their platform.

mod containers;
mod files;
mod image;
mod network;
mod platforms;
mod rolling;
