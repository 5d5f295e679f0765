//! The wasm shell: events of the host -> the core, decisions of the core -> calls of the host. Translates, never decides.

mod clock;
#[cfg(feature = "differential")]
mod differential;
mod host;
mod http;
mod metrics;
mod plugin;
mod root;
#[cfg(feature = "test-switches")]
mod test_switches;
mod verify;

use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|root_id| Box::new(root::Root::new(root_id)));
    #[cfg(feature = "differential")]
    proxy_wasm::set_root_context(|_| Box::new(differential::Root));
}}
