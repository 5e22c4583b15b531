//! What changed between two folders is named, and nothing else is.

use super::{again, changed_screen, ran, ran_on};
use isobole::diff::{diff, text, write_page, write_tables};
use isobole::report::files;

const DRAWN: &str = "bootstrap = 20\nbackend = 'cpu'\n";

#[test]
fn a_planted_change_of_one_dose_pair_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (before, finished) = ran(folder.path(), "before", DRAWN);
    // The highest doses of the first pair on the first line read a third of what they did.
    let (plates, lines) = changed_screen(&folder.path().join("changed"), |simulated, line, well| {
        let of_pair = simulated.plates.iter().flat_map(|plate| &plate.wells).filter(|w| w.pair == Some(0));
        let top = of_pair.clone().fold([0.0f64; 2], |top, w| [top[0].max(w.dose_a_um), top[1].max(w.dose_b_um)]);
        if line == 0 && well.pair == Some(0) && [well.dose_a_um, well.dose_b_um] == top {
            well.signal = well.signal * 0.3 + 2_000.0;
        }
    });
    let (after, _) = ran_on(folder.path(), "after", DRAWN, plates, lines);
    let found = diff(&before, &after).unwrap();
    let details: Vec<&str> = found.causes.iter().map(|cause| cause.detail.as_str()).collect();
    assert_eq!(details, ["`plates.parquet` has other contents"]);
    let wells = &found.stages[0];
    assert!(wells.changed >= 1 && wells.changed < wells.n / 4, "{wells:?}");
    let moved: Vec<_> = found
        .pairs
        .iter()
        .filter(|pair| {
            pair.cell
                .as_ref()
                .is_some_and(|c| c.observed[0].zip(c.observed[1]).is_some_and(|(a, b)| (a - b).abs() > 0.02))
        })
        .collect();
    assert_eq!(moved.len(), 1, "{moved:?}");
    let cell = moved[0].cell.as_ref().unwrap();
    let (screen, analysis) = (&finished.screen, &finished.analysis);
    let matrix = analysis
        .matrices
        .iter()
        .find(|m| {
            let drugs = [m.key.drug_a, m.key.drug_b].map(|id| screen.drugs.name(id));
            let mut names = [moved[0].drug_a.as_str(), moved[0].drug_b.as_str()];
            names.sort_unstable();
            let mut drugs = drugs;
            drugs.sort_unstable();
            drugs == names && screen.lines.name(m.key.line) == cell.cell_line
        })
        .unwrap();
    let highest = matrix.cells.iter().fold([0.0f64; 2], |top, c| [top[0].max(c.dose_a), top[1].max(c.dose_b)]);
    let mut doses = cell.dose;
    let mut highest = highest;
    doses.sort_by(f64::total_cmp);
    highest.sort_by(f64::total_cmp);
    assert_eq!(doses, highest);
    assert!(moved[0].why.contains("viability of "), "{}", moved[0].why);
    let words = text(&found, 10);
    assert!(words.contains("has other contents") && words.contains(&cell.cell_line), "{words}");
}

#[test]
fn another_model_is_named_as_the_cause_and_the_ranks_that_moved_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (before, old) = ran(folder.path(), "before", DRAWN);
    let after = folder.path().join("after");
    let (rescored, _) = again(&before, &after, "model = 'hill2'\nrank_by = 'loewe'\ntop_k = 3");
    let found = diff(&before, &after).unwrap();
    let causes: Vec<String> =
        found.causes.iter().map(|cause| format!("{} {}", cause.stage.name(), cause.detail)).collect();
    assert_eq!(
        causes,
        [
            "curves model: hill4 to hill2",
            "rank rank_by: composite to score",
            "rank score_model: bliss to loewe",
            "rank top_k: 10 to 3"
        ]
    );
    let changed = |unit: &str| found.stages.iter().find(|stage| stage.unit == unit).unwrap().changed;
    assert_eq!(changed("wells"), 0);
    assert!(changed("curves") > 0 && changed("matrices") > 0);
    let new = &rescored.finished;
    for pair in &found.pairs {
        let of = |finished: &isobole::run::Finished| {
            let name = |id| finished.screen.drugs.name(id).to_owned();
            let key = |p: &&isobole::rank::RankedPair| {
                let mut names = [name(p.drug_a), name(p.drug_b)];
                names.sort();
                names == [pair.drug_a.clone(), pair.drug_b.clone()]
            };
            let pair = finished.analysis.pairs.iter().find(key).unwrap();
            (pair.rank, pair.score, pair.ci_low)
        };
        let ((rank, score, low), now) = (of(&old), of(new));
        assert_eq!((pair.rank, pair.score), ([Some(rank), Some(now.0)], [score, now.1]));
        assert_eq!(pair.ci_low, [low, now.2]);
    }
    let classes =
        |finished: &isobole::run::Finished| finished.analysis.inferences.iter().map(|i| i.class).collect::<Vec<_>>();
    let flipped = classes(&old).iter().zip(classes(new)).filter(|(a, b)| **a != *b).count();
    assert_eq!(found.curves.len(), flipped);

    let out = folder.path().join("diff");
    files::prepare(&out).unwrap();
    let tables = write_tables(&found, &out).unwrap();
    assert_eq!(tables.len(), 4);
    let pairs = files::read(&out.join("diff_pairs.parquet")).unwrap();
    assert_eq!(pairs.rows(), found.pairs.len());
    assert_eq!(pairs.column("rank_after").unwrap().number(0), Some(1.0));
    let page = std::fs::read_to_string(write_page(&found, &out).unwrap()).unwrap();
    assert!(page.contains("model: hill4 to hill2") && page.contains(&found.pairs[0].drug_a), "{page}");
}

#[test]
fn a_folder_does_not_differ_from_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, _) = ran(folder.path(), "run", DRAWN);
    let found = diff(&dir, &dir).unwrap();
    assert!(found.causes.is_empty() && found.curves.is_empty());
    assert!(found.stages.iter().all(|stage| stage.changed == 0 && stage.n > 0), "{:?}", found.stages);
    assert_eq!(found.correlation.spearman, Some(1.0));
    assert!(found.pairs.iter().all(|pair| pair.why.is_empty() && pair.significance.starts_with("stays")));
}
