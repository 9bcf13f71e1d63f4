//! The runtime `file_read`; what it does is in the library beside this.

fn main() {
    arawn_sdk::run(file_read::file_read);
}
