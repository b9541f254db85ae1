// SPDX-License-Identifier: Apache-2.0
//! Builds the runtime into this program, as the recipe of docs/build.md does.

fn main() {
    let root = "../..";
    let mut build = cc::Build::new();
    build.cpp(true).std("c++20").cpp_link_stdlib(None).include(format!("{root}/include"));
    build.flag("-fno-exceptions").flag("-fno-rtti").opt_level(2).define("NDEBUG", None);
    println!("cargo:rerun-if-changed={root}/include");
    for folder in ["runtime", "runtime/parts", "platform"] {
        println!("cargo:rerun-if-changed={root}/{folder}");
        for entry in std::fs::read_dir(format!("{root}/{folder}")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "cpp") {
                build.file(path);
            }
        }
    }
    build.compile("zyntax_async_runtime");
    if std::env::var("CARGO_CFG_WINDOWS").is_ok() {
        println!("cargo:rustc-link-lib=ws2_32");
        println!("cargo:rustc-link-lib=ntdll");
    }
}
