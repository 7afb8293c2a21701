//! Lays the program out: what a server runs lies together, so that the kernel maps little else (docs/performance.md).

use std::env::{var, var_os};

#[allow(clippy::disallowed_methods)] // Cargo tells a build script everything by its environment.
fn main() {
    println!("cargo::rerun-if-changed=packaging/layout.ld");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    // The layout was seen on this platform, whose linker is Rust's own. Not every other takes it.
    let is_usual = is("TARGET", "x86_64-unknown-linux-gnu") && var_os("RUSTC_LINKER").is_none();
    let flags = var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_linked_otherwise = ["linker", "link-arg"].iter().any(|flag| flags.contains(flag));
    if is("PROFILE", "release") && is_usual && !is_linked_otherwise {
        let folder = var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bin=claviger=-Wl,-T,{folder}/packaging/layout.ld");
    }
}
