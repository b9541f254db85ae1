// SPDX-License-Identifier: Apache-2.0
//! For a host of Zyntax that embeds this runtime (feature `zyntax-host`). It does not depend on Zyntax's crates:
//!
//! - [`register_with_zyntax!`](crate::register_with_zyntax) registers every function of this library with a Zyntax
//!   runtime, and aliases for them. The macro expands in the host's crate, which has Zyntax's types.
//! - [`Executor`] runs promises of compiled code, with hooks around each poll.
//! - [`Steps`] is Zyntax's `HostTask` for an executor.
//!
//! **Types.** Every parameter and result is a signed 64-bit number or a string of Zyntax. In an await, Zyntax loses the
//! sign of a 32-bit result, reads a pointer-sized number as 32 bits, and boxes a pointer. So compiled code calls the
//! functions of [`symbols`], which convert. A number that does not fit the C parameter gives `ZYNTAX_EINVAL`, or a
//! promise that fails with it, or 0 for a pointer. A negative number for a `uint64_t` counts as 0.
//!
//! **Strings.** Compiled code has no C strings. `zyntax_host_tcp_connect`, `zyntax_host_tcp_listen` and
//! `zyntax_host_look_up` take strings of Zyntax, in the layout of [`Strings`].

mod executor;
mod steps;
mod strings;
mod symbols;

pub use executor::{Executor, Free, Promise, Task};
pub use steps::{Step, Steps};
pub use strings::{set_strings, Strings};
pub use symbols::{addresses, symbols, Signature, Symbol, TypeTag, ALIASES};

/// Registers every function of [`symbols`](crate::zyntax::symbols) and every alias of
/// [`ALIASES`](crate::zyntax::ALIASES) with a Zyntax runtime, and sets the layout of its strings in this crate.
///
/// Arguments: the name of the crate `zyntax_embed`, the runtime, and, only for a `TieredRuntime`, the map of aliases
/// `runtime.builtin_aliases_mut()`. Call `finalize_runtime_symbols` afterwards.
///
/// It uses `ZyntaxString`, `ZrtlSymbolSig`, `ZrtlSigFlags` and `TypeTag` of that crate, and the methods
/// `register_function_typed` and `config_mut` of the runtime, as they are in Zyntax's commits a4eb636 (August 2026) and
/// 4c8ddc9 (strings with a header of 16 bytes).
#[macro_export]
macro_rules! register_with_zyntax {
    ($zyntax:ident, $runtime:expr) => {
        $crate::register_with_zyntax!($zyntax, $runtime, $runtime.config_mut().builtins)
    };
    ($zyntax:ident, $runtime:expr, $words:expr) => {{
        $crate::zyntax::set_strings($crate::zyntax::Strings {
            header_size: $zyntax::ZyntaxString::HEADER_SIZE,
            make: |text| $zyntax::ZyntaxString::from_str(text).into_raw().cast(),
        });
        for symbol in $crate::zyntax::symbols() {
            let signature = symbol.signature();
            let signature = $zyntax::ZrtlSymbolSig {
                param_count: signature.param_count,
                flags: $zyntax::ZrtlSigFlags(signature.flags),
                return_type: $zyntax::TypeTag(signature.return_type),
                params: signature.params.map($zyntax::TypeTag),
            };
            $runtime.register_function_typed(symbol.name, symbol.address, signature);
        }
        for (word, function) in $crate::zyntax::ALIASES {
            $words.insert(word.to_string(), function.to_string());
        }
    }};
}
