//! The runtime `transform`; what it does is in the library beside this.

#[cfg(target_os = "wasi")]
#[global_allocator]
static ALLOCATOR: arawn_sdk::Arena = arawn_sdk::Arena::new();

fn main() {
    arawn_sdk::run(transform::transform);
}
