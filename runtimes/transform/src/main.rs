//! The runtime `transform`; what it does is in the library beside this.

fn main() {
    arawn_sdk::run(transform::transform);
}
