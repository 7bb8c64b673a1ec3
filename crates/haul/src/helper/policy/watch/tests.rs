use super::*;
use crate::ErrorKind;
use crate::helper::policy::{Care, Percent};
use tempfile::TempDir;

/// A folder with an owner's policy and an organisation's.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new(own: &str) -> Self {
        let desk = Self { folder: TempDir::new().unwrap() };
        desk.write(own);
        desk
    }

    fn write(&self, own: &str) {
        fs::write(self.own(), own).unwrap();
    }

    fn own(&self) -> PathBuf {
        self.folder.path().join("policy.toml")
    }

    fn managed(&self, text: &str) {
        fs::write(self.folder.path().join("managed.toml"), text).unwrap();
    }

    fn source(&self) -> PolicySource {
        PolicySource::file(self.own()).managed_from(self.folder.path().join("managed.toml"))
    }

    fn policy(&self) -> Result<Policy, PolicyError> {
        self.source().read().map(|in_force| in_force.policy)
    }
}

#[test]
fn the_first_file_explains_every_field_at_its_default() {
    let said = |line: &str| {
        line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_lowercase())
    };
    let spoken: String = TEMPLATE
        .lines()
        .map(|line| if said(line) { &line[1..] } else { line })
        .collect::<Vec<_>>()
        .join("\n");
    for text in [TEMPLATE, spoken.as_str()] {
        assert_eq!(Desk::new(text).policy().unwrap(), Policy::default(), "{text}");
    }
    let mut named = fields(&spoken);
    named.sort();
    assert_eq!(named, every_field());
}

#[test]
fn the_page_on_policies_tells_of_every_field_and_its_default() {
    let page = include_str!("../../../../../../docs/POLICY.md");
    for (field, default) in defaults() {
        let row = format!("| `{field}` | ");
        let row = page.lines().find(|line| line.starts_with(&row));
        let row = row.unwrap_or_else(|| panic!("no row for {field}"));
        assert!(row.contains(&format!("| `{default}` |")), "{row}: {default}");
    }
    let rows =
        page.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() >= 6);
    assert_eq!(rows.count(), every_field().len());
}

#[test]
fn a_bad_policy_is_an_error_with_its_place_and_a_remedy() {
    let table = [
        ("version = 1\nmdoe = \"ask\"\n", 2, "unknown field `mdoe`"),
        ("version = 1\n[limits]\nper_dya = \"5G\"\n", 3, "unknown field `per_dya`"),
        ("version = 1\n[limits]\nper_day = 5\n", 3, "expected a size such as"),
        ("version = 1\n[limits]\nper_day = \"-5G\"\n", 3, "expected a size such as"),
        ("version = 1\n[limits]\nper_day = \"99999999999999999T\"\n", 3, "expected a size such as"),
        ("version = 1\n[limits]\nconnections = -1\n", 3, "a whole number from 1 to 8"),
        ("version = 1\n[limits]\nconnections = 99999999999999999999\n", 3, ""),
        ("version = 1\n[limits]\nlargest_share = \"101%\"\n", 3, "a percentage"),
        ("version = 1\n\n[when]\nhours = [\"any\", \"9-17\"]\n", 4, "hours such as"),
        ("version = 1\n[when]\nmetered = \"perhaps\"\n", 3, "unknown variant `perhaps`"),
        ("version = 1\n[networks]\nallow = [\"10.0.0.0/99\"]\n", 3, "a network such as"),
        ("version = 1\n[leaders]\nblocked = [\"asha\"]\n", 3, "64 hexadecimal digits"),
        ("version = 1\n[leaders]\nknown = [{ id = \"1\" }]\n", 3, "64 hexadecimal digits"),
        ("version = 2\n", 1, "a whole number from 1 to 1"),
        ("mode = \"ask\"\n", 1, "missing field `version`"),
        ("version = 1\nmode = \"ask", 2, ""),
        ("version = 1\nmode = \"ask\"\nmode = \"never\"\n", 3, "duplicate key"),
        ("", 1, "missing field `version`"),
    ];
    for (text, line, because) in table {
        let error = Desk::new(text).policy().unwrap_err();
        assert_eq!(error.line(), Some(line), "{text}: {error}");
        assert!(error.to_string().contains(because), "{text}: {error}");
        assert!(!error.to_string().contains('\n'), "{error}");
        assert!(error.remedy().contains(&format!("correct line {line} of ")), "{}", error.remedy());
        assert_eq!(Error::from(error).kind(), ErrorKind::Usage);
    }
}

#[test]
fn a_policy_that_cannot_be_read_is_an_error_with_a_remedy() {
    let desk = Desk::new("");
    fs::remove_file(desk.own()).unwrap();
    let gone = desk.policy().unwrap_err();
    fs::write(desk.own(), [0xff, 0xfe, 0]).unwrap();
    let no_text = desk.policy().unwrap_err();
    fs::write(desk.own(), vec![b'#'; 2 << 20]).unwrap();
    let huge = desk.policy().unwrap_err();
    for error in [gone, no_text, huge] {
        assert_eq!(error.line(), None, "{error}");
        assert!(error.to_string().contains("policy.toml"), "{error}");
        assert!(error.remedy().contains("a text file that you can read"), "{}", error.remedy());
        assert_eq!(Error::from(error).kind(), ErrorKind::Disk);
    }
}

