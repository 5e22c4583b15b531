//! True responses: a Hill curve for one drug, a MuSyC surface for two. Written here and not taken from the models
//! that are fitted, so that a simulated screen can show a mistake in them.

/// The true response to one drug: `bottom + (1 - bottom) / (1 + (dose / ec50)^hill)`, viability 1 untreated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrueCurve {
    /// Half-effect concentration in µM, above zero.
    pub ec50_um: f64,
    /// Slope, above zero.
    pub hill: f64,
    /// Viability at infinite dose; 1 for a drug that does nothing.
    pub bottom: f64,
}

impl TrueCurve {
    /// A curve that crosses viability one half at `ic50_um`; its EC50 lies below that where `bottom` is above zero.
    /// A curve whose bottom is one half or more crosses nowhere: `ic50_um` is then its EC50.
    pub fn from_ic50(ic50_um: f64, hill: f64, bottom: f64) -> Self {
        let ratio = if bottom < 0.5 { libm::pow((0.5 - bottom) / 0.5, 1.0 / hill) } else { 1.0 };
        Self { ec50_um: ic50_um * ratio, hill, bottom }
    }

    /// The same drug at `fold` times the dose.
    pub fn shifted(self, fold: f64) -> Self {
        Self { ec50_um: self.ec50_um * fold, ..self }
    }

    /// The concentration in µM at which viability is one half, where there is one.
    pub fn ic50_um(&self) -> Option<f64> {
        (self.bottom < 0.5).then(|| self.ec50_um / libm::pow((0.5 - self.bottom) / 0.5, 1.0 / self.hill))
    }

    /// Viability at a concentration in µM.
    pub fn viability(&self, dose_um: f64) -> f64 {
        self.bottom + (1.0 - self.bottom) / (1.0 + libm::pow(dose_um / self.ec50_um, self.hill))
    }
}

/// How two drugs change each other in one line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interaction {
    /// Fold by which drug 1 raises the potency of drug 2.
    pub alpha12: f64,
    /// Fold by which drug 2 raises the potency of drug 1.
    pub alpha21: f64,
    /// Factor that drug 1 puts on the slope of drug 2.
    pub gamma12: f64,
    /// Factor that drug 2 puts on the slope of drug 1.
    pub gamma21: f64,
    /// Share of what independence leaves alive (`E1 E2`) that both drugs at infinite dose kill besides; below
    /// zero they spare cells.
    pub extra_kill: f64,
}

impl Interaction {
    /// Bliss independence: no interaction of any kind.
    pub const NONE: Self = Self { alpha12: 1.0, alpha21: 1.0, gamma12: 1.0, gamma21: 1.0, extra_kill: 0.0 };

    /// Drug 2 makes drug 1 `fold` times as potent, and nothing else.
    pub const fn sensitises(fold: f64) -> Self {
        Self { alpha21: fold, ..Self::NONE }
    }

    /// Each makes the other more potent: drug 2 drug 1 by `alpha21`, drug 1 drug 2 by `alpha12`.
    pub const fn mutual(alpha21: f64, alpha12: f64) -> Self {
        Self { alpha12, alpha21, ..Self::NONE }
    }

    /// The same with `extra_kill`.
    pub const fn with_extra_kill(self, extra_kill: f64) -> Self {
        Self { extra_kill, ..self }
    }
}

/// A MuSyC surface (Wooten 2021, doi 10.1038/s41467-021-24789-z): cells are untouched, affected by drug 1, by
/// drug 2, or by both, and move between these states at rates set by the doses; viability is the mean over the
/// states at equilibrium. Untreated viability is `e0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MusycSurface {
    /// Viability of untouched cells.
    pub e0: f64,
    /// Viability under drug 1 alone at infinite dose.
    pub e1: f64,
    /// Viability under drug 2 alone at infinite dose.
    pub e2: f64,
    /// Viability under both at infinite dose.
    pub e3: f64,
    /// Slope of drug 1.
    pub hill1: f64,
    /// Slope of drug 2.
    pub hill2: f64,
    /// Half-effect concentration of drug 1, in the unit of the doses.
    pub ec50_1: f64,
    /// Half-effect concentration of drug 2.
    pub ec50_2: f64,
    /// Fold by which drug 1 raises the potency of drug 2.
    pub alpha12: f64,
    /// Fold by which drug 2 raises the potency of drug 1.
    pub alpha21: f64,
    /// Factor that drug 1 puts on the slope of drug 2.
    pub gamma12: f64,
    /// Factor that drug 2 puts on the slope of drug 1.
    pub gamma21: f64,
}

