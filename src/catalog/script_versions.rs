//! The versions of scripts' files: which one is served, and why a later one is not.
//!
//! A file that people edit is sometimes half written. So a version is served only once its interpreter has parsed it;
//! until then the version before it goes on being served.
//!
//! 1. `served` is the last version that was found to parse.
//! 2. `broken` is a later version that does not parse, with the reason. A version that parses takes its place.
//! 3. A version is known by the file's identity, so that a call costs one `stat`. A version that was read just after the
//!    file changed has no identity here: the file may change again without a new one. It is read anew, and known by its
//!    hash.

use super::file_checks::{check_pin, check_size, unavailable};
use super::script::{Language, ScriptFile, ScriptText};
use crate::error::{Error, Result};
use crate::files::Identity;
use crate::locks::ReadLocked;
use crate::sha256::Sha256;
use crate::warnings::{About, warn};
use crossbeam_utils::sync::ShardedLock;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

/// What a look at the file of a script has found.
pub(crate) enum Version {
    /// The version to run, and the file's identity, if no other content can have the same.
    Served(Arc<ScriptText>, Option<Identity>),
    /// A version that nobody has parsed yet.
    New(NewVersion),
}

/// A version that nobody has parsed yet.
pub(crate) struct NewVersion {
    pub text: Arc<ScriptText>,
    /// The file's identity, if no other content can have the same.
    pub identity: Option<Identity>,
}

#[derive(Default)]
struct Versions {
    served: Option<(Option<Identity>, Arc<ScriptText>)>,
    broken: Option<Broken>,
}

struct Broken {
    identity: Option<Identity>,
    sha: Sha256,
    error: Error,
}

/// The versions of a file by its path.
type Files = ShardedLock<HashMap<OsString, Versions>>;

/// The most files whose versions are remembered, and the most bytes of their texts. Forgetting them costs one check of
/// each script that is called again, and the version before a broken one.
const MOST_FILES: usize = 10_000;
const MOST_BYTES: usize = 256 << 20;

/// One map for each language, since two entries may give one file to two interpreters.
fn files(language: Language) -> &'static Files {
    static FILES: LazyLock<[Files; Language::ALL.len()]> = LazyLock::new(Default::default);
    &FILES[language as usize]
}

impl ScriptFile {
    /// Finds the version of the script that the file has now. It is an error if the entry pins another one, or if the
    /// version does not parse and there is none before it.
    pub fn version(&self, runtime: &str, pin: Option<Sha256>, most: u64) -> Result<Version> {
        let failed = |error: io::Error| unavailable(runtime, &self.path, &error);
        let identity = self.path.identity().map_err(failed)?;
        if let Some(served) = self.known(runtime, pin, &identity) {
            return served.map(|text| Version::Served(text, Some(identity)));
        }
        let begun = SystemTime::now();
        let mut file = self.path.open().map_err(failed)?;
        check_size(runtime, file.identity.size, most)?;
        let content = file.read_all().map_err(failed)?;
        let (sha, identity) = (Sha256::of(&content), file.identity.is_settled(begun).then_some(file.identity));
        check_pin(runtime, pin, sha)?;
        if let Some(served) = self.read_again(runtime, pin, sha, identity) {
            return served.map(|text| Version::Served(text, identity));
        }
        match ScriptText::new(runtime, &self.shown_name(runtime), &content) {
            Ok(text) => Ok(Version::New(NewVersion { text: Arc::new(text), identity })),
            Err(error @ Error::ScriptInvalid { .. }) => {
                let served = self.broken(runtime, pin, Broken { identity, sha, error });
                served.map(|text| Version::Served(text, identity))
            }
            // The text was not found to be at fault.
            Err(error) => Err(error),
        }
    }

