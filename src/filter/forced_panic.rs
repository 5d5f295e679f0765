//! Test only, behind the feature `forced-panic`: ends the VM where a client asks for it, so that the tests see what becomes of
//! a proxy whose filter fails. The module that serves requests is built without.

use crate::request::RequestHead;

/// The header that asks for it.
const HEADER: &str = "x-forced-panic";

/// Ends the VM if the request asks for it.
#[allow(clippy::panic, reason = "it is what this module is for")]
pub(super) fn obey(head: &RequestHead<'_>) {
    if head.first(HEADER).is_some() {
        panic!("mdrm_authz forced panic");
    }
}
