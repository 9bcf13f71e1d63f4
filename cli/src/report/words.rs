//! The text of an error as this program tells it.

use arawn::{Error, Phase};

/// What the library says to a host, which goes on and lets the library compile meanwhile. This process ends.
const GOES_ON: &str = "; the compilation goes on";

/// The library's text, without what is true of a host alone.
pub fn words(error: &Error) -> String {
    let mut text = error.to_string();
    if is_of_compilation(error)
        && let Some(end) = text.rfind(GOES_ON)
    {
        text.truncate(end);
    }
    text
}

fn is_of_compilation(error: &Error) -> bool {
    match error {
        Error::Step { error, .. } => is_of_compilation(error),
        Error::Timeout { phase, .. } | Error::RegistrationTimeout { phase, .. } => *phase == Phase::Load,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_compilation_goes_on_once_the_program_has_ended() {
        let timeout = |phase| Error::Timeout { phase, timeout_ms: 50, guest: None };
        let short = "the deadline of 50 ms passed before the module was compiled";
        assert_eq!(words(&timeout(Phase::Load)), short);
        let error = Box::new(timeout(Phase::Load));
        let step = Error::Step { step: GOES_ON.to_owned(), index: Some(1), completed: Vec::new(), error };
        assert_eq!(words(&step), format!("step `{GOES_ON}`, item 1: {short}"));
        let registration = Error::RegistrationTimeout { runtime: "a".to_owned(), phase: Phase::Load, timeout_ms: 50 };
        assert_eq!(
            words(&registration),
            "the deadline of 50 ms for registering `a` passed before the module was compiled"
        );
        let run = timeout(Phase::Run);
        assert_eq!(words(&run), run.to_string());
        let guests = Error::Runtime { message: format!("a{GOES_ON}"), stderr: String::new() };
        assert_eq!(words(&guests), guests.to_string());
    }
}
