//! Columns that the archive alone has, or that come out now alone.

use super::{Verdict, Verification};
use crate::report::table::Table;

/// What an older layout did not have yet, and what is not written any more, each by table.
#[derive(Debug, Default)]
pub(super) struct OneSided {
    not_yet: Vec<String>,
    no_more: Vec<String>,
}

fn only_in<'a>(table: &'a Table, other: &Table) -> Vec<&'a str> {
    table.columns.iter().map(|column| column.name.as_str()).filter(|name| other.column(name).is_none()).collect()
}

impl OneSided {
    /// Looks at a table of the archive beside the one that comes out now. Tables of one layout have the same columns; an
    /// older one may have others, but for those that are `needed` to compare the two: they were there from the first.
    pub(super) fn look(
        &mut self,
        before: &Table,
        now: &Table,
        same_layout: bool,
        needed: &[String],
        found: &mut Verification,
    ) {
        let must_be = |name: &&str| same_layout || needed.iter().any(|other| other == name);
        let sides = [
            (only_in(now, before), "is not in the archive, and comes out now", &mut self.not_yet),
            (only_in(before, now), "is in the archive, and does not come out now", &mut self.no_more),
        ];
        for (names, problem, noted) in sides {
            let (amiss, expected): (Vec<&str>, Vec<&str>) = names.into_iter().partition(must_be);
            for name in amiss {
                found.add(format!("table `{}`", now.name), Verdict::Differs, format!("column `{name}` {problem}"));
            }
            if !expected.is_empty() {
                noted.push(format!("{} of `{}`", expected.join(", "), now.name));
            }
        }
    }

    /// Says what was noted of an archive of this layout.
    pub(super) fn note(self, layout: &str, found: &mut Verification) {
        let Self { not_yet, no_more } = self;
        if !not_yet.is_empty() {
            found
                .notes
                .push(format!("this folder of layout version {layout} has no {}: not checked", not_yet.join("; no ")));
        }
        if !no_more.is_empty() {
            let names = no_more.join("; ");
            found.notes.push(format!(
                "this folder of layout version {layout} has {names}: not computed any more, and not checked"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&str]) -> Table {
        names.iter().fold(Table::new("synergy"), |table, name| table.number(name, [Some(1.0)]))
    }

    fn looked_at(before: &[&str], now: &[&str], same_layout: bool) -> (Vec<String>, Vec<String>) {
        let (mut found, mut columns) = (Verification::default(), OneSided::default());
        columns.look(&table(before), &table(now), same_layout, &["score_hsa".to_owned()], &mut found);
        columns.note("2", &mut found);
        (found.checked.into_iter().map(|one| one.detail).collect(), found.notes)
    }

    #[test]
    fn of_an_older_layout_only_what_is_needed_must_be_there() {
        let (amiss, notes) = looked_at(&["score_hsa", "old"], &["score_hsa", "df_hsa", "new"], false);
        assert_eq!(amiss, [""; 0]);
        assert_eq!(
            notes,
            [
                "this folder of layout version 2 has no df_hsa, new of `synergy`: not checked",
                "this folder of layout version 2 has old of `synergy`: not computed any more, and not checked"
            ]
        );
        let (amiss, notes) = looked_at(&["se_hsa"], &["score_hsa", "se_hsa"], false);
        assert_eq!(amiss, ["column `score_hsa` is not in the archive, and comes out now"]);
        assert_eq!(notes, [""; 0]);
        let (amiss, notes) = looked_at(&["score_hsa", "old"], &["score_hsa", "new"], true);
        assert_eq!(
            amiss,
            [
                "column `new` is not in the archive, and comes out now",
                "column `old` is in the archive, and does not come out now"
            ]
        );
        assert_eq!(notes, [""; 0]);
        assert_eq!(looked_at(&["score_hsa"], &["score_hsa"], true), Default::default());
    }
}
