//! What the host calls: the callbacks of proxy-wasm ABI 0.2.1 that the filter needs, and no other, because the host calls each
//! that there is. They find the context by its number and hand on what the host said.
//!
//! A context that the host made up is held, never passed. Nothing in here panics: that ends the worker's VM.
#![allow(unsafe_code, reason = "a name that is exported, and the constructors of the C library")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::logger;

/// What becomes of the head of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadAction {
    /// It goes on.
    Continue = 0,
    /// It is held. The body and the trailers are still handed over, and are held by their own callbacks.
    Pause = 1,
    /// All of the request is held: nothing more of it is handed over, and the client is slowed down (Envoy's
    /// `StopAllIterationAndWatermark`, which ABI 0.2.1 does not have).
    PauseAll = 4,
}

/// What becomes of the body so far, or of the trailers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// They go on.
    Continue = 0,
    /// They are held.
    Pause = 1,
}

/// The context of a plugin.
pub(super) trait RootContext {
    /// The plugin has a configuration of `size` bytes; false refuses it.
    fn on_configure(&mut self, _size: usize) -> bool {
        true
    }

    /// The period of the tick has passed.
    fn on_tick(&mut self) {}

    /// The answer to the request with this token, with so many headers and a body of so many bytes; none if there are no
    /// headers.
    fn on_http_call_response(&mut self, _token: u32, _headers: usize, _body_size: usize) {}

    /// A context for a request.
    fn create_http_context(&self, id: u32) -> Box<dyn HttpContext>;
}

/// The context of a request.
pub(super) trait HttpContext {
    /// The head is there.
    fn on_request_headers(&mut self, end_of_stream: bool) -> HeadAction;

    /// So many bytes of the body are there.
    fn on_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        Action::Continue
    }

    /// The trailers are there.
    fn on_request_trailers(&mut self) -> Action {
        Action::Continue
    }
}

type NewRoot = fn(u32) -> Box<dyn RootContext>;

thread_local! {
    static NEW_ROOT: Cell<Option<NewRoot>> = const { Cell::new(None) };
    static ROOTS: RefCell<BTreeMap<u32, Box<dyn RootContext>>> = const { RefCell::new(BTreeMap::new()) };
    static REQUESTS: RefCell<BTreeMap<u32, Box<dyn HttpContext>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Says what makes the context of a plugin.
pub(super) fn set_root_context(new_root: NewRoot) {
    NEW_ROOT.set(Some(new_root));
}

/// Runs `on_tick` of a plugin, also in the middle of a callback of one of its requests.
pub(super) fn tick(root: u32) {
    with_root(root, |root| root.on_tick());
}

fn with_root<R>(id: u32, work: impl FnOnce(&mut dyn RootContext) -> R) -> Option<R> {
    ROOTS.with(|roots| Some(work(&mut **roots.try_borrow_mut().ok()?.get_mut(&id)?)))
}

fn with_request<R>(id: u32, work: impl FnOnce(&mut dyn HttpContext) -> R) -> Option<R> {
    REQUESTS.with(|requests| Some(work(&mut **requests.try_borrow_mut().ok()?.get_mut(&id)?)))
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the linker makes it; the host calls this function once, before any other.
    unsafe { __wasm_call_ctors() };
    logger::start();
    super::start();
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for what the host hands over; the host calls are told where it is, and take it over.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(vec![0_u8; size].into_boxed_slice()).cast()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, root: u32) {
    if root == 0 {
        if let Some(new_root) = NEW_ROOT.get() {
            let made = new_root(id);
            ROOTS.with(|roots| roots.try_borrow_mut().ok().map(|mut roots| roots.insert(id, made)));
        }
    } else if let Some(made) = with_root(root, |root| root.create_http_context(id)) {
        REQUESTS.with(|requests| requests.try_borrow_mut().ok().map(|mut requests| requests.insert(id, made)));
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> u32 {
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> u32 {
    u32::from(with_root(root, |root| root.on_configure(size)).unwrap_or(false))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    tick(root);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(root: u32, token: u32, headers: usize, body_size: usize, _trailers: usize) {
    with_root(root, |root| root.on_http_call_response(token, headers, body_size));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _count: usize, end_of_stream: u32) -> u32 {
    let action = with_request(id, |request| request.on_request_headers(end_of_stream != 0));
    action.unwrap_or(HeadAction::Pause) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(id: u32, size: usize, end_of_stream: u32) -> u32 {
    let action = with_request(id, |request| request.on_request_body(size, end_of_stream != 0));
    action.unwrap_or(Action::Pause) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(id: u32, _count: usize) -> u32 {
    with_request(id, |request| request.on_request_trailers()).unwrap_or(Action::Pause) as u32
}

/// A request is over, or a plugin is gone. What is dropped here may call the host, never a context.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    let request = REQUESTS.with(|requests| requests.try_borrow_mut().ok().and_then(|mut all| all.remove(&id)));
    if request.is_none() {
        ROOTS.with(|roots| roots.try_borrow_mut().ok().and_then(|mut all| all.remove(&id)));
    }
}
