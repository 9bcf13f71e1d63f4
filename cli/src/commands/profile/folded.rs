//! Folded stacks: a line for each stack, `outer;inner 12`, as flamegraph.pl, inferno, speedscope and others read them.

use super::names::names;
use arawn::Profile;

/// The file, with the lines in their order.
pub fn folded(profile: &Profile) -> String {
    let names: Vec<String> = names(profile).iter().map(|name| word(name)).collect();
    let line = |stack: &arawn::ProfiledStack| {
        let stack_names: Vec<&str> = stack.functions.iter().map(|at| &*names[*at]).collect();
        format!("{} {}\n", stack_names.join(";"), stack.samples)
    };
    let mut lines: Vec<String> = profile.stacks.iter().map(line).collect();
    lines.sort_unstable();
    lines.concat()
}

/// A name that nothing in a line can be mistaken for: no `;`, no end of a line, and no number as its last word, which would
/// be read as another count.
fn word(name: &str) -> String {
    let name: String = name.chars().map(|c| if c == ';' || c.is_control() { '_' } else { c }).collect();
    match name.rsplit_once(' ') {
        Some((before, last)) if !last.is_empty() && last.chars().all(|c| c.is_ascii_digit() || c == '.') => {
            format!("{before}_{last}")
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_can_change_the_lines() {
        for (name, expected) in [
            ("<alloc::vec::Vec<T> as Drop>::drop", "<alloc::vec::Vec<T> as Drop>::drop"),
            ("a;b\nc 3", "a_b_c_3"),
            ("lambda 7", "lambda_7"),
            ("lambda 7.5", "lambda_7.5"),
            ("<wasm function 7>", "<wasm function 7>"),
        ] {
            assert_eq!(word(name), expected);
        }
    }
}
