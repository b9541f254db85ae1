// SPDX-License-Identifier: Apache-2.0
//! Compiles the runtime from `native/` if that has the sources (in a package, and where symbolic links work), else from
//! the repository around this crate (a checkout on Windows without symbolic links).

use std::env;
use std::path::{Path, PathBuf};

/// Prefixes of flags that a distribution or a user sets for all C++ code, and that do not work for these sources: they
/// are compiled as C++20 without the C++ library, into objects that rustc links directly.
const REFUSED: &[&str] = &[
    // The language, and features of it that need a run-time library.
    "-std= --std= -ansi -fexceptions -fnon-call-exceptions -frtti -fthreadsafe-statics -fno-implicit-templates",
    "-fno-implicit-inline-templates -fkeep-inline-functions -D_GLIBCXX_ASSERTIONS -D_GLIBCXX_DEBUG",
    "-D_GLIBCXX_CONCEPT_CHECKS -D_GLIBCXX_PARALLEL -D_LIBCPP_DEBUG -D_LIBCPP_ENABLE_ASSERTIONS",
    "-D_LIBCPP_HARDENING_MODE",
    // Objects that only their own compiler can link.
    "-flto -ffat-lto-objects -fno-fat-lto-objects -fwhole-program -fsplit-lto-unit -fvirtual-function-elimination",
    "-fuse-linker-plugin -fembed-bitcode -emit-llvm",
    // Instrumentation with a library of its own. A sanitizer stays where rustc uses it, too.
    "-fsanitize -fprofile -fcs-profile -ftest-coverage -fcoverage --coverage -coverage -pg -finstrument-functions",
    "-fxray -fsplit-stack",
    // Flags that change the interface behind the declarations in Rust, and flags that rustc decides.
    "-fshort-enums -fpack-struct -fvisibility -fpie -fPIE -fno-pie -fno-PIE -fno-pic -fno-PIC",
    // Warnings of an untested compiler must not stop the build.
    "-Werror -pedantic-errors --pedantic-errors",
];

/// The same for Microsoft's compiler, after a slash or a hyphen.
const REFUSED_MSVC: &str = "std: EH GR Zc:threadSafeInit GL Zp WX";

fn is_msvc() -> bool {
    env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|name| name == "msvc")
}

fn is_refused(flag: &str) -> bool {
    if let Some(list) = flag.strip_prefix("-fsanitize=") {
        let rustc_has = env::var("CARGO_CFG_SANITIZE").unwrap_or_default();
        return !list.split(',').all(|name| rustc_has.split(',').any(|other| other == name));
    }
    let option = flag.strip_prefix(['-', '/']).filter(|_| is_msvc()).unwrap_or_default();
    REFUSED.iter().flat_map(|line| line.split(' ')).any(|refused| flag.starts_with(refused))
        || REFUSED_MSVC.split(' ').any(|refused| option.starts_with(refused))
}

/// The flags without the refused ones.
fn accepted(flags: &[&str]) -> String {
    let mut kept: Vec<String> = Vec::new();
    for word in flags {
        let flag = word.trim_matches(['"', '\'']);
        let before = kept.last().map_or("", String::as_str);
        if before == "-D" && is_refused(&format!("-D{flag}")) || before == "-Xclang" && is_refused(flag) {
            kept.pop();
        } else if let Some(list) = flag.strip_prefix("-Wp,") {
            let list: Vec<&str> = list.split(',').filter(|flag| !is_refused(flag)).collect();
            if !list.is_empty() {
                kept.push(format!("-Wp,{}", list.join(",")));
            }
        } else if !is_refused(flag) {
            kept.push((*word).into());
        }
    }
    kept.join(" ")
}

/// Removes refused flags from CXX, CXXFLAGS and their forms for a host or target, which `cc` reads.
fn clean_environment() {
    for (name, value) in env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        let words: Vec<&str> = value.split_ascii_whitespace().collect();
        let kept = accepted(&words);
        if name.contains("CXX") && kept != words.join(" ") {
            env::set_var(name, kept);
        }
    }
}

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

    clean_environment();
    let mut build = cc::Build::new();
    // No part of the C++ library is linked, as the sources use none.
    build.cpp(true).std("c++20").cpp_link_stdlib(None).include(&include);
    // A dev profile asks for no optimisation, which is meant for the crate's user and not for these sources.
    if env::var("OPT_LEVEL").is_ok_and(|level| level == "0") {
        build.opt_level(2);
    }
    let msvc = is_msvc();
    let flags: &[&str] = if msvc {
        &["/EHs-c-", "/GR-", "/Zc:threadSafeInit-", "/permissive-"]
    } else {
        &["-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-fno-short-enums", "-fvisibility=hidden"]
    };
    for flag in flags {
        build.flag_if_supported(flag);
    }
    if !msvc {
        build.flag("-U_GLIBCXX_ASSERTIONS"); // some distributions' compilers define it
                                             // And some of them write bitcode, which only rustc's own linker plugin is
                                             // meant for.
        if !env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("linker-plugin-lto")) {
            build.flag_if_supported("-fno-lto");
        }
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