    /// The version to run if the file's identity is known.
    fn known(&self, runtime: &str, pin: Option<Sha256>, identity: &Identity) -> Option<Result<Arc<ScriptText>>> {
        let files = files(self.language).read_locked();
        let versions = files.get(self.path.full().as_os_str())?;
        if let Some((Some(known), text)) = &versions.served
            && known == identity
        {
            return Some(check_pin(runtime, pin, text.sha).map(|()| text.clone()));
        }
        let broken = versions.broken.as_ref().filter(|broken| broken.identity.as_ref() == Some(identity))?;
        Some(check_pin(runtime, pin, broken.sha).and_then(|()| versions.before_broken(runtime, pin)))
    }

    /// The version to run if the file's content is known. Its identity is known from now on.
    fn read_again(
        &self,
        runtime: &str,
        pin: Option<Sha256>,
        sha: Sha256,
        identity: Option<Identity>,
    ) -> Option<Result<Arc<ScriptText>>> {
        let mut files = files(self.language).write_locked();
        let versions = files.get_mut(self.path.full().as_os_str())?;
        if let Some((known, text)) = &mut versions.served
            && text.sha == sha
        {
            (*known, versions.broken) = (identity, None);
            return Some(Ok(text.clone()));
        }
        let broken = versions.broken.as_mut().filter(|broken| broken.sha == sha)?;
        broken.identity = identity;
        Some(versions.before_broken(runtime, pin))
    }

    /// Serves a version from now on, since it was found to parse.
    pub fn serve(&self, version: NewVersion) -> Arc<ScriptText> {
        let NewVersion { text, identity } = version;
        self.change(|versions| *versions = Versions { served: Some((identity, text.clone())), broken: None });
        text
    }

    /// Serves a version that was written just now. If the file was changed within the same tick of the clock, the change
    /// goes unnoticed, but calls still run the content that the entry pins.
    pub fn serve_written(&self, text: Arc<ScriptText>, identity: Identity) {
        self.serve(NewVersion { text, identity: Some(identity) });
    }

    /// Notes that a version does not parse. Returns the version to run instead.
    pub fn refuse(
        &self,
        runtime: &str,
        pin: Option<Sha256>,
        version: NewVersion,
        error: Error,
    ) -> Result<Arc<ScriptText>> {
        let NewVersion { text, identity } = version;
        self.broken(runtime, pin, Broken { identity, sha: text.sha, error })
    }

    fn broken(&self, runtime: &str, pin: Option<Sha256>, broken: Broken) -> Result<Arc<ScriptText>> {
        let (error, sha) = (broken.error.clone(), broken.sha);
        let (is_news, served) = self.change(|versions| {
            let before = versions.broken.replace(broken);
            (before.is_none_or(|before| before.sha != sha), versions.before_broken(runtime, pin))
        });
        if is_news && served.is_ok() {
            warn(About::Catalog, format!("{error}; the last valid version is served"));
        }
        served
    }

    /// Why the version that the file had at the last look is not served; `None` if it is served.
    pub fn problem(&self, runtime: &str) -> Option<Error> {
        let files = files(self.language).read_locked();
        let broken = files.get(self.path.full().as_os_str())?.broken.as_ref()?;
        Some(broken.error.clone().with_runtime(runtime))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Versions) -> T) -> T {
        let mut files = files(self.language).write_locked();
        let is_new = !files.contains_key(self.path.full().as_os_str());
        if is_new && (files.len() >= MOST_FILES || files.values().map(Versions::bytes).sum::<usize>() >= MOST_BYTES) {
            files.clear();
        }
        change(files.entry(self.path.full().as_os_str().to_owned()).or_default())
    }
}

impl Versions {
    fn bytes(&self) -> usize {
        self.served.as_ref().map_or(0, |(_, text)| text.text.len())
    }

    /// The version before the broken one, unless the entry pins another; otherwise why the broken one is not served.
    fn before_broken(&self, runtime: &str, pin: Option<Sha256>) -> Result<Arc<ScriptText>> {
        let served = self.served.as_ref().map(|(_, text)| text).filter(|text| pin.is_none_or(|pin| pin == text.sha));
        match (served, &self.broken) {
            (Some(text), _) => Ok(text.clone()),
            (None, Some(broken)) => Err(broken.error.clone().with_runtime(runtime)),
            (None, None) => Err(Error::internal("a script without any version")),
        }
    }
}
