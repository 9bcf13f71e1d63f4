//! Calls in a process of their own that is watched from outside: what it took, and that it left nothing on stderr.

use super::new_process_under;
use serde_json::Value;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often the process is looked at while it runs.
const LOOK: Duration = Duration::from_millis(1);

/// A process that has ended by itself, with a reply for each call.
#[derive(Debug)]
pub struct Watched {
    pub replies: Vec<Value>,
    pub took: Duration,
    /// The processor time of all its threads.
    pub cpu: Duration,
    /// The most memory that it was seen to have had resident.
    pub peak_mib: u64,
    /// The most descriptors that it was seen with.
    pub descriptors: usize,
}

/// Makes calls in a process of their own, which must answer each, end well and print nothing to stderr.
#[track_caller]
pub fn watched(calls: &[(&str, Value)]) -> Watched {
    watched_under(&[], calls)
}

/// The same with the process started by another command.
#[track_caller]
#[allow(clippy::zombie_processes, reason = "`ended` waits for it by another call, which tells what it used")]
pub fn watched_under(wrapper: &[&str], calls: &[(&str, Value)]) -> Watched {
    let begun = Instant::now();
    let mut command = new_process_under(wrapper, calls);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let read = |mut from: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            from.read_to_string(&mut text).map(|_| text)
        })
    };
    let (stdout, stderr) = (read(Box::new(child.stdout.take().unwrap())), read(Box::new(child.stderr.take().unwrap())));
    let directory = format!("/proc/{}", child.id());
    let (mut descriptors, mut peak_mib) = (0, 0);
    let (status, usage) = loop {
        if let Some(ended) = ended(child.id()) {
            break ended;
        }
        descriptors = descriptors.max(std::fs::read_dir(format!("{directory}/fd")).map_or(0, Iterator::count));
        peak_mib = peak_mib.max(resident_peak_mib(&directory).unwrap_or(0));
        std::thread::sleep(LOOK);
    };
    let took = begun.elapsed();
    let (stdout, stderr) = (stdout.join().unwrap().unwrap(), stderr.join().unwrap().unwrap());
    assert!(status.success() && stderr.is_empty(), "{status}, stderr {stderr:?}, stdout {stdout:.500}");
    let replies: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(replies.len(), calls.len(), "{stdout:.500}");
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    let cpu = time(usage.ru_utime) + time(usage.ru_stime);
    Watched { replies, took, cpu, peak_mib, descriptors }
}

/// Not what `wait4` tells, which begins with the memory of the process that has started it.
fn resident_peak_mib(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib >> 10)
}

/// How a child has ended and what it used, once it has.
fn ended(pid: u32) -> Option<(ExitStatus, libc::rusage)> {
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: both pointers are to locals of the type that the function fills; a zeroed rusage is one.
    let (found, usage) = unsafe {
        let found = libc::wait4(pid as i32, &mut status, libc::WNOHANG, usage.as_mut_ptr());
        (found, usage.assume_init())
    };
    assert!(found >= 0, "{}", std::io::Error::last_os_error());
    (found > 0).then(|| (ExitStatus::from_raw(status), usage))
}
