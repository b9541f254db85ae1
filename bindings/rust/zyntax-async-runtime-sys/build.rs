// SPDX-License-Identifier: Apache-2.0
//! Compiles the runtime: from `native/` where that has the sources (in a package, and where symbolic links are), else
//! from the repository that this crate stands in (a checkout on Windows without symbolic links).

use std::env;
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 3] = ["runtime", "runtime/parts", "platform"];

fn sources() -> PathBuf {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let native = here.join("native");
    if FOLDERS.iter().all(|folder| native.join(folder).is_dir()) {
        return native;
    }
    here.join("../../..")
}

fn add_sources(build: &mut cc::Build, folder: &Path) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    build.files(files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "cpp")));
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let system = env::var("CARGO_CFG_TARGET_OS").expect("cargo sets it");
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") && system == "unknown" {
        return;
    }
    let root = sources();
    let include = root.join("include");
    println!("cargo:rerun-if-changed={}", include.display());
    println!("cargo:include={}", include.display());

    let mut build = cc::Build::new();
    // No part of the C++ library is linked, as the sources use none.
    build.cpp(true).std("c++20").cpp_link_stdlib(None).include(&include);
    let msvc = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|name| name == "msvc");
    let flags: &[&str] = if msvc {
        &["/EHs-c-", "/GR-", "/Zc:threadSafeInit-", "/permissive-"]
    } else {
        &["-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-fvisibility=hidden"]
    };
    for flag in flags {
        build.flag_if_supported(flag);
    }
    // In a debug build the library aborts with a message when it is called from the wrong thread.
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        build.define("NDEBUG", None);
    }
    for folder in FOLDERS {
        let folder = root.join(folder);
        println!("cargo:rerun-if-changed={}", folder.display());
        add_sources(&mut build, &folder);
    }
    build.compile("zyntax_async_runtime");
    if system == "windows" {
        println!("cargo:rustc-link-lib=ws2_32");
        println!("cargo:rustc-link-lib=ntdll");
    }
}
