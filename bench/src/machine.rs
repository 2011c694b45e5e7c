//! What it is measured on, and how quiet that was.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Result, load};

/// Of Linux, whatever the kernel's own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// The machine before anything is measured.
#[derive(Debug)]
pub(crate) struct Machine {
    keystead: String,
    before: Ticks,
}

/// In which circumstances the figures were measured, as lines of prose.
#[derive(Debug)]
pub(crate) struct Conditions(pub(crate) Vec<String>);

/// Processor time of all cores, in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks {
    all: u64,
    idle: u64,
    stolen: u64,
}

impl Machine {
    pub(crate) fn look(keystead: &Path) -> Result<Self> {
        let version = first_line(Command::new(keystead).arg("--version"));
        // Who measures the library alone need not have built the program.
        let keystead = version.unwrap_or_else(|_| "the library of keystead".to_owned());
        Ok(Self { keystead, before: Ticks::now()? })
    }

    pub(crate) fn conditions(&self) -> Result<Conditions> {
        let passed = Ticks::now()?.since(self.before);
        let ours = own_seconds()? * TICKS_PER_SECOND;
        let others = (passed.busy() - ours).max(0.0) / passed.all as f64;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let day: String = keystead::timestamp(now).chars().take(10).collect();
        let cores = std::thread::available_parallelism()?;
        let model = value("/proc/cpuinfo", "model name")?;
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let rust = first_line(Command::new("rustc").arg("--version"))?;
        Ok(Conditions(vec![
            format!("Measured on {day}: {cores} cores, {model}, Linux {}.", kernel.trim()),
            format!("{}, {rust}, load from {}.", self.keystead, load::generator()),
            format!(
                "Meanwhile other programs took {:.0} % of the processors, and the hypervisor {:.1} %.",
                others * 100.0,
                passed.steal() * 100.0
            ),
        ]))
    }
}

impl Ticks {
    pub(crate) fn now() -> Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().unwrap_or_default();
        let fields: Vec<u64> = line.split_whitespace().filter_map(|f| f.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guests are counted in user already.
        let &[_, _, _, idle, iowait, _, _, stolen, ..] = &*fields else {
            return Err("/proc/stat has another form than that of Linux".into());
        };
        Ok(Self { all: fields.iter().take(8).sum(), idle: idle + iowait, stolen })
    }

    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self {
            all: self.all - earlier.all,
            idle: self.idle.saturating_sub(earlier.idle),
            stolen: self.stolen - earlier.stolen,
        }
    }

    /// Which part the hypervisor gave to other machines.
    pub(crate) fn steal(self) -> f64 {
        self.stolen as f64 / self.all.max(1) as f64
    }

    fn busy(self) -> f64 {
        (self.all - self.idle - self.stolen) as f64
    }
}

/// How many seconds of processor time a process has taken.
pub(crate) fn seconds_of(process: u32) -> Result<f64> {
    times(&format!("/proc/{process}/stat"), 2)
}

/// The same of this process and of everything that it started and that has ended.
fn own_seconds() -> Result<f64> {
    times("/proc/self/stat", 4)
}

/// The sum of utime, stime, cutime and cstime, or of the first ones of these.
fn times(stat: &str, how_many: usize) -> Result<f64> {
    let stat = std::fs::read_to_string(stat)?;
    let (_, fields) = stat.rsplit_once(')').ok_or("a stat file without a name")?;
    // The first field behind the name is the third of the file, and utime the fourteenth.
    let times = fields.split_whitespace().skip(11).take(how_many);
    Ok(times.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND)
}

/// How many bytes of a process are in memory.
pub(crate) fn resident(process: u32) -> Result<f64> {
    let text = value(&format!("/proc/{process}/status"), "VmRSS")?;
    let kib: f64 = text.trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0)
}

/// Keeps this thread, and what it starts from then on, on these cores.
pub(crate) fn pin(cores: &str) -> Result<()> {
    let thread = std::fs::read_link("/proc/thread-self")?;
    let thread = thread.file_name().ok_or("a thread without a number")?;
    let mut command = Command::new("taskset");
    first_line(command.args(["--cpu-list", "--pid", cores]).arg(thread))?;
    Ok(())
}

/// Measures on one core, and lets this thread go again.
pub(crate) fn on_last_core<T>(measure: impl FnOnce() -> Result<T>) -> Result<T> {
    let last = std::thread::available_parallelism()?.get() - 1;
    pin(&last.to_string())?;
    let measured = measure();
    pin(&format!("0-{last}"))?;
    measured
}

/// How much memory a new program could have.
pub(crate) fn available_gib() -> Result<f64> {
    let kib: f64 = value("/proc/meminfo", "MemAvailable")?.trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0 / 1024.0)
}

fn value(file: &str, name: &str) -> Result<String> {
    let text = std::fs::read_to_string(file)?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let found = pairs.find(|(key, _)| key.trim() == name);
    Ok(found.ok_or_else(|| format!("{file} has no {name:?}"))?.1.trim().to_owned())
}

pub(crate) fn first_line(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
