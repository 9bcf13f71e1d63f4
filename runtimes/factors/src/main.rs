//! The runtime as a command, which runs on any machine.

fn main() {
    factors::main();
}
