//! Times and sizes as people read them.

use std::time::Duration;

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

/// `812 bytes`, `12.3 kB`, `4.5 MB`: in units of a thousand, as the library tells sizes.
pub fn size(bytes: u64) -> String {
    let of = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1_000 => count(bytes, "byte", "bytes"),
        1_000..1_000_000 => format!("{} kB", of(1_000)),
        1_000_000..1_000_000_000 => format!("{} MB", of(1_000_000)),
        _ => format!("{} GB", of(1_000_000_000)),
    }
}

/// `just now`, `5 min ago`, `3 h ago`, `12 days ago`.
pub fn age(since: Duration) -> String {
    let minutes = since.as_secs() / 60;
    match minutes {
        0 => "just now".to_owned(),
        1..60 => format!("{minutes} min ago"),
        60..1440 => format!("{} h ago", minutes / 60),
        _ => format!("{} ago", count(minutes / 1440, "day", "days")),
    }
}

/// A time with three digits: `812 ns`, `12.3 µs`, `1.23 ms`, `4.56 s`.
pub fn short_time(nanos: f64) -> String {
    let mut value = nanos;
    for unit in ["ns", "µs", "ms"] {
        // Rounded first: 999.6 ns are 1.00 µs.
        if value < 999.5 {
            return if unit == "ns" { format!("{value:.0} ns") } else { format!("{} {unit}", three_digits(value)) };
        }
        value /= 1000.0;
    }
    format!("{} s", three_digits(value))
}

/// With three digits that say something: `0.00123`, `0.250`, `12.3`, `123`; and `12,345`.
pub fn three_digits(value: f64) -> String {
    if value >= 999.5 {
        return grouped(value.round() as u64);
    }
    // Rounded first: 9.996 is 10.0.
    let rounded = format!("{value:.2e}");
    let exponent = rounded.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok()).unwrap_or(0);
    let places = usize::try_from(2 - exponent).unwrap_or(0);
    format!("{value:.places$}")
}

/// A ratio: with three places around 1, where they tell one from the other, and with three digits elsewhere.
pub fn ratio(value: f64) -> String {
    if (0.1..9.9995).contains(&value) { format!("{value:.3}") } else { three_digits(value) }
}

/// `12,345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 item`, `2 items`, `10,601 items`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
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
    fn a_size_has_the_unit_that_fits() {
        let sizes = [0, 1, 999, 12_345, 999_999, 3_300_000, 1_073_741_824].map(size);
        assert_eq!(sizes, ["0 bytes", "1 byte", "999 bytes", "12.3 kB", "999.9 kB", "3.3 MB", "1.0 GB"]);
    }

    #[test]
    fn an_age_is_told_roughly() {
        let ages = [59, 60, 3599, 3600, 86_399, 86_400, 200_000].map(|seconds| age(Duration::from_secs(seconds)));
        let expected = ["just now", "1 min ago", "59 min ago", "1 h ago", "23 h ago", "1 day ago", "2 days ago"];
        assert_eq!(ages, expected);
    }

    #[test]
    fn a_short_time_has_three_digits() {
        for (nanos, expected) in [
            (0.0, "0 ns"),
            (999.4, "999 ns"),
            (999.6, "1.00 µs"),
            (12_345.0, "12.3 µs"),
            (99_960.0, "100 µs"),
            (1_234_567.0, "1.23 ms"),
            (4_561_000_000.0, "4.56 s"),
            (123_456_000_000.0, "123 s"),
        ] {
            assert_eq!(short_time(nanos), expected, "{nanos}");
        }
    }

    #[test]
    fn no_number_is_rounded_to_nothing() {
        for (value, expected) in [
            (0.0, "0.00"),
            (0.25, "0.250"),
            (0.000_568_2, "0.000568"),
            (0.099_96, "0.100"),
            (9.996, "10.0"),
            (99.94, "99.9"),
            (99.96, "100"),
            (999.6, "1,000"),
            (90_909.1, "90,909"),
        ] {
            assert_eq!(three_digits(value), expected, "{value}");
        }
        let ratios = [0.000_568_2, 0.1, 1.004_6, 9.999_4, 9.999_6, 1_760.4].map(ratio);
        assert_eq!(ratios, ["0.000568", "0.100", "1.005", "9.999", "10.0", "1,760"]);
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn one_is_not_many() {
        let counts = [0, 1, 2, 10_601].map(|number| count(number, "try", "tries"));
        assert_eq!(counts, ["0 tries", "1 try", "2 tries", "10,601 tries"]);
    }
}
