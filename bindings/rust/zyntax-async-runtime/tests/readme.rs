// SPDX-License-Identifier: Apache-2.0
//! The Rust code on the repository's pages is that of files which are compiled and run.

use std::path::{Path, PathBuf};

/// The repository, if this is a checkout of it.
fn repository() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let is_checkout = root.join("README.md").is_file();
    if !is_checkout {
        println!("skipped: this is no checkout of the repository");
    }
    is_checkout.then_some(root)
}

/// A page's blocks of Rust by their names. Each has one: a line `<!-- snippet: NAME -->` before it. A dump's is a
/// program of the example compiler, whose test compares it.
fn snippets(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("```rust\n") {
        let last = before.trim_end_matches('\n').lines().last().unwrap_or_default();
        let name = last.strip_prefix("<!-- snippet: ").and_then(|name| name.strip_suffix(" -->"));
        let (code, after) = after.split_once("```\n").expect("the end of a block");
        if !last.starts_with("<!-- dump: ") {
            found.push((name.unwrap_or_else(|| panic!("a block has no name:\n{code}")).into(), code.into()));
        }
        rest = after;
    }
    found
}

#[test]
fn pages_have_the_code_of_files_that_are_compiled() {
    let Some(root) = repository() else { return };
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let documentation = read("bindings/rust/zyntax-async-runtime/src/lib.rs");
    let lines = documentation.lines().filter_map(|line| line.strip_prefix("//!"));
    let documentation: String = lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect();
    let host = read("bindings/rust/zyntax-async-runtime/tests/zyntax_host.rs");
    let vendored = read("tests/package.sh");
    let docs = std::fs::read_dir(root.join("docs")).unwrap();
    let docs = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().into_string().unwrap()));
    let mut pages: Vec<String> = docs.filter(|path| path.ends_with(".md")).collect();
    pages.extend(["README.md", "bindings/rust/README.md", "examples/cranelift/README.md"].map(String::from));
    let mut checked = 0;
    for (name, code) in pages.iter().flat_map(|page| snippets(&read(page))) {
        let is_compiled = match name.as_str() {
            "rust" => documentation.contains(&format!("```\n{code}```\n")),
            "zyntax-host" | "zyntax-host-task" => host.contains(&format!("// snippet: {name}\n{code}// end\n")),
            _ => vendored.contains(&format!("snippet {name} ")),
        };
        assert!(is_compiled, "the pages' {name} is compiled nowhere:\n{code}");
        checked += 1;
    }
    assert!(checked >= 5);
}
