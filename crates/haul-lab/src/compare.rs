//! The table of what downloaders make of the traps, as Markdown.

use clap::Args;
use haul_lab::origin::Trap;
use haul_lab::trial::{Tool, Trial};
use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Stdio};

#[derive(Args)]
pub(crate) struct TrapsArguments {
    /// Which downloaders: curl, aria2c, haul
    #[arg(long, value_delimiter = ',', default_value = "curl,aria2c,haul")]
    against: Vec<String>,
    /// haul's leader
    #[arg(long, default_value = "target/release/leader")]
    leader: PathBuf,
    /// Only these traps; all that take no longer than a minute unless told
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

impl TrapsArguments {
    pub(crate) fn compare(&self) -> Result<(), Box<dyn Error>> {
        let tools =
            self.against.iter().map(|name| self.tool(name)).collect::<Result<Vec<_>, _>>()?;
        let traps = self.traps()?;
        let trials = tools.iter().map(|tool| Trial::run_all(tool, &traps, tell));
        let trials = trials.collect::<Result<Vec<_>, _>>()?;
        print_head(&tools);
        for (at, Trap { number, name, does, promise, .. }) in traps.into_iter().enumerate() {
            let cells: String = trials.iter().map(|of_tool| cell(&of_tool[at])).collect();
            println!("| {number} | {name} | {does} | {promise} |{cells}");
        }
        println!(
            "| | **promises kept** | | |{}",
            trials.iter().map(|all| total(all)).collect::<String>()
        );
        Ok(())
    }

    fn traps(&self) -> Result<Vec<&'static Trap>, String> {
        if self.names.is_empty() {
            return Ok(Trap::quick().collect());
        }
        let named = |name: &String| Trap::named(name).ok_or(format!("there is no trap `{name}`"));
        self.names.iter().map(named).collect()
    }

    fn tool(&self, name: &str) -> Result<Tool, String> {
        match name {
            "curl" => Ok(Tool::Curl),
            "aria2c" => Ok(Tool::Aria2c),
            "haul" => self.leader.canonicalize().map(Tool::Haul).map_err(|error| {
                format!(
                    "{}: {error}; build it first: cargo build --release -p leader",
                    self.leader.display()
                )
            }),
            _ => Err(format!("`{name}` is none of curl, aria2c, haul")),
        }
    }
}

fn print_head(tools: &[Tool]) {
    println!("{INTRODUCTION}");
    for tool in tools {
        println!("* {}: `{} {}`", version(tool), tool.name(), tool.options().join(" "));
    }
    let names: Vec<_> = tools.iter().map(Tool::name).collect();
    println!("\n| no. | trap | what the origin does | what should be | {} |", names.join(" | "));
    println!("|---|---|---|---|{}", "---|".repeat(tools.len()));
}

/// The first line of what it says of itself, as far as the version.
fn version(tool: &Tool) -> String {
    let program = match tool {
        Tool::Haul(path) => path.as_os_str(),
        Tool::Curl | Tool::Aria2c => tool.name().as_ref(),
    };
    let said = Command::new(program).arg("--version").stderr(Stdio::null()).output();
    let said = said.map_or_else(|_| Vec::new(), |output| output.stdout);
    let line = String::from_utf8_lossy(&said).lines().next().unwrap_or(tool.name()).to_owned();
    line.split(" (").next().unwrap_or(tool.name()).to_owned()
}

const INTRODUCTION: &str = "\
# Traps

What downloaders make of an origin, or a network, that misbehaves.
Each row is one misbehaviour of the lab's hostile origin.
`cargo run -p haul-lab -- origin --trap NAME` starts it, to try any program on it.
This page is made by

```text
cargo build --release -p leader -p haul-lab
target/release/haul-lab traps > docs/TRAPS.md
```

What an outcome is called:

* *right*: the program told success, and the one file that it left has the right bytes and lies in
  the folder where it should, under any name.
* *refused*: it told failure, and left nothing under a final name.
  What lies beside a control file (aria2c), or is called a part (haul), is under no final name.
* *WRONG*: it told success without the right file, or left something else under a final name.
* *too long*: it had not ended after 30 s, or 60 s where waiting is the point.
  The file takes 11 s over one connection.
* *-*: it cannot be asked for what the row is about.

A promise is kept by the right file, and also by a refusal where that is what should be.
What does not keep it is in bold.
A program that fetches in one stream, as curl does, never meets what happens to later parts: that
counts as kept.
Neither curl nor aria2c knows the fields of RFC 9530, nor promises to.

The rows' numbers are kinds of misbehaviour.
The kinds that are missing here need other means than an origin, and are held by tests elsewhere: a
file that is replaced between two runs (24), one beyond 4 GiB (34), a path that swallows what is sent
to an IPv6 address (44), proxies (45), and what disks do (55 to 61).

Tried were, several traps side by side:
";

/// How many promises were kept, of those that could be asked for.
fn total(trials: &[Trial]) -> String {
    let kept = trials.iter().filter(|trial| trial.kept()).count();
    let asked = trials.iter().filter(|trial| trial.was_asked()).count();
    format!(" **{kept} of {asked}** |")
}

/// Shows on stderr that it goes on.
#[expect(clippy::print_stderr, reason = "the table alone goes to stdout")]
fn tell(trap: &Trap, trial: &Trial) {
    eprintln!(
        "{:24} {:8} {:5.1} s",
        trap.name,
        trial.outcome.to_string(),
        trial.took.as_secs_f64()
    );
}

fn cell(trial: &Trial) -> String {
    let mark = if trial.kept() || !trial.was_asked() { "" } else { "**" };
    let breach = trial.breach.map_or_else(String::new, |breach| format!(", but {breach}"));
    format!(" {mark}{}{breach}{mark} |", trial.outcome)
}
