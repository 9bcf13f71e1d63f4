//! The numbers that an axis names.

/// Numbers from `low` to `high` that are 1, 2 or 5 times a power of ten apart, at most `most` of them, and how many digits
/// behind the point they need.
pub fn ticks(low: f64, high: f64, most: usize) -> (Vec<f64>, usize) {
    let span = high - low;
    if !(span.is_finite() && span > 0.0) || most < 2 {
        return (vec![low], 0);
    }
    let rough = span / (most - 1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough * 0.999_999);
    let step = step.unwrap_or(10.0 * power);
    let first = (low / step - 1e-6).ceil();
    let count = ((high / step + 1e-6).floor() - first).max(0.0) as usize;
    let digits = (-step.log10() - 1e-9).ceil().max(0.0) as usize;
    ((0..=count.min(most)).map(|tick| (first + tick as f64) * step).collect(), digits)
}

/// Numbers from `low` to `high`, both above 0, for a logarithmic axis: 1, 2 and 5 times each power of ten.
pub fn logarithmic_ticks(low: f64, high: f64) -> Vec<f64> {
    let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let numbers = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(power)));
    numbers.filter(|number| (low * 0.999_999..=high * 1.000_001).contains(number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithmic_axis_has_three_numbers_for_each_power() {
        assert_eq!(logarithmic_ticks(11.0, 155.0), [20.0, 50.0, 100.0]);
        assert_eq!(logarithmic_ticks(0.5, 1.0), [0.5, 1.0]);
    }

    #[test]
    fn an_axis_has_a_few_round_numbers() {
        for (low, high, step, digits) in [
            (0.0, 10.0, 2.0, 0),
            (0.0, 7.0, 2.0, 0),
            (11.3, 14.9, 1.0, 0),
            (3.0, 3.42, 0.1, 1),
            (0.0, 0.045, 0.01, 2),
            (0.0, 12_345.0, 5000.0, 0),
        ] {
            let (ticks, found) = ticks(low, high, 6);
            assert!((2..=6).contains(&ticks.len()), "{low} to {high}: {ticks:?}");
            assert!(ticks.iter().all(|tick| (low - 1e-9..=high + 1e-9).contains(tick)), "{low} to {high}: {ticks:?}");
            assert!(((ticks[1] - ticks[0]) - step).abs() < 1e-9 && found == digits, "{low} to {high}: {ticks:?}");
        }
        assert_eq!(ticks(5.0, 5.0, 6), (vec![5.0], 0));
    }
}
