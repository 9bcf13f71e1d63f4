//! `--dir HOST:GUEST[:rw]`.

use arawn::GrantedDir;

const FORM: &str = "write HOST:GUEST, such as data:/data, or data:/data:rw to let guests write";

/// The host's path may have colons; the guest's may not.
pub fn parse(text: &str) -> Result<GrantedDir, String> {
    let (rest, write) = match text.rsplit_once(':') {
        Some((rest, "rw")) => (rest, true),
        Some((rest, "ro")) => (rest, false),
        _ => (text, false),
    };
    let (host, guest) = rest.rsplit_once(':').ok_or_else(|| format!("the guest's path is missing: {FORM}"))?;
    let is_access = |word: &str| !word.starts_with('/') && host.contains(":/");
    match (host, guest) {
        ("", _) => Err(format!("the host's path is missing: {FORM}")),
        (_, "") => Err(format!("the guest's path is missing: {FORM}")),
        (_, word) if is_access(word) => Err(format!("`{word}` is not known: {FORM}")),
        _ => Ok(GrantedDir { host: host.into(), guest: guest.to_owned(), write, bytes: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_two_paths_and_may_be_written_only_where_that_is_said() {
        for (text, host, guest, write) in [
            ("data:/data", "data", "/data", false),
            ("data:/data:ro", "data", "/data", false),
            ("data:/data:rw", "data", "/data", true),
            ("./a b:/data", "./a b", "/data", false),
            ("/srv/10:30:/data:rw", "/srv/10:30", "/data", true),
            (".:.", ".", ".", false),
        ] {
            let dir = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                (dir.host.to_str(), &*dir.guest, dir.write, dir.bytes),
                (Some(host), guest, write, None),
                "{text}"
            );
        }
    }

    #[test]
    fn another_form_is_answered_with_the_right_one() {
        for (text, what) in [
            ("", "guest's path is missing"),
            ("data", "guest's path is missing"),
            ("data:", "guest's path is missing"),
            ("data:rw", "guest's path is missing"),
            (":/data", "host's path is missing"),
            ("data:/data:wr", "`wr` is not known"),
        ] {
            let answer = parse(text).err().unwrap_or_default();
            assert!(answer.contains(what) && answer.ends_with(FORM), "{text:?}: {answer}");
        }
    }
}
