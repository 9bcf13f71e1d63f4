//! What the answers of a program's calls must be, as far as that is easily told.

use super::guest::{FUNCTIONS, Kind};
use super::outside::GRANTS;
use super::program::{CREATE, Program, Step, TRUNCATE, WRITE};
use std::collections::BTreeMap;
use std::path::Path;

/// What a call has answered.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub errno: u32,
    pub result: u32,
}

/// The first descriptor of a grant.
const FIRST: u32 = 3;
/// The last errno of preview 1.
const LAST: u32 = 76;

#[derive(Clone, Copy, PartialEq)]
enum Open {
    Stream,
    /// A granted directory.
    Granted(usize),
    /// Something in it.
    Within(usize),
}

impl Open {
    fn grant(self) -> Option<usize> {
        match self {
            Open::Stream => None,
            Open::Granted(grant) | Open::Within(grant) => Some(grant),
        }
    }

    fn is_read_only(self) -> bool {
        self.grant().is_some_and(|grant| !GRANTS[grant].write)
    }
}

struct Model {
    open: BTreeMap<u32, Open>,
    /// What is known of names right in granted directories: whether they are there.
    names: BTreeMap<(usize, String), bool>,
}

/// Checks the answers of the steps that were taken, and what they leave under `root`.
pub fn check(program: &Program, answers: &[Answer], root: &Path) {
    let granted = (FIRST..).zip((0..GRANTS.len()).map(Open::Granted));
    let open = (0..FIRST).map(|fd| (fd, Open::Stream)).chain(granted).collect();
    let mut model = Model { open, names: BTreeMap::new() };
    for (index, (step, answer)) in program.steps.iter().zip(answers).enumerate() {
        assert!(answer.errno <= LAST, "errno {} of {}", answer.errno, step.name());
        if answer.errno == 0 {
            model.succeeded(step, &values(step, answers), answer.result, index);
        }
    }
    for ((grant, name), is_there) in model.names {
        let path = Path::new(GRANTS[grant].path).join(name);
        assert_eq!(root.join(&path).symlink_metadata().is_ok(), is_there, "{}", path.display());
    }
}

/// The arguments as they were.
fn values(step: &Step, answers: &[Answer]) -> Vec<u64> {
    let result = |step: usize| answers[step - 1].result;
    let value = |argument: &super::program::Argument| match argument.step {
        0 => argument.value,
        step if result(step.into()) == u32::MAX => argument.value,
        step => result(step.into()).into(),
    };
    step.arguments.iter().map(value).collect()
}

impl Model {
    fn succeeded(&mut self, step: &Step, values: &[u64], result: u32, index: usize) {
        let name = step.name();
        let is_writing = matches!(name, "fd_write" | "fd_pwrite");
        let is_transfer = is_writing || matches!(name, "fd_read" | "fd_pread");
        let what = || format!("step {index}, {name}{values:?}, answered {result}");
        if is_transfer || matches!(name, "fd_readdir" | "path_readlink" | "poll_oneoff") {
            assert!(u64::from(result) <= step.room, "{}: more than {}", what(), step.room);
        }
        let is_without_bytes = is_transfer && result == 0;
        let mut descriptors = Vec::new();
        for fd in descriptors_of(step, values) {
            match self.open.get(&fd) {
                Some(open) => descriptors.push((fd, *open)),
                // Some look at nothing where there is nothing to do.
                None => assert!(is_without_bytes, "{}: nothing is open there", what()),
            }
        }
        let is_read_only = descriptors.iter().any(|(_, open)| open.is_read_only());
        let changes = match name {
            "path_open" => values[4] & (CREATE | TRUNCATE) != 0 || values[5] & WRITE != 0,
            "fd_write" | "fd_pwrite" => result > 0,
            "fd_filestat_set_size" | "fd_filestat_set_times" | "fd_allocate" => true,
            "path_filestat_set_times" | "path_create_directory" | "path_link" | "path_remove_directory" => true,
            "path_rename" | "path_symlink" | "path_unlink_file" => true,
            _ => false,
        };
        assert!(!(changes && is_read_only), "{}, in a directory that is only read", what());
        if let ("path_rename" | "path_link", [(_, one), (_, other)]) = (name, &descriptors[..]) {
            let quota = |open: &Open| open.grant().filter(|grant| GRANTS[*grant].bytes.is_some());
            assert_eq!(quota(one), quota(other), "{}, out of what is counted", what());
        }
        match (name, &descriptors[..]) {
            ("path_open", [(_, directory)]) => {
                let opened = Open::Within(directory.grant().unwrap_or_else(|| panic!("{}", what())));
                assert_eq!(self.open.insert(result, opened).map(|_| ()), None, "{}, which is open already", what());
            }
            ("fd_close", [(fd, _)]) => drop(self.open.remove(fd)),
            ("fd_renumber", [(from, _), (to, _)]) if from != to => {
                let moved = self.open.remove(from).unwrap();
                self.open.insert(*to, moved);
            }
            ("fd_prestat_get", [(_, open)]) => assert!(matches!(open, Open::Granted(_)), "{}", what()),
            _ => {}
        }
        let directories: Vec<Open> = descriptors.iter().map(|(_, open)| *open).collect();
        self.note_names(name, values, &step.paths, &directories);
    }

    fn note_names(&mut self, function: &str, values: &[u64], paths: &[String], directories: &[Open]) {
        match function {
            "path_open" if values[4] & CREATE != 0 => self.note(directories[0], &paths[0], Some(true)),
            "path_create_directory" => self.note(directories[0], &paths[0], Some(true)),
            "path_symlink" => self.note(directories[0], &paths[1], Some(true)),
            "path_link" => self.note(directories[1], &paths[1], Some(true)),
            "path_unlink_file" | "path_remove_directory" => self.note(directories[0], &paths[0], Some(false)),
            "path_rename" => {
                // Two names of one file both stay.
                self.note(directories[0], &paths[0], None);
                self.note(directories[1], &paths[1], Some(true));
            }
            _ => {}
        }
    }

    /// Notes whether a name is there now, if that is known. A path that is more than a name may be that of any, and where
    /// something is made, a name may be a link to any.
    fn note(&mut self, directory: Open, path: &str, is_there: Option<bool>) {
        let is_name = !path.is_empty() && !path.contains(['/', '\0']) && path != "." && path != "..";
        let key = match directory {
            Open::Granted(grant) if is_name => Some((grant, path.to_owned())),
            _ => None,
        };
        match (&key, is_there) {
            (_, Some(true)) => self.names.retain(|_, was| *was),
            (None, Some(false)) => self.names.retain(|_, was| !*was),
            (None, None) => self.names.clear(),
            (Some(key), _) => drop(self.names.remove(key)),
        }
        self.names.extend(key.zip(is_there));
    }
}

/// The descriptors among the arguments.
fn descriptors_of(step: &Step, values: &[u64]) -> Vec<u32> {
    let kinds = FUNCTIONS[step.function].parameters.iter().flat_map(|kind| vec![kind; kind.types().len()]);
    let is_descriptor = |kind: &Kind| matches!(kind, Kind::Directory | Kind::File | Kind::Descriptor);
    kinds.zip(values).filter(|(kind, _)| is_descriptor(kind)).map(|(_, value)| *value as u32).collect()
}
