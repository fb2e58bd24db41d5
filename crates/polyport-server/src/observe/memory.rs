//! How much memory the process holds, and what follows when that is much.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::{info, warn};

/// The memory held is read at most this often.
const EVERY: Duration = Duration::from_secs(1);

/// Tenths of the limit from which connections are not kept and side tables take nothing more.
const SOFT: u64 = 8;

/// Tenths of the limit from which new requests are refused.
const HARD: u64 = 9;

/// How scarce memory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pressure {
    #[default]
    None,
    /// Nothing more is kept than must be.
    Soft,
    /// New requests are refused.
    Hard,
}

type Held = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// Watches the memory that the process holds. Nothing runs for that: whoever asks reads it, if it was read long ago.
pub(crate) struct Memory {
    state: Mutex<State>,
}

struct State {
    held: Held,
    /// Of the machine or its control group; what the configuration names comes before it.
    given: Option<u64>,
    read: Option<Instant>,
    bytes: u64,
    pressure: Pressure,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("pressure", &self.state.lock().pressure).finish_non_exhaustive()
    }
}

impl Memory {
    /// The memory of this process.
    pub(crate) fn of_process() -> Self {
        let state =
            State { held: Arc::new(resident), given: available(), read: None, bytes: 0, pressure: Pressure::None };
        Self { state: Mutex::new(state) }
    }

    /// Reads the memory held in another way.
    pub(crate) fn measure_with(&self, held: Held) {
        let mut state = self.state.lock();
        (state.held, state.read) = (held, None);
    }

    /// How scarce memory is, where `limit` bytes may be held; without one, what the machine or its control group has.
    pub(crate) fn pressure(&self, limit: Option<u64>) -> Pressure {
        let mut state = self.state.lock();
        if state.read.is_some_and(|read| read.elapsed() < EVERY) {
            return state.pressure;
        }
        state.read = Some(Instant::now());
        let (Some(limit), Some(bytes)) = (limit.or(state.given), (state.held)()) else { return state.pressure };
        let pressure = match bytes.saturating_mul(10) / limit.max(1) {
            HARD.. => Pressure::Hard,
            SOFT.. => Pressure::Soft,
            _ => Pressure::None,
        };
        let mib = |bytes: u64| bytes >> 20;
        match pressure {
            _ if pressure == state.pressure => {}
            Pressure::None => info!(held_mib = mib(bytes), limit_mib = mib(limit), "there is enough memory again"),
            Pressure::Soft => warn!(
                held_mib = mib(bytes),
                limit_mib = mib(limit),
                "memory is scarce: connections are not kept and side tables take nothing more"
            ),
            Pressure::Hard => {
                warn!(
                    held_mib = mib(bytes),
                    limit_mib = mib(limit),
                    "memory is almost used up: new requests are refused"
                );
            }
        }
        (state.bytes, state.pressure) = (bytes, pressure);
        pressure
    }

    /// Bytes held when they were last read.
    pub(crate) fn bytes(&self) -> u64 {
        self.state.lock().bytes
    }
}

/// Bytes of memory that the process holds now.
fn resident() -> Option<u64> {
    kib("/proc/self/status", "VmRSS:")
}

/// A line such as `VmRSS:   123 kB`, in bytes.
fn kib(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// What the process may hold: the least of the machine's memory and the limits of its control groups.
fn available() -> Option<u64> {
    let machine = kib("/proc/meminfo", "MemTotal:");
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let paths = groups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        match controllers {
            "" => Some(("/sys/fs/cgroup", path, "memory.max")),
            "memory" => Some(("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes")),
            _ => None,
        }
    });
    // Inside a container the group may be mounted as the root. A group above may have the smaller limit.
    let limits = paths.flat_map(|(root, path, file)| {
        std::path::Path::new(path)
            .ancestors()
            .map(move |group| format!("{root}{}/{file}", group.display().to_string().trim_end_matches('/')))
            .collect::<Vec<_>>()
    });
    let limits = limits.filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    machine.into_iter().chain(limits).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_holds_some_memory_of_what_there_is() {
        let (held, given) = (resident().unwrap(), available().unwrap());
        assert!(held > 1 << 20 && held < given, "{held} of {given}");
    }

    #[test]
    fn o7_pressure_follows_what_is_held() {
        let memory = Memory::of_process();
        let at = |bytes: u64| {
            memory.measure_with(Arc::new(move || Some(bytes)));
            memory.pressure(Some(1000))
        };
        let steps = [
            (799, Pressure::None),
            (800, Pressure::Soft),
            (899, Pressure::Soft),
            (900, Pressure::Hard),
            (100, Pressure::None),
        ];
        for (bytes, expected) in steps {
            assert_eq!(at(bytes), expected, "{bytes}");
        }
        assert_eq!(memory.bytes(), 100);
        memory.measure_with(Arc::new(|| None));
        assert_eq!(memory.pressure(Some(1)), Pressure::None, "what cannot be read stays as it was");
    }
}
