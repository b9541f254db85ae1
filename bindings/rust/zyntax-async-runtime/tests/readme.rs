// SPDX-License-Identifier: Apache-2.0
//! The code of the repository's README is that of the crate's documentation, which is compiled and run.

use std::path::Path;

#[test]
fn the_readme_has_the_documentations_code() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(readme) = std::fs::read_to_string(here.join("../../../README.md")) else {
        println!("skipped: this is no checkout of the repository");
        return;
    };
    let documentation = std::fs::read_to_string(here.join("src/lib.rs")).unwrap();
    let lines = documentation.lines().filter_map(|line| line.strip_prefix("//!"));
    let documentation: String = lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect();
    let (_, rest) = readme.split_once("<!-- snippet: rust -->\n```rust\n").expect("the README's snippet");
    let (code, _) = rest.split_once("```\n").expect("its end");
    assert!(documentation.contains(&format!("```\n{code}```\n")), "{documentation}");
}
