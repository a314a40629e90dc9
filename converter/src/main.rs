//! The command `ferrolite`.

fn main() -> std::process::ExitCode {
    ferrolite::cli::main()
}
