use std::alloc::{GlobalAlloc, Layout};

use super::{Arena, BYTES};

fn bytes(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 1).unwrap()
}

#[test]
fn blocks_lie_one_after_the_other() {
    let arena = Arena::new();
    // SAFETY: no layout is empty.
    let (first, second) = unsafe { (arena.alloc(bytes(3)), arena.alloc(Layout::new::<u64>())) };
    assert_eq!((first, second), (arena.start(), arena.start().wrapping_add(8)));
}

#[test]
fn what_does_not_fit_is_the_systems() {
    let arena = Arena::new();
    // SAFETY: no layout is empty, and each block is freed once, by the layout it has then.
    unsafe {
        let (all, more) = (arena.alloc(bytes(BYTES)), arena.alloc(bytes(1)));
        assert!(arena.has(all) && !more.is_null() && !arena.has(more));
        let more = arena.realloc(more, bytes(1), 100);
        assert!(!arena.has(more));
        arena.dealloc(more, bytes(100));
        arena.dealloc(all, bytes(BYTES));
        assert_eq!(arena.alloc(bytes(1)), all);
    }
}

#[test]
fn only_the_last_block_is_reused() {
    let arena = Arena::new();
    // SAFETY: no layout is empty, and each block is freed once, by the layout it has then.
    unsafe {
        let (first, second) = (arena.alloc(bytes(8)), arena.alloc(bytes(8)));
        arena.dealloc(first, bytes(8));
        assert_eq!(arena.used.get(), 16);
        arena.dealloc(second, bytes(8));
        assert_eq!(arena.alloc(bytes(8)), second);
    }
}

#[test]
fn the_last_block_grows_and_shrinks_in_its_place() {
    let arena = Arena::new();
    // SAFETY: no layout is empty, and the block has the layout it was given last.
    unsafe {
        let block = arena.alloc(bytes(8));
        assert_eq!(arena.realloc(block, bytes(8), BYTES), block);
        assert_eq!(arena.realloc(block, bytes(BYTES), 4), block);
        assert_eq!(arena.used.get(), 4);
    }
}

#[test]
fn any_block_shrinks_in_its_place() {
    let arena = Arena::new();
    // SAFETY: no layout is empty, and the block has the layout it was given last.
    unsafe {
        let block = arena.alloc(bytes(8));
        arena.alloc(bytes(8));
        assert_eq!(arena.realloc(block, bytes(8), 4), block);
        assert_eq!(arena.used.get(), 16);
    }
}

#[test]
fn a_block_that_moves_takes_its_bytes_along() {
    let arena = Arena::new();
    // SAFETY: no layout is empty, and each block has the layout it was given last and is written within it.
    unsafe {
        let block = arena.alloc(bytes(4));
        block.copy_from(b"text".as_ptr(), 4);
        arena.alloc(bytes(1));
        for size in [8, BYTES] {
            let moved = arena.realloc(block, bytes(4), size);
            assert_eq!((std::slice::from_raw_parts(moved, 4), arena.has(moved)), (&b"text"[..], size == 8));
            if size == BYTES {
                arena.dealloc(moved, bytes(size));
            }
        }
    }
}

#[test]
fn used_bytes_are_zeroed() {
    let arena = Arena::new();
    // SAFETY: no layout is empty, and each block is freed once and written within its layout.
    unsafe {
        let block = arena.alloc(bytes(2));
        block.write_bytes(7, 2);
        arena.dealloc(block, bytes(2));
        assert_eq!(std::slice::from_raw_parts(arena.alloc_zeroed(bytes(2)), 2), [0, 0]);
        let zeroed = arena.alloc_zeroed(bytes(BYTES));
        assert!(!arena.has(zeroed) && std::slice::from_raw_parts(zeroed, BYTES).iter().all(|byte| *byte == 0));
        arena.dealloc(zeroed, bytes(BYTES));
    }
}
