//! The machine that the figures are of.

use serde::Serialize;

use crate::text::show;

/// What the machine is, and how busy it was before the first measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: usize,
    /// The processor's model.
    pub cpu: String,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// The kernel's release.
    pub kernel: String,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: [f64; 3],
}

impl Machine {
    /// Looks at it.
    pub fn look() -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kib: u64 = memory
            .split_whitespace()
            .next()
            .and_then(|number| number.parse().ok())
            .unwrap_or(0);
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: field(&read("/proc/cpuinfo"), "model name")
                .unwrap_or_else(|| "unknown processor".to_owned()),
            memory_bytes: kib * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: load(),
        }
    }

    /// The machine in one line.
    pub fn in_words(&self) -> String {
        let [one, five, fifteen] = self.load;
        format!(
            "{} cores, {}, {}, Linux {}, load {one} {five} {fifteen}, braid-supervisor {}{}",
            self.cores,
            self.cpu,
            show::bytes(self.memory_bytes),
            self.kernel,
            env!("CARGO_PKG_VERSION"),
            if cfg!(debug_assertions) {
                " (a debug build: its figures mean nothing)"
            } else {
                ""
            },
        )
    }
}

/// The load averages now; zeros where the system does not tell.
pub fn load() -> [f64; 3] {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap_or(0.0));
    [(); 3].map(|()| numbers.next().unwrap_or(0.0))
}
