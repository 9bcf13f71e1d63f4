//! The options that the commands share: where runtimes and compiled code are, what guests may reach, what a run may use.

mod directory;
pub mod limit;

use crate::places::Places;
use arawn::{Capabilities, ExecutorConfig, GrantedDir, HttpGrant, Limits, Origin, Result};
use clap::Args;

#[derive(Clone, Debug, Default, Args)]
pub struct Grants {
    #[command(flatten)]
    pub places: Places,
    /// Shows guests a directory of this machine, read-only without `:rw`
    #[arg(long, value_name = "HOST:GUEST[:rw]", value_parser = directory::parse)]
    pub dir: Vec<GrantedDir>,
    /// Sets a variable of the guests' environment, which is empty otherwise
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// Lets guests make requests to an origin, such as https://api.example.com or https://*.example.org
    #[arg(long, value_name = "ORIGIN", value_parser = Origin::parse)]
    pub http: Vec<Origin>,
    /// Lets these requests go to loopback and private addresses too
    #[arg(long, requires = "http")]
    pub http_private: bool,
    /// Sets a limit, such as timeout_ms=60000 or memory_bytes=134217728
    #[arg(long, value_name = "NAME=VALUE", value_parser = limit::parse)]
    pub limit: Vec<(String, u64)>,
}

impl Grants {
    /// The configuration of an executor with these grants and no others.
    pub fn config(&self) -> Result<ExecutorConfig> {
        Ok(ExecutorConfig { runtimes_dir: self.places.runtimes()?, ..self.config_without_runtimes()? })
    }

    /// The same, of an executor that has no catalog's directory.
    pub fn config_without_runtimes(&self) -> Result<ExecutorConfig> {
        Ok(ExecutorConfig {
            cache_dir: self.places.cache_dir(),
            limits: self.limits()?,
            capabilities: Capabilities {
                dirs: self.dir.clone(),
                env: self.env.iter().cloned().collect(),
                http: HttpGrant { allow: self.http.clone(), allow_private: self.http_private },
                ..Capabilities::default()
            },
            ..ExecutorConfig::default()
        })
    }

    /// The library's limits with those of the command line in their place.
    pub fn limits(&self) -> Result<Limits> {
        limit::merged(&self.limit)
    }
}

pub fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("the name is missing: write NAME=VALUE".to_owned()),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("the value is missing: write {text}=VALUE, or {text}=\"${text}\" to hand on your own")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_granted_by_default() {
        let config = Grants::default().config().unwrap_or_else(|error| panic!("{error}"));
        let Capabilities { dirs, env, http, host_functions } = config.capabilities;
        assert!(dirs.is_empty() && env.is_empty() && host_functions.is_empty());
        assert!(http.allow.is_empty() && !http.allow_private);
        assert_eq!(config.limits, Limits::default());
    }

    #[test]
    fn a_variable_has_a_name_and_a_value() {
        assert_eq!(variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(variable("A="), Ok(("A".to_owned(), String::new())));
        assert!(variable("=b").is_err_and(|text| text.contains("NAME=VALUE")));
        assert!(variable("HOME").is_err_and(|text| text.contains("HOME=\"$HOME\"")));
    }
}
