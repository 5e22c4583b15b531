//! Formulas with many minima: the lowest is found, and the same one on both back ends.

use crate::archive::rescore::BELL;
use isobole::backend::Backend;
use isobole::backend::cpu::Cpu;
use isobole::fit::{CurveSet, Fit, FitSettings};
use isobole::math::random::standard_normal;
use isobole::model::formula::FormulaFile;
use std::path::Path;

/// Falls without any bell, so that each chance rise is a minimum for one.
fn noise() -> CurveSet {
    let mut curves = CurveSet::new();
    for curve in 0..300u64 {
        let ec50 = 1e-7 * 10f64.powf((curve % 7) as f64 * 0.5);
        let point = |k: u32| {
            let dose = 1e-9 * 3f64.powi(k as i32);
            (dose, 1.0 / (1.0 + dose / ec50) + 0.05 * standard_normal(21, curve, 0, k), 1.0)
        };
        curves.push(None, (0..12).map(point));
    }
    curves
}

/// Share of curves that end above the other's sum of squares by more than a thousandth.
fn above(fits: &[Fit], lowest: &[Fit]) -> f64 {
    let is_above = |(a, b): &(&Fit, &Fit)| a.sse > b.sse * 1.001;
    fits.iter().zip(lowest).filter(is_above).count() as f64 / fits.len() as f64
}

#[test]
fn a_bell_on_noise_ends_in_its_lowest_minimum_on_both_back_ends() {
    let model = |text: &str| FormulaFile::parse(text, Path::new("mine.toml")).unwrap().into_model();
    let (bell, curves) = (model(BELL), noise());
    let settings = FitSettings::new(bell);
    let fits = Cpu.fit(&settings, &curves).unwrap();
    let lowest = Cpu.fit(&FitSettings { starts: 60, ..settings.clone() }, &curves).unwrap();
    assert!(above(&fits, &lowest) < 0.05, "{}", above(&fits, &lowest));
    assert_eq!(above(&lowest, &fits), 0.0, "more starts end no higher");
    // The comparison sees a search from two starts: a bell whose place is not said to be a dose.
    let free = "name = \"free\"\ndose_unit = \"uM\"\n\
        formula = \"top / (1 + dose / ec50) + rise * exp(-((ln_dose - at) / 1.5)^2)\"\n\
        [parameters.top]\nlower = 0.5\nupper = 1.5\n[parameters.ec50]\nper_dose = true\n\
        [parameters.rise]\nlower = -0.5\nupper = 0.5\nstart = 0.0\n\
        [parameters.at]\nlower = -7.0\nupper = 6.0\nstart = [-6.0, -4.0, -2.0, 0.0, 2.0, 4.0]\n";
    let few = FitSettings::new(model(free));
    let more = FitSettings { starts: 60, ..few.clone() };
    let (two, many) = (Cpu.fit(&few, &curves).unwrap(), Cpu.fit(&more, &curves).unwrap());
    assert!(above(&two, &many) > 0.05, "{}", above(&two, &many));
    let Some(gpu) = crate::gpu() else { return };
    let sums = |fits: &[Fit]| fits.iter().map(|fit| fit.sse.to_bits()).collect::<Vec<_>>();
    assert_eq!(sums(&gpu.fit(&settings, &curves).unwrap()), sums(&fits));
    assert_eq!(sums(&gpu.fit(&more, &curves).unwrap()), sums(&many), "no start that was asked for is left out");
}
