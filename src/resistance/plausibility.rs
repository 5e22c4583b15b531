//! Whether the anchor's potency is one that leukaemia lines have: a unit that was mistaken moves every IC50 a
//! thousandfold, and nothing later in the analysis would show it.

use super::Resistance;
use super::evidence::canonical_name;
use crate::screen::Screen;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;

/// The only drug whose usual potency is known here.
const CLOFARABINE: &str = "clofarabine";
/// Where clofarabine's median IC50 in sensitive lines may lie, log10 molar: 0.001 to 1 µM. Lines of acute lymphoblastic
/// leukaemia have 0.01 to 0.1 µM; a decade more on either side allows for other lines and other assays.
pub const PLAUSIBLE_LOG10_IC50: [f64; 2] = [-9.0, -6.0];

/// The median of the anchor's IC50 in the lines that are not resistant, as far as the doses tell it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnchorPotency {
    /// Lines behind it.
    pub lines: usize,
    /// The median, log10 molar, with what lies beyond the doses tested at the end of those doses, and further out: the
    /// lowest and the highest value that the median can have.
    pub log10_median: [f64; 2],
}

/// That median; `None` without a line that is not resistant and has an IC50 or a bound of one.
pub fn anchor_potency(resistances: &[Resistance], anchor: NameId) -> Option<AnchorPotency> {
    let mut ends: [Vec<f64>; 2] = Default::default();
    for r in resistances.iter().filter(|r| r.drug == anchor && r.status != Some(LineStatus::Resistant)) {
        let [low, high] = match (r.log10_ic50, r.ic50_censored, r.log10_dose_range) {
            (Some(log10), ..) => [log10; 2],
            (None, "above", [_, Some(highest)]) => [highest, f64::INFINITY],
            (None, "below", [Some(lowest), _]) => [f64::NEG_INFINITY, lowest],
            _ => continue,
        };
        ends[0].push(low);
        ends[1].push(high);
    }
    let lines = ends[0].len();
    let log10_median = ends.map(|mut values| {
        values.sort_by(f64::total_cmp);
        let middle = [values.get(lines.saturating_sub(1) / 2), values.get(lines / 2)];
        match middle {
            [Some(a), Some(b)] if a == b => *a,
            [Some(a), Some(b)] => 0.5 * (a + b),
            _ => f64::NAN,
        }
    });
    (lines > 0).then_some(AnchorPotency { lines, log10_median })
}

/// The warning `anchor_ic50_implausible` where clofarabine is the anchor and its median IC50 cannot lie within
/// [`PLAUSIBLE_LOG10_IC50`].
pub fn warning(resistances: &[Resistance], screen: &Screen, anchor: NameId) -> Option<String> {
    let name = screen.drugs.name(anchor);
    if canonical_name(name) != CLOFARABINE {
        return None;
    }
    let AnchorPotency { lines, log10_median: [least, most] } = anchor_potency(resistances, anchor)?;
    let micromolar = |log10: f64| format!("{:.2e} uM", libm::exp10(log10 + 6.0));
    let [lowest, highest] = PLAUSIBLE_LOG10_IC50;
    let median = if least > highest && most.is_infinite() {
        format!("at least {}", micromolar(least))
    } else if most < lowest && least.is_infinite() {
        format!("at most {}", micromolar(most))
    } else if least > highest || most < lowest {
        micromolar(0.5 * (least + most))
    } else {
        return None;
    };
    let lines = if lines == 1 { "the one line that is".to_owned() } else { format!("the {lines} lines that are") };
    Some(format!(
        "anchor_ic50_implausible: the median IC50 of `{name}` in {lines} not resistant is {median}; leukaemia lines have \
         0.01 to 0.1 uM: check the unit of its concentrations and the identity of the lines"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen() -> (Screen, NameId) {
        let mut screen = Screen::default();
        let anchor = screen.drugs.intern("Clolar");
        (screen, anchor)
    }

    fn line(line: NameId, log10_ic50: Option<f64>, censored: &'static str) -> Resistance {
        Resistance {
            log10_ic50,
            ic50_censored: censored,
            log10_dose_range: [Some(-9.5), Some(-5.0)],
            ..Resistance::unknown(line, 0, "test")
        }
    }

    #[test]
    fn a_mistaken_unit_is_told() {
        let (screen, anchor) = screen();
        let lines = |shift: f64| [-7.6, -7.2, -6.5].map(|x| line(0, Some(x + shift), "none")).to_vec();
        assert_eq!(warning(&lines(0.0), &screen, anchor), None);
        // Read as µM what was nM, and the other way round.
        let text = warning(&lines(3.0), &screen, anchor).expect("a warning");
        assert!(text.starts_with("anchor_ic50_implausible") && text.contains("6.31e1 uM"), "{text}");
        assert!(warning(&lines(-3.0), &screen, anchor).is_some_and(|text| text.contains("6.31e-5 uM")));
        // A resistant line says nothing of the unit.
        let mut with_resistant = lines(0.0);
        with_resistant
            .extend((0..5).map(|_| Resistance { status: Some(LineStatus::Resistant), ..line(1, Some(-4.0), "none") }));
        assert_eq!(warning(&with_resistant, &screen, anchor), None);
        assert_eq!(anchor_potency(&with_resistant, anchor).map(|p| p.lines), Some(3));
    }

    #[test]
    fn what_lies_beyond_the_doses_counts_as_far_as_it_is_known() {
        let (screen, anchor) = screen();
        let above = line(0, None, "above");
        let text = warning(&[above.clone(), above.clone()], &screen, anchor).expect("above 10 uM");
        assert!(text.contains("at least 1.00e1 uM"), "{text}");
        // Doses that ended at 0.1 uM could not have shown an IC50 of 0.5 uM.
        let early = Resistance { log10_dose_range: [Some(-9.5), Some(-7.0)], ..above };
        assert_eq!(warning(&[early], &screen, anchor), None);
        assert_eq!(warning(&[], &screen, anchor), None);
        assert_eq!(warning(&[line(0, None, "none")], &screen, anchor), None);
        let mut other = Screen::default();
        let imatinib = other.drugs.intern("imatinib");
        assert_eq!(warning(&[line(0, Some(-3.0), "none")], &other, imatinib), None, "clofarabine alone is known");
    }
}
