//! The functions with the most samples, as text.

use super::Sampled;
use super::names::{names, place};
use crate::table::Table;
use crate::units::{count, duration, grouped};

/// The table of at most `top` functions.
pub fn table(sampled: &Sampled, top: usize) -> String {
    let Sampled { profile, calls, took, .. } = sampled;
    let took = duration(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    let (samples, calls) = (count(profile.samples, "sample", "samples"), count(*calls, "call", "calls"));
    let mut text = format!("{samples} of {calls} in {took}\n");
    if profile.samples == 0 {
        return text
            + "The guest runs too short to be sampled: more --seconds, or more work in its input, give samples.\n";
    }
    if profile.left_out > 0 {
        let are = if profile.left_out == 1 { "was" } else { "were" };
        text += &format!("{} of further stacks {are} left out\n", count(profile.left_out, "sample", "samples"));
    }
    let mut table = Table::new(["SELF", "SAMPLES", "TOTAL", "FUNCTION", "LINE"], &[0, 1, 2]);
    let percent = |part: u64| format!("{:.1} %", 100.0 * part as f64 / profile.samples as f64);
    for (function, name) in profile.functions.iter().zip(names(profile)).take(top) {
        let [own, total] = [function.self_samples, function.total_samples].map(percent);
        let line = place(function).unwrap_or_default();
        table.row([&own, &grouped(function.self_samples), &total, &name, &line]);
    }
    text = text + "\n" + &table.text();
    match profile.functions.len() {
        all if all > top => text + &format!("and {} more: --top {all} shows them\n", grouped((all - top) as u64)),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arawn::Profile;
    use std::time::Duration;

    #[test]
    fn one_sample_is_one_and_thousands_are_grouped() {
        for (samples, calls, head) in
            [(1, 1, "1 sample of 1 call in 1.00 s\n"), (1_885, 10_601, "1,885 samples of 10,601 calls in 1.00 s\n")]
        {
            let mut profile = Profile::default();
            profile.samples = samples;
            let sampled = Sampled {
                runtime: "greet".to_owned(),
                profile,
                calls,
                took: Duration::from_secs(1),
                error: None,
                is_interrupted: false,
            };
            assert!(table(&sampled, 1).starts_with(head));
        }
    }
}
