//! Leaders that are helped without a question: those whose id stands in a file of the owner's.

use haul::{ConsentPolicy, Decision, Home, Request};
use std::fs;
use std::future::{Future, ready};
use std::path::PathBuf;
use std::pin::Pin;

/// Says yes to the leaders in a file, and no to everybody else.
///
/// The file has one leader a line: its id, 64 hexadecimal digits, and behind it whatever helps to
/// remember who that is. It is read anew for every ask. A leader has proved to hold the key of its
/// id; the name that it gives itself counts for nothing.
pub(crate) struct Known {
    file: PathBuf,
}

impl Known {
    /// The leaders in the file `leaders` of haul's home.
    pub(crate) fn of(home: &Home) -> Self {
        Self { file: home.folder().join("leaders") }
    }

    fn decide(&self, request: &Request) -> Decision {
        // A file that cannot be read knows nobody.
        let known = fs::read_to_string(&self.file).unwrap_or_default();
        if is_listed(&known, &request.leader_id) {
            return Decision::Yes;
        }
        let Request { leader, leader_id, .. } = request;
        eprintln!(
            "{leader} is not known; to help it always, add this line to {}:",
            self.file.display()
        );
        eprintln!("{leader_id} {leader}");
        Decision::No
    }
}

impl ConsentPolicy for Known {
    fn decide<'a>(
        &'a self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>> {
        Box::pin(ready(Self::decide(self, request)))
    }
}

fn is_listed(file: &str, id: &str) -> bool {
    let mut ids = file.lines().filter_map(|line| line.split_whitespace().next());
    !id.is_empty() && ids.any(|listed| listed.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    fn request(leader_id: &str) -> Request {
        Request {
            leader: "asha".into(),
            leader_id: leader_id.into(),
            code: "418 207".into(),
            scheme: "https",
            host: "example.org".into(),
            size: 1,
        }
    }

    #[test]
    fn only_a_listed_id_is_known_whatever_the_name() {
        let (asha, other) = ("ab".repeat(32), "cd".repeat(32));
        let file = format!("# leaders\n\n{} Asha's laptop\n", asha.to_uppercase());
        assert!(is_listed(&file, &asha));
        assert!(!is_listed(&file, &other) && !is_listed(&file, "laptop") && !is_listed(&file, ""));
        assert!(!is_listed(&file, &asha[..63]));
    }

    #[test]
    fn without_a_file_nobody_is_known() {
        let nowhere = Known::of(&Home::at(env::temp_dir().join("haul-has-no-such-home")));
        assert_eq!(nowhere.decide(&request(&"ab".repeat(32))), Decision::No);
    }
}
