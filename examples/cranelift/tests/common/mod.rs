// SPDX-License-Identifier: Apache-2.0
//! Runs the compiler on a text or a sample.
#![allow(dead_code)] // no test uses everything

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub fn compiler() -> Command {
    Command::new(env!("CARGO_BIN_EXE_zyntax-cranelift"))
}

/// Runs a file; a signal is code -1.
pub fn run_file(folder: &Path, file: &str, options: &[&str]) -> Ran {
    let mut command = compiler();
    let Output { status, stdout, stderr } =
        command.current_dir(folder).args(options).arg(file).stdin(Stdio::null()).output().expect("the compiler runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
}

/// Runs a text as `NAME.zy`.
pub fn run_text(name: &str, text: &str, options: &[&str]) -> Ran {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = format!("{name}.zy");
    std::fs::write(folder.join(&file), text).expect("a file");
    run_file(&folder, &file, options)
}

pub fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

/// `zyntax`, and the other backends that are built.
pub fn backends() -> Vec<&'static str> {
    let others = [("tokio", "zyntax_tokio"), ("async-std", "zyntax_async_std")];
    let built = others.into_iter().filter(|(_, library)| is_built(library)).map(|(backend, _)| backend);
    std::iter::once("zyntax").chain(built).collect()
}

pub fn is_built(library: &str) -> bool {
    let file = format!("{}{library}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    Path::new(compiler().get_program()).with_file_name(file).exists()
}
