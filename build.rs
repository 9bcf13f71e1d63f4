//! Link arguments of the shared library. Nothing is generated.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if os == "linux" {
        // The ABI's number is the major version, and 0 while that is 0. The library installs signal handlers and
        // starts threads, so that it cannot be unmapped: dlclose leaves it where it is.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libarawn.so.{}", env!("CARGO_PKG_VERSION_MAJOR"));
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
