//! The thresholds of the views `data_quality` and `estimates`: numbers in `data/quality/rules.toml`, filled into their text.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The file, as it was when the program was built.
const FILE: &str = include_str!("../../../data/quality/rules.toml");

/// All rules by name.
///
/// # Panics
/// Where the file that is built into the program is no table of whole numbers: a test sees to it.
#[must_use]
pub fn all() -> &'static BTreeMap<String, i64> {
    static RULES: LazyLock<BTreeMap<String, i64>> =
        LazyLock::new(|| toml::from_str(FILE).expect("data/quality/rules.toml holds whole numbers"));
    &RULES
}

/// A statement with the number of each rule in the place of its `$name`. A name that is no rule stays, and the planner's
/// message names it.
pub(crate) fn fill(sql: &str) -> String {
    let mut pieces = sql.split('$');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|next: char| next != '_' && !next.is_ascii_alphanumeric()).unwrap_or(piece.len());
        match all().get(&piece[..end]) {
            Some(number) => filled.push_str(&number.to_string()),
            None => {
                filled.push('$');
                filled.push_str(&piece[..end]);
            }
        }
        filled.push_str(&piece[end..]);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEWS: &str = concat!(
        include_str!("../../../queries/views/data_quality.sql"),
        include_str!("../../../queries/views/estimates.sql")
    );

    #[test]
    fn every_rule_is_used_and_every_name_is_a_rule() {
        for name in all().keys() {
            assert!(fill(&format!("${name}")) != format!("${name}") && VIEWS.contains(&format!("${name}")), "{name}");
        }
        let body: String = VIEWS.lines().filter(|line| !line.starts_with("--")).collect();
        assert!(!fill(&body).contains('$'));
    }

    #[test]
    fn a_name_ends_where_its_letters_end() {
        let hours = all()["gap_hours"];
        assert_eq!(
            fill("'$gap_hours h' > $gap_hours*2 and $gap_hours_"),
            format!("'{hours} h' > {hours}*2 and $gap_hours_")
        );
        assert_eq!(fill("$"), "$");
    }
}
