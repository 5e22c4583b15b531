//! Mechanisms from what a run has found, and back into the names that the ranking reads.

use super::marker::annotated;
use super::{EffluxTest, Inputs, LineFact, Mechanisms, SingleAgent, mechanisms};
use crate::resistance::Resistance;
use crate::resistance::cross_resistance::CrossResistanceRow;
use crate::resistance::resensitisation::Resensitisation;
use crate::screen::Screen;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;

/// Mechanisms of a screen's lines: [`Screen::evidence`], annotations, the anchor with inhibitors of ABCG2 at the dose that
/// speaks for each matrix, and the cross-resistance map.
pub fn of_screen(
    screen: &Screen,
    anchor: Option<NameId>,
    resistances: &[Resistance],
    cross_resistances: &[CrossResistanceRow],
    resensitisations: &[Resensitisation],
) -> Mechanisms {
    let name = |line: NameId| screen.lines.name(line).to_owned();
    let is_called = |line: NameId| {
        let of_line = |r: &&Resistance| Some(r.drug) == anchor && r.line == line;
        resistances.iter().find(of_line).and_then(|r| r.status) == Some(LineStatus::Resistant)
    };
    let lines = (0..screen.lines.len() as NameId).map(|line| {
        let annotation = screen.annotation(line);
        LineFact {
            name: name(line),
            parental: annotation.parental.filter(|parent| *parent != line).map(name),
            is_resistant: annotation.status == Some(LineStatus::Resistant) || is_called(line),
            annotation: annotation.mechanism,
        }
    });
    // With a third drug the inhibitor is not alone in what it does.
    let of_pairs = resensitisations.iter().filter(|row| row.is_ranked && row.second_partner.is_none());
    let efflux_tests = of_pairs.filter_map(|row| {
        let inhibitor = screen.drugs.name(row.key.drug_b);
        let test =
            || EffluxTest { line: name(row.key.line), inhibitor: inhibitor.to_owned(), fold_change: row.fold_change };
        EffluxTest::is_inhibitor(inhibitor).then(test)
    });
    let single_agents = cross_resistances.iter().map(|row| SingleAgent {
        line: name(row.resistance.line),
        drug: screen.drugs.name(row.resistance.drug).to_owned(),
        class: row.class,
    });
    mechanisms(&Inputs {
        lines: lines.collect(),
        measurements: &screen.evidence,
        efflux_tests: efflux_tests.collect(),
        single_agents: single_agents.collect(),
    })
}

/// The names and annotations of a screen, without its wells, with what the evidence says in the place of what was
/// annotated; the owner's words stay where nothing is known and where they are not understood here.
pub fn annotated_screen(screen: &Screen, found: &Mechanisms) -> Screen {
    let mut annotations = screen.annotations.clone();
    annotations.resize(screen.lines.len(), Default::default());
    for (annotation, line) in annotations.iter_mut().zip(screen.lines.iter()) {
        let Some(words) = found.words(line) else { continue };
        let said = annotation.mechanism.take().unwrap_or_default();
        let others = said.split([';', ',', '|', '+']).map(str::trim).filter(|piece| annotated(piece).is_empty());
        let all: Vec<&str> = std::iter::once(words.as_str()).chain(others.filter(|piece| !piece.is_empty())).collect();
        annotation.mechanism = Some(all.join("; "));
    }
    Screen {
        lines: screen.lines.clone(),
        drugs: screen.drugs.clone(),
        blocks: screen.blocks.clone(),
        schedules: screen.schedules.clone(),
        annotations,
        ..Screen::default()
    }
}
