//! The runtime `http`; what it does is in the library beside this.

fn main() {
    arawn_sdk::run(http::http);
}
