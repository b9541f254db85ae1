// SPDX-License-Identifier: Apache-2.0
//! Every sample gives its output, drops everything, and does so also when it is ended after any number of polls.

mod common;

use common::{run_file, samples};

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
    assert_eq!(names.len(), 8);
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
