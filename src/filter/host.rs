//! Bindings of the host calls in use (proxy-wasm ABI 0.2.1). They return what the host said and never panic, because a
//! panic ends the worker's VM. What the host calls in turn is in `exports`.
#![allow(unsafe_code, reason = "the ABI of proxy-wasm is a C interface")]

use std::ptr::{null, null_mut};
use std::time::Duration;

use crate::reply::Reply;

/// The status of every host call (proxy-wasm ABI 0.2.1, `proxy_status_t`); any other value is a failure.
const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const CAS_MISMATCH: u32 = 8;

/// `stream_type_t`: the request's way to the upstream.
const HTTP_REQUEST: u32 = 0;

/// `proxy_buffer_type_t`, as far as it is in use.
#[derive(Debug, Clone, Copy)]
pub(super) enum BufferType {
    RequestBody = 0,
    CallResponseBody = 4,
    PluginConfiguration = 7,
}

/// `proxy_map_type_t`, as far as it is in use.
#[derive(Debug, Clone, Copy)]
pub(super) enum MapType {
    RequestHeaders = 0,
    RequestTrailers = 1,
    CallResponseHeaders = 6,
}

/// `proxy_log_level_t`.
#[derive(Debug, Clone, Copy)]
pub(super) enum LogLevel {
    Trace = 0,
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
    Critical = 5,
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_milliseconds: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_buffer_bytes(kind: u32, start: usize, max: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_buffer_bytes(kind: u32, start: usize, size: usize, data: *const u8, data_size: usize) -> u32;
    fn proxy_get_header_map_pairs(kind: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_remove_header_map_value(kind: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_replace_header_map_value(
        kind: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_continue_stream(kind: u32) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, metric: *mut u32) -> u32;
    fn proxy_increment_metric(metric: u32, offset: i64) -> u32;
    fn proxy_record_metric(metric: u32, value: u64) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, value_size: usize, version: u32)
    -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        results: *mut *mut u8,
        results_size: *mut usize,
    ) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
    fn random_get(buffer: *mut u8, size: usize) -> u32;
}

/// Writes a line to the host's log.
pub(super) fn log(level: LogLevel, message: &str) -> bool {
    // SAFETY: pointer and length describe `message`, which the host only reads.
    unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) == OK }
}

/// Time since the epoch; none if the host has no time to give.
pub(super) fn wall_clock() -> Option<Duration> {
    let mut nanoseconds = 0;
    // SAFETY: the host writes one u64 to the place that it is given.
    let status = unsafe { proxy_get_current_time_nanoseconds(&mut nanoseconds) };
    (status == OK).then(|| Duration::from_nanos(nanoseconds))
}

/// Time since some fixed point; none if the host has no such clock.
pub(super) fn monotonic_clock() -> Option<Duration> {
    const MONOTONIC: u32 = 1;
    let mut nanoseconds = 0;
    // SAFETY: as above.
    let status = unsafe { clock_time_get(MONOTONIC, 1, &mut nanoseconds) };
    (status == OK).then(|| Duration::from_nanos(nanoseconds))
}

/// At most `max` bytes of a buffer; none if the host has no such buffer.
pub(super) fn buffer(kind: BufferType, max: usize) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the host writes a pointer and a length that describe memory it took from `proxy_on_memory_allocate`.
    let status = unsafe { proxy_get_buffer_bytes(kind as u32, 0, max, &mut data, &mut size) };
    (status == OK).then(|| take(data, size))
}

/// Makes the held body of the effective context this one.
pub(super) fn replace_body(body: &[u8]) -> bool {
    let kind = BufferType::RequestBody as u32;
    // SAFETY: pointer and length describe `body`, which the host only reads. From the start, however much there is.
    unsafe { proxy_set_buffer_bytes(kind, 0, usize::MAX, body.as_ptr(), body.len()) == OK }
}

/// 128 bits from the host's source of randomness; none if it has none.
pub(super) fn random() -> Option<[u8; 16]> {
    let mut bits = [0; 16];
    // SAFETY: the host writes as many bytes as it is told to the place that it is given.
    (unsafe { random_get(bits.as_mut_ptr(), bits.len()) } == OK).then_some(bits)
}

