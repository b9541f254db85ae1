// SPDX-License-Identifier: Apache-2.0
//! Every sample gives its output, drops everything, and does so also when it is ended after any number of polls.

mod common;

use common::{is_built, run_file, samples};

fn names() -> Vec<String> {
    let files = std::fs::read_dir(samples()).expect("the samples");
    let names = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".zy")?.to_string())).collect();
    names.sort();
    names
}

#[test]
fn outputs() {
    let names = names();
    assert_eq!(names.len(), 9);
    for name in names {
        let expected = std::fs::read_to_string(samples().join(name.clone() + ".out")).expect("an output");
        let file = name + ".zy";
        let plain = run_file(&samples(), &file, &[]);
        assert_eq!((plain.code, plain.out.as_str(), plain.err.as_str()), (0, expected.as_str(), ""), "{file}");
        let checked = run_file(&samples(), &file, &["--check-leaks"]);
        assert_eq!((checked.code, checked.out.as_str()), (0, expected.as_str()), "{file}: {}", checked.err);
    }
}

#[test]
fn dropped_after_any_number_of_polls() {
    for name in names() {
        let file = name + ".zy";
        for polls in (0..40).chain((40..400).step_by(23)) {
            let ran = run_file(&samples(), &file, &["--check-leaks", "--polls", &polls.to_string()]);
            assert_eq!(ran.code, 0, "{file}, {polls} polls: {}", ran.err);
        }
    }
}

#[test]
fn dumps() {
    for (option, golden) in [("--dump-state", "readme.state"), ("--dump-clif", "readme.clif")] {
        let expected = std::fs::read_to_string(samples().join(golden)).expect("a golden file");
        assert_eq!(run_file(&samples(), "readme.zy", &[option]).out, expected, "{golden}");
    }
}

/// The walk through the compiler in the README shows the golden files' text.
#[test]
fn readme() {
    let readme = samples().join("../README.md");
    let text = std::fs::read_to_string(readme).expect("the README");
    let mut dumps = 0;
    for after_mark in text.split("<!-- dump: ").skip(1) {
        let (golden, rest) = after_mark.split_once(" -->\n```").expect("a fenced block");
        let shown = rest.split_once('\n').expect("a language").1.split_once("```").expect("an end").0;
        let expected = std::fs::read_to_string(samples().join(golden)).expect("a golden file");
        assert!(!shown.trim().is_empty() && expected.contains(shown), "README shows of {golden}:\n{shown}");
        dumps += 1;
    }
    assert_eq!(dumps, 9);
}

/// Where another backend is built, every sample without sockets runs on it just the same.
#[test]
fn backends() {
    for (backend, library) in [("tokio", "zyntax_tokio"), ("async-std", "zyntax_async_std")] {
        if !is_built(library) {
            let ran = run_file(&samples(), "readme.zy", &["--backend", backend]);
            assert_eq!((ran.code, ran.out.as_str()), (1, ""));
            assert!(
                ran.err.ends_with("build it with `cargo build --release --workspace` in examples/\n"),
                "{}",
                ran.err
            );
            continue;
        }
        for name in ["readme", "closure", "race", "pipeline", "channel", "tasks", "scope"] {
            let expected = std::fs::read_to_string(samples().join(format!("{name}.out"))).expect("an output");
            let ran = run_file(&samples(), &format!("{name}.zy"), &["--backend", backend]);
            assert_eq!((ran.code, ran.out, ran.err.as_str()), (0, expected, ""), "{name} on {backend}");
        }
        let ran = run_file(&samples(), "echo.zy", &["--backend", backend]);
        assert_eq!((ran.code, ran.err.as_str()), (1, "echo.zy:4: `read_byte` needs --backend zyntax\n"));
    }
}
