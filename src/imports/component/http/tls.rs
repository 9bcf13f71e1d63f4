//! TLS. The trusted certificates are those that the environment of the process names, or else those of the platform.

use crate::error::Error as Failed;
use crate::sys;
use crate::warnings::{About, warn};
use once_cell::sync::OnceCell;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::{CertificateResult, ErrorKind, load_certs_from_paths, load_native_certs};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmtime_wasi_http::Error;

const FILE: &str = "SSL_CERT_FILE";
const DIRECTORY: &str = "SSL_CERT_DIR";

/// The files in which Linux systems keep all trusted certificates, after openssl-probe. rustls-native-certs would let
/// the environment name another file.
const FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL 6
    "/etc/ssl/ca-bundle.pem",                            // openSUSE
    "/etc/ssl/cert.pem",                                 // Alpine
    "/usr/local/etc/ssl/cert.pem",                       // FreeBSD
];
const DIRECTORIES: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// Where the trusted certificates are.
#[derive(Debug, PartialEq, Eq)]
enum CertificateSource {
    /// In the file and the directories that the environment names.
    Named { file: Option<PathBuf>, directories: Vec<PathBuf> },
    /// Where the platform has them. The environment names none.
    Platform,
    /// In [`FILES`] and [`DIRECTORIES`], whatever the environment says.
    System,
}

/// The facts about the process that decide where its certificates are.
struct Process {
    /// Whether the process has rights that whoever has started it may not have: by setuid, setgid or capabilities of
    /// its file.
    is_elevated: bool,
    is_root: bool,
    file: Option<OsString>,
    directories: Option<OsString>,
}

/// Opens TLS over a connection. The server must have a certificate for `host`.
pub(super) async fn secured(stream: TcpStream, host: String) -> Result<TlsStream<TcpStream>, Error> {
    let name = ServerName::try_from(host).map_err(|_| Error::HttpRequestUriInvalid)?;
    let connector = TlsConnector::from(config()?);
    connector.connect(name, stream).await.map_err(|error| {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
            _ => Error::Tls(error),
        }
    })
}

/// The configuration of every connection. It is made once.
fn config() -> Result<Arc<ClientConfig>, Error> {
    static CONFIG: OnceCell<Arc<ClientConfig>> = OnceCell::new();
    let internal = |problem: String| Error::InternalError(Some(problem));
    let config = CONFIG.get_or_try_init(|| -> Result<_, Error> {
        let roots = roots().map_err(internal)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| internal(error.to_string()))?;
        Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    })?;
    Ok(config.clone())
}

/// The trusted root certificates, or why there are none.
fn roots() -> Result<RootCertStore, String> {
    let (source, ignored) = source(&Process::this(), sys::owner_of);
    for variable in ignored {
        warn(About::Engine, format!("what `{variable}` names is not trusted: it belongs to a user other than root"));
    }
    let found = source.load();
    // With a part of the certificates, servers would be refused for as long as the process lives.
    let refused = |error: &rustls_native_certs::Error| match &error.kind {
        ErrorKind::Io { inner, .. } => Failed::exhausted("to read the root certificates", inner),
        _ => None,
    };
    if let Some(error) = found.errors.iter().find_map(refused) {
        return Err(error.to_string());
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map_or(String::new(), |error| format!(": {error}"));
        return Err(format!("this machine has no root certificates{why}"));
    }
    Ok(roots)
}

impl Process {
    fn this() -> Self {
        Process {
            is_elevated: sys::is_elevated(),
            is_root: sys::is_root(),
            file: env::var_os(FILE),
            directories: env::var_os(DIRECTORY),
        }
    }
}