/// A map of headers or trailers as the host serialised it.
pub(super) struct HeaderMap(Vec<u8>);

impl HeaderMap {
    /// Reads a whole map; none if the host has no such map.
    pub(super) fn read(kind: MapType) -> Option<Self> {
        let (mut data, mut size) = (null_mut(), 0);
        // SAFETY: as in `buffer`.
        let status = unsafe { proxy_get_header_map_pairs(kind as u32, &mut data, &mut size) };
        (status == OK).then(|| Self(take(data, size)))
    }

    /// Names and values in the order of the wire; none if what the host wrote does not add up. The ABI's form: count, then
    /// the lengths of each name and value, then the texts, each with a NUL behind it.
    pub(super) fn pairs(&self) -> Option<Vec<(&[u8], &[u8])>> {
        if self.0.is_empty() {
            return Some(Vec::new());
        }
        let (count, rest) = self.0.split_first_chunk()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let (mut lengths, mut texts) = rest.split_at_checked(count.checked_mul(8)?)?;
        let mut text = || {
            let (length, more) = lengths.split_first_chunk()?;
            lengths = more;
            let (text, behind) = texts.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
            texts = behind.get(1..)?;
            Some(text)
        };
        // No more than fit: the count has been held against the size.
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            pairs.push((text()?, text()?));
        }
        Some(pairs)
    }
}

/// Removes every header of this name.
pub(super) fn remove(kind: MapType, name: &[u8]) -> bool {
    // SAFETY: pointer and length describe `name`, which the host only reads.
    unsafe { proxy_remove_header_map_value(kind as u32, name.as_ptr(), name.len()) == OK }
}

/// Sets a header to this one value.
pub(super) fn replace(kind: MapType, name: &[u8], value: &[u8]) -> bool {
    // SAFETY: pointers and lengths describe `name` and `value`, which the host only reads.
    unsafe { proxy_replace_header_map_value(kind as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) == OK }
}

/// Lets the held request of the effective context go on. Must be the last call about it.
pub(super) fn continue_request() -> bool {
    // SAFETY: takes a number.
    unsafe { proxy_continue_stream(HTTP_REQUEST) == OK }
}

/// Answers the request of the effective context. Must be the last call about it. `details` become
/// `%RESPONSE_CODE_DETAILS%`.
pub(super) fn reply(reply: &Reply, details: &str) -> bool {
    let headers = serialise(&reply.headers);
    // SAFETY: pointers and lengths describe values that live until the call returns, which the host only reads.
    unsafe {
        proxy_send_local_response(
            u32::from(reply.status),
            details.as_ptr(),
            details.len(),
            reply.body.as_ptr(),
            reply.body.len(),
            headers.as_ptr(),
            headers.len(),
            -1,
        ) == OK
    }
}

fn serialise<V: AsRef<str>>(headers: &[(&str, V)]) -> Vec<u8> {
    let length = |text: &str| u32::try_from(text.len()).unwrap_or(0).to_le_bytes();
    // Two lengths of four bytes, and a NUL behind each text.
    let size = headers
        .iter()
        .map(|(name, value)| name.len().saturating_add(value.as_ref().len()).saturating_add(10))
        .sum::<usize>();
    let mut bytes = Vec::with_capacity(size.saturating_add(4));
    bytes.extend_from_slice(&u32::try_from(headers.len()).unwrap_or(0).to_le_bytes());
    for (name, value) in headers {
        bytes.extend_from_slice(&length(name));
        bytes.extend_from_slice(&length(value.as_ref()));
    }
    for text in headers.iter().flat_map(|(name, value)| [*name, value.as_ref()]) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// Runs `on_tick` of the root about every `milliseconds`; 0: not any more.
pub(super) fn set_tick_period(milliseconds: u32) -> bool {
    // SAFETY: takes a number.
    unsafe { proxy_set_tick_period_milliseconds(milliseconds) == OK }
}

/// The value of one of the host's properties.
pub(super) fn property(name: &str) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the name is only read; the result is as in `buffer`.
    let status = unsafe { proxy_get_property(name.as_ptr(), name.len(), &mut data, &mut size) };
    (status == OK).then(|| take(data, size))
}

