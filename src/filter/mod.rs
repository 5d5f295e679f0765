//! The wasm shell: events of the host -> the core, decisions of the core -> calls of the host. Translates, never decides.
//!
//! `exports` and `host` are the two sides of the ABI, and all that is unsafe.

mod clock;
#[cfg(feature = "differential")]
mod differential;
mod exports;
mod host;
mod http;
mod logger;
mod metrics;
mod plugin;
mod root;
#[cfg(feature = "test-switches")]
mod test_switches;
mod verify;

/// Once for each VM, before everything else.
fn start() {
    exports::set_root_context(|id| Box::new(root::Root::new(id)));
    #[cfg(feature = "differential")]
    exports::set_root_context(|_| Box::new(differential::Root));
}
