//! The fast path of the driver in user space: L2TP's headers are put on and taken off inside the kernel, by programs in
//! eBPF. They are in `program/`, in Rust; `cargo xtask bpf` compiles them to the object that is here, which the driver
//! loads. [`layout`] is what both sides know.
#![no_std]
#![forbid(unsafe_code)]

pub mod layout;

/// The programs, as an object file for a loader; aligned as the file format wants it.
pub static OBJECT: &[u8] = &OBJECT_ALIGNED.0;

#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);

static OBJECT_ALIGNED: &Aligned<[u8]> = &Aligned(*include_bytes!("../programs.o"));