/// Sets a property of the effective context's stream, for the access log; in Envoy filter state named `wasm.` and `name`.
pub(super) fn set_property(name: &str, value: &str) -> bool {
    // SAFETY: pointers and lengths describe `name` and `value`, which the host only reads.
    unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) == OK }
}

/// `metric_type_t`.
#[derive(Debug, Clone, Copy)]
pub(super) enum MetricKind {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

/// The host's number of a metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metric(Option<u32>);

impl Metric {
    /// Defines a metric; if the host has none to give, one that nobody sees.
    pub(super) fn define(kind: MetricKind, name: &str) -> Self {
        let mut metric = 0;
        // SAFETY: pointer and length describe `name`, which the host only reads; it writes one u32.
        let status = unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &mut metric) };
        Self((status == OK).then_some(metric))
    }

    /// Adds `offset` to a counter, where it is not negative, or to a gauge.
    pub(super) fn add(self, offset: i64) -> bool {
        // SAFETY: takes numbers.
        self.0.is_some_and(|metric| unsafe { proxy_increment_metric(metric, offset) } == OK)
    }

    /// Notes a value in a histogram.
    pub(super) fn record(self, value: u64) -> bool {
        // SAFETY: takes numbers.
        self.0.is_some_and(|metric| unsafe { proxy_record_metric(metric, value) } == OK)
    }
}

/// A value of the host's shared data, and the version to overwrite it by.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) value: Option<Vec<u8>>,
    version: u32,
}

/// What became of a write to the shared data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Yes,
    /// Somebody else wrote since the value was read.
    Lost,
    /// The host cannot.
    No,
}

impl Shared {
    /// Reads a value; none if the host has no shared data.
    pub(super) fn read(key: &str) -> Option<Self> {
        let (mut data, mut size, mut version) = (null_mut(), 0, 0);
        // SAFETY: the key is only read; the result is as in `buffer`, and the version one u32.
        match unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), &mut data, &mut size, &mut version) } {
            OK => Some(Self { value: Some(take(data, size)), version }),
            // 0 would overwrite whatever is there by then. Nothing has this version, and an absent key takes any.
            NOT_FOUND => Some(Self { value: None, version: u32::MAX }),
            _ => None,
        }
    }

    /// Overwrites the value that was read, unless somebody else did.
    pub(super) fn overwrite(&self, key: &str, value: &[u8]) -> Written {
        // SAFETY: key and value are only read.
        match unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), self.version) } {
            OK => Written::Yes,
            CAS_MISMATCH => Written::Lost,
            _ => Written::No,
        }
    }
}

/// Calls a function that the host has besides the ABI; none if it has not, or failed.
pub(super) fn call_foreign_function(name: &str, arguments: &[u8]) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: name and arguments are only read; the result is as in `buffer`.
    let status = unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            &mut data,
            &mut size,
        )
    };
    (status == OK).then(|| take(data, size))
}

/// Makes `context` the one that host calls are about; false if it is gone.
pub(super) fn enter(context: u32) -> bool {
    // SAFETY: takes a number.
    unsafe { proxy_set_effective_context(context) == OK }
}

/// Sends a request without a body to a cluster of the host: the token that its answer will bear; none if the host does not
/// know the cluster, or has no healthy host for it. The answer goes to the context that is the effective one now.
pub(super) fn send(cluster: &str, headers: &[(&str, &str)], timeout: Duration) -> Option<u32> {
    let (headers, trailers) = (serialise(headers), serialise::<&str>(&[]));
    // 0 would be no timeout at all.
    let timeout = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1);
    let mut token = 0;
    // SAFETY: pointers and lengths describe values that live until the call returns, which the host only reads; it writes
    // one u32.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            null(),
            0,
            trailers.as_ptr(),
            trailers.len(),
            timeout,
            &mut token,
        )
    };
    (status == OK).then_some(token)
}

/// Takes over memory that the host had from `proxy_on_memory_allocate`.
fn take(data: *mut u8, size: usize) -> Vec<u8> {
    if data.is_null() || size == 0 {
        return Vec::new();
    }
    // SAFETY: `exports` made it as a boxed slice of exactly this length, and the host gave it up.
    unsafe { Vec::from_raw_parts(data, size, size) }
}