impl MusycSurface {
    /// The surface of two true curves and their interaction; doses in µM.
    pub fn new(first: TrueCurve, second: TrueCurve, interaction: Interaction) -> Self {
        Self {
            e0: 1.0,
            e1: first.bottom,
            e2: second.bottom,
            e3: first.bottom * second.bottom * (1.0 - interaction.extra_kill),
            hill1: first.hill,
            hill2: second.hill,
            ec50_1: first.ec50_um,
            ec50_2: second.ec50_um,
            alpha12: interaction.alpha12,
            alpha21: interaction.alpha21,
            gamma12: interaction.gamma12,
            gamma21: interaction.gamma21,
        }
    }

    /// Viability at a pair of doses in the unit of the half-effect concentrations.
    pub fn viability(&self, dose1: f64, dose2: f64) -> f64 {
        // Rates are capped so that products of three stay finite; the cap is 1e60 times the way back.
        let rate = |relative_dose: f64, hill: f64| libm::pow(relative_dose, hill).min(1e60);
        let into_1 = rate(dose1 / self.ec50_1, self.hill1);
        let into_2 = rate(dose2 / self.ec50_2, self.hill2);
        // The rates at which cells already under one drug come under the other as well.
        let into_1_after_2 = rate(self.alpha21 * dose1 / self.ec50_1, self.gamma21 * self.hill1);
        let into_2_after_1 = rate(self.alpha12 * dose2 / self.ec50_2, self.gamma12 * self.hill2);
        // Equilibrium of the four-state chain with all rates back equal to 1.
        let untouched = 2.0 + into_1_after_2 + into_2_after_1;
        let under_1 = into_1 * (2.0 + into_1_after_2) + into_2 * into_1_after_2;
        let under_2 = into_2 * (2.0 + into_2_after_1) + into_1 * into_2_after_1;
        let under_both =
            into_1 * into_2_after_1 * (1.0 + into_1_after_2) + into_2 * into_1_after_2 * (1.0 + into_2_after_1);
        (untouched * self.e0 + under_1 * self.e1 + under_2 * self.e2 + under_both * self.e3)
            / (untouched + under_1 + under_2 + under_both)
    }

    /// Viability under drug 1 alone.
    pub fn first_alone(&self, dose1: f64) -> f64 {
        self.viability(dose1, 0.0)
    }

    /// Viability under drug 2 alone.
    pub fn second_alone(&self, dose2: f64) -> f64 {
        self.viability(0.0, dose2)
    }

    /// Mean Bliss excess (product of the single agents minus the pair; positive is synergy) over the pairs of these
    /// nonzero doses; 0 where there are none.
    pub fn mean_bliss_excess(&self, doses1: &[f64], doses2: &[f64]) -> f64 {
        // Viabilities multiply as shares of the untreated, which `e0` is.
        self.mean_excess(doses1, doses2, |first, second| first * second / self.e0)
    }

    /// The same against the better single agent.
    pub fn mean_hsa_excess(&self, doses1: &[f64], doses2: &[f64]) -> f64 {
        self.mean_excess(doses1, doses2, f64::min)
    }

