use crate::args::{Pace, Scan};
use crate::tell;
use haul::{Finding, Host, HostScan, ScanLinger, ScanPace, ScanPolicy};
use std::process::ExitCode;

/// Lists the live machines as they are found.
pub(crate) fn run(args: &Scan) -> ExitCode {
    let mut scan = match HostScan::with(&args.interface, policy(args)) {
        Ok(scan) => scan,
        Err(error) => {
            tell::error(&error);
            return ExitCode::from(error.kind().code());
        }
    };
    while let Some(finding) = scan.next_blocking() {
        match finding {
            // A host holds nothing that JSON cannot write.
            Finding::Host(host) if args.json => {
                println!("{}", serde_json::to_string(&host).unwrap_or_default());
            }
            Finding::Host(host) => println!("{}", row(&host)),
            Finding::Note(text) => eprintln!("{text}"),
        }
    }
    ExitCode::SUCCESS
}

fn policy(args: &Scan) -> ScanPolicy {
    ScanPolicy {
        pace: match args.pace {
            Pace::Gentle => ScanPace::Gentle,
            Pace::Normal => ScanPace::Normal,
            Pace::Fast => ScanPace::Fast,
        },
        max_targets: args.max_hosts,
        linger: args.wait.map_or(ScanLinger::AsNeeded, ScanLinger::For),
    }
}

fn row(host: &Host) -> String {
    let ms = host.ms.map_or_else(String::new, |ms| format!("{ms} ms"));
    format!(
        "{:<15}  {:<17}  {:<9}  {:<10}  {ms}",
        host.address.to_string(),
        host.mac.as_deref().unwrap_or("-"),
        host.how,
        host.interface
    )
}
