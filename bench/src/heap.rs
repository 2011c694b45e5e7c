//! An allocator that counts. What the signature library allocates in C is not seen by it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that were allocated and not freed yet.
static IN_USE: AtomicUsize = AtomicUsize::new(0);
/// How often memory was asked for, growth included.
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counted. A program that wants to count makes it its global one.
#[derive(Debug)]
pub struct Counting;

/// How many bytes are in use now.
pub fn in_use() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

/// How often memory was asked for so far.
pub fn allocations() -> usize {
    ALLOCATIONS.load(Ordering::Relaxed)
}

#[allow(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; this one hands on to the system's"
)]
// SAFETY: every call goes to `System` with the arguments that it came with. What the trait provides,
// growth among it, is made of these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}
