//! The imports by which a guest calls functions of the host. A module's are two, `arawn.host_call`, which asks and tells the
//! reply's length, and `arawn.host_reply`, which copies the reply out; a component's is the interface of
//! `runtimes/wit/host.wit`.

use super::Sandbox;
use super::guest::Guest;
use crate::error::{Error, printable};
use crate::host::Question;
use crate::jobs::Stop;
use crate::protocol::error_reply;
use std::future::Future;
use wasmtime::{Caller, Linker, Result, Trap};

const MODULE: &str = "arawn";
#[cfg(feature = "components")]
pub(super) const INTERFACE: &str = "arawn:host/functions";

/// No name that is granted has more.
const MOST_NAME_BYTES: usize = 128;
const NAME_TOO_LONG: &str = "its name has more than 128 bytes";
const REQUEST_TOO_LONG: &str = "the request is longer than `output_bytes`";

/// What `host_reply` answers where no reply waits.
const NOTHING: i32 = -1;

impl Sandbox {
    /// Calls a host function; the reply's text, which says too what went wrong. It may wait for the host, for which no
    /// thread is held, and errs only where the call must end.
    pub(crate) fn host_call(
        &mut self,
        (name, request): Asked,
    ) -> impl Future<Output = Result<String, Stop>> + Send + 'static {
        let (policy, deadline, question) = (self.policy.clone(), self.deadline.clone(), Question::new(name));
        self.question = Some(question.clone());
        async move { policy.functions.call(&question, &request, &deadline).await }
    }

    /// Why a name and a request of these lengths are not looked at, or copied.
    fn too_long(&self, name: &[u8], request: &[u8]) -> Option<&'static str> {
        if name.len() > MOST_NAME_BYTES {
            return Some(NAME_TOO_LONG);
        }
        (request.len() > self.host_request_bytes).then_some(REQUEST_TOO_LONG)
    }

    /// Keeps a reply for the guest to copy out.
    fn keep_reply(&mut self, reply: String) -> i32 {
        self.question = None;
        let reply = match i32::try_from(reply.len()) {
            Ok(_) => reply,
            Err(_) => refused("", "the reply has more than 2 GiB"),
        };
        let len = reply.len() as i32;
        self.host_reply = Some(reply);
        len
    }
}

fn refused(name: &str, message: &str) -> String {
    error_reply(&Error::HostFunctionFailed { name: name.to_owned(), message: message.to_owned() })
}

/// For guests to which no function is granted: they get that for an answer.
pub(crate) fn add_to_linker(linker: &mut Linker<Sandbox>) -> Result<()> {
    linker.func_wrap(MODULE, "host_reply", host_reply)?;
    linker.func_wrap(
        MODULE,
        "host_call",
        |mut caller: Caller<'_, Sandbox>, name: u32, name_len: u32, request: u32, request_len: u32| {
            let asked = asked(&mut caller, name, name_len, request, request_len)?;
            let sandbox = caller.data_mut();
            let reply = match asked {
                Ok((name, request)) => match sandbox.policy.functions.check(&name, &request) {
                    Ok(()) => refused(&name, "it cannot be called from here"),
                    Err(error) => error_reply(&error),
                },
                Err(reply) => reply,
            };
            Ok(sandbox.keep_reply(reply))
        },
    )?;
    Ok(())
}

/// For guests whose host calls may wait.
pub(crate) fn let_wait(linker: &mut Linker<Sandbox>) -> Result<()> {
    linker.func_wrap(MODULE, "host_reply", host_reply)?;
    linker.func_wrap_async(
        MODULE,
        "host_call",
        |mut caller: Caller<'_, Sandbox>, (name, name_len, request, request_len): (u32, u32, u32, u32)| {
            Box::new(async move {
                let reply = match asked(&mut caller, name, name_len, request, request_len)? {
                    Ok(asked) => caller.data_mut().host_call(asked).await?,
                    Err(reply) => reply,
                };
                Ok(caller.data_mut().keep_reply(reply))
            })
        },
    )?;
    Ok(())
}

/// For components.
#[cfg(feature = "components")]
pub(super) fn add_to_component_linker(linker: &mut wasmtime::component::Linker<Sandbox>) -> Result<()> {
    use wasmtime::component::WasmStr;
    linker.instance(INTERFACE)?.func_wrap_async("call", |mut store, (name, request): (WasmStr, WasmStr)| {
        Box::new(async move {
            store.data_mut().begin_host_call()?;
            let asked = {
                let (name, request) = (name.to_str(&store)?, request.to_str(&store)?);
                match store.data().too_long(name.as_bytes(), request.as_bytes()) {
                    Some(NAME_TOO_LONG) => Err(refused("", NAME_TOO_LONG)),
                    Some(why) => Err(refused(&name, why)),
                    None => Ok((name.into_owned(), request.into_owned())),
                }
            };
            match asked {
                Ok(asked) => {
                    let reply = store.data_mut().host_call(asked).await?;
                    store.data_mut().question = None;
                    Ok((reply,))
                }
                Err(reply) => Ok((reply,)),
            }
        })
    })
}

type Asked = (String, String);

/// The name and the request, or what a guest is answered whose bytes are no text. A place outside its memory is a trap.
fn asked(
    caller: &mut Caller<'_, Sandbox>,
    name: u32,
    name_len: u32,
    request: u32,
    request_len: u32,
) -> Result<Result<Asked, String>> {
    let Guest { memory, sandbox } = Guest::of(caller)?;
    let bytes = |at: u32, len: u32| memory.get(at as usize..at as usize + len as usize).ok_or(Trap::MemoryOutOfBounds);
    let (name, request) = (bytes(name, name_len)?, bytes(request, request_len)?);
    let too_long = sandbox.too_long(name, request);
    if too_long == Some(NAME_TOO_LONG) {
        return Ok(Err(refused("", NAME_TOO_LONG)));
    }
    let Ok(name) = simdutf8::basic::from_utf8(name) else {
        return Ok(Err(refused(&printable(&String::from_utf8_lossy(name)), "its name is not UTF-8")));
    };
    if let Some(why) = too_long {
        return Ok(Err(refused(name, why)));
    }
    sandbox.spend(request.len())?;
    match simdutf8::basic::from_utf8(request) {
        Ok(request) => Ok(Ok((name.to_owned(), request.to_owned()))),
        Err(_) => Ok(Err(refused(name, "the request is not UTF-8"))),
    }
}

/// Copies the reply out and forgets it, if it fits; its length in any case.
fn host_reply(mut caller: Caller<'_, Sandbox>, buffer: u32, capacity: u32) -> Result<i32> {
    let Guest { memory, sandbox } = Guest::of(&mut caller)?;
    let Some(len) = sandbox.host_reply.as_ref().map(String::len) else { return Ok(NOTHING) };
    if len <= capacity as usize {
        sandbox.spend(len)?;
        let place = memory.get_mut(buffer as usize..buffer as usize + len).ok_or(Trap::MemoryOutOfBounds)?;
        place.copy_from_slice(sandbox.host_reply.take().unwrap_or_default().as_bytes());
    }
    Ok(len as i32)
}
