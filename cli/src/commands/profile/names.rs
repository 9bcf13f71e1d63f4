//! What functions are called in tables and pictures.

use arawn::{Profile, ProfiledFunction};

/// The name of each function of a profile, with its module's in front where there is more than one module.
pub fn names(profile: &Profile) -> Vec<String> {
    let mut modules = profile.functions.iter().filter_map(|function| function.module.as_deref());
    let first = modules.next();
    let has_more = modules.any(|module| Some(module) != first);
    profile.functions.iter().map(|function| name(function, has_more)).collect()
}

/// The place of a function's line, short: of a path on the machine that has compiled it, the end is enough for a person.
pub fn place(function: &ProfiledFunction) -> Option<String> {
    const MOST_PARTS: usize = 2;
    let location = function.location.as_deref()?;
    let parts: Vec<&str> = location.split(['/', '\\']).collect();
    let is_absolute = parts[0].is_empty() || parts[0].ends_with(':');
    match parts.len().checked_sub(MOST_PARTS) {
        Some(cut) if is_absolute && cut > 1 => Some(format!("…/{}", parts[cut..].join("/"))),
        _ => Some(location.to_owned()),
    }
}

fn name(function: &ProfiledFunction, has_modules: bool) -> String {
    let name = if function.name.is_empty() { "<no name>" } else { &function.name };
    match &function.module {
        Some(module) if has_modules => format!("{module}!{name}"),
        _ => name.to_owned(),
    }
}
