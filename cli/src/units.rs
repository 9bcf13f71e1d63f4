//! Times as people read them.

/// `812 µs`, `12.3 ms`, `4.56 s`, `3 min 20 s`.
pub fn duration(us: u64) -> String {
    // Rounded first: 999,999 µs are 1.00 s, not 1000.0 ms.
    let (tenths_of_ms, hundredths_of_s) = (us.saturating_add(50) / 100, us.saturating_add(5_000) / 10_000);
    if us < 1_000 {
        format!("{us} µs")
    } else if tenths_of_ms < 10_000 {
        format!("{}.{} ms", tenths_of_ms / 10, tenths_of_ms % 10)
    } else if hundredths_of_s < 6_000 {
        format!("{}.{:02} s", hundredths_of_s / 100, hundredths_of_s % 100)
    } else {
        let seconds = us.saturating_add(500_000) / 1_000_000;
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

/// `1 item`, `2 items`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_the_unit_that_fits() {
        for (us, expected) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.0 ms"),
            (12_345, "12.3 ms"),
            (999_949, "999.9 ms"),
            (999_950, "1.00 s"),
            (4_561_000, "4.56 s"),
            (59_996_000, "1 min 0 s"),
            (200_400_000, "3 min 20 s"),
        ] {
            assert_eq!(duration(us), expected, "{us}");
        }
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!([0, 1, 2].map(|number| count(number, "try", "tries")), ["0 tries", "1 try", "2 tries"]);
    }
}
