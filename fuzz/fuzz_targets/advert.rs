//! The target `advert`; without `--cfg fuzzing` it replays the files given as arguments.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ol2tp_fuzz::advert(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    ol2tp_fuzz::replay(ol2tp_fuzz::advert)
}
