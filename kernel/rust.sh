#!/bin/sh
# Compiles the Rust side into one relocatable object.
# Usage: rust.sh ARCH PADDING OUT DIRECTORY
#   ARCH       x86, or um
#   PADDING    bytes in front of each function that the kernel wants, 0 for none
#   OUT        the object
#   DIRECTORY  where the compiled core library is kept
# RUSTC names the compiler, LD and OBJCOPY the kernel's. KASAN=y has every access to memory checked.
set -e
arch=$1 padding=$2 out=$3 kept=$4
here=$(dirname "$0")
: "${RUSTC:=rustc}" "${LD:=ld}" "${OBJCOPY:=objcopy}"
# The kernel's own way of building is not stable Rust: no prebuilt core has these flags.
export RUSTC_BOOTSTRAP=1

fail() {
    echo "pppol2tp: $*" >&2
    exit 1
}
version=$("$RUSTC" --version 2>/dev/null) || fail "no Rust compiler ($RUSTC): apt-get install rustc rust-src"
minor=${version#rustc 1.}
minor=${minor%%.*}
test "$minor" -ge 85 2>/dev/null || fail "$RUSTC is $version, and 1.85 is needed: name a later one by RUSTC=PATH"
library=$("$RUSTC" --print sysroot)/lib/rustlib/src/rust/library
test -f "$library/core/src/lib.rs" ||
    fail "no sources of Rust's core library in $library: apt-get install rust-src, or rustup component add rust-src"

flags="--target=x86_64-unknown-none -Cpanic=abort -Cembed-bitcode=yes -Cforce-unwind-tables=n -Ccodegen-units=1 \
    -Copt-level=2 -Cno-redzone=y -Zplt=yes -Zdirect-access-external-data=yes"
# Whether the compiler knows a flag: names have changed.
knows() {
    "$RUSTC" "$1" --print cfg >/dev/null 2>&1
}
case $arch in
x86)
    flags="$flags -Crelocation-model=static -Ccode-model=kernel -Zfunction-return=thunk-extern -Zcf-protection=branch"
    if knows -Cjump-tables=n; then
        flags="$flags -Cjump-tables=n"
    else
        flags="$flags -Zno-jump-tables"
    fi
    if knows -Zretpoline-external-thunk; then
        flags="$flags -Zretpoline-external-thunk"
    else
        retpoline=+retpoline-external-thunk,+retpoline-indirect-branches,+retpoline-indirect-calls
        flags="$flags -Ctarget-feature=$retpoline"
    fi
    ;;
um) flags="$flags -Crelocation-model=pie" ;;
*) fail "there is no such build for $arch: x86_64 and User-Mode Linux on it" ;;
esac
if test "$KASAN" = y; then
    # The kernel's functions look into its shadow memory, wherever that is; frames and statics are not marked there.
    flags="$flags -Zsanitizer=kernel-address -Zsanitizer-recover=kernel-address \
    -Cllvm-args=-asan-instrumentation-with-call-threshold=0 -Cllvm-args=-asan-stack=0 -Cllvm-args=-asan-globals=0"
    if knows -Cunsafe-allow-abi-mismatch=sanitizer; then
        flags="$flags -Cunsafe-allow-abi-mismatch=sanitizer"
    fi
fi

lib=$kept/lib/rustlib/x86_64-unknown-none/lib
if test "$(cat "$kept/made" 2>/dev/null)" != "$version $flags"; then
    rm -rf "$kept"
    mkdir -p "$lib"
    edition=$(sed -n 's/^edition = "\(.*\)"/\1/p' "$library/core/Cargo.toml")
    # shellcheck disable=SC2086
    "$RUSTC" "$library/core/src/lib.rs" --crate-name core --crate-type rlib --edition "$edition" $flags \
        --cfg no_fp_fmt_parse --cap-lints allow --sysroot "$kept" -o "$lib/libcore.rlib"
    # What the kernel has itself.
    echo '#![feature(compiler_builtins)] #![compiler_builtins] #![no_std] #![allow(internal_features)]' |
        "$RUSTC" - --crate-name compiler_builtins --crate-type rlib --edition 2021 $flags \
            --cap-lints allow --sysroot "$kept" -o "$lib/libcompiler_builtins.rlib"
    echo "$version $flags" >"$kept/made"
fi

own=
test "$padding" = 0 || own=-Zpatchable-function-entry=$padding,$padding
# shellcheck disable=SC2086
"$RUSTC" "$here/lib.rs" --crate-name pppol2tp --crate-type staticlib --edition 2024 $flags $own -Clto=fat \
    --sysroot "$kept" -o "$out.a"
"$LD" -r --whole-archive "$out.a" -o "$out"
"$OBJCOPY" -R .llvmbc -R .llvmcmd -R .comment "$out"
rm "$out.a"
