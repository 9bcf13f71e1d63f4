//! Scripts: the version of its file that a call runs, after the interpreter has parsed it in a sandbox of its own.

use super::call_slots::CallSlots;
use super::judge::{Times, judge, refused_memory};
use super::script_executor::ScriptExecutor;
use crate::catalog::{
    Content, Language, RuntimeCatalog, RuntimeEntry, ScriptArgs, ScriptFile, ScriptMode, ScriptText, Version,
};
use crate::config::{Limits, Reload};
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::files::Identity;
use crate::module_cache::{self, Tier, Wanted};
use crate::run::{self, Ended, Goal, Run};
use crate::sandbox::Sandbox;
use crate::shards::Shard;
use crate::stack::GuestStack;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Instant;

/// What a parse takes: the limits, the deadline and the guest's stack of the call or of the registration that needs it.
#[derive(Clone, Copy)]
pub(super) struct ParseFor<'a> {
    pub limits: &'a Limits,
    pub deadline: &'a Deadline,
    pub stack: GuestStack,
    pub shard: Shard,
}

/// What an interpreter answers that was asked to parse a script which does not parse.
#[derive(Deserialize)]
struct Mistake {
    message: String,
    line: Option<u32>,
    column: Option<u32>,
}

/// The script that a call runs.
pub(super) struct CallScript {
    pub text: Arc<ScriptText>,
    /// Whether the file was not looked at.
    pub is_at_hand: bool,
    /// Where the interpreter's code came from, if the call had the script parsed.
    pub tier: Option<Tier>,
}

/// The version of a script to run now.
pub(super) struct ServedScript {
    text: Arc<ScriptText>,
    /// That of the file, if no other content can have the same.
    identity: Option<Identity>,
    /// As of [`CallScript`].
    tier: Option<Tier>,
}

/// How a parse has ended.
pub(super) struct Parsed {
    tier: Tier,
    /// `script_invalid`, if the script does not parse.
    mistake: Option<Error>,
}

impl Parsed {
    pub fn result(self) -> Result<()> {
        self.mistake.map_or(Ok(()), Err)
    }
}

impl ScriptExecutor {
    /// The version of the script that a call runs. The file is not looked at if the executor's `reload` spares the call
    /// that.
    pub(super) async fn script_of_call(
        &self,
        entry: &Arc<RuntimeEntry>,
        script: &ScriptFile,
        parse_for: ParseFor<'_>,
    ) -> Result<CallScript> {
        if let Some(Content { script: Some(text), .. }) = entry.known(self.reload, parse_for.deadline.begun) {
            return Ok(CallScript { text, is_at_hand: true, tier: None });
        }
        let begun = Instant::now();
        let ServedScript { mut text, identity, tier } = self.script(entry, script, parse_for).await?;
        if self.reload == Reload::Never {
            // Another call may have fixed its version meanwhile, after the file has changed.
            text = entry.seen.fix(Content::of_script(text.clone())).script.unwrap_or(text);
        }
        if let Some(identity) = identity {
            entry.note_look(self.reload, begun, identity, Content::of_script(text.clone()));
        }
        Ok(CallScript { text, is_at_hand: false, tier })
    }

    /// The version of the script to run now. A version that nobody has parsed yet is parsed first.
    pub(super) async fn script(
        &self,
        entry: &RuntimeEntry,
        script: &ScriptFile,
        parse_for: ParseFor<'_>,
    ) -> Result<ServedScript> {
        // A build without scripts says so before it looks at the file.
        script.module()?;
        let version = match script.version(&entry.name, entry.sha256, parse_for.limits.module_bytes)? {
            Version::Served(text, identity) => return Ok(ServedScript { text, identity, tier: None }),
            Version::New(version) => version,
        };
        let identity = version.identity;
        // Boxed, so that the future of the call stays small: most calls find a version that was parsed.
        let parsed = Box::pin(self.parse(&entry.name, script.language, &version.text, parse_for)).await;
        // After an error the script was not found to be at fault, so the next call tries again.
        let Parsed { tier, mistake } = parsed?;
        let text = match mistake {
            None => script.serve(version),
            Some(error) => script.refuse(&entry.name, entry.sha256, version, error)?,
        };
        Ok(ServedScript { text, identity, tier: Some(tier) })
    }

    /// Parses a script in a fresh sandbox. Nothing of the script runs, so the sandbox has no fuel limit of its own and no
    /// input. An error says why it is not known whether the script parses.
    pub(super) async fn parse(
        &self,
        runtime: &str,
        language: Language,
        text: &Arc<ScriptText>,
        parse_for: ParseFor<'_>,
    ) -> Result<Parsed> {
        let ParseFor { limits, deadline, stack, shard } = parse_for;
        let interpreter = RuntimeCatalog::interpreter(language)?;
        let (tenant, metering, disk) = (self.policy.tenant, self.metering(limits), self.disk.as_ref());
        let module_bytes = limits.module_bytes;
        let entry = &interpreter;
        let reload = self.reload;
        let wanted = Wanted { tenant, entry, reload, metering, module_bytes, disk, deadline, shard };
        let prepared = module_cache::cache().prepared(self.engine, &wanted).await?;
        let slots: CallSlots<'_> = self.slots(deadline).await?;
        let limits = Limits { fuel: limits.fuel.map(|_| u64::MAX), ..*limits };
        let args = ScriptArgs { mode: ScriptMode::Check, text: text.clone() };
        let (policy, deadline) = (self.policy.share(shard), deadline.clone());
        let sandbox = || Sandbox::new(interpreter, policy, Vec::new(), &limits, deadline).with_script(Some(args));
        let ended = match run::run(&prepared.compiled, Goal::Call, stack, sandbox, slots)? {
            Run::Ended(ended) => ended,
            Run::Waits(run) => run.await?,
        };
        let Ended { captured, .. } = ended;
        let captured = captured?;
        let no_memory = refused_memory(&captured);
        let output = judge(captured, &prepared, &Times::default())?;
        let mistake: Option<Mistake> = serde_json::from_str(output.output()).map_err(Error::internal)?;
        if let (Some(_), Some(error)) = (&mistake, no_memory) {
            // The interpreter may take the want of memory for a mistake of the script.
            return Err(error);
        }
        let mistake = mistake.map(|Mistake { message, line, column }| Error::ScriptInvalid {
            runtime: runtime.to_owned(),
            file: text.file_name().to_owned(),
            line,
            column,
            message,
        });
        Ok(Parsed { tier: prepared.tier, mistake })
    }
}
