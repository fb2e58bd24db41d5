//! What the fuzzers check. The tests of `polyport-protocol` include the same files.

mod targets;
#[path = "../crates/polyport-protocol/tests/it/wire.rs"]
mod wire;

/// Runs the target called `name`.
pub fn run(name: &str, data: &[u8]) {
    targets::run(name, data);
}