#[test]
fn a_running_helper_follows_the_file_and_keeps_the_last_good_one() {
    let desk = Desk::new("version = 1\nmode = \"known\"\n");
    let mut policies = Policies::open(desk.source()).unwrap();
    let mode = |policies: &Policies| policies.in_force().policy.mode;
    assert!(policies.look().is_none());
    for bad in ["version = 1\nmode = \"kno", "", "version = 1\nmode = \"always\"\nnew = 1\n"] {
        desk.write(bad);
        assert!(policies.look().is_none(), "it may be half written");
        assert!(policies.look().unwrap().is_err(), "{bad}");
        assert!(policies.look().is_none(), "it is told once");
        assert_eq!(mode(&policies), Mode::Known);
        assert!(policies.error().is_some());
    }
    fs::remove_file(desk.own()).unwrap();
    policies.look();
    assert!(policies.look().unwrap().is_err());
    assert_eq!(mode(&policies), Mode::Known);
    desk.write("version = 1\nmode = \"always\"\n");
    policies.look();
    assert!(policies.look().unwrap().is_ok());
    assert_eq!((mode(&policies), policies.error()), (Mode::Always, None));
}

#[test]
fn what_the_organisation_sets_holds_against_the_file_and_what_is_said() {
    let desk = Desk::new(
        "version = 1\nmode = \"always\"\n[limits]\nper_day = \"9G\"\nrate = \"5M\"\n\
         [hosts]\ndeny = [\"a.example\"]\n",
    );
    desk.managed(
        "version = 1\nmode = \"known\"\n[limits]\nper_day = \"1G\"\n[hosts]\ndeny = [\"b.example\"]\n",
    );
    let said = desk.source().mode(Mode::Ask).limit_rate("2M".parse().unwrap());
    let InForce { policy, managed } = said.read().unwrap();
    assert_eq!((policy.mode, policy.per_day), (Mode::Known, 1 << 30));
    assert_eq!(managed, ["hosts.deny", "limits.per_day", "mode"]);
    assert!(!policy.admits_host("a.example") && !policy.admits_host("b.example"));
    assert_eq!(policy.rate, Rate::Fixed("2M".parse().unwrap()));
    desk.managed("version = 1\nmodus = 1\n");
    assert!(desk.source().read().is_err(), "a bad one is no way round it");
}

#[test]
fn what_is_said_goes_before_the_file_and_only_narrows_its_rate() {
    let desk =
        Desk::new("version = 1\n[networks]\nallow = [\"10.0.0.0/8\"]\n[limits]\nrate = \"1M\"\n");
    let said = desk.source().mode(Mode::Never).allow_net("127.0.0.0/8".parse().unwrap());
    let policy = said.limit_rate("3M".parse().unwrap()).read().unwrap().policy;
    assert_eq!((policy.mode, policy.networks.len()), (Mode::Never, 2));
    assert_eq!(policy.rate, Rate::Fixed("1M".parse().unwrap()));
}

#[test]
fn who_says_always_is_not_asked_about_what_cannot_be_told_unless_the_file_forbids_it() {
    let unknown = |written: &str| {
        let desk = Desk::new(&format!("version = 1\n[when]\n{written}\n"));
        desk.source().mode(Mode::Always).read().unwrap().policy.unknown
    };
    assert_eq!(unknown(""), Care::Allow);
    assert_eq!(unknown("unknown = \"never\""), Care::Never);
}

#[test]
fn a_written_policy_is_what_it_says() {
    let id = "ab".repeat(32);
    let policy = Desk::new(&format!(
        "version = 1\n[leaders]\nknown = [{{ id = \"{id}\", name = \"Asha\", until = \"1970-01-03\" }}]\n\
         [limits]\nlargest_share = \"25%\"\nrate_while_busy = \"10%\"\n[when]\nunknown = \"allow\"\nbattery = \"0%\"\n"
    ));
    let policy = policy.policy().unwrap();
    assert_eq!((policy.known[0].id.clone(), policy.known[0].until), (id, Some(2)));
    assert_eq!(policy.rate_while_busy, Rate::Part(Percent::new(10).unwrap()));
    assert_eq!((policy.unknown, policy.battery.get()), (Care::Allow, 0));
    assert_eq!(policy.job_limit(100).0, 25);
}

#[test]
fn the_first_file_is_written_only_where_there_is_none() {
    let folder = TempDir::new().unwrap();
    let home = Home::at(folder.path().join("home"));
    PolicySource::write_template(&home).unwrap();
    let path = PolicySource::of_home(&home).path().unwrap().to_owned();
    assert_eq!(fs::read_to_string(&path).unwrap(), TEMPLATE);
    fs::write(&path, "mine").unwrap();
    PolicySource::write_template(&home).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

/// Every field of the first file with what is written there.
fn defaults() -> Vec<(String, &'static str)> {
    let mut table = "";
    let mut all = Vec::new();
    for line in TEMPLATE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']');
        }
        let field = line.strip_prefix('#').filter(|text| !text.starts_with(' '));
        if let Some((name, value)) = field.and_then(|text| text.split_once(" = ")) {
            let dot = if table.is_empty() { "" } else { "." };
            all.push((format!("{table}{dot}{name}"), value));
        }
    }
    assert_eq!(all.len(), every_field().len());
    all
}

/// Every field of a policy file, sorted.
fn every_field() -> Vec<String> {
    let mut all = vec!["mode".to_owned()];
    let tables: [(&str, &[&str]); 6] = [
        ("leaders", &["known", "blocked", "at_once", "grant_days"]),
        ("hosts", &["allow", "deny"]),
        ("networks", &["allow"]),
        (
            "limits",
            &[
                "largest_file",
                "largest_share",
                "per_job",
                "per_day",
                "per_30_days",
                "rate",
                "rate_while_busy",
                "busy_above",
                "connections",
            ],
        ),
        ("when", &["hours", "metered", "vpn", "unknown", "battery"]),
        ("prompts", &["per_hour"]),
    ];
    for (table, names) in tables {
        all.extend(names.iter().map(|name| format!("{table}.{name}")));
    }
    all.sort();
    all
}
