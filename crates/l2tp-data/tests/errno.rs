//! Every error says what it means and what to do.

use std::collections::HashSet;

use l2tp_data::rules::{Errno, SocketOption};

#[test]
fn numbers_and_symbols_are_all_different() {
    let numbers: HashSet<i32> = Errno::ALL.iter().map(|&errno| errno as i32).collect();
    let names: HashSet<&str> = Errno::ALL.iter().map(|errno| errno.name()).collect();
    assert_eq!((numbers.len(), names.len()), (Errno::ALL.len(), Errno::ALL.len()));
}

#[test]
fn explanations_have_a_reason_and_an_advice() {
    for errno in Errno::ALL {
        let (reason, advice) = errno.explanation().split_once(": ").unwrap_or_else(|| panic!("{errno}"));
        assert!(reason.contains(' ') && advice.contains(' '), "{errno}");
        assert!(!errno.explanation().contains("  ") && !errno.explanation().ends_with('.'), "{errno}");
    }
}

#[test]
fn options_are_found_by_their_numbers() {
    for option in SocketOption::ALL {
        assert_eq!(SocketOption::from_raw(option as i32), Some(option));
    }
    assert_eq!([0, 6, -1, i32::MAX].map(SocketOption::from_raw), [None; 4]);
}
