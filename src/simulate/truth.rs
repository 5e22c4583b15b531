//! What the analysis should find.

use super::recipe::Recipe;
use super::surface::MusycSurface;

/// The truth of one pair in one line. Indices are into the recipe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// The line, in [`Recipe::lines`].
    pub line: usize,
    /// The pair, in [`Recipe::pairs`].
    pub pair: usize,
    /// The noiseless surface; doses in µM.
    pub surface: MusycSurface,
    /// Mean Bliss excess over the pairs of nonzero doses, from the noiseless surface.
    pub mean_bliss_excess: f64,
    /// The same against the better single agent.
    pub mean_hsa_excess: f64,
    /// Half-effect concentration of the anchor drug alone in µM.
    pub anchor_ec50_um: f64,
    /// Concentration of the anchor drug alone, in µM, at viability one half; `None` if it never gets there.
    pub anchor_ic50_um: Option<f64>,
    /// The anchor's IC50 over the parental line's; `None` for lines without a parent in the screen.
    pub fold_resistance: Option<f64>,
}

/// The truth of every line and pair of a recipe, lines in order, pairs in order within a line. What does not fit
/// together (see [`Recipe::check`]) is left out.
pub fn truth(recipe: &Recipe) -> Vec<Truth> {
    let mut rows = Vec::with_capacity(recipe.lines.len() * recipe.pairs.len());
    for line in 0..recipe.lines.len() {
        let Some(anchor) = recipe.drugs.get(recipe.anchor).and_then(|drug| drug.responses.get(line)) else { continue };
        let anchor_ic50_um = anchor.ic50_um();
        let parent_ic50_um = recipe.lines[line].parental.as_deref().and_then(|parent| {
            let parent = recipe.lines.iter().position(|l| l.name == parent)?;
            recipe.drugs.get(recipe.anchor)?.responses.get(parent)?.ic50_um()
        });
        let fold_resistance = anchor_ic50_um.zip(parent_ic50_um).map(|(own, parent)| own / parent);
        for (pair, drugs) in recipe.pairs.iter().enumerate() {
            let Some(surface) = recipe.surface(pair, line) else { continue };
            let doses = |drug: usize| recipe.drugs.get(drug).map_or(&[][..], |d| d.doses_um.as_slice());
            let (doses_a, doses_b) = (doses(drugs.drug_a), doses(drugs.drug_b));
            rows.push(Truth {
                line,
                pair,
                surface,
                mean_bliss_excess: surface.mean_bliss_excess(doses_a, doses_b),
                mean_hsa_excess: surface.mean_hsa_excess(doses_a, doses_b),
                anchor_ec50_um: anchor.ec50_um,
                anchor_ic50_um,
                fold_resistance,
            });
        }
    }
    rows
}
