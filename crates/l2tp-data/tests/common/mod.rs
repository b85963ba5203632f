//! What the tests share.
#![allow(unused_imports)]

mod form;
mod path;

pub(crate) use form::Form;
pub(crate) use path::Path;

/// Writes one `#[test]` per row, which calls `run` with the row.
#[macro_export]
macro_rules! rows {
    ($run:ident: $($name:ident => ($($argument:expr),* $(,)?);)*) => {
        $(#[test] fn $name() { $run($($argument),*); })*
    };
}
