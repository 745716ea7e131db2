//! How a target runs: under cargo-fuzz it is libFuzzer's, guided by coverage; else it is a program of its
//! own for any stable Rust, which replays the checked-in inputs and then mutates them at random from a printed seed.
mod drive;
mod mutate;

pub use drive::drive;

/// Declares the one target of a program: what holds for any bytes.
///
/// ```ignore
/// mesh_fuzz::target!(|bytes| {
///     assert_eq!(decode(&encode(bytes)), bytes);
/// });
/// ```
#[macro_export]
macro_rules! target {
    (|$bytes:ident| $body:block) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|$bytes: &[u8]| $body);

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::drive(|$bytes: &[u8]| $body)
        }
    };
}
