//! Test only, behind the feature `test-switches`: ends the VM where a client asks for it, so that the tests see what becomes of
//! a proxy whose filter fails, leaves out what no decision may depend on, and measures its longest callback. The module that
//! serves requests is built without.

use std::cell::Cell;
use std::time::Duration;

use log::info;

use super::host;
use crate::authorizer::Platform;
use crate::request::RequestHead;

/// The header that asks for the end of the VM.
const HEADER: &str = "x-forced-panic";
/// The variable of the VM's environment that names what to leave out, with commas between.
const WITHOUT: &str = "MDRM_TEST_WITHOUT";

/// Ends the VM if the request asks for it.
#[allow(clippy::panic, reason = "it is what this switch is for")]
pub(super) fn obey(head: &RequestHead<'_>) {
    if head.first(HEADER).is_some() {
        panic!("mdrm_authz forced panic");
    }
}

/// The platform less what is to be left out: `verify_signature`, `remembered_tokens`.
pub(super) fn restrict(platform: Platform) -> Platform {
    let without = std::env::var(WITHOUT).unwrap_or_default();
    let stays = |name: &str| without.split(',').all(|left_out| left_out != name);
    Platform {
        verify: platform.verify.filter(|_| stays("verify_signature")),
        remember_tokens: platform.remember_tokens && stays("remembered_tokens"),
        ..platform
    }
}

/// Measures a callback from its beginning until this is dropped. Each one that is longer than those before it is logged.
pub(super) struct Timed(Option<Duration>);

impl Timed {
    pub(super) fn begin() -> Self {
        Self(host::monotonic_clock())
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        thread_local! {
            static LONGEST: Cell<Duration> = const { Cell::new(Duration::ZERO) };
        }
        let took = self.0.zip(host::monotonic_clock()).map(|(begun, ended)| ended.saturating_sub(begun));
        if let Some(took) = took.filter(|took| *took > LONGEST.get()) {
            LONGEST.set(took);
            info!("longest callback: {} us", took.as_micros());
        }
    }
}