/// Where this process reads certificates, and the variables of which a part is ignored and the host is to be warned.
///
/// - An elevated process ignores both variables, because whoever has started it may have set them.
/// - Root ignores files and directories of other users.
fn source(process: &Process, owner: impl Fn(&Path) -> Option<u32>) -> (CertificateSource, Vec<&'static str>) {
    let paths = |paths: &OsString| env::split_paths(paths).filter(|path| !path.as_os_str().is_empty()).collect();
    let file = process.file.as_ref().map(PathBuf::from);
    let directories: Vec<PathBuf> = process.directories.as_ref().map(paths).unwrap_or_default();
    if file.is_none() && directories.is_empty() {
        return (if process.is_elevated { CertificateSource::System } else { CertificateSource::Platform }, Vec::new());
    }
    if process.is_elevated {
        return (CertificateSource::System, Vec::new());
    }
    // A path without an owner does not exist. Reading it reports that.
    let is_foreign = |path: &PathBuf| process.is_root && owner(path).is_some_and(|owner| owner != 0);
    let mut ignored = Vec::new();
    let file = file.filter(|file| {
        let is_foreign = is_foreign(file);
        ignored.extend(is_foreign.then_some(FILE));
        !is_foreign
    });
    let named = directories.len();
    let directories: Vec<_> = directories.into_iter().filter(|directory| !is_foreign(directory)).collect();
    ignored.extend((directories.len() < named).then_some(DIRECTORY));
    if file.is_none() && directories.is_empty() {
        return (CertificateSource::System, ignored);
    }
    (CertificateSource::Named { file, directories }, ignored)
}

impl CertificateSource {
    fn load(&self) -> CertificateResult {
        match self {
            CertificateSource::Platform => load_native_certs(),
            CertificateSource::Named { file, directories } => {
                load(file.as_deref(), directories.iter().map(PathBuf::as_path))
            }
            CertificateSource::System => {
                let exists = |path: &&Path| path.exists();
                load(FILES.iter().map(Path::new).find(exists), DIRECTORIES.iter().map(Path::new).filter(exists))
            }
        }
    }
}

fn load<'a>(file: Option<&Path>, directories: impl Iterator<Item = &'a Path>) -> CertificateResult {
    let mut all = load_certs_from_paths(file, None);
    for directory in directories {
        let found = load_certs_from_paths(None, Some(directory));
        all.certs.extend(found.certs);
        all.errors.extend(found.errors);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: u32 = 0;
    const USER: u32 = 1000;

    fn process(is_elevated: bool, user: u32, file: Option<&str>, directories: Option<&str>) -> Process {
        Process {
            is_elevated,
            is_root: user == ROOT,
            file: file.map(Into::into),
            directories: directories.map(Into::into),
        }
    }

    /// What is below `/home` belongs to the user, everything else to root.
    fn owner(path: &Path) -> Option<u32> {
        Some(if path.starts_with("/home") { USER } else { ROOT })
    }

    fn named(file: Option<&str>, directories: &[&str]) -> CertificateSource {
        CertificateSource::Named {
            file: file.map(Into::into),
            directories: directories.iter().map(Into::into).collect(),
        }
    }

    #[test]
    fn an_elevated_process_does_not_ask_who_started_it() {
        assert_eq!(source(&process(true, ROOT, Some("/etc/x.pem"), None), owner), (CertificateSource::System, vec![]));
        assert_eq!(source(&process(true, USER, None, Some("/home/certs")), owner), (CertificateSource::System, vec![]));
        assert_eq!(source(&process(true, USER, None, None), owner), (CertificateSource::System, vec![]));
        assert_eq!(source(&process(false, ROOT, None, None), owner), (CertificateSource::Platform, vec![]));
    }

    #[test]
    fn root_takes_no_certificates_of_another_user() {
        let asked = |user| source(&process(false, user, Some("/home/x.pem"), Some("/etc/a:/home/b")), owner);
        assert_eq!(asked(ROOT), (named(None, &["/etc/a"]), vec![FILE, DIRECTORY]));
        assert_eq!(asked(USER), (named(Some("/home/x.pem"), &["/etc/a", "/home/b"]), vec![]));
        let alone = source(&process(false, ROOT, Some("/home/x.pem"), None), owner);
        assert_eq!(alone, (CertificateSource::System, vec![FILE]));
        let missing = source(&process(false, ROOT, Some("/home/x.pem"), None), |_| None);
        assert_eq!(missing, (named(Some("/home/x.pem"), &[]), vec![]));
    }
}