    fn mean_excess(&self, doses1: &[f64], doses2: &[f64], reference: impl Fn(f64, f64) -> f64) -> f64 {
        let mut sum = 0.0;
        for &dose1 in doses1 {
            for &dose2 in doses2 {
                sum += reference(self.first_alone(dose1), self.second_alone(dose2)) - self.viability(dose1, dose2);
            }
        }
        sum / (doses1.len() * doses2.len()).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SurfaceModel;
    use crate::model::musyc::MusycGamma;

    const DOSES: [f64; 8] = [0.0, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 1000.0];

    fn example() -> MusycSurface {
        let first = TrueCurve { ec50_um: 0.4, hill: 1.7, bottom: 0.1 };
        let second = TrueCurve { ec50_um: 2.0, hill: 0.8, bottom: 0.4 };
        MusycSurface::new(first, second, Interaction { gamma12: 1.3, gamma21: 0.7, ..Interaction::mutual(6.0, 0.3) })
    }

    /// The equilibrium is where no state gains or loses cells: checked on the chain itself, by elimination.
    #[test]
    fn equals_the_equilibrium_of_the_four_state_chain() {
        let s = example();
        for dose1 in DOSES {
            for dose2 in DOSES {
                let rates = [
                    libm::pow(dose1 / s.ec50_1, s.hill1),
                    libm::pow(dose2 / s.ec50_2, s.hill2),
                    libm::pow(s.alpha21 * dose1 / s.ec50_1, s.gamma21 * s.hill1),
                    libm::pow(s.alpha12 * dose2 / s.ec50_2, s.gamma12 * s.hill2),
                ];
                let [u, a1, a2, a3] = equilibrium(rates);
                let direct = u * s.e0 + a1 * s.e1 + a2 * s.e2 + a3 * s.e3;
                let ours = s.viability(dose1, dose2);
                assert!((ours - direct).abs() < 1e-9, "at {dose1}, {dose2}: {ours} and {direct}");
            }
        }
        // The comparison can fail: with the rates into both exchanged it does.
        let [u, a1, a2, a3] = equilibrium([1.0, 2.0, 5.0, 0.5]);
        let [v, b1, b2, b3] = equilibrium([1.0, 2.0, 0.5, 5.0]);
        let mean = |[u, a1, a2, a3]: [f64; 4]| u * s.e0 + a1 * s.e1 + a2 * s.e2 + a3 * s.e3;
        assert!((mean([u, a1, a2, a3]) - mean([v, b1, b2, b3])).abs() > 1e-3);
    }

    /// Shares of the states by Gaussian elimination of "in equals out" with the shares summing to 1.
    fn equilibrium([x, y, x_after, y_after]: [f64; 4]) -> [f64; 4] {
        let mut m = [
            [-(x + y), 1.0, 1.0, 0.0, 0.0],
            [x, -(1.0 + y_after), 0.0, 1.0, 0.0],
            [y, 0.0, -(1.0 + x_after), 1.0, 0.0],
            [1.0, 1.0, 1.0, 1.0, 1.0],
        ];
        for column in 0..4 {
            let pivot = (column..4).max_by(|&i, &j| m[i][column].abs().total_cmp(&m[j][column].abs())).unwrap();
            m.swap(column, pivot);
            for row in 0..4 {
                if row != column {
                    let factor = m[row][column] / m[column][column];
                    let pivot_row = m[column];
                    m[row].iter_mut().zip(pivot_row).for_each(|(value, above)| *value -= factor * above);
                }
            }
        }
        std::array::from_fn(|i| m[i][4] / m[i][i])
    }

    #[test]
    fn without_interaction_it_is_bliss() {
        let first = TrueCurve { ec50_um: 0.4, hill: 1.7, bottom: 0.1 };
        let second = TrueCurve { ec50_um: 2.0, hill: 0.8, bottom: 0.4 };
        let surface = MusycSurface::new(first, second, Interaction::NONE);
        for dose1 in DOSES {
            for dose2 in DOSES {
                let bliss = first.viability(dose1) * second.viability(dose2);
                assert!((surface.viability(dose1, dose2) - bliss).abs() < 1e-14);
            }
        }
        assert!(surface.mean_bliss_excess(&DOSES[1..], &DOSES[1..]).abs() < 1e-14);
        for interaction in [Interaction::sensitises(1.05), Interaction::NONE.with_extra_kill(0.05)] {
            let planted = MusycSurface::new(first, second, interaction).mean_bliss_excess(&DOSES[1..], &DOSES[1..]);
            assert!(planted > 1e-4, "a weak synergy shows: {planted}");
        }
    }

    #[test]
    fn with_one_dose_zero_it_is_the_other_drugs_curve() {
        let surface = example();
        let first = TrueCurve { ec50_um: 0.4, hill: 1.7, bottom: 0.1 };
        let second = TrueCurve { ec50_um: 2.0, hill: 0.8, bottom: 0.4 };
        for dose in DOSES {
            assert!((surface.first_alone(dose) - first.viability(dose)).abs() < 1e-14);
            assert!((surface.second_alone(dose) - second.viability(dose)).abs() < 1e-14);
        }
        assert_eq!(surface.viability(0.0, 0.0), 1.0);
    }

    #[test]
    fn ends_at_e3() {
        let surface = example();
        assert!((surface.viability(1e12, 1e15) - surface.e3).abs() < 1e-6);
    }

    #[test]
    fn a_curve_made_from_its_ic50_crosses_one_half_there() {
        let curve = TrueCurve::from_ic50(0.03, 1.6, 0.07);
        assert!((curve.viability(0.03) - 0.5).abs() < 1e-14);
        assert!((curve.ic50_um().unwrap() - 0.03).abs() < 1e-15);
        assert_eq!(TrueCurve::from_ic50(1.0, 1.0, 0.9).ic50_um(), None);
        assert_eq!(curve.shifted(10.0).ic50_um().map(|x| (x * 1e9).round()), Some(3e8));
    }

    #[test]
    fn the_model_that_is_fitted_is_the_same_surface() {
        let s = example();
        let parameters = [
            s.e0,
            s.e1,
            s.e2,
            s.e3,
            s.ec50_1.ln(),
            s.ec50_2.ln(),
            s.hill1,
            s.hill2,
            s.alpha12.ln(),
            s.alpha21.ln(),
            s.gamma12.ln(),
            s.gamma21.ln(),
        ];
        let mut swapped = parameters;
        swapped.swap(8, 9);
        let largest = |parameters: [f64; 12]| {
            let pairs = DOSES[1..].iter().flat_map(|a| DOSES[1..].iter().map(move |b| (*a, *b)));
            let difference =
                |(a, b): (f64, f64)| (MusycGamma::response(a.ln(), b.ln(), parameters) - s.viability(a, b)).abs();
            pairs.map(difference).fold(0.0, f64::max)
        };
        assert!(largest(parameters) < 1e-13, "{}", largest(parameters));
        assert!(largest(swapped) > 0.01, "the comparison can fail");
    }
}
