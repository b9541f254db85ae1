// SPDX-License-Identifier: Apache-2.0
//! The declarations compared with the header and with the library's own table: functions, types, constants, structs.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::path::Path;

use zyntax_async_runtime_sys::*;

/// The header without its comments.
fn header() -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = [here.join("native/include"), here.join("../../../include")];
    let place = places.iter().find(|place| place.is_dir()).expect("the header");
    let text = std::fs::read_to_string(place.join("zyntax_async_runtime.h")).expect("the header");
    let mut code = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find("/*") {
        code.push_str(&rest[..start]);
        let length = rest[start..].find("*/").expect("the end of a comment");
        rest = &rest[start + length + 2..];
    }
    code + rest
}

/// Names and values of the header's enumerators and of its version.
fn header_constants(header: &str) -> BTreeMap<String, i64> {
    let mut found = BTreeMap::new();
    for line in header.lines().map(str::trim) {
        if let Some(error) = line.strip_prefix("X(") {
            let mut words = error.split(',').map(str::trim);
            let name = format!("ZYNTAX_{}", words.next().unwrap());
            found.insert(name, words.next().unwrap().parse().unwrap());
        } else if let Some(version) = line.strip_prefix("#define ZYNTAX_ASYNC_RUNTIME_VERSION ") {
            found.insert("ZYNTAX_ASYNC_RUNTIME_VERSION".into(), version.parse().unwrap());
        } else if !line.starts_with('#') {
            let line = line.strip_prefix("enum {").unwrap_or(line);
            for part in line.trim_end_matches("};").split(',') {
                if let Some((name, value)) = part.split_once('=') {
                    if let Ok(value) = value.trim().parse() {
                        found.insert(name.trim().into(), value);
                    }
                }
            }
        }
    }
    found
}

/// The letter of a member's type and its name, from the header's text.
fn header_member(text: &str) -> (u8, String) {
    let text = text.trim();
    if let Some((_, rest)) = text.split_once("(*") {
        return (b'p', rest[..rest.find(')').unwrap()].into());
    }
    if let Some(bytes) = text.strip_prefix("uint8_t ") {
        return (b'b', bytes.strip_suffix("[16]").expect("the one array").into());
    }
    if let Some(words) = text.strip_prefix("intptr_t ") {
        return (b's', words.strip_suffix("[3]").expect("the other array").into());
    }
    let start = text.rfind(|c: char| !c.is_alphanumeric() && c != '_').unwrap() + 1;
    let (kind, name) = (text[..start].trim(), &text[start..]);
    let letter = match kind {
        _ if kind.ends_with('*') => b'p',
        "FutureState" | "PollFn" => b'p',
        "size_t" => b'z',
        "uint16_t" => b'h',
        "uint32_t" => b'u',
        "uint64_t" => b'q',
        "zyntax_wait" => b'i',
        other => panic!("a type that this test does not know: {other}"),
    };
    (letter, name.into())
}

fn size_of_letter(letter: u8) -> usize {
    match letter {
        b'p' | b'z' => size_of::<usize>(),
        b'b' => 16,
        b's' => 3 * size_of::<usize>(),
        b'h' => 2,
        b'u' | b'i' => 4,
        b'q' | b'l' => 8,
        _ => panic!("no member has the letter {}", letter as char),
    }
}

fn align_of_letter(letter: u8) -> usize {
    match letter {
        b'b' => 1,
        b's' => size_of::<usize>(),
        // 64-bit integers are aligned to less on some 32-bit targets, in C as in Rust.
        b'q' | b'l' => align_of::<u64>(),
        other => size_of_letter(other),
    }
}

/// Every struct of the header that has members: their letters and names.
fn header_structs(header: &str) -> BTreeMap<String, Vec<(u8, String)>> {
    let mut found = BTreeMap::new();
    for part in header.split("typedef struct ").skip(1) {
        let Some(open) = part.find(['{', ';']).filter(|&at| part.as_bytes()[at] == b'{') else { continue };
        let close = part.find('}').unwrap();
        let members = part[open + 1..close].split(';').filter(|member| !member.trim().is_empty());
        found.insert(part[..open].trim().into(), members.map(header_member).collect());
    }
    found
}

#[test]
fn functions_are_those_of_the_library() {
    let mut count = 0;
    // SAFETY: the table is static memory of `count` entries, whose texts are static as well.
    let table = unsafe {
        let first = zyntax_runtime_signatures(&mut count);
        std::slice::from_raw_parts(first, count)
    };
    let text = |pointer| {
        // SAFETY: the table's texts are C strings that live for ever.
        unsafe { CStr::from_ptr(pointer) }.to_str().unwrap().to_owned()
    };
    let theirs: BTreeMap<_, _> = table.iter().map(|f| (text(f.name), (text(f.types), f.address as usize))).collect();
    let mut ours = BTreeMap::new();
    visit_functions(&mut |(name, address, types)| {
        ours.insert(name.to_owned(), (String::from_utf8(types.into()).unwrap(), address as usize));
    });
    assert_eq!(ours, theirs);
    let header = header();
    let declared = header.matches("ZYNTAX_NOEXCEPT;").count();
    assert_eq!(ours.len(), declared);
    assert!(ours.keys().all(|name| header.contains(&format!("{name}("))));
}

#[test]
fn constants_are_those_of_the_header() {
    let ours: BTreeMap<String, i64> = CONSTANTS.iter().map(|&(name, value)| (name.into(), value)).collect();
    assert_eq!(ours, header_constants(&header()));
    // SAFETY: it takes nothing.
    assert_eq!(unsafe { zyntax_runtime_version() }, ZYNTAX_ASYNC_RUNTIME_VERSION);
}

#[test]
fn structs_are_laid_out_as_the_header_says() {
    let structs = header_structs(&header());
    assert_eq!(structs.len(), STRUCTS.len(), "{:?}", structs.keys());
    for (name, size, members) in STRUCTS {
        let mut end = 0;
        let mut align = 1;
        let mut expected = Vec::new();
        for (letter, member) in &structs[*name] {
            let size = size_of_letter(*letter);
            let its_align = align_of_letter(*letter);
            align = align.max(its_align);
            end = usize::next_multiple_of(end, its_align);
            expected.push((member.as_str(), *letter, end));
            end += size;
        }
        assert_eq!(*members, expected, "{name}");
        assert_eq!(*size, end.next_multiple_of(align), "{name}");
    }
}
