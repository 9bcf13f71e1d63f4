//! Names that a person may have meant.

use std::fs;
use std::path::{Path, PathBuf};

/// The least likeness that counts.
const FAR: f64 = 0.7;

/// The known name that is most like `name`.
pub fn nearest<T: AsRef<str>>(name: &str, known: impl Iterator<Item = T>) -> Option<T> {
    let likenesses = known.map(|other| (strsim::jaro_winkler(name, other.as_ref()), other));
    likenesses.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness > FAR).map(|(_, near)| near)
}

/// What to say behind a name that is none of the known ones: the one that may be meant, and all. `plural` is what they are.
pub fn known_ones<T: AsRef<str>>(name: &str, plural: &str, known: &[T]) -> String {
    let all = known.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match nearest(name, known.iter()) {
        Some(near) => format!(": did you mean `{}`? The {plural} are {all}", near.as_ref()),
        None => format!("; the {plural} are {all}"),
    }
}

/// The path of a file or a directory beside where `path` should be, whose name is most like it.
pub fn nearest_path(path: &Path) -> Option<PathBuf> {
    /// Of a larger directory only a part is looked at.
    const MOST: usize = 10_000;
    let name = path.file_name()?.to_str()?;
    let parent = path.parent()?;
    let directory = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let entries = fs::read_dir(directory).ok()?.flatten().take(MOST);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    nearest(name, names.filter(|near| near != name)).map(|near| parent.join(near))
}

/// `: did you mean …?`, or nothing.
pub fn did_you_mean(path: &Path) -> String {
    nearest_path(path).map_or(String::new(), |near| format!("; did you mean `{}`?", near.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        let known = ["passthrough", "transform", "file_read"];
        assert_eq!(nearest("transfrom", known.iter()), Some(&"transform"));
        assert_eq!(nearest("zzz", known.iter()), None);
        let told = |name| known_ones(name, "runtimes", &known);
        let all = "passthrough, transform, file_read";
        assert_eq!(told("transfrom"), format!(": did you mean `transform`? The runtimes are {all}"));
        assert_eq!(told("zzz"), format!("; the runtimes are {all}"));
        assert_eq!(nearest("a", [""; 0].iter()), None);
    }

    #[test]
    fn the_nearest_file_is_in_the_same_directory() {
        let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        assert!(fs::write(directory.path().join("orders.json"), "").is_ok());
        let near = nearest_path(&directory.path().join("order.json"));
        assert_eq!(near, Some(directory.path().join("orders.json")));
        assert_eq!(nearest_path(&directory.path().join("zzz")), None);
        assert_eq!(nearest_path(&directory.path().join("no/such/order.json")), None);
        assert_eq!(nearest_path(Path::new("/")), None);
    }
}
