//! The runtime `file_write`; what it does is in the library beside this.

fn main() {
    arawn_sdk::run(file_write::file_write);
}
