//! A guest for the tests: makes the file calls of preview 1 that its config lists, and answers what each gave. It is how
//! the tests try what a guest can reach, and no part of the library. Outside a sandbox it does nothing.
//!
//! Config: `{"calls": [["path_open", 3, "a.txt", {"create": true, "write": true}], …]}`; output: a list of
//! `{"errno": 0, …}`.

#[cfg(target_os = "wasi")]
mod guest;
#[cfg(target_os = "wasi")]
mod sys;

fn main() {
    #[cfg(target_os = "wasi")]
    guest::main();
}
