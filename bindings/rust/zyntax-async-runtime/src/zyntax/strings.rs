// SPDX-License-Identifier: Apache-2.0
//! Functions that take and return strings of Zyntax, in both layouts.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_void, CStr, CString};
use std::net::{SocketAddr, ToSocketAddrs};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::symbols::{failing, Symbol, TypeTag};
use crate::sys;

/// The layout of Zyntax's strings: a header, then the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Strings {
    /// 4: the length in bytes. 16: the length in bytes, the length in characters, an unused word, and flags with bit 31
    /// set.
    pub header_size: usize,
    /// Creates a string that compiled code frees. Called in the thread of compiled code.
    pub make: fn(&str) -> *mut c_void,
}

static STRINGS: Mutex<Option<Strings>> = Mutex::new(None);

/// Sets the layout of strings for the whole process. Before this call, functions that take strings return
/// `ZYNTAX_EINVAL`.
///
/// # Panics
/// If `header_size` is neither 4 nor 16.
pub fn set_strings(strings: Strings) {
    assert!(matches!(strings.header_size, 4 | 16), "unknown size of a string header: {}", strings.header_size);
    *lock(&STRINGS) = Some(strings);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A string of Zyntax as a C string; None if it cannot be a name.
///
/// # Safety
/// Null, or a string.
unsafe fn text(string: *const u8) -> Option<CString> {
    let header_size = lock(&STRINGS).as_ref()?.header_size;
    if string.is_null() {
        return None;
    }
    // SAFETY: a header is there, and as many bytes after it as its first word says. A string may be anywhere.
    unsafe {
        let word = |index: usize| string.cast::<u32>().add(index).read_unaligned();
        if header_size == 16 && word(3) >> 31 == 0 {
            return None;
        }
        let length = usize::try_from(word(0)).ok().filter(|length| *length <= 255)?;
        CString::new(std::slice::from_raw_parts(string.add(header_size), length)).ok()
    }
}

/// A promise of a connection, as `zyntax_promise_connect`.
unsafe extern "C" fn zyntax_host_tcp_connect(host: *const u8, port: i64) -> *mut sys::zyntax_promise {
    // SAFETY: the program's word.
    match (unsafe { text(host) }, u16::try_from(port)) {
        // SAFETY: a C string, which is copied.
        (Some(host), Ok(port)) if port != 0 => unsafe { sys::zyntax_promise_connect(host.as_ptr(), port) },
        _ => failing(),
    }
}

/// A listener as a number > 0, or an error. An empty address is every interface.
unsafe extern "C" fn zyntax_host_tcp_listen(address: *const u8, port: i64) -> i64 {
    // SAFETY: the program's word.
    let (Some(address), Ok(port)) = (unsafe { text(address) }, u16::try_from(port)) else {
        return sys::ZYNTAX_EINVAL.into();
    };
    let mut listener = ptr::null_mut();
    // SAFETY: both are callable from anywhere, and the pointers are valid for the call.
    let error = unsafe {
        let runtime = sys::zyntax_current_runtime();
        if runtime.is_null() {
            return sys::ZYNTAX_EPERM.into();
        }
        let address = if address.is_empty() { ptr::null() } else { address.as_ptr() };
        sys::zyntax_tcp_listen(runtime, address, port, &mut listener)
    };
    if error == 0 {
        listener as usize as i64
    } else {
        error.into()
    }
}

/// Found addresses that were not fetched yet, by their numbers.
static FOUND: Mutex<(i64, BTreeMap<i64, String>)> = Mutex::new((0, BTreeMap::new()));
/// The maximum number of them: the addresses of cancelled awaits would stay for ever.
const KEPT: usize = 65_536;

/// Runs in the pool. Returns the number of the address that was found, or an error. Creates no strings of Zyntax.
unsafe extern "C" fn look_up(host: *mut c_void) -> i64 {
    // SAFETY: the library's copy of a C string.
    let host = unsafe { CStr::from_ptr(host.cast::<c_char>()) }.to_str().unwrap_or_default();
    let Some(address) = (host, 0).to_socket_addrs().ok().and_then(|mut addresses| addresses.next()) else {
        return sys::ZYNTAX_ENOENT.into();
    };
    let address = match address {
        SocketAddr::V6(address) if address.scope_id() != 0 => format!("{}%{}", address.ip(), address.scope_id()),
        address => address.ip().to_string(),
    };
    let (last, found) = &mut *lock(&FOUND);
    *last += 1;
    found.insert(*last, address);
    if found.len() > KEPT {
        found.pop_first();
    }
    *last
}

/// A promise of a number > 0 that identifies the first address of a host, or of an error. A job of the blocking pool
/// asks the system.
unsafe extern "C" fn zyntax_host_look_up(host: *const u8) -> *mut sys::zyntax_promise {
    // SAFETY: the program's word.
    match unsafe { text(host) } {
        Some(host) if !host.is_empty() => {
            let bytes = host.as_bytes_with_nul();
            // SAFETY: the bytes are copied.
            unsafe { sys::zyntax_promise_blocking(Some(look_up), bytes.as_ptr().cast_mut().cast(), bytes.len()) }
        }
        _ => failing(),
    }
}

/// The address of such a number as a string, once; empty for an unknown number.
unsafe extern "C" fn zyntax_host_look_up_text(number: i64) -> *mut c_void {
    let address = lock(&FOUND).1.remove(&number).unwrap_or_default();
    let make = lock(&STRINGS).as_ref().map(|strings| strings.make);
    make.map_or(ptr::null_mut(), |make| make(&address))
}

pub(super) fn symbols() -> [Symbol; 4] {
    use TypeTag::{String, I64};
    let symbol = |name, address, result, params| Symbol { name, address, result, params };
    [
        symbol("zyntax_host_look_up", zyntax_host_look_up as *const u8, I64, vec![String]),
        symbol("zyntax_host_look_up_text", zyntax_host_look_up_text as *const u8, String, vec![I64]),
        symbol("zyntax_host_tcp_connect", zyntax_host_tcp_connect as *const u8, I64, vec![String, I64]),
        symbol("zyntax_host_tcp_listen", zyntax_host_tcp_listen as *const u8, I64, vec![String, I64]),
    ]
}
