//! The load: `wrk` with one thread.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::Result;
use crate::orders::Orders;

/// What `wrk` tells when it is done, in a line of its own.
const DONE: &str = r#"
function done(summary)
  local errors = summary.errors
  io.write(string.format("\nDONE %d %d %d\n", summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"#;

/// A `wrk` under way.
#[derive(Debug)]
pub(crate) struct Load {
    child: Child,
    /// It is read when `wrk` starts, which may be after this was made.
    _script: NamedTempFile,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
}

/// The same requests over and over.
pub(crate) fn same(requests: &[Vec<u8>]) -> String {
    let texts: Vec<_> = requests
        .iter()
        .map(|request| format!("{:?}", String::from_utf8_lossy(request)))
        .collect();
    format!(
        "local requests, n = {{ {} }}, 0\n\
         function request() n = n % #requests + 1 return requests[n] end\n{DONE}",
        texts.join(",\n")
    )
}

/// Each request with a key that never came before.
pub(crate) fn new_keys(orders: &Orders) -> String {
    format!(
        "local n = 0\nfunction request() n = n + 1 return {} end\n{DONE}",
        orders.template(&new_prefix())
    )
}

/// The beginning of keys that no other call gave.
pub(crate) fn new_prefix() -> String {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    format!("run-{}-", RUNS.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn start(port: u16, connections: usize, time: Duration, script: &str) -> Result<Load> {
    let mut file = NamedTempFile::with_suffix(".lua")?;
    file.write_all(script.as_bytes())?;
    let child = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}")])
        .arg(format!("-d{}s", time.as_secs().max(1)))
        .arg("-s")
        .arg(file.path())
        .arg(format!("http://127.0.0.1:{port}/orders"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`wrk` does not start ({error}): `apt-get install wrk`"))?;
    Ok(Load {
        child,
        _script: file,
    })
}

impl Load {
    pub(crate) fn done(self) -> Result<Done> {
        let output = self.child.wait_with_output()?;
        let told = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<u64> = told
            .lines()
            .find_map(|line| line.strip_prefix("DONE "))
            .into_iter()
            .flat_map(str::split_whitespace)
            .map_while(|number| number.parse().ok())
            .collect();
        match numbers[..] {
            [requests, microseconds, 0] if requests > 0 => Ok(Done {
                requests,
                per_second: requests as f64 * 1e6 / microseconds as f64,
            }),
            _ => {
                let complaint = String::from_utf8_lossy(&output.stderr);
                Err(format!("requests failed, says wrk:\n{told}{complaint}").into())
            }
        }
    }
}
