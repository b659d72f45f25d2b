//! The `braid-supervisor` binary.
fn main() -> std::process::ExitCode {
    supervisor::main()
}
