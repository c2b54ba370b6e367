//! What the figures were measured on.

use std::fmt;
use std::fs;

use serde::Serialize;

use crate::Outcome;
use crate::cores::Cores;

/// The machine, without its name.
#[derive(Serialize)]
pub struct Machine {
    processor: String,
    cores: usize,
    /// How many threads wanted to run in the last minute: above 0.5 somebody else is measured as well.
    load_before: f64,
}

impl Machine {
    /// Reads what the kernel says.
    pub fn look() -> Outcome<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Ok(Self {
            processor: model_name(&processors).unwrap_or("unknown").to_owned(),
            cores: Cores::allowed()?.count(),
            load_before: load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default(),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} cores, load {} before the run", self.processor, self.cores, self.load_before)
    }
}

fn model_name(cpuinfo: &str) -> Option<&str> {
    cpuinfo.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::model_name;

    #[test]
    fn the_processor_is_named_as_the_kernel_names_it() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: A B-7 @ 3: GHz\nflags\t: x\n";
        assert_eq!(model_name(cpuinfo), Some("A B-7 @ 3: GHz"));
        assert_eq!(model_name(""), None);
    }
}
