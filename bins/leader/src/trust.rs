//! `trust` and `group`: whom this installation trusts. Both programs have these commands.

use clap::{Args, Subcommand, ValueEnum};
use haul::trust::{GroupFile, KeyUse, Known, Role, Trust};
use haul::{Error, Home};
use serde_json::json;
use std::io;

#[derive(Subcommand)]
pub(crate) enum TrustCommand {
    /// List the known machines
    List,
    /// Show the id by which other machines can add this one
    Id,
    /// Get to know a machine by its id, under a name
    Add {
        /// Its id, 64 hexadecimal digits: what `trust id` shows there
        id: String,
        /// What it is to be called here
        name: String,
        #[command(flatten)]
        as_what: AsWhat,
    },
    /// Forget a machine
    Forget {
        /// Its name here, its id, or how its id begins
        who: String,
        #[command(flatten)]
        as_what: AsWhat,
    },
    /// Call a machine another name
    Rename {
        /// Its name here, its id, or how its id begins
        who: String,
        /// What it is to be called from now on
        name: String,
        #[command(flatten)]
        as_what: AsWhat,
    },
}

#[derive(Args)]
pub(crate) struct AsWhat {
    /// What the machine is trusted as, if not what is usual for this program
    #[arg(long = "as", value_name = "leader|helper", value_enum)]
    role: Option<RoleName>,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    /// It may be helped without a question
    Leader,
    /// It is one of ours
    Helper,
}

#[derive(Args)]
pub(crate) struct GroupArgs {
    #[command(subcommand)]
    command: GroupCommand,

    /// Print one JSON object a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum GroupCommand {
    /// Make a key; beside a key that is there, one that is accepted until `switch`
    New,
    /// Show which keys there are
    Show {
        /// Show the keys themselves too, to carry them to another machine
        #[arg(long)]
        reveal: bool,
    },
    /// Take in the key that stands on standard input
    Join,
    /// Prove this machine with the other key from now on, and accept both still
    Switch,
    /// Drop a key
    Drop {
        /// Its id, as `show` tells it
        id: String,
    },
}

impl AsWhat {
    pub(crate) fn or(&self, usual: Role) -> Role {
        match self.role {
            Some(RoleName::Leader) => Role::Leader,
            Some(RoleName::Helper) => Role::Helper,
            None => usual,
        }
    }
}

/// Shows or changes who is known; `usual` is what this program trusts machines as.
pub(crate) fn obey(command: &TrustCommand, usual: Role, json: bool) -> Result<(), Error> {
    let home = Home::of_user()?;
    let trust = Trust::of(&home);
    let shown = match command {
        TrustCommand::List => trust.list()?,
        TrustCommand::Id => {
            let id = home.id()?;
            println!("{}", if json { json!({ "id": id }).to_string() } else { id });
            return Ok(());
        }
        TrustCommand::Add { id, name, as_what } => vec![trust.add(as_what.or(usual), id, name)?],
        TrustCommand::Forget { who, as_what } => vec![trust.forget(as_what.or(usual), who)?],
        TrustCommand::Rename { who, name, as_what } => {
            vec![trust.rename(as_what.or(usual), who, name)?]
        }
    };
    show(&shown, json);
    Ok(())
}

/// One line for each of them.
pub(crate) fn show(shown: &[Known], json: bool) {
    for known in shown {
        println!("{}", if json { json!(known).to_string() } else { row(known) });
    }
}

fn row(Known { role, id, name, .. }: &Known) -> String {
    let role = if *role == Role::Leader { "leader" } else { "helper" };
    format!("{role}  {id}  {name}")
}

/// Shows or changes the keys of the group.
pub(crate) fn run_group(args: &GroupArgs) -> Result<(), Error> {
    let file = GroupFile::of(&Home::of_user()?);
    match &args.command {
        GroupCommand::New => print_key(&file.make()?, None, args.json),
        GroupCommand::Join => {
            let mut line = String::new();
            io::stdin().read_line(&mut line).map_err(|error| Error::usage(error.to_string()))?;
            let key = line.trim().parse().map_err(|error| Error::usage(format!("{error}")))?;
            print_key(&file.join(key)?, None, args.json);
        }
        GroupCommand::Switch => file.switch()?,
        GroupCommand::Drop { id } => file.drop(id)?,
        GroupCommand::Show { reveal } => {
            for (used, key) in file.keys()? {
                print_key(&used, reveal.then(|| key.reveal()), args.json);
            }
        }
    }
    Ok(())
}

fn print_key(used: &KeyUse, key: Option<String>, json: bool) {
    let KeyUse { id, first } = used;
    if json {
        let mut line = json!({ "id": id, "first": first });
        line.as_object_mut().zip(key).map(|(line, key)| line.insert("key".into(), key.into()));
        return println!("{line}");
    }
    let what = if *first { "proves this machine" } else { "is accepted" };
    println!("{id}  {what}{}", key.map_or_else(String::new, |key| format!("  {key}")));
}
