//! Looks for a secret in every block that is freed.
#![allow(unsafe_code, reason = "a global allocator is an unsafe trait; each call goes on to the system's allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The secret. No other text of the program holds any of its ends.
pub const SECRET: [u8; 32] = *b"this secret must not stay behind";
/// The secret in base64url.
pub const SPELLED: &str = "dGhpcyBzZWNyZXQgbXVzdCBub3Qgc3RheSBiZWhpbmQ";

/// So many bytes of an end of the secret, in either form, are found.
const END: usize = 12;

struct Looking;

#[global_allocator]
static ALLOCATOR: Looking = Looking;
static WATCHING: AtomicBool = AtomicBool::new(false);
static FOUND: AtomicUsize = AtomicUsize::new(0);

/// How many blocks that `run` gave back held a part of the secret.
pub fn blocks_with_the_secret(run: impl FnOnce()) -> usize {
    FOUND.store(0, Ordering::SeqCst);
    WATCHING.store(true, Ordering::SeqCst);
    run();
    WATCHING.store(false, Ordering::SeqCst);
    FOUND.load(Ordering::SeqCst)
}

fn holds_the_secret(block: &[u8]) -> bool {
    let spelled = SPELLED.as_bytes();
    let ends = [&SECRET[..END], &SECRET[SECRET.len() - END..], &spelled[..END], &spelled[spelled.len() - END..]];
    block.windows(END).any(|window| ends.contains(&window))
}

// SAFETY: every call is handed on unchanged to the system's allocator, which keeps the contract. `realloc` is the trait's own:
// it allocates, copies and frees, so that what it leaves behind is looked at.
unsafe impl GlobalAlloc for Looking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Zeros, so that every byte of a block may be read when it is freed.
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if WATCHING.load(Ordering::SeqCst) {
            // SAFETY: the block is `layout.size()` bytes, which were all written by `alloc`, and nobody else has it any more.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            if holds_the_secret(bytes) {
                FOUND.fetch_add(1, Ordering::SeqCst);
            }
        }
        // SAFETY: the block came from `alloc` above, with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}
